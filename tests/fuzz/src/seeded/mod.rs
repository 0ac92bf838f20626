//! The driver that every toolchain can run: the corpus as it is, then the corpus mutated, for a
//! while.
//!
//! ```text
//!  files ─▸ replay ─▸ mutate(seeded generator, files, dictionary) ─▸ run ─┬─▸ … till the end
//!                                                                         │   of the budget
//!   test's thread: looks whether inputs still end ◂── worker's thread ────┘
//! ```
//!
//! The inputs follow from the seed, the corpus and the dictionary alone; the budget says only how
//! many of them are run. A failing input is written to a file, and the message says how to run it
//! again. So is one that does not end.
//!
//! | variable | what it does |
//! | --- | --- |
//! | `CUTTER_FUZZ_SECONDS` | how long each target is mutated; 2 |
//! | `CUTTER_FUZZ_SEED` | other inputs than those of the seed that is used without it |
//! | `CUTTER_FUZZ_INPUT` | run this one file, and nothing else |

mod dictionary;
mod mutate;

use std::any::Any;
use std::env;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::Target;
use mutate::Mutator;

const SECONDS: &str = "CUTTER_FUZZ_SECONDS";
const SEED: &str = "CUTTER_FUZZ_SEED";
const INPUT: &str = "CUTTER_FUZZ_INPUT";

/// How long each target is mutated when nothing is said.
const BUDGET_S: f64 = 2.0;
/// The seed when none is said: what a test run finds, the next one finds again.
const SEED_DEFAULT: u64 = 0x00C0_FFEE;
/// An input that takes this long does not end; nothing here takes a hundredth of it.
const LOST: Duration = Duration::from_secs(60);

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ran {
    pub replayed: u64,
    pub mutated: u64,
}

/// Where the run is; its end is the last message.
enum Progress {
    /// An input has ended.
    Alive,
    Ended(Result<Ran, Failure>),
}

struct Failure {
    input: Vec<u8>,
    reason: String,
}

/// Runs a target: the files of `corpus`, then what mutation makes of them.
///
/// # Panics
/// When an input shows a fault, which is then a file in `failures`.
pub fn run(target: &'static Target, corpus: &Path, failures: &Path) -> Ran {
    let (files, budget) = match env::var_os(INPUT) {
        Some(path) => (vec![read(Path::new(&path))], Duration::ZERO),
        None => (read_all(corpus), Duration::from_secs_f64(number(SECONDS).unwrap_or(BUDGET_S))),
    };
    let seed = number(SEED).unwrap_or(SEED_DEFAULT);
    let current = Arc::new(Mutex::new(Vec::new()));
    let (progress, watched) = mpsc::channel();
    let worker = Worker { target, files, seed, budget, current: Arc::clone(&current), progress };
    thread::spawn(move || worker.run());
    let failure = loop {
        match watched.recv_timeout(LOST) {
            Ok(Progress::Alive) => {}
            Ok(Progress::Ended(Ok(ran))) => return ran,
            Ok(Progress::Ended(Err(failure))) => break failure,
            Err(RecvTimeoutError::Timeout) => {
                let input = current.lock().unwrap_or_else(PoisonError::into_inner).clone();
                break Failure { input, reason: format!("no end after {} s", LOST.as_secs()) };
            }
            Err(RecvTimeoutError::Disconnected) => unreachable!("its end is the last message"),
        }
    };
    let path = write(target, failures, &failure.input);
    panic!(
        "{}: {}\nseed {seed}; the input is {}; to run it again:\n  {INPUT}={} cargo test -p \
         cutter-fuzz {}",
        target.name,
        failure.reason,
        path.display(),
        path.display(),
        target.name,
    );
}

/// What the worker's thread owns.
struct Worker {
    target: &'static Target,
    files: Vec<Vec<u8>>,
    seed: u64,
    budget: Duration,
    /// The input that runs now, for the one who watches.
    current: Arc<Mutex<Vec<u8>>>,
    progress: Sender<Progress>,
}

impl Worker {
    /// Between two words that it is alive.
    const INPUTS_PER_WORD: u64 = 256;

    fn run(self) {
        let ended = self.inputs();
        // Nobody hears it when the watching side has given up.
        let _ = self.progress.send(Progress::Ended(ended));
    }

    fn inputs(&self) -> Result<Ran, Failure> {
        let mut ran = Ran { replayed: 0, mutated: 0 };
        for file in &self.files {
            self.input(file)?;
            let _ = self.progress.send(Progress::Alive);
            ran.replayed += 1;
        }
        let end = Instant::now() + self.budget;
        let mut mutator = Mutator::new(self.seed, self.target);
        while Instant::now() < end {
            self.input(&mutator.mutated(&self.files))?;
            ran.mutated += 1;
            if ran.mutated.is_multiple_of(Self::INPUTS_PER_WORD) {
                let _ = self.progress.send(Progress::Alive);
            }
        }
        Ok(ran)
    }

    fn input(&self, input: &[u8]) -> Result<(), Failure> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.clear();
        current.extend_from_slice(input);
        drop(current);
        // Nothing is kept from one input to the next, so nothing can be left broken.
        catch_unwind(AssertUnwindSafe(|| (self.target.run)(input)))
            .map_err(|panic| Failure { input: input.to_vec(), reason: text_of(&*panic) })
    }
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
}

/// The files of a folder, in the order of their names.
fn read_all(folder: &Path) -> Vec<Vec<u8>> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn write(target: &Target, folder: &Path, input: &[u8]) -> PathBuf {
    let path = folder.join(format!("{}.failed", target.name));
    fs::write(&path, input).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}

fn number<T: std::str::FromStr>(variable: &str) -> Option<T> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}; it is a number")))
}
