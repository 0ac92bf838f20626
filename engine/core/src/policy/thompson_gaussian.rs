//! Thompson sampling for losses that are numbers.

use super::Policy;
use super::choice::{Ask, Choice};
use super::error::{PolicyError, parameter};
use super::feedback::Feedback;
use super::posterior::chances_of_best;
use super::state::{Format, State};
use super::tally::{self, Tally};
use crate::limits::{DEVIATION_MAX, DEVIATION_MIN, DISCOUNT_MAX, DISCOUNT_MIN, POSTERIOR_CELLS};

const FORMAT: Format = Format { policy: *b"gaus", version: 1 };
/// What is believed of a mean reward before anything is seen; counts as one answer.
const PRIOR_MEAN: f64 = 0.5;

/// Gaussian Thompson sampling with discount: of a mean reward, known from `n` answers of a known
/// deviation σ, is believed `N((prior + rewards) / (n + 1), σ² / (n + 1))` (Agrawal and Goyal,
/// "Further optimal regret bounds for Thompson sampling", AISTATS 2013, Algorithm 2, where σ is 1),
/// within 0 and 1, where the mean of a loss lies. Count and sum forget (Qi et al., "Discounted
/// Thompson sampling for non-stationary bandit problems", 2023). State: see `tally`.
#[derive(Clone, Debug)]
pub struct GaussianThompson {
    deviation: f64,
    discount: f64,
    floor: f64,
}

impl GaussianThompson {
    /// `deviation`: how much single losses of one model differ, as their standard deviation.
    /// `discount`: what an observation counts for, one later. `floor`: the part of all choices that
    /// is left to chance.
    pub fn new(deviation: f64, discount: f64, floor: f64) -> Result<Self, PolicyError> {
        Ok(Self {
            deviation: parameter("deviation", deviation, (DEVIATION_MIN, DEVIATION_MAX))?,
            discount: parameter("discount", discount, (DISCOUNT_MIN, DISCOUNT_MAX))?,
            floor: parameter("floor", floor, (0.0, 1.0))?,
        })
    }
}

impl Policy for GaussianThompson {
    fn init(&self, models: usize) -> State {
        tally::empty(FORMAT, models)
    }

    fn is_sound(&self, state: &State) -> bool {
        Tally::of(state).is_sound()
    }

    fn choose(&self, state: &State, ask: &Ask<'_>) -> Result<Choice, PolicyError> {
        let tally = Tally::of(state);
        let chances = chances_of_best(ask.servable, |model| {
            let count = tally.count(model) + 1.0;
            let mean = (PRIOR_MEAN + tally.rewards(model)) / count;
            let steepness = count / (2.0 * self.deviation * self.deviation);
            move |cell| {
                let off = (cell as f64 + 0.5) / POSTERIOR_CELLS as f64 - mean;
                -steepness * off * off
            }
        });
        Ok(Choice::one(ask.servable, &chances, self.floor))
    }

    fn observe(&self, state: &mut State, feedback: &Feedback<'_>) -> Result<(), PolicyError> {
        tally::observe(state, self.discount, feedback);
        Ok(())
    }
}
