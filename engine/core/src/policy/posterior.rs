//! With which probability each model is the best one, from what is believed of its mean reward.
//!
//! Thompson sampling asks a model with this probability (Thompson, "On the likelihood that one
//! unknown probability exceeds another", Biometrika 25, 1933). Usually one value is drawn for each
//! model and the largest asked, and nobody knows the propensity. Here each belief is a row of cells,
//! the probability follows by one walk over them, and the model is drawn from it: the propensity is
//! exact, and a function of the state alone. What is approximate is the belief: two means in one
//! cell are taken for equals.

use super::models::{Models, PerModel};
use crate::limits::POSTERIOR_CELLS;

/// A number for each cell, from the lowest mean reward to the highest.
pub(super) type Cells = [f64; POSTERIOR_CELLS];

/// The chances that each of some models, of which there is at least one, is the best.
/// `log_density` is that of a model's belief in a cell, up to a constant of the model.
pub(super) fn chances_of_best(of: Models, log_density: impl Fn(usize, usize) -> f64) -> PerModel {
    if of.len() == 1 {
        return of.equal_shares();
    }
    let mut masses = [PerModel::default(); POSTERIOR_CELLS];
    for model in of.iter() {
        let cells = normalised(std::array::from_fn(|cell| log_density(model, cell)));
        masses.iter_mut().zip(cells).for_each(|(masses, mass)| masses[model] = mass);
    }
    let (mut below, mut chances) = (PerModel::default(), PerModel::default());
    for masses in &masses {
        // Each other one is lower, or in the same cell and then lower as often as not.
        let lower = of.map(|model| below[model] + masses[model] / 2.0);
        let all_others = products_of_others(of, &lower);
        for model in of.iter() {
            chances[model] += masses[model] * all_others[model];
            below[model] += masses[model];
        }
    }
    of.shares(&chances)
}

fn normalised(mut cells: Cells) -> Cells {
    let most = cells.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    cells.iter_mut().for_each(|cell| *cell = (*cell - most).exp());
    let sum: f64 = cells.iter().sum();
    cells.map(|cell| cell / sum)
}

/// For each the product of the numbers of the others, in two walks and without a division.
fn products_of_others(of: Models, numbers: &PerModel) -> PerModel {
    let mut products = PerModel::default();
    let mut before = 1.0;
    for model in of.iter() {
        products[model] = before;
        before *= numbers[model];
    }
    let mut behind = 1.0;
    for model in (0..numbers.len()).rev().filter(|model| of.contains(*model)) {
        products[model] *= behind;
        behind *= numbers[model];
    }
    products
}
