//! The receiving half of a connection: framing state, the client's clock, and bytes that wait for
//! more.

use crate::http::{Pace, Phase, RequestReader, Verdict};

#[derive(Debug)]
pub struct Inbound {
    pub reader: RequestReader,
    pub pace: Pace,
    /// Input is left unread until an answer is out.
    pub stalled: bool,
    held: Vec<u8>,
}

impl Default for Inbound {
    fn default() -> Self {
        Self { reader: RequestReader::new(), pace: Pace::new(0), stalled: false, held: Vec::new() }
    }
}

impl Inbound {
    pub fn open(&mut self, now_ns: u64) {
        self.reader = RequestReader::new();
        self.pace = Pace::new(now_ns);
        self.stalled = false;
        self.held.clear();
    }

    /// Says how many bytes were held.
    pub fn close(&mut self) -> usize {
        std::mem::take(&mut self.held).len()
    }

    pub fn take_held(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    pub fn put_held(&mut self, held: Vec<u8>) {
        self.held = held;
    }

    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    #[cfg(test)]
    pub fn held_capacity(&self) -> usize {
        self.held.capacity()
    }

    pub fn is_idle(&self) -> bool {
        self.held.is_empty() && self.reader.phase() == Phase::Idle
    }

    /// Bytes were used. A stalled client does not lose time: the wait is ours.
    pub fn on_bytes(&mut self, now_ns: u64, received: usize) {
        self.pace.on_bytes(now_ns, received, self.reader.phase());
        if self.stalled {
            self.pace.pause();
        }
    }

    pub fn resume(&mut self, now_ns: u64) {
        if !self.stalled {
            self.pace.resume(now_ns, self.reader.phase());
        }
    }

    pub fn check(&self, now_ns: u64) -> Verdict {
        self.pace.check(now_ns)
    }

    pub fn deadline_ns(&self) -> Option<u64> {
        self.pace.deadline_ns()
    }
}
