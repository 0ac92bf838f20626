//! Answers come in: written at once when that is little, else piece by piece over the turns.
//!
//! The core answers a query once, in whatever turn its batch comes back. What its output
//! takes to render is bounded for each turn: a small one is written on the spot as long as the turn
//! has room, and everything else waits in the queue of [`Renderings`], held as the replica left it.
//!
//! [`Renderings`]: super::rendering::Renderings

use cutter_core::feedback::{Decided, Learned};
use cutter_core::ids::ApplicationId;
use cutter_core::stats::Reason;
use cutter_core::{Answer, Outcome, ReplyTo, Sink};
use cutter_tensor::{OutputBytes, TensorSpec};
use cutter_wire::clipper;
use cutter_wire::json::render::{TensorWriter, rendered_bytes_max};

use super::extra::Extra;
use super::ledger::{Full, Ledger};
use super::outbound::{Address, Replies, reply_at};
use super::rendering::Rendering;
use super::reply::Reply;
use crate::limits::{AT_ONCE_BYTES_MAX, PIECE_BYTES};

/// Bytes that a prediction's item has beside its output.
const ITEM_FRAME_BYTES: usize = 64;

const NOT_UTF8: &[u8] = b"its output is declared as a string and is not UTF-8";

/// What an item is answered with.
#[derive(Clone, Copy, Debug)]
enum Content<'a> {
    Prediction { spec: &'a TensorSpec, output: &'a [u8], extra: Extra<'a> },
    Default { reason: Reason, detail: &'a [u8], extra: Extra<'a> },
}

/// A prediction for which there is no room.
const OVERLOADED: Content<'static> =
    Content::Default { reason: Reason::Overloaded, detail: NO_ROOM, extra: Extra::Nothing };
const NO_ROOM: &[u8] = b"Answers that are not read yet leave no room for this one";

impl Sink for Replies {
    fn answer(&mut self, answer: &Answer<'_>) {
        let Answer { reply_to, query_id, due_ns, answered_ns, .. } = *answer;
        let Some(reply) = reply_at(&mut self.connections, Address::unpack(reply_to)) else {
            return;
        };
        (reply.due_ns, reply.answered_ns) = (due_ns, answered_ns);
        let arrived_ns = answer.arrived_ns;
        let extra = answer
            .ensemble
            .map_or(Extra::Nothing, |ensemble| Extra::Ensemble { ensemble, arrived_ns });
        match answer.outcome {
            Outcome::Default { reason, detail } => {
                self.fill(reply_to, query_id, Content::Default { reason, detail, extra });
            }
            Outcome::Prediction { output, spec } => {
                let most = rendered_bytes_max(spec, output.bytes().len());
                let most = usize::try_from(most).unwrap_or(usize::MAX);
                if most <= self.render_budget {
                    let output = output.bytes();
                    self.fill(reply_to, query_id, Content::Prediction { spec, output, extra });
                } else if self.defer(answer, (output, spec, extra), most).is_err() {
                    self.drop_prediction(Some(answer.application));
                    self.fill(reply_to, query_id, OVERLOADED);
                }
            }
        }
    }

    fn decided(&mut self, decided: &Decided<'_>) {
        if let Some(log) = &mut self.log {
            log.decided(decided);
        }
    }

    fn learned(&mut self, learned: &Learned<'_>) {
        if let Some(log) = &mut self.log {
            log.learned(learned);
        }
    }
}

impl Replies {
    /// A new turn begins, in which so many bytes may be rendered.
    pub fn begin_turn(&mut self, budget_bytes: usize) {
        self.render_budget = budget_bytes;
    }

    /// Whether outputs wait to be rendered.
    pub fn has_unrendered(&self) -> bool {
        !self.renderings.is_empty()
    }

    /// Renders on, as far as this turn's budget goes.
    pub fn render(&mut self) {
        while self.render_budget > 0 {
            let Some(rendering) = self.renderings.pop() else { return };
            let address = Address::unpack(rendering.reply_to);
            let reply = reply_at(&mut self.connections, address);
            if !reply.is_some_and(|reply| reply.is_rendering(address.item)) {
                // The client has gone.
                rendering.own.into_iter().for_each(|(_, buffer)| self.buffers.give(buffer));
                continue;
            }
            if rendering.own.is_some() {
                self.render_piece(rendering);
            } else {
                let Rendering { reply_to, query_id, spec, output, extra, .. } = &rendering;
                let (output, extra) = (output.bytes(), Extra::Written(extra));
                let content = Content::Prediction { spec, output, extra };
                self.fill(*reply_to, *query_id, content);
            }
        }
    }

    /// Writes an item behind those that are there, and lists the connection when that was the last.
    fn fill(&mut self, reply_to: ReplyTo, query_id: u64, mut content: Content<'_>) {
        let address = Address::unpack(reply_to);
        let Address { connection, item, .. } = address;
        let Some(reply) = reply_at(&mut self.connections, address) else { return };
        let application = reply.application;
        let Some(endpoint) = application.and_then(|id| self.endpoints.get(id)) else { return };
        let dropped = &endpoint.stats.predictions_dropped;
        let before = reply.written.len();
        loop {
            match content {
                Content::Prediction { spec, output, extra } => {
                    let beside = (endpoint, extra);
                    let written = reply.write_prediction(item, query_id, (spec, output), beside);
                    if written.is_err() {
                        dropped.increment();
                        let (reason, extra) = (Reason::ModelError, Extra::Nothing);
                        content = Content::Default { reason, detail: NOT_UTF8, extra };
                        continue;
                    }
                }
                Content::Default { reason, detail, extra } => {
                    reply.write_default(item, query_id, (reason, detail), (endpoint, extra));
                }
            }
            let written = reply.written.len() - before;
            self.render_budget = self.render_budget.saturating_sub(written);
            if settle(&mut self.ledger, connection, reply).is_ok() {
                break;
            }
            content = match content {
                Content::Prediction { .. } => {
                    dropped.increment();
                    OVERLOADED
                }
                Content::Default { reason, detail, extra }
                    if !detail.is_empty() || !matches!(extra, Extra::Nothing) =>
                {
                    Content::Default { reason, detail: b"", extra: Extra::Nothing }
                }
                Content::Default { .. } => {
                    // Its bytes were set aside; only the buffer's growth is more than that.
                    force(&mut self.ledger, connection, reply);
                    break;
                }
            };
            reply.take_back(item);
        }
        if reply.is_complete() {
            self.completed(application);
            self.list(connection);
        }
    }

    /// Lets an output wait for its turn.
    fn defer(
        &mut self,
        answer: &Answer<'_>,
        (output, spec, extra): (OutputBytes<'_>, &TensorSpec, Extra<'_>),
        most: usize,
    ) -> Result<(), Full> {
        let Answer { reply_to, query_id, .. } = *answer;
        let output = output.keep();
        if !self.renderings.has_room_for(&output) {
            return Err(Full);
        }
        let address = Address::unpack(reply_to);
        let Some(reply) = reply_at(&mut self.connections, address) else { return Ok(()) };
        let mut told = Vec::new();
        if let Some(endpoint) = reply.application.and_then(|id| self.endpoints.get(id)) {
            extra.write(&mut told, endpoint);
        }
        let mut own = None;
        if most > AT_ONCE_BYTES_MAX {
            let most = most.saturating_add(ITEM_FRAME_BYTES);
            let buffer = self.buffers.take(most);
            let capacity = buffer.capacity();
            if let Err(full) = self.ledger.charge(address.connection, capacity) {
                self.buffers.give(buffer);
                return Err(full);
            }
            reply.charged += capacity;
            reply.begin_rendering(address.item, capacity);
            let Some(endpoint) = reply.application.and_then(|id| self.endpoints.get(id)) else {
                return Ok(());
            };
            let rule = endpoint.text_rule();
            own = Some((TensorWriter::new(spec, rule), buffer));
        } else {
            reply.begin_rendering(address.item, 0);
        }
        let (spec, extra) = (*spec, told);
        self.renderings.push(Rendering { reply_to, query_id, spec, output, extra, own });
        Ok(())
    }

    /// Renders a piece of an output that has a buffer of its own.
    fn render_piece(&mut self, mut rendering: Rendering) {
        let Some((mut writer, mut buffer)) = rendering.own.take() else { return };
        let (capacity, before) = (buffer.capacity(), buffer.len());
        if before == 0 {
            clipper::open_prediction(&mut buffer, rendering.query_id);
        }
        let written = writer.write(&mut buffer, rendering.output.bytes(), PIECE_BYTES);
        self.render_budget = self.render_budget.saturating_sub((buffer.len() - before).max(1));
        if matches!(written, Ok(true)) {
            clipper::close_prediction(&mut buffer, |out| out.extend_from_slice(&rendering.extra));
        }
        let Rendering { reply_to, query_id, .. } = rendering;
        let address = Address::unpack(reply_to);
        let Some(reply) = reply_at(&mut self.connections, address) else { return };
        // What an output renders to is bounded, and set aside. Should it be more, it is counted.
        let grown_bytes = buffer.capacity() - capacity;
        if grown_bytes > 0 {
            reply.begin_rendering(address.item, grown_bytes);
            force(&mut self.ledger, address.connection, reply);
        }
        let capacity = buffer.capacity();
        if matches!(written, Ok(false)) {
            rendering.own = Some((writer, buffer));
            // A piece in each turn.
            self.render_budget = 0;
            return self.renderings.put_back(rendering);
        }
        if written.is_err() {
            reply.give_up_rendering(capacity);
            self.buffers.give(buffer);
            let application = reply.application;
            self.drop_prediction(application);
            let (reason, extra) = (Reason::ModelError, Extra::Nothing);
            let content = Content::Default { reason, detail: NOT_UTF8, extra };
            return self.fill(reply_to, query_id, content);
        }
        if buffer.capacity() / 2 > buffer.len() {
            buffer.shrink_to_fit();
        }
        reply.finish_rendering(address.item, buffer, capacity);
        force(&mut self.ledger, address.connection, reply);
        if reply.is_complete() {
            let application = reply.application;
            self.completed(application);
            self.list(address.connection);
        }
    }

    /// A prediction is not told after all.
    fn drop_prediction(&self, application: Option<ApplicationId>) {
        if let Some(endpoint) = application.and_then(|application| self.endpoints.get(application))
        {
            endpoint.stats.predictions_dropped.increment();
        }
    }
}

/// Brings the ledger up to what an answer takes now.
fn settle(ledger: &mut Ledger, connection: usize, reply: &mut Reply) -> Result<(), Full> {
    let cost = reply.cost();
    if cost > reply.charged {
        ledger.charge(connection, cost - reply.charged)?;
    } else {
        ledger.release(connection, reply.charged - cost);
    }
    reply.charged = cost;
    Ok(())
}

/// The same when it must be.
fn force(ledger: &mut Ledger, connection: usize, reply: &mut Reply) {
    if settle(ledger, connection, reply).is_err() {
        let cost = reply.cost();
        ledger.force(connection, cost - reply.charged);
        reply.charged = cost;
    }
}
