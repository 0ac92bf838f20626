//! The end of the server in good order.
//!
//! Nobody new is let in. Whole requests are answered, and each connection hears with its last
//! answer that it ends. Idle clients have a moment to hear of it, and requests to become whole:
//! what was sent when the end began may have been received in part. Then the former are closed, and
//! who has sent a part only is refused. What is not answered after [`DRAIN_NS_MAX`] is answered
//! with the default output, and who does not take its answer within [`DRAIN_SEND_NS`] after the
//! last query is cut off.

use cutter_core::stats::Reason;
use cutter_machine::clock::Clock;
use cutter_machine::uring::Token;

use super::ring::Ring;
use super::{EngineThread, answers, kind};
use crate::carrier::Carrier;
use crate::limits::{DRAIN_IDLE_NS, DRAIN_NS_MAX, DRAIN_SEND_NS, LINGER_NS};

/// The server is ending.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// Clients that have had time to hear of it, and have nothing going on, are closed then, and
    /// the rest of no request is waited for any more.
    close_idle_ns: u64,
    /// What is not answered by then is answered with the default.
    until_ns: u64,
    /// Who has not taken its answers by then is cut off. Known when every query is answered.
    cut_off_ns: Option<u64>,
}

impl Drain {
    /// What is not answered by now is answered with the default, and nobody is waited for.
    pub fn end_at(&mut self, now_ns: u64) {
        self.until_ns = now_ns;
        self.cut_off_ns = Some(now_ns + LINGER_NS);
    }

    /// When there is something to do.
    pub fn next_ns(&self) -> u64 {
        self.cut_off_ns.unwrap_or(self.until_ns).min(self.close_idle_ns)
    }
}

impl<R: Ring, C: Carrier, K: Clock> EngineThread<R, C, K> {
    pub(super) fn begin_drain(&mut self, now_ns: u64) {
        if self.drain.is_some() {
            return;
        }
        self.drain = Some(Drain {
            close_idle_ns: now_ns + DRAIN_IDLE_NS,
            until_ns: now_ns + DRAIN_NS_MAX,
            cut_off_ns: None,
        });
        for index in 0..self.listeners.len() {
            let index = u32::try_from(index).expect("few listeners");
            self.ring.cancel(Token::new(kind::ACCEPT, index, 0));
        }
        // The kernel refuses whoever comes now, instead of letting them wait in vain.
        self.listeners.clear();
        self.frontend.begin_drain();
    }

    pub(super) fn keep_draining(&mut self, now_ns: u64) {
        let Some(mut drain) = self.drain else { return };
        if now_ns >= drain.until_ns {
            let sink = &mut answers(&mut self.frontend, &mut self.questions);
            self.core.answer_all(now_ns, Reason::ShuttingDown, sink);
        }
        if self.core.is_idle() && drain.cut_off_ns.is_none() {
            drain.cut_off_ns = Some(now_ns + DRAIN_SEND_NS);
        }
        let cut_off = drain.cut_off_ns.is_some_and(|due_ns| now_ns >= due_ns);
        if cut_off || now_ns >= drain.close_idle_ns {
            drain.close_idle_ns = now_ns + DRAIN_IDLE_NS;
            let numbers = self.connections.numbers();
            self.frontend.refuse_parts(now_ns, numbers, &mut self.core);
            for connection in self.connections.numbers().collect::<Vec<_>>() {
                if cut_off {
                    self.end(connection);
                } else if self.frontend.is_idle(connection) {
                    self.frontend.replies.close_after(connection);
                }
            }
        }
        self.drain = Some(drain);
    }

    /// Drained: every query is answered and every answer is out; or nobody takes them any more.
    pub(super) fn is_drained(&self) -> bool {
        let Some(drain) = self.drain else { return false };
        let answered = self.core.is_idle() && self.connections.len() == 0;
        answered || self.clock.now_ns() > drain.until_ns + DRAIN_SEND_NS + LINGER_NS
    }
}
