//! Every limit of the protocol, with its unit in its name. Relations are asserted below.
//!
//! Those of tensors are in `cutter_tensor::limits`.

use cutter_tensor::limits::{ITEM_BYTES_MAX, TENSOR_ALIGN_BYTES};

cutter_limits::limits! {
    "Protocol" {
        /// Items of one batch.
        BATCH_ITEMS_MAX: u32 = 4096, "items";
        /// Tickets that one replica can hold: one batch running, the others waiting behind it.
        DEPTH_MAX: u32 = 8, "tickets";
        /// Depth when nothing else is asked for: one batch running, one waiting.
        DEPTH_DEFAULT: u32 = 2, "tickets";
        /// Bytes of one output slot; a batch's outputs must fit, so it bounds the batch.
        OUTPUT_SLOT_BYTES_MAX: usize = 64 << 20, "bytes";
        /// Bytes of the engine's private copy of a batch's outputs that are taken before the first
        /// batch, or a whole slot if that has fewer: for small outputs it never grows.
        OUTPUT_COPY_BYTES_AT_START: usize = 16 << 10, "bytes";
        /// Memory of one replica: its segments, and the engine's private copy of the outputs of a
        /// batch.
        REPLICA_MEMORY_BYTES_MAX: usize = 256 << 20, "bytes";
        /// Bytes of the place of an output with a length of its own that are cleared before a model
        /// gets it, beyond those that an earlier output filled.
        PLACE_CLEAR_BYTES: usize = 16 << 10, "bytes";
        /// Bytes of outputs that one look at a replica copies; a batch with more is copied in
        /// pieces.
        COPY_BYTES_MAX: usize = 64 << 10, "bytes";
        /// Input pools that one replica can read at a time: the applications that link its model.
        POOLS_MAX: usize = 16, "pools";
        /// Bytes for the messages of failed items, for each ticket; and for that of a failed change
        /// of the pools.
        MESSAGE_AREA_BYTES: usize = 4096, "bytes";
        /// Bytes of one failure message; a longer one is cut.
        MESSAGE_BYTES_MAX: usize = 512, "bytes";
        /// Bytes of a name in the handshake: model, version, SDK, tensor.
        NAME_BYTES: usize = 64, "bytes";
        /// Bytes of the text with which the engine refuses a container.
        REFUSAL_BYTES: usize = 512, "bytes";
        /// Distance between control words, so that none shares a cache line, or the pair of lines
        /// that an adjacent-line prefetcher fetches, with a word of another writer.
        CONTROL_WORD_BYTES: usize = 128, "bytes";
        /// Alignment of rows and of output slots: a cache line, and the widest vector register.
        ROW_ALIGN_BYTES: usize = 64, "bytes";
        /// How long an adaptive waiter looks before it sleeps.
        ADAPTIVE_WINDOW_NS: u64 = 100_000, "ns";
        /// How long a container sleeps before it looks whether the engine is still there.
        CONTAINER_SLEEP_NS: u64 = 1_000_000_000, "ns";
        /// How long a container waits for each message of the engine.
        HANDSHAKE_NS: u64 = 10_000_000_000, "ns";
    }
}

const _: () = {
    assert!(DEPTH_DEFAULT <= DEPTH_MAX);
    assert!(MESSAGE_BYTES_MAX <= MESSAGE_AREA_BYTES);
    assert!(ITEM_BYTES_MAX <= OUTPUT_SLOT_BYTES_MAX);
    assert!(OUTPUT_SLOT_BYTES_MAX <= u32::MAX as usize);
    assert!(ROW_ALIGN_BYTES.is_power_of_two());
    assert!(ROW_ALIGN_BYTES.is_multiple_of(TENSOR_ALIGN_BYTES));
    assert!(COPY_BYTES_MAX.is_multiple_of(size_of::<u64>()) && COPY_BYTES_MAX > 0);
    // A replica of the default depth can have the largest output slots, and their tables.
    let most = (DEPTH_DEFAULT as usize + 1) * OUTPUT_SLOT_BYTES_MAX + (1 << 20);
    assert!(most <= REPLICA_MEMORY_BYTES_MAX);
};

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_is_sound() {
        assert_eq!(cutter_limits::faults(super::TABLE), [""; 0]);
    }
}
