//! Processes as the kernel tells of them: a pidfd says when one has ended, and kills that one and
//! no other, whatever has become of its number.

use std::io;
use std::process::{Child, ExitStatus};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use tokio::net::unix::pipe::Receiver;

/// A handle to one process.
///
/// The pipe that tokio takes it for is never read: it gives readiness, which is the process's end.
#[derive(Debug)]
pub(super) struct Pidfd(Receiver);

impl Pidfd {
    pub(super) fn of(pid: Pid) -> io::Result<Self> {
        let fd = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Self(Receiver::from_owned_fd_unchecked(fd)?))
    }

    /// Waits until the process has ended; at once when it has already.
    pub(super) async fn exited(&self) {
        // Nothing is ever read from a pidfd, so it stays ready. An error means that the runtime
        // ends, and every task with it.
        if self.0.readable().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub(super) fn kill(&self) {
        // It fails when the process has ended, which is what is wanted.
        let _ = pidfd_send_signal(&self.0, Signal::KILL);
    }
}

/// A child of this process, leader of its own process group.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    pid: Pid,
    pidfd: Pidfd,
    reaped: bool,
}

impl Process {
    pub(super) fn new(mut child: Child) -> io::Result<Self> {
        let pid = Pid::from_child(&child);
        match Pidfd::of(pid) {
            Ok(pidfd) => Ok(Self { child, pid, pidfd, reaped: false }),
            Err(error) => {
                // Not to be watched, so not to be had.
                let _ = child.kill().and_then(|()| child.wait());
                Err(error)
            }
        }
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    pub(super) async fn exited(&self) {
        self.pidfd.exited().await;
    }

    /// Kills it and what it started, as far as that stayed in its group.
    pub(super) fn kill(&self) {
        self.pidfd.kill();
        if !self.reaped {
            // The number of a process that is not reaped is not given to another group.
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }

    /// Takes the status of a process that has exited. What it started ends now, too.
    pub(super) fn reap(&mut self) -> io::Result<ExitStatus> {
        self.kill();
        // Should waiting fail, its number is not to be relied on either.
        self.reaped = true;
        self.child.wait()
    }
}

impl Drop for Process {
    /// Only a process that outlived its slot's task is still there: a SIGKILL is all that can be
    /// done for it, and waiting for it here could take for ever.
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
        }
    }
}
