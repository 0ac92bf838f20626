//! A result as a table for people.

use std::fmt::{self, Display, Formatter};

use crate::result::load::{Distribution, LoadResult, QuantileResult, QuantileState};
use crate::text::{grouped, quantile, rate, time};

impl Display for LoadResult {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n  {}\n", self.target, self.told_plan())?;
        self.write_verdict(f)?;
        self.write_counts(f)?;
        write_quantiles(f, "latency", &self.latency)?;
        self.write_generator(f)?;
        self.validity.warnings.iter().try_for_each(|warning| writeln!(f, "  note: {warning}"))
    }
}

impl LoadResult {
    fn told_plan(&self) -> String {
        let plan = &self.plan;
        let mut words = vec![match (&plan.arrivals, plan.rate_qps) {
            (Some(arrivals), Some(rate_qps)) => {
                format!("open loop, {arrivals}, {}", rate(rate_qps))
            }
            (Some(arrivals), None) => format!("open loop, {arrivals}"),
            (None, _) => "closed loop".to_owned(),
        }];
        words.push(match plan.connections {
            1 => "1 connection".to_owned(),
            connections => format!("{} connections", grouped(connections as u64)),
        });
        if plan.pipeline > 1 {
            words.push(format!("up to {} requests on each", plan.pipeline));
        }
        words.push(format!("{}, {}", plan.protocol, plan.input));
        words.push(format!("{} B a request", grouped(plan.request_bytes)));
        words.join(", ")
    }

    fn write_verdict(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.validity.valid {
            return writeln!(f, "  VALID");
        }
        self.validity.reasons.iter().try_for_each(|reason| writeln!(f, "  INVALID: {reason}"))
    }

    fn write_counts(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        let warm_up = match self.warm_up.requests {
            0 => "no warm-up was cut".to_owned(),
            cut => format!("a warm-up of {} was cut", time_and_requests(self, cut)),
        };
        let offered = match &self.plan.arrivals {
            Some(_) => format!("{} offered; {warm_up}", rate(self.offered_qps)),
            None => warm_up,
        };
        line(f, "requests", &grouped(counts.requests), &offered)?;
        line(f, "answered", &grouped(counts.answered), &rate(self.answered_qps))?;
        let reasons = counts.default_reasons.iter();
        let reasons: Vec<String> =
            reasons.map(|(reason, count)| format!("{} {reason}", grouped(*count))).collect();
        line(f, "defaults", &grouped(counts.defaults), &reasons.join(", "))?;
        let statuses = counts.http_statuses.iter();
        let mut errors: Vec<String> =
            statuses.map(|(status, count)| format!("{} × {status}", grouped(*count))).collect();
        for (count, name) in [(counts.timed_out, "timed out"), (counts.broken, "broken")] {
            if count > 0 {
                errors.push(format!("{} {name}", grouped(count)));
            }
        }
        let failed = counts.http_errors + counts.timed_out + counts.broken;
        line(f, "errors", &grouped(failed), &errors.join(", "))?;
        if let (Some(goodput_qps), Some(slo_ns)) = (self.goodput_qps, self.slo_ns) {
            let within = format!("predictions within {}", time(slo_ns));
            line(f, "goodput", &rate(goodput_qps), &within)?;
        }
        if let Some(accuracy) = self.accuracy {
            let share = accuracy.correct as f64 / accuracy.checked.max(1) as f64 * 100.0;
            let of = format!("of {} predictions", grouped(accuracy.checked));
            line(f, "accuracy", &format!("{share:.2} %"), &of)?;
        }
        writeln!(f)
    }

    fn write_generator(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let all = (self.counts.requests + self.warm_up.requests).max(1);
        let lag = |at: f64| {
            let found = self.send_lag.quantiles.iter().find(|found| found.quantile == at);
            found.and_then(|found| found.value_ns).map_or_else(|| "-".to_owned(), time)
        };
        if self.plan.arrivals.is_some() {
            let text = format!("p99 {}, max {}", lag(0.99), time(self.send_lag.max_ns));
            line(f, "send lag", &lag(0.5), &text)?;
        }
        let (busy, cpu) = (self.generator.busy_ns / all, time(self.generator.cpu_ns / all));
        let note = format!("of work a request; {cpu} of CPU with the looking");
        line(f, "generator", &time(busy), &note)
    }
}

fn time_and_requests(result: &LoadResult, requests: u64) -> String {
    format!("{}, {} requests,", time(result.warm_up.duration_ns), grouped(requests))
}

fn line(f: &mut Formatter<'_>, name: &str, value: &str, note: &str) -> fmt::Result {
    let text = format!("  {name:<10}{value:>12}   {note}");
    writeln!(f, "{}", text.trim_end())
}

fn write_quantiles(f: &mut Formatter<'_>, name: &str, of: &Distribution) -> fmt::Result {
    writeln!(f, "  {name:<10}{:>12}   95 % confidence", "")?;
    let mut supported = true;
    for found in &of.quantiles {
        // What one of them lacks the higher ones lack as well.
        if supported {
            write_quantile(f, found)?;
        }
        supported &= found.state != QuantileState::Unsupported;
    }
    line(f, "  max", &if of.count > of.failed { time(of.max_ns) } else { "-".to_owned() }, "")?;
    writeln!(f)
}

fn write_quantile(f: &mut Formatter<'_>, found: &QuantileResult) -> fmt::Result {
    let name = format!("  {}", quantile(found.quantile));
    match (found.state, found.value_ns) {
        (QuantileState::Measured, Some(value_ns)) => {
            let high = found.high_ns.map_or_else(|| "beyond the slowest".to_owned(), time);
            let low = found.low_ns.map_or_else(|| "-".to_owned(), time);
            line(f, &name, &time(value_ns), &format!("{low} to {high}"))
        }
        (QuantileState::Failed, _) => line(f, &name, "failed", "lies among those never answered"),
        _ => {
            let needs = format!("needs {} requests", grouped(found.needs));
            line(f, &name, "-", &needs)
        }
    }
}
