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

/// Digits that each policy may learn from.
pub const LEARNING_QUERIES_MAX: i64 = 1_000_000;
/// The promise of the applications that learn, in µs: it is not what they are about.
pub const LEARNING_SLO_US: u64 = 200_000;
/// Their rows: they are asked one query at a time.
pub const LEARNING_ROWS: u64 = 16;
/// Points of a course over time, and how many of them a moving mean spans.
pub const POINTS: usize = 60;
pub const WINDOW_POINTS: usize = 3;
/// The share of models that must agree in the stragglers' act: three of five.
pub const UNSURE_BELOW: f64 = 0.6;
/// How long an answer may be on its way to the client beyond the SLO, in ns, and is in time.
pub const CLIENT_WAY_NS: u64 = 1_000_000;

/// How often the AIMD limit is sampled and the progress line drawn, in ms.
pub const SAMPLE_PERIOD_MS: u64 = 100;

const _: () = assert!(WINDOW_POINTS >= 1 && WINDOW_POINTS <= POINTS);
const _: () = assert!(LEARNING_SLO_US >= SLO_US);
const _: () = assert!(SECONDS_MAX * RATE_QPS_MAX < i64::MAX / 1_000_000_000);
