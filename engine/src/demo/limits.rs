//! Limits of the demo.

/// The longest replay, in seconds.
pub const SECONDS_MAX: i64 = 3_600;
/// The highest rate, in queries per second.
pub const RATE_QPS_MAX: i64 = 1_000_000;

/// The promise of the demo's application, in µs.
pub const SLO_US: u64 = 20_000;

/// Connections of the client, at least.
pub const CONNECTIONS_MIN: u64 = 32;
/// Connections of the client, at most. Beyond, queries wait for a free one, and that shows as lag.
pub const CONNECTIONS_MAX: u64 = 1_024;

/// How long the server has from its start to its first prediction, in ns.
pub const READY_NS_MAX: u64 = 15_000_000_000;
/// How long an answer is waited for, in ns, before it counts as an error.
pub const ANSWER_NS_MAX: u64 = 5_000_000_000;
/// The longest latency, in ns, that is told apart (one hour); longer ones count as that.
pub const LATENCY_NS_MAX: u64 = 3_600_000_000_000;
/// How often answers are looked for that did not come, in ns.
pub const OVERDUE_PERIOD_NS: u64 = 100_000_000;
/// From connecting to the first scheduled send, in ns, so that the server has accepted all.
pub const LEAD_NS: u64 = 50_000_000;

/// Bytes of one answer, head and body.
pub const REPLY_BYTES_MAX: usize = 64 << 10;
/// Header fields of one answer.
pub const REPLY_HEADERS_MAX: usize = 32;
/// Bytes received at once.
pub const RECEIVE_BYTES: usize = 16 << 10;
/// Sockets that are reported readable at once.
pub const EVENTS_MAX: usize = 64;

/// How often the AIMD limit is sampled and the progress line drawn, in ms.
pub const SAMPLE_PERIOD_MS: u64 = 100;

/// The client's own lateness makes latencies doubtful when its p99 is more than one part in this
/// many of theirs.
pub const SEND_LAG_PARTS: u64 = 4;

const _: () = assert!(CONNECTIONS_MIN <= CONNECTIONS_MAX);
const _: () = assert!(CONNECTIONS_MAX < crate::limits::CONNECTIONS_MAX as u64);
const _: () = assert!(SECONDS_MAX * RATE_QPS_MAX < i64::MAX / 1_000_000_000);
