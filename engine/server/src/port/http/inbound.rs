//! The receiving half of a connection: framing state, the client's clock, and bytes that wait for
//! more.

use std::ops::Range;

use cutter_wire::http::{Connection, Pace, Phase, RequestReader};

use super::buffers::Buffers;
use super::endpoint::Route;
use super::question::Reading;
use crate::limits::{BULK_BODY_BYTES_MIN, INPUT_BYTES_KEPT, PIECE_BYTES, STALLED_INPUT_BYTES_MAX};

/// A request with a large body, of which a piece is read in each turn.
#[derive(Debug)]
pub struct Incoming {
    pub reading: Box<Reading>,
    bytes: Vec<u8>,
    body: Range<usize>,
    /// Bytes of the body that were not counted as read yet.
    unread_bytes: usize,
    pub after: Connection,
    pub omit_body: bool,
    pub arrived_ns: u64,
}

impl Incoming {
    pub fn new(
        reading: Box<Reading>,
        (bytes, body): (Vec<u8>, Range<usize>),
        (after, omit_body): (Connection, bool),
        arrived_ns: u64,
    ) -> Box<Self> {
        let unread_bytes = body.len();
        Box::new(Self { reading, bytes, body, unread_bytes, after, omit_body, arrived_ns })
    }

    /// Bytes of the body that the next piece has.
    pub fn next_piece(&mut self) -> usize {
        let piece = self.unread_bytes.min(PIECE_BYTES);
        self.unread_bytes -= piece;
        piece
    }

    /// The body, and what has been read of it.
    pub fn parts(&mut self) -> (&[u8], &mut Reading) {
        (&self.bytes[self.body.clone()], &mut self.reading)
    }

    /// The memory of its body.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[derive(Debug)]
pub struct Inbound {
    pub reader: RequestReader<Route>,
    pub pace: Pace,
    /// Input is left unread until an answer is out.
    pub stalled: bool,
    /// The client will send nothing more.
    pub ended: bool,
    /// It has sent a large body, or is sending one, and may send more of them.
    pub is_bulk: bool,
    /// Bytes that the request under way needs in `held`, where that is known.
    wanted_bytes: usize,
    pub incoming: Option<Box<Incoming>>,
    held: Vec<u8>,
}

impl Default for Inbound {
    fn default() -> Self {
        Self {
            reader: RequestReader::new(),
            pace: Pace::new(0),
            stalled: false,
            ended: false,
            is_bulk: false,
            wanted_bytes: 0,
            incoming: None,
            held: Vec::new(),
        }
    }
}

impl Inbound {
    pub fn open(&mut self, now_ns: u64) {
        assert!(self.held.is_empty() && self.incoming.is_none());
        self.reader = RequestReader::new();
        self.pace = Pace::new(now_ns);
        (self.stalled, self.ended, self.is_bulk) = (false, false, false);
        self.wanted_bytes = 0;
    }

    /// The request under way is not whole: it needs so many bytes in all, where that is known.
    pub fn need(&mut self, wanted_bytes: usize) {
        self.wanted_bytes = wanted_bytes;
        self.is_bulk |= wanted_bytes.max(self.reader.decoded_bytes()) >= BULK_BODY_BYTES_MIN;
    }

    /// Whether what arrives now is not read yet.
    #[inline]
    pub fn is_blocked(&self) -> bool {
        self.stalled || self.incoming.is_some()
    }

    /// Whether it should be received from: not while it floods us.
    #[inline]
    pub fn wants_input(&self) -> bool {
        !(self.is_blocked() && self.held.len() > STALLED_INPUT_BYTES_MAX)
    }

    /// What the client owes us next.
    pub fn phase(&self) -> Phase {
        self.reader.phase()
    }

    /// The memory that its bytes take, decoded or not.
    #[inline]
    pub fn memory_bytes(&self) -> usize {
        let incoming = self.incoming.as_ref().map_or(0, |incoming| incoming.bytes.capacity());
        self.held.capacity() + self.reader.decoded_bytes() + incoming
    }

    #[inline]
    pub fn take_held(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// Adds bytes to those that are held. A buffer that has to grow takes what a connection keeps,
    /// at once: else it would grow beyond that, be given up, and grow again.
    #[inline]
    pub fn hold(held: &mut Vec<u8>, bytes: &[u8]) {
        let wanted_bytes = held.len() + bytes.len();
        if wanted_bytes > held.capacity() && wanted_bytes <= INPUT_BYTES_KEPT {
            held.reserve_exact(INPUT_BYTES_KEPT - held.len());
        }
        held.extend_from_slice(bytes);
    }

    /// Keeps the bytes that were not used, with room for those that are to come: a body whose
    /// length is known is not copied as it grows. A buffer much too large for them goes.
    #[inline]
    pub fn put_held(&mut self, held: Vec<u8>, buffers: &mut Buffers) {
        let wanted_bytes = self.wanted_bytes.max(held.len());
        let (capacity, least) = (held.capacity(), INPUT_BYTES_KEPT.max(4 * wanted_bytes));
        self.held = if wanted_bytes > capacity || capacity > least {
            let least = if wanted_bytes > 0 { INPUT_BYTES_KEPT } else { 0 };
            let mut other = buffers.take(wanted_bytes.max(least));
            other.extend_from_slice(&held);
            buffers.give(held);
            other
        } else {
            held
        };
    }

    /// Gives up all bytes. What was being read is for the caller to cancel.
    pub fn clear(&mut self, buffers: &mut Buffers) -> Option<Box<Incoming>> {
        buffers.give(std::mem::take(&mut self.held));
        self.reader = RequestReader::new();
        (self.stalled, self.wanted_bytes) = (false, 0);
        self.incoming.take()
    }
}
