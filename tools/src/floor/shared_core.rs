//! Three threads on two cores: a client and a model on one, an engine that spins on the other. The
//! client's bytes go to the engine, a word goes to the model and comes back, bytes go back.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::sched_yield;

use super::cores::{Pair, beside};
use super::exchange::Sampling;
use super::futexes::Bell;
use super::link::{Link, Sizes, Wait, Wire, ask_beside, sockets};

/// What the model does while it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelWait {
    Yield,
    Sleep,
}

const STOP: u32 = u32::MAX;

/// The words between engine and model.
#[derive(Default)]
struct Words {
    ask: Bell,
    answer: Answer,
}

#[derive(Default)]
#[repr(align(128))]
struct Answer(AtomicU32);

/// The client waits by `client_wait`, the model by `model_wait`, and the engine spins.
pub fn round(
    pair: Pair,
    sizes: Sizes,
    client_wait: Wait,
    model_wait: ModelWait,
    sampling: Sampling,
) -> io::Result<Vec<u64>> {
    let (near, far) = sockets(Wire::Tcp)?;
    let link = Link::new(far, Wait::Spin);
    let serve = move || {
        let words = Words::default();
        let engine = || {
            let served = words.engine(&link, sizes, model_wait);
            words.ask.ring(STOP);
            // The client, if it still waits, learns that nobody will answer.
            drop(link);
            served
        };
        beside(pair.client, || words.model(model_wait), engine)?.0
    };
    ask_beside(pair, serve, Link::new(near, client_wait), sizes, sampling)
}

impl Words {
    fn engine(&self, link: &Link, sizes: Sizes, model_wait: ModelWait) -> io::Result<()> {
        let (mut request, reply) = (vec![0; sizes.request], vec![b'.'; sizes.reply]);
        let mut number = 0;
        while link.receive(&mut request)? {
            number += 1;
            match model_wait {
                ModelWait::Yield => self.ask.set(number),
                ModelWait::Sleep => self.ask.ring(number),
            }
            // Pairs with: the release store in `model`.
            while self.answer.0.load(Ordering::Acquire) != number {
                std::hint::spin_loop();
            }
            link.send(&reply)?;
        }
        Ok(())
    }

    fn model(&self, wait: ModelWait) {
        let mut last = 0;
        loop {
            let number = match wait {
                ModelWait::Sleep => self.ask.wait(last),
                ModelWait::Yield => self.ask.get(),
            };
            if number == STOP {
                return;
            }
            if number == last {
                sched_yield();
                continue;
            }
            last = number;
            // Pairs with: the acquire load in `engine`.
            self.answer.0.store(number, Ordering::Release);
        }
    }
}
