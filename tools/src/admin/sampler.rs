//! Asks an engine again and again while a load runs, on a thread of its own.
//!
//! Answers are folded as they come: what is kept of each is a handful of numbers. A question that
//! fails is left out, since the run must not suffer from it; that the engine was never heard again
//! is told at the end.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cutter_admin_api::Stats;
use cutter_machine::clock::monotonic_ns;

use super::{AdminClient, AdminError, Window};
use crate::limits::ADMIN_SAMPLES_MAX;
use crate::result::load::{EngineSample, EngineSeries, ModelSample, StageResult};

/// A thread that asks until it is stopped.
#[derive(Debug)]
pub struct Sampler {
    /// Dropping it ends the thread.
    stop: Sender<()>,
    thread: JoinHandle<Result<EngineSeries, AdminError>>,
}

impl Sampler {
    /// Asks once, so that a wrong address is found before the load begins, and then every
    /// `period_ms` milliseconds until [`Sampler::stop`].
    pub fn start(client: AdminClient, period_ms: u64) -> Result<Self, AdminError> {
        let first = client.stats()?;
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut fold = Fold::new(first);
            poll_until(&stopped, Duration::from_millis(period_ms), || {
                let at_ns = monotonic_ns();
                fold.take(at_ns, client.stats());
            });
            // The last answer ends the stretch of time that the stages are told for.
            fold.take(monotonic_ns(), client.stats());
            fold.finish(client)
        });
        Ok(Self { stop, thread })
    }

    /// Asks a last time. `start_ns` is the instant, by this machine's monotonic clock, from which
    /// the samples count; earlier ones are left out.
    pub fn stop(self, start_ns: u64) -> Result<EngineSeries, AdminError> {
        drop(self.stop);
        let folded = self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let mut series = folded?;
        series.samples.retain(|sample| sample.at_ns >= start_ns);
        series.samples.iter_mut().for_each(|sample| sample.at_ns -= start_ns);
        Ok(series)
    }
}

/// Calls `ask` once each period until the other end of `stopped` is gone. A period that was missed
/// is not made up for.
pub(crate) fn poll_until(stopped: &Receiver<()>, period: Duration, mut ask: impl FnMut()) {
    let mut due = Instant::now() + period;
    loop {
        let wait = due.saturating_duration_since(Instant::now());
        match stopped.recv_timeout(wait) {
            Err(RecvTimeoutError::Timeout) => ask(),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
        due = (due + period).max(Instant::now());
    }
}

/// What is kept of the answers.
#[derive(Debug)]
struct Fold {
    first: Stats,
    last: Stats,
    samples: Vec<EngineSample>,
    /// Why the latest question failed, if it did.
    failure: Option<AdminError>,
    restarted: bool,
}

impl Fold {
    fn new(first: Stats) -> Self {
        let last = first.clone();
        Self { first, last, samples: Vec::new(), failure: None, restarted: false }
    }

    fn take(&mut self, at_ns: u64, answer: Result<Stats, AdminError>) {
        let stats = match answer {
            Ok(stats) => stats,
            Err(error) => {
                self.failure = Some(error);
                return;
            }
        };
        self.failure = None;
        self.restarted |= stats.is_of_another_start(&self.last);
        if let Some(window) = Window::between(&self.last, &stats)
            && self.samples.len() < ADMIN_SAMPLES_MAX
        {
            self.samples.push(sample(at_ns, &window));
        }
        self.last = stats;
    }

    fn finish(self, client: AdminClient) -> Result<EngineSeries, AdminError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let whole = Window::between(&self.first, &self.last).filter(|_| !self.restarted);
        let Some(whole) = whole else {
            return Err(AdminError::Restarted { address: client.address() });
        };
        let stages = whole.stages();
        let stages = stages.iter().filter_map(|(name, times)| {
            Some(StageResult {
                name: (*name).to_owned(),
                p50_ns: times.quantile(0.5)?,
                p99_ns: times.quantile(0.99)?,
                mean_ns: times.mean()?,
            })
        });
        Ok(EngineSeries { stages: stages.collect(), samples: self.samples })
    }
}

fn sample(at_ns: u64, window: &Window) -> EngineSample {
    let models = window.models.iter().map(|model| ModelSample {
        model: format!("{}:{}", model.model, model.version),
        queued: model.queued,
        batch_mean: model.batch_size.mean(),
        limits: model.replicas.iter().map(|replica| replica.batch_limit).collect(),
    });
    EngineSample { at_ns, models: models.collect() }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answering_each, busy_json, http, stats_json, stats_of};
    use super::*;

    fn client() -> AdminClient {
        AdminClient::new("127.0.0.1:9").unwrap()
    }

    #[test]
    fn answers_fold_into_stages_and_samples() {
        let mut fold = Fold::new(stats_of(stats_json()));
        fold.take(10, Ok(stats_of(busy_json(1))));
        fold.take(20, Ok(stats_of(busy_json(3))));
        let series = fold.finish(client()).unwrap();
        let stages: Vec<_> = series.stages.iter().map(|s| (s.name.as_str(), s.p50_ns)).collect();
        assert_eq!(
            stages,
            [
                ("parse", 2_000),
                ("queue", 40_000),
                ("batch_wait", 50_000),
                ("service", 600_000),
                ("reply", 3_000)
            ]
        );
        assert_eq!(series.stages[3].p99_ns, 6_000_000);
        let models = vec![ModelSample {
            model: "softmax:1".to_owned(),
            queued: 7,
            batch_mean: Some(4.0),
            limits: vec![8, 8],
        }];
        assert_eq!(series.samples[1], EngineSample { at_ns: 20, models });
    }

    #[test]
    fn a_question_that_failed_is_left_out_unless_it_was_the_last() {
        let failed = || AdminError::Silent { address: client().address(), within_ns: 1 };
        let mut fold = Fold::new(stats_of(stats_json()));
        fold.take(10, Err(failed()));
        fold.take(20, Ok(stats_of(busy_json(2))));
        assert_eq!(fold.samples.len(), 1);
        fold.take(30, Err(failed()));
        assert!(matches!(fold.finish(client()), Err(AdminError::Silent { .. })));
    }

    #[test]
    fn an_engine_that_was_started_anew_meanwhile_gives_no_stages() {
        let mut fold = Fold::new(stats_of(busy_json(5)));
        fold.take(10, Ok(stats_of(busy_json(1))));
        fold.take(20, Ok(stats_of(busy_json(6))));
        assert!(matches!(fold.finish(client()), Err(AdminError::Restarted { .. })));
    }

    #[test]
    fn an_engine_in_which_nothing_happened_has_no_stages() {
        let mut later = stats_json();
        later["at_ns"] = serde_json::json!(2_000_000_000_u64);
        let mut fold = Fold::new(stats_of(stats_json()));
        fold.take(10, Ok(stats_of(later)));
        let series = fold.finish(client()).unwrap();
        assert_eq!((series.stages.len(), series.samples[0].models[0].batch_mean), (0, None));
    }

    #[test]
    fn a_sampler_asks_at_its_start_and_at_its_end_and_counts_from_the_start_of_the_load() {
        let answers = [stats_json(), busy_json(1)].map(|stats| http(200, &stats.to_string()));
        let start_ns = monotonic_ns();
        let series = answering_each(answers.into(), |client| {
            let sampler = Sampler::start(client, 3_600_000).unwrap();
            sampler.stop(start_ns).unwrap()
        });
        assert_eq!((series.samples.len(), series.stages.len()), (1, 5));
        assert!(series.samples[0].at_ns <= monotonic_ns() - start_ns);
    }

    #[test]
    fn a_sampler_of_nobody_does_not_start() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let client = AdminClient::new(&address.to_string()).unwrap();
        assert!(matches!(Sampler::start(client, 100), Err(AdminError::Unreachable { .. })));
    }
}
