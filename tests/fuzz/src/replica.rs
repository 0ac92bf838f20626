//! The replica that keeps to nothing, from the tests of the protocol: one picture of what lies
//! where in the memory that a replica writes.

#[path = "../../../container-sdk/protocol/tests/support/peer.rs"]
#[allow(dead_code, reason = "each of those who use it needs a part of it")]
pub mod peer;

use cutter_tensor::RowRef;

/// A row of a pool, as [`peer`] takes it for granted beside itself.
fn row_ref(pool: u32, row: u32, bytes: u32) -> RowRef {
    RowRef { pool, row, bytes }
}
