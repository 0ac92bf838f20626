//! Whose states they are, for who keeps them.

/// The states of an application, with a policy and a set of linked models. Given out by who keeps
/// them. Two that were given out are two, even where what they name is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    /// Which registration it is.
    pub number: u64,
    /// What it is called where it is kept.
    pub name: u128,
}
