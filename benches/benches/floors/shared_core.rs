//! Three threads on two cores: a client and a model on one, an engine that spins on the other. The
//! client's bytes go to the engine, a word goes to the model and comes back, bytes go back.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use cutter_benches::cores::{Cores, beside, pin};
use cutter_benches::floor::Exchanges;
use cutter_benches::measurement::Round;
use rustix::thread::sched_yield;

use crate::futexes::Bell;
use crate::tcp::{Link, Sizes, Wait, client, joined, listen};

/// What the client does while it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientWait {
    Yield,
    Spin,
}

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

pub fn round(
    cores: Cores,
    sizes: Sizes,
    client_wait: ClientWait,
    model_wait: ModelWait,
    exchanges: Exchanges,
) -> io::Result<Round> {
    let (listener, address) = listen()?;
    let engine = thread::spawn(move || {
        pin(cores.engine)?;
        let link = Link::new(listener.accept()?.0, Wait::Spin)?;
        let words = Words::default();
        let model = || words.model(model_wait);
        beside(cores.other, model, || {
            let served = words.engine(link, sizes, model_wait);
            words.ask.ring(STOP);
            served
        })?
    });
    let wait = match client_wait {
        ClientWait::Yield => Wait::Yield,
        ClientWait::Spin => Wait::Spin,
    };
    let round = client(cores, address, sizes, wait, exchanges)?;
    joined(engine)?;
    Ok(round)
}

impl Words {
    fn engine(&self, mut link: Link, sizes: Sizes, model_wait: ModelWait) -> io::Result<()> {
        let (mut request, reply) = (vec![0; sizes.0], vec![b'.'; sizes.1]);
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
