//! The running mean of what each model says, to stand for one that says nothing in time (Clipper,
//! NSDI 2017, section 5.2.2). Of values and of scores; a list grows once, to the length of the
//! first output.

/// For each model its mean, element by element, and of how many outputs.
#[derive(Debug)]
pub(super) struct Means(Box<[(Vec<f64>, u64)]>);

impl Means {
    pub fn new(models: usize) -> Self {
        Self((0..models).map(|_| (Vec::new(), 0)).collect())
    }

    /// A model has said this. One that says more or fewer numbers than before begins anew.
    pub fn observe(&mut self, arm: usize, said: impl Iterator<Item = f64> + Clone) {
        let (mean, count) = &mut self.0[arm];
        if !said.clone().all(f64::is_finite) {
            return;
        }
        if mean.len() != said.clone().count() {
            mean.clear();
            mean.extend(said);
            *count = 1;
            return;
        }
        *count += 1;
        let part = 1.0 / *count as f64;
        mean.iter_mut().zip(said).for_each(|(mean, said)| *mean += part * (said - *mean));
    }

    /// Nothing if it has said nothing yet.
    pub fn of(&self, arm: usize) -> Option<&[f64]> {
        let (mean, count) = &self.0[arm];
        (*count > 0).then_some(mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_that_of_all_outputs_of_the_same_length() {
        let mut means = Means::new(2);
        assert_eq!(means.of(0), None);
        for said in [[1.0, 10.0], [2.0, 20.0], [6.0, 0.0]] {
            means.observe(0, said.into_iter());
        }
        means.observe(0, [f64::NAN, 1.0].into_iter());
        assert_eq!(means.of(0), Some(&[3.0, 10.0][..]));
        means.observe(0, [5.0].into_iter());
        assert_eq!((means.of(0), means.of(1)), (Some(&[5.0][..]), None));
    }
}
