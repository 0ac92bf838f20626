//! The name of a context: a user, a session.

use crate::limits::CONTEXT_KEY_BYTES_MAX;

/// At most [`CONTEXT_KEY_BYTES_MAX`] bytes. Without any it means no context: the application's own
/// state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ContextKey {
    bytes: [u8; CONTEXT_KEY_BYTES_MAX],
    length: u8,
}

impl ContextKey {
    pub const NONE: Self = Self { bytes: [0; CONTEXT_KEY_BYTES_MAX], length: 0 };

    pub fn new(key: &[u8]) -> Option<Self> {
        let mut bytes = [0; CONTEXT_KEY_BYTES_MAX];
        bytes.get_mut(..key.len())?.copy_from_slice(key);
        Some(Self { bytes, length: u8::try_from(key.len()).ok()? })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    pub fn is_none(&self) -> bool {
        self.length == 0
    }
}

impl std::fmt::Debug for ContextKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ContextKey({})", self.bytes().escape_ascii())
    }
}
