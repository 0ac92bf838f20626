//! What the engine thread and the store's thread tell each other.

use cutter_core::contexts::{ContextKey, Series};
use cutter_core::policy::Policy;

/// Who says whether bytes are a state of a series.
#[derive(Debug)]
pub(super) struct Reader {
    /// What people call the series.
    pub text: String,
    pub policy: Box<dyn Policy>,
    pub models: usize,
}

/// To the store.
#[derive(Debug)]
pub(super) enum Request {
    Register {
        series: Series,
        reader: Reader,
    },
    Forget {
        series: Series,
    },
    /// The state has room for a checksum before it.
    Save {
        series: Series,
        key: ContextKey,
        bytes: Vec<u8>,
    },
    /// With a buffer for the answer.
    Load(Load),
    /// Look whether it is the end.
    Look,
}

/// A state that is asked for, and the answer to that.
#[derive(Debug)]
pub(super) struct Load {
    pub series: Series,
    pub key: ContextKey,
    pub bytes: Vec<u8>,
    pub is_there: bool,
}
