//! Replicas that share a core take turns: a batch at a time, the one that must begin first.
//!
//! Two batches that run on one core at once both end late, when one of them could have been done in
//! half of the time, and what is learned of either depends on the other. Where a model's operator
//! says that its replicas need their core for themselves (`batch.exclusive`), no batch of another
//! such replica on the same core begins while one is running; and of those that could begin, the
//! one goes first that has the earliest *latest start*: the deadline of its first call, less what
//! its batch takes (Clockwork, A. Gujarati et al., OSDI '20, section 5.2).
//!
//! ```text
//!   core 1    a ████████   b ████   a ██████        a and b: replicas of two models
//!                       ▲ a's first is due at 30 and takes 8: it must begin by 22;
//!                         b's at 25, and takes 4: by 21, so b goes first
//! ```
//!
//! A batch that takes longer than expected holds nobody up for longer: then they share the core, as
//! without this. Nor does a batch that ends within the lead of [`timing`](crate::timing), so that
//! short batches follow each other without a gap. A replica that was asked and formed nothing goes
//! first no more, until it has something.

use crate::Core;
use crate::ids::ReplicaId;
use crate::limits::{JUST_IN_TIME_LEAD_NS, TURN_RETRY_NS};

impl Core {
    /// When a replica may have its core: `None`, now, or at this time, and not before.
    pub(crate) fn core_is_taken(&mut self, now_ns: u64, replica: ReplicaId) -> Option<u64> {
        let state = &self.replicas[replica];
        let core = state.core.filter(|_| state.has_mates)?;
        let own_ns = self.latest_start_ns(replica);
        for place in 0..self.replicas.room() {
            let Some(mate) = self.replicas.id_at(place).filter(|mate| *mate != replica) else {
                continue;
            };
            let state = &self.replicas[mate];
            let is_mate = state.core == Some(core);
            let Some(free_ns) = state.free_ns(now_ns).filter(|_| is_mate) else { continue };
            let until_ns = free_ns.saturating_sub(JUST_IN_TIME_LEAD_NS);
            if until_ns > now_ns {
                return Some(until_ns);
            }
            // It could begin: now, or when its batch ends, which is about to.
            let declined = state.incarnation.as_ref().is_some_and(|life| life.has_declined);
            let is_idle = state.in_flight() == 0;
            let is_ready = if is_idle { !declined } else { free_ns > now_ns };
            let is_ready = is_ready && !self.is_benched(now_ns, mate);
            if is_ready && (self.latest_start_ns(mate), mate.place()) < (own_ns, replica.place()) {
                return Some(now_ns.saturating_add(TURN_RETRY_NS));
            }
        }
        None
    }

    /// Finds out which replicas share a core. It is rare, and a walk over all pairs.
    pub(crate) fn cores_changed(&mut self) {
        for place in 0..self.replicas.room() {
            let Some(id) = self.replicas.id_at(place) else { continue };
            let core = self.replicas[id].core;
            let with_it = self.replicas.iter().filter(|(_, state)| state.core == core).count();
            self.replicas[id].has_mates = core.is_some() && with_it > 1;
        }
    }

    /// When the next batch of a replica must begin, so that its first call is in time; never, when
    /// nothing waits. What waits apart goes as it comes.
    fn latest_start_ns(&mut self, replica: ReplicaId) -> u64 {
        let model = self.replicas[replica].model;
        let Some((_, deadline_ns)) = self.head(model) else { return u64::MAX };
        let state = &self.replicas[replica];
        let rows = state.rows_max().min(self.open_in_queue(model));
        deadline_ns
            .saturating_sub(state.predicted_ns(rows).saturating_add(self.models[model].reply_ns))
    }
}
