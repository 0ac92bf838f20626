//! What this machine can do, and how quiet it is, without any server of ours.
//!
//! ```text
//!  catalogue ─▶ rounds, in turn ─▶ figure (medians) ┐
//!   line · futexes · link · rings · shared_core     ├─▶ Floors ─▶ table, picture, JSON
//!  hiccups ─▶ a meter on each core, together ───────┘
//! ```
//!
//! Every floor is one exchange at a time between a thread on one core and a thread on another. Each
//! round runs on threads of its own, which are pinned: the caller's thread stays where it is.

pub mod catalogue;
pub mod cores;
pub mod echo;
pub mod exchange;
pub mod futexes;
pub mod hiccups;
pub mod line;
pub mod link;
mod picture;
pub mod rings;
pub mod shared_core;
mod table;
mod times;

use std::path::PathBuf;
use std::{io, thread};

use cutter_machine::affinity;

use crate::limits::HICCUP_SECONDS_MAX;
use crate::result::{FloorFigure, Floors};
use catalogue::{FLOORS, Floor};
use cores::Pair;

pub use picture::picture;

/// Rounds of each floor.
const FULL_ROUNDS: usize = 5;
const QUICK_ROUNDS: usize = 1;
const QUICK_HICCUP_NS: u64 = 300_000_000;
const HICCUP_SECONDS_DEFAULT: u64 = 3;

/// The command line of `cutter-bench floor`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct FloorOptions {
    /// Only what is stamped into every result file, in about a second.
    #[arg(long)]
    pub quick: bool,
    /// Watch the cores for hiccups for so long, in seconds [default: 3].
    #[arg(
        long,
        value_name = "SECONDS",
        conflicts_with = "quick",
        value_parser = clap::value_parser!(u64).range(1..=HICCUP_SECONDS_MAX),
    )]
    pub seconds: Option<u64>,
    /// Who answers and who asks; further ones are only watched [default: the first two allowed].
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub cpus: Vec<usize>,
    /// Write the result to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Draw it into this file, as SVG.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// The floors that results are judged by; below 1.5 s.
    Quick,
    /// Every floor, in interleaved rounds: about 10 s, and the watch for hiccups.
    Full { hiccup_ns: u64 },
}

impl FloorOptions {
    /// Measures what is asked for, and draws the picture if it is asked for.
    pub fn run(&self, progress: &mut dyn FnMut(&str)) -> io::Result<Floors> {
        let floors = measure(&self.cpus()?, self.effort(), progress)?;
        if let Some(file) = &self.svg {
            std::fs::write(file, picture(&floors)).map_err(|error| {
                let text = format!("cannot write {}: {error}; give another --svg", file.display());
                io::Error::new(error.kind(), text)
            })?;
        }
        Ok(floors)
    }

    fn effort(&self) -> Effort {
        let seconds = self.seconds.unwrap_or(HICCUP_SECONDS_DEFAULT);
        if self.quick { Effort::Quick } else { Effort::Full { hiccup_ns: seconds * 1_000_000_000 } }
    }

    fn cpus(&self) -> io::Result<Vec<usize>> {
        if self.cpus.is_empty() { default_cpus() } else { Ok(self.cpus.clone()) }
    }
}

/// The first two cores that the calling thread may use, or the only one.
pub fn default_cpus() -> io::Result<Vec<usize>> {
    let mut allowed = affinity::allowed()?;
    allowed.truncate(2);
    Ok(allowed)
}

/// Measures the floors between the first two of these cores, and watches all of them for hiccups.
/// What cannot be measured is left out, and `progress` told why.
///
/// # Errors
/// When a core is named twice, or the calling thread may not use it (pin it later, not before).
pub fn measure(
    cpus: &[usize],
    effort: Effort,
    progress: &mut dyn FnMut(&str),
) -> io::Result<Floors> {
    let pair = pair_of(cpus)?;
    let mut rounds: Vec<(Floor, Vec<Vec<u64>>)> = Vec::new();
    for floor in FLOORS.into_iter().filter(|floor| effort.sampling(floor).is_some()) {
        if floor.cores <= cpus.len() {
            rounds.push((floor, Vec::new()));
        } else {
            progress(&format!("{}: left out, it takes two cores", floor.name));
        }
    }
    // Rounds take turns, so that whatever disturbs the machine for a while disturbs all alike.
    for turn in 1..=effort.rounds() {
        rounds.retain_mut(|(floor, of_floor)| {
            progress(&format!("floors, round {turn} of {}: {}", effort.rounds(), floor.name));
            let round =
                effort.sampling(floor).map(|sampling| apart(|| (floor.round)(pair, sampling)));
            match round.unwrap_or_else(|| Err(io::Error::other("not asked for"))) {
                Ok(round) => of_floor.push(round),
                Err(error) => progress(&format!("{}: left out, {error}", floor.name)),
            }
            of_floor.len() == turn
        });
    }
    progress("hiccups");
    let hiccups = hiccups::watch(cpus, effort.hiccup_ns())?;
    let figure = |(floor, rounds): (Floor, _)| exchange::figure(floor.name, floor.meaning, rounds);
    let figures: Vec<FloorFigure> = rounds.into_iter().map(figure).collect();
    Ok(Floors { figures, hiccups })
}

impl Effort {
    fn sampling(self, floor: &Floor) -> Option<exchange::Sampling> {
        match self {
            Self::Quick => floor.quick,
            Self::Full { .. } => Some(floor.full),
        }
    }

    fn rounds(self) -> usize {
        match self {
            Self::Quick => QUICK_ROUNDS,
            Self::Full { .. } => FULL_ROUNDS,
        }
    }

    fn hiccup_ns(self) -> u64 {
        match self {
            Self::Quick => QUICK_HICCUP_NS,
            Self::Full { hiccup_ns } => hiccup_ns,
        }
    }
}

fn pair_of(cpus: &[usize]) -> io::Result<Pair> {
    let allowed = affinity::allowed()?;
    let refused = |text: String| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    for (at, cpu) in cpus.iter().enumerate() {
        if !allowed.contains(cpu) {
            return refused(format!("core {cpu} is not among those allowed here: {allowed:?}"));
        }
        if cpus[..at].contains(cpu) {
            return refused(format!("core {cpu} is named twice; name each core once"));
        }
    }
    match cpus {
        [server, client, ..] => Ok(Pair { server: *server, client: *client }),
        [only] => Ok(Pair { server: *only, client: *only }),
        [] => refused("no core is named; name one or two".to_owned()),
    }
}

/// Runs a round on a thread of its own, since a round pins its thread.
fn apart(round: impl FnOnce() -> io::Result<Vec<u64>> + Send) -> io::Result<Vec<u64>> {
    let panicked = |_| io::Error::other("a floor panicked");
    thread::scope(|scope| scope.spawn(round).join()).map_err(panicked)?
}

#[cfg(test)]
mod tests;
