//! A `responder`: an HTTP server whose delays are known, to measure measuring with.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::limits::STOP_TIME;
use crate::{binary, command};

/// A running responder, and the folder of its files.
#[derive(Debug)]
pub struct Responder {
    child: Child,
    address: String,
    folder: TempDir,
}

/// What the responder says that one request met.
#[derive(Clone, Copy, Debug)]
pub struct Truth {
    pub arrived_ns: u64,
    pub answered_ns: u64,
}

impl Responder {
    /// Starts one with these delays in µs, used in turn, and these further arguments.
    #[track_caller]
    pub fn start(delays_us: &[u64], arguments: &[&str]) -> Responder {
        let folder = tempfile::tempdir().expect("temporary files can be made");
        let delays = folder.path().join("delays");
        let mut file = std::fs::File::create(&delays).expect("the folder is new");
        for delay_us in delays_us {
            writeln!(file, "{delay_us}").expect("the folder is writable");
        }
        let mut program = Command::new(binary("responder"));
        program.arg("--delays").arg(&delays).arg("--log").arg(folder.path().join("log"));
        program.args(arguments).current_dir(&folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = program.spawn().expect("the responder was built");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("the responder says where it is");
        Responder { child, address: line.trim().to_owned(), folder }
    }

    /// A target of `cutter-bench`.
    pub fn target(&self, path: &str) -> String {
        if self.address.contains(':') {
            format!("http://{}{path}", self.address)
        } else {
            format!("unix:{}:{path}", self.path(&self.address).display())
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Ends it, and gives what it says of each request, in the order in which they came.
    #[track_caller]
    pub fn stop(mut self) -> Vec<Truth> {
        self.terminate();
        let status = command::wait(&mut self.child, STOP_TIME).expect("it ends when it is told to");
        assert!(status.success(), "the responder ended with {status}");
        let log = std::fs::read_to_string(self.path("log")).expect("it writes what it did");
        let number = |word: Option<&str>| word?.parse::<u64>().ok();
        let truth = |line: &str| {
            let mut words = line.split(',').skip(1);
            let (arrived_ns, answered_ns) = (number(words.next())?, number(words.next())?);
            Some(Truth { arrived_ns, answered_ns })
        };
        log.lines().filter_map(truth).collect()
    }

    fn terminate(&self) {
        // It has ended already when it is not found.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        // It has ended already when this fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
