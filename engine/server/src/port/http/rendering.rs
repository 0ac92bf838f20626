//! Outputs that wait to be rendered: more of them than one turn can bear.
//!
//! What is small is rendered when it is answered, as long as the turn has room for it. The rest
//! stands in this queue, as it came from the replica, and is rendered piece by piece, a turn's
//! worth at a time, first come first served. A client that has gone costs nothing more.
//!
//! Bounds: the buffers that the queue keeps alive are counted, each once, and are at most
//! [`RENDER_BYTES_MAX`] together; what is rendered is charged to the client's connection before it
//! begins.

use std::collections::VecDeque;

use cutter_core::ReplyTo;
use cutter_tensor::{KeptOutput, TensorSpec};
use cutter_wire::json::render::TensorWriter;

use crate::limits::RENDER_BYTES_MAX;

/// One output that waits.
#[derive(Debug)]
pub struct Rendering {
    pub reply_to: ReplyTo,
    pub query_id: u64,
    pub spec: TensorSpec,
    pub output: KeptOutput,
    /// What is told beside it.
    pub extra: Vec<u8>,
    /// Where it is, once it has begun, if it is so large that it has a buffer of its own.
    pub own: Option<(TensorWriter, Vec<u8>)>,
}

/// The queue.
#[derive(Debug, Default)]
pub struct Renderings {
    waiting: VecDeque<Rendering>,
    kept_bytes: usize,
}

impl Renderings {
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Bytes of the buffers that are kept alive.
    pub fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// Whether there is room for one output more.
    pub fn has_room_for(&self, output: &KeptOutput) -> bool {
        self.kept_bytes.saturating_add(self.adds(output)) <= RENDER_BYTES_MAX
    }

    pub fn push(&mut self, rendering: Rendering) {
        self.kept_bytes += self.adds(&rendering.output);
        self.waiting.push_back(rendering);
    }

    pub fn pop(&mut self) -> Option<Rendering> {
        let first = self.waiting.pop_front()?;
        let next = self.waiting.front();
        if next.is_none_or(|next| !next.output.shares_buffer(&first.output)) {
            self.kept_bytes -= first.output.held_bytes();
        }
        Some(first)
    }

    /// Puts one back that is not done.
    pub fn put_back(&mut self, rendering: Rendering) {
        let next = self.waiting.front();
        if next.is_none_or(|next| !next.output.shares_buffer(&rendering.output)) {
            self.kept_bytes += rendering.output.held_bytes();
        }
        self.waiting.push_front(rendering);
    }

    /// What an output would add. Outputs of one batch come one after another and share a buffer.
    fn adds(&self, output: &KeptOutput) -> usize {
        let shares = |last: &Rendering| last.output.shares_buffer(output);
        if self.waiting.back().is_some_and(shares) { 0 } else { output.held_bytes() }
    }
}
