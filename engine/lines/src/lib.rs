//! Memory in whole lines of a processor's caches, that can be written past them.
//!
//! What is written in the usual way is first read, line by line, although all of it is written
//! over. Where much is written that nobody reads soon, to memory that no cache holds any more, that
//! is much of the time (`--bench cache`: `copy` beside `stream`). [`Lines::stream`] writes whole
//! lines and reads none; nor does it drive out what the caches hold.
//!
//! ```text
//!   usual    memory ──read──▸ cache ◂── bytes         streamed              bytes
//!            memory ◂─ later ─ cache                  memory ◂── whole lines ──┘
//! ```
//!
//! Streaming stores are not ordered with any others: a fence has to stand between one of them and
//! whatever else is done with what it wrote. So the run of lines that was streamed since the last
//! fence is remembered. Who looks into it waits for the fence, and nobody else does: seldom, where
//! what is written is not read soon.
//!
//! On another processor than an x86-64 all is written in the usual way.

use std::cell::Cell;
use std::fmt;
use std::ops::Range;

/// The bytes of a line.
pub const LINE_BYTES: usize = 64;

/// Memory in whole lines. One thread's: before another one has it, it is [settled](Lines::settle).
pub struct Lines {
    lines: Box<[Line]>,
    /// The bytes that were streamed since the last fence, from one to before the other.
    unsettled: Cell<(usize, usize)>,
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; LINE_BYTES]);

impl Lines {
    /// So many lines, each byte of them this one. They are written to: none is a page fault later.
    #[must_use]
    pub fn new(lines: usize, byte: u8) -> Self {
        let lines = vec![Line([byte; LINE_BYTES]); lines].into();
        Self { lines, unsettled: Cell::new((0, 0)) }
    }

    /// All bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lines.len() * LINE_BYTES
    }

    /// Some of the bytes.
    ///
    /// # Panics
    /// When there are not so many.
    #[inline]
    #[must_use]
    pub fn get(&self, range: Range<usize>) -> &[u8] {
        self.settle_within(&range);
        &as_bytes(&self.lines)[range]
    }

    /// Some of the bytes, to be written in the usual way.
    ///
    /// # Panics
    /// When there are not so many.
    #[inline]
    pub fn get_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        self.settle_within(&range);
        &mut as_bytes_mut(&mut self.lines)[range]
    }

    /// Copies bytes to another place in the usual way; the two may overlap.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn copy_within(&mut self, from: Range<usize>, to: usize) {
        self.settle_within(&from);
        self.settle_within(&(to..to + from.len()));
        as_bytes_mut(&mut self.lines).copy_within(from, to);
    }

    /// Writes `head` and `rest` behind it past the caches, from the beginning of a line on. What is
    /// left of the last line becomes zero.
    ///
    /// # Panics
    /// When no line begins there, or they do not fit.
    pub fn stream(&mut self, at: usize, head: [u8; 8], rest: &[u8]) {
        assert!(at.is_multiple_of(LINE_BYTES), "no line begins at byte {at}");
        let bytes = (head.len() + rest.len()).next_multiple_of(LINE_BYTES);
        let (from, to) = self.unsettled.get();
        if to == at && from < to {
            self.unsettled.set((from, at + bytes));
        } else {
            self.settle();
            self.unsettled.set((at, at + bytes));
        }
        let lines = &mut self.lines[at / LINE_BYTES..(at + bytes) / LINE_BYTES];
        let mut first = [0; LINE_BYTES];
        let (beside, rest) = rest.split_at(rest.len().min(LINE_BYTES - head.len()));
        first[..head.len()].copy_from_slice(&head);
        first[head.len()..][..beside.len()].copy_from_slice(beside);
        let (whole, part) = rest.as_chunks();
        let mut last = [0; LINE_BYTES];
        last[..part.len()].copy_from_slice(part);
        let all = std::iter::once(&first).chain(whole);
        let all = all.chain((!part.is_empty()).then_some(&last));
        lines.iter_mut().zip(all).for_each(|(line, bytes)| stream_line(line, bytes));
    }

    /// Says that a byte will be looked at before long, so that its line is brought meanwhile.
    #[inline]
    pub fn expect(&self, at: usize) {
        #[cfg(target_arch = "x86_64")]
        if let Some(line) = self.lines.get(at / LINE_BYTES) {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: it is a hint, whatever is there; and a line of ours is.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(line).cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = at;
    }

    /// Waits until all that was streamed is in its place.
    pub fn settle(&self) {
        let (from, to) = self.unsettled.take();
        if from < to {
            fence();
        }
    }

    #[inline]
    fn settle_within(&self, range: &Range<usize>) {
        let (from, to) = self.unsettled.get();
        if range.start < to && from < range.end {
            self.settle();
        }
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.settle();
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn stream_line(line: &mut Line, bytes: &[u8; LINE_BYTES]) {
    use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_stream_si128};
    let to: *mut __m128i = line.0.as_mut_ptr().cast();
    let from: *const __m128i = bytes.as_ptr().cast();
    for part in 0..LINE_BYTES / size_of::<__m128i>() {
        // SAFETY: both are the parts of a line, which is borrowed for writing or reading here; the
        // destination is aligned as a line is. `Lines` has a fence before any other access.
        unsafe { _mm_stream_si128(to.add(part), _mm_loadu_si128(from.add(part))) };
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn stream_line(line: &mut Line, bytes: &[u8; LINE_BYTES]) {
    line.0 = *bytes;
}

fn fence() {
    // SAFETY: every x86-64 has it.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}

fn as_bytes(lines: &[Line]) -> &[u8] {
    // SAFETY: a line is its bytes and nothing else, and any bytes are right.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), size_of_val(lines)) }
}

fn as_bytes_mut(lines: &mut [Line]) -> &mut [u8] {
    // SAFETY: the same; and they are borrowed for writing.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), size_of_val(lines)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COUNT: usize = 16;

    #[test]
    fn they_begin_where_a_line_does_and_are_what_they_were_made_of() {
        let lines = Lines::new(3, 7);
        assert!(lines.get(0..0).as_ptr().addr().is_multiple_of(LINE_BYTES));
        assert_eq!((lines.bytes(), lines.get(0..192)), (192, &[7; 192][..]));
    }

    #[test]
    fn what_follows_in_the_last_line_is_zero_and_what_is_behind_it_stays() {
        let mut lines = Lines::new(3, 7);
        lines.stream(64, *b"the head", &[1; 57]);
        assert_eq!(lines.get(64..72), b"the head");
        assert_eq!((lines.get(72..129), lines.get(129..192)), (&[1; 57][..], &[0; 63][..]));
        lines.stream(0, [9; 8], &[]);
        assert_eq!((lines.get(0..8), lines.get(8..64)), (&[9; 8][..], &[0; 56][..]));
    }

    #[test]
    fn who_looks_elsewhere_does_not_wait() {
        let mut lines = Lines::new(8, 0);
        lines.stream(0, [1; 8], &[1; 56]);
        lines.stream(64, [2; 8], &[2; 56]);
        let _ = lines.get(128..512);
        assert_eq!(lines.unsettled.get(), (0, 128), "they are one run");
        let _ = lines.get(127..128);
        assert_eq!(lines.unsettled.get(), (0, 0));
        lines.stream(256, [3; 8], &[]);
        lines.stream(128, [4; 8], &[]);
        assert_eq!(lines.unsettled.get(), (128, 192), "another run begins");
    }

    #[test]
    #[should_panic(expected = "no line begins at byte 8")]
    fn what_begins_within_a_line_is_refused() {
        Lines::new(1, 0).stream(8, [0; 8], &[]);
    }

    #[test]
    #[should_panic(expected = "out of range")]
    fn what_does_not_fit_is_refused() {
        Lines::new(1, 0).stream(0, [0; 8], &[0; 57]);
    }

    proptest! {
        #[test]
        fn however_they_are_written_they_are_the_bytes_that_were_written_last(
            steps in prop::collection::vec(
                (0_u8..4, 0..COUNT, 0_usize..300, any::<u8>()),
                0..60,
            ),
        ) {
            let mut lines = Lines::new(COUNT, 0);
            let mut bytes = vec![0; COUNT * LINE_BYTES];
            for (step, line, length, byte) in steps {
                let at = line * LINE_BYTES;
                let fits = length.min(bytes.len() - at - 8);
                let to = (at + 8 + fits).next_multiple_of(LINE_BYTES);
                match step {
                    0 => {
                        lines.stream(at, [byte; 8], &vec![!byte; fits]);
                        bytes[at..to].fill(0);
                        bytes[at..at + 8].fill(byte);
                        bytes[at + 8..][..fits].fill(!byte);
                    }
                    1 => {
                        lines.get_mut(at..at + fits).fill(byte);
                        bytes[at..at + fits].fill(byte);
                    }
                    2 => {
                        let to = length.min(bytes.len() - fits);
                        lines.copy_within(at..at + fits, to);
                        bytes.copy_within(at..at + fits, to);
                    }
                    _ => prop_assert_eq!(lines.get(at..to), &bytes[at..to]),
                }
            }
            prop_assert_eq!(lines.get(0..bytes.len()), &bytes[..]);
        }
    }
}
