//! The engine's end of one incarnation.
//!
//! Owner: the engine thread. The replica is not trusted: it may write anything at any time over
//! the completions and the outputs. A completion is copied once and the copy is checked against
//! private tables; item tables, messages and outputs are copied once before anyone reads them.
//! Whatever the replica does, [`EngineEnd::poll`] ends in bounded time with a completed batch, a
//! change of the pools, nothing, or a [`Violation`]; and it copies at most
//! `limits::COPY_BYTES_MAX` of outputs: a batch with more comes back after several calls
//! ([`Polled::Copying`]).
//!
//! Parts: `changes` of the pools, `intake` the copies, `outputs` what is shown of them.

mod changes;
mod intake;
mod outputs;

pub use outputs::{Completed, Items, Polled, PoolChange, PoolChanged, Results};

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::EventfdFlags;
use rustix::thread::futex;

use self::changes::ChangeSlot;
use self::intake::{Copying, Intake};
use crate::entry::{
    Completion, FLAG_DENSE, FLAG_INLINE, FLAG_UNIFORM, INLINE_BYTES, OPCODE_PREDICT, OPCODE_STOP,
    RowEntry, STATUS_FAILED, STATUS_OK, Submission, Ticket,
};
use crate::layout::{
    COMPLETION_RING_WORD, ENGINE_ASLEEP_WORD, Geometry, KICK_WORD, REPLICA_ASLEEP_WORD,
    SUBMISSION_RING_WORD,
};
use crate::limits::MESSAGE_AREA_BYTES;
use crate::ring::{Consumer, Producer};
use crate::segment::{Segment, SegmentError, Writer};
use crate::sleep::{AsleepFlag, KickWord};
use crate::violation::Violation;
use crate::words::{SharedWords, Words};
use cutter_tensor::{Extent, RowRef};

const UNIFORM_INLINE: u16 = FLAG_UNIFORM | FLAG_INLINE;

/// The engine's end: submits batches and changes of the pools, takes completions.
#[derive(Debug)]
pub struct EngineEnd {
    geometry: Geometry,
    submissions: Producer<SharedWords>,
    completions: Consumer<SharedWords>,
    engine_asleep: AsleepFlag<SharedWords>,
    replica_asleep: AsleepFlag<SharedWords>,
    kick: KickWord<SharedWords>,
    shared: Shared,
    slots: Box<[Slot]>,
    in_flight: u32,
    change: ChangeSlot,
    stopped: bool,
    intake: Intake,
    /// The completion whose outputs are being copied.
    underway: Option<Underway>,
    doorbell: OwnedFd,
    // Declared last, so that nothing above outlives the mappings.
    segments: Segments,
}

/// The tables in shared memory.
#[derive(Debug)]
struct Shared {
    control: SharedWords,
    completions: SharedWords,
    outputs: SharedWords,
}

#[derive(Debug)]
struct Segments {
    control: Segment,
    completions: Segment,
    outputs: Segment,
}

/// What the engine believes about a ticket's slot.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    generation: u32,
    item_count: u32,
    in_flight: bool,
}

/// A completion that was checked, while its outputs are being copied.
#[derive(Clone, Copy, Debug)]
struct Underway {
    completion: Completion,
    copying: Copying,
}

/// One look at the engine's end, for a report. Only what the engine keeps itself can be believed;
/// `replica_asleep` and `has_news` are what the replica wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndView {
    pub ring_capacity: u32,
    /// Submissions published since the incarnation began.
    pub submitted: u64,
    /// Completions taken.
    pub completed: u64,
    /// A completion stands at the cursor and is not taken yet.
    pub has_news: bool,
    pub replica_asleep: bool,
    /// How often a sleeping replica was woken, modulo 2^32.
    pub kicks: u64,
    pub stopped: bool,
    /// The tickets in flight and their item counts.
    pub tickets: Vec<(Ticket, u32)>,
    /// The change of the pools under way.
    pub change: Option<(Ticket, PoolChange)>,
}

impl EngineEnd {
    /// Makes the segments of a new incarnation.
    pub fn create(geometry: Geometry) -> Result<EngineEnd, SegmentError> {
        let control = Segment::create(c"cutter-control", geometry.control_bytes(), Writer::Maker)?;
        let completions =
            Segment::create(c"cutter-completions", geometry.completions_bytes(), Writer::Peer)?;
        let outputs = Segment::create(c"cutter-outputs", geometry.outputs_bytes(), Writer::Peer)?;
        let doorbell = rustix::event::eventfd(0, EventfdFlags::CLOEXEC).map_err(|errno| {
            SegmentError::Step {
                step: "make the doorbell of",
                bytes: control.bytes(),
                source: errno.into(),
            }
        })?;
        let capacity = geometry.ring_capacity();
        let shared = Shared {
            control: control.words(),
            completions: completions.words(),
            outputs: outputs.words(),
        };
        let ring = |words: &SharedWords, first| words.part(first, geometry.ring_words());
        Ok(EngineEnd {
            submissions: Producer::new(ring(&shared.control, SUBMISSION_RING_WORD), capacity),
            completions: Consumer::new(ring(&shared.completions, COMPLETION_RING_WORD), capacity),
            engine_asleep: AsleepFlag::new(shared.control.part(ENGINE_ASLEEP_WORD, 1)),
            replica_asleep: AsleepFlag::new(shared.completions.part(REPLICA_ASLEEP_WORD, 1)),
            kick: KickWord::new(shared.control.part(KICK_WORD, 1)),
            shared,
            slots: vec![Slot::default(); geometry.depth as usize].into(),
            in_flight: 0,
            change: ChangeSlot::default(),
            stopped: false,
            intake: Intake::new(&geometry),
            underway: None,
            doorbell,
            segments: Segments { control, completions, outputs },
            geometry,
        })
    }

    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The descriptors that the container gets, in the order of the handshake.
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 4] {
        [
            self.segments.control.as_fd(),
            self.segments.completions.as_fd(),
            self.segments.outputs.as_fd(),
            self.doorbell.as_fd(),
        ]
    }

    /// The eventfd that the replica writes when the engine sleeps.
    pub fn doorbell(&self) -> BorrowedFd<'_> {
        self.doorbell.as_fd()
    }

    /// Batches in flight.
    #[inline]
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Whether a batch can be submitted now.
    #[inline]
    pub fn has_free_ticket(&self) -> bool {
        self.in_flight < self.geometry.depth && !self.stopped
    }

    /// One look at everything. Allocates: not for the way of a query.
    pub fn view(&self) -> EndView {
        let in_flight = (0_u32..).zip(&self.slots).filter(|(_, slot)| slot.in_flight);
        let ticket = |(slot, known): (u32, &Slot)| {
            (Ticket { slot, generation: known.generation }, known.item_count)
        };
        EndView {
            ring_capacity: self.geometry.ring_capacity(),
            submitted: self.submissions.position(),
            completed: self.completions.position(),
            has_news: self.has_news(),
            replica_asleep: self.replica_asleep.is_set(),
            kicks: self.kick.value(),
            stopped: self.stopped,
            tickets: in_flight.map(ticket).collect(),
            change: self.change_in_flight(),
        }
    }

    /// Submits a batch and wakes the replica if it sleeps; says whether it had to.
    ///
    /// The caller has seen [`EngineEnd::has_free_ticket`], and `rows` holds 1 to `items_max` rows.
    pub fn submit(&mut self, rows: &[RowRef], deadline_ns: u64) -> (Ticket, bool) {
        assert!(self.has_free_ticket());
        assert!(!rows.is_empty() && rows.len() <= self.geometry.items_max as usize);
        let free = self.slots.iter().position(|slot| !slot.in_flight);
        let index = free.expect("fewer tickets in flight than slots");
        let item_count = u32::try_from(rows.len()).expect("bounded by items_max");
        let slot = &mut self.slots[index];
        *slot = Slot { generation: slot.generation.wrapping_add(1), item_count, in_flight: true };
        self.in_flight += 1;
        let slot_index = u32::try_from(index).expect("bounded by the depth");
        let ticket = Ticket { slot: slot_index, generation: slot.generation };
        let dense = is_dense(rows);
        if !dense {
            self.write_row_table(slot_index, rows);
        }
        let submission = Submission {
            stamp: 0,
            ticket,
            opcode: OPCODE_PREDICT,
            flags: if dense { FLAG_DENSE } else { 0 },
            item_count,
            pool: rows[0].pool,
            first_row: rows[0].row,
            row_bytes: rows[0].bytes,
            reserved: 0,
            deadline_ns,
            reserved_words: [0; 2],
        };
        self.submissions.publish(&bytemuck::cast(submission));
        (ticket, self.wake_replica())
    }

    /// Tells the replica that nothing follows.
    pub fn stop(&mut self) {
        if self.stopped {
            return;
        }
        self.stopped = true;
        let mut submission: Submission = bytemuck::Zeroable::zeroed();
        submission.opcode = OPCODE_STOP;
        self.submissions.publish(&bytemuck::cast(submission));
        self.wake_replica();
    }

    /// Takes the next completion, if there is one, and copies at most
    /// [`COPY_BYTES_MAX`](crate::limits::COPY_BYTES_MAX) of its outputs.
    #[inline]
    pub fn poll(&mut self) -> Result<Polled<'_>, Violation> {
        if self.underway.is_some() {
            return Ok(self.copy_on());
        }
        let Some(entry) = self.completions.take()? else { return Ok(Polled::Nothing) };
        let completion: Completion = bytemuck::cast(entry);
        let index = completion.ticket.slot as usize;
        let Some(slot) = self.slots.get(index).copied() else {
            return self.take_change(&completion);
        };
        check_ticket(completion.ticket, slot)?;
        self.check_header(&completion, slot)?;
        self.take_results(&completion)
    }

    /// Whether [`EngineEnd::poll`] would find something.
    #[inline]
    pub fn has_news(&self) -> bool {
        self.underway.is_some() || self.completions.has_news()
    }

    /// Before the engine sleeps: from now on the replica rings the doorbell. Look at
    /// [`EngineEnd::has_news`] once more before sleeping.
    pub fn announce_sleep(&self) {
        self.engine_asleep.announce();
    }

    /// After the engine slept.
    pub fn retract_sleep(&self) {
        self.engine_asleep.retract();
    }

    fn wake_replica(&self) -> bool {
        let asleep = self.replica_asleep.is_set_after_publish();
        if asleep {
            self.kick.kick();
            let address = self.shared.control.address(KICK_WORD).cast();
            // SAFETY: the low half of a little-endian word of a mapping that `self` keeps.
            let word = unsafe { std::sync::atomic::AtomicU32::from_ptr(address.as_ptr()) };
            // The flags leave PRIVATE out: the waiter is another process. Nothing can fail that
            // the replica would not notice by its own time-out.
            let _ = futex::wake(word, futex::Flags::empty(), 1);
        }
        asleep
    }

    fn write_row_table(&self, slot: u32, rows: &[RowRef]) {
        let table = self.geometry.row_table_word(slot);
        for (index, row) in rows.iter().enumerate() {
            let entry = RowEntry { pool: row.pool, row: row.row, bytes: row.bytes, reserved: 0 };
            let words: [u64; 2] = bytemuck::cast(entry);
            // Published by the release store of the submission's stamp.
            self.shared.control.store_relaxed(table + 2 * index, words[0]);
            self.shared.control.store_relaxed(table + 2 * index + 1, words[1]);
        }
    }

    fn check_header(&self, completion: &Completion, slot: Slot) -> Result<(), Violation> {
        let Completion { status, flags, item_count, .. } = *completion;
        let exact = matches!(self.geometry.output.extent, Extent::Exact(_));
        let most = item_count as usize * self.geometry.output_stride();
        let defined = match status {
            STATUS_OK if flags == UNIFORM_INLINE => exact && most <= INLINE_BYTES,
            STATUS_OK => flags == 0 || (flags == FLAG_UNIFORM && exact),
            STATUS_FAILED => flags == 0,
            _ => false,
        };
        if !defined {
            return Err(Violation::Status { status, flags });
        }
        if item_count != slot.item_count {
            return Err(Violation::ItemCount { found: item_count, expected: slot.item_count });
        }
        // A failed batch has a message and no outputs; one that did not fail has no message.
        let (most_outputs, most_messages) =
            if status == STATUS_FAILED { (0, MESSAGE_AREA_BYTES) } else { (most, 0) };
        for (found, most) in [
            (completion.output_bytes, most_outputs as u64),
            (u64::from(completion.message_bytes), most_messages as u64),
        ] {
            if found > most {
                return Err(Violation::Length { found, most });
            }
        }
        if flags & FLAG_UNIFORM != 0 && completion.output_bytes < most as u64 {
            let (found, needed) = (completion.output_bytes, most as u64);
            return Err(Violation::Short { found, needed });
        }
        let unused = flags & FLAG_INLINE == 0 && completion.inline != [0; 2];
        if completion.reserved != 0 || completion.reserved_word != 0 || unused {
            return Err(Violation::Reserved);
        }
        Ok(())
    }

    /// Copies what the checked header promises, and checks the copy.
    fn take_results(&mut self, completion: &Completion) -> Result<Polled<'_>, Violation> {
        let slot = completion.ticket.slot;
        let (geometry, intake) = (&self.geometry, &mut self.intake);
        if completion.status == STATUS_FAILED {
            intake.copy_messages(&self.shared.completions, geometry, slot);
            return Ok(Polled::Completed(self.completed(completion)));
        }
        if completion.flags == UNIFORM_INLINE {
            intake.inline = completion.inline;
            return Ok(Polled::Completed(self.completed(completion)));
        }
        let items = completion.item_count as usize;
        let copying = if completion.flags == FLAG_UNIFORM {
            Intake::plan_matrix(geometry, slot, items)
        } else {
            let completions = &self.shared.completions;
            if intake.copy_items(completions, geometry, completion)? {
                intake.copy_messages(completions, geometry, slot);
            }
            intake.plan_table(geometry, slot, items)
        };
        self.underway = Some(Underway { completion: *completion, copying });
        Ok(self.copy_on())
    }

    /// Copies on; shows the batch when all is copied.
    fn copy_on(&mut self) -> Polled<'_> {
        let Some(mut underway) = self.underway.take() else { return Polled::Nothing };
        let outputs = &self.shared.outputs;
        if self.intake.copy_outputs(outputs, &self.geometry, &mut underway.copying) {
            return Polled::Completed(self.completed(&underway.completion));
        }
        self.underway = Some(underway);
        Polled::Copying
    }

    /// Shows a batch of which everything is checked and copied. Only now does its slot become
    /// free: nothing was believed before.
    fn completed(&mut self, completion: &Completion) -> Completed<'_> {
        self.slots[completion.ticket.slot as usize].in_flight = false;
        self.in_flight -= 1;
        let intake = &self.intake;
        let messages: &[u8] = bytemuck::cast_slice(&intake.messages);
        let results = if completion.status == STATUS_FAILED {
            Results::Failed(&messages[..completion.message_bytes as usize])
        } else {
            let is_inline = completion.flags == UNIFORM_INLINE;
            let is_uniform = completion.flags & FLAG_UNIFORM != 0;
            let outputs: &[u64] = if is_inline { &intake.inline } else { &intake.outputs };
            Results::Items(Items {
                entries: bytemuck::cast_slice(&intake.items),
                starts: &intake.starts,
                messages,
                outputs: bytemuck::cast_slice(outputs),
                buffer: (!is_inline).then_some(&intake.outputs),
                uniform_bytes: if is_uniform { self.geometry.output.bytes_exact() } else { None },
            })
        };
        Completed { ticket: completion.ticket, item_count: completion.item_count, results }
    }
}

/// Whether the ticket is what is in flight in its slot.
fn check_ticket(ticket: Ticket, known: Slot) -> Result<(), Violation> {
    let Ticket { slot, generation } = ticket;
    if !known.in_flight {
        return Err(Violation::NotInFlight { slot });
    }
    if generation != known.generation {
        let expected = known.generation;
        return Err(Violation::Generation { slot, found: generation, expected });
    }
    Ok(())
}

fn is_dense(rows: &[RowRef]) -> bool {
    rows.windows(2).all(|pair| {
        let [first, second] = [pair[0], pair[1]];
        second == RowRef { row: first.row.wrapping_add(1), ..first }
    })
}
