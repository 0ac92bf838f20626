//! What the engine thread asks of whoever carries batches to the models.
//!
//! Under the server these are the rings of [`Replicas`]; in tests it is a model that takes its
//! batches from the scheduler and answers them when it likes.

use std::fmt::Debug;
use std::os::fd::BorrowedFd;

use cutter_core::scheduler::{Death, Scheduler, Sink};
use cutter_machine::clock::Clock;
use cutter_protocol::engine::EngineEnd;

use crate::carrier::{GivenUp, LinkView, Replicas};

/// The operations are those of [`Replicas`], where they are described.
pub trait Carrier: Debug {
    fn up(
        &mut self,
        now_ns: u64,
        replica: usize,
        incarnation: u64,
        end: Box<EngineEnd>,
        scheduler: &mut Scheduler,
    );
    fn lost(
        &mut self,
        now_ns: u64,
        replica: usize,
        incarnation: u64,
        death: Death,
        scheduler: &mut Scheduler,
        sink: &mut impl Sink,
    );
    fn serve(
        &mut self,
        clock: &impl Clock,
        scheduler: &mut Scheduler,
        sink: &mut impl Sink,
    ) -> bool;
    fn rang(
        &mut self,
        now_ns: u64,
        replica: usize,
        scheduler: &mut Scheduler,
        sink: &mut impl Sink,
    );
    fn give_up_hanging(&mut self, now_ns: u64, scheduler: &mut Scheduler, sink: &mut impl Sink);
    fn take_given_up(&mut self) -> impl Iterator<Item = GivenUp>;
    fn take_retired(&mut self) -> Option<Box<EngineEnd>>;
    fn stop(&mut self);
    fn announce_sleep(&self) -> bool;
    fn retract_sleep(&self);
    fn doorbells(&self) -> impl Iterator<Item = (usize, u64, BorrowedFd<'_>)>;
    fn view(&self) -> Vec<Option<LinkView>>;
}

impl Carrier for Replicas {
    fn up(
        &mut self,
        now_ns: u64,
        replica: usize,
        incarnation: u64,
        end: Box<EngineEnd>,
        scheduler: &mut Scheduler,
    ) {
        self.up(now_ns, replica, incarnation, end, scheduler);
    }

    fn lost(
        &mut self,
        now_ns: u64,
        replica: usize,
        incarnation: u64,
        death: Death,
        scheduler: &mut Scheduler,
        sink: &mut impl Sink,
    ) {
        self.lost(now_ns, replica, incarnation, death, scheduler, sink);
    }

    #[inline]
    fn serve(
        &mut self,
        clock: &impl Clock,
        scheduler: &mut Scheduler,
        sink: &mut impl Sink,
    ) -> bool {
        self.serve(clock, scheduler, sink)
    }

    fn rang(
        &mut self,
        now_ns: u64,
        replica: usize,
        scheduler: &mut Scheduler,
        sink: &mut impl Sink,
    ) {
        self.rang(now_ns, replica, scheduler, sink);
    }

    fn give_up_hanging(&mut self, now_ns: u64, scheduler: &mut Scheduler, sink: &mut impl Sink) {
        self.give_up_hanging(now_ns, scheduler, sink);
    }

    fn take_given_up(&mut self) -> impl Iterator<Item = GivenUp> {
        self.take_given_up()
    }

    fn take_retired(&mut self) -> Option<Box<EngineEnd>> {
        self.take_retired()
    }

    fn stop(&mut self) {
        self.stop();
    }

    fn announce_sleep(&self) -> bool {
        self.announce_sleep()
    }

    fn retract_sleep(&self) {
        self.retract_sleep();
    }

    fn doorbells(&self) -> impl Iterator<Item = (usize, u64, BorrowedFd<'_>)> {
        self.doorbells()
    }

    fn view(&self) -> Vec<Option<LinkView>> {
        self.view()
    }
}
