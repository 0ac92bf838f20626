//! What disturbs a model. It ends when it should, and whenever the bench ends before.

use std::io;
use std::process::Command;

use clap::ValueEnum;
use cutter_bench_support::beside::LoadClock;
use cutter_bench_support::cores::pin_child;
use cutter_bench_support::processes::Running;
use cutter_tools::random::Random;
use rustix::process::{Pid, Signal, getppid, kill_process};

/// The name by which the bench starts itself as the busy process.
pub const PEER: &str = "busy";
/// One stall begins in each of these times.
const PERIOD_NS: u64 = 250_000_000;
const STALL_NS_MIN: u64 = 10_000_000;
const STALL_NS_MAX: u64 = 20_000_000;
/// The same stalls for every policy and size.
const SEED: u64 = 7;
/// What a busy process does between two looks at whether the bench is still there.
const ROUNDS_BETWEEN_LOOKS: u32 = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Case {
    Busy,
    Stalls,
}

/// A stopped process, which goes on when this is dropped.
struct Stopped(Pid);

impl Case {
    pub fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Stalls => "stalls",
        }
    }

    /// Disturbs a model on its core for this time of a load's schedule.
    pub fn disturb(
        self,
        model_pid: u32,
        cpu: usize,
        clock: LoadClock,
        (from_ns, to_ns): (u64, u64),
    ) -> io::Result<()> {
        clock.sleep_until(from_ns);
        match self {
            Self::Busy => {
                let mut command = Command::new(std::env::current_exe()?);
                let busy = Running::start(command.args(["--peer", PEER]))?;
                pin_child(busy.child(), cpu)?;
                clock.sleep_until(to_ns);
            }
            Self::Stalls => {
                for (begin_ns, end_ns) in stalls(from_ns, to_ns) {
                    clock.sleep_until(begin_ns);
                    let stopped = Stopped::new(model_pid)?;
                    clock.sleep_until(end_ns);
                    drop(stopped);
                }
                clock.sleep_until(to_ns);
            }
        }
        Ok(())
    }
}

impl Stopped {
    fn new(pid: u32) -> io::Result<Self> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the model has no process"))?;
        kill_process(pid, Signal::STOP)?;
        Ok(Self(pid))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // It fails when the process has ended, which nothing here can mend.
        let _ = kill_process(self.0, Signal::CONT);
    }
}

/// The busy process: it ends with the bench that started it, however that ends.
pub fn be_busy() {
    let parent = getppid();
    let mut random = Random::new(0);
    while getppid() == parent {
        for _ in 0..ROUNDS_BETWEEN_LOOKS {
            std::hint::black_box(random.next_u32());
        }
    }
}

/// When stalls begin and end, within this time.
fn stalls(from_ns: u64, to_ns: u64) -> impl Iterator<Item = (u64, u64)> {
    let mut random = Random::new(SEED);
    let periods = (to_ns - from_ns) / PERIOD_NS;
    (0..periods).map(move |period| {
        let mut within = |most_ns: u64| (u64::from(random.next_u32()) * most_ns) >> 32;
        let begin_ns = from_ns + period * PERIOD_NS + within(PERIOD_NS - STALL_NS_MAX);
        (begin_ns, begin_ns + STALL_NS_MIN + within(STALL_NS_MAX - STALL_NS_MIN))
    })
}
