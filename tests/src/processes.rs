//! What the kernel says of processes, from `/proc`.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::eventually;

/// One process, told apart from a later one with its number by its start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    pub pid: u32,
    start_ticks: u64,
}

impl Process {
    /// The running process with this number. One that has ended and waits to be reaped is gone.
    pub fn of(pid: u32) -> Option<Process> {
        Stat::of(pid).map(|stat| Process { pid, start_ticks: stat.start_ticks })
    }

    pub fn is_alive(&self) -> bool {
        Process::of(self.pid) == Some(*self)
    }

    /// Waits until the process is gone.
    #[track_caller]
    pub fn wait_gone(&self) {
        eventually(&format!("process {} ends", self.pid), || (!self.is_alive()).then_some(()));
    }

    /// Sends a signal, if the process is still there.
    pub fn signal(&self, signal: Signal) {
        if self.is_alive() {
            let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
            // It may end in this very moment.
            let _ = kill_process(pid.expect("a process has a number"), signal);
        }
    }

    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Those that it started and that are running, in the order of their numbers.
    pub fn children(&self) -> Vec<Process> {
        let numbers = fs::read_dir("/proc").expect("/proc is mounted").flatten();
        let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut children: Vec<Process> = numbers
            .filter_map(|pid| Some((pid, Stat::of(pid)?)))
            .filter(|(_, stat)| stat.parent == self.pid)
            .map(|(pid, stat)| Process { pid, start_ticks: stat.start_ticks })
            .collect();
        children.sort_unstable();
        children
    }

    /// The words of its command line.
    pub fn command(&self) -> Vec<String> {
        let line = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid)).map_or(0, Iterator::count)
    }

    /// How many mappings it has whose line holds `text`.
    pub fn mappings(&self, text: &str) -> usize {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.pid)).unwrap_or_default();
        maps.lines().filter(|line| line.contains(text)).count()
    }
}

/// What `/proc/PID/stat` says.
struct Stat {
    parent: u32,
    start_ticks: u64,
}

impl Stat {
    /// `None` for a process that is gone, or has ended and only waits to be reaped.
    fn of(pid: u32) -> Option<Stat> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in parentheses and may hold anything, parentheses included.
        let (_, fields) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let is_running = !matches!(*fields.first()?, "Z" | "X");
        let stat = Stat {
            parent: fields.get(1)?.parse().ok()?,
            start_ticks: fields.get(19)?.parse().ok()?,
        };
        is_running.then_some(stat)
    }
}
