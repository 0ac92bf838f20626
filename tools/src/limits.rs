//! Limits of the suite. What a command line asks beyond one of these is refused with its name.

/// Requests of one run: what the recording may hold.
pub const REQUESTS_MAX: u64 = 32_000_000;
/// The longest run, in seconds.
pub const SECONDS_MAX: u64 = 3_600;
/// The highest rate that can be asked for, in requests per second.
pub const RATE_QPS_MAX: f64 = 5_000_000.0;
/// Connections of one run.
pub const CONNECTIONS_MAX: usize = 4_096;
/// Requests that may be under way on one connection.
pub const PIPELINE_MAX: usize = 64;
/// Bytes of one body.
pub const BODY_BYTES_MAX: usize = 64 << 20;
/// Bodies of one run, and their bytes together.
pub const BODIES_MAX: usize = 65_536;
pub const BODIES_BYTES_MAX: usize = 1 << 30;
/// Bytes of one answer, head and body.
pub const REPLY_BYTES_MAX: usize = 64 << 20;
/// Bytes of an answer's head, and its fields.
pub const REPLY_HEAD_BYTES_MAX: usize = 64 << 10;
pub const REPLY_HEADERS_MAX: usize = 100;
/// Lines of a trace.
pub const TRACE_LINES_MAX: usize = 32_000_000;
/// The longest latency that is told apart, in ns (one hour).
pub const LATENCY_NS_MAX: u64 = 3_600_000_000_000;
/// The longest hiccup measurement, in seconds.
pub const HICCUP_SECONDS_MAX: u64 = 3_600;
/// The longest gaps that are kept of each core.
pub const HICCUPS_LONGEST_MAX: usize = 10;

const _: () = assert!(SECONDS_MAX * 1_000_000_000 <= LATENCY_NS_MAX);

// ---- The admin port ----

/// How long a connection to an admin port may take, and the whole exchange after it. The server
/// itself takes up to a second for `/inspect`, and gives a connection five.
pub const ADMIN_CONNECT_NS: u64 = 2_000_000_000;
pub const ADMIN_EXCHANGE_NS: u64 = 5_000_000_000;
/// Bytes of one answer of an admin port: its largest configuration fits several times.
pub const ADMIN_ANSWER_BYTES_MAX: usize = 64 << 20;
pub const ADMIN_HEADERS_MAX: usize = 32;
/// Samples of one load's engine series.
pub const ADMIN_SAMPLES_MAX: usize = 36_000;
/// How often `top` may ask.
pub const TOP_PERIOD_MS_MIN: u64 = 50;
pub const TOP_PERIOD_MS_MAX: u64 = 60_000;
/// Over how long `top` computes its quantiles, at most.
pub const TOP_QUANTILES_NS: u64 = 10_000_000_000;
/// Periods that `top` remembers, to draw them.
pub const TOP_HISTORY_PERIODS: usize = 240;
/// Samples greater than a quantile that it takes to show the quantile.
pub const TOP_SAMPLES_BEYOND: u64 = 5;
