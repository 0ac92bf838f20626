//! What happened between two answers of `/stats`. Pure.

use cutter_admin_api::stats::{Application, Model, Replica, SystemCalls};
use cutter_admin_api::{Histogram, Stats};

/// What an engine did in a stretch of time.
#[derive(Clone, Debug)]
pub struct Window {
    /// By the engine's clock.
    pub duration_ns: u64,
    pub query_qps: f64,
    /// Calls of the engine thread for each query; absent without any query.
    pub calls_per_query: Option<CallsPerQuery>,
    pub in_bytes_per_s: f64,
    pub out_bytes_per_s: f64,
    pub applications: Vec<ApplicationWindow>,
    pub models: Vec<ModelWindow>,
}

/// System calls of the engine thread. It yields while it has nothing to do, so that those say how
/// idle it was; the others are the price of a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CallsPerQuery {
    pub enter: f64,
    pub yielded: f64,
    pub wake: f64,
}

#[derive(Clone, Debug)]
pub struct ApplicationWindow {
    pub name: String,
    pub slo_ns: u64,
    pub query_qps: f64,
    pub prediction_qps: f64,
    pub cancelled_qps: f64,
    /// Answered after their deadline, whatever the answer carried.
    pub late_qps: f64,
    /// Predicted, and the prediction not told.
    pub dropped_qps: f64,
    /// By reason, those that occurred.
    pub default_qps: Vec<(String, f64)>,
    pub end_to_end: Histogram,
    pub parse: Histogram,
    pub reply: Histogram,
    /// At the end of the window, as all that is not a rate.
    pub rows: u64,
    pub rows_in_use: u64,
}

#[derive(Clone, Debug)]
pub struct ModelWindow {
    pub model: String,
    pub version: String,
    pub queued: u64,
    pub expired_qps: f64,
    pub restarts: u64,
    pub failed_batch_qps: f64,
    pub failed_item_qps: f64,
    /// Of the last batches, whenever they were.
    pub failed_share: f64,
    pub last_error: Option<String>,
    pub batch_size: Histogram,
    pub queue: Histogram,
    pub batch_wait: Histogram,
    pub service: Histogram,
    pub replicas: Vec<ReplicaWindow>,
}

#[derive(Clone, Debug)]
pub struct ReplicaWindow {
    pub state: String,
    pub up: bool,
    pub restarts: u64,
    pub batch_limit: u64,
    pub in_flight: u64,
    pub batch_qps: f64,
    /// Rows per batch; absent without any batch, as the next.
    pub batch_mean: Option<f64>,
    pub service_mean_ns: Option<f64>,
    /// The share of the time in which it worked, 0 to 1. A batch counts when it has come back, so a
    /// window shorter than a batch shows nothing, and then 1.
    pub utilisation: f64,
}

impl Window {
    /// What came between; `None` when the answers are not of one engine in this order, so that
    /// nothing did.
    pub fn between(earlier: &Stats, later: &Stats) -> Option<Self> {
        let duration_ns = later.at_ns.checked_sub(earlier.at_ns).filter(|ns| *ns > 0)?;
        if later.is_of_another_start(earlier) {
            return None;
        }
        let rate = Rate { seconds: duration_ns as f64 / 1e9 };
        let (was, is) = (&earlier.engine, &later.engine);
        let queries = |stats: &Stats| stats.applications.iter().map(|app| app.queries).sum::<u64>();
        let (before, now) = (queries(earlier), queries(later));
        let asked = now.saturating_sub(before);
        Some(Self {
            duration_ns,
            query_qps: rate.of(before, now),
            calls_per_query: (asked > 0)
                .then(|| calls_of(&was.system_calls, &is.system_calls, asked)),
            in_bytes_per_s: rate.of(was.bytes_in, is.bytes_in),
            out_bytes_per_s: rate.of(was.bytes_out, is.bytes_out),
            applications: pairs(&earlier.applications, &later.applications)
                .map(|(was, is)| rate.application(was, is))
                .collect(),
            models: pairs(&earlier.models, &later.models)
                .map(|(was, is)| rate.model(was, is))
                .collect(),
        })
    }

    /// The times of all queries in one stage, in the order in which a query passes them, whatever
    /// their application and model.
    pub fn stages(&self) -> [(&'static str, Histogram); 5] {
        let app =
            |pick: fn(&ApplicationWindow) -> &Histogram| merged(self.applications.iter().map(pick));
        let model = |pick: fn(&ModelWindow) -> &Histogram| merged(self.models.iter().map(pick));
        [
            ("parse", app(|app| &app.parse)),
            ("queue", model(|model| &model.queue)),
            ("batch_wait", model(|model| &model.batch_wait)),
            ("service", model(|model| &model.service)),
            ("reply", app(|app| &app.reply)),
        ]
    }
}

fn calls_of(was: &SystemCalls, is: &SystemCalls, queries: u64) -> CallsPerQuery {
    let each = |was: u64, is: u64| is.saturating_sub(was) as f64 / queries as f64;
    CallsPerQuery {
        enter: each(was.enter, is.enter),
        yielded: each(was.yielded, is.yielded),
        wake: each(was.wake, is.wake),
    }
}

/// Turns counts into rates.
#[derive(Clone, Copy, Debug)]
struct Rate {
    seconds: f64,
}

impl Rate {
    fn of(self, was: u64, is: u64) -> f64 {
        is.saturating_sub(was) as f64 / self.seconds
    }

    fn application(self, was: &Application, is: &Application) -> ApplicationWindow {
        let defaults = is.defaults.iter().map(|(reason, count)| {
            let before = was.defaults.get(reason).copied().unwrap_or(0);
            (reason.clone(), self.of(before, *count))
        });
        ApplicationWindow {
            name: is.name.clone(),
            slo_ns: is.slo_ns,
            query_qps: self.of(was.queries, is.queries),
            prediction_qps: self.of(was.predictions, is.predictions),
            cancelled_qps: self.of(was.cancelled, is.cancelled),
            late_qps: self.of(was.late, is.late),
            dropped_qps: self.of(was.predictions_dropped, is.predictions_dropped),
            default_qps: defaults.filter(|(_, qps)| *qps > 0.0).collect(),
            end_to_end: is.end_to_end.since(&was.end_to_end),
            parse: is.parse.since(&was.parse),
            reply: is.reply.since(&was.reply),
            rows: is.rows,
            rows_in_use: is.rows_in_use,
        }
    }

    fn model(self, was: &Model, is: &Model) -> ModelWindow {
        ModelWindow {
            model: is.model.clone(),
            version: is.version.clone(),
            queued: is.queued,
            expired_qps: self.of(was.expired, is.expired),
            restarts: is.restarts,
            failed_batch_qps: self.of(was.batches_failed, is.batches_failed),
            failed_item_qps: self.of(was.items_failed, is.items_failed),
            failed_share: is.failed_share,
            last_error: is.last_error.clone(),
            batch_size: is.batch_size.since(&was.batch_size),
            queue: is.queue.since(&was.queue),
            batch_wait: is.batch_wait.since(&was.batch_wait),
            service: is.service.since(&was.service),
            replicas: pairs(&was.replicas, &is.replicas)
                .map(|(was, is)| self.replica(was, is))
                .collect(),
        }
    }

    fn replica(self, was: &Replica, is: &Replica) -> ReplicaWindow {
        let batches = is.batches.saturating_sub(was.batches);
        let per_batch = |sum: u64| (batches > 0).then(|| sum as f64 / batches as f64);
        let service_ns = is.service_ns.saturating_sub(was.service_ns);
        ReplicaWindow {
            state: is.state.clone(),
            up: is.up,
            restarts: is.restarts,
            batch_limit: is.batch_limit,
            in_flight: is.in_flight,
            batch_qps: self.of(was.batches, is.batches),
            batch_mean: per_batch(is.rows.saturating_sub(was.rows)),
            service_mean_ns: per_batch(service_ns),
            utilisation: (service_ns as f64 / 1e9 / self.seconds).min(1.0),
        }
    }
}

fn pairs<'a, T>(was: &'a [T], is: &'a [T]) -> impl Iterator<Item = (&'a T, &'a T)> {
    was.iter().zip(is)
}

fn merged<'a>(parts: impl Iterator<Item = &'a Histogram>) -> Histogram {
    let mut whole = Histogram::default();
    parts.for_each(|part| whole.merge(part));
    whole
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{busy_json, stats_json, stats_of};
    use super::*;

    /// The second half second of a busy server.
    fn window() -> Window {
        Window::between(&stats_of(busy_json(1)), &stats_of(busy_json(2))).unwrap()
    }

    #[test]
    fn counts_become_rates() {
        let window = window();
        assert_eq!((window.duration_ns, window.query_qps), (500_000_000, 2_000.0));
        let calls = CallsPerQuery { enter: 2.0, yielded: 0.4, wake: 0.1 };
        assert_eq!(window.calls_per_query, Some(calls));
        assert_eq!((window.in_bytes_per_s, window.out_bytes_per_s), (6e6, 1e5));
        let digits = &window.applications[0];
        assert_eq!((digits.prediction_qps, digits.cancelled_qps), (1_960.0, 0.0));
        assert_eq!(digits.default_qps, [("late".to_owned(), 40.0)]);
    }

    #[test]
    fn quantiles_are_those_of_the_window_alone() {
        let mut earlier = busy_json(1);
        // Slow ones before the window have no place in it.
        earlier["applications"][0]["end_to_end"] = json!({
            "count": 5, "sum": 5_000, "max": 10_000_000, "buckets": [[10_000_000, 5]],
        });
        let mut later = earlier.clone();
        later["at_ns"] = json!(9_000_000_000_u64);
        later["applications"][0]["end_to_end"] = json!({
            "count": 105, "sum": 105_000, "max": 10_000_000,
            "buckets": [[1_000, 100], [10_000_000, 5]],
        });
        let window = Window::between(&stats_of(earlier), &stats_of(later)).unwrap();
        let end_to_end = &window.applications[0].end_to_end;
        assert_eq!((end_to_end.count, end_to_end.quantile(0.999)), (100, Some(1_000)));
    }

    #[test]
    fn each_replica_has_its_own_figures() {
        let softmax = &window().models[0];
        let busy = &softmax.replicas[0];
        assert_eq!((busy.batch_mean, busy.batch_qps), (Some(4.0), 490.0));
        assert_eq!(busy.utilisation, 0.5);
        let service_ns = busy.service_mean_ns.unwrap();
        assert!((service_ns - 250e6 / 245.0).abs() < 1e-3, "{service_ns}");
        let idle = &softmax.replicas[1];
        assert_eq!((idle.batch_mean, idle.service_mean_ns, idle.utilisation), (None, None, 0.0));
    }

    #[test]
    fn stages_come_in_the_order_of_a_querys_way() {
        let stages = window().stages();
        assert_eq!(
            stages.each_ref().map(|(name, _)| *name),
            ["parse", "queue", "batch_wait", "service", "reply"]
        );
        let medians = stages.map(|(_, times)| times.quantile(0.5).unwrap());
        assert_eq!(medians, [2_000, 40_000, 50_000, 600_000, 3_000]);
    }

    #[test]
    fn nothing_can_be_said_across_a_restart_or_backwards() {
        let (first, second) = (stats_of(busy_json(1)), stats_of(busy_json(2)));
        assert!(Window::between(&second, &first).is_none());
        assert!(Window::between(&first, &first).is_none());
        let mut anew = stats_json();
        anew["at_ns"] = json!(9_000_000_000_u64);
        anew["engine"]["uptime_ns"] = json!(1);
        assert!(Window::between(&second, &stats_of(anew.clone())).is_none());
        anew["engine"]["uptime_ns"] = json!(9_000_000_000_u64);
        anew["models"] = json!([]);
        assert!(Window::between(&second, &stats_of(anew)).is_none());
    }
}
