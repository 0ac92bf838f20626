//! Programs that run to their end, within a time.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::limits::{COMMAND_TIME, POLL};

/// How a program ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    pub pid: u32,
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// The exit code; -1 when a signal ended it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }
}

/// Runs a program to its end. It is killed, and the test fails, when that takes too long.
#[track_caller]
pub fn run(command: &mut Command) -> Ended {
    run_within(command, COMMAND_TIME)
}

/// Runs a program that has to succeed, and gives back its standard output.
#[track_caller]
pub fn succeed(command: &mut Command) -> String {
    succeed_within(command, COMMAND_TIME)
}

#[track_caller]
pub fn succeed_within(command: &mut Command, most: Duration) -> String {
    let ended = run_within(command, most);
    let Ended { status, stdout, stderr, .. } = &ended;
    assert!(status.success(), "{command:?}: {status}\n{stdout}\n{stderr}");
    ended.stdout
}

#[track_caller]
pub fn run_within(command: &mut Command, most: Duration) -> Ended {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stdout = read_all(child.stdout.take().expect("piped"));
    let stderr = read_all(child.stderr.take().expect("piped"));
    let status = wait(&mut child, most);
    let [stdout, stderr] = [stdout, stderr].map(|text| text.join().expect("reads to the end"));
    match status {
        Some(status) => Ended { pid: child.id(), status, stdout, stderr },
        None => panic!("{command:?} took more than {most:?}\n{stdout}\n{stderr}"),
    }
}

/// Waits for a child's end. `None`: it took too long and was killed.
pub fn wait(child: &mut Child, most: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < most {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Some(status);
        }
        std::thread::sleep(POLL);
    }
    child.kill().expect("a child can be killed");
    child.wait().expect("a child can be waited for");
    None
}

fn read_all(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // A pipe that breaks has ended; what came before is what there is.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
