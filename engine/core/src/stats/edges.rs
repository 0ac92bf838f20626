//! The edges at which a reader counts that wants few and round ones.
//!
//! Each is the upper edge of a bucket (asserted below), so nothing is interpolated.

use super::histogram::{bucket_of, upper_edge};

/// The edges of times, in ns: 1 µs times the powers of two, up to 67.1 s.
pub const TIME_EDGES_NS: [u64; 27] = {
    let mut edges_ns = [0; 27];
    let mut i = 0;
    while i < edges_ns.len() {
        edges_ns[i] = 1_000 << i;
        i += 1;
    }
    edges_ns
};

/// The edges of batch sizes, in rows: the powers of two up to 4,096.
pub const BATCH_EDGES_ROWS: [u64; 13] =
    [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096];

const _: () = assert!(are_bucket_edges(&TIME_EDGES_NS));
const _: () = assert!(are_bucket_edges(&BATCH_EDGES_ROWS));

const fn are_bucket_edges(edges: &[u64]) -> bool {
    let mut i = 0;
    while i < edges.len() {
        if upper_edge(bucket_of(edges[i])) != edges[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_go_from_a_microsecond_to_a_minute() {
        assert_eq!(TIME_EDGES_NS[0], 1_000);
        assert_eq!(TIME_EDGES_NS[26], 67_108_864_000);
    }
}
