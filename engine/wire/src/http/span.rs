//! Where something stands in a head: it holds for any copy of the same bytes.

/// A part of a head. Heads are at most 16 KiB, so that two bytes hold a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u16,
    end: u16,
}

impl Span {
    pub(super) fn new(start: usize, end: usize) -> Span {
        debug_assert!(start <= end);
        let short = |at: usize| u16::try_from(at).expect("a head is at most HEAD_BYTES_MAX long");
        Span { start: short(start), end: short(end) }
    }

    pub(super) fn start(self) -> usize {
        usize::from(self.start)
    }

    pub(super) fn end(self) -> usize {
        usize::from(self.end)
    }

    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start()..self.end()]
    }
}
