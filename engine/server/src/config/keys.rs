//! Every key of the file, written down once: its name, what it may hold, its default, and what it
//! means.
//!
//! `keys!` makes of each table the struct that serde fills and that refuses every other key; of
//! each key a function that gives its bounds and what was written; and, for the test that compares
//! them, the rows of `engine/CONFIGURATION.md`. All keys are optional here: what is missing is
//! reported by `resolve`.

use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use cutter_core::feedback::Reading;
use cutter_core::limits::{
    ALPHA_MAX, BATCH_MAX, CONTEXT_NUMBERS_MAX, DEVIATION_MAX, DEVIATION_MIN, DISCOUNT_MIN, ETA_MAX,
    ETA_MIN, LINKS_MAX,
};
use cutter_tensor::ElementType;
use cutter_tensor::limits::RANK_MAX;
use serde::Deserialize;

use super::kinds::{
    BoundedText, ByName, Decimal, DecimalOr, Decimals, Flag, Form, Key, Kind, Large, Name, Nested,
    Number, Numbers, SocketPath, Texts, Word,
};
use super::settings::{BatchCost, BatchPolicy, Mode, Substitute, WaitStrategy};
use super::value::{List, Table};
use crate::limits;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub server: Option<Table<Server>>,
    #[serde(default)]
    pub application: List<Table<Application>>,
    #[serde(default)]
    pub model: List<Table<Model>>,
}

/// Each table with its heading in the document. Each key with what it means, its kind and bounds,
/// its range in words (`{}` are those of the bounds; without a `range` they are all), and its
/// default in words. Words are as `format!` takes them, so that their numbers are the constants.
macro_rules! keys {
    ($($table:ident, $heading:literal $(, $heading_arg:expr)*; {$(
        $(#[doc = $meaning:literal])*
        $key:ident: $kind:ident $(<$of:ident>)? ($($bound:expr),*);
            $(range $range:literal $(, $range_arg:expr)*;)?
            default $default:literal $(, $default_arg:expr)*;
    )*})*) => {
        $(
            #[derive(Debug, Default, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub(super) struct $table {
                $($(#[doc = $meaning])* $key: Option<<$kind $(<$of>)? as Kind>::Value>,)*
            }

            impl $table {
                $(pub(super) fn $key(&self) -> Key<'_, $kind $(<$of>)?> {
                    let name = stringify!($key).trim_start_matches("r#");
                    Key { name, kind: $kind($($bound),*), value: self.$key.as_ref() }
                })*
            }
        )*

        /// The tables of the document with their headings, in its order.
        #[cfg(test)]
        pub(super) fn document() -> Vec<(String, Vec<Row>)> {
            vec![$({
                let table = $table::default();
                let rows = vec![$({
                    let key = table.$key();
                    let (kind, range) = key.kind.words();
                    $(let range = format!($range, range $(, $range_arg)*);)?
                    let default = format!($default $(, $default_arg)*);
                    let meaning = concat!($($meaning),*).trim();
                    Row { key: key.name, kind, default, range, meaning }
                }),*];
                (format!($heading $(, $heading_arg)*), rows)
            }),*]
        }
    };
}

keys! {
    Server, "## `[server]`"; {
        /// Where queries are taken: an IP address with a port (port 0: any free port), or
        /// `unix:PATH` (bounded as `socket` is). Host names are not resolved.
        query: Texts(1..=limits::QUERY_LISTENERS_MAX);
            range "{}, each once";
            default "`[\"{}\"]`", QUERY_DEFAULT;

        /// Where `/metrics`, `/healthz`, `/readyz`, `/stats` and `/inspect` are.
        admin: Form(ADDRESS);
            default "`\"{}\"`", ADMIN_DEFAULT;

        /// The core of the engine thread.
        cpu: Number(0..=limits::CPU_MAX);
            default "not pinned";

        /// What the engine thread does while there is nothing to do: look again and again; look
        /// and let others run; yield for a while and then sleep; sleep at once.
        wait: Word<WaitStrategy>(&WAIT_WORDS);
            default "`\"{}\"`", WaitStrategy::default().name();

        /// The Unix socket at which containers started by hand connect.
        socket: SocketPath(limits::UNIX_PATH_BYTES_MAX);
            default "none: nothing listens";

        /// Where what policies have learned outlives the server. A file that is called `none` is
        /// `./none`.
        state: Form("the path of a file, or `none`: it is gone with the server");
            default "a file in the state directory of the platform";

        /// A record of decisions and feedback.
        decision_log: Nested<DecisionLog>(PhantomData);
            default "none: nothing is recorded";
    }

    DecisionLog, "### `decision_log`"; {
        /// Where its files are. It is made if it is not there.
        directory: Form("the path of a folder");
            default "*required*";

        /// A file of so many bytes is ended, and the next one begun.
        file_bytes: Large(limits::LOG_FILE_BYTES_MIN..=limits::LOG_FILE_BYTES_MAX);
            default "`{}`", limits::LOG_FILE_BYTES_DEFAULT;

        /// The files that are kept. Beyond, the oldest is removed.
        files: Number(limits::LOG_FILES_MIN..=limits::LOG_FILES_MAX);
            default "`{}`", limits::LOG_FILES_DEFAULT;

        /// The share of decisions that are recorded.
        sample: Decimal(limits::LOG_SAMPLE_MIN, 1.0);
            default "`1`";
    }

    Application, "## `[[application]]` (0 to {})", limits::APPLICATIONS_MAX; {
        /// The application's part of the URL: `POST /NAME/predict`.
        name: Name("-_");
            range "{}; not `{}`", RESERVED_NAMES.join("`, `");
            default "*required*";

        /// What a query holds.
        input: Nested<Input>(PhantomData);
            default "*required*";

        /// The time in which every query is answered, in microseconds.
        slo_us: Number(limits::SLO_US_MIN..=limits::SLO_US_MAX);
            range "{} ({} µs to {} s)", limits::SLO_US_MIN, limits::SLO_US_MAX / 1_000_000;
            default "`{}`", limits::SLO_US_DEFAULT;

        /// What is answered when no prediction is there in time.
        default_output: BoundedText(limits::DEFAULT_OUTPUT_BYTES_MAX);
            default "`\"\"`";

        /// The models of the application, as `name` or `name:version`, see Several models. Without
        /// a `policy` the first is asked. Without one, every query gets the default output.
        models: Texts(0..=LINKS_MAX);
            range "{}, each once";
            default "`[]`";

        /// Whom of its models a query asks, and how that is learned, see Policies.
        policy: Nested<Policy>(PhantomData);
            default "none: the first model is asked";

        /// The rows of the input pool, see Rows: the queries that may wait or run at a time. One
        /// more is answered `overloaded`.
        rows: Number(limits::POOL_ROWS_MIN..=limits::POOL_ROWS_MAX);
            range "{}, and a pool of at most {} GiB", limits::POOL_BYTES_CONFIGURED_MAX >> 30;
            default "as many as {} GiB holds, between {} and {}",
                limits::POOL_BYTES_MAX >> 30, limits::POOL_ROWS_MIN, limits::POOL_ROWS_MAX;

        /// A string output is answered as a JSON string. With `true`, one that is JSON by itself
        /// (a number, an object, a list …) is embedded as that, as Clipper does.
        json_output: Flag();
            default "`{}`", bool::default();
    }

    Input, "### `input`"; {
        /// The elements: bytes, int32, float32, float64, text in UTF-8. Clipper's other words mean
        /// the same: `b`, `i`, `f`, `d`, `s`, and the singulars.
        r#type: Word<ElementType>(&TYPE_WORDS);
            default "*required*";

        /// Every input has exactly this shape. Not for `strings`.
        shape: Numbers(1..=RANK_MAX, 1..=u32::MAX);
            range "{}; at most {} MiB in all", cutter_tensor::limits::ITEM_BYTES_MAX >> 20;
            default "none";

        /// Inputs have any size up to this.
        max_bytes: Number(1..=limits::INPUT_BYTES_MAX);
            range "{}, a multiple of an element's bytes";
            default "`{}` for `bytes` and `strings` without a shape, else none",
                limits::INPUT_BYTES_DEFAULT;
    }

    Policy, "### `policy`"; {
        /// Which policy, see Policies.
        name: Word<PolicyName>(&POLICY_NAMES);
            range "{}; or a name that the program has registered";
            default "`\"{}\"`", POLICY_NAMES[0].0[0];

        /// η: how fast weights react to a loss.
        eta: Decimal(ETA_MIN, ETA_MAX);
            default "{}; of `exp4` {}", limits::EXP3_ETA_DEFAULT, limits::EXP4_ETA_DEFAULT;

        /// The part of all choices that is left to chance.
        floor: Decimal(0.0, 1.0);
            default "0; of `exp3` {}, of `lin_ucb` {}",
                limits::EXP3_FLOOR_DEFAULT, limits::LIN_UCB_FLOOR_DEFAULT;

        /// The part of all weight that is dealt out anew with each answer, so that a model that has
        /// healed comes back.
        share: Decimal(0.0, 1.0);
            default "{}; of `exp4` {}", limits::EXP3_SHARE_DEFAULT, limits::EXP4_SHARE_DEFAULT;

        /// The part of all choices of ε-greedy that is left to chance.
        epsilon: Decimal(0.0, 1.0);
            default "{}", limits::EPSILON_DEFAULT;

        /// What an observation counts for, one observation later; 1: for ever the same.
        discount: Decimal(DISCOUNT_MIN, 1.0);
            range "{}; of `thompson` and `gaussian_thompson` at most {}",
                cutter_core::limits::DISCOUNT_MAX;
            default "{}", limits::DISCOUNT_DEFAULT;

        /// The standard deviation of the losses of one model.
        deviation: Decimal(DEVIATION_MIN, DEVIATION_MAX);
            default "{}", limits::DEVIATION_DEFAULT;

        /// How much LinUCB dares where it knows little.
        alpha: Decimal(0.0, ALPHA_MAX);
            default "{}", limits::ALPHA_DEFAULT;

        /// The numbers of the context that comes with each query.
        context_numbers: Number(1..=CONTEXT_NUMBERS_MAX_U32);
            default "none; required of `lin_ucb`";

        /// What each model counts for, in the order of `models`.
        weights: Decimals(1..=LINKS_MAX, 0.0, 1.0);
            default "none; required of `weighted`";

        /// What a registered policy is made of, by names of its own.
        parameters: ByName(limits::PARAMETERS_MAX, -limits::NUMBER_MAX, limits::NUMBER_MAX);
            default "none";

        /// How outputs are read: as a class (a whole number, a string or bytes), as one real value,
        /// or as a number for each class.
        outputs: Word<Reading>(&READING_WORDS);
            default "`\"{}\"`", READING_WORDS[0].0[0];

        /// How far from the answer a value may be that agrees with it. Only for values.
        tolerance: Decimal(0.0, limits::NUMBER_MAX);
            default "0";

        /// What stands for a model that has said nothing by the deadline: nothing, the mean of what
        /// it has said so far (not for classes), what it last said of this input.
        substitute: Word<Substitute>(&SUBSTITUTE_WORDS);
            default "`\"{}\"`", Substitute::default().name();

        /// The share of all linked models that must agree; below it the default output is answered
        /// with reason `unsure`. 0: any. Only for policies that ask all models.
        unsure_below: Decimal(0.0, 1.0);
            default "`0`";

        /// How wrong an answer is beside a label: right or wrong; how far off, in parts of `range`;
        /// the square of that.
        loss: Word<LossName>(&LOSS_WORDS);
            default "`\"{}\"`", LOSS_WORDS[0].0[0];

        /// How far off is as wrong as can be. Required for `absolute` and `squared`, and only for
        /// these.
        range: Decimal(limits::LOSS_RANGE_MIN, limits::NUMBER_MAX);
            default "none";

        /// The rewards that may be reported: the worst and the best.
        reward_range: Decimals(2..=2, -limits::NUMBER_MAX, limits::NUMBER_MAX);
            range "{}, the first below the second";
            default "`[0, 1]`";

        /// `online`: the policy chooses and learns. `apprentice`: `baseline` is asked, and the
        /// policy learns beside it. `log_only`: `baseline` is asked, and nothing is learned.
        mode: Word<ModeName>(&MODE_WORDS);
            default "`\"{}\"`", Mode::Online.name();

        /// The model that is asked in the modes `apprentice` and `log_only`. Required for these,
        /// and only for these.
        baseline: Form("a model of `models`");
            default "none";

        /// How long feedback is waited for, from the answer on, in microseconds.
        feedback_wait_us: Large(limits::FEEDBACK_WAIT_US_MIN..=limits::FEEDBACK_WAIT_US_MAX);
            range "{} ({} ms to {} h)",
                limits::FEEDBACK_WAIT_US_MIN / 1_000, limits::FEEDBACK_WAIT_US_MAX / 3_600_000_000;
            default "`{}`", limits::FEEDBACK_WAIT_US_DEFAULT;

        /// The decisions that are kept for their feedback. Beyond, the oldest is not waited for.
        feedback_window: Number(limits::FEEDBACK_WINDOW_MIN..=limits::FEEDBACK_WINDOW_MAX);
            default "`{}`", limits::FEEDBACK_WINDOW_DEFAULT;

        /// What a decision without feedback teaches: nothing, or this reward.
        unrewarded: DecimalOr(LEAVE_OUT);
            range "{} within `reward_range`";
            default "`\"{}\"`", LEAVE_OUT;

        /// Whether a default output counts as a loss of 1 of the models that were asked.
        default_teaches: Flag();
            default "`{}`", bool::default();

        /// Of the random numbers. 0: another one in each run.
        seed: Large(0..=u64::MAX);
            default "`0`";

        /// The contexts whose states are in memory; those of others are in the state file. 0: one
        /// state for all.
        contexts: Number(0..=limits::CONTEXTS_MAX);
            default "`{}`", limits::CONTEXTS_DEFAULT;

        /// The largest share of all choices that a model gets, by its name in `models`. Together
        /// with those without a cap they must come to 1. Only for policies that ask one model.
        caps: ByName(LINKS_MAX, 0.0, 1.0);
            default "none";

        /// Models that are not asked.
        off: Texts(0..=LINKS_MAX);
            range "{}, each once, and not all";
            default "`[]`";

        /// Whether a call whose replica is late is also sent to an idle replica.
        hedge: Flag();
            default "`{}`", bool::default();

        /// The largest share of calls that are sent twice.
        hedge_share: Decimal(limits::HEDGE_SHARE_MIN, limits::HEDGE_SHARE_MAX);
            default "`{}`", limits::HEDGE_SHARE_DEFAULT;
    }

    Model, "## `[[model]]` (0 to {})", limits::MODELS_MAX; {
        /// What `models` of an application refers to. Several tables may have the same name: one
        /// for each version.
        name: Name("-_");
            default "*required*";

        /// The version that the containers run.
        version: Name("-_.");
            default "`\"{}\"`", VERSION_DEFAULT;

        /// The program and its arguments; no shell is involved. A program with a slash begins at
        /// `directory`; one without is found by `PATH`. Without a `command`, `[server] socket` is
        /// required.
        command: Texts(1..=limits::COMMAND_WORDS_MAX);
            range "{} words";
            default "none: started by hand";

        /// The working directory of the replicas.
        directory: Form("the path of a folder");
            default "the folder of the file";

        /// How many containers serve the model.
        replicas: Number(1..=limits::REPLICAS_MAX);
            range "{}; at most {} over all models", limits::REPLICAS_TOTAL_MAX;
            default "`{}`", REPLICAS_DEFAULT;

        /// The cores of the replicas, dealt out in turn: replica *i* runs on item *i* modulo the
        /// length.
        cpus: Numbers(1..=limits::CPUS_MAX, 0..=limits::CPU_MAX);
            default "not pinned";

        /// How batches are sized.
        batch: Nested<Batch>(PhantomData);
            default "`{{}}`";

        /// When a batch has run for this long, its replica hangs: it is killed and its work goes
        /// elsewhere.
        batch_timeout_us: Number(limits::BATCH_TIMEOUT_US_MIN..=limits::BATCH_TIMEOUT_US_MAX);
            range "{} ({} ms to {} min)",
                limits::BATCH_TIMEOUT_US_MIN / 1_000, limits::BATCH_TIMEOUT_US_MAX / 60_000_000;
            default "{} × the loosest `slo_us` linked to the model, at least {}",
                limits::BATCH_TIMEOUT_DEFAULT_SLOS, limits::BATCH_TIMEOUT_DEFAULT_US_MIN;

        /// A container that does not serve so long after its start, or its connection, is given
        /// up: killed and started again, or refused. While it loads, `/readyz` calls it `loading`,
        /// and queries are answered `not_ready`.
        load_timeout_us: Number(0..=limits::LOAD_TIMEOUT_US_MAX);
            range "{} ({} h)", limits::LOAD_TIMEOUT_US_MAX / 3_600_000_000;
            default "`0`: no limit";

        /// How the replicas wait for work.
        wait: Word<WaitStrategy>(&WAIT_WORDS);
            default "`\"{}\"`", WaitStrategy::default().name();

        /// Whether it says the same of the same input, always.
        deterministic: Flag();
            default "`true`";

        /// Outputs that are kept for the same input. Not for a model that is not deterministic.
        cache: Nested<Cache>(PhantomData);
            default "none: every call is made";
    }

    Batch, "### `batch`"; {
        /// `aimd`: grow while batches meet their objective, shrink when they miss it. `quantile`:
        /// as large as the median and the 99th percentile of service times, lines over the size,
        /// allow. `fixed`: always up to `max`.
        policy: Word<BatchPolicy>(&BATCHING_WORDS);
            default "`\"{}\"`", BatchPolicy::default().name();

        /// The most queries of one batch.
        max: Number(1..=BATCH_MAX);
            default "`{}`", limits::BATCH_MAX_DEFAULT;

        /// How long a query waits at most for others to go with it, in microseconds, and never for
        /// so long that it would be late. It pays where a batch costs much beside its queries.
        wait_us: Number(0..=limits::BATCH_WAIT_US_MAX);
            range "{} ({} s)", limits::BATCH_WAIT_US_MAX / 1_000_000;
            default "`0`";

        /// Whether a batch begins as late as its first query allows, so that it grows, when another
        /// replica of the model works meanwhile. In any case the only idle one of several waits for
        /// its turn after the last batch began, an n-th of what the batches of n replicas take.
        defer: Flag();
            default "`{}`", bool::default();

        /// Whether a batch needs its core for itself: replicas of models that say so take turns on
        /// a core of `cpus`, the one first that must begin first.
        exclusive: Flag();
            default "`{}`", bool::default();

        /// What `policy` adapts to, and service time is predicted from: the queries of a batch, or
        /// the bytes of their inputs, where long inputs take longer than short ones.
        cost: Word<BatchCost>(&COST_WORDS);
            default "`\"{}\"`", COST_WORDS[0].0[0];

        /// The most bytes of the inputs of one batch; one input may have more. Only for the cost
        /// `bytes`.
        max_cost_bytes: Number(1..=u32::MAX);
            default "no bound of its own";
    }

    Cache, "### `cache`"; {
        /// The most memory that it takes, everything counted.
        bytes: Large(limits::CACHE_BYTES_MIN..=limits::CACHE_BYTES_MAX);
            range "{} ({} KiB to {} GiB)",
                limits::CACHE_BYTES_MIN >> 10, limits::CACHE_BYTES_MAX >> 30;
            default "`{}`", limits::CACHE_BYTES_DEFAULT;

        /// An output that is older than this, in microseconds, is not used.
        ttl_us: Large(limits::CACHE_TTL_US_MIN..=limits::CACHE_TTL_US_MAX);
            range "{} ({} ms to {} days)",
                limits::CACHE_TTL_US_MIN / 1_000, limits::CACHE_TTL_US_MAX / 86_400_000_000;
            default "none: it is as good as a new one";
    }
}

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub(super) const QUERY_DEFAULT: SocketAddr = SocketAddr::new(LOCALHOST, 1337);
pub(super) const ADMIN_DEFAULT: SocketAddr = SocketAddr::new(LOCALHOST, 1338);
pub(super) const VERSION_DEFAULT: &str = "1";
pub(super) const REPLICAS_DEFAULT: u32 = 1;

pub(super) const ADDRESS: &str = "an IP address with a port";

/// Names under which the server itself answers.
pub(super) const RESERVED_NAMES: [&str; 5] = ["admin", "healthz", "metrics", "readyz", "v2"];

const TYPE_WORDS: [(&[&str], ElementType); 5] = [
    (&["bytes", "byte", "b"], ElementType::Bytes),
    (&["integers", "integer", "i"], ElementType::Int32),
    (&["floats", "float", "f"], ElementType::Float32),
    (&["doubles", "double", "d"], ElementType::Float64),
    (&["strings", "string", "s"], ElementType::String),
];

const WAIT_WORDS: [(&[&str], WaitStrategy); 4] = [
    (&[WaitStrategy::Spin.name()], WaitStrategy::Spin),
    (&[WaitStrategy::Yield.name()], WaitStrategy::Yield),
    (&[WaitStrategy::Adaptive.name()], WaitStrategy::Adaptive),
    (&[WaitStrategy::Block.name()], WaitStrategy::Block),
];

const BATCHING_WORDS: [(&[&str], BatchPolicy); 3] = [
    (&[BatchPolicy::Aimd.name()], BatchPolicy::Aimd),
    (&[BatchPolicy::Quantile.name()], BatchPolicy::Quantile),
    (&[BatchPolicy::Fixed.name()], BatchPolicy::Fixed),
];

/// The first is the default.
const COST_WORDS: [(&[&str], BatchCost); 2] = [
    (&[BatchCost::ROWS], BatchCost::Rows),
    (&[BatchCost::BYTES], BatchCost::Bytes { max: u32::MAX }),
];

/// The policies of the core.
#[derive(Clone, Copy, Debug)]
pub(super) enum PolicyName {
    Static,
    Exp3,
    Exp3Ix,
    Exp4,
    EpsilonGreedy,
    Ucb1,
    Thompson,
    GaussianThompson,
    Vote,
    Weighted,
    LinUcb,
}

/// The first is the default.
const POLICY_NAMES: [(&[&str], PolicyName); 11] = [
    (&["static"], PolicyName::Static),
    (&["exp3"], PolicyName::Exp3),
    (&["exp3_ix"], PolicyName::Exp3Ix),
    (&["exp4"], PolicyName::Exp4),
    (&["epsilon_greedy"], PolicyName::EpsilonGreedy),
    (&["ucb1"], PolicyName::Ucb1),
    (&["thompson"], PolicyName::Thompson),
    (&["gaussian_thompson"], PolicyName::GaussianThompson),
    (&["vote"], PolicyName::Vote),
    (&["weighted"], PolicyName::Weighted),
    (&["lin_ucb"], PolicyName::LinUcb),
];

#[expect(clippy::cast_possible_truncation, reason = "asserted below")]
const CONTEXT_NUMBERS_MAX_U32: u32 = CONTEXT_NUMBERS_MAX as u32;
const _: () = assert!(CONTEXT_NUMBERS_MAX_U32 as usize == CONTEXT_NUMBERS_MAX);

/// The first is the default.
const READING_WORDS: [(&[&str], Reading); 3] =
    [(&["class"], Reading::Class), (&["value"], Reading::Value), (&["scores"], Reading::Scores)];

const SUBSTITUTE_WORDS: [(&[&str], Substitute); 3] = [
    (&[Substitute::Nothing.name()], Substitute::Nothing),
    (&[Substitute::Mean.name()], Substitute::Mean),
    (&[Substitute::Last.name()], Substitute::Last),
];

/// A loss without its range.
#[derive(Clone, Copy, Debug)]
pub(super) enum LossName {
    ZeroOne,
    Absolute,
    Squared,
}

/// The first is the default.
const LOSS_WORDS: [(&[&str], LossName); 3] = [
    (&["zero_one"], LossName::ZeroOne),
    (&["absolute"], LossName::Absolute),
    (&["squared"], LossName::Squared),
];

/// A mode without its baseline.
#[derive(Clone, Copy, Debug)]
pub(super) enum ModeName {
    Online,
    Apprentice,
    LogOnly,
}

const MODE_WORDS: [(&[&str], ModeName); 3] = [
    (&[Mode::ONLINE], ModeName::Online),
    (&[Mode::APPRENTICE], ModeName::Apprentice),
    (&[Mode::LOG_ONLY], ModeName::LogOnly),
];

/// What a decision without feedback teaches by default.
pub(super) const LEAVE_OUT: &str = "leave_out";

/// The one word of the `state` that is no path.
pub(super) const NO_STATE: &str = "none";

/// A row of the document.
#[cfg(test)]
pub(super) struct Row {
    pub key: &'static str,
    pub kind: &'static str,
    pub default: String,
    pub range: String,
    pub meaning: &'static str,
}
