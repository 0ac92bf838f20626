//! The models: they take batches from the core and answer them when they like.

use std::cell::RefCell;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use cutter_core::ids::ReplicaId;
use cutter_core::{BatchResults, Core, Death, ItemResults, Sink};
use cutter_machine::clock::Clock;
use cutter_protocol::engine::{EngineEnd, PoolChange};
use cutter_tensor::{Item, RowRef};
use rustix::event::EventfdFlags;

use super::MS;
use super::batches::{DEPTH, REPLICAS};
use super::oracle::FILLER;
use super::script::{LARGE, LAZY, QUICK};
use super::state::{Event, State};
use crate::carrier::{Carrier, GivenUp, LinkView};
use crate::engine::Ids;

/// The carrier.
#[derive(Debug)]
pub struct Models {
    state: Rc<RefCell<State>>,
    ids: Ids,
    pools: Vec<File>,
    strides: Vec<usize>,
    bells: Vec<OwnedFd>,
    rows: Vec<RowRef>,
}

impl Models {
    pub fn new(state: Rc<RefCell<State>>, ids: Ids, pools: Vec<File>, strides: Vec<usize>) -> Self {
        let bell = |_| rustix::event::eventfd(0, EventfdFlags::CLOEXEC).expect("a descriptor");
        let bells = (0..REPLICAS).map(bell).collect();
        Self { state, ids, pools, strides, bells, rows: Vec::new() }
    }

    pub fn bells(&self) -> Vec<i32> {
        self.bells.iter().map(AsRawFd::as_raw_fd).collect()
    }

    /// The two first integers of an input.
    fn input(&self, application: usize, row: &RowRef) -> (i32, i32) {
        let mut bytes = [0; 8];
        let at = row.row as usize * self.strides[application];
        self.pools[application].read_exact_at(&mut bytes, at as u64).expect("a row of the pool");
        let [identity, size] = *bytes.as_chunks::<4>().0 else { unreachable!() };
        (i32::from_ne_bytes(identity), i32::from_ne_bytes(size))
    }

    fn take(&mut self, now_ns: u64, core: &mut Core, sink: &mut impl Sink) -> Option<()> {
        let (replica, slot, inputs, fails) = {
            let state = &mut *self.state.borrow_mut();
            let (replica, slot) = state.batches.published.pop_front()?;
            let inputs = state.batches.in_flight[replica][slot].take().expect("it was sent");
            (replica, slot, inputs, replica == LAZY && state.rng.one_in(8))
        };
        let slot = u32::try_from(slot).expect("few slots");
        if fails {
            self.state.borrow_mut().oracle.failed(&inputs);
        }
        let results = if fails {
            BatchResults::Failed(b"the model says no")
        } else {
            BatchResults::Items(Outputs::of(&inputs))
        };
        core.complete(now_ns, now_ns, self.ids.replicas[replica], slot, &results, sink);
        Some(())
    }

    fn send(
        &mut self,
        now_ns: u64,
        replica: usize,
        core: &mut Core,
        sink: &mut impl Sink,
    ) -> Option<()> {
        let mut rows = std::mem::take(&mut self.rows);
        let id = self.ids.replicas[replica];
        let plan = core.next_batch(now_ns, id, &mut rows, sink);
        // Models and applications have the same numbers.
        let inputs: Vec<_> = rows.iter().map(|row| self.input(replica, row)).collect();
        self.rows = rows;
        plan?;
        let state = &mut *self.state.borrow_mut();
        for (identity, _) in &inputs {
            state.oracle.executed(*identity, &mut state.clients);
        }
        let plan = plan.expect("just seen");
        state.deadlines.push((replica, plan.deadline_ns));
        let slots = &mut state.batches.in_flight[replica];
        let slot = slots.iter().position(Option::is_none).expect("a free slot");
        slots[slot] = Some(inputs);
        let service_ns = state.service_ns[replica];
        let service_ns = match replica {
            // Sometimes beyond the objective.
            LAZY => service_ns * state.rng.below(30),
            _ => service_ns / 2 + state.rng.below(service_ns),
        };
        state.schedule(now_ns + service_ns.max(1), Event::Done { replica, slot });
        core.sent(now_ns, id, u32::try_from(slot).expect("few slots"));
        Some(())
    }
}

impl Carrier for Models {
    fn up(
        &mut self,
        _: u64,
        _: (ReplicaId, u64),
        _: Box<EngineEnd>,
        _: Vec<PoolChange>,
        _: bool,
        _: &mut Core,
    ) {
        unreachable!("nothing comes or goes here");
    }

    fn change_pool(&mut self, _: ReplicaId, _: u64, _: PoolChange) {
        unreachable!("nothing comes or goes here");
    }

    fn take_pool_changed(&mut self) -> Option<(ReplicaId, u64, PoolChange)> {
        None
    }

    fn incarnation(&self, _: ReplicaId) -> Option<u64> {
        None
    }

    fn stop_one(&mut self, _: ReplicaId, _: u64) {
        unreachable!("nothing comes or goes here");
    }

    fn lost(&mut self, _: u64, _: ReplicaId, _: u64, _: Death, _: &mut Core, _: &mut impl Sink) {
        unreachable!("nothing comes or goes here");
    }

    fn serve(&mut self, clock: &impl Clock, core: &mut Core, sink: &mut impl Sink) -> bool {
        let mut worked = false;
        while self.take(clock.now_ns(), core, sink).is_some() {
            worked = true;
        }
        for _ in 0..DEPTH {
            for replica in [QUICK, LARGE, LAZY] {
                if core.has_waiting(self.ids.models[replica]) {
                    worked |= self.send(clock.now_ns(), replica, core, sink).is_some();
                }
            }
        }
        worked
    }

    /// What it rang for may have been taken already.
    fn on_doorbell(&mut self, _: u64, _: ReplicaId, _: &mut Core, _: &mut impl Sink) {}

    fn give_up_hanging(&mut self, _: u64, core: &mut Core, _: &mut impl Sink) {
        assert!(core.take_kill().is_none(), "nothing hangs here");
    }

    fn take_given_up(&mut self) -> impl Iterator<Item = GivenUp> {
        std::iter::empty()
    }

    fn take_retired(&mut self) -> Option<Box<EngineEnd>> {
        None
    }

    fn stop(&mut self) {}

    fn announce_sleep(&self) -> bool {
        let batches = &mut self.state.borrow_mut().batches;
        batches.announced = true;
        batches.has_news()
    }

    fn retract_sleep(&self) {
        self.state.borrow_mut().batches.announced = false;
    }

    fn doorbells(&self) -> impl Iterator<Item = (ReplicaId, u64, BorrowedFd<'_>)> {
        let bells = self.ids.replicas.iter().zip(&self.bells);
        bells.map(|(replica, bell)| (*replica, 1, bell.as_fd()))
    }

    fn view(&self) -> Vec<(ReplicaId, LinkView)> {
        Vec::new()
    }
}

/// Each output begins with what its input began with.
struct Outputs(Vec<Result<Vec<u8>, ()>>);

impl Outputs {
    fn of(inputs: &[(i32, i32)]) -> Self {
        let output = |(identity, size): &(i32, i32)| {
            let size = usize::try_from(*size).map_err(|_| ())?;
            let integers = std::iter::once(*identity).chain(std::iter::repeat_n(FILLER, size));
            Ok(integers.flat_map(i32::to_ne_bytes).collect())
        };
        Self(inputs.iter().map(output).collect())
    }
}

impl ItemResults for Outputs {
    fn get(&self, item: usize) -> Item<'_> {
        match &self.0[item] {
            Ok(bytes) => Item::Output(cutter_tensor::OutputBytes::borrowed(bytes)),
            Err(()) => Item::Failed(b"it cannot be done"),
        }
    }
}

/// What one batch takes by default.
pub const SERVICE_NS: [u64; REPLICAS] = [MS, 2 * MS, MS];
