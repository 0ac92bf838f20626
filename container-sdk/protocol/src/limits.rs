//! Every limit of the protocol, with its unit in its name. Relations are asserted below.

/// Dimensions of a tensor.
pub const RANK_MAX: usize = 8;

/// Bytes of one item, input or output.
pub const ITEM_BYTES_MAX: usize = 64 << 20;

/// Items of one batch.
pub const BATCH_ITEMS_MAX: u32 = 4096;

/// Tickets that one replica can hold: one batch running, the others waiting behind it.
pub const DEPTH_MAX: u32 = 8;

/// Depth when nothing else is asked for: one batch running, one waiting.
pub const DEPTH_DEFAULT: u32 = 2;

/// Bytes of one output slot; a batch's outputs must fit, so it bounds the batch.
pub const OUTPUT_SLOT_BYTES_MAX: usize = 64 << 20;

/// Input pools that one replica can read: the applications that link its model.
pub const POOLS_MAX: usize = 16;

/// Bytes for the messages of failed items, for each ticket.
pub const MESSAGE_AREA_BYTES: usize = 4096;

/// Bytes of one failure message; a longer one is cut.
pub const MESSAGE_BYTES_MAX: usize = 512;

/// Bytes of a name in the handshake: model, version, SDK.
pub const NAME_BYTES: usize = 64;

/// Bytes of the text with which the engine refuses a container.
pub const REFUSAL_BYTES: usize = 512;

/// Distance between control words, so that none shares a cache line, or the pair of lines that an
/// adjacent-line prefetcher fetches, with a word of another writer.
pub const CONTROL_WORD_BYTES: usize = 128;

/// Alignment of rows and of output slots: a cache line, and the widest vector register.
pub const ROW_ALIGN_BYTES: usize = 64;

/// How long an adaptive waiter looks before it sleeps.
pub const ADAPTIVE_WINDOW_NS: u64 = 100_000;

/// How long a container sleeps before it looks whether the engine is still there.
pub const CONTAINER_SLEEP_NS: u64 = 1_000_000_000;

/// How long a container waits for each message of the handshake.
pub const HANDSHAKE_NS: u64 = 10_000_000_000;

const _: () = assert!(DEPTH_DEFAULT <= DEPTH_MAX);
const _: () = assert!(MESSAGE_BYTES_MAX <= MESSAGE_AREA_BYTES);
const _: () = assert!(ITEM_BYTES_MAX <= OUTPUT_SLOT_BYTES_MAX);
const _: () = assert!(OUTPUT_SLOT_BYTES_MAX <= u32::MAX as usize);
const _: () = assert!(ROW_ALIGN_BYTES.is_power_of_two());
