//! One answer: its items as they come, in any order, and its bytes as they go out, in order.
//!
//! ```text
//!   items   [ waiting | written | rendering | own ]       head ▸ segment ▸ segment ▸ …
//!                          │                  │                     │
//!             a part of `written`       a buffer of its own     as much as fits into a send
//! ```
//!
//! A small item is written behind the others. A large one has a buffer of its own, filled piece by
//! piece. When all items are there the length of the body is known; then the answer is copied into
//! sends, as much at a time as one send may have.

use cutter_core::ids::ApplicationId;
use cutter_core::stats::Reason;
use cutter_tensor::TensorSpec;
use cutter_wire::clipper::{self, DefaultAnswer};
use cutter_wire::http::Connection;
use cutter_wire::json::render::{NotUtf8, write_tensor};

use super::endpoint::Endpoint;
use super::explanation::Explanation;
use super::extra::Extra;
use crate::limits::{REPLY_BYTES_KEPT, REPLY_ITEMS_KEPT, REPLY_OVERHEAD_BYTES};

/// What an answer looks like around its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The whole response stands in `written`, head included.
    Raw,
    Single,
    Batch,
}

/// One item of an answer.
#[derive(Debug)]
pub enum Item {
    /// Its query is open. `None`: it never became a query with a row.
    Waiting { row: Option<u32> },
    /// Its output is being rendered.
    Rendering,
    /// It stands in `written`.
    Written { start: usize, end: usize },
    /// It is large and has a buffer of its own.
    Own(Vec<u8>),
}

/// An answer that is owed.
#[derive(Debug)]
pub struct Reply {
    pub after: Connection,
    /// Whom its items ask; nobody, if it is no answer to a question.
    pub application: Option<ApplicationId>,
    pub arrived_ns: u64,
    pub deadline_ns: u64,
    pub due_ns: u64,
    pub answered_ns: u64,
    pub written: Vec<u8>,
    pub items: Vec<Item>,
    /// Bytes that the ledger has for it.
    pub charged: usize,
    form: Form,
    /// Items that are not there yet.
    remaining: usize,
    /// What is set aside for each of them, so that there is always room for a default output.
    item_reserve: usize,
    /// Bytes of the items that have buffers of their own.
    own_bytes: usize,
    /// The segment that goes out next, and how much of it has gone.
    segment: usize,
    offset: usize,
    begun: bool,
}

const BATCH_OPEN: &[u8] = b"{\"batch_predictions\":[";
const BATCH_NEXT: &[u8] = b",";
const BATCH_CLOSE: &[u8] = b"]}";
/// Clipper unwraps a batch of one. Whoever asked for a batch finds it here too.
const UNWRAPPED_OPEN: &[u8] = b",\"batch_predictions\":[";

impl Reply {
    /// An answer without content, for its next use.
    pub fn vacant() -> Self {
        Self {
            after: Connection::Keep,
            application: None,
            arrived_ns: 0,
            deadline_ns: 0,
            due_ns: 0,
            answered_ns: 0,
            written: Vec::new(),
            items: Vec::new(),
            charged: 0,
            form: Form::Raw,
            remaining: 0,
            item_reserve: 0,
            own_bytes: 0,
            segment: 0,
            offset: 0,
            begun: false,
        }
    }

    /// Becomes an answer of the given items, none of which is there yet.
    pub fn begin(&mut self, form: Form, rows: impl Iterator<Item = Option<u32>>, reserve: usize) {
        assert!(self.charged == 0 && self.own_bytes == 0);
        self.form = form;
        self.written.clear();
        self.items.clear();
        self.items.extend(rows.map(|row| Item::Waiting { row }));
        self.remaining = self.items.len();
        self.item_reserve = reserve;
        (self.segment, self.offset, self.begun) = (0, 0, false);
    }

    /// Becomes a response that is complete as it is.
    pub fn begin_raw(&mut self, after: Connection) -> &mut Vec<u8> {
        self.begin(Form::Raw, std::iter::empty(), 0);
        (self.after, self.application) = (after, None);
        &mut self.written
    }

    pub fn is_raw(&self) -> bool {
        self.form == Form::Raw
    }

    /// Whether all of it can go out.
    pub fn is_complete(&self) -> bool {
        self.remaining == 0
    }

    /// What it takes of memory, and what is set aside for what is still to come.
    pub fn cost(&self) -> usize {
        let capacity = self.written.capacity();
        let written = if capacity > REPLY_BYTES_KEPT { capacity } else { self.written.len() };
        REPLY_OVERHEAD_BYTES
            + self.items.len() * size_of::<Item>()
            + self.remaining * self.item_reserve
            + written
            + self.own_bytes
    }

    /// Writes a prediction behind the items that are there, in one go.
    pub fn write_prediction(
        &mut self,
        item: usize,
        query_id: u64,
        (spec, output): (&TensorSpec, &[u8]),
        (endpoint, extra): (&Endpoint, Extra<'_>),
    ) -> Result<(), NotUtf8> {
        let start = self.written.len();
        clipper::open_prediction(&mut self.written, query_id);
        if let Err(error) = write_tensor(&mut self.written, spec, output, endpoint.text_rule()) {
            self.written.truncate(start);
            return Err(error);
        }
        clipper::close_prediction(&mut self.written, |out| extra.write(out, endpoint));
        self.item_written(item, start);
        Ok(())
    }

    /// Writes the default output behind the items that are there.
    pub fn write_default(
        &mut self,
        item: usize,
        query_id: u64,
        (reason, detail): (Reason, &[u8]),
        (endpoint, extra): (&Endpoint, Extra<'_>),
    ) {
        let start = self.written.len();
        let explanation = Explanation { reason, detail, endpoint };
        let (output, reason) = (&endpoint.default_json[..], reason.as_str());
        let answer = DefaultAnswer { output, explanation, reason };
        let extra = |out: &mut Vec<u8>| extra.write(out, endpoint);
        clipper::write_default(&mut self.written, query_id, &answer, extra);
        self.item_written(item, start);
    }

    /// Takes back the item that was written last.
    pub fn take_back(&mut self, item: usize) {
        let Item::Written { start, end } = self.items[item] else {
            unreachable!("it was written last")
        };
        assert_eq!(end, self.written.len());
        self.written.truncate(start);
        self.written.shrink_to(REPLY_BYTES_KEPT);
        self.items[item] = Item::Waiting { row: None };
        self.remaining += 1;
    }

    fn item_written(&mut self, item: usize, start: usize) {
        assert!(matches!(self.items[item], Item::Waiting { .. } | Item::Rendering));
        self.items[item] = Item::Written { start, end: self.written.len() };
        self.remaining -= 1;
    }

    /// Whether an item is being rendered.
    pub fn is_rendering(&self, item: usize) -> bool {
        matches!(self.items.get(item), Some(Item::Rendering))
    }

    /// An item is to be rendered; into a buffer of its own, if that has any bytes.
    pub fn begin_rendering(&mut self, item: usize, own_bytes: usize) {
        self.items[item] = Item::Rendering;
        self.own_bytes += own_bytes;
    }

    /// The buffer of an item has come whole. So many bytes had been set aside for it.
    pub fn finish_rendering(&mut self, item: usize, own: Vec<u8>, own_bytes: usize) {
        self.own_bytes = self.own_bytes - own_bytes + own.capacity();
        self.items[item] = Item::Own(own);
        self.remaining -= 1;
    }

    /// There will be no buffer for an item, for which so many bytes had been set aside.
    pub fn give_up_rendering(&mut self, own_bytes: usize) {
        self.own_bytes -= own_bytes;
    }

    /// The bytes of its body.
    pub fn body_bytes(&self) -> usize {
        (0..).map_while(|segment| self.segment(segment)).map(<[u8]>::len).sum()
    }

    /// Appends what comes next until `out` has `most` bytes. `head` writes the head in front of a
    /// body of so many bytes. Says whether that was all.
    pub fn assemble(
        &mut self,
        out: &mut Vec<u8>,
        most: usize,
        head: impl FnOnce(&mut Vec<u8>, usize),
    ) -> bool {
        if !self.begun {
            self.begun = true;
            if self.form != Form::Raw {
                let before = out.len();
                head(out, self.body_bytes());
                debug_assert!(out.len() - before <= REPLY_OVERHEAD_BYTES);
            }
        }
        while let Some(segment) = self.segment(self.segment) {
            let rest = &segment[self.offset..];
            let piece = rest.len().min(most.saturating_sub(out.len()));
            out.extend_from_slice(&rest[..piece]);
            if piece < rest.len() {
                self.offset += piece;
                return false;
            }
            self.segment += 1;
            self.offset = 0;
        }
        true
    }

    /// Whether a part of it has gone out already.
    pub fn is_begun(&self) -> bool {
        self.begun
    }

    /// Gives up its large buffers, and keeps small ones for the next use.
    pub fn clear(&mut self, garbage: &mut impl FnMut(Vec<u8>)) {
        for item in self.items.drain(..) {
            if let Item::Own(buffer) = item {
                garbage(buffer);
            }
        }
        if self.written.capacity() > REPLY_BYTES_KEPT {
            garbage(std::mem::take(&mut self.written));
        }
        if self.items.capacity() > REPLY_ITEMS_KEPT {
            self.items = Vec::new();
        }
        (self.charged, self.own_bytes, self.remaining) = (0, 0, 0);
    }

    fn segment(&self, index: usize) -> Option<&[u8]> {
        match (self.form, self.items.len()) {
            (Form::Raw, _) => (index == 0).then_some(self.written.as_slice()),
            (Form::Single, _) => (index == 0).then(|| self.item(0)),
            (Form::Batch, 1) => match index {
                0 => self.item(0).split_last().map(|(_brace, rest)| rest),
                1 => Some(UNWRAPPED_OPEN),
                2 => Some(self.item(0)),
                3 => Some(BATCH_CLOSE),
                _ => None,
            },
            (Form::Batch, count) => match index {
                0 => Some(BATCH_OPEN),
                _ if index == 2 * count => Some(BATCH_CLOSE),
                _ if index > 2 * count => None,
                _ if index.is_multiple_of(2) => Some(BATCH_NEXT),
                _ => Some(self.item(index / 2)),
            },
        }
    }

    fn item(&self, item: usize) -> &[u8] {
        match &self.items[item] {
            Item::Written { start, end } => &self.written[*start..*end],
            Item::Own(buffer) => buffer,
            Item::Waiting { .. } | Item::Rendering => {
                unreachable!("an answer goes out when all of its items are there")
            }
        }
    }
}
