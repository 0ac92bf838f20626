//! The harness of the tests that see Cutter from outside: the real server process, real model
//! processes, real sockets, real clients.
//!
//! ```text
//!   binaries   builds `cutter` and the containers once     tools      python packages, programs
//!   server     one `cutter serve`, a folder of its own     http       exact bytes in and out
//!   command    a program that runs to its end              load       many clients, closed loop
//!   processes  what the kernel says of processes           metrics    what a scrape says
//!   documents  their examples, which are run
//! ```
//!
//! Nothing waits without a bound: sockets have time-outs, every wait has a deadline, and a server
//! that outlives its test's time is killed, which ends whatever waits for it. What goes wrong in
//! here is a failed test, so the harness panics where a program would return an error.

pub mod binaries;
pub mod command;
pub mod documents;
pub mod http;
pub mod limits;
pub mod load;
pub mod metrics;
pub mod processes;
pub mod responder;
pub mod server;
pub mod tools;

use std::time::{Duration, Instant};

pub use binaries::binary;
pub use http::{Client, Response};
pub use load::{Load, Tally};
pub use metrics::Metrics;
pub use processes::Process;
pub use responder::Responder;
pub use server::{Server, application, model};

/// Waits until `look` finds something. `what` says what was waited for.
#[track_caller]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < limits::WAIT, "waited {:?} in vain: {what}", limits::WAIT);
        std::thread::sleep(limits::POLL);
    }
}

/// Measures until it comes out as it should, a few times at most: on a machine that does other
/// things as well, a time that is right is disturbed now and then, and one that is wrong always is.
/// `measure` tells what was wrong; what can be no disturbance it asserts.
#[track_caller]
pub fn undisturbed(mut measure: impl FnMut() -> Result<(), String>) {
    let mut told = Vec::new();
    for _ in 0..limits::MEASUREMENTS {
        match measure() {
            Ok(()) => return,
            Err(wrong) => told.push(wrong),
        }
    }
    panic!("wrong in each of {} runs: {told:#?}", limits::MEASUREMENTS);
}

/// Lets others do what they should not be doing, so that it can be seen that they do not.
pub fn pause_ms(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}
