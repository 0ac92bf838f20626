//! With which probability each model is the best one, from what is believed of its mean reward.
//!
//! Thompson sampling asks a model with this probability (Thompson, "On the likelihood that one
//! unknown probability exceeds another", Biometrika 25, 1933). Usually one value is drawn for each
//! model and the largest asked, and nobody knows the propensity. Here each belief is a row of
//! cells, the probability follows by one walk over them, and the model is drawn from it: the
//! propensity is exact, and a function of the state alone. What is approximate is the belief: two
//! means in one cell are taken for equals.

use super::models::{Models, PerModel};
use crate::limits::POSTERIOR_CELLS;

/// A number for each cell, from the lowest mean reward to the highest.
pub(super) type Cells = [f64; POSTERIOR_CELLS];

/// The logarithm of a density beside the largest one, from which on it is taken for nothing.
const NOTHING: f64 = -30.0;

/// The chances that each of some models, of which there is at least one, is the best.
/// `log_density` says of a model what the belief in a cell is, up to a constant of the model.
pub(super) fn chances_of_best<Belief: Fn(usize) -> f64>(
    of: Models,
    log_density: impl Fn(usize) -> Belief,
) -> PerModel {
    if of.len() == 1 {
        return of.equal_shares();
    }
    // Here a model has its place among those that can be asked, so that the others take no time.
    let count = of.len();
    let mut masses = [PerModel::default(); POSTERIOR_CELLS];
    for (place, model) in of.iter().enumerate() {
        let cells = normalised(std::array::from_fn(log_density(model)));
        masses.iter_mut().zip(cells).for_each(|(masses, mass)| masses[place] = mass);
    }
    let [mut below, mut lower, mut best] = [PerModel::default(); 3];
    let cells = masses.iter().map(|masses| &masses[..count]);
    for masses in cells.filter(|masses| masses.iter().any(|mass| *mass > 0.0)) {
        // Each other one is lower, or in the same cell and then lower as often as not.
        for (place, mass) in masses.iter().enumerate() {
            lower[place] = below[place] + mass / 2.0;
            below[place] += mass;
        }
        let others_are_lower = products_of_others(&lower[..count]);
        for (place, mass) in masses.iter().enumerate() {
            best[place] += mass * others_are_lower[place];
        }
    }
    let mut chances = PerModel::default();
    of.iter().zip(best).for_each(|(model, chance)| chances[model] = chance);
    of.shares(&chances)
}

fn normalised(mut cells: Cells) -> Cells {
    let most = cells.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for cell in &mut cells {
        let off = *cell - most;
        *cell = if off > NOTHING { off.exp() } else { 0.0 };
    }
    let sum: f64 = cells.iter().sum();
    cells.map(|cell| cell / sum)
}

/// For each the product of the numbers of the others, in two walks and without a division.
fn products_of_others(numbers: &[f64]) -> PerModel {
    let mut products = PerModel::default();
    let mut before = 1.0;
    for (product, number) in products.iter_mut().zip(numbers) {
        *product = before;
        before *= number;
    }
    let mut behind = 1.0;
    for (product, number) in products.iter_mut().zip(numbers).rev() {
        *product *= behind;
        behind *= number;
    }
    products
}
