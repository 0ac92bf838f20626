//! A container without an SDK: it shakes hands by itself, and then has all that a container has,
//! with nothing between it and the memory.

use std::io::{IoSliceMut, Result};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytemuck::Zeroable;
use cutter_protocol::entry::{
    Completion, FLAG_UNIFORM, ItemEntry, OPCODE_PREDICT, OPCODE_STOP, RowEntry, STATUS_OK,
    Submission,
};
use cutter_protocol::handshake::socket_from_environment;
use cutter_protocol::layout::Geometry;
use cutter_protocol::wire::{
    ABI_MAJOR, ABI_MINOR, ANSWER_ACCEPTED, HELLO_MAGIC, READY_MAGIC, WireAnswer, WireHello,
};
use cutter_tensor::{ElementType, OUTPUT_NAME, Signature, TensorSpec};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg, send};
use rustix::time::Timespec;

const WORD_BYTES: usize = size_of::<u64>();
/// Where the rings begin, in bytes.
const SUBMISSION_RING: usize = 256;
const COMPLETION_RING: usize = 128;
const ENTRY_BYTES: usize = 64;
const DESCRIPTORS_MAX: usize = 32;
/// Between two looks at the ring: this container never tells that it sleeps.
const POLL: Duration = Duration::from_micros(200);

/// A container's half of one incarnation.
#[derive(Debug)]
pub struct Peer {
    pub geometry: Geometry,
    pub control: OwnedFd,
    pub doorbell: OwnedFd,
    /// The input pool, when there is one.
    pub pool: Option<OwnedFd>,
    pub socket: OwnedFd,
    submissions: Mapping,
    pub completions: Mapping,
    pub outputs: Mapping,
    /// The segments that it writes, with their bytes.
    own: [(OwnedFd, usize); 2],
    taken: usize,
    given: usize,
}

/// What a container of one float for each item says at first.
pub fn hello() -> WireHello {
    let mut hello = WireHello::zeroed();
    hello.magic = HELLO_MAGIC;
    (hello.abi_major, hello.abi_minor) = (ABI_MAJOR, ABI_MINOR);
    hello.hello_bytes = u32::try_from(size_of::<WireHello>()).expect("small");
    let sizes = [size_of::<Submission>(), size_of::<Completion>()];
    let tables = [size_of::<RowEntry>(), size_of::<ItemEntry>()];
    let narrow = |bytes: &[usize; 2]| bytes.map(|bytes| u16::try_from(bytes).expect("small"));
    let ([a, b], [c, d]) = (narrow(&sizes), narrow(&tables));
    hello.struct_bytes = [a, b, c, d];
    hello.pid = std::process::id();
    let output = TensorSpec::scalar(ElementType::Float32);
    let output = Signature::of_one(OUTPUT_NAME, output).expect("a small output");
    hello.output = (&output).into();
    hello
}

/// The socket that the engine gave to this process.
pub fn socket() -> Result<OwnedFd> {
    socket_from_environment().map_err(std::io::Error::other)
}

pub fn say(socket: &OwnedFd, message: &[u8]) -> Result<()> {
    send(socket, message, SendFlags::NOSIGNAL)?;
    Ok(())
}

impl Peer {
    /// Shakes hands as a good container does, up to the point where it would say that it is ready.
    pub fn join() -> Result<Peer> {
        let socket = socket()?;
        say(&socket, bytemuck::bytes_of(&hello()))?;
        let (answer, descriptors) = receive(&socket)?;
        let output = answer.output.read().ok().flatten().ok_or_else(|| other("no output type"))?;
        let output = output.only().map_err(std::io::Error::other)?.spec();
        let geometry = Geometry::fit(answer.depth, answer.items_max, output);
        let geometry = geometry.map_err(std::io::Error::other)?;
        let mut descriptors = descriptors.into_iter();
        let mut next = || descriptors.next().ok_or_else(|| other("too few descriptors"));
        let (control, completions) = (next()?, next()?);
        let (outputs, doorbell) = (next()?, next()?);
        let both = ProtFlags::READ.union(ProtFlags::WRITE);
        Ok(Peer {
            submissions: Mapping::new(&control, geometry.control_bytes(), ProtFlags::READ)?,
            completions: Mapping::new(&completions, geometry.completions_bytes(), both)?,
            outputs: Mapping::new(&outputs, geometry.outputs_bytes(), both)?,
            pool: next().ok(),
            own: [(completions, geometry.completions_bytes()), (outputs, geometry.outputs_bytes())],
            geometry,
            control,
            doorbell,
            socket,
            taken: 0,
            given: 0,
        })
    }

    /// The segments that it writes, with their bytes.
    pub fn own_segments(&self) -> Result<Vec<(OwnedFd, usize)>> {
        let copy = |(fd, bytes): &(OwnedFd, usize)| Ok((fd.try_clone()?, *bytes));
        self.own.iter().map(copy).collect()
    }

    pub fn say_ready(&self) -> Result<()> {
        say(&self.socket, &READY_MAGIC.to_le_bytes())
    }

    /// Waits for the next submission; `None` when the engine asks for the end or is gone.
    pub fn next(&mut self) -> Option<Submission> {
        let place = SUBMISSION_RING + ENTRY_BYTES * (self.taken % self.ring_entries());
        while self.submissions.load(place) != self.taken as u64 + 1 {
            std::thread::sleep(POLL);
            if self.is_abandoned() {
                return None;
            }
        }
        let mut words = [0; ENTRY_BYTES / WORD_BYTES];
        for (index, word) in words.iter_mut().enumerate() {
            *word = self.submissions.load(place + WORD_BYTES * index);
        }
        self.taken += 1;
        let submission: Submission = bytemuck::cast(words);
        (submission.opcode != OPCODE_STOP).then_some(submission)
    }

    /// What a good container says of this batch. To a change of the pools it says that it is made,
    /// and makes none: it reads no rows.
    pub fn honest(&self, submission: &Submission) -> Completion {
        let stride = self.geometry.output_stride() as u64;
        Completion {
            stamp: self.given as u64 + 1,
            ticket: submission.ticket,
            status: STATUS_OK,
            flags: if submission.opcode == OPCODE_PREDICT { FLAG_UNIFORM } else { 0 },
            item_count: submission.item_count,
            output_bytes: u64::from(submission.item_count) * stride,
            inline: [0; 2],
            message_bytes: 0,
            reserved: 0,
            reserved_word: 0,
        }
    }

    /// Writes a completion into the next entry of the ring, its stamp last, and rings.
    pub fn publish(&mut self, completion: Completion) {
        let place = COMPLETION_RING + ENTRY_BYTES * (self.given % self.ring_entries());
        let words: [u64; ENTRY_BYTES / WORD_BYTES] = bytemuck::cast(completion);
        for (index, word) in words.iter().enumerate().skip(1) {
            self.completions.store(place + WORD_BYTES * index, *word);
        }
        self.completions.store(place, words[0]);
        self.given += 1;
        self.ring();
    }

    /// Writes an entry of a ticket's item table.
    pub fn set_item(&mut self, slot: u32, item: u32, entry: ItemEntry) {
        let table = (self.geometry.items_max as usize * WORD_BYTES).next_multiple_of(128);
        let tables = COMPLETION_RING + self.ring_entries() * ENTRY_BYTES;
        let place = tables + table * slot as usize + WORD_BYTES * item as usize;
        self.completions.store(place, bytemuck::cast(entry));
    }

    /// Rings whether the engine sleeps or not.
    pub fn ring(&self) {
        // An engine that is gone hears nothing.
        let _ = rustix::io::write(&self.doorbell, &1u64.to_ne_bytes());
    }

    fn is_abandoned(&self) -> bool {
        let mut polled = [PollFd::new(&self.socket, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let gone = PollFlags::HUP | PollFlags::ERR;
        poll(&mut polled, Some(&now)).is_err() || polled[0].revents().intersects(gone)
    }

    fn ring_entries(&self) -> usize {
        self.geometry.ring_capacity() as usize
    }
}

/// Shared memory, word by word.
#[derive(Debug)]
pub struct Mapping {
    base: *mut u64,
    pub words: usize,
}

impl Mapping {
    fn new(fd: impl AsFd, bytes: usize, protection: ProtFlags) -> Result<Mapping> {
        // SAFETY: a new mapping, at an address that the kernel chooses, disturbs no other; it is
        // never unmapped.
        let base =
            unsafe { mmap(std::ptr::null_mut(), bytes, protection, MapFlags::SHARED, fd, 0) };
        Ok(Mapping { base: base?.cast(), words: bytes / WORD_BYTES })
    }

    pub fn load(&self, byte: usize) -> u64 {
        self.word(byte / WORD_BYTES).load(Ordering::Acquire)
    }

    pub fn store(&mut self, byte: usize, value: u64) {
        self.word(byte / WORD_BYTES).store(value, Ordering::Release);
    }

    fn word(&self, word: usize) -> &AtomicU64 {
        assert!(word < self.words);
        // SAFETY: within the mapping, as asserted, which is page-aligned and stays for ever; and
        // whoever else maps it uses atomics, too.
        unsafe { AtomicU64::from_ptr(self.base.add(word)) }
    }
}

fn receive(socket: &OwnedFd) -> Result<(WireAnswer, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut answer = WireAnswer::zeroed();
    let mut parts = [IoSliceMut::new(bytemuck::bytes_of_mut(&mut answer))];
    recvmsg(socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    match answer.accepted {
        ANSWER_ACCEPTED => Ok((answer, descriptors)),
        _ => Err(other("refused")),
    }
}

fn other(text: &'static str) -> std::io::Error {
    std::io::Error::other(text)
}
