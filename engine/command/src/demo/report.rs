//! What the demo prints, and what it writes as JSON.

use std::fmt::{self, Display, Formatter};

use cutter_core::stats::Stage;
use cutter_tools::result::SelectionResult;
use cutter_tools::text::{grouped, time};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::cores::Cores;
use super::figures::{Selection, Stragglers};
use super::learning;
use super::limits::SLO_US;
use super::plot::Plot;
use super::tally::Tally;

/// The time that queries spent in one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTime {
    pub p50_ns: u64,
    pub p99_ns: u64,
}

/// The sizes of the batches sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct BatchSizes {
    pub mean: f64,
    pub max: u64,
}

/// Everything that a demo found out.
#[derive(Clone, Debug)]
pub struct Report {
    pub cores: Cores,
    pub connections: usize,
    pub rate_qps: u64,
    /// Queries that were to be sent; fewer were when the demo was ended early.
    pub planned: u64,
    pub tally: Tally,
    /// Why the times are to be doubted, if they are.
    pub doubts: Vec<String>,
    /// In the order of [`Stage::ALL`].
    pub stages: [StageTime; Stage::ALL.len()],
    pub batch: BatchSizes,
    /// The AIMD limit, sampled at even distances.
    pub limits: Vec<u64>,
    /// What policies learned; absent when the demo was ended before.
    pub selection: Option<SelectionResult>,
}

#[derive(Serialize)]
struct Json<'a> {
    queries: u64,
    predictions: u64,
    defaults: u64,
    errors: u64,
    accuracy: f64,
    offline_accuracy: f64,
    rate_qps: u64,
    latency_us: Latency,
    stages_us: Stages,
    batch: Batch,
    send_lag_us: Lag,
    selection: Option<Selection<'a>>,
    stragglers: Option<Stragglers<'a>>,
}

#[derive(Serialize)]
struct Latency {
    p50: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

#[derive(Serialize)]
struct Stages {
    parse: Percentiles,
    queue: Percentiles,
    batch_wait: Percentiles,
    service: Percentiles,
    reply: Percentiles,
}

#[derive(Serialize)]
struct Percentiles {
    p50: f64,
    p99: f64,
}

#[derive(Serialize)]
struct Batch {
    mean: f64,
    max: u64,
    limit: u64,
}

#[derive(Serialize)]
struct Lag {
    p50: f64,
    p99: f64,
    max: f64,
}

impl Report {
    /// The figures for programs.
    pub fn to_json(&self) -> String {
        let tally = &self.tally;
        let [p50, p99, p999, max] = quantiles(&tally.latency_ns).map(us);
        let [lag_p50, lag_p99, _, lag_max] = quantiles(&tally.send_lag_ns).map(us);
        let stage = |stage: Stage| {
            let time = self.stages[stage as usize];
            Percentiles { p50: us(time.p50_ns), p99: us(time.p99_ns) }
        };
        let json = Json {
            queries: tally.queries,
            predictions: tally.predictions,
            defaults: tally.defaults(),
            errors: tally.errors,
            accuracy: tally.accuracy(),
            offline_accuracy: tally.offline_accuracy(),
            rate_qps: self.rate_qps,
            latency_us: Latency { p50, p99, p999, max },
            stages_us: Stages {
                parse: stage(Stage::Parse),
                queue: stage(Stage::Queue),
                batch_wait: stage(Stage::BatchWait),
                service: stage(Stage::Service),
                reply: stage(Stage::Reply),
            },
            batch: Batch { mean: self.batch.mean, max: self.batch.max, limit: self.limit() },
            send_lag_us: Lag { p50: lag_p50, p99: lag_p99, max: lag_max },
            selection: self.selection.as_ref().map(Selection::of),
            stragglers: self.selection.as_ref().map(|found| Stragglers::of(&found.stragglers)),
        };
        let text = serde_json::to_string_pretty(&json);
        text.expect("numbers under fixed names are always JSON") + "\n"
    }

    /// The AIMD limit at the end.
    fn limit(&self) -> u64 {
        self.limits.last().copied().unwrap_or_default()
    }

    fn seconds(&self) -> f64 {
        self.tally.elapsed_ns as f64 / 1e9
    }

    fn write_heading(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Cores { engine, model, client } = self.cores;
        writeln!(f, "Handwritten digits: 784 floats as JSON over HTTP to a softmax in C++")?;
        write!(f, "  {} ms SLO, {} connections, engine {}, ", SLO_US / 1_000, self.connections, {
            core(engine)
        })?;
        if model == client {
            return writeln!(f, "model and client {}\n", core(model));
        }
        writeln!(f, "model {}, client {}\n", core(model), core(client))
    }

    fn write_counts(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let tally = &self.tally;
        let line = |f: &mut Formatter<'_>, name: &str, value: &str, note: &str| {
            let text = format!("  {name:<12}{value:>12}   {note}");
            writeln!(f, "{}", text.trim_end())
        };
        let mut offered = format!("{}/s offered, open loop", grouped(self.rate_qps));
        if tally.queries < self.planned {
            offered += &format!("; ended early, {} were planned", grouped(self.planned));
        }
        line(f, "queries", &grouped(tally.queries), &offered)?;
        let throughput = grouped(self.throughput_qps());
        let per_second = format!("{throughput}/s in {:.2} s", self.seconds());
        line(f, "predictions", &grouped(tally.predictions), &per_second)?;
        let reasons = tally.defaults.iter();
        let reasons: Vec<String> =
            reasons.map(|(reason, count)| format!("{} {reason}", grouped(*count))).collect();
        line(f, "defaults", &grouped(tally.defaults()), &reasons.join(", "))?;
        let first_error = tally.first_error.as_deref().unwrap_or_default();
        line(f, "errors", &grouped(tally.errors), first_error)?;
        let accuracy = format!("{:.2} %", tally.accuracy() * 100.0);
        line(f, "accuracy", &accuracy, &self.compared())
    }

    fn throughput_qps(&self) -> u64 {
        self.tally.predictions * 1_000_000_000 / self.tally.elapsed_ns.max(1)
    }

    fn compared(&self) -> String {
        let tally = &self.tally;
        let offline = tally.offline_accuracy() * 100.0;
        match (tally.predictions, tally.differing) {
            (0, _) => "nothing was predicted".to_owned(),
            (_, 0) => "equal to offline: same weights, same images, every class".to_owned(),
            (_, differing) => format!(
                "NOT EQUAL to the offline {offline:.2} %: {} predictions differ",
                grouped(differing)
            ),
        }
    }

    fn write_times(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let row = |f: &mut Formatter<'_>, name: &str, times_ns: &[u64], note: &str| {
            write!(f, "  {name:<12}")?;
            times_ns.iter().try_for_each(|ns| write!(f, "{:>12}", time(*ns)))?;
            writeln!(f, "{note}")
        };
        writeln!(f, "\n  {:<12}{:>12}{:>12}{:>12}{:>12}", "latency", "p50", "p99", "p99.9", "max")?;
        let latency_ns = quantiles(&self.tally.latency_ns);
        row(f, "end to end", &latency_ns, "   from the scheduled send")?;
        for (stage, StageTime { p50_ns, p99_ns }) in Stage::ALL.into_iter().zip(self.stages) {
            let name = format!("  {}", stage.as_str().replace('_', " "));
            row(f, &name, &[p50_ns, p99_ns], "")?;
        }
        let send_lag_ns = quantiles(&self.tally.send_lag_ns);
        row(f, "send lag", &send_lag_ns, "   of that, the client's lateness")?;
        self.doubts.iter().try_for_each(|doubt| writeln!(f, "\n  warning: {doubt}"))
    }

    fn write_batches(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let BatchSizes { mean, max } = self.batch;
        writeln!(f, "\n  batches     mean {mean:.2}, max {max}, AIMD limit {}\n", self.limit())?;
        writeln!(f, "  AIMD limit over time")?;
        write!(f, "{}", Plot { samples: &self.limits, seconds: self.seconds() })
    }
}

/// The text for people.
impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write_heading(f)?;
        self.write_counts(f)?;
        self.write_times(f)?;
        self.write_batches(f)?;
        self.selection.iter().try_for_each(|found| write!(f, "{}", learning::Text(found)))
    }
}

/// p50, p99, p99.9 and the maximum.
fn quantiles(histogram: &Histogram<u64>) -> [u64; 4] {
    [0.5, 0.99, 0.999, 1.0].map(|quantile| histogram.value_at_quantile(quantile))
}

fn us(ns: u64) -> f64 {
    ns as f64 / 1e3
}

fn core(core: Option<usize>) -> String {
    core.map_or("not pinned".to_owned(), |core| format!("on core {core}"))
}

#[cfg(test)]
mod tests {
    use cutter_tools::load::{Outcome, Recording, Sample};

    use super::super::tally::Known;
    use super::super::tally::tests::sample;
    use super::*;

    /// 1,000 predictions after 50 to 60 µs, of which 40 are not the digit, and three defaults.
    fn report() -> Report {
        let known = [0, 1].map(|label| Known { label, offline: 1 });
        let predicted = (0..1_000).map(|query| Sample {
            lag_ns: query,
            ..sample(u32::from(query >= 40), Outcome::Answered, true, 50_000 + query * 10)
        });
        let default = Sample { lag_ns: 0, ..sample(1, Outcome::Default, false, 20_000_000) };
        let recording = Recording {
            samples: predicted.chain([default; 3]).collect(),
            default_reasons: [("late".to_owned(), 3)].into(),
            ..Recording::default()
        };
        let mut tally = Tally::of(&recording, &known);
        tally.elapsed_ns = 500_000_000;
        let stage = |ns| StageTime { p50_ns: ns, p99_ns: 2 * ns };
        Report {
            cores: Cores { engine: Some(0), model: Some(1), client: Some(1) },
            connections: 50,
            rate_qps: 2_000,
            planned: 1_003,
            tally,
            doubts: Vec::new(),
            stages: [1_500, 2_500, 3_500, 4_500, 5_500].map(stage),
            batch: BatchSizes { mean: 1.25, max: 7 },
            limits: vec![1, 3, 5, 7, 9],
            selection: None,
        }
    }

    #[test]
    fn the_text_shows_every_figure() {
        let expected = "\
Handwritten digits: 784 floats as JSON over HTTP to a softmax in C++
  20 ms SLO, 50 connections, engine on core 0, model and client on core 1

  queries            1,003   2,000/s offered, open loop
  predictions        1,000   2,000/s in 0.50 s
  defaults               3   3 late
  errors                 0
  accuracy         96.00 %   equal to offline: same weights, same images, every class

  latency              p50         p99       p99.9         max
  end to end       55.0 µs     59.9 µs     20.0 ms     20.0 ms   from the scheduled send
    parse          1.50 µs     3.00 µs
    queue          2.50 µs     5.00 µs
    batch wait     3.50 µs     7.00 µs
    service        4.50 µs     9.00 µs
    reply          5.50 µs     11.0 µs
  send lag          498 ns      989 ns      998 ns      999 ns   of that, the client's lateness

  batches     mean 1.25, max 7, AIMD limit 9

  AIMD limit over time
      10 ┤    ▅
         ┤   ▆█
         ┤ ▂███
         ┤▃████
       0 ┼─────
          0 s  0.5 s
";
        let text = report().to_string();
        assert_eq!(text, expected);
    }

    #[test]
    fn a_late_client_is_warned_of() {
        let doubts = vec!["the generator was late: a lot".to_owned()];
        let late = Report { doubts, ..report() }.to_string();
        assert!(late.contains("\n  warning: the generator was late: a lot\n"), "{late}");
        assert!(!report().to_string().contains("warning"));
    }

    #[test]
    fn a_demo_that_was_ended_early_says_so() {
        let early = Report { planned: 20_000, ..report() };
        let note = "open loop; ended early, 20,000 were planned";
        assert!(early.to_string().contains(note), "{early}");
    }

    #[test]
    fn predictions_that_differ_from_offline_are_told() {
        let mut wrong = report();
        wrong.tally.differing = 12;
        let line = "NOT EQUAL to the offline 96.00 %: 12 predictions differ";
        assert!(wrong.to_string().contains(line), "{wrong}");
    }

    #[test]
    fn nothing_measured_is_still_a_report() {
        let mut nothing = report();
        nothing.tally = Tally::of(&Recording::default(), &[]);
        nothing.limits.clear();
        let text = nothing.to_string();
        assert!(text.contains("nothing was predicted"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&nothing.to_json()).unwrap();
        assert_eq!(json["latency_us"]["max"], 0.0);
    }

    #[test]
    fn what_was_learned_stands_behind_the_first_act() {
        let learned = Report { selection: Some(learning::found()), ..report() };
        assert!(learned.to_string().ends_with(&learning::Text(&learning::found()).to_string()));
        let json: serde_json::Value = serde_json::from_str(&learned.to_json()).unwrap();
        assert_eq!(
            (&json["selection"]["exp4"], &json["stragglers"]["sure"]),
            (&0.9.into(), &440.into())
        );
    }

    #[test]
    fn the_json_has_exactly_these_keys_in_this_order() {
        let names: Vec<String> = report()
            .to_json()
            .lines()
            .filter_map(|line| Some(line.split_once(':')?.0.trim().trim_matches('"').to_owned()))
            .collect();
        let expected = "queries predictions defaults errors accuracy offline_accuracy rate_qps \
                        latency_us p50 p99 p999 max \
                        stages_us parse p50 p99 queue p50 p99 batch_wait p50 p99 service p50 p99 \
                        reply p50 p99 \
                        batch mean max limit send_lag_us p50 p99 max selection stragglers";
        assert_eq!(names, Vec::from_iter(expected.split_whitespace()));
    }

    #[test]
    fn the_json_counts_and_is_in_microseconds() {
        let json: serde_json::Value = serde_json::from_str(&report().to_json()).unwrap();
        assert_eq!((&json["queries"], &json["predictions"]), (&1_003.into(), &1_000.into()));
        assert_eq!((&json["defaults"], &json["errors"]), (&3.into(), &0.into()));
        assert_eq!((&json["accuracy"], &json["offline_accuracy"]), (&0.96.into(), &0.96.into()));
        assert_eq!(json["rate_qps"], 2_000);
        let max_us = json["latency_us"]["max"].as_f64().unwrap();
        assert!((20_000.0..20_020.0).contains(&max_us), "{max_us}");
        assert_eq!(json["stages_us"]["queue"], serde_json::json!({ "p50": 2.5, "p99": 5.0 }));
        assert_eq!(json["batch"], serde_json::json!({ "mean": 1.25, "max": 7, "limit": 9 }));
    }
}
