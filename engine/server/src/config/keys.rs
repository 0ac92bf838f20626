//! Every key of the file, written down once: its name, what it may hold, its default, and what it
//! means.
//!
//! `keys!` makes of each table the struct that serde fills and that refuses every other key; of
//! each key a function that gives its bounds and what was written; and, for the test that compares
//! them, the rows of `engine/CONFIGURATION.md`. All keys are optional here: what is missing is
//! reported by `resolve`.

use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use cutter_core::limits::{BATCH_MAX, LINKS_MAX};
use cutter_tensor::ElementType;
use cutter_tensor::limits::RANK_MAX;
use serde::Deserialize;

use super::kinds::{
    BoundedText, Flag, Form, Key, Kind, Name, Nested, Number, Numbers, SocketPath, Texts, Word,
};
use super::settings::{BatchPolicy, WaitStrategy};
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

        /// The models of the application, as `name` or `name:version`, see Several models. The
        /// first is asked. Without one, every query gets the default output.
        models: Texts(0..=LINKS_MAX);
            range "{}, each once";
            default "`[]`";

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
    }

    Batch, "### `batch`"; {
        /// `aimd`: grow while batches meet their objective, shrink when they miss it. `fixed`:
        /// always up to `max`.
        policy: Word<Policy>(&POLICY_WORDS);
            default "`\"{}\"`", POLICY_DEFAULT(BATCH_MAX).name();

        /// The most queries of one batch.
        max: Number(1..=BATCH_MAX);
            default "`{}`", limits::BATCH_MAX_DEFAULT;
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

/// From the most queries of one batch.
pub(super) type Policy = fn(u32) -> BatchPolicy;
const AIMD: Policy = |max| BatchPolicy::Aimd { max };
const FIXED: Policy = |max| BatchPolicy::Fixed { max };
const POLICY_WORDS: [(&[&str], Policy); 2] =
    [(&[BatchPolicy::AIMD], AIMD), (&[BatchPolicy::FIXED], FIXED)];
pub(super) const POLICY_DEFAULT: Policy = AIMD;

/// A row of the document.
#[cfg(test)]
pub(super) struct Row {
    pub key: &'static str,
    pub kind: &'static str,
    pub default: String,
    pub range: String,
    pub meaning: &'static str,
}
