//! The last answers of an engine, and the windows that are shown. Pure.

use std::collections::VecDeque;

use cutter_admin_api::Stats;

use crate::admin::Window;
use crate::limits::{TOP_HISTORY_PERIODS, TOP_QUANTILES_NS};

/// What is remembered.
#[derive(Debug)]
pub(super) struct History {
    /// Those of the last [`TOP_QUANTILES_NS`], oldest first. At least one.
    recent: VecDeque<Stats>,
    /// By application: the 99th percentile of each period, oldest first. Absent where nothing was
    /// answered.
    p99_ns: Vec<VecDeque<Option<u64>>>,
    last: Option<Windows>,
}

/// What is shown: rates of the last period; quantiles of several, as they need samples.
#[derive(Debug)]
pub(super) struct Windows {
    pub(super) period: Window,
    pub(super) recent: Window,
}

impl History {
    pub(super) fn new(first: Stats) -> Self {
        let p99_ns = first.applications.iter().map(|_| VecDeque::new()).collect();
        Self { recent: VecDeque::from([first]), p99_ns, last: None }
    }

    /// Takes the next answer. That of an engine that was started anew begins a new history.
    pub(super) fn push(&mut self, stats: Stats) {
        if stats.is_of_another_start(self.latest()) {
            *self = Self::new(stats);
            return;
        }
        let Some(period) = Window::between(self.latest(), &stats) else { return };
        for (past, app) in self.p99_ns.iter_mut().zip(&period.applications) {
            if past.len() == TOP_HISTORY_PERIODS {
                past.pop_front();
            }
            past.push_back(app.end_to_end.quantile(0.99));
        }
        let from_ns = stats.at_ns.saturating_sub(TOP_QUANTILES_NS);
        self.recent.push_back(stats);
        // The first one that is kept may be older: a window that is too long, not too short.
        while self.recent.len() > 2 && self.recent[1].at_ns <= from_ns {
            self.recent.pop_front();
        }
        let recent = Window::between(&self.recent[0], self.latest());
        self.last = recent.map(|recent| Windows { period, recent });
    }

    pub(super) fn latest(&self) -> &Stats {
        self.recent.back().expect("there is always one")
    }

    /// Absent until there are two answers.
    pub(super) fn windows(&self) -> Option<&Windows> {
        self.last.as_ref()
    }

    /// Of an application, by its index.
    pub(super) fn p99_ns(&self, application: usize) -> &VecDeque<Option<u64>> {
        &self.p99_ns[application]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::admin::testing::{busy_json, stats_json, stats_of};

    fn after(half_seconds: u64) -> History {
        let mut history = History::new(stats_of(stats_json()));
        (1..=half_seconds).for_each(|number| history.push(stats_of(busy_json(number))));
        history
    }

    #[test]
    fn rates_are_those_of_the_last_period_and_quantiles_those_of_ten_seconds() {
        let history = after(50);
        let windows = history.windows().unwrap();
        assert_eq!(windows.period.duration_ns, 500_000_000);
        assert_eq!(windows.recent.duration_ns, 10_000_000_000);
        assert_eq!(windows.recent.applications[0].end_to_end.count, 20_000);
        assert_eq!(history.recent.len(), 21);
    }

    #[test]
    fn a_period_longer_than_ten_seconds_is_its_own_window() {
        let mut later = busy_json(4);
        later["at_ns"] = json!(31_000_000_000_u64);
        let mut history = History::new(stats_of(stats_json()));
        history.push(stats_of(later));
        assert_eq!(history.windows().unwrap().recent.duration_ns, 30_000_000_000);
    }

    #[test]
    fn periods_are_remembered_up_to_a_bound() {
        let history = after(TOP_HISTORY_PERIODS as u64 + 9);
        assert_eq!(history.p99_ns(0).len(), TOP_HISTORY_PERIODS);
        assert_eq!(history.p99_ns(0)[0], Some(10_000_000));
    }

    #[test]
    fn an_engine_started_anew_begins_a_new_history() {
        let mut history = after(5);
        history.push(stats_of(busy_json(1)));
        assert!(history.windows().is_none() && history.p99_ns(0).is_empty());
    }
}
