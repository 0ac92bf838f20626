//! What a policy has learned: numbers, and their bytes in a store.
//!
//! ```text
//!  0        4         6        8        16
//!  ┌────────┬─────────┬────────┬────────┬────────┬┄
//!  │ policy │ version │ models │ word 0 │ word 1 │    little-endian; a word is an f64
//!  └────────┴─────────┴────────┴────────┴────────┴┄
//! ```

use std::fmt;

use thiserror::Error;

use super::Policy;
use crate::limits::LINKS_MAX;

const HEADER_BYTES: usize = 8;
const WORD_BYTES: usize = size_of::<f64>();

/// Whose words these are, and what they mean.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// The policy, in four letters.
    pub policy: [u8; 4],
    /// Goes up when the words of this policy mean something else.
    pub version: u16,
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} version {}", self.policy.escape_ascii(), self.version)
    }
}

/// The state of a policy, of one application and context. As many words as the policy says for so
/// many models, now and always.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    format: Format,
    models: u16,
    words: Box<[f64]>,
}

/// Why bytes are no state of a policy.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum StateError {
    #[error("{found} bytes of state, and {expected} are needed; the store is damaged")]
    Length { found: usize, expected: usize },
    #[error(
        "state of {found:?}, and {expected:?} reads it; set the policy back, or reset the state"
    )]
    Format { found: Format, expected: Format },
    #[error("state of {found} models, and {expected} are linked; reset the state")]
    Models { found: u16, expected: u16 },
    #[error("word {word} of the state is {value}, which is no number; the store is damaged")]
    NotANumber { word: usize, value: f64 },
    #[error("the numbers are none that {0:?} can lead to; the store is damaged")]
    Unsound(Format),
}

impl State {
    /// For [`Policy::init`].
    ///
    /// # Panics
    /// When `models` is 0 or more than [`LINKS_MAX`].
    pub fn new(format: Format, models: usize, words: impl IntoIterator<Item = f64>) -> Self {
        assert!((1..=LINKS_MAX).contains(&models), "{models} models");
        let models = u16::try_from(models).expect("at most LINKS_MAX");
        Self { format, models, words: words.into_iter().collect() }
    }

    pub fn models(&self) -> usize {
        self.models.into()
    }

    pub fn words(&self) -> &[f64] {
        &self.words
    }

    pub fn words_mut(&mut self) -> &mut [f64] {
        &mut self.words
    }

    /// The bytes that [`read`](Self::read) reads.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.words.len() * WORD_BYTES);
        bytes.extend_from_slice(&self.format.policy);
        bytes.extend_from_slice(&self.format.version.to_le_bytes());
        bytes.extend_from_slice(&self.models.to_le_bytes());
        bytes.extend(self.words.iter().flat_map(|word| word.to_le_bytes()));
        bytes
    }

    /// Reads the state of a policy for so many models.
    ///
    /// # Panics
    /// When `models` is 0 or more than [`LINKS_MAX`].
    pub fn read(policy: &dyn Policy, models: usize, bytes: &[u8]) -> Result<Self, StateError> {
        let mut state = policy.init(models);
        let expected = HEADER_BYTES + state.words.len() * WORD_BYTES;
        let wrong_length = StateError::Length { found: bytes.len(), expected };
        let Some((header, words)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(wrong_length);
        };
        let &[a, b, c, d, version @ .., low, high] = header;
        let format = Format { policy: [a, b, c, d], version: u16::from_le_bytes(version) };
        let found = u16::from_le_bytes([low, high]);
        if format != state.format {
            return Err(StateError::Format { found: format, expected: state.format });
        }
        if found != state.models {
            return Err(StateError::Models { found, expected: state.models });
        }
        if bytes.len() != expected {
            return Err(wrong_length);
        }
        let (words, _) = words.as_chunks::<WORD_BYTES>();
        for (word, bytes) in words.iter().enumerate() {
            let value = f64::from_le_bytes(*bytes);
            if !value.is_finite() {
                return Err(StateError::NotANumber { word, value });
            }
            state.words[word] = value;
        }
        if policy.is_sound(&state) { Ok(state) } else { Err(StateError::Unsound(format)) }
    }
}
