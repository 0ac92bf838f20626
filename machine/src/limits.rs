//! Limits of the ring.

/// Submission queue entries of one ring; the kernel's own bound.
pub const RING_ENTRIES_MAX: u32 = 32_768;

/// Submission queue entries of a bare ring: a receive and a few sends.
pub const RING_BARE_ENTRIES: u32 = 8;

/// Completion queue entries for each submission queue entry, at least. A multishot operation posts
/// many completions for one submission, and an overflowing queue is a slow path in the kernel.
pub const RING_COMPLETIONS_PER_SUBMISSION: u32 = 4;

/// Completion queue entries for each receive buffer, at least: its receive and one send.
pub const RING_COMPLETIONS_PER_BUFFER: u32 = 2;

/// Buffers of one provided-buffer ring, at least: with one alone, lending it out ends its receive.
pub const RING_BUFFERS_MIN: u16 = 2;

/// Buffers of one provided-buffer ring; the kernel's own bound.
pub const RING_BUFFERS_MAX: u16 = 32_768;

/// Bytes of one receive buffer.
pub const RING_BUFFER_BYTES_MAX: u32 = 1 << 20;

/// Bytes of one send. The kernel cuts a transfer just below 2 GiB.
pub const RING_SEND_BYTES_MAX: usize = 1 << 30;

/// Longest that the self-test at start waits for one completion, in ns.
pub const RING_SELF_TEST_WAIT_NS: u64 = 1_000_000_000;

/// Longest that one turn of the drain at the end of a ring waits, in ns.
pub const RING_DRAIN_TURN_NS: u64 = 50_000_000;

/// Turns of that drain in which nothing ended, before memory still in flight is given up.
pub const RING_DRAIN_IDLE_TURNS_MAX: u32 = 20;

const _: () = assert!(RING_ENTRIES_MAX.is_power_of_two());
const _: () = assert!(RING_BUFFERS_MAX.is_power_of_two());
const _: () = assert!(RING_SEND_BYTES_MAX < i32::MAX as usize);
