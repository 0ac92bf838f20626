//! The signals that a server hears, from before it has made anything until its end.
//!
//! ```text
//!   SIGTERM, SIGINT           the first drains, the second ends at once, a third ends the process
//!   SIGHUP, SIGUSR1, SIGUSR2  nothing, and the log says so
//!   SIGPIPE                   ignored from the start of the process, as in every Rust program
//! ```
//!
//! A handler writes one byte into a socket of its own, where it waits until the control thread
//! reads it: a signal that comes while the server is being made is not lost, and
//! [`Signals::is_asked_to_end`] sees it without taking it.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::{flag, low_level};
use tokio::io::AsyncReadExt;

/// The exit status of a process that a third signal ends.
const ENDED_AT_ONCE: i32 = 1;

/// What is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    End,
    Nothing,
}

const HEARD: [(&str, i32, Deed); 5] = [
    ("SIGTERM", SIGTERM, Deed::End),
    ("SIGINT", SIGINT, Deed::End),
    ("SIGHUP", SIGHUP, Deed::Nothing),
    ("SIGUSR1", SIGUSR1, Deed::Nothing),
    ("SIGUSR2", SIGUSR2, Deed::Nothing),
];

/// The handlers of this process, and what they have heard.
#[derive(Debug)]
pub struct Signals {
    pipes: [UnixStream; HEARD.len()],
    /// From now on a signal to end ends the process itself.
    last: Arc<AtomicBool>,
}

impl Signals {
    /// Installs the handlers. To be called before anything is made that an end by a signal would
    /// leave behind.
    pub fn install() -> io::Result<Signals> {
        let last = Arc::new(AtomicBool::new(false));
        let mut pipes = Vec::with_capacity(HEARD.len());
        for (_, signal, deed) in HEARD {
            pipes.push(hear(signal, deed, &last, || ())?);
        }
        let pipes = pipes.try_into().expect("one for each");
        Ok(Signals { pipes, last })
    }

    /// Whether a signal to end has come that was not taken yet.
    pub fn is_asked_to_end(&self) -> bool {
        let pipes = self.pipes.iter().zip(HEARD);
        let mut ends = pipes.filter(|(_, (_, _, deed))| *deed == Deed::End);
        ends.any(|(pipe, _)| holds_a_byte(pipe))
    }

    /// The same, for the runtime of the control thread.
    pub(super) fn listen(self) -> io::Result<Listening> {
        let pipes = self.pipes.into_iter().map(tokio::net::UnixStream::from_std);
        Ok(Listening { pipes: pipes.collect::<io::Result<_>>()?, last: self.last })
    }
}

/// Installs the handlers of one signal. Gives where it is heard. `amid` is for tests: it is called
/// when some of them are installed.
fn hear(
    signal: i32,
    deed: Deed,
    last: &Arc<AtomicBool>,
    amid: impl FnOnce(),
) -> io::Result<UnixStream> {
    let (heard, mut told) = UnixStream::pair()?;
    heard.set_nonblocking(true)?;
    // The first handler takes the place of the kernel's, which would end the process. A signal that
    // comes before there is the one which tells of it is noted.
    let early = Arc::new(AtomicBool::new(false));
    let noting = flag::register(signal, Arc::clone(&early))?;
    if deed == Deed::End {
        // Before the one that tells, so that the signal that sets the flag is not the one it ends.
        flag::register_conditional_shutdown(signal, ENDED_AT_ONCE, Arc::clone(last))?;
    }
    amid();
    low_level::pipe::register(signal, told.try_clone()?)?;
    low_level::unregister(noting);
    // Pairs with the store in the handler that `flag::register` makes, which is as strict.
    if early.load(Ordering::SeqCst) && !holds_a_byte(&heard) {
        told.write_all(&[0])?;
    }
    Ok(heard)
}

fn holds_a_byte(pipe: &UnixStream) -> bool {
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let pipe = PollFd::new(pipe, PollFlags::IN);
    poll(&mut [pipe], Some(&at_once)).is_ok_and(|heard| heard > 0)
}

/// [`Signals`] that can be waited for.
#[derive(Debug)]
pub(super) struct Listening {
    pipes: Vec<tokio::net::UnixStream>,
    last: Arc<AtomicBool>,
}

impl Listening {
    /// Waits for a signal to end, and says which it was.
    pub(super) async fn next(&mut self) -> &'static str {
        loop {
            let (name, deed) = self.heard().await;
            match deed {
                Deed::End => return name,
                Deed::Nothing => tracing::warn!(
                    "{name}: nothing is done; a configuration is read when the server starts"
                ),
            }
        }
    }

    /// From now on a signal to end does not wait for anything.
    pub(super) fn next_is_last(&self) {
        // Pairs with the load in the handler, which needs nothing else of this thread.
        self.last.store(true, Ordering::Relaxed);
    }

    async fn heard(&mut self) -> (&'static str, Deed) {
        let [terminate, interrupt, hangup, user1, user2] = &mut self.pipes[..] else {
            unreachable!("one for each of HEARD");
        };
        let at = tokio::select! {
            () = byte(terminate) => 0,
            () = byte(interrupt) => 1,
            () = byte(hangup) => 2,
            () = byte(user1) => 3,
            () = byte(user2) => 4,
        };
        let (name, _, deed) = HEARD[at];
        (name, deed)
    }
}

async fn byte(pipe: &mut tokio::net::UnixStream) {
    // The handlers live as long as the process, so the other end is never closed.
    if pipe.read_u8().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use signal_hook::consts::SIGWINCH;

    use super::*;

    #[test]
    fn a_signal_between_two_handlers_is_heard_once() {
        let last = Arc::new(AtomicBool::new(false));
        let raise = || low_level::raise(SIGWINCH).unwrap();
        let heard = hear(SIGWINCH, Deed::End, &last, raise).unwrap();
        assert!(holds_a_byte(&heard));
        io::Read::read_exact(&mut &heard, &mut [0]).unwrap();
        assert!(!holds_a_byte(&heard));
        raise();
        assert!(holds_a_byte(&heard));
    }
}
