//! The container's end of one incarnation.
//!
//! Owner: the container's one predicting thread. The engine is trusted here: it is the only writer
//! of rows and of the control segment, and it does not write a row again before it has taken the
//! batch's completion, or has given this process up and is killing it. That promise is what lets a
//! model see its rows as slices.
//!
//! What a model does not write is never given back as an output: see `places`.
//!
//! Pools come and go while the container runs: `changes` maps and unmaps them, in the order of the
//! submissions, and the model notices nothing.

mod changes;
mod error;
mod granted;
mod places;
mod pool;
mod signature;

pub use self::error::ContainerError;
pub(crate) use self::granted::Granted;
pub use self::pool::Rows;
pub(crate) use self::pool::{Pool, Pools};
pub(crate) use self::signature::granted_spec;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;

use rustix::event::{PollFd, PollFlags};
use rustix::thread::futex;
use rustix::time::Timespec;

use self::places::Places;
use crate::clock::monotonic_ns;
use crate::entry::{
    Completion, FLAG_DENSE, FLAG_INLINE, FLAG_UNIFORM, INLINE_BYTES, OPCODE_MAP_POOL,
    OPCODE_PREDICT, OPCODE_STOP, OPCODE_UNMAP_POOL, RowEntry, STATUS_FAILED, STATUS_OK, Submission,
    Ticket,
};
use crate::layout::{
    COMPLETION_RING_WORD, ENGINE_ASLEEP_WORD, Geometry, KICK_WORD, REPLICA_ASLEEP_WORD,
    SUBMISSION_RING_WORD,
};
use crate::limits::{CONTAINER_SLEEP_NS, MESSAGE_AREA_BYTES, MESSAGE_BYTES_MAX};
use crate::ring::{Consumer, Producer};
use crate::segment::Segment;
use crate::sleep::{AsleepFlag, KickWord};
use crate::wait::{Idle, Patience};
use crate::words::{SharedWords, Words};

/// What clients read of outputs that a model forgot.
const UNWRITTEN_BATCH: &str = "the model returned without writing its outputs";
const UNWRITTEN_ITEM: &str = "the model did not write the output of this item";
const UNSAID_LENGTH: &str = "the model did not say how long the output of this item is";

/// Spinning turns between two looks at the clock and at the engine's life.
const SPINS_PER_LOOK: u32 = 1 << 12;

/// The container's end: takes batches, gives completions.
#[derive(Debug)]
pub struct ContainerEnd {
    geometry: Geometry,
    submissions: Consumer<SharedWords>,
    completions: Producer<SharedWords>,
    engine_asleep: AsleepFlag<SharedWords>,
    replica_asleep: AsleepFlag<SharedWords>,
    kick: KickWord<SharedWords>,
    control: SharedWords,
    results: SharedWords,
    patience: Patience,
    current: Option<Current>,
    places: Places,
    rows: Box<[RowEntry]>,
    doorbell: OwnedFd,
    socket: OwnedFd,
    // Declared last, so that nothing above outlives the mappings.
    pools: Pools,
    outputs: Segment,
    _control: Segment,
    completions_segment: Segment,
}

/// The batch in hand.
#[derive(Clone, Copy, Debug)]
struct Current {
    ticket: Ticket,
    item_count: u32,
    dense: Option<RowEntry>,
    deadline_ns: u64,
    message_bytes: usize,
}

/// What a wait came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A batch is in hand.
    Batch,
    /// The engine asks the container to end.
    Stop,
    /// Nothing came in the time allowed.
    Idle,
}

impl ContainerEnd {
    /// Takes what the handshake granted.
    pub(crate) fn new(granted: Granted) -> Self {
        let Granted { geometry, wait, control, completions, outputs, doorbell, socket, pools } =
            granted;
        let (shared, results) = (control.words(), completions.words());
        let capacity = geometry.ring_capacity();
        let ring = |words: &SharedWords, first| words.part(first, geometry.ring_words());
        Self {
            submissions: Consumer::new(ring(&shared, SUBMISSION_RING_WORD), capacity),
            completions: Producer::new(ring(&results, COMPLETION_RING_WORD), capacity),
            engine_asleep: AsleepFlag::new(shared.part(ENGINE_ASLEEP_WORD, 1)),
            replica_asleep: AsleepFlag::new(results.part(REPLICA_ASLEEP_WORD, 1)),
            kick: KickWord::new(shared.part(KICK_WORD, 1)),
            control: shared,
            results,
            patience: Patience::new(wait),
            current: None,
            places: Places::new(&geometry),
            rows: vec![RowEntry::default(); geometry.items_max as usize].into(),
            doorbell,
            socket,
            pools,
            outputs,
            _control: control,
            completions_segment: completions,
            geometry,
        }
    }

    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The socket of the handshake: it becomes readable when the engine is gone.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Waits up to `timeout_ns` (forever without one) for a batch, by the strategy that the engine
    /// chose. A batch still in hand must have been completed.
    pub fn next(&mut self, timeout_ns: Option<u64>) -> Result<Next, ContainerError> {
        assert!(self.current.is_none(), "the batch in hand is not completed");
        let limit_ns = timeout_ns.map(|timeout_ns| monotonic_ns().saturating_add(timeout_ns));
        let mut spins = 0;
        loop {
            if let Some(next) = self.take()? {
                self.patience.worked();
                return Ok(next);
            }
            spins = u32::wrapping_add(spins, 1);
            // A spinner without a limit spares itself the clock: a look at it costs as much as a
            // hop.
            let needs_clock = self.patience.needs_clock() || limit_ns.is_some();
            let now_ns = if needs_clock { monotonic_ns() } else { 0 };
            if limit_ns.is_some_and(|limit_ns| now_ns >= limit_ns) {
                self.check_engine()?;
                return Ok(Next::Idle);
            }
            match self.patience.idle(now_ns) {
                Idle::Spin => std::hint::spin_loop(),
                Idle::Yield => std::thread::yield_now(),
                Idle::Sleep => self.sleep(limit_ns.map(|limit_ns| limit_ns - now_ns))?,
            }
            if spins % SPINS_PER_LOOK == 0 {
                self.check_engine()?;
            }
        }
    }

    /// Whether a batch is in hand.
    pub fn has_batch(&self) -> bool {
        self.current.is_some()
    }

    /// Items of the batch in hand.
    pub fn item_count(&self) -> u32 {
        self.current().item_count
    }

    /// When the first query of the batch in hand is due, on the monotonic clock.
    pub fn deadline_ns(&self) -> u64 {
        self.current().deadline_ns
    }

    /// The rows of the batch in hand.
    pub fn rows(&self) -> Rows<'_> {
        let current = self.current();
        let count = current.item_count as usize;
        Rows { pools: &self.pools, dense: current.dense, table: &self.rows, count }
    }

    /// The rows of the batch in hand, and the area for its outputs, which is cleared when it is
    /// first asked for: item `i` at `i * output_stride`.
    pub fn parts(&mut self) -> (Rows<'_>, &mut [u8]) {
        let current = self.current();
        let count = current.item_count as usize;
        self.places.lend_all(&mut self.outputs);
        let bytes = count * self.geometry.output_stride();
        let rows = Rows { pools: &self.pools, dense: current.dense, table: &self.rows, count };
        (rows, self.outputs.bytes_mut(self.places.offset(0), bytes))
    }

    /// The place for the output of one item, which is cleared when it is first asked for.
    pub fn output(&mut self, item: u32) -> Result<&mut [u8], ContainerError> {
        self.check_item(item)?;
        self.places.lend(item as usize, &mut self.outputs);
        let stride = self.geometry.output_stride();
        Ok(self.outputs.bytes_mut(self.places.offset(item as usize), stride))
    }

    /// The address of [`ContainerEnd::parts`]'s outputs, for a layer that hands addresses on; it is
    /// good until the batch is given back.
    pub fn outputs_address(&mut self) -> NonNull<u8> {
        let count = self.current().item_count as usize;
        self.places.lend_all(&mut self.outputs);
        self.outputs.address(self.places.offset(0), count * self.geometry.output_stride())
    }

    /// The address of [`ContainerEnd::output`]'s place, as above.
    pub fn output_address(&mut self, item: u32) -> Result<NonNull<u8>, ContainerError> {
        self.check_item(item)?;
        self.places.lend(item as usize, &mut self.outputs);
        let stride = self.geometry.output_stride();
        Ok(self.outputs.address(self.places.offset(item as usize), stride))
    }

    /// Says how many bytes the output of an item has, where items have lengths of their own.
    pub fn set_output_bytes(&mut self, item: u32, bytes: usize) -> Result<(), ContainerError> {
        self.check_output(item, bytes)?;
        self.places.set_bytes(item as usize, bytes, &mut self.outputs);
        Ok(())
    }

    /// Copies the output of an item to its place.
    pub fn write_output(&mut self, item: u32, output: &[u8]) -> Result<(), ContainerError> {
        self.claim_output(item, output.len())?;
        let place = self.places.offset(item as usize);
        self.outputs.bytes_mut(place, output.len()).copy_from_slice(output);
        Ok(())
    }

    /// The address of an output of `bytes` bytes, which the caller writes at once, all of it: it
    /// counts as written, and is not cleared.
    pub fn claim_output(&mut self, item: u32, bytes: usize) -> Result<NonNull<u8>, ContainerError> {
        self.check_output(item, bytes)?;
        self.places.wrote(item as usize, bytes);
        Ok(self.outputs.address(self.places.offset(item as usize), bytes))
    }

    /// Fails one item. A long message is cut, and left out when the area for messages is full.
    pub fn fail_item(&mut self, item: u32, message: &str) -> Result<(), ContainerError> {
        self.check_item(item)?;
        let (start, bytes) = self.add_message(message);
        self.places.fail(item as usize, start, bytes);
        Ok(())
    }

    /// Gives the batch in hand back with its outputs. Items without one fail, and so does a batch
    /// without any: that is told, but the batch is given back all the same.
    pub fn complete(&mut self) -> Result<(), ContainerError> {
        let current = self.current();
        let count = current.item_count;
        let unwritten = to_u32(self.places.unwritten());
        if unwritten == count {
            self.fail(UNWRITTEN_BATCH);
            return Err(ContainerError::Unwritten { items: count, count });
        }
        if unwritten > 0 {
            self.fail_unwritten(count);
        }
        let is_uniform = self.places.is_uniform();
        if !is_uniform {
            let table = self.geometry.item_table_word(current.ticket.slot);
            for item in 0..count as usize {
                // Published by the release store of the completion's stamp.
                let entry = bytemuck::cast(self.places.entry(item));
                self.results.store_relaxed(table + item, entry);
            }
        }
        let output_bytes = count as usize * self.geometry.output_stride();
        let mut inline = [0; 2];
        let mut flags = if is_uniform { FLAG_UNIFORM } else { 0 };
        if is_uniform && output_bytes <= INLINE_BYTES {
            let outputs = self.outputs.bytes_mut(self.places.offset(0), output_bytes);
            bytemuck::bytes_of_mut(&mut inline)[..output_bytes].copy_from_slice(outputs);
            flags |= FLAG_INLINE;
        }
        self.publish(STATUS_OK, flags, output_bytes as u64, inline, 0);
        if unwritten > 0 {
            return Err(ContainerError::Unwritten { items: unwritten, count });
        }
        Ok(())
    }

    /// Fails the whole batch in hand. A long message is cut.
    pub fn fail(&mut self, message: &str) {
        let message = cut(message, MESSAGE_BYTES_MAX);
        self.write_message(self.current().ticket.slot, 0, message);
        self.publish(STATUS_FAILED, 0, 0, [0; 2], to_u32(message.len()));
    }

    fn current(&self) -> Current {
        self.current.expect("a batch is in hand")
    }

    /// Takes the next submission that is the model's, if one is there. Changes of the pools before
    /// it are made.
    fn take(&mut self) -> Result<Option<Next>, ContainerError> {
        loop {
            let entry = self.submissions.take().map_err(ContainerError::BrokenStamp)?;
            let Some(entry) = entry else { return Ok(None) };
            let submission: Submission = bytemuck::cast(entry);
            match submission.opcode {
                OPCODE_PREDICT => return self.take_batch(&submission).map(Some),
                OPCODE_STOP => return Ok(Some(Next::Stop)),
                OPCODE_MAP_POOL => self.map_pool(&submission)?,
                OPCODE_UNMAP_POOL => self.unmap_pool(&submission)?,
                opcode => {
                    let item_count = submission.item_count;
                    return Err(ContainerError::Submission { opcode, item_count });
                }
            }
        }
    }

    fn take_batch(&mut self, submission: &Submission) -> Result<Next, ContainerError> {
        let count = submission.item_count;
        if !(1..=self.geometry.items_max).contains(&count) {
            let opcode = submission.opcode;
            return Err(ContainerError::Submission { opcode, item_count: count });
        }
        let dense = (submission.flags & FLAG_DENSE != 0).then_some(RowEntry {
            pool: submission.pool,
            row: submission.first_row,
            bytes: submission.row_bytes,
            reserved: 0,
        });
        if dense.is_none() {
            let mut table = self.geometry.row_table_word(submission.ticket.slot);
            for row in &mut self.rows[..count as usize] {
                let words =
                    [self.control.load_relaxed(table), self.control.load_relaxed(table + 1)];
                *row = bytemuck::cast(words);
                table += 2;
                self.pools.check(row.pool)?;
            }
        } else {
            self.pools.check(submission.pool)?;
        }
        self.places.begin(submission.ticket.slot, count as usize);
        self.current = Some(Current {
            ticket: submission.ticket,
            item_count: count,
            dense,
            deadline_ns: submission.deadline_ns,
            message_bytes: 0,
        });
        Ok(Next::Batch)
    }

    fn publish(
        &mut self,
        status: u16,
        flags: u16,
        output_bytes: u64,
        inline: [u64; 2],
        message_bytes: u32,
    ) {
        let current = self.current.take().expect("a batch is in hand");
        let completion = Completion {
            stamp: 0,
            ticket: current.ticket,
            status,
            flags,
            item_count: current.item_count,
            output_bytes,
            inline,
            message_bytes,
            reserved: 0,
            reserved_word: 0,
        };
        self.send(&completion);
    }

    fn send(&mut self, completion: &Completion) {
        self.completions.publish(&bytemuck::cast(*completion));
        if self.engine_asleep.is_set_after_publish() {
            // The counter cannot fill up; a dead engine is noticed by `next`.
            let _ = rustix::io::write(&self.doorbell, &1u64.to_ne_bytes());
        }
    }

    fn check_item(&self, item: u32) -> Result<(), ContainerError> {
        let count = self.current().item_count;
        if item < count { Ok(()) } else { Err(ContainerError::NoSuchItem { item, count }) }
    }

    fn check_output(&self, item: u32, bytes: usize) -> Result<(), ContainerError> {
        self.check_item(item)?;
        let output = self.geometry.output;
        let admits = output.admits_bytes(bytes);
        if admits { Ok(()) } else { Err(ContainerError::OutputLength { item, bytes, output }) }
    }

    /// Fails every item that is unwritten. Those with the same reason share its message.
    fn fail_unwritten(&mut self, count: u32) {
        let mut messages = [None; 2];
        for item in 0..count as usize {
            let Some(had_place) = self.places.is_unwritten(item) else { continue };
            let text = if had_place { UNSAID_LENGTH } else { UNWRITTEN_ITEM };
            let message = &mut messages[usize::from(had_place)];
            let (start, bytes) = *message.get_or_insert_with(|| self.add_message(text));
            self.places.fail(item, start, bytes);
        }
    }

    /// Adds a message to the area for them, cut as far as there is room. Gives its start and bytes.
    fn add_message(&mut self, message: &str) -> (usize, u16) {
        let mut current = self.current();
        let start = current.message_bytes;
        let message = cut(message, (MESSAGE_AREA_BYTES - start).min(MESSAGE_BYTES_MAX));
        self.write_message(current.ticket.slot, start, message);
        current.message_bytes += message.len();
        self.current = Some(current);
        (start, u16::try_from(message.len()).expect("cut to MESSAGE_BYTES_MAX"))
    }

    fn write_message(&mut self, slot: u32, start: usize, message: &str) {
        let area = self.geometry.message_area_word(slot) * size_of::<u64>();
        let place = self.completions_segment.bytes_mut(area + start, message.len());
        place.copy_from_slice(message.as_bytes());
    }

    /// Sleeps until kicked, for at most [`CONTAINER_SLEEP_NS`], then looks after the engine.
    fn sleep(&mut self, timeout_ns: Option<u64>) -> Result<(), ContainerError> {
        let value = self.kick.value();
        self.replica_asleep.announce();
        if !self.submissions.has_news() {
            let ns = timeout_ns.unwrap_or(u64::MAX).min(CONTAINER_SLEEP_NS);
            let timeout = timespec(ns);
            let address = self.control.address(KICK_WORD).cast();
            // SAFETY: the low half of a little-endian word of a mapping that `self` keeps. The
            // mapping is read-only; the word is only loaded and waited on.
            let word = unsafe { AtomicU32::from_ptr(address.as_ptr()) };
            #[expect(clippy::cast_possible_truncation, reason = "the kick word counts in 32 bits")]
            let expected = value as u32;
            // Every outcome leads to another look.
            let _ = futex::wait(word, futex::Flags::empty(), expected, Some(&timeout));
        }
        self.replica_asleep.retract();
        if self.submissions.has_news() { Ok(()) } else { self.check_engine() }
    }

    fn check_engine(&self) -> Result<(), ContainerError> {
        let mut polled = [PollFd::new(&self.socket, PollFlags::IN)];
        let gone = PollFlags::HUP | PollFlags::ERR;
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match rustix::event::poll(&mut polled, Some(&now)) {
            // What the engine published before it went still counts.
            Ok(_) if polled[0].revents().intersects(gone) && !self.submissions.has_news() => {
                Err(ContainerError::EngineGone)
            }
            _ => Ok(()),
        }
    }
}

fn timespec(ns: u64) -> Timespec {
    const SECOND_NS: u64 = 1_000_000_000;
    #[expect(clippy::cast_possible_wrap, reason = "at most CONTAINER_SLEEP_NS")]
    Timespec { tv_sec: (ns / SECOND_NS) as i64, tv_nsec: (ns % SECOND_NS) as i64 }
}

/// The longest prefix of whole characters within `most` bytes.
fn cut(message: &str, most: usize) -> &str {
    &message[..message.floor_char_boundary(most)]
}

fn to_u32(value: usize) -> u32 {
    u32::try_from(value).expect("bounded by the limits of the protocol")
}
