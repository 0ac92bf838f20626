//! What a replica prints goes into the log, line by line, with the model's name.
//!
//! A replica that prints without end must neither fill the log nor take this thread's time: lines
//! are cut at a length, beyond a rate they are counted and dropped, and beyond another rate nothing
//! is read. Then its pipe fills, and it waits when it prints; the log says so once.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cutter_machine::clock::monotonic_ns;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

use super::limiter::Limiter;
use crate::limits::{
    OUTPUT_LINE_BYTES_MAX, OUTPUT_LINES_MAX, OUTPUT_READ_BYTES_MAX, OUTPUT_READ_WINDOW_NS,
    OUTPUT_WINDOW_NS,
};
use crate::printable;

/// Bytes taken from a pipe at once.
const READ_BYTES: usize = 4 << 10;

/// Whose output it is.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) model: Arc<str>,
    pub(super) replica: u32,
    pub(super) pid: u32,
    pub(super) stream: &'static str,
}

/// The last line that a replica wrote to a stream: it often says why the replica ended.
pub(super) type LastLine = Rc<RefCell<String>>;

/// Logs one stream until it is closed by everyone who has it.
pub(super) async fn capture(pipe: OwnedFd, origin: Origin, last: LastLine) {
    let mut pipe = match Receiver::from_owned_fd(pipe) {
        Ok(pipe) => pipe,
        Err(error) => return log(&origin, &format!("(this stream cannot be read: {error})")),
    };
    let mut lines = Lines::default();
    let mut limiter = Limiter::new(OUTPUT_LINES_MAX, OUTPUT_WINDOW_NS);
    let mut budget = Budget::default();
    let mut is_slowed = false;
    let mut buffer = [0; READ_BYTES];
    loop {
        let patience = Duration::from_nanos(OUTPUT_WINDOW_NS);
        let read = tokio::time::timeout(patience, pipe.read(&mut buffer)).await;
        let now_ns = monotonic_ns();
        // What was dropped is told even when nothing comes any more.
        tell_dropped(&origin, limiter.take_suppressed(now_ns));
        let Ok(read) = read else { continue };
        let bytes = read.unwrap_or(0);
        let mut show = |line: &str| {
            line.clone_into(&mut last.borrow_mut());
            if limiter.admits(now_ns) {
                log(&origin, line);
            }
        };
        if bytes == 0 {
            lines.finish(&mut show);
            return tell_dropped(&origin, limiter.take_all_suppressed());
        }
        lines.feed(&buffer[..bytes], &mut show);
        if let Some(pause) = budget.spend(now_ns, bytes) {
            if !is_slowed {
                is_slowed = true;
                let rate = OUTPUT_READ_BYTES_MAX as u64 * 1_000_000_000 / OUTPUT_READ_WINDOW_NS;
                log(&origin, &format!("(read at {rate} bytes/s; when it prints more, it waits)"));
            }
            tokio::time::sleep(pause).await;
        }
    }
}

fn log(origin: &Origin, line: &str) {
    let Origin { model, replica, pid, stream } = origin;
    tracing::info!(model = &**model, replica, pid, stream, "{line}");
}

fn tell_dropped(origin: &Origin, dropped: Option<u64>) {
    match dropped {
        Some(1) => log(origin, "... 1 line dropped"),
        Some(dropped) => log(origin, &format!("... {dropped} lines dropped")),
        None => {}
    }
}

/// Bounds the bytes that are read in a window of time. Time is passed in.
#[derive(Debug, Default)]
struct Budget {
    since_ns: u64,
    bytes: usize,
}

impl Budget {
    /// Notes what was read. Says how long nothing is to be read now.
    fn spend(&mut self, now_ns: u64, bytes: usize) -> Option<Duration> {
        let age_ns = now_ns.saturating_sub(self.since_ns);
        if age_ns >= OUTPUT_READ_WINDOW_NS {
            *self = Self { since_ns: now_ns, bytes };
            return None;
        }
        self.bytes += bytes;
        let is_spent = self.bytes >= OUTPUT_READ_BYTES_MAX;
        is_spent.then(|| Duration::from_nanos(OUTPUT_READ_WINDOW_NS - age_ns))
    }
}

/// Cuts bytes into lines. Bytes that are no text are replaced, and control characters escaped: a
/// line of a replica stays one line of the log.
#[derive(Debug, Default)]
struct Lines {
    line: Vec<u8>,
    /// The line is longer than what is kept of it.
    is_cut: bool,
}

impl Lines {
    fn feed(&mut self, bytes: &[u8], show: &mut impl FnMut(&str)) {
        let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let room = OUTPUT_LINE_BYTES_MAX - self.line.len();
            self.is_cut |= piece.len() > room;
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if pieces.peek().is_some() {
                self.end_line(show);
            }
        }
    }

    /// A last line without an end is a line.
    fn finish(&mut self, show: &mut impl FnMut(&str)) {
        if !self.line.is_empty() {
            self.end_line(show);
        }
    }

    fn end_line(&mut self, show: &mut impl FnMut(&str)) {
        let bytes = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        let mut text = printable::line(&String::from_utf8_lossy(bytes)).into_owned();
        if self.is_cut {
            text.push('…');
        }
        show(&text);
        self.line.clear();
        self.is_cut = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(pieces: &[&[u8]]) -> Vec<String> {
        let mut shown = Vec::new();
        let mut lines = Lines::default();
        let mut show = |line: &str| shown.push(line.to_owned());
        pieces.iter().for_each(|piece| lines.feed(piece, &mut show));
        lines.finish(&mut show);
        shown
    }

    #[test]
    fn lines_are_found_however_the_bytes_arrive() {
        let whole = b"one\r\ntwo\n\nlast";
        let expected = ["one", "two", "", "last"];
        assert_eq!(lines_of(&[whole]), expected);
        for at in 0..whole.len() {
            let (first, second) = whole.split_at(at);
            assert_eq!(lines_of(&[first, second]), expected, "split at {at}");
        }
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_one_is_whole() {
        let long = vec![b'a'; 3 * OUTPUT_LINE_BYTES_MAX];
        let shown = lines_of(&[&long, b"b\nnext\n"]);
        assert_eq!(shown[0].len(), OUTPUT_LINE_BYTES_MAX + '…'.len_utf8());
        assert_eq!(shown[1..], ["next"]);
    }

    #[test]
    fn a_line_cannot_pretend_to_be_several_or_paint_the_terminal() {
        let shown = lines_of(&[b"a\rb\x1b[31mred\xff\n"]);
        assert_eq!(shown, ["a\\rb\\u{1b}[31mred\u{fffd}"]);
    }

    #[test]
    fn what_is_read_in_a_window_is_bounded() {
        let mut budget = Budget::default();
        let start_ns = 10 * OUTPUT_READ_WINDOW_NS;
        assert_eq!(budget.spend(start_ns, 1), None);
        assert_eq!(budget.spend(start_ns + 1, 1), None);
        let pause = budget.spend(start_ns + 7, OUTPUT_READ_BYTES_MAX);
        assert_eq!(pause, Some(Duration::from_nanos(OUTPUT_READ_WINDOW_NS - 7)));
        assert_eq!(budget.spend(start_ns + OUTPUT_READ_WINDOW_NS, 1), None);
    }
}
