//! The targets under libFuzzer: `CUTTER_FUZZ_TARGET` names one, the arguments are libFuzzer's own.
//! The README has the flags with which this is built.

#![no_main]

use std::process;
use std::sync::OnceLock;

use cutter_fuzz::{TARGETS, Target};
use libfuzzer_sys::{Corpus, fuzz_target};

const TARGET: &str = "CUTTER_FUZZ_TARGET";

static CHOSEN: OnceLock<&'static Target> = OnceLock::new();

fuzz_target!(|data: &[u8]| -> Corpus {
    let target = CHOSEN.get_or_init(chosen);
    if data.len() > target.input_bytes_max {
        return Corpus::Reject;
    }
    (target.run)(data);
    Corpus::Keep
});

fn chosen() -> &'static Target {
    let name = std::env::var(TARGET).unwrap_or_default();
    Target::named(&name).unwrap_or_else(|| {
        let known: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("{TARGET} is {name:?}; expected one of: {}", known.join(", "));
        process::exit(2);
    })
}
