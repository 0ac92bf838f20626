//! Every limit of the server, by room, with its unit in its name: one table, which `cutter check`
//! prints with those of the other crates. Relations are asserted below it.

pub mod sums;

use cutter_core::limits::{
    ALPHA_MAX, BATCH_MAX, CACHE_WINDOW_MIN, CONTEXT_NUMBERS_MAX, CONTEXT_SAVE_WAIT_NS,
    DEVIATION_MAX, DEVIATION_MIN, DISCOUNT_MAX, DISCOUNT_MIN, ETA_MAX, ETA_MIN, LINKS_MAX,
};
use cutter_machine::limits::{OWN_MAPPING_BYTES_MIN, RING_SEND_BYTES_MAX};
use cutter_protocol::limits::ROW_ALIGN_BYTES;
use cutter_tensor::limits::ITEM_BYTES_MAX;
use cutter_wire::limits::{BODY_BYTES_MAX, HEAD_BYTES_MAX, KEEP_ALIVE_IDLE_NS, TIMEOUT_US_MAX};

cutter_limits::limits! {
    "Carrier" {
        /// Wakes of the engine that a replica may cause without having published anything, beyond
        /// those that its completions account for and those that are forgiven with time.
        WAKES_WITHOUT_NEWS_MAX: u32 = 500, "wakes";
        /// How many of them are forgiven in each second.
        WAKES_WITHOUT_NEWS_PER_SECOND: u64 = 100, "wakes/s";
    }
    "Decision log" {
        /// Bytes of records that go to the disk with one call.
        LOG_CHUNK_BYTES: usize = 256 << 10, "bytes";
        /// As many such wait for the disk at most. Beyond: records are dropped and counted.
        LOG_CHUNKS: usize = 16, "chunks";
        /// How long a record waits for others.
        LOG_CHUNK_AGE_NS: u64 = 250_000_000, "ns";
        /// Bytes of a context key that is logged. Beyond: the decision is dropped and counted.
        LOG_CONTEXT_BYTES_MAX: usize = 1024, "bytes";
        /// Bytes of a decision or of a lesson: what is always there, the context, of each model a
        /// propensity and what it said, and the numbers of a context vector.
        LOG_RECORD_BYTES_MAX: usize = 97 + LOG_CONTEXT_BYTES_MAX + LINKS_MAX * (8 + 9)
            + CONTEXT_NUMBERS_MAX * 8, "bytes";
        /// Bytes of a name or of a policy's parameters that are logged. What is beyond is cut off.
        LOG_TEXT_BYTES_MAX: usize = 1024, "bytes";
        /// The least that a file of the log may be bounded to.
        LOG_FILE_BYTES_MIN: u64 = 1 << 20, "bytes";
        /// The least part of all queries that may be logged: whoever wants none has no log.
        LOG_SAMPLE_MIN: f64 = 1e-6, "of all queries";
        /// How often the log is told, at most, that decisions cannot be written.
        LOG_FAILED_TOLD_NS: u64 = 10_000_000_000, "ns";
    }
    "Learning" {
        /// What an input takes, for the number of entries of a model's cache, while no application
        /// says it.
        CACHE_INPUT_BYTES: usize = 1024, "bytes";
        /// How often the engine thread looks after what was learned and what is logged.
        LEARN_PERIOD_NS: u64 = 1_000_000, "ns";
    }
    "Direct port" {
        /// Questions of the engine's own process that may be under way.
        QUESTIONS_MAX: usize = 1024, "questions";
    }
    "HTTP port" {
        /// Requests of one connection that may wait for their answers. Beyond: no more is received.
        PIPELINED_REQUESTS_MAX: usize = 16, "requests";
        /// Connections of clients. Beyond: 503 and closed.
        CONNECTIONS_MAX: usize = 4096, "connections";
        /// The same where there are few descriptors: so many are had at any rate.
        CONNECTIONS_MIN: usize = 16, "connections";
        /// Bytes received and not used up, framed or decoded, that every connection may hold,
        /// whatever the others do.
        CONNECTION_IN_SHARE_BYTES: usize = 64 << 10, "bytes";
        /// Bytes that connections hold beyond their shares, all together. Who exceeds: 503, closed.
        IN_POOL_BYTES_MAX: usize = 512 << 20, "bytes";
        /// Bytes of answers that are owed to a connection, whatever the others do.
        CONNECTION_OUT_SHARE_BYTES: usize = 64 << 10, "bytes";
        /// Bytes of answers that are owed beyond the shares, to all connections together.
        OUT_POOL_BYTES_MAX: usize = 512 << 20, "bytes";
        /// Bytes of answers that are owed to one connection.
        CONNECTION_OUT_BYTES_MAX: usize = 448 << 20, "bytes";
        /// Bytes of a body from which its connection is received from a buffer at a time.
        BULK_BODY_BYTES_MIN: usize = 128 << 10, "bytes";
        /// Such receives in one turn of the engine thread's loop, all connections together.
        BULK_RECEIVES_MAX: usize = 2, "receives";
        /// Bytes that one send hands to the kernel.
        SEND_BYTES_MAX: usize = 64 << 10, "bytes";
        /// Bytes of requests read in one turn of the engine thread's loop.
        TURN_BYTES_MAX: usize = 512 << 10, "bytes";
        /// What a send takes the kernel, about.
        SEND_NS: u64 = 10_000, "ns";
        /// Sends that a turn may start, whatever is due.
        TURN_SENDS_MIN: u64 = 8, "sends";
        /// Bytes of a body that are read at once, and of outputs rendered at once in one turn.
        AT_ONCE_BYTES_MAX: usize = 32 << 10, "bytes";
        /// Bytes of a larger body or output that are read or rendered before others have their
        /// turn.
        PIECE_BYTES: usize = 8 << 10, "bytes";
        /// Least rate at which a client must take its answers, send by send. Below it, once the
        /// grace is used up: closed.
        SEND_RATE_BYTES_PER_S: u64 = 8 << 10, "bytes/s";
        /// Time that a send may take however small it is: what a client's own buffers hold is read
        /// before it shows.
        SEND_GRACE_NS: u64 = 10_000_000_000, "ns";
        /// Bytes owed to a connection beyond which none of its requests is read.
        OWED_PAUSE_BYTES: usize = 1 << 20, "bytes";
        /// Bytes that an answer is counted with beside its items: its head and its table.
        REPLY_OVERHEAD_BYTES: usize = 384, "bytes";
        /// Bytes of replicas' outputs that wait to be rendered. Beyond: the default output.
        RENDER_BYTES_MAX: usize = 256 << 20, "bytes";
        /// Bytes of a default output beside the names in it and what is configured.
        DEFAULT_TEXT_BYTES_MAX: usize = 256, "bytes";
        /// Bytes of a model's own words that an answer repeats. What is beyond is cut off.
        DETAIL_BYTES_MAX: usize = 512, "bytes";
        /// Bytes held for a connection whose input is left unread, before it is not received any
        /// more.
        STALLED_INPUT_BYTES_MAX: usize = 32 << 10, "bytes";
        /// Capacity that a connection keeps for incomplete requests when it holds few: what one
        /// buffer left, and the next one behind it.
        INPUT_BYTES_KEPT: usize = 32 << 10, "bytes";
        /// Capacity that an answer's buffer keeps for its next use.
        REPLY_BYTES_KEPT: usize = 2 << 10, "bytes";
        /// Items for which an answer's table keeps room for its next use.
        REPLY_ITEMS_KEPT: usize = 32, "items";
        /// Answers whose buffers are kept for their next use.
        SPARE_REPLIES_MAX: usize = 4096, "answers";
        /// For bodies that were read a moment ago, and their rows: of each application with a model
        /// whose outputs are kept.
        MEMO_BYTES: usize = 4 << 20, "bytes";
        /// Bytes of a body of numbers, and of the row that it comes to, for each byte of that row,
        /// as a rule. From this follows how many bodies can be remembered.
        MEMO_BYTES_PER_ROW_BYTE: usize = 3, "bytes";
        /// Remembering bodies pays if one at least in so many comes again: one that does not costs
        /// a third of what reading it does, and one that does saves most of that.
        MEMO_PAYS_PARTS: u32 = 4, "bodies";
        /// Capacity that a connection keeps between its sends.
        SEND_BYTES_KEPT: usize = 4 << 10, "bytes";
        /// Capacity from which a buffer is kept for the next, or freed on the control thread:
        /// either takes time.
        GARBAGE_BYTES_MIN: usize = 256 << 10, "bytes";
        /// Capacity of such buffers that are kept: for a body and for an output, of the largest.
        SPARE_BUFFER_BYTES_MAX: usize = 192 << 20, "bytes";
        /// How long one of them is kept that nobody wants.
        SPARE_BUFFER_NS: u64 = 1_000_000_000, "ns";
        /// Bytes of the tables that have a line for each connection, for one of them.
        CONNECTION_STATE_BYTES_MAX: usize = 2 << 10, "bytes";
    }
    "Configuration" {
        /// The most bytes of a configuration file.
        CONFIG_BYTES_MAX: u64 = 1 << 20, "bytes";
        /// The most applications of one server.
        APPLICATIONS_MAX: usize = 64, "applications";
        /// The most models of one server.
        MODELS_MAX: usize = 64, "models";
        /// The most addresses on which queries are taken.
        QUERY_LISTENERS_MAX: usize = 8, "addresses";
        /// The most bytes of the path of a Unix socket: what `sockaddr_un` holds, less its final
        /// zero.
        UNIX_PATH_BYTES_MAX: usize = 107, "bytes";
        /// The highest core number: what the kernel's fixed-size affinity mask holds.
        CPU_MAX: u32 = 1023, "core number";
        /// The most cores that one model may list.
        CPUS_MAX: usize = 64, "cores";
        /// The most bytes of one application's default output.
        DEFAULT_OUTPUT_BYTES_MAX: usize = 4096, "bytes";
        /// The tightest objective that may be asked for.
        SLO_US_MIN: u32 = 100, "us";
        /// The objective of an application that names none.
        SLO_US_DEFAULT: u32 = 20_000, "us";
        /// The loosest objective that may be asked for.
        SLO_US_MAX: u32 = TIMEOUT_US_MAX, "us";
        /// The largest bound on an input's bytes; `ITEM_BYTES_MAX` as the configuration counts.
        INPUT_BYTES_MAX: u32 = 64 << 20, "bytes";
        /// The bound on a `bytes` or `strings` input that names none.
        INPUT_BYTES_DEFAULT: u32 = 64 << 10, "bytes";
        /// The fewest rows of an input pool.
        POOL_ROWS_MIN: u32 = 16, "rows";
        /// The most rows of an input pool.
        POOL_ROWS_MAX: u32 = 4096, "rows";
        /// The most bytes of a pool whose rows are not configured.
        POOL_BYTES_MAX: u64 = 1 << 30, "bytes";
        /// Those of them that are taken at start; the others when their rows are first used.
        POOL_BYTES_AT_START_MAX: u64 = 64 << 20, "bytes";
        /// The most bytes of a pool whose rows are configured.
        POOL_BYTES_CONFIGURED_MAX: u64 = 4 << 30, "bytes";
        /// The most replicas of one model.
        REPLICAS_MAX: u32 = 64, "replicas";
        /// The most replicas of all models together.
        REPLICAS_TOTAL_MAX: u32 = 256, "replicas";
        /// The most words of a command, the program included.
        COMMAND_WORDS_MAX: usize = 256, "words";
        /// The most queries in a batch of a model that names no bound.
        BATCH_MAX_DEFAULT: u32 = 1024, "queries";
        /// The longest that a query may be made to wait for others to go with it.
        BATCH_WAIT_US_MAX: u32 = 1_000_000, "us";
        /// The shortest time after which a running batch may be called a hang.
        BATCH_TIMEOUT_US_MIN: u32 = 1_000, "us";
        /// The longest time after which a running batch may be called a hang.
        BATCH_TIMEOUT_US_MAX: u32 = 600_000_000, "us";
        /// The longest limit on loading a model that may be asked for: an hour. By default there
        /// is none.
        LOAD_TIMEOUT_US_MAX: u32 = 3_600_000_000, "us";
        /// The least that the batch timeout is when it is not configured.
        BATCH_TIMEOUT_DEFAULT_US_MIN: u32 = 1_000_000, "us";
        /// The batch timeout, when it is not configured, in multiples of the loosest linked
        /// objective.
        BATCH_TIMEOUT_DEFAULT_SLOS: u32 = 10, "objectives";
        /// The least bytes of a model's cache.
        CACHE_BYTES_MIN: u64 = 64 << 10, "bytes";
        /// The bytes of a model's cache that names none.
        CACHE_BYTES_DEFAULT: u64 = 64 << 20, "bytes";
        /// The most bytes of a model's cache.
        CACHE_BYTES_MAX: u64 = 16 << 30, "bytes";
        /// The shortest time for which an output may be kept.
        CACHE_TTL_US_MIN: u64 = 1_000, "us";
        /// The longest one that may be named: a week.
        CACHE_TTL_US_MAX: u64 = 7 * 24 * 3_600_000_000, "us";
        /// The bytes of a file of a decision log that names none.
        LOG_FILE_BYTES_DEFAULT: u64 = 64 << 20, "bytes";
        /// The most bytes of a file of the decision log.
        LOG_FILE_BYTES_MAX: u64 = 16 << 30, "bytes";
        /// The fewest files that a decision log may keep: one that is written, one that is whole.
        LOG_FILES_MIN: u32 = 2, "files";
        /// The files that a decision log keeps that names no number.
        LOG_FILES_DEFAULT: u32 = 16, "files";
        /// The most files that a decision log may keep.
        LOG_FILES_MAX: u32 = 4096, "files";
    }
    "Policies" {
        /// The η of Exp3 that names none: Clipper's.
        EXP3_ETA_DEFAULT: f64 = 0.1, "per unit of loss";
        /// The η of Exp4 that names none.
        EXP4_ETA_DEFAULT: f64 = 0.3, "per unit of loss";
        /// The part of Exp3's choices that is left to chance, where none is named.
        EXP3_FLOOR_DEFAULT: f64 = 0.01, "of all choices";
        /// The same of LinUCB.
        LIN_UCB_FLOOR_DEFAULT: f64 = 0.02, "of all choices";
        /// The part of all weight that Exp3 deals out anew with each loss, where none is named: a
        /// model that has healed comes back.
        EXP3_SHARE_DEFAULT: f64 = 1e-5, "of all weight";
        /// The same of Exp4, with each answer.
        EXP4_SHARE_DEFAULT: f64 = 1e-3, "of all weight";
        /// The ε of ε-greedy that names none.
        EPSILON_DEFAULT: f64 = 0.05, "of all choices";
        /// What an observation counts for, one later, where nothing is named: half after 346.
        DISCOUNT_DEFAULT: f64 = 0.998, "of before";
        /// The standard deviation of a loss where none is named.
        DEVIATION_DEFAULT: f64 = 0.25, "of the range of a loss";
        /// The α of LinUCB that names none.
        ALPHA_DEFAULT: f64 = 0.5, "deviations";
        /// The shortest time that may be waited for feedback.
        FEEDBACK_WAIT_US_MIN: u64 = 1_000, "us";
        /// The time that is waited for feedback where none is named.
        FEEDBACK_WAIT_US_DEFAULT: u64 = 60_000_000, "us";
        /// The longest time that may be waited for feedback: a day.
        FEEDBACK_WAIT_US_MAX: u64 = 24 * 3_600_000_000, "us";
        /// The fewest decisions that may be kept for their feedback.
        FEEDBACK_WINDOW_MIN: u32 = 16, "decisions";
        /// The decisions that are kept for their feedback where no number is named.
        FEEDBACK_WINDOW_DEFAULT: u32 = 1 << 16, "decisions";
        /// The most decisions that may be kept for their feedback.
        FEEDBACK_WINDOW_MAX: u32 = 1 << 22, "decisions";
        /// The contexts of an application in memory where no number is named.
        CONTEXTS_DEFAULT: u32 = 10_000, "contexts";
        /// The most contexts of an application in memory.
        CONTEXTS_MAX: u32 = 1 << 20, "contexts";
        /// The largest number, up or down, of what has no bound of its own: tolerances, ranges of
        /// losses, rewards, parameters of registered policies.
        NUMBER_MAX: f64 = 1e12, "of what models say";
        /// The smallest range of losses.
        LOSS_RANGE_MIN: f64 = 1e-9, "of what models say";
        /// The share of calls that may be sent twice where none is named.
        HEDGE_SHARE_DEFAULT: f64 = 0.05, "of all calls";
        /// The smallest share of calls that may be sent twice.
        HEDGE_SHARE_MIN: f64 = 0.001, "of all calls";
        /// The largest.
        HEDGE_SHARE_MAX: f64 = 0.5, "of all calls";
        /// Numbers that a program's own policy may be given.
        PARAMETERS_MAX: usize = 64, "numbers";
    }
    "Engine thread" {
        /// Operations submitted in one go.
        RING_ENTRIES: u32 = 1024, "entries";
        /// Bytes of the ring for each of them: a submission of 64 bytes, four completions of 16.
        RING_ENTRY_BYTES: usize = 128, "bytes";
        /// Buffers for received bytes, of all connections together. A receive that finds none is
        /// started again as soon as one is free.
        RECEIVE_BUFFERS: u16 = 512, "buffers";
        /// Bytes of one of them: a head and a row of 784 floats as JSON fit twice.
        RECEIVE_BUFFER_BYTES: u32 = 16 << 10, "bytes";
        /// How often the `Date` of answers is renewed.
        DATE_PERIOD_NS: u64 = 500_000_000, "ns";
        /// How often the gauges are brought up to date.
        GAUGE_PERIOD_NS: u64 = 100_000_000, "ns";
        /// Silence amid a request after which it is looked whether the client is still there.
        SILENCE_NS: u64 = 100_000_000, "ns";
        /// Connections whose time is up that are looked at in one turn.
        EXPIRED_MAX: usize = 64, "connections";
        /// Connections accepted that wait for the place of one that is being ended.
        ACCEPTED_WAITING_MAX: usize = 64, "connections";
        /// How long accepting pauses after it failed.
        ACCEPT_PAUSE_NS: u64 = 100_000_000, "ns";
        /// How long a client may take to close after it was told that the connection ends.
        LINGER_NS: u64 = 1_000_000_000, "ns";
        /// How long a client that has nothing going on may go on using its connection during a
        /// drain, and what has been sent in part may become whole.
        DRAIN_IDLE_NS: u64 = 250_000_000, "ns";
        /// How long a drain waits for answers before it answers with the default.
        DRAIN_NS_MAX: u64 = 10_000_000_000, "ns";
        /// How long a client may take during a drain to read its answers, after the last query of
        /// all was answered.
        DRAIN_SEND_NS: u64 = 2_000_000_000, "ns";
    }
    "Control" {
        /// How long an incarnation must have been up for its replica to be started again at once.
        RESTART_AT_ONCE_UP_NS: u64 = 1_000_000_000, "ns";
        /// The pause before a replica is started again, when its incarnation did not last.
        BACK_OFF_NS_MIN: u64 = 100_000_000, "ns";
        /// That pause doubles each time, up to this.
        BACK_OFF_NS_MAX: u64 = 10_000_000_000, "ns";
        /// The longest pause before a restart for which queries wait, if the replica was up before.
        BACK_OFF_SHORT_NS: u64 = 1_000_000_000, "ns";
        /// How long an incarnation must have been up for its replica's failures to be forgotten.
        BACK_OFF_RESET_UP_NS: u64 = 10_000_000_000, "ns";
        /// How long a replica that was asked to end may take before it is killed.
        REPLICA_STOP_NS: u64 = 2_000_000_000, "ns";
        /// How long the end of the server waits for killed processes.
        REPLICA_KILL_NS: u64 = 2_000_000_000, "ns";
        /// How long a process whose socket is closed may take to end by itself before it is killed.
        EXIT_GRACE_NS: u64 = 200_000_000, "ns";
        /// How long what a process left in its output pipes is read after it ended.
        OUTPUT_LINGER_NS: u64 = 200_000_000, "ns";
        /// Bytes of one line of a replica's output. What is beyond is cut off.
        OUTPUT_LINE_BYTES_MAX: usize = 4 << 10, "bytes";
        /// Lines of one output stream of a replica that are logged within `OUTPUT_WINDOW_NS`.
        OUTPUT_LINES_MAX: u32 = 100, "lines";
        /// The time over which `OUTPUT_LINES_MAX` counts.
        OUTPUT_WINDOW_NS: u64 = 1_000_000_000, "ns";
        /// Containers started by hand that may be in their handshake at one time. Beyond: not
        /// accepted yet.
        CONTAINERS_PENDING_MAX: usize = 64, "containers";
        /// Connections that wait to be accepted at the container socket.
        CONTAINER_BACKLOG: i32 = 64, "connections";
        /// Connections to the admin address. Beyond: they wait to be accepted.
        ADMIN_CONNECTIONS_MAX: usize = 64, "connections";
        /// How long an admin connection lives: one request and its answer.
        ADMIN_CONNECTION_NS: u64 = 5_000_000_000, "ns";
        /// How long `/inspect` waits for the engine thread before it says that the thread is stuck.
        INSPECT_ANSWER_NS: u64 = 1_000_000_000, "ns";
        /// Bytes of an admin request. Beyond: closed.
        ADMIN_REQUEST_BYTES_MAX: usize = 16 << 10, "bytes";
        /// How long an address in use is tried again before that is an error.
        BIND_PATIENCE_NS: u64 = 2_000_000_000, "ns";
        /// Between two tries.
        BIND_PAUSE_NS: u64 = 20_000_000, "ns";
        /// Connections that may wait to be accepted, where the system does not say how many it
        /// allows.
        LISTEN_BACKLOG_DEFAULT: i32 = 4096, "connections";
        /// The same, where it allows more than that.
        LISTEN_BACKLOG_MAX: i32 = 0xffff, "connections";
        /// How long the engine thread may take beyond the time of its drain before its replicas are
        /// killed under it.
        CONTROL_DRAIN_GRACE_NS: u64 = 5_000_000_000, "ns";
        /// How long the end of the server waits for an engine thread that was told to end at once.
        ENGINE_END_NS: u64 = LINGER_NS + 2_000_000_000, "ns";
        /// Bytes of one output stream of a replica that are read within [`OUTPUT_READ_WINDOW_NS`].
        OUTPUT_READ_BYTES_MAX: usize = 128 << 10, "bytes";
        /// The time over which [`OUTPUT_READ_BYTES_MAX`] counts.
        OUTPUT_READ_WINDOW_NS: u64 = 100_000_000, "ns";
        /// Those of one process among them.
        CONTAINERS_PENDING_OF_PROCESS_MAX: usize = 8, "containers";
        /// How long a container started by hand may take from its connection to its hello.
        CONTAINER_HELLO_NS: u64 = 3_000_000_000, "ns";
        /// Lines of the log about containers that are not taken, within [`REFUSAL_WINDOW_NS`].
        REFUSAL_LINES_MAX: u32 = 10, "lines";
        /// The time over which [`REFUSAL_LINES_MAX`] counts.
        REFUSAL_WINDOW_NS: u64 = 10_000_000_000, "ns";
        /// How long queries wait for a replica that loads. After that they are answered at once.
        LOADING_EXPECTED_NS: u64 = 5_000_000_000, "ns";
        /// How often the log is told that a replica is still loading.
        LOADING_TOLD_NS: u64 = 60_000_000_000, "ns";
        /// For a replica to map the rows of an application that its model is linked to, or to unmap
        /// them. Beyond: it is ended.
        POOL_CHANGE_NS: u64 = 5_000_000_000, "ns";
        /// How often the log is told, at most, that batches of a model fail.
        MODEL_FAILED_TOLD_NS: u64 = 10_000_000_000, "ns";
        /// How often the control thread looks at the counts of models.
        HEALTH_PERIOD_NS: u64 = 1_000_000_000, "ns";
        /// Looks over which failed batches are counted.
        HEALTH_SAMPLES_MAX: usize = 10, "samples";
        /// The part of the last batches that have failed when a model is called failing.
        MODEL_FAILING_PERCENT: u64 = 50, "percent";
        /// How old the last answer of `/inspect` may be to be given again.
        INSPECT_PERIOD_NS: u64 = 200_000_000, "ns";
        /// Characters of a name that a peer gives which are shown.
        NAME_SHOWN_CHARS_MAX: usize = 80, "characters";
        /// Descriptors of a replica: its socket, and again for pools that come later, its pidfd,
        /// its two output pipes, three segments and its doorbell; twice, since one incarnation may
        /// still end while another starts.
        DESCRIPTORS_OF_REPLICA: u64 = 18, "descriptors";
        /// Descriptors of an application: its pool, as each of the two threads has it.
        DESCRIPTORS_OF_APPLICATION: u64 = 2, "descriptors";
        /// Descriptors of a container started by hand that is in its handshake.
        DESCRIPTORS_OF_CONTAINER: u64 = 2, "descriptors";
        /// Descriptors that every server has: standard streams, ring, inbox, event loop, signals,
        /// and what is open for a moment only.
        DESCRIPTORS_OF_PROCESS: u64 = 48, "descriptors";
        /// Threads of a server: main, engine, control, and one that writes the log.
        THREADS: u64 = 4, "threads";
    }
    "Store" {
        /// Requests to the store that it has not taken yet. Beyond: the engine thread asks later.
        STORE_REQUESTS_MAX: usize = 1024, "requests";
        /// States that the store is asked for and that the engine thread has not taken yet.
        STORE_LOADS_MAX: usize = 1024, "states";
        /// How long the first state of a round waits for others that are written with it.
        STORE_ROUND_NS: u64 = 250_000_000, "ns";
        /// States of a round that is then written at once.
        STORE_ROUND_STATES_MAX: usize = 16 << 10, "states";
        /// Bytes of the states of a round that is then written at once.
        STORE_ROUND_BYTES_MAX: usize = 32 << 20, "bytes";
        /// Between two tries, when the file could not be written or read.
        STORE_RETRY_NS: u64 = 1_000_000_000, "ns";
        /// How often the log is told, at most, that it could not.
        STORE_TOLD_NS: u64 = 10_000_000_000, "ns";
        /// Bytes of the file that are kept in memory.
        STORE_CACHE_BYTES: usize = 64 << 20, "bytes";
        /// After so long what was learned survives the end of the process, however that comes.
        STORE_LOST_NS_MAX: u64 = 1_000_000_000, "ns";
    }
}

// Carrier.
const _: () =
    assert!(WAKES_WITHOUT_NEWS_PER_SECOND > 0 && WAKES_WITHOUT_NEWS_PER_SECOND <= 1_000_000_000);

// Decision log.
const _: () = {
    // A header has a text for each model and four more, each with its length.
    assert!((LINKS_MAX + 5) * (LOG_TEXT_BYTES_MAX + 2) + LOG_RECORD_BYTES_MAX <= LOG_CHUNK_BYTES);
    assert!(LOG_CHUNKS >= 2 && LOG_CHUNK_AGE_NS > 0);
    assert!(LOG_CHUNK_BYTES as u64 <= LOG_FILE_BYTES_MIN);
    assert!(LOG_CONTEXT_BYTES_MAX <= u16::MAX as usize && LOG_TEXT_BYTES_MAX <= u16::MAX as usize);
};

// HTTP port: what is within what.
const _: () = {
    assert!(2 * BODY_BYTES_MAX < IN_POOL_BYTES_MAX);
    // A share holds what every client may send: a head, and a body to a path that is nobody's.
    assert!(HEAD_BYTES_MAX <= CONNECTION_IN_SHARE_BYTES);
    // A chunked body is held and decoded at the same time.
    assert!(2 * (HEAD_BYTES_MAX + BODY_BYTES_MAX) < IN_POOL_BYTES_MAX);
    assert!(CONNECTION_OUT_SHARE_BYTES <= CONNECTION_OUT_BYTES_MAX);
    assert!(CONNECTION_OUT_BYTES_MAX <= OUT_POOL_BYTES_MAX);
    // What is freed on the control thread shares no allocator lock with the engine thread.
    assert!(GARBAGE_BYTES_MIN >= OWN_MAPPING_BYTES_MIN);
    assert!(PIECE_BYTES <= AT_ONCE_BYTES_MAX && AT_ONCE_BYTES_MAX <= SEND_BYTES_MAX);
    assert!(SEND_BYTES_MAX <= TURN_BYTES_MAX && SEND_BYTES_MAX <= RING_SEND_BYTES_MAX);
    assert!(MEMO_BYTES as u64 >= CACHE_BYTES_MIN && MEMO_BYTES as u64 <= CACHE_BYTES_MAX);
    assert!(MEMO_PAYS_PARTS > 1 && MEMO_PAYS_PARTS <= CACHE_WINDOW_MIN);
    assert!(MEMO_BYTES_PER_ROW_BYTE > 1);
    assert!(SEND_GRACE_NS < KEEP_ALIVE_IDLE_NS);
    // Who sends small requests one behind another is received from without a new buffer.
    assert!(INPUT_BYTES_KEPT >= 2 * RECEIVE_BUFFER_BYTES as usize);
    assert!(INPUT_BYTES_KEPT <= CONNECTION_IN_SHARE_BYTES);
};

// Configuration: what may be asked for holds the defaults.
const _: () = {
    assert!(INPUT_BYTES_MAX as usize == ITEM_BYTES_MAX);
    assert!(INPUT_BYTES_DEFAULT <= INPUT_BYTES_MAX);
    assert!(ITEM_BYTES_MAX.is_multiple_of(ROW_ALIGN_BYTES) && ROW_ALIGN_BYTES.is_power_of_two());
    assert!(SLO_US_MIN <= SLO_US_DEFAULT && SLO_US_DEFAULT <= SLO_US_MAX);
    assert!(POOL_ROWS_MIN <= POOL_ROWS_MAX);
    assert!(POOL_ROWS_MIN as u64 * ITEM_BYTES_MAX as u64 <= POOL_BYTES_CONFIGURED_MAX);
    assert!(POOL_BYTES_MAX <= POOL_BYTES_CONFIGURED_MAX);
    assert!(POOL_ROWS_MIN as u64 * ITEM_BYTES_MAX as u64 <= POOL_BYTES_MAX);
    assert!(ITEM_BYTES_MAX as u64 <= POOL_BYTES_AT_START_MAX);
    assert!(BATCH_MAX_DEFAULT <= BATCH_MAX);
    assert!(BATCH_TIMEOUT_US_MIN <= BATCH_TIMEOUT_DEFAULT_US_MIN);
    assert!(SLO_US_MAX * BATCH_TIMEOUT_DEFAULT_SLOS <= BATCH_TIMEOUT_US_MAX);
    assert!(REPLICAS_MAX <= REPLICAS_TOTAL_MAX);
    assert!(CACHE_BYTES_MIN <= CACHE_BYTES_DEFAULT && CACHE_BYTES_DEFAULT <= CACHE_BYTES_MAX);
    assert!(0 < CACHE_TTL_US_MIN && CACHE_TTL_US_MIN <= CACHE_TTL_US_MAX);
    assert!(LOG_FILE_BYTES_MIN <= LOG_FILE_BYTES_DEFAULT);
    assert!(LOG_FILE_BYTES_DEFAULT <= LOG_FILE_BYTES_MAX);
    assert!(LOG_FILES_MIN <= LOG_FILES_DEFAULT && LOG_FILES_DEFAULT <= LOG_FILES_MAX);
};

// Policies: the same.
const _: () = {
    assert!(ETA_MIN <= EXP3_ETA_DEFAULT && EXP3_ETA_DEFAULT <= ETA_MAX);
    assert!(ETA_MIN <= EXP4_ETA_DEFAULT && EXP4_ETA_DEFAULT <= ETA_MAX);
    assert!(DISCOUNT_MIN <= DISCOUNT_DEFAULT && DISCOUNT_DEFAULT <= DISCOUNT_MAX);
    assert!(DEVIATION_MIN <= DEVIATION_DEFAULT && DEVIATION_DEFAULT <= DEVIATION_MAX);
    assert!(ALPHA_DEFAULT <= ALPHA_MAX);
    assert!(FEEDBACK_WAIT_US_MIN <= FEEDBACK_WAIT_US_DEFAULT);
    assert!(FEEDBACK_WAIT_US_DEFAULT <= FEEDBACK_WAIT_US_MAX);
    assert!(FEEDBACK_WINDOW_MIN <= FEEDBACK_WINDOW_DEFAULT);
    assert!(FEEDBACK_WINDOW_DEFAULT <= FEEDBACK_WINDOW_MAX);
    assert!(CONTEXTS_DEFAULT <= CONTEXTS_MAX);
    assert!(0.0 < LOSS_RANGE_MIN && LOSS_RANGE_MIN <= NUMBER_MAX);
    assert!(0.0 < LOG_SAMPLE_MIN && LOG_SAMPLE_MIN <= 1.0);
    assert!(0.0 < HEDGE_SHARE_MIN && HEDGE_SHARE_MIN <= HEDGE_SHARE_DEFAULT);
    assert!(HEDGE_SHARE_DEFAULT <= HEDGE_SHARE_MAX && HEDGE_SHARE_MAX <= 1.0);
};

// Control.
const _: () = {
    assert!(INSPECT_ANSWER_NS < ADMIN_CONNECTION_NS);
    // What a dead replica left in its pipe, 64 KiB as a rule, is read before it is given up.
    assert!(OUTPUT_READ_WINDOW_NS < OUTPUT_LINGER_NS);
    assert!(OUTPUT_READ_BYTES_MAX >= 64 << 10);
    assert!(CONTAINERS_PENDING_OF_PROCESS_MAX < CONTAINERS_PENDING_MAX);
    assert!(BACK_OFF_NS_MIN > 0 && BACK_OFF_NS_MIN <= BACK_OFF_NS_MAX);
    assert!(RESTART_AT_ONCE_UP_NS <= BACK_OFF_RESET_UP_NS);
};

// Store: half of the bound is left for the write itself.
const _: () = {
    assert!(CONTEXT_SAVE_WAIT_NS + STORE_ROUND_NS <= STORE_LOST_NS_MAX / 2);
    assert!(STORE_ROUND_STATES_MAX >= STORE_REQUESTS_MAX);
    assert!(STORE_RETRY_NS <= STORE_TOLD_NS);
};

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_is_sound() {
        assert_eq!(cutter_limits::faults(super::TABLE), [""; 0]);
    }
}
