//! Updates: they are read like questions, told to the core, and answered at once.

use cutter_core::Core;
use cutter_core::selection::{Target, Update, Updated as Came};
use cutter_machine::clock::Clock;
use cutter_wire::clipper::{Learning, Updated, write_updated, write_updates};
use cutter_wire::http::{Connection, ResponseHead, ResponseWriter, Status};

use super::Frontend;
use super::asking::{Told, ToldOf};
use super::question::{Slot, Updates};

impl Frontend {
    /// Tells the core what was read, and owes the answer.
    pub(super) fn learn(
        &mut self,
        connection: usize,
        after: (Connection, bool),
        updates: Updates,
        clock: &impl Clock,
        core: &mut Core,
    ) {
        let now_ns = clock.now_ns();
        self.updated.clear();
        for told in &self.lists.told {
            let updated = match target_of(told, &self.lists.slots) {
                None => Updated { learning: Learning::Overloaded, query_id: None },
                Some((target, query_id)) => {
                    let Told { lesson, vector, .. } = *told;
                    let (application, key) = (updates.application, told.key.bytes());
                    let update = Update { application, target, lesson, key, vector };
                    let learning = learning(core.update(now_ns, &update, &mut self.replies));
                    Updated { learning, query_id }
                }
            };
            self.updated.push(updated);
        }
        self.lists.told.clear();
        self.lists.slots.clear();
        let status = match self.updated.as_slice() {
            [only] if !updates.is_batch => only.learning.status(),
            _ => Status::Ok,
        };
        if status.is_error() {
            self.stats.http_errors(status.code()).increment();
        }
        let (connection_after, omit_body) = after;
        let (date, updated) = (self.replies.date, &self.updated);
        let write = |out: &mut Vec<u8>| {
            let head =
                ResponseHead { omit_body, ..ResponseHead::json(status, &date, connection_after) };
            let mut writer = ResponseWriter::begin(out, &head);
            match updated.as_slice() {
                [only] if !updates.is_batch => write_updated(writer.body(), only),
                several => write_updates(writer.body(), several),
            }
            writer.finish();
        };
        if self.replies.owe_raw(connection, connection_after, write).is_err() {
            self.refuse_overload(connection);
        }
    }
}

/// What it is about; `None` when there was no row for its input.
fn target_of(told: &Told, slots: &[Slot]) -> Option<(Target, Option<u64>)> {
    match told.target {
        ToldOf::Query(id) => Some((Target::Query(id), Some(id))),
        ToldOf::Slot(slot) => match slots[slot] {
            Slot::Row { row, bytes } => Some((Target::Input { row, bytes }, None)),
            Slot::Known(_) | Slot::Overloaded => None,
        },
    }
}

fn learning(came: Came) -> Learning {
    match came {
        Came::Learned => Learning::Learned,
        Came::Evaluating => Learning::Evaluating,
        Came::Withdrawn => Learning::Withdrawn,
        Came::Late => Learning::Late,
        Came::Duplicate => Learning::Duplicate,
        Came::Unknown | Came::NoPolicy => Learning::Unknown,
        // A reward out of range is refused before anything is told.
        Came::Label | Came::Reward => Learning::OtherLabel,
        Came::NotReady => Learning::NotReady,
        Came::NoVector => Learning::NoContext,
    }
}
