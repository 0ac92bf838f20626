//! Limits of the ring, and of memory.

cutter_limits::limits! {
    "Ring" {
        /// Submission queue entries of one ring; the kernel's own bound.
        RING_ENTRIES_MAX: u32 = 32_768, "entries";
        /// Submission queue entries of a bare ring: a receive and a few sends.
        RING_BARE_ENTRIES: u32 = 8, "entries";
        /// Completion queue entries for each submission queue entry, at least. A multishot
        /// operation posts many completions for one submission, and an overflowing queue is a slow
        /// path in the kernel.
        RING_COMPLETIONS_PER_SUBMISSION: u32 = 4, "entries";
        /// Completion queue entries for each receive buffer, at least: its receive and one send.
        RING_COMPLETIONS_PER_BUFFER: u32 = 2, "entries";
        /// Buffers of one provided-buffer ring, at least: with one alone, lending it out ends its
        /// receive.
        RING_BUFFERS_MIN: u16 = 2, "buffers";
        /// Buffers of one provided-buffer ring; the kernel's own bound.
        RING_BUFFERS_MAX: u16 = 32_768, "buffers";
        /// Buffers of a ring that go round at least.
        RING_BUFFERS_ROUND_MIN: u16 = 16, "buffers";
        /// Looks that found something received, after which as few buffers go round as these took.
        RING_BUFFERS_LOOKS: u32 = 1024, "looks";
        /// Bytes of one receive buffer.
        RING_BUFFER_BYTES_MAX: u32 = 1 << 20, "bytes";
        /// Bytes of one send. The kernel cuts a transfer just below 2 GiB.
        RING_SEND_BYTES_MAX: usize = 1 << 30, "bytes";
        /// Longest that the self-test at start waits for one completion, in ns.
        RING_SELF_TEST_WAIT_NS: u64 = 1_000_000_000, "ns";
        /// Longest that one turn of the drain at the end of a ring waits, in ns.
        RING_DRAIN_TURN_NS: u64 = 50_000_000, "ns";
        /// Turns of that drain in which nothing ended, before memory still in flight is given up.
        RING_DRAIN_IDLE_TURNS_MAX: u32 = 20, "turns";
    }
    "Memory" {
        /// Bytes from which an allocation has a mapping of its own, where the process says so.
        OWN_MAPPING_BYTES_MIN: usize = 256 << 10, "bytes";
        /// Bytes of a large buffer that are given back to the kernel in one go.
        FREED_AT_ONCE_BYTES: usize = 1 << 20, "bytes";
    }
}

const _: () = {
    assert!(RING_ENTRIES_MAX.is_power_of_two());
    assert!(RING_BUFFERS_MAX.is_power_of_two());
    assert!(
        RING_BUFFERS_MIN <= RING_BUFFERS_ROUND_MIN && RING_BUFFERS_ROUND_MIN <= RING_BUFFERS_MAX
    );
    assert!(RING_BUFFERS_LOOKS > 0);
    assert!(RING_SEND_BYTES_MAX < i32::MAX as usize);
};

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_is_sound() {
        assert_eq!(cutter_limits::faults(super::TABLE), [""; 0]);
    }
}
