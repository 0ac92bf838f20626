//! The statistics as text for Prometheus, in its own format or in OpenMetrics. Control thread.
//!
//! Each scrape reads the arrays afresh: nothing is kept between scrapes but the engine's counts.
//! Names begin with `cutter_` and carry their unit; the crate adds `_total` to counters. Times are
//! in seconds, in buckets at 1 µs times the powers of two.

mod kept;
mod selection;

use std::fmt;
use std::sync::Arc;

use cutter_core::stats::{
    ApplicationStats, BATCH_EDGES_ROWS, Counter, EngineStats, Gauge, HTTP_STATUS_OTHER,
    HTTP_STATUSES, Histogram, ModelStats, Reason, ReplicaStats, Stage, TIME_EDGES_NS, Why,
};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::answers::distribution;
use crate::counted::Counted;

/// What a scrape is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own text, version 0.0.4.
    Text,
    OpenMetrics,
}

impl Format {
    /// The one that a client prefers, by its `Accept`. Text is what everyone understands.
    pub fn wanted(accept: &str) -> Self {
        let wanted = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let format = match parts.next()?.to_ascii_lowercase().as_str() {
                "application/openmetrics-text" => Self::OpenMetrics,
                "text/plain" | "text/*" | "*/*" => Self::Text,
                _ => return None,
            };
            let mut weight = parts.filter_map(|part| part.strip_prefix("q=")?.trim().parse().ok());
            Some((format, weight.next_back().unwrap_or(1.0_f32)))
        });
        let mut best = (Self::Text, 0.0);
        for (format, weight) in wanted {
            let is_better = weight > best.1 || (weight == best.1 && format == Self::OpenMetrics);
            if is_better && weight > 0.0 {
                best = (format, weight);
            }
        }
        best.0
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What is counted of the process, by other threads than the engine's.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessCounts {
    pub log_lines_dropped: u64,
}

/// The whole text of a scrape.
///
/// # Errors
/// None that is known: writing to memory does not fail. The crate's signature has one.
pub fn encode(
    counted: Counted,
    process: ProcessCounts,
    format: Format,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(counted));
    registry.register_collector(Box::new(process));
    let mut out = String::new();
    text::encode(&mut out, &registry)?;
    Ok(match format {
        Format::OpenMetrics => out,
        Format::Text => to_text(&out),
    })
}

/// The same in the older format: there a counter's description bears the name of its samples, with
/// `_total`, units have no line of their own, and nothing marks the end.
fn to_text(open_metrics: &str) -> String {
    let mut out = String::with_capacity(open_metrics.len());
    // Comes before the type, by which its name is chosen.
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = described.split_once(' ');
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|typed| typed.split_once(' '))
        {
            let suffix = if kind == "counter" { "_total" } else { "" };
            if let Some((_, help)) = help.take() {
                out += &format!("# HELP {name}{suffix} {help}\n");
            }
            out += &format!("# TYPE {name}{suffix} {kind}\n");
        } else if !line.starts_with("# ") {
            out += line;
            out.push('\n');
        }
    }
    out
}

impl Collector for ProcessCounts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        encoder
            .encode_descriptor(
                "cutter_log_lines_dropped",
                "Lines of the log that could not be written.",
                None,
                MetricType::Counter,
            )?
            .encode_counter::<NoLabelSet, u64, f64>(&self.log_lines_dropped, None)
    }
}

impl Collector for Counted {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self { engine, applications, models, .. } = self;
        let mut families = Families { encoder };
        encode_answers(&mut families, applications)?;
        encode_application_times(&mut families, applications)?;
        encode_model_counts(&mut families, models)?;
        encode_model_kinds(&mut families, models)?;
        encode_model_distributions(&mut families, models)?;
        encode_replicas(&mut families, models)?;
        selection::encode(&mut families, &self.selections)?;
        kept::encode(&mut families, self)?;
        encode_connections(&mut families, engine)?;
        encode_engine(&mut families, engine)
    }
}

fn encode_answers(
    families: &mut Families<'_>,
    applications: &[Arc<ApplicationStats>],
) -> fmt::Result {
    let per_application = |pick: fn(&ApplicationStats) -> &Counter| {
        applications.iter().map(move |app| (by_application(app), pick(app)))
    };
    families.counters(
        "cutter_queries",
        "Queries received.",
        None,
        per_application(|app| &app.queries),
    )?;
    families.counters(
        "cutter_predictions",
        "Queries answered with a prediction.",
        None,
        per_application(|app| &app.predictions),
    )?;
    families.counters(
        "cutter_defaults",
        "Queries answered with the default output, by reason.",
        None,
        applications.iter().flat_map(|app| {
            Reason::ALL.map(|reason| {
                ([("application", &*app.name), ("reason", reason.as_str())], app.defaults(reason))
            })
        }),
    )?;
    families.counters(
        "cutter_cancelled",
        "Queries whose client went away before their answer was there.",
        None,
        per_application(|app| &app.cancelled),
    )?;
    families.counters(
        "cutter_late",
        "Answers handed to the kernel after the deadline of their query.",
        None,
        per_application(|app| &app.late),
    )?;
    families.counters(
        "cutter_predictions_dropped",
        "Predictions made and not told: no room for them, or no text where a string is declared.",
        None,
        per_application(|app| &app.predictions_dropped),
    )
}

fn encode_application_times(
    families: &mut Families<'_>,
    applications: &[Arc<ApplicationStats>],
) -> fmt::Result {
    let rows = |pick: fn(&ApplicationStats) -> &Gauge| {
        applications.iter().map(move |app| (by_application(app), pick(app)))
    };
    families.gauges(
        "cutter_input_pool_rows_in_use",
        "Rows of the input pool that hold a query.",
        rows(|app| &app.rows_in_use),
    )?;
    families.gauges("cutter_input_pool_rows", "Rows of the input pool.", rows(|app| &app.rows))?;
    families.times(
        "cutter_end_to_end",
        "From the complete request to the answer handed to the kernel.",
        applications.iter().map(|app| (by_application(app), &app.end_to_end)),
    )?;
    families.times(
        "cutter_application_stage",
        "Time of a query in the stages that belong to its application.",
        applications.iter().flat_map(|app| {
            [(Stage::Parse, &app.parse), (Stage::Reply, &app.reply)].map(|(stage, histogram)| {
                ([("application", &*app.name), ("stage", stage.as_str())], histogram)
            })
        }),
    )
}

fn encode_model_counts(families: &mut Families<'_>, models: &[Arc<ModelStats>]) -> fmt::Result {
    let per_model = |pick: fn(&ModelStats) -> &Counter| {
        models.iter().map(move |model| (by_model(model), pick(model)))
    };
    families.gauges(
        "cutter_queued_queries",
        "Queries that wait for a replica.",
        models.iter().map(|model| (by_model(model), &model.queued)),
    )?;
    families.counters(
        "cutter_expired_queries",
        "Queries not sent to a replica because they would have come too late.",
        None,
        per_model(|model| &model.expired),
    )?;
    families.counters(
        "cutter_replica_restarts",
        "Replicas started again after they ended.",
        None,
        per_model(|model| &model.restarts),
    )?;
    families.counters(
        "cutter_redispatched_queries",
        "Queries sent again because their replica died or their batch failed.",
        None,
        per_model(|model| &model.redispatches),
    )?;
    families.counters(
        "cutter_stalled_batches",
        "Batches that took far longer than batches of their size do.",
        None,
        per_model(|model| &model.stalls),
    )?;
    families.counters(
        "cutter_batches_failed",
        "Batches that came back as failed.",
        None,
        per_model(|model| &model.batches_failed),
    )?;
    families.counters(
        "cutter_warm_ups_failed",
        "Warm-ups that a probe ended which failed, or of which the container died.",
        None,
        per_model(|model| &model.warm_ups_failed),
    )?;
    families.counters(
        "cutter_items_failed",
        "Queries answered with the model's own error.",
        None,
        per_model(|model| &model.items_failed),
    )?;
    families.counters(
        "cutter_hedged_calls",
        "Calls that were also sent to a second replica, since the first was late.",
        None,
        per_model(|model| &model.hedged),
    )?;
    families.counters(
        "cutter_hedges_won",
        "Calls that the second replica answered first.",
        None,
        per_model(|model| &model.hedges_won),
    )
}

/// What is counted by its kind.
fn encode_model_kinds(families: &mut Families<'_>, models: &[Arc<ModelStats>]) -> fmt::Result {
    families.counters(
        "cutter_protocol_violations",
        "Completions that broke the protocol, by kind; each ends its replica.",
        None,
        models.iter().flat_map(|model| {
            model.violation_kinds().iter().enumerate().map(|(index, &kind)| {
                let [name, version] = by_model(model);
                ([name, version, ("kind", kind)], model.violations(index))
            })
        }),
    )?;
    families.counters(
        "cutter_batches_formed",
        "Batches, by why they were formed then, and no larger.",
        None,
        models.iter().flat_map(|model| {
            Why::ALL.iter().map(|&why| {
                let [name, version] = by_model(model);
                ([name, version, ("why", why.as_str())], model.formed(why))
            })
        }),
    )
}

fn encode_model_distributions(
    families: &mut Families<'_>,
    models: &[Arc<ModelStats>],
) -> fmt::Result {
    families.batch_sizes(
        "cutter_batch",
        "Rows in a batch.",
        models.iter().map(|model| (by_model(model), &model.batch_size)),
    )?;
    families.times(
        "cutter_model_stage",
        "Time of a query in the stages that belong to a model.",
        models.iter().flat_map(|model| {
            [
                (Stage::Queue, &model.queue),
                (Stage::BatchWait, &model.batch_wait),
                (Stage::Service, &model.service),
            ]
            .map(|(stage, histogram)| {
                let [name, version] = by_model(model);
                ([name, version, ("stage", stage.as_str())], histogram)
            })
        }),
    )
}

fn encode_replicas(families: &mut Families<'_>, models: &[Arc<ModelStats>]) -> fmt::Result {
    let most = models.iter().map(|model| model.replicas.len()).max().unwrap_or(0);
    let numbers: Vec<String> = (0..most).map(|number| number.to_string()).collect();
    let per_replica = |pick: fn(&ReplicaStats) -> &Gauge| {
        models.iter().flat_map({
            let numbers = &numbers;
            move |model| {
                model.replicas.iter().zip(numbers).map(move |(replica, number)| {
                    let [name, version] = by_model(model);
                    ([name, version, ("replica", number.as_str())], pick(replica))
                })
            }
        })
    };
    families.gauges(
        "cutter_batch_limit_rows",
        "The most rows that the replica's next batch may have.",
        per_replica(|replica| &replica.batch_limit),
    )?;
    families.gauges(
        "cutter_in_flight_batches",
        "Batches that the replica holds.",
        per_replica(|replica| &replica.in_flight),
    )?;
    families.gauges(
        "cutter_replica_up",
        "1 while the replica is connected and ready, else 0.",
        per_replica(|replica| &replica.up),
    )?;
    families.gauges(
        "cutter_replica_failing",
        "1 while most of the replica's recent batches failed, else 0.",
        per_replica(|replica| &replica.failing),
    )
}

fn encode_connections(families: &mut Families<'_>, stats: &EngineStats) -> fmt::Result {
    families.gauge("cutter_connections", "Client connections open.", &stats.connections)?;
    families.counter(
        "cutter_connections_accepted",
        "Client connections accepted.",
        None,
        &stats.connections_accepted,
    )?;
    families.counter(
        "cutter_connections_evicted",
        "Client connections ended for others, when no place was left.",
        None,
        &stats.connections_evicted,
    )?;
    let numbers = HTTP_STATUSES.map(|status| (status, status.to_string()));
    let known = numbers.iter().map(|(status, name)| (name.as_str(), *status));
    families.counters(
        "cutter_http_errors",
        "Requests answered with an HTTP error, by status.",
        None,
        known
            .chain([(HTTP_STATUS_OTHER, 0)])
            .map(|(name, status)| ([("status", name)], stats.http_errors(status))),
    )?;
    families.counter(
        "cutter_received",
        "Bytes received from clients.",
        Some(&Unit::Bytes),
        &stats.bytes_in,
    )?;
    families.counter("cutter_sent", "Bytes sent to clients.", Some(&Unit::Bytes), &stats.bytes_out)
}

fn encode_engine(families: &mut Families<'_>, stats: &EngineStats) -> fmt::Result {
    let calls = [
        ("enter", &stats.system_calls_enter),
        ("yield", &stats.system_calls_yield),
        ("wake", &stats.system_calls_wake),
    ];
    families.counters(
        "cutter_system_calls",
        "System calls of the engine thread, by kind.",
        None,
        calls.map(|(kind, counter)| ([("kind", kind)], counter)),
    )?;
    families.counter(
        "cutter_ring_overflows",
        "Completions that did not fit into the io_uring completion queue at once.",
        None,
        &stats.ring_overflows,
    )?;
    families.counter(
        "cutter_input_copied",
        "Input bytes received privately, then parsed or copied into their row.",
        Some(&Unit::Bytes),
        &stats.input_bytes_copied,
    )
}

type Label<'a> = (&'static str, &'a str);

fn by_application(app: &ApplicationStats) -> [Label<'_>; 1] {
    [("application", &*app.name)]
}

fn by_model(model: &ModelStats) -> [Label<'_>; 2] {
    [("model", &*model.model), ("version", &*model.version)]
}

/// Writes one family of samples after the other: a description, then each sample with its labels.
struct Families<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Families<'_> {
    fn counter(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        counter: &Counter,
    ) -> fmt::Result {
        self.encoder
            .encode_descriptor(name, help, unit, MetricType::Counter)?
            .encode_counter::<NoLabelSet, u64, f64>(&counter.get(), None)
    }

    /// A counter that is kept elsewhere.
    fn count(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        self.encoder
            .encode_descriptor(name, help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, u64, f64>(&count, None)
    }

    fn gauge(&mut self, name: &str, help: &str, gauge: &Gauge) -> fmt::Result {
        self.encoder
            .encode_descriptor(name, help, None, MetricType::Gauge)?
            .encode_gauge(&gauge.get())
    }

    fn counters<'s, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        samples: impl IntoIterator<Item = ([Label<'s>; N], &'s Counter)>,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, unit, MetricType::Counter)?;
        samples.into_iter().try_for_each(|(labels, counter)| {
            let mut sample = family.encode_family(&labels)?;
            sample.encode_counter::<NoLabelSet, u64, f64>(&counter.get(), None)
        })
    }

    fn gauges<'s, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([Label<'s>; N], &'s Gauge)>,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        samples.into_iter().try_for_each(|(labels, gauge)| {
            family.encode_family(&labels)?.encode_gauge(&gauge.get())
        })
    }

    /// Gauges that follow from others, those that are known.
    fn numbers<'s, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([Label<'s>; N], Option<f64>)>,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        samples.into_iter().try_for_each(|(labels, number)| {
            let Some(number) = number else { return Ok(()) };
            family.encode_family(&labels)?.encode_gauge(&number)
        })
    }

    fn times<'s, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([Label<'s>; N], &'s Histogram)>,
    ) -> fmt::Result {
        self.histograms(name, help, &Unit::Seconds, &TIME_EDGES_NS, seconds, samples)
    }

    fn batch_sizes<'s, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([Label<'s>; N], &'s Histogram)>,
    ) -> fmt::Result {
        let rows = Unit::Other("rows".to_owned());
        self.histograms(name, help, &rows, &BATCH_EDGES_ROWS, |rows| rows as f64, samples)
    }

    fn histograms<'s, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        unit: &Unit,
        edges: &[u64],
        to_unit: fn(u64) -> f64,
        samples: impl IntoIterator<Item = ([Label<'s>; N], &'s Histogram)>,
    ) -> fmt::Result {
        let mut family =
            self.encoder.encode_descriptor(name, help, Some(unit), MetricType::Histogram)?;
        samples.into_iter().try_for_each(|(labels, histogram)| {
            let histogram = distribution(histogram);
            // The crate wants the count of each bucket by itself and adds them up on its own.
            let mut below = 0;
            let mut buckets = Vec::with_capacity(edges.len() + 1);
            for &edge in edges {
                let at_most = histogram.count_at_most(edge);
                buckets.push((to_unit(edge), at_most - below));
                below = at_most;
            }
            buckets.push((f64::INFINITY, histogram.count - below));
            let sum = to_unit(histogram.sum);
            let mut sample = family.encode_family(&labels)?;
            sample.encode_histogram::<NoLabelSet>(sum, histogram.count, &buckets, None)
        })
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

#[cfg(test)]
mod tests;
