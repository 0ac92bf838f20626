//! Thompson sampling for answers that are right or wrong.

use super::Policy;
use super::choice::{Ask, Choice};
use super::error::{PolicyError, parameter};
use super::feedback::Feedback;
use super::posterior::{Cells, chances_of_best};
use super::state::{Format, State};
use super::tally::{self, Tally};
use crate::limits::{DISCOUNT_MAX, DISCOUNT_MIN, POSTERIOR_CELLS};

const FORMAT: Format = Format { policy: *b"beta", version: 1 };

/// Beta–Bernoulli Thompson sampling with discount: of a mean reward is believed
/// `Beta(1 + rewards, 1 + losses)` (Agrawal and Goyal, "Analysis of Thompson sampling for the
/// multi-armed bandit problem", COLT 2012, Algorithm 1), where both sums forget (Raj and Kalyani,
/// "Taming non-stationary bandits: a Bayesian approach", 2017, Algorithm 1). A loss between 0 and 1
/// counts as that part of a loss. State: see `tally`.
#[derive(Clone, Debug)]
pub struct BetaThompson {
    discount: f64,
    floor: f64,
    /// The logarithm of the mean reward in each cell.
    log_rewards: Cells,
}

impl BetaThompson {
    /// `discount`: what an observation counts for, one later. `floor`: the part of all choices that
    /// is left to chance.
    pub fn new(discount: f64, floor: f64) -> Result<Self, PolicyError> {
        Ok(Self {
            discount: parameter("discount", discount, (DISCOUNT_MIN, DISCOUNT_MAX))?,
            floor: parameter("floor", floor, (0.0, 1.0))?,
            log_rewards: std::array::from_fn(|cell| 2.0 * angle(cell).sin().ln()),
        })
    }
}

/// Cells are equal parts of the arcsine of the root of a mean, since a mean that is known from `n`
/// answers is known to within `1 / (2 √n)` of that, be it near 0, near 1 or between (Anscombe, "The
/// transformation of Poisson, binomial and negative-binomial data", Biometrika 35, 1948).
fn angle(cell: usize) -> f64 {
    std::f64::consts::FRAC_PI_2 * (cell as f64 + 0.5) / POSTERIOR_CELLS as f64
}

impl Policy for BetaThompson {
    fn init(&self, models: usize) -> State {
        tally::empty(FORMAT, models)
    }

    fn is_sound(&self, state: &State) -> bool {
        Tally::of(state).is_sound()
    }

    fn choose(&self, state: &State, ask: &Ask<'_>) -> Result<Choice, PolicyError> {
        let tally = Tally::of(state);
        let chances = chances_of_best(ask.servable, |model| {
            // Beta(1 + r, 1 + l) is x^r (1 - x)^l in x; in the angle, half a power more of each.
            let (rewards, losses) = (tally.rewards(model) + 0.5, tally.losses(model) + 0.5);
            move |cell| {
                let log_loss = self.log_rewards[POSTERIOR_CELLS - 1 - cell];
                rewards * self.log_rewards[cell] + losses * log_loss
            }
        });
        Ok(Choice::one(ask.servable, &chances, self.floor))
    }

    fn observe(&self, state: &mut State, feedback: &Feedback<'_>) -> Result<(), PolicyError> {
        tally::observe(state, self.discount, feedback);
        Ok(())
    }
}
