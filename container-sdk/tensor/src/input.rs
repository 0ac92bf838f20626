//! Inputs: where one lies.

/// The row that holds the input of an item, as a replica is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowRef {
    /// The pool's place in the pool table of the replica.
    pub pool: u32,
    pub row: u32,
    /// Bytes of the input in the row.
    pub bytes: u32,
}
