//! Every limit of the engine, by room, with its unit in its name. Relations are asserted beside
//! them.
//!
//! Limits of what engine and containers share are in `cutter_protocol::limits`.

pub use cutter_protocol::limits::{ITEM_BYTES_MAX, RANK_MAX, ROW_ALIGN_BYTES};

// ---- Scheduler ----

/// Containers that may die with one query in flight before it is answered with an error.
pub const CRASHES_MAX: u8 = 2;
/// Each query moves the measured overhead by one part in two to this power.
pub const OVERHEAD_GAIN_SHIFT: u32 = 6;

/// Times in a row that a replica may wake the engine without having published anything.
pub const WAKES_WITHOUT_NEWS_MAX: u32 = 1_000;

// ---- HTTP ----

/// Bytes of a request head, from the request line to the empty line, both included. Beyond: 431.
pub const HEAD_BYTES_MAX: usize = 16 << 10;

/// Header fields in a request head. Beyond: 431.
pub const HEADERS_MAX: usize = 64;

/// Bytes of a request target (path and query). Beyond: 414.
pub const TARGET_BYTES_MAX: usize = 4 << 10;

/// Bytes of a request line with its line end: a target, and room for method and version. Beyond:
/// 414, even though the end of the line has not been seen.
pub const REQUEST_LINE_BYTES_MAX: usize = TARGET_BYTES_MAX + 64;

/// Empty lines that are forgiven before a request line (some old clients send one after a body).
pub const LEADING_EMPTY_LINES_MAX: u8 = 2;

/// Hexadecimal digits of a chunk size, leading zeros included.
pub const CHUNK_SIZE_DIGITS_MAX: u8 = 16;

/// Bytes of one chunk's extension, from its first semicolon to the line end.
pub const CHUNK_EXTENSION_BYTES_MAX: usize = 256;

/// Bytes of all chunk extensions of one body: padding must not outweigh the content.
pub const CHUNK_EXTENSIONS_BYTES_MAX: usize = 16 << 10;

/// Bytes of the trailer section of a chunked body, with its final empty line. Beyond: 431.
pub const TRAILERS_BYTES_MAX: usize = 4 << 10;

/// Digits of a `Content-Length` that are read without a heap or a doubt: every `u64` has fewer.
pub const CONTENT_LENGTH_DIGITS_MAX: usize = 20;

/// Bytes of a head that a connection remembers, to recognise the next one that is like it.
pub const TEMPLATE_BYTES_MAX: usize = 512;

/// Capacity that a connection keeps for decoded chunked bodies when nothing is being decoded.
pub const DECODED_BODY_KEPT_BYTES: usize = 64 << 10;

/// Time from the first byte of a head to its last. Beyond: 408.
pub const HEAD_TIME_NS: u64 = 5_000_000_000;

/// Least rate at which a body must arrive. Below it, once the grace is used up: 408.
pub const BODY_RATE_BYTES_PER_S: u64 = 1 << 10;

/// Time that a body may be behind its least rate: what a client gets at the start, and the most
/// that it can save up by sending fast.
pub const BODY_GRACE_NS: u64 = 5_000_000_000;

/// Time that a connection with nothing to do is kept. Beyond: closed without a word.
pub const KEEP_ALIVE_IDLE_NS: u64 = 75_000_000_000;

/// Requests of one connection that may wait for their answers. Beyond: no more is received.
pub const PIPELINED_REQUESTS_MAX: usize = 16;

const _: () = {
    assert!(REQUEST_LINE_BYTES_MAX > TARGET_BYTES_MAX + "OPTIONS  HTTP/1.1\r\n".len());
    assert!(REQUEST_LINE_BYTES_MAX < HEAD_BYTES_MAX);
    assert!(HEAD_BYTES_MAX <= u16::MAX as usize, "spans inside a head are u16");
    assert!(TEMPLATE_BYTES_MAX + CONTENT_LENGTH_DIGITS_MAX < REQUEST_LINE_BYTES_MAX);
    assert!(CHUNK_EXTENSION_BYTES_MAX <= CHUNK_EXTENSIONS_BYTES_MAX);
    assert!(TRAILERS_BYTES_MAX <= HEAD_BYTES_MAX);
    assert!(HEAD_TIME_NS < KEEP_ALIVE_IDLE_NS && BODY_GRACE_NS < KEEP_ALIVE_IDLE_NS);
};

// ---- JSON ----

pub const JSON_DEPTH_MAX: usize = 127;
/// The most characters of a client's number that an error repeats.
pub const JSON_EXCERPT_CHARS_MAX: usize = 32;

// Inputs are read by recursion over their dimensions, inside the body's object and a batch's array.
const _: () = assert!(RANK_MAX + 2 <= JSON_DEPTH_MAX);

// ---- Configuration ----

/// The most bytes of a configuration file.
pub const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// The most bytes of the name of an application or a model, and of a version.
pub const NAME_BYTES_MAX: usize = 63;
/// The most applications of one server.
pub const APPLICATIONS_MAX: usize = 64;
/// The most models of one server.
pub const MODELS_MAX: usize = 64;
/// The most addresses on which queries are taken.
pub const QUERY_LISTENERS_MAX: usize = 8;
/// The most bytes of the path of a Unix socket: what `sockaddr_un` holds, less its final zero.
pub const UNIX_PATH_BYTES_MAX: usize = 107;
/// The highest core number: what the kernel's fixed-size affinity mask holds.
pub const CPU_MAX: u32 = 1023;
/// The most cores that one model may list.
pub const CPUS_MAX: usize = 64;

/// The most bytes of one application's default output.
pub const DEFAULT_OUTPUT_BYTES_MAX: usize = 4096;
/// The tightest objective that may be asked for.
pub const SLO_US_MIN: u32 = 100;
/// The objective of an application that names none.
pub const SLO_US_DEFAULT: u32 = 20_000;
/// The loosest objective that may be asked for.
pub const SLO_US_MAX: u32 = 60_000_000;

/// The largest bound on an input's bytes; [`ITEM_BYTES_MAX`] as the configuration counts.
pub const INPUT_BYTES_MAX: u32 = 64 << 20;
/// The bound on a `bytes` or `strings` input that names none.
pub const INPUT_BYTES_DEFAULT: u32 = 64 << 10;
/// The fewest rows of an input pool.
pub const POOL_ROWS_MIN: u32 = 16;
/// The most rows of an input pool.
pub const POOL_ROWS_MAX: u32 = 4096;
/// The most bytes of a pool whose rows are not configured, unless [`POOL_ROWS_MIN`] needs more.
pub const POOL_BYTES_MAX: u64 = 64 << 20;
/// The most bytes of a pool whose rows are configured.
pub const POOL_BYTES_CONFIGURED_MAX: u64 = 4 << 30;

/// The most replicas of one model.
pub const REPLICAS_MAX: u32 = 64;
/// The most replicas of all models together.
pub const REPLICAS_TOTAL_MAX: u32 = 256;
/// The most words of a command, the program included.
pub const COMMAND_WORDS_MAX: usize = 256;
/// The most queries in one batch.
pub const BATCH_MAX: u32 = 4096;
/// The most queries in a batch of a model that names no bound.
pub const BATCH_MAX_DEFAULT: u32 = 1024;
/// The shortest time after which a running batch may be called a hang.
pub const BATCH_TIMEOUT_US_MIN: u32 = 1_000;
/// The longest time after which a running batch may be called a hang.
pub const BATCH_TIMEOUT_US_MAX: u32 = 600_000_000;
/// The least that the batch timeout is when it is not configured.
pub const BATCH_TIMEOUT_DEFAULT_US_MIN: u32 = 1_000_000;
/// The batch timeout, when it is not configured, in multiples of the loosest linked objective.
pub const BATCH_TIMEOUT_DEFAULT_SLOS: u32 = 10;

const _: () = {
    assert!(INPUT_BYTES_MAX as usize == ITEM_BYTES_MAX);
    assert!(INPUT_BYTES_DEFAULT <= INPUT_BYTES_MAX);
    assert!(ITEM_BYTES_MAX.is_multiple_of(ROW_ALIGN_BYTES) && ROW_ALIGN_BYTES.is_power_of_two());
    assert!(SLO_US_MIN <= SLO_US_DEFAULT && SLO_US_DEFAULT <= SLO_US_MAX);
    assert!(POOL_ROWS_MIN <= POOL_ROWS_MAX);
    assert!(POOL_ROWS_MIN as u64 * ITEM_BYTES_MAX as u64 <= POOL_BYTES_CONFIGURED_MAX);
    assert!(POOL_BYTES_MAX <= POOL_BYTES_CONFIGURED_MAX);
    assert!(BATCH_MAX_DEFAULT <= BATCH_MAX);
    assert!(BATCH_TIMEOUT_US_MIN <= BATCH_TIMEOUT_DEFAULT_US_MIN);
    assert!(SLO_US_MAX * BATCH_TIMEOUT_DEFAULT_SLOS <= BATCH_TIMEOUT_US_MAX);
    assert!(REPLICAS_MAX <= REPLICAS_TOTAL_MAX);
};

// ---- Batching and statistics ----

/// The batch limit, in rows, with which AIMD starts.
pub const AIMD_START_ROWS: u32 = 1;
/// What AIMD adds to the batch limit, in rows, after a full batch with time to spare.
pub const AIMD_STEP_ROWS: u32 = 2;
/// AIMD backs off by one part in this many: 10 means that 0.9 of the limit remains.
pub const AIMD_BACK_OFF_PARTS: u32 = 10;
/// AIMD grows only when at least one part in this many of the objective was left over.
pub const AIMD_HEADROOM_PARTS: u64 = 10;

/// The least objective for a batch's service time, in ns, however tight the SLO is.
pub const SERVICE_OBJECTIVE_MIN_NS: u64 = 10_000;

/// The weight of a batch that took longer than predicted, in the service time estimate.
pub const SERVICE_GAIN_UP: f64 = 1.0 / 2.0;
/// The weight of a batch that was as fast as predicted or faster, in the same estimate.
pub const SERVICE_GAIN_DOWN: f64 = 1.0 / 8.0;
/// The least variance of batch sizes, in rows squared, from which a cost per row is learned.
pub const SERVICE_SIZE_VARIANCE_MIN: f64 = 1e-3;

/// Bits of a histogram bucket's position within its power of two: 7 means an error under 1/128.
pub const HISTOGRAM_PRECISION_BITS: u32 = 7;
/// The longest time, in ns, that a histogram tells apart (68.7 s); all longer ones count as one.
pub const HISTOGRAM_TIME_MAX_NS: u64 = 1 << 36;
/// The largest batch, in rows, that a histogram tells apart; all larger ones count as one.
pub const HISTOGRAM_BATCH_MAX_ROWS: u64 = 1 << 12;

const _: () = assert!(AIMD_START_ROWS >= 1 && AIMD_STEP_ROWS >= 1);
const _: () = assert!(AIMD_BACK_OFF_PARTS >= 2 && AIMD_HEADROOM_PARTS >= 2);
const _: () = assert!(SERVICE_OBJECTIVE_MIN_NS >= AIMD_HEADROOM_PARTS);
const _: () = assert!(SERVICE_GAIN_DOWN > 0.0 && SERVICE_GAIN_DOWN <= SERVICE_GAIN_UP);
const _: () = assert!(SERVICE_GAIN_UP < 1.0);
const _: () = assert!(HISTOGRAM_TIME_MAX_NS.is_power_of_two());
const _: () = assert!(HISTOGRAM_BATCH_MAX_ROWS.is_power_of_two());
const _: () = assert!(HISTOGRAM_BATCH_MAX_ROWS >= 1 << (HISTOGRAM_PRECISION_BITS + 1));

// ---- Front end ----

/// Connections of clients. Beyond: 503 and closed.
pub const CONNECTIONS_MAX: usize = 4096;
/// Inputs of one request. Beyond: 400.
pub const INPUT_BATCH_MAX: usize = 1024;
/// Bytes of a request body, whatever the application. Beyond: 413.
pub const BODY_BYTES_MAX: usize = 64 << 20;
/// Bytes of a request body that every application takes.
pub const BODY_BYTES_MIN: usize = 64 << 10;
/// Bytes of a body sent to a path that is not an application's.
pub const UNROUTED_BODY_BYTES_MAX: usize = 64 << 10;
/// Bytes of JSON that a number of an input may take, its comma and white space included.
pub const JSON_BYTES_PER_NUMBER: usize = 32;
/// Bytes of JSON that a byte of a string may take: `\u0000`.
pub const JSON_BYTES_PER_STRING_BYTE: usize = 6;
/// Bytes of base64 for three bytes.
pub const JSON_BYTES_PER_BASE64_GROUP: usize = 4;
/// Bytes held for all connections whose requests are incomplete. Beyond: 503 and closed.
pub const INPUT_BYTES_TOTAL_MAX: usize = 512 << 20;
/// Bytes held for a connection whose input is left unread, before it is not received any more.
pub const STALLED_INPUT_BYTES_MAX: usize = 64 << 10;
/// Capacity that a connection keeps for incomplete requests when it holds none.
pub const INPUT_BYTES_KEPT: usize = 64 << 10;
/// Capacity that an answer's buffer keeps for its next use.
pub const REPLY_BYTES_KEPT: usize = 64 << 10;

const _: () = assert!(BODY_BYTES_MIN <= BODY_BYTES_MAX && BODY_BYTES_MAX < INPUT_BYTES_TOTAL_MAX);

// ---- Engine thread ----

/// Operations submitted in one go.
pub const RING_ENTRIES: u32 = 1024;
/// Buffers for received bytes, of all connections together. A receive that finds none is started
/// again as soon as one is free.
pub const RECEIVE_BUFFERS: u16 = 512;
/// Bytes of one of them: a head and a row of 784 floats as JSON fit twice.
pub const RECEIVE_BUFFER_BYTES: u32 = 16 << 10;
/// How often the `Date` of answers is renewed.
pub const DATE_PERIOD_NS: u64 = 500_000_000;
/// How often the gauges are brought up to date.
pub const GAUGE_PERIOD_NS: u64 = 100_000_000;
/// How often slow clients are looked for, while there are any connections.
pub const PACE_PERIOD_NS: u64 = 250_000_000;
/// How long accepting pauses after it failed.
pub const ACCEPT_PAUSE_NS: u64 = 100_000_000;
/// How long a client may take to close after it was told that the connection ends.
pub const LINGER_NS: u64 = 1_000_000_000;
/// How long a client that has nothing going on may go on using its connection during a drain.
pub const DRAIN_IDLE_NS: u64 = 250_000_000;
/// How long a drain waits for answers before it answers with the default.
pub const DRAIN_NS_MAX: u64 = 10_000_000_000;

// ---- Control ----

/// How long an incarnation must have been up for its replica to be started again at once.
pub const RESTART_AT_ONCE_UP_NS: u64 = 1_000_000_000;
/// The pause before a replica is started again, when its incarnation did not last.
pub const BACK_OFF_NS_MIN: u64 = 100_000_000;
/// That pause doubles each time, up to this.
pub const BACK_OFF_NS_MAX: u64 = 10_000_000_000;
/// The longest pause before a restart for which queries wait, if the replica was up before.
pub const BACK_OFF_SHORT_NS: u64 = 1_000_000_000;
/// How long an incarnation must have been up for its replica's failures to be forgotten.
pub const BACK_OFF_RESET_UP_NS: u64 = 10_000_000_000;
/// How long the engine thread may take to drain before its replicas are killed under it.
pub const CONTROL_DRAIN_NS_MAX: u64 = DRAIN_NS_MAX + 5_000_000_000;
/// How long a replica that was asked to end may take before it is killed.
pub const REPLICA_STOP_NS: u64 = 2_000_000_000;
/// How long the end of the server waits for killed processes.
pub const REPLICA_KILL_NS: u64 = 2_000_000_000;
/// How long a process whose socket is closed may take to end by itself before it is killed.
pub const EXIT_GRACE_NS: u64 = 200_000_000;
/// How long what a process left in its output pipes is read after it ended.
pub const OUTPUT_LINGER_NS: u64 = 200_000_000;
/// Bytes of one line of a replica's output. What is beyond is cut off.
pub const OUTPUT_LINE_BYTES_MAX: usize = 4 << 10;
/// Lines of one output stream of a replica that are logged within [`OUTPUT_WINDOW_NS`].
pub const OUTPUT_LINES_MAX: u32 = 100;
/// The time over which [`OUTPUT_LINES_MAX`] counts.
pub const OUTPUT_WINDOW_NS: u64 = 1_000_000_000;
/// Containers started by hand that may be in their handshake at one time. Beyond: not accepted yet.
pub const CONTAINERS_PENDING_MAX: usize = 64;
/// Connections that wait to be accepted at the container socket.
pub const CONTAINER_BACKLOG: i32 = 64;
/// Connections to the admin address. Beyond: they wait to be accepted.
pub const ADMIN_CONNECTIONS_MAX: usize = 64;
/// How long an admin connection lives: one request and its answer.
pub const ADMIN_CONNECTION_NS: u64 = 5_000_000_000;
/// How long `/inspect` waits for the engine thread before it says that the thread is stuck.
pub const INSPECT_ANSWER_NS: u64 = 1_000_000_000;
/// Bytes of an admin request. Beyond: closed.
pub const ADMIN_REQUEST_BYTES_MAX: usize = 16 << 10;

const _: () = assert!(INSPECT_ANSWER_NS < ADMIN_CONNECTION_NS);
const _: () = assert!(BACK_OFF_NS_MIN > 0 && BACK_OFF_NS_MIN <= BACK_OFF_NS_MAX);
const _: () = assert!(RESTART_AT_ONCE_UP_NS <= BACK_OFF_RESET_UP_NS);
