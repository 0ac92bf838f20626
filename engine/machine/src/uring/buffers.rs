//! The provided-buffer ring: buffers that the kernel picks for multishot receives.
//!
//! ```text
//! ring (count × 16 bytes, pinned)          slab (count × buffer_bytes)
//! ┌───────────────────────┬───┐            ┌──────────┬──────────┬───┐
//! │ address, length, id   │ … │ ─────────▶ │ buffer 0 │ buffer 1 │ … │
//! └───────────────────────┴───┘            └──────────┴──────────┴───┘
//!   ▲ we add at the tail    ▲ the kernel takes from the head
//! ```
//!
//! A buffer is the kernel's (its entry is between head and tail), lent to the caller (a completion
//! named it), or spare. `lent` records which are lent. Bytes of a buffer are shown only while it is
//! lent; giving it back ends that. The kernel writes only into buffers that are its own, so a
//! `&[u8]` over a lent buffer never covers memory that somebody else writes.
//!
//! # Which go round
//! The kernel takes buffers in the order in which it got them. If it had all, each would come back
//! to it when all others had been used: too many for the processor's nearest caches, so that what
//! is received is written to far memory and read from there. So only some go round: twice as many
//! as were taken at most, of late, from one [`BufferRing::publish`] to the next. The others are
//! spare, and the one that was given back last is handed to the kernel first. When more are taken
//! at once than go round, their receives end for want of buffers, as if all were lent, and from
//! then on more go round.
//!
//! `publish` hands them over with one store of the tail. Owner: the thread that owns the ring.

use std::mem::{self, size_of};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};
use std::{io, slice};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;
use memmap2::{Advice, MmapOptions, MmapRaw};

use crate::limits::{
    RING_BUFFER_BYTES_MAX, RING_BUFFERS_LOOKS, RING_BUFFERS_MAX, RING_BUFFERS_MIN,
    RING_BUFFERS_ROUND_MIN,
};

/// The one group of buffers of a ring.
pub(super) const GROUP: u16 = 0;

/// Received bytes, lent by the ring. Read them with `Ring::bytes` and give them back with
/// `Ring::recycle`: a buffer that is dropped instead is lost to the ring for good.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a receive buffer must be given back with Ring::recycle"]
pub struct ReceiveBuffer {
    id: u16,
    bytes: u32,
}

impl ReceiveBuffer {
    /// Bytes received; never 0.
    #[expect(clippy::len_without_is_empty, reason = "an empty buffer is never handed out")]
    pub fn len(&self) -> usize {
        self.bytes as usize
    }

    /// Which buffer this is, from 0 to the number of buffers.
    pub fn id(&self) -> u16 {
        self.id
    }
}

#[derive(Debug)]
pub(super) struct BufferRing {
    entries: NonNull<BufRingEntry>,
    slab: NonNull<u8>,
    count: u16,
    buffer_bytes: u32,
    lent: Vec<bool>,
    lent_count: usize,
    /// Neither lent nor the kernel's; the last one was given back last.
    spare: Vec<u16>,
    /// So many are to be the kernel's.
    round: u16,
    /// Taken since the last look; the most of one look since `round` was set; and such looks.
    taken: u16,
    taken_most: u16,
    looks: u32,
    /// Where the next buffer is added; ahead of `published` within `publish` alone.
    tail: u16,
    published: u16,
    /// Owns the memory behind `entries` and `slab`. `None` once given up.
    maps: Option<[MmapRaw; 2]>,
}

impl BufferRing {
    /// # Panics
    /// When `count` is not a power of two, or one of the two is outside its limits.
    pub(super) fn new(count: u16, buffer_bytes: u32) -> io::Result<Self> {
        assert!(
            count.is_power_of_two() && (RING_BUFFERS_MIN..=RING_BUFFERS_MAX).contains(&count),
            "{count} receive buffers"
        );
        assert!(
            (1..=RING_BUFFER_BYTES_MAX).contains(&buffer_bytes),
            "receive buffers of {buffer_bytes} bytes"
        );
        let entries = map(usize::from(count) * size_of::<BufRingEntry>())?;
        let slab = map(usize::from(count) * buffer_bytes as usize)?;
        let mut ring = Self {
            entries: NonNull::new(entries.as_mut_ptr().cast()).expect("a map is not null"),
            slab: NonNull::new(slab.as_mut_ptr()).expect("a map is not null"),
            count,
            buffer_bytes,
            lent: vec![false; usize::from(count)],
            lent_count: 0,
            spare: (0..count).rev().collect(),
            round: RING_BUFFERS_ROUND_MIN.min(count),
            taken: 0,
            taken_most: 0,
            looks: 0,
            tail: 0,
            published: 0,
            maps: Some([entries, slab]),
        };
        ring.publish();
        Ok(ring)
    }

    /// Makes the buffers known to the kernel.
    ///
    /// # Safety
    /// `uring` is closed before `self` is dropped, and nothing is then in flight that may receive
    /// into a buffer, or [`BufferRing::leak`] was called.
    pub(super) unsafe fn register(&self, uring: &IoUring) -> io::Result<()> {
        let address = self.entries.as_ptr() as u64;
        // SAFETY: the entries are page-aligned, `count` of them are mapped, and they stay mapped
        // until after `uring` is closed, as asked of the caller.
        unsafe { uring.submitter().register_buf_ring_with_flags(address, self.count, GROUP, 0) }
    }

    /// Takes over a buffer that the kernel has filled, or gives it straight back when it is empty.
    pub(super) fn lend(&mut self, id: u16, bytes: u32) -> Option<ReceiveBuffer> {
        assert!(bytes <= self.buffer_bytes, "{bytes} bytes in a buffer of {}", self.buffer_bytes);
        let lent = self.lent.get_mut(usize::from(id)).expect("the kernel names its own buffers");
        assert!(!mem::replace(lent, true), "buffer {id} was lent twice");
        self.lent_count += 1;
        self.taken = self.taken.saturating_add(1);
        let buffer = ReceiveBuffer { id, bytes };
        if bytes == 0 {
            self.recycle(buffer);
            return None;
        }
        Some(buffer)
    }

    /// # Panics
    /// When the buffer was not lent by this ring.
    pub(super) fn bytes(&self, buffer: &ReceiveBuffer) -> &[u8] {
        assert!(self.is_lent(buffer.id), "buffer {} is not lent", buffer.id);
        assert!(buffer.bytes <= self.buffer_bytes, "buffer {} is of another ring", buffer.id);
        // SAFETY: the id is below `count` and the length within one buffer, so the bytes lie in the
        // slab, which was zeroed when mapped. The buffer is lent, so the kernel does not write it,
        // and giving it back takes `&mut self`, which ends this borrow first.
        unsafe { slice::from_raw_parts(self.address(buffer.id), buffer.len()) }
    }

    /// # Panics
    /// When the buffer was not lent by this ring.
    pub(super) fn recycle(&mut self, buffer: ReceiveBuffer) {
        assert!(self.is_lent(buffer.id), "buffer {} is not lent", buffer.id);
        self.lent[usize::from(buffer.id)] = false;
        self.lent_count -= 1;
        self.spare.push(buffer.id);
    }

    /// Hands the kernel as many buffers as are to go round.
    pub(super) fn publish(&mut self) {
        self.adapt();
        while self.going_round() < usize::from(self.round)
            && let Some(id) = self.spare.pop()
        {
            self.add(id);
        }
        if self.tail == self.published {
            return;
        }
        self.published = self.tail;
        // SAFETY: the tail lies in the mapped, aligned first entry. We alone write it, always
        // through this atomic; the kernel reads it.
        let tail = unsafe {
            AtomicU16::from_ptr(BufRingEntry::tail(self.entries.as_ptr().cast_const()).cast_mut())
        };
        // Release: partner is the kernel's acquire load of the tail when it picks a buffer. The
        // entries written before must be seen with it.
        tail.store(self.tail, Ordering::Release);
    }

    pub(super) fn lent(&self) -> usize {
        self.lent_count
    }

    /// Gives up the memory, never to be unmapped: the kernel may still write it.
    pub(super) fn leak(&mut self) {
        mem::forget(self.maps.take());
    }

    /// Twice as many go round as were taken at once: at once more, and fewer after a while.
    fn adapt(&mut self) {
        let taken = mem::take(&mut self.taken);
        if taken == 0 {
            return;
        }
        self.looks += 1;
        self.taken_most = self.taken_most.max(taken);
        let wanted = self.taken_most.saturating_mul(2).max(RING_BUFFERS_ROUND_MIN).min(self.count);
        if wanted > self.round || self.looks == RING_BUFFERS_LOOKS {
            (self.round, self.taken_most, self.looks) = (wanted, 0, 0);
        }
    }

    /// Those that are the kernel's, and those that it has filled and that were not named yet.
    fn going_round(&self) -> usize {
        usize::from(self.count) - self.spare.len() - self.lent_count
    }

    fn add(&mut self, id: u16) {
        let position = usize::from(self.tail & (self.count - 1));
        let address = self.address(id) as u64;
        // SAFETY: `position` is below `count`, so the entry is mapped. The kernel does not read an
        // entry beyond the published tail, and this one is not yet: at most `count` buffers exist
        // and each is in the ring at most once. The setters leave the tail's two bytes alone.
        let entry = unsafe { &mut *self.entries.as_ptr().add(position) };
        entry.set_addr(address);
        entry.set_len(self.buffer_bytes);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    fn address(&self, id: u16) -> *const u8 {
        debug_assert!(id < self.count);
        // SAFETY: the id is below `count` (checked against `lent` or counted up to it), so the
        // offset stays within the slab.
        unsafe { self.slab.as_ptr().add(usize::from(id) * self.buffer_bytes as usize) }
    }

    fn is_lent(&self, id: u16) -> bool {
        self.lent.get(usize::from(id)).copied().unwrap_or(false)
    }
}

/// Zeroed, page-aligned, faulted in, and not inherited by children: after a fork the kernel would
/// keep using the pages that it pinned while ours could become copies.
fn map(bytes: usize) -> io::Result<MmapRaw> {
    let map = MmapOptions::new().len(bytes).populate().map_anon()?;
    map.advise(Advice::DontFork)?;
    Ok(MmapRaw::from(map))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, VecDeque};

    use proptest::prelude::*;

    use super::*;

    /// The kernel's side: takes what was published, in order.
    #[derive(Debug, Default)]
    struct Kernel {
        head: u16,
    }

    impl Kernel {
        fn take(&mut self, ring: &BufferRing) -> Option<u16> {
            if self.head == ring.published {
                return None;
            }
            let position = usize::from(self.head & (ring.count - 1));
            self.head = self.head.wrapping_add(1);
            // SAFETY: the position is below the number of mapped entries, and nobody writes one
            // that is published.
            let entry = unsafe { &*ring.entries.as_ptr().add(position) };
            Some(entry.bid())
        }
    }

    /// So many buffers are filled at once, read and given back; says how many different ones, of
    /// so many times.
    fn used(ring: &mut BufferRing, kernel: &mut Kernel, at_once: usize, times: u32) -> usize {
        let mut ids = BTreeSet::new();
        for _ in 0..times {
            ring.publish();
            let taken: Vec<u16> = (0..at_once).filter_map(|_| kernel.take(ring)).collect();
            let lent: Vec<_> = taken.iter().map(|id| ring.lend(*id, 8).unwrap()).collect();
            lent.into_iter().for_each(|buffer| ring.recycle(buffer));
            ids.extend(taken);
        }
        ids.len()
    }

    #[test]
    fn few_buffers_go_round_while_few_are_taken_at_once() {
        let mut ring = BufferRing::new(512, 64).unwrap();
        let mut kernel = Kernel::default();
        let few = usize::from(RING_BUFFERS_ROUND_MIN);
        assert_eq!(used(&mut ring, &mut kernel, 1, 2_000), few);
        assert_eq!(used(&mut ring, &mut kernel, few / 2, 2_000), few);
    }

    #[test]
    fn a_burst_has_more_go_round_at_once_and_later_fewer_again() {
        let mut ring = BufferRing::new(512, 64).unwrap();
        let mut kernel = Kernel::default();
        let few = usize::from(RING_BUFFERS_ROUND_MIN);
        // Twice as many each time, until none is wanting.
        for had in [few, 2 * few, 4 * few, 8 * few] {
            ring.publish();
            assert_eq!(ring.going_round(), had);
            used(&mut ring, &mut kernel, 100, 1);
        }
        assert_eq!(used(&mut ring, &mut kernel, 100, 1), 100);
        ring.publish();
        assert_eq!(ring.going_round(), 200);
        used(&mut ring, &mut kernel, 1, RING_BUFFERS_LOOKS * 2 + 200);
        ring.publish();
        assert_eq!(ring.going_round(), few);
        // All of them, when all are wanted.
        used(&mut ring, &mut kernel, 512, 10);
        assert_eq!(used(&mut ring, &mut kernel, 512, 1), 512);
    }

    proptest! {
        /// Steps: publish, fill so many, be told of so many, give so many back.
        #[test]
        fn a_buffer_is_the_kernels_or_lent_or_spare_and_none_is_lost(
            steps in prop::collection::vec((0_u8..4, 1_usize..40), 0..400),
        ) {
            let mut ring = BufferRing::new(32, 64).unwrap();
            let mut kernel = Kernel::default();
            let (mut filled, mut lent) = (VecDeque::new(), Vec::new());
            for (step, count) in steps {
                match step {
                    0 => ring.publish(),
                    1 => filled.extend((0..count).map_while(|_| kernel.take(&ring))),
                    2 => {
                        let told = filled.drain(..count.min(filled.len()));
                        lent.extend(told.map(|id| ring.lend(id, 8).unwrap()));
                    }
                    _ => {
                        let kept = lent.len().saturating_sub(count);
                        lent.drain(kept..).for_each(|buffer| ring.recycle(buffer));
                    }
                }
                let published = usize::from(ring.published.wrapping_sub(kernel.head));
                let all = published + filled.len() + lent.len() + ring.spare.len();
                prop_assert_eq!(all, 32);
                prop_assert_eq!(ring.lent(), lent.len());
                prop_assert_eq!(ring.going_round(), published + filled.len());
            }
            ring.publish();
            prop_assert!(ring.spare.is_empty() || ring.going_round() >= usize::from(ring.round));
        }
    }

    #[test]
    fn an_empty_buffer_goes_straight_back() {
        let mut buffers = BufferRing::new(4, 64).unwrap();
        assert_eq!(buffers.lend(1, 0), None);
        buffers.publish();
        assert_eq!((buffers.lent(), buffers.tail), (0, 5));
    }

    #[test]
    fn buffers_given_back_are_published_together() {
        let mut buffers = BufferRing::new(4, 64).unwrap();
        let lent = [0, 1, 2].map(|id| buffers.lend(id, 64).unwrap());
        lent.into_iter().for_each(|buffer| buffers.recycle(buffer));
        assert_eq!((buffers.published, buffers.tail), (4, 4));
        buffers.publish();
        assert_eq!((buffers.published, buffers.lent()), (7, 0));
    }

    #[test]
    fn the_tail_goes_on_past_the_end_of_sixteen_bits() {
        let mut buffers = BufferRing::new(2, 64).unwrap();
        for id in [0, 1].repeat(33_000) {
            let buffer = buffers.lend(id, 1).unwrap();
            buffers.recycle(buffer);
            buffers.publish();
        }
        assert_eq!(buffers.tail, 2_u16.wrapping_add(464));
    }

    #[test]
    #[should_panic(expected = "not lent")]
    fn bytes_of_a_buffer_of_another_ring_are_refused() {
        let mut here = BufferRing::new(2, 64).unwrap();
        let there = BufferRing::new(2, 64).unwrap();
        let buffer = here.lend(0, 8).unwrap();
        let _ = there.bytes(&buffer);
    }

    #[test]
    #[should_panic(expected = "receive buffers")]
    fn a_count_that_is_no_power_of_two_is_refused() {
        let _ = BufferRing::new(3, 64);
    }
}
