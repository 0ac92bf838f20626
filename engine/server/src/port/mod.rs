//! Where queries come in.
//!
//! A port owns its peers, their pace, and bounded bytes in and out; what it asks of the core does
//! not show which port it came by.

pub mod direct;
pub mod http;
mod policy;

use cutter_core::feedback::{Decided, Learned};
use cutter_core::{Answer, Sink};

pub use policy::{PolicyView, VectorError};

use direct::{Questions, is_direct};
use http::Replies;

/// Where the core's answers go: each to the port by which its query came; and what was decided and
/// learned, to the log.
#[derive(Debug)]
pub struct Answers<'a> {
    pub http: &'a mut Replies,
    pub direct: &'a mut Questions,
}

impl Sink for Answers<'_> {
    #[inline]
    fn answer(&mut self, answer: &Answer<'_>) {
        if is_direct(answer.reply_to) {
            self.direct.answer(answer);
        } else {
            self.http.answer(answer);
        }
    }

    fn decided(&mut self, decided: &Decided<'_>) {
        self.http.decided(decided);
    }

    fn learned(&mut self, learned: &Learned<'_>) {
        self.http.learned(learned);
    }
}
