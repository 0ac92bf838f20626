//! The usual batch under a light load: the only call that waits, to a replica that has nothing to
//! do, and whose turn it is.
//!
//! There is nothing to choose then, neither when the batch is formed nor what goes into it, as long
//! as it is in time: [`timing`](crate::timing), [`apart`](crate::apart) and [`fill`](crate::fill)
//! would come to the same in more steps. Whatever is not so plain goes their way.

use cutter_tensor::RowRef;

use crate::batching::{Cost, Forming, Queued};
use crate::call::Place;
use crate::dispatch::BatchPlan;
use crate::ids::ReplicaId;
use crate::model::Model;
use crate::query::Query;
use crate::replica::Replica;
use crate::{Core, is_live};

impl Core {
    /// Forms the batch of a replica's next call, if that is so plain. Nothing has changed
    /// otherwise.
    #[inline]
    pub(crate) fn next_lone(
        &mut self,
        now_ns: u64,
        replica: ReplicaId,
        rows: &mut Vec<RowRef>,
    ) -> Option<BatchPlan> {
        let state = &*self.replicas[replica];
        let model = &*self.models[state.model];
        if model.open_in_queue != 1 || !is_plain(model) || !is_free(state, now_ns) {
            return None;
        }
        if model.live_replicas > 1 && self.paced_ns(now_ns, replica) > now_ns {
            return None;
        }
        let state = &mut *self.replicas[replica];
        let model = &mut *self.models[state.model];
        let Queued { deadline_ns, value } = model.room.queue.peek()?;
        if !is_live(&self.applications, &value) {
            return None;
        }
        let call = value.call;
        let queries = &mut self.applications[call.application].queries;
        let Query { bytes, due_ns, deadline_ns: promised_ns, .. } = *queries.get(call.row);
        // What replying takes, beyond what the query is due before its deadline for that.
        let reply_ns = model.reply_ns.saturating_sub(promised_ns - due_ns);
        let answered_ns = now_ns.saturating_add(state.estimate.worst(1)).saturating_add(reply_ns);
        let life = state.incarnation.as_mut().filter(|_| answered_ns <= deadline_ns)?;
        model.room.queue.pop();
        let left = queries.put(call.row, call.link, Place::Batch);
        model.moved(left, Place::Batch, bytes);
        (life.apart_was_last, life.has_declined) = (false, false);
        life.forming.begin();
        life.forming.calls.push(call);
        life.forming.size = 1;
        rows.clear();
        rows.push(RowRef { pool: queries.call(call.row, call.link).pool, row: call.row, bytes });
        Some(BatchPlan { deadline_ns: due_ns })
    }
}

/// Whether nothing of a model waits apart, and batches are formed as soon as they can be.
fn is_plain(model: &Model) -> bool {
    let Forming { wait_ns, defer, cost } = model.forming;
    wait_ns == 0 && !defer && cost == Cost::Rows && model.room.apart.open() == 0
}

/// Whether a replica has nothing to do, and nothing keeps it from taking a call.
fn is_free(state: &Replica, now_ns: u64) -> bool {
    let is_idle = state.serving().is_some_and(|life| life.in_flight == 0 && !life.alone);
    is_idle && !state.is_draining && !state.has_mates && state.pause_until_ns <= now_ns
}
