//! One rate: chunks are added until they decide.

use super::{CHUNKS_MIN, CapacitySettings, Chunk, DecidedBy, SPOILT_CHUNKS_MAX, StepResult};
use crate::stats::{Decision, ShareTest};

/// Chunks from which their scatter is looked at.
const SCATTER_CHUNKS_MIN: usize = 4;

#[derive(Debug)]
pub(super) struct Step<'a> {
    settings: &'a CapacitySettings,
    over_slo: ShareTest,
    /// Absent where no test is needed: none at all are allowed, or any number.
    defaults: Option<ShareTest>,
    /// Those that the generator did not spoil.
    chunks: Vec<Chunk>,
    spoilt: u32,
    result: StepResult,
}

impl<'a> Step<'a> {
    pub(super) fn new(settings: &'a CapacitySettings, rate_qps: f64) -> Self {
        let share_max = settings.defaults_share_max;
        let needs_test = share_max > 0.0 && share_max < 1.0;
        Self {
            settings,
            over_slo: ShareTest::new(1.0 - settings.quantile, settings.margin),
            defaults: needs_test.then(|| ShareTest::new(share_max, settings.margin)),
            chunks: Vec::new(),
            spoilt: 0,
            result: StepResult {
                rate_qps,
                passed: false,
                decided_by: DecidedBy::Cap,
                requests: 0,
                over_slo: 0,
                defaults: 0,
                failed: 0,
                quantile_ns: None,
                duration_ns: 0,
                chunks: 0,
                settle_ns: 0,
                settled: true,
            },
        }
    }

    /// How the server was given time to adapt.
    pub(super) fn settled(&mut self, settle_ns: u64, settled: bool) {
        self.result.settle_ns = settle_ns;
        self.result.settled = settled;
    }

    /// Adds a chunk; says whether the step is decided.
    pub(super) fn add(&mut self, chunk: &Chunk) -> bool {
        self.result.chunks += 1;
        self.result.duration_ns += chunk.duration_ns;
        if !chunk.is_valid {
            self.spoilt += 1;
            return self.spoilt >= SPOILT_CHUNKS_MAX && self.end(false, DecidedBy::Generator);
        }
        self.result.requests += chunk.requests;
        self.result.over_slo += chunk.over_slo;
        self.result.defaults += chunk.defaults;
        self.result.failed += chunk.failed;
        self.chunks.push(*chunk);
        self.result.quantile_ns = middle(self.chunks.iter().filter_map(|chunk| chunk.quantile_ns));
        let count = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX);
        count >= CHUNKS_MIN && self.decide(count >= self.settings.chunks_max)
    }

    /// What is known so far; of a step that is decided, its result.
    pub(super) fn result(&self) -> StepResult {
        self.result.clone()
    }

    fn decide(&mut self, is_last: bool) -> bool {
        let (over_slo, defaults) = (self.test_over_slo(), self.test_defaults());
        match (over_slo, defaults) {
            (Decision::Above, _) => return self.end(false, DecidedBy::Sequential),
            (_, Decision::Above) => return self.end(false, DecidedBy::Defaults),
            (Decision::Below, Decision::Below) => return self.end(true, DecidedBy::Sequential),
            _ if !is_last => return false,
            _ => {}
        }
        let share = |count: u64| count as f64 / self.result.requests.max(1) as f64;
        if share(self.result.over_slo) > 1.0 - self.settings.quantile {
            self.end(false, DecidedBy::Cap)
        } else if share(self.result.defaults) > self.settings.defaults_share_max {
            self.end(false, DecidedBy::Defaults)
        } else {
            self.end(true, DecidedBy::Cap)
        }
    }

    fn test_over_slo(&self) -> Decision {
        let inflation = inflation(&self.chunks, |chunk| chunk.over_slo);
        self.over_slo.decide(self.result.requests, self.result.over_slo, inflation)
    }

    fn test_defaults(&self) -> Decision {
        let (requests, defaults) = (self.result.requests, self.result.defaults);
        match self.defaults {
            Some(test) => {
                test.decide(requests, defaults, inflation(&self.chunks, |chunk| chunk.defaults))
            }
            None if self.settings.defaults_share_max == 0.0 && defaults > 0 => Decision::Above,
            None => Decision::Below,
        }
    }

    fn end(&mut self, passed: bool, decided_by: DecidedBy) -> bool {
        self.result.passed = passed;
        self.result.decided_by = decided_by;
        true
    }
}

/// The inflation of all chunks together: theirs, weighed by what was counted in each (a chunk
/// without any could not tell), or the scatter from chunk to chunk where that is larger, since
/// the server's memory may be longer than a chunk.
fn inflation(chunks: &[Chunk], count: impl Fn(&Chunk) -> u64) -> f64 {
    let hits: f64 = chunks.iter().map(|chunk| count(chunk) as f64).sum();
    let requests: f64 = chunks.iter().map(|chunk| chunk.requests as f64).sum();
    let share = hits / requests;
    let is_mixed = share > 0.0 && share < 1.0;
    if !is_mixed {
        return 1.0;
    }
    let within =
        chunks.iter().map(|chunk| chunk.inflation * count(chunk) as f64).sum::<f64>() / hits;
    if chunks.len() < SCATTER_CHUNKS_MIN {
        return within;
    }
    let scatter = |chunk: &Chunk| {
        let expected = chunk.requests as f64 * share;
        let off = count(chunk) as f64 - expected;
        if expected > 0.0 { off * off / (expected * (1.0 - share)) } else { 0.0 }
    };
    let between = chunks.iter().map(scatter).sum::<f64>() / (chunks.len() - 1) as f64;
    within.max(between)
}

fn middle(values: impl Iterator<Item = u64>) -> Option<u64> {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}
