//! What a replica prints goes into the log, line by line, with the model's name.
//!
//! A replica that prints without end must neither fill the log nor be stopped by a full pipe: its
//! output is read to the end, lines are cut at a length, and beyond a rate they are counted and
//! dropped.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cutter_protocol::clock::monotonic_ns;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

use crate::limits::{OUTPUT_LINE_BYTES_MAX, OUTPUT_LINES_MAX, OUTPUT_WINDOW_NS};

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
    let mut rate = Rate::default();
    let mut buffer = [0; READ_BYTES];
    loop {
        let read = pipe.read(&mut buffer);
        let patience = Duration::from_nanos(OUTPUT_WINDOW_NS);
        let bytes = match rate.dropped {
            0 => read.await,
            // What was dropped is told even when nothing comes any more.
            _ => match tokio::time::timeout(patience, read).await {
                Ok(read) => read,
                Err(_) => {
                    tell_dropped(&origin, &mut rate);
                    continue;
                }
            },
        };
        let bytes = bytes.unwrap_or(0);
        let now_ns = monotonic_ns();
        let mut show = |line: &str| {
            line.clone_into(&mut last.borrow_mut());
            let is_shown = rate.admits(now_ns, |dropped| log_dropped(&origin, dropped));
            if is_shown {
                log(&origin, line);
            }
        };
        if bytes == 0 {
            lines.finish(&mut show);
            tell_dropped(&origin, &mut rate);
            return;
        }
        lines.feed(&buffer[..bytes], &mut show);
    }
}

fn log(origin: &Origin, line: &str) {
    let Origin { model, replica, pid, stream } = origin;
    tracing::info!(%model, replica, pid, stream, "{line}");
}

fn log_dropped(origin: &Origin, dropped: u64) {
    log(origin, &format!("... {dropped} lines dropped"));
}

fn tell_dropped(origin: &Origin, rate: &mut Rate) {
    if rate.dropped > 0 {
        log_dropped(origin, std::mem::take(&mut rate.dropped));
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
        let mut text = String::with_capacity(bytes.len());
        for character in String::from_utf8_lossy(bytes).chars() {
            match character.is_control() && character != '\t' {
                true => text.extend(character.escape_default()),
                false => text.push(character),
            }
        }
        if self.is_cut {
            text.push('…');
        }
        show(&text);
        self.line.clear();
        self.is_cut = false;
    }
}

/// Bounds the lines of a window of time. Time is passed in.
#[derive(Debug, Default)]
struct Rate {
    window_ns: u64,
    shown: u32,
    dropped: u64,
}

impl Rate {
    /// Whether one more line is shown. Calls `told` with what was dropped, when that is due.
    fn admits(&mut self, now_ns: u64, told: impl FnOnce(u64)) -> bool {
        if now_ns.saturating_sub(self.window_ns) >= OUTPUT_WINDOW_NS {
            (self.window_ns, self.shown) = (now_ns, 0);
            match std::mem::take(&mut self.dropped) {
                0 => {}
                dropped => told(dropped),
            }
        }
        let is_shown = self.shown < OUTPUT_LINES_MAX;
        match is_shown {
            true => self.shown += 1,
            false => self.dropped += 1,
        }
        is_shown
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
    fn lines_beyond_the_rate_are_counted_and_told_in_the_next_window() {
        let mut rate = Rate::default();
        let mut told = 0;
        let now_ns = 10 * OUTPUT_WINDOW_NS;
        let lines = OUTPUT_LINES_MAX + 7;
        let shown = (0..lines).filter(|_| rate.admits(now_ns, |dropped| told = dropped)).count();
        assert_eq!((shown, told), (OUTPUT_LINES_MAX as usize, 0));
        assert!(rate.admits(now_ns + OUTPUT_WINDOW_NS, |dropped| told = dropped));
        assert_eq!(told, 7);
    }
}
