//! What clients can say to the policy of an application, by whatever port.

/// What is wrong with the context vector of a query.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum VectorError {
    #[error("a context of {found} numbers; the application's policy looks at {expected}")]
    Length { expected: usize, found: usize },
    #[error("{found} in the context; scale its numbers to -1 to 1")]
    Number { found: f64 },
}

/// What clients can say to a policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolicyView {
    /// How many numbers of a query it looks at; exactly so many, or at most.
    pub numbers: usize,
    pub is_exact: bool,
    /// The least and the largest reward.
    pub rewards: (f64, f64),
}

impl PolicyView {
    /// A policy that looks at a vector needs one, of numbers from -1 to 1; others look at none.
    pub fn check_vector(&self, given: &[f64]) -> Result<(), VectorError> {
        let Self { numbers: expected, is_exact, .. } = *self;
        if is_exact && given.len() != expected && expected > 0 {
            return Err(VectorError::Length { expected, found: given.len() });
        }
        let outside = |number: &&f64| !(-1.0..=1.0).contains(*number);
        let outside = given.iter().find(outside).filter(|_| expected > 0);
        outside.map_or(Ok(()), |found| Err(VectorError::Number { found: *found }))
    }
}
