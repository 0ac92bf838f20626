//! The messages of the two rings and the tables beside them, byte by byte.
//!
//! Every struct is plain old data, little-endian, without implicit padding; sizes and offsets are
//! asserted below and frozen by golden bytes in the tests. They describe *private* copies: what
//! lies in shared memory is only ever read and written word by word.

use bytemuck::{Pod, Zeroable};

#[cfg(target_endian = "big")]
compile_error!("the shared-memory layout is little-endian");

/// Names a batch while it is in flight. The generation tells one use of a slot from the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Pod, Zeroable)]
#[repr(C)]
pub struct Ticket {
    pub slot: u32,
    pub generation: u32,
}

/// Engine to replica: predict these rows, or what else the opcode says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Submission {
    pub stamp: u64,
    pub ticket: Ticket,
    /// [`OPCODE_PREDICT`], [`OPCODE_STOP`], [`OPCODE_MAP_POOL`] or [`OPCODE_UNMAP_POOL`].
    pub opcode: u16,
    /// [`FLAG_DENSE`] or nothing.
    pub flags: u16,
    pub item_count: u32,
    /// DENSE: the pool, the first row, and the bytes that every row holds. MAP and UNMAP: the pool
    /// alone.
    pub pool: u32,
    pub first_row: u32,
    pub row_bytes: u32,
    pub reserved: u32,
    /// When the first query of the batch is due, on the engine's monotonic clock. Advice.
    pub deadline_ns: u64,
    pub reserved_words: [u64; 2],
}

/// Run the model on the rows.
pub const OPCODE_PREDICT: u16 = 1;
/// Nothing follows: end in good order.
pub const OPCODE_STOP: u16 = 2;
/// A pool's message waits on the socket with its descriptor: map it and complete this ticket.
/// Batches behind may have rows of it. The slot of the ticket is the depth, behind those of all
/// batches; there is one change at a time.
pub const OPCODE_MAP_POOL: u16 = 3;
/// No batch behind has rows of this pool: unmap it and complete this ticket, as above.
pub const OPCODE_UNMAP_POOL: u16 = 4;
/// The rows lie one after another in one pool and all have the same length; no row table is used.
pub const FLAG_DENSE: u16 = 1;

/// One row of a batch that is not dense. The table of a ticket lies in the control segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct RowEntry {
    pub pool: u32,
    pub row: u32,
    pub bytes: u32,
    pub reserved: u32,
}

/// Replica to engine: this batch is done, or this change of the pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Completion {
    pub stamp: u64,
    pub ticket: Ticket,
    /// [`STATUS_OK`] or [`STATUS_FAILED`].
    pub status: u16,
    /// [`FLAG_UNIFORM`], with [`FLAG_INLINE`] or not; or nothing.
    pub flags: u16,
    pub item_count: u32,
    /// Bytes of the output slot that hold outputs.
    pub output_bytes: u64,
    /// INLINE only: the outputs themselves, in the bytes of these words.
    pub inline: [u64; 2],
    /// Failed batch or change: bytes of the message, which starts the ticket's message area.
    pub message_bytes: u32,
    pub reserved: u32,
    pub reserved_word: u64,
}

/// Every item has an output, or an entry in the item table that says why not; or the change is
/// made.
pub const STATUS_OK: u16 = 0;
/// The whole batch failed, or the change, for the reason in the message area.
pub const STATUS_FAILED: u16 = 1;
/// Every item succeeded and has the declared exact size: the item table is not used.
pub const FLAG_UNIFORM: u16 = 1;
/// All outputs together fit into the entry and stand there: no other cache line has to move.
pub const FLAG_INLINE: u16 = 2;
/// Bytes of outputs that an entry can carry.
pub const INLINE_BYTES: usize = size_of::<[u64; 2]>();

/// How one item ended. The table of a ticket lies in the completions segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ItemEntry {
    /// [`ITEM_OK`] or [`ITEM_FAILED`].
    pub status: u16,
    /// Failed: bytes of the message.
    pub message_bytes: u16,
    /// Succeeded: bytes of the output. Failed: where the message starts in the message area.
    pub bytes_or_offset: u32,
}

pub const ITEM_OK: u16 = 0;
pub const ITEM_FAILED: u16 = 1;

const _: () = {
    use std::mem::{align_of, offset_of, size_of};
    assert!(size_of::<Ticket>() == 8);
    assert!(size_of::<Submission>() == 64 && align_of::<Submission>() == 8);
    assert!(offset_of!(Submission, ticket) == 8);
    assert!(offset_of!(Submission, opcode) == 16);
    assert!(offset_of!(Submission, flags) == 18);
    assert!(offset_of!(Submission, item_count) == 20);
    assert!(offset_of!(Submission, pool) == 24);
    assert!(offset_of!(Submission, first_row) == 28);
    assert!(offset_of!(Submission, row_bytes) == 32);
    assert!(offset_of!(Submission, deadline_ns) == 40);
    assert!(size_of::<Completion>() == 64 && align_of::<Completion>() == 8);
    assert!(offset_of!(Completion, ticket) == 8);
    assert!(offset_of!(Completion, status) == 16);
    assert!(offset_of!(Completion, flags) == 18);
    assert!(offset_of!(Completion, item_count) == 20);
    assert!(offset_of!(Completion, output_bytes) == 24);
    assert!(offset_of!(Completion, inline) == 32);
    assert!(offset_of!(Completion, message_bytes) == 48);
    assert!(offset_of!(Completion, reserved_word) == 56);
    assert!(size_of::<RowEntry>() == 16);
    assert!(size_of::<ItemEntry>() == 8);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submission_has_its_golden_bytes() {
        let submission = Submission {
            stamp: 0x0807_0605_0403_0201,
            ticket: Ticket { slot: 0x11, generation: 0x22 },
            opcode: OPCODE_PREDICT,
            flags: FLAG_DENSE,
            item_count: 0x33,
            pool: 0x44,
            first_row: 0x55,
            row_bytes: 0x66,
            reserved: 0,
            deadline_ns: 0x77,
            reserved_words: [0; 2],
        };
        let mut golden = [0u8; 64];
        golden[..8].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
        for (offset, byte) in
            [(8, 0x11), (12, 0x22), (16, 1), (18, 1), (20, 0x33), (24, 0x44), (28, 0x55)]
        {
            golden[offset] = byte;
        }
        golden[32] = 0x66;
        golden[40] = 0x77;
        assert_eq!(bytemuck::bytes_of(&submission), golden);
    }

    #[test]
    fn a_change_of_the_pools_has_its_golden_bytes() {
        let mut submission = Submission::zeroed();
        submission.ticket = Ticket { slot: 2, generation: 0x22 };
        (submission.opcode, submission.pool) = (OPCODE_UNMAP_POOL, 0x44);
        let mut golden = [0u8; 64];
        for (offset, byte) in [(8, 2), (12, 0x22), (16, 4), (24, 0x44)] {
            golden[offset] = byte;
        }
        assert_eq!(bytemuck::bytes_of(&submission), golden);
        assert_eq!([OPCODE_PREDICT, OPCODE_STOP, OPCODE_MAP_POOL], [1, 2, 3]);
    }

    #[test]
    fn completion_has_its_golden_bytes() {
        let completion = Completion {
            stamp: 0x0102,
            ticket: Ticket { slot: 0x11, generation: 0x22 },
            status: STATUS_FAILED,
            flags: FLAG_UNIFORM,
            item_count: 0x33,
            output_bytes: 0x44,
            inline: [0x55, 0x66],
            message_bytes: 0x77,
            reserved: 0,
            reserved_word: 0,
        };
        let mut golden = [0u8; 64];
        for (offset, byte) in [
            (0, 0x02),
            (1, 0x01),
            (8, 0x11),
            (12, 0x22),
            (16, 1),
            (18, 1),
            (20, 0x33),
            (24, 0x44),
            (32, 0x55),
            (40, 0x66),
            (48, 0x77),
        ] {
            golden[offset] = byte;
        }
        assert_eq!(bytemuck::bytes_of(&completion), golden);
    }

    #[test]
    fn tables_have_their_golden_bytes() {
        let row = RowEntry { pool: 1, row: 2, bytes: 3, reserved: 0 };
        assert_eq!(bytemuck::bytes_of(&row), [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
        let item = ItemEntry { status: ITEM_FAILED, message_bytes: 2, bytes_or_offset: 3 };
        assert_eq!(bytemuck::bytes_of(&item), [1, 0, 2, 0, 3, 0, 0, 0]);
    }
}
