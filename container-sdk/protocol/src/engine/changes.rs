//! Changes of a running replica's pools, as the engine asks for them and takes their completions.
//!
//! Owner: the engine thread. A change has a ticket of its own behind those of the batches, with a
//! generation like theirs, so that the ring has room for it whatever else is in flight. It is in
//! ring order with the batches: those submitted behind a MAP may have rows of the pool, and once an
//! UNMAP is completed, so are all batches before it by a replica that keeps to the protocol.

use super::{EngineEnd, Polled, PoolChange, PoolChanged};
use crate::entry::{
    Completion, OPCODE_MAP_POOL, OPCODE_UNMAP_POOL, STATUS_FAILED, STATUS_OK, Submission, Ticket,
};
use crate::limits::{MESSAGE_AREA_BYTES, POOLS_MAX};
use crate::violation::Violation;

/// What the engine believes about the ticket of changes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ChangeSlot {
    generation: u32,
    in_flight: Option<PoolChange>,
}

impl EngineEnd {
    /// Whether a change of the pools can be asked for now.
    pub fn has_free_change(&self) -> bool {
        self.change.in_flight.is_none() && !self.stopped
    }

    /// Asks the replica to map a pool, and wakes it if it sleeps; says whether it had to.
    ///
    /// The caller has seen [`EngineEnd::has_free_change`]; the control thread has sent the pool's
    /// descriptor with `handshake::send_pool`; and the replica has no pool of this index.
    pub fn map_pool(&mut self, pool: u32) -> bool {
        self.ask(PoolChange::Map { pool })
    }

    /// Asks the replica to unmap a pool, and wakes it if it sleeps; says whether it had to.
    ///
    /// The caller has seen [`EngineEnd::has_free_change`], and the replica has mapped the pool. No
    /// batch behind this may have rows of it.
    pub fn unmap_pool(&mut self, pool: u32) -> bool {
        self.ask(PoolChange::Unmap { pool })
    }

    /// The change under way, for a report.
    pub(super) fn change_in_flight(&self) -> Option<(Ticket, PoolChange)> {
        let slot = self.geometry.depth;
        let change = self.change.in_flight?;
        Some((Ticket { slot, generation: self.change.generation }, change))
    }

    fn ask(&mut self, change: PoolChange) -> bool {
        assert!(self.has_free_change());
        let (opcode, pool) = match change {
            PoolChange::Map { pool } => (OPCODE_MAP_POOL, pool),
            PoolChange::Unmap { pool } => (OPCODE_UNMAP_POOL, pool),
        };
        assert!((pool as usize) < POOLS_MAX);
        let generation = self.change.generation.wrapping_add(1);
        self.change = ChangeSlot { generation, in_flight: Some(change) };
        let mut submission: Submission = bytemuck::Zeroable::zeroed();
        submission.ticket = Ticket { slot: self.geometry.depth, generation };
        (submission.opcode, submission.pool) = (opcode, pool);
        self.submissions.publish(&bytemuck::cast(submission));
        self.wake_replica()
    }

    /// Takes a completion whose slot is none of a batch.
    #[cold]
    pub(super) fn take_change(&mut self, completion: &Completion) -> Result<Polled<'_>, Violation> {
        let change = self.checked_change(completion)?;
        self.change.in_flight = None;
        let result = if completion.status == STATUS_FAILED {
            let slot = completion.ticket.slot;
            self.intake.copy_messages(&self.shared.completions, &self.geometry, slot);
            let messages: &[u8] = bytemuck::cast_slice(&self.intake.messages);
            Err(&messages[..completion.message_bytes as usize])
        } else {
            Ok(())
        };
        Ok(Polled::PoolChanged(PoolChanged { change, result }))
    }

    /// The change that this completes. It has no items, no outputs, and a message only if it
    /// failed.
    fn checked_change(&self, completion: &Completion) -> Result<PoolChange, Violation> {
        let Completion { status, flags, item_count, .. } = *completion;
        let Ticket { slot, generation } = completion.ticket;
        let depth = self.geometry.depth;
        if slot != depth {
            return Err(Violation::Slot { slot, depth });
        }
        let change = self.change.in_flight.ok_or(Violation::NotInFlight { slot })?;
        if generation != self.change.generation {
            let expected = self.change.generation;
            return Err(Violation::Generation { slot, found: generation, expected });
        }
        if flags != 0 || (status != STATUS_OK && status != STATUS_FAILED) {
            return Err(Violation::Status { status, flags });
        }
        if item_count != 0 {
            return Err(Violation::ItemCount { found: item_count, expected: 0 });
        }
        let most_messages = if status == STATUS_FAILED { MESSAGE_AREA_BYTES as u64 } else { 0 };
        for (found, most) in
            [(completion.output_bytes, 0), (u64::from(completion.message_bytes), most_messages)]
        {
            if found > most {
                return Err(Violation::Length { found, most });
            }
        }
        let reserved = u64::from(completion.reserved) | completion.reserved_word;
        if reserved != 0 || completion.inline != [0; 2] {
            return Err(Violation::Reserved);
        }
        Ok(change)
    }
}
