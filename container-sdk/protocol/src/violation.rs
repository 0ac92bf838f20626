//! What a replica can do wrong, as the engine tells it.

use crate::ring::BrokenStamp;

/// A completion that this protocol cannot have produced. The incarnation is to be given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error("stamp {found} in the completion ring where {expected} was due")]
    Stamp { found: u64, expected: u64 },
    #[error("ticket slot {slot} does not exist; there are {depth}")]
    Slot { slot: u32, depth: u32 },
    #[error("ticket slot {slot} is not in flight")]
    NotInFlight { slot: u32 },
    #[error("generation {found} of ticket slot {slot}; generation {expected} is in flight")]
    Generation { slot: u32, found: u32, expected: u32 },
    #[error("status {status} and flags {flags:#x} are not defined together for this output")]
    Status { status: u16, flags: u16 },
    #[error("{found} items completed of a batch of {expected}")]
    ItemCount { found: u32, expected: u32 },
    #[error("{found} bytes announced where {most} fit")]
    Length { found: u64, most: u64 },
    #[error("{found} bytes announced where the items hold {needed}")]
    Short { found: u64, needed: u64 },
    #[error("reserved fields are not zero")]
    Reserved,
    #[error("item {item}: status {status}, {bytes} bytes or offset, {message_bytes} message bytes")]
    Item { item: u32, status: u16, bytes: u32, message_bytes: u16 },
    #[error("{wakes} wakes without a completion")]
    WakeFlood { wakes: u32 },
}

impl Violation {
    /// The names of the kinds, for counters; [`Violation::kind`] indexes them.
    pub const KINDS: &'static [&'static str] = &[
        "stamp",
        "slot",
        "not_in_flight",
        "generation",
        "status",
        "item_count",
        "length",
        "reserved",
        "item",
        "wake_flood",
    ];

    pub const fn kind(&self) -> usize {
        match self {
            Self::Stamp { .. } => 0,
            Self::Slot { .. } => 1,
            Self::NotInFlight { .. } => 2,
            Self::Generation { .. } => 3,
            Self::Status { .. } => 4,
            Self::ItemCount { .. } => 5,
            Self::Length { .. } | Self::Short { .. } => 6,
            Self::Reserved => 7,
            Self::Item { .. } => 8,
            Self::WakeFlood { .. } => 9,
        }
    }
}

impl From<BrokenStamp> for Violation {
    fn from(stamp: BrokenStamp) -> Self {
        Self::Stamp { found: stamp.found, expected: stamp.expected }
    }
}
