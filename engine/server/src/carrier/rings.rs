//! The engine's ends of all replicas: what carries batches between the core and the rings.
//!
//! Owner: the engine thread. [`Carrier::serve`] is the whole exchange: take what came back, answer
//! it, and send what waits. It knows neither sockets nor processes, so it runs the same under the
//! HTTP server, in a bench without a network, and in tests.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use cutter_core::ids::{ModelId, OfReplica, ReplicaId};
use cutter_core::limits::REPLICAS_TOTAL_MAX;
use cutter_core::slab::Slab;
use cutter_core::stats::EngineStats;
use cutter_core::{BatchResults, Core, Death, ItemResults, Sink};
use cutter_machine::clock::Clock;
use cutter_protocol::engine::{EngineEnd, Items, Polled, PoolChange, Results};
use cutter_protocol::limits::BATCH_ITEMS_MAX;
use cutter_protocol::violation::Violation;
use cutter_tensor::{Item, RowRef};

use super::wakes::IdleWakes;
use super::{Carrier, GivenUp, KillReason, LinkView};
use crate::limits::WAKES_WITHOUT_NEWS_MAX;

/// One incarnation.
#[derive(Debug)]
struct Link {
    incarnation: u64,
    end: Box<EngineEnd>,
    idle_wakes: IdleWakes,
    /// Changes of its pools that wait for the one before: at most one is under way.
    changes: VecDeque<PoolChange>,
    /// Its model may be given inputs that nobody asks about.
    may_warm_up: bool,
    /// The core knows of it: all changes with which it came are made.
    is_announced: bool,
    /// When the completion was first seen that is being copied.
    seen_ns: Option<u64>,
}

/// The rings of all replicas that are up.
#[derive(Debug)]
pub struct Rings {
    links: Slab<Link, OfReplica>,
    /// Those that are there, so that nobody looks at all places.
    live: Vec<ReplicaId>,
    /// The rows of the batch that is being formed.
    rows: Vec<RowRef>,
    given_up: Vec<GivenUp>,
    retired: Vec<Box<EngineEnd>>,
    pools_changed: Vec<(ReplicaId, u64, PoolChange)>,
    stats: Arc<EngineStats>,
}

impl Carrier for Rings {
    fn up(
        &mut self,
        now_ns: u64,
        (replica, incarnation): (ReplicaId, u64),
        end: Box<EngineEnd>,
        pools: Vec<PoolChange>,
        may_warm_up: bool,
        core: &mut Core,
    ) {
        let link = Link {
            incarnation,
            end,
            idle_wakes: IdleWakes::new(now_ns),
            changes: pools.into(),
            may_warm_up,
            is_announced: false,
            seen_ns: None,
        };
        self.links.put(replica, link);
        self.live.push(replica);
        self.change_on(now_ns, replica, core);
    }

    fn change_pool(&mut self, replica: ReplicaId, incarnation: u64, change: PoolChange) {
        let current = self.links.get_mut(replica).filter(|link| link.incarnation == incarnation);
        let Some(link) = current else { return };
        link.changes.push_back(change);
        if link.end.has_free_change() {
            submit_change(link, &self.stats);
        }
    }

    fn take_pool_changed(&mut self) -> Option<(ReplicaId, u64, PoolChange)> {
        self.pools_changed.pop()
    }

    fn incarnation(&self, replica: ReplicaId) -> Option<u64> {
        self.links.get(replica).map(|link| link.incarnation)
    }

    fn stop_one(&mut self, replica: ReplicaId, incarnation: u64) {
        let current = self.links.get_mut(replica).filter(|link| link.incarnation == incarnation);
        current.into_iter().for_each(|link| link.end.stop());
    }

    fn lost(
        &mut self,
        now_ns: u64,
        replica: ReplicaId,
        incarnation: u64,
        death: Death,
        core: &mut Core,
        sink: &mut impl Sink,
    ) {
        let current = self.links.get(replica).map(|link| link.incarnation);
        if current != Some(incarnation) {
            return;
        }
        self.take_completions(now_ns, replica, core, sink);
        if let Some(link) = self.take(replica) {
            self.retired.push(link.end);
            core.replica_lost(now_ns, replica, death, sink);
        }
    }

    #[inline]
    fn serve(&mut self, clock: &impl Clock, core: &mut Core, sink: &mut impl Sink) -> bool {
        let mut worked = false;
        // Backwards, since one that breaks the protocol is taken out of the list meanwhile.
        for index in (0..self.live.len()).rev() {
            let replica = self.live[index];
            if self.links[replica].end.has_news() {
                worked |= self.take_completions(clock.now_ns(), replica, core, sink);
            }
        }
        for index in 0..core.models().len() {
            let model = core.models()[index];
            if core.has_waiting(model) {
                let now_ns = clock.now_ns();
                // Who is due does not stand behind the wakes of others' replicas.
                if core.is_due(now_ns) {
                    return true;
                }
                worked |= self.dispatch(now_ns, model, core, sink);
            }
        }
        worked
    }

    fn give_up_hanging(&mut self, now_ns: u64, core: &mut Core, sink: &mut impl Sink) {
        while let Some(kill) = core.take_kill() {
            let reason = KillReason::Hang { running_ns: kill.running_ns };
            self.give_up(now_ns, kill.replica, reason, core, sink);
        }
    }

    fn take_given_up(&mut self) -> impl Iterator<Item = GivenUp> {
        self.given_up.drain(..)
    }

    fn take_retired(&mut self) -> Option<Box<EngineEnd>> {
        self.retired.pop()
    }

    fn stop(&mut self) {
        self.links.iter_mut().for_each(|(_, link)| link.end.stop());
    }

    fn announce_sleep(&self) -> bool {
        let links = || self.live.iter().map(|replica| &self.links[*replica]);
        links().for_each(|link| link.end.announce_sleep());
        links().any(|link| link.end.has_news())
    }

    fn retract_sleep(&self) {
        let links = self.live.iter().map(|replica| &self.links[*replica]);
        links.for_each(|link| link.end.retract_sleep());
    }

    fn doorbells(&self) -> impl Iterator<Item = (ReplicaId, u64, BorrowedFd<'_>)> {
        let links = self.live.iter().map(|replica| (*replica, &self.links[*replica]));
        links.map(|(replica, link)| (replica, link.incarnation, link.end.doorbell()))
    }

    fn view(&self) -> Vec<(ReplicaId, LinkView)> {
        let view = |link: &Link| LinkView {
            incarnation: link.incarnation,
            wakes_without_news: link.idle_wakes.level,
            end: link.end.view(),
        };
        self.links.iter().map(|(replica, link)| (replica, view(link))).collect()
    }

    fn on_doorbell(
        &mut self,
        now_ns: u64,
        replica: ReplicaId,
        core: &mut Core,
        sink: &mut impl Sink,
    ) {
        let Some(link) = self.links.get_mut(replica) else { return };
        if link.end.has_news() {
            return;
        }
        let wakes = link.idle_wakes.count(now_ns);
        if wakes > WAKES_WITHOUT_NEWS_MAX {
            let reason = Violation::WakeFlood { wakes }.into();
            self.give_up(now_ns, replica, reason, core, sink);
        }
    }
}

impl Rings {
    pub fn new(stats: Arc<EngineStats>) -> Self {
        let replicas = REPLICAS_TOTAL_MAX as usize;
        Self {
            links: Slab::new(replicas),
            live: Vec::with_capacity(replicas),
            rows: Vec::with_capacity(BATCH_ITEMS_MAX as usize),
            given_up: Vec::new(),
            retired: Vec::new(),
            pools_changed: Vec::new(),
            stats,
        }
    }

    /// Goes on with the changes of an incarnation's pools. The core hears of it when those are made
    /// with which it came.
    fn change_on(&mut self, now_ns: u64, replica: ReplicaId, core: &mut Core) {
        let link = &mut self.links[replica];
        if link.end.has_free_change() {
            submit_change(link, &self.stats);
        }
        let is_settled = link.changes.is_empty() && link.end.has_free_change();
        if is_settled && !std::mem::replace(&mut link.is_announced, true) {
            let geometry = link.end.geometry();
            let (depth, items_max) = (geometry.depth, geometry.items_max);
            core.replica_up(now_ns, replica, geometry.output, depth, items_max);
            if link.may_warm_up {
                core.warm_up(replica);
            }
        }
    }

    fn take(&mut self, replica: ReplicaId) -> Option<Link> {
        let link = self.links.remove(replica)?;
        self.live.retain(|other| *other != replica);
        Some(link)
    }

    fn take_completions(
        &mut self,
        now_ns: u64,
        replica: ReplicaId,
        core: &mut Core,
        sink: &mut impl Sink,
    ) -> bool {
        let mut worked = false;
        let violation = loop {
            let Some(link) = self.links.get_mut(replica) else { return worked };
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
                    link.idle_wakes.credit();
                    let seen_ns = link.seen_ns.take().unwrap_or(now_ns);
                    let results = match completed.results {
                        Results::Failed(message) => BatchResults::Failed(message),
                        Results::Items(items) => BatchResults::Items(Outputs(items)),
                    };
                    let slot = completed.ticket.slot;
                    core.complete(seen_ns, now_ns, replica, slot, &results, sink);
                    worked = true;
                }
                Ok(Polled::PoolChanged(changed)) => {
                    link.idle_wakes.credit();
                    worked = true;
                    let (change, is_made) = (changed.change, changed.result.is_ok());
                    if !is_made {
                        self.give_up(now_ns, replica, KillReason::Pool, core, sink);
                        return true;
                    }
                    let incarnation = link.incarnation;
                    self.pools_changed.push((replica, incarnation, change));
                    self.change_on(now_ns, replica, core);
                }
                Err(violation) => break violation,
            }
        };
        self.give_up(now_ns, replica, violation.into(), core, sink);
        true
    }

    /// Sends batches to the replicas of a model, the least occupied first.
    fn dispatch(
        &mut self,
        now_ns: u64,
        model: ModelId,
        core: &mut Core,
        sink: &mut impl Sink,
    ) -> bool {
        let mut worked = false;
        for in_flight in 0..core.depth(model) {
            for index in 0..core.replicas_of(model).len() {
                let replica = core.replicas_of(model)[index];
                if core.in_flight(replica) != Some(in_flight) {
                    continue;
                }
                let plan = core.next_batch(now_ns, replica, &mut self.rows, sink);
                let (Some(plan), Some(link)) = (plan, self.links.get_mut(replica)) else {
                    continue;
                };
                let (ticket, woke) = link.end.submit(&self.rows, plan.deadline_ns);
                core.sent(now_ns, replica, ticket.slot);
                if woke {
                    self.stats.system_calls_wake.increment();
                }
                worked = true;
            }
            if !core.has_waiting(model) {
                break;
            }
        }
        worked
    }

    fn give_up(
        &mut self,
        now_ns: u64,
        replica: ReplicaId,
        reason: KillReason,
        core: &mut Core,
        sink: &mut impl Sink,
    ) {
        let Some(link) = self.take(replica) else { return };
        if let KillReason::Violation(violation) = reason {
            core.count_violation(replica, violation.kind());
        }
        self.given_up.push(GivenUp { replica, incarnation: link.incarnation, reason });
        self.retired.push(link.end);
        core.replica_lost(now_ns, replica, Death::Crash, sink);
    }
}

/// Submits the next change of an incarnation's pools, if one waits.
fn submit_change(link: &mut Link, stats: &EngineStats) {
    let woke = match link.changes.pop_front() {
        None => return,
        Some(PoolChange::Map { pool }) => link.end.map_pool(pool),
        Some(PoolChange::Unmap { pool }) => link.end.unmap_pool(pool),
    };
    if woke {
        stats.system_calls_wake.increment();
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
