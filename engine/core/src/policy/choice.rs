//! Whom to ask: the probabilities of a policy, and one draw from them.

use super::error::PolicyError;
use super::models::{Models, PerModel};
use super::random::Random;

/// What a query offers to choose from, and with.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The models that can be asked now.
    pub servable: Models,
    /// What is known of this query; for policies that look at it.
    pub context: Option<&'a [f64]>,
}

impl Ask<'_> {
    /// Without a context.
    pub fn of(servable: Models) -> Self {
        Self { servable, context: None }
    }
}

/// What a policy says of the servable models.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "it is made for each query, and not kept")]
pub enum Choice {
    /// One is asked, with these probabilities.
    One(PerModel),
    /// All are asked.
    All,
}

/// Whom a query asks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Selection {
    pub models: Models,
    /// With which probability each model is among those asked.
    pub propensities: PerModel,
}

impl Choice {
    /// One of `servable` by these shares; but each has at least one part in their number of
    /// `floor`, the part of all choices that is left to chance (Auer et al., "The nonstochastic
    /// multiarmed bandit problem", SIAM J. Comput. 32(1), 2002, section 3, its γ).
    pub fn one(servable: Models, shares: &PerModel, floor: f64) -> Self {
        let least = floor / servable.len() as f64;
        Self::One(servable.map(|model| (1.0 - floor) * shares[model] + least))
    }

    /// The one of `servable` with the most; each of several with the same chance. `floor` as in
    /// [`one`](Self::one).
    pub fn best(servable: Models, number: impl Fn(usize) -> f64, floor: f64) -> Self {
        let most = servable.most(&number).map_or(0.0, &number);
        let best: Models = servable.iter().filter(|model| number(*model) >= most).collect();
        Self::one(servable, &best.equal_shares(), floor)
    }

    /// The same where no model has more than its cap of the choices: what is above goes to the
    /// others, by what they have. Caps that leave a part of the choices to nobody are no caps: so
    /// it is when those with larger ones are not servable.
    #[must_use]
    pub fn capped(self, servable: Models, caps: &PerModel) -> Self {
        let Self::One(mut shares) = self else { return self };
        let most: f64 = servable.iter().map(|model| caps[model]).sum();
        if most < 1.0 {
            return self;
        }
        let mut free = servable;
        // Each round caps one more, or is the last.
        while let Some(above) = free.iter().find(|model| shares[*model] > caps[*model]) {
            let excess = shares[above] - caps[above];
            shares[above] = caps[above];
            free = free.without(above);
            let parts = free.shares(&shares);
            free.iter().for_each(|model| shares[model] += excess * parts[model]);
        }
        Self::One(shares)
    }

    /// Draws.
    pub(crate) fn draw(self, servable: Models, random: &mut Random) -> Selection {
        let propensities = match self {
            Self::All => {
                return Selection { models: servable, propensities: servable.certain() };
            }
            Self::One(propensities) => propensities,
        };
        let mut left = random.uniform();
        let mut drawn = None;
        for model in servable.iter().filter(|model| propensities[*model] > 0.0) {
            // If the sum is rounded to below 1, the last one has what is missing.
            drawn = Some(model);
            left -= propensities[model];
            if left < 0.0 {
                break;
            }
        }
        let models = drawn.map(Models::only).unwrap_or_default();
        Selection { models, propensities }
    }
}

/// The context that a policy needs: so many numbers, each between -1 and 1.
pub(super) fn context_of(context: Option<&[f64]>, expected: usize) -> Result<&[f64], PolicyError> {
    let context = context.unwrap_or_default();
    if context.len() != expected {
        return Err(PolicyError::ContextLength { expected, given: context.len() });
    }
    let is_outside = |(_, value): &(usize, &f64)| !(-1.0..=1.0).contains(*value);
    match context.iter().enumerate().find(is_outside) {
        Some((place, value)) => Err(PolicyError::ContextNumber { place, value: *value }),
        None => Ok(context),
    }
}
