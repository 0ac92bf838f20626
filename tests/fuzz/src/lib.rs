//! Targets for fuzzing: every reader of Cutter that a peer or an operator can reach, given bytes
//! that nobody would send, and held to an oracle.
//!
//! ```text
//!  corpus/TARGET/* ─┬─▸ seeded: replay, then mutate ──┐
//!                   │   (cargo test, every toolchain) ├─▸ a target: bytes ─▸ Cutter ─▸ oracle
//!                   └─▸ libFuzzer, led by coverage ───┘                        └─ false: a panic
//!                       (the `libfuzzer` feature)
//! ```
//!
//! A target is a function of bytes alone: no clock, no randomness, nothing kept from one input to
//! the next, so that a file is all that it takes to see a failure again. It takes what it needs to
//! know beside the payload (cuts, types, steps) from the first of the bytes, through [`Source`].
//!
//! Invariants:
//! - Each target can fail: it compares with another parser, with the same one used otherwise, or
//!   with bounds that follow from what was declared. That nothing panics is only the least of it.
//! - A target bounds its own work, so that a slow input is Cutter's doing.

mod configuration;
mod connection_script;
mod hello_and_answer;
mod hello_to_json;
mod hostile_replica;
mod http_stream;
mod json_body;
mod raw;
mod rendered;
mod replica;
pub mod seeded;
mod source;
mod tensor_to_json;
mod typed;

pub use configuration::configuration;
pub use connection_script::connection_script;
pub use hello_and_answer::hello_and_answer;
pub use hello_to_json::hello_to_json;
pub use hostile_replica::hostile_replica;
pub use http_stream::http_stream;
pub use json_body::json_body;
pub use source::Source;
pub use tensor_to_json::tensor_to_json;

/// Something to be fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Names the folder of its corpus and its dictionary.
    pub name: &'static str,
    /// Panics when the bytes show a fault.
    pub run: fn(&[u8]),
    /// Longer inputs are not made: they take time and find nothing that shorter ones do not.
    pub input_bytes_max: usize,
    /// Words that mean something to what is fuzzed, in libFuzzer's notation.
    pub dictionary: &'static str,
}

macro_rules! targets {
    ($($name:ident: $input_bytes_max:expr),+ $(,)?) => {
        /// All targets.
        pub const TARGETS: &[Target] = &[$(Target {
            name: stringify!($name),
            run: $name,
            input_bytes_max: $input_bytes_max,
            dictionary: include_str!(concat!("../dictionaries/", stringify!($name), ".dict")),
        }),+];
    };
}

targets! {
    http_stream: 4096,
    json_body: 1024,
    hello_and_answer: 3072,
    hostile_replica: 1024,
    hello_to_json: 1024,
    tensor_to_json: 1024,
    configuration: 4096,
    connection_script: 1024,
}

impl Target {
    pub fn named(name: &str) -> Option<&'static Target> {
        TARGETS.iter().find(|target| target.name == name)
    }
}
