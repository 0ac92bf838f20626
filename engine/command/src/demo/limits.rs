//! Limits of the demo.

/// The longest replay, in seconds.
pub const SECONDS_MAX: i64 = 3_600;
/// The highest rate, in queries per second.
pub const RATE_QPS_MAX: i64 = 1_000_000;

/// The promise of the demo's application, in µs.
pub const SLO_US: u64 = 20_000;

/// How long the server has from its start to its first prediction, in ns.
pub const READY_NS_MAX: u64 = 15_000_000_000;
/// How long an answer is waited for, in ns, before it counts as an error.
pub const ANSWER_NS_MAX: u64 = 5_000_000_000;
/// The longest latency, in ns, that is told apart (one hour); longer ones count as that.
pub const LATENCY_NS_MAX: u64 = 3_600_000_000_000;

/// How often the AIMD limit is sampled and the progress line drawn, in ms.
pub const SAMPLE_PERIOD_MS: u64 = 100;

const _: () = assert!(SECONDS_MAX * RATE_QPS_MAX < i64::MAX / 1_000_000_000);
