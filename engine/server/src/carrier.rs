//! The engine's ends of all replicas: what carries batches between the scheduler and the rings.
//!
//! Owner: the engine thread. [`Replicas::serve`] is the whole exchange: take what came back, answer
//! it, and send what waits. It knows neither sockets nor processes, so it runs the same under the
//! HTTP server, in a bench without a network, and in tests.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use cutter_core::scheduler::{BatchResults, Death, ItemResults, RowRef, Scheduler, Sink};
use cutter_core::stats::EngineStats;
use cutter_machine::clock::Clock;
use cutter_protocol::engine::{self, EndView, EngineEnd, Items, Polled, Results};
use cutter_protocol::limits::BATCH_ITEMS_MAX;
use cutter_protocol::violation::Violation;
use cutter_tensor::Item;

use crate::limits::{WAKES_WITHOUT_NEWS_MAX, WAKES_WITHOUT_NEWS_PER_SECOND};
use crate::messages::KillReason;

/// One incarnation.
#[derive(Debug)]
struct Link {
    incarnation: u64,
    end: Box<EngineEnd>,
    idle_wakes: IdleWakes,
    /// When the completion was first seen that is being copied.
    seen_ns: Option<u64>,
}

/// An incarnation that the engine has given up and that is to be killed.
#[derive(Clone, Copy, Debug)]
pub struct GivenUp {
    pub replica: usize,
    pub incarnation: u64,
    pub reason: KillReason,
}

/// One look at the engine's end of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkView {
    pub incarnation: u64,
    pub wakes_without_news: u32,
    pub end: EndView,
}

/// All replicas, by the index that the scheduler uses.
#[derive(Debug)]
pub struct Replicas {
    links: Box<[Option<Link>]>,
    model_of: Box<[usize]>,
    /// The rows of the batch that is being formed, as the core and as the protocol know them.
    rows: Vec<RowRef>,
    sent_rows: Vec<engine::RowRef>,
    given_up: Vec<GivenUp>,
    retired: Vec<Box<EngineEnd>>,
    stats: Arc<EngineStats>,
}

impl Replicas {
    pub fn new(scheduler: &Scheduler, stats: Arc<EngineStats>) -> Self {
        let models = 0..scheduler.models();
        let model_of: Box<[usize]> =
            models.flat_map(|model| scheduler.replicas_of(model).map(move |_| model)).collect();
        Self {
            links: model_of.iter().map(|_| None).collect(),
            model_of,
            rows: Vec::with_capacity(BATCH_ITEMS_MAX as usize),
            sent_rows: Vec::with_capacity(BATCH_ITEMS_MAX as usize),
            given_up: Vec::new(),
            retired: Vec::new(),
            stats,
        }
    }

    /// An incarnation is ready for batches.
    pub fn up(
        &mut self,
        now_ns: u64,
        replica: usize,
        incarnation: u64,
        end: Box<EngineEnd>,
        scheduler: &mut Scheduler,
    ) {
        let geometry = *end.geometry();
        scheduler.replica_up(now_ns, replica, geometry.output, geometry.depth, geometry.items_max);
        self.links[replica] =
            Some(Link { incarnation, end, idle_wakes: IdleWakes::new(now_ns), seen_ns: None });
    }

    /// An incarnation is gone. What it published before is taken, but for what takes longer than a
    /// turn to copy; the rest goes elsewhere.
    pub fn lost(
        &mut self,
        now_ns: u64,
        replica: usize,
        incarnation: u64,
        death: Death,
        scheduler: &mut Scheduler,
        sink: &mut impl Sink,
    ) {
        let current = self.links[replica].as_ref().map(|link| link.incarnation);
        if current != Some(incarnation) {
            return;
        }
        self.take_completions(now_ns, replica, scheduler, sink);
        if let Some(link) = self.links[replica].take() {
            self.retired.push(link.end);
            scheduler.replica_lost(now_ns, replica, death, sink);
        }
    }

    /// Takes what came back and sends what waits. Says whether there was anything. The time is
    /// asked for only then: an idle look costs one load for each replica.
    #[inline]
    pub fn serve(
        &mut self,
        clock: &impl Clock,
        scheduler: &mut Scheduler,
        sink: &mut impl Sink,
    ) -> bool {
        let mut worked = false;
        for replica in 0..self.links.len() {
            if self.links[replica].as_ref().is_some_and(|link| link.end.has_news()) {
                worked |= self.take_completions(clock.now_ns(), replica, scheduler, sink);
            }
        }
        for model in 0..scheduler.models() {
            if scheduler.has_waiting(model) {
                worked |= self.dispatch(clock.now_ns(), model, scheduler, sink);
            }
        }
        worked
    }

    /// Gives up the incarnations in which a batch hangs.
    pub fn give_up_hanging(
        &mut self,
        now_ns: u64,
        scheduler: &mut Scheduler,
        sink: &mut impl Sink,
    ) {
        while let Some(kill) = scheduler.take_kill() {
            let reason = KillReason::Hang { running_ns: kill.running_ns };
            self.give_up(now_ns, kill.replica, reason, scheduler, sink);
        }
    }

    /// The incarnations given up since the last call.
    pub fn take_given_up(&mut self) -> impl Iterator<Item = GivenUp> + '_ {
        self.given_up.drain(..)
    }

    /// The memory of incarnations that are gone.
    pub fn take_retired(&mut self) -> Option<Box<EngineEnd>> {
        self.retired.pop()
    }

    /// Asks every replica to end.
    pub fn stop(&mut self) {
        self.links.iter_mut().flatten().for_each(|link| link.end.stop());
    }

    /// Before the engine sleeps: from now on replicas ring their doorbells. Says whether one has
    /// published meanwhile, so that there is no sleeping.
    pub fn announce_sleep(&self) -> bool {
        let links = || self.links.iter().flatten();
        links().for_each(|link| link.end.announce_sleep());
        links().any(|link| link.end.has_news())
    }

    /// After the engine slept.
    pub fn retract_sleep(&self) {
        self.links.iter().flatten().for_each(|link| link.end.retract_sleep());
    }

    /// Every doorbell, with its replica and incarnation.
    pub fn doorbells(&self) -> impl Iterator<Item = (usize, u64, BorrowedFd<'_>)> + '_ {
        let links = self.links.iter().enumerate();
        links.filter_map(|(replica, link)| {
            let link = link.as_ref()?;
            Some((replica, link.incarnation, link.end.doorbell()))
        })
    }

    /// One look at each replica's rings, by replica; absent while none is linked.
    pub fn view(&self) -> Vec<Option<LinkView>> {
        let view = |link: &Link| LinkView {
            incarnation: link.incarnation,
            wakes_without_news: link.idle_wakes.level,
            end: link.end.view(),
        };
        self.links.iter().map(|link| link.as_ref().map(view)).collect()
    }

    /// A doorbell rang. Without news that is a wasted wake; a replica that wastes too many is given
    /// up.
    pub fn rang(
        &mut self,
        now_ns: u64,
        replica: usize,
        scheduler: &mut Scheduler,
        sink: &mut impl Sink,
    ) {
        let Some(link) = &mut self.links[replica] else { return };
        if link.end.has_news() {
            return;
        }
        let wakes = link.idle_wakes.count(now_ns);
        if wakes > WAKES_WITHOUT_NEWS_MAX {
            let reason = Violation::WakeFlood { wakes }.into();
            self.give_up(now_ns, replica, reason, scheduler, sink);
        }
    }

    fn take_completions(
        &mut self,
        now_ns: u64,
        replica: usize,
        scheduler: &mut Scheduler,
        sink: &mut impl Sink,
    ) -> bool {
        let mut worked = false;
        let violation = loop {
            let Some(link) = &mut self.links[replica] else { return worked };
            if !link.end.has_news() {
                return worked;
            }
            match link.end.poll() {
                Ok(Polled::Nothing) => return worked,
                // A large batch is copied over several turns, so that the others have theirs.
                Ok(Polled::Copying) => {
                    link.seen_ns.get_or_insert(now_ns);
                    return true;
                }
                Ok(Polled::Completed(completed)) => {
                    link.idle_wakes.pay();
                    let seen_ns = link.seen_ns.take().unwrap_or(now_ns);
                    let results = match completed.results {
                        Results::Failed(message) => BatchResults::Failed(message),
                        Results::Items(items) => BatchResults::Items(Outputs(items)),
                    };
                    let slot = completed.ticket.slot;
                    scheduler.complete(seen_ns, now_ns, replica, slot, &results, sink);
                    worked = true;
                }
                Ok(Polled::PoolChanged(_)) => {
                    link.idle_wakes.pay();
                    worked = true;
                }
                Err(violation) => break violation,
            }
        };
        self.give_up(now_ns, replica, violation.into(), scheduler, sink);
        true
    }

    /// Sends batches to the replicas of a model, the least occupied first.
    fn dispatch(
        &mut self,
        now_ns: u64,
        model: usize,
        scheduler: &mut Scheduler,
        sink: &mut impl Sink,
    ) -> bool {
        let mut worked = false;
        for in_flight in 0..scheduler.depth(model) {
            for replica in scheduler.replicas_of(model) {
                if scheduler.in_flight(replica) != Some(in_flight) {
                    continue;
                }
                let plan = scheduler.next_batch(now_ns, replica, &mut self.rows, sink);
                let (Some(plan), Some(link)) = (plan, &mut self.links[replica]) else { continue };
                let as_sent = |row: &RowRef| {
                    let RowRef { pool, row, bytes } = *row;
                    engine::RowRef { pool, row, bytes }
                };
                self.sent_rows.clear();
                self.sent_rows.extend(self.rows.iter().map(as_sent));
                let (ticket, woke) = link.end.submit(&self.sent_rows, plan.deadline_ns);
                scheduler.sent(now_ns, replica, ticket.slot);
                if woke {
                    self.stats.system_calls_wake.increment();
                }
                worked = true;
            }
            if !scheduler.has_waiting(model) {
                break;
            }
        }
        worked
    }

    fn give_up(
        &mut self,
        now_ns: u64,
        replica: usize,
        reason: KillReason,
        scheduler: &mut Scheduler,
        sink: &mut impl Sink,
    ) {
        let Some(link) = self.links[replica].take() else { return };
        if let KillReason::Violation(violation) = reason {
            self.stats.models[self.model_of[replica]].violations(violation.kind()).increment();
        }
        self.given_up.push(GivenUp { replica, incarnation: link.incarnation, reason });
        self.retired.push(link.end);
        scheduler.replica_lost(now_ns, replica, Death::Crash, sink);
    }
}

/// The results of a batch, as the core looks at them.
struct Outputs<'a>(Items<'a>);

impl ItemResults for Outputs<'_> {
    #[inline]
    fn get(&self, item: usize) -> Item<'_> {
        self.0.get(item)
    }
}

/// Wakes without news that a replica has caused, as a bucket with a leak.
///
/// A replica may ring once for each completion, and the engine may have taken that completion
/// before it hears the bell: so a completion pays for one wake. What is not paid for leaks away at
/// [`WAKES_WITHOUT_NEWS_PER_SECOND`]. Above [`WAKES_WITHOUT_NEWS_MAX`] the replica floods, whatever
/// else it does.
#[derive(Debug)]
struct IdleWakes {
    level: u32,
    /// What has leaked until then is off the level already.
    leaked_until_ns: u64,
}

const LEAK_NS: u64 = 1_000_000_000 / WAKES_WITHOUT_NEWS_PER_SECOND;

impl IdleWakes {
    fn new(now_ns: u64) -> Self {
        Self { level: 0, leaked_until_ns: now_ns }
    }

    fn pay(&mut self) {
        self.level = self.level.saturating_sub(1);
    }

    /// Counts one, and gives the level.
    fn count(&mut self, now_ns: u64) -> u32 {
        let leaks = now_ns.saturating_sub(self.leaked_until_ns) / LEAK_NS;
        self.leaked_until_ns += leaks * LEAK_NS;
        self.level = self.level.saturating_sub(u32::try_from(leaks).unwrap_or(u32::MAX));
        self.level = self.level.saturating_add(1);
        self.level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    /// The highest level while this many wakes a second come for ten seconds, each with so many
    /// completions.
    fn highest(wakes_per_second: u64, completions_per_wake: u32) -> u32 {
        let mut wakes = IdleWakes::new(SECOND_NS);
        (0..10 * wakes_per_second)
            .map(|wake| {
                (0..completions_per_wake).for_each(|_| wakes.pay());
                wakes.count(SECOND_NS + wake * SECOND_NS / wakes_per_second)
            })
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn a_replica_that_rings_once_for_each_completion_never_floods() {
        assert_eq!(highest(100_000, 1), 1);
    }

    #[test]
    fn a_replica_that_serves_and_rings_all_the_time_floods() {
        let mut wakes = IdleWakes::new(0);
        let mut flooded = false;
        // A bell each 10 us, and a completion with every hundredth.
        for wake in 0..2_000 {
            if wake % 100 == 0 {
                wakes.pay();
            }
            flooded |= wakes.count(wake * 10_000) > WAKES_WITHOUT_NEWS_MAX;
        }
        assert!(flooded);
    }

    #[test]
    fn a_few_wakes_for_nothing_are_forgiven_for_ever() {
        assert!(highest(WAKES_WITHOUT_NEWS_PER_SECOND, 0) <= 2);
        assert!(highest(2 * WAKES_WITHOUT_NEWS_PER_SECOND, 0) > WAKES_WITHOUT_NEWS_MAX);
    }

    #[test]
    fn a_clock_that_stands_still_or_a_pause_of_years_does_no_harm() {
        let mut wakes = IdleWakes::new(SECOND_NS);
        assert_eq!((wakes.count(0), wakes.count(SECOND_NS)), (1, 2));
        assert_eq!(wakes.count(u64::MAX), 1);
    }
}
