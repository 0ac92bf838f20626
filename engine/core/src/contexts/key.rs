//! The name of a context, as bytes.

use std::fmt;

use crate::limits::CONTEXT_KEY_BYTES_MAX;

/// Whose state it is: a user, a group, whatever the client names. None at all, no bytes, is the
/// application itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContextKey {
    bytes: u8,
    /// Zeros behind the bytes, so that equal keys are equal memory.
    text: [u8; CONTEXT_KEY_BYTES_MAX],
}

impl ContextKey {
    /// The application's own.
    pub const APPLICATION: Self = Self { bytes: 0, text: [0; CONTEXT_KEY_BYTES_MAX] };

    /// `None` when it is longer than [`CONTEXT_KEY_BYTES_MAX`].
    pub fn new(key: &[u8]) -> Option<Self> {
        let mut text = [0; CONTEXT_KEY_BYTES_MAX];
        text.get_mut(..key.len())?.copy_from_slice(key);
        Some(Self { bytes: u8::try_from(key.len()).ok()?, text })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.bytes)]
    }
}

impl fmt::Debug for ContextKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.bytes().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_bytes_up_to_its_limit() {
        let longest = [7; CONTEXT_KEY_BYTES_MAX];
        for bytes in [&b""[..], b"a", b"a\0", &longest] {
            assert_eq!(ContextKey::new(bytes).unwrap().bytes(), bytes);
        }
        assert_eq!(ContextKey::new(&[7; CONTEXT_KEY_BYTES_MAX + 1]), None);
        assert_eq!(ContextKey::new(b""), Some(ContextKey::APPLICATION));
        assert_ne!(ContextKey::new(b"a"), ContextKey::new(b"a\0"));
        assert_eq!(format!("{:?}", ContextKey::new(b"a\n").unwrap()), r#""a\n""#);
    }
}
