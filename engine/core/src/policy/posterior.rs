//! With which probability each model is the best one, from what is believed of its mean reward.
//!
//! Thompson sampling asks a model with this probability (Thompson, "On the likelihood that one
//! unknown probability exceeds another", Biometrika 25, 1933). Usually one value is drawn for each
//! model and the largest asked, and nobody knows the propensity. Here each belief is a row of
//! cells, the probability follows by one walk over them, and the model is drawn from it: the
//! propensity is exact, and a function of the state alone. What is approximate is the belief: two
//! means in one cell are taken for equals.

use super::models::{Models, PerModel};
use crate::limits::{LINKS_MAX, POSTERIOR_CELLS};

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
    let mut masses = [PerModel::default(); POSTERIOR_CELLS];
    for model in of.iter() {
        let cells = normalised(std::array::from_fn(log_density(model)));
        masses.iter_mut().zip(cells).for_each(|(masses, mass)| masses[model] = mass);
    }
    // One that cannot be asked is below the others wherever they are.
    let mut below: PerModel = std::array::from_fn(|model| 1.0 - f64::from(of.contains(model)));
    let mut chances = PerModel::default();
    for masses in masses.iter().filter(|masses| masses.iter().any(|mass| *mass > 0.0)) {
        // Each other one is lower, or in the same cell and then lower as often as not.
        let lower = std::array::from_fn(|model| below[model] + masses[model] / 2.0);
        let others_are_lower = products_of_others(&lower);
        for model in 0..LINKS_MAX {
            chances[model] += masses[model] * others_are_lower[model];
            below[model] += masses[model];
        }
    }
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
fn products_of_others(numbers: &PerModel) -> PerModel {
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
