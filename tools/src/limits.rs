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

// ---- Bounds of goodput ----

/// Replicas of a model.
pub const REPLICAS_MAX: u32 = 4_096;
/// Rows of the largest batch that is in time, from which on the chain of batch sizes is not solved.
pub const CHAIN_ROWS_MAX: u64 = 2_048;
/// Steps of the search for the fewest losses on a trace: some ten seconds.
pub const CLAIRVOYANT_STEPS_MAX: u64 = 5_000_000_000;

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

// ---- The sending thread ----

/// Connections of an open loop that does not say how many: what comes due in this time …
pub const CONNECTIONS_AUTO_WINDOW_S: f64 = 0.25;
/// … within these bounds.
pub const CONNECTIONS_AUTO_MIN: usize = 32;
pub const CONNECTIONS_AUTO_MAX: usize = 1_024;
/// How long connecting may take, in ns.
pub const CONNECT_NS_MAX: u64 = 5_000_000_000;
/// From connecting to the first due time, in ns, so that the server has accepted all.
pub const LEAD_NS: u64 = 20_000_000;
/// Requests sent between two looks at what has come.
pub const SENDS_PER_TURN_MAX: usize = 16;
/// A gap to the next due time, with nothing under way, that is worth sleeping through, in ns …
pub const SLEEP_NS_MIN: u64 = 1_000_000;
/// … and how long before the due time the thread wants to be awake again.
pub const WAKE_MARGIN_NS: u64 = 500_000;
/// The longest sleep, after which an interruption is noticed.
pub const SLEEP_NS_MAX: u64 = 100_000_000;
/// How often requests that are overdue, and connections that are gone, are looked for.
pub const CARE_PERIOD_NS: u64 = 5_000_000;
/// How long a run that was interrupted waits for what is under way.
pub const INTERRUPT_GRACE_NS: u64 = 1_000_000_000;
/// Two turns of the sending loop this far apart are a gap worth counting.
pub const GAP_NS: u64 = 1_000_000;
/// The sending thread's ring, and its receive buffers: twice the connections, within these bounds.
pub const RING_ENTRIES: u32 = 1_024;
pub const RECEIVE_BUFFERS_MIN: u16 = 16;
pub const RECEIVE_BUFFERS_MAX: u16 = 1_024;
pub const RECEIVE_BUFFER_BYTES: u32 = 16 << 10;
/// Characters of an error that is kept.
pub const ERROR_CHARS_MAX: usize = 300;

const _: () = assert!(CONNECTIONS_AUTO_MIN <= CONNECTIONS_AUTO_MAX);
const _: () = assert!(CONNECTIONS_AUTO_MAX <= CONNECTIONS_MAX);
const _: () = assert!(WAKE_MARGIN_NS < SLEEP_NS_MIN && SLEEP_NS_MIN < SLEEP_NS_MAX);

// ---- Reading a recording ----

/// A run is invalid when the p99 of its send lag is more than this share of the p99 of its latency.
pub const LAG_SHARE_MAX: f64 = 0.05;
/// Slices of a run over time, at most, and the shortest of them.
pub const SLICES_MAX: u64 = 200;
pub const SLICE_NS_MIN: u64 = 10_000_000;
/// The heat map's buckets: from 1 µs, over eight decades.
pub const HEAT_LOWEST_NS: u64 = 1_000;
pub const HEAT_DECADES: u32 = 8;
pub const HEAT_BUCKETS_PER_DECADE: u32 = 8;
