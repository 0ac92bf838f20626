//! When to end: SIGTERM, SIGINT, or the end of standard input. All of them signal one eventfd.

use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{FileType, fstat};
use rustix::process::Signal;

unsafe extern "C" {
    /// The C library's, which the standard library links anyway.
    safe fn signal(signal: i32, handler: extern "C" fn(i32)) -> usize;
}

/// The eventfd, for the handler. Stored before the handler is set.
static EVENT: AtomicI32 = AtomicI32::new(-1);

/// An eventfd that can be read from when it is time to end.
pub fn watch() -> io::Result<OwnedFd> {
    let event = eventfd(0, EventfdFlags::CLOEXEC)?;
    // A copy that is never closed, so that the handler always has one.
    let for_handler = event.try_clone()?;
    EVENT.store(for_handler.as_raw_fd(), Ordering::SeqCst);
    std::mem::forget(for_handler);
    for number in [Signal::TERM, Signal::INT] {
        signal(number.as_raw(), tell);
    }
    let standard_input = FileType::from_raw_mode(fstat(io::stdin())?.st_mode);
    if matches!(standard_input, FileType::Fifo | FileType::Socket) {
        std::thread::spawn(|| {
            // Whatever it says, and an error as well, is as good as its end.
            let _ = io::stdin().lock().read_to_end(&mut Vec::new());
            tell(0);
        });
    }
    Ok(event)
}

/// Only a write, which a handler of signals may do.
extern "C" fn tell(_signal: i32) {
    // SAFETY: the copy that `watch` has stored is never closed.
    let event = unsafe { BorrowedFd::borrow_raw(EVENT.load(Ordering::SeqCst)) };
    // It fails when the count is full, and then it was told already.
    let _ = rustix::io::write(event, &1_u64.to_ne_bytes());
}
