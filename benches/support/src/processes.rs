//! Children that end with the bench, and what they have used of the processor.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// No bench takes as long as this, once all is built, unless it hangs or says otherwise.
const TIME_LIMIT: Duration = Duration::from_secs(180);

/// A child that is killed when it is dropped.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let program = command.get_program().to_owned();
        let child = command.stdin(Stdio::null()).spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("cannot start {}: {error}", program.display()))
        })?;
        Ok(Self(child))
    }

    pub fn child(&self) -> &Child {
        &self.0
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits for a child that was asked to end.
    pub fn wait(mut self) -> io::Result<()> {
        let status = self.0.wait()?;
        if status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("a child process ended with {status}")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It fails when the child has ended, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ends this process if it is still there after the time limit: something hangs, or others take the
/// cores. Its children notice.
pub fn limit_time() {
    limit_time_to(TIME_LIMIT);
}

/// The same with a time limit of its own.
pub fn limit_time_to(time_limit: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(time_limit);
        eprintln!("given up after {time_limit:?}: something hangs, or others take the cores");
        std::process::exit(1);
    });
}

/// The processor time of all threads of a process so far, in ns.
pub fn cpu_time_ns(pid: u32) -> io::Result<u64> {
    let mut total_ns = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let first = text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
        total_ns += first.ok_or_else(|| io::Error::other(format!("not a schedstat: {text:?}")))?;
    }
    Ok(total_ns)
}

/// The memory of a process that is there and not only promised, in bytes.
pub fn resident_bytes(pid: u32) -> io::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1_024).ok_or_else(|| io::Error::other("no VmRSS in a process's status"))
}

/// The children of a process.
pub fn children_of(pid: u32) -> io::Result<Vec<u32>> {
    let mut children = Vec::new();
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(thread?.path().join("children"))?;
        children.extend(text.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
    }
    Ok(children)
}

/// Builds one binary of the workspace as it is built for use, and says where it is.
pub fn build(package: &str, binary: &str) -> io::Result<PathBuf> {
    let profile = profile_folder()?;
    let target = profile.parent().unwrap_or(Path::new("target"));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--release", "--package", package, "--bin", binary]);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env("CARGO_TARGET_DIR", target);
    let status = command.status()?;
    if !status.success() {
        return Err(io::Error::other(format!("cannot build {binary} of {package}: {status}")));
    }
    Ok(target.join("release").join(binary))
}

/// A bench is `target/PROFILE/deps/NAME-HASH`.
fn profile_folder() -> io::Result<PathBuf> {
    let bench = std::env::current_exe()?;
    let folder = bench.ancestors().nth(2).map(Path::to_owned);
    folder.ok_or_else(|| io::Error::other("this bench is not where cargo puts benches"))
}

/// An address that nothing else of this machine comes by until it is used: each is on a loopback
/// address of its own, where the kernel gives ports to nobody.
pub fn free_address() -> io::Result<SocketAddr> {
    static COUNT: AtomicU8 = AtomicU8::new(1);
    // Relaxed: it only counts.
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let [.., high, low] = std::process::id().to_be_bytes();
    TcpListener::bind((Ipv4Addr::new(127, count, high, low), 0))?.local_addr()
}

/// A path as a word of a command.
pub fn word(path: &Path) -> String {
    path.display().to_string()
}
