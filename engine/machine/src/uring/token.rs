//! The caller's name for an operation: what it belongs to, in 64 bits.
//!
//! ```text
//! 63       56 55                 32 31                              0
//! ┌──────────┬─────────────────────┬────────────────────────────────┐
//! │ kind: u8 │ index: u24          │ generation: u32                │
//! └──────────┴─────────────────────┴────────────────────────────────┘
//! ```
//!
//! The ring hands a token back untouched with every completion of its operation. `kind` and `index`
//! name a place in a table of the caller; `generation` says which tenant of that place was meant,
//! so that a completion which arrives after the place was given to another is recognised as stale.

use std::fmt;

const INDEX_BITS: u32 = 24;
const GENERATION_BITS: u32 = 32;

/// See the module text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(u64);

impl Token {
    /// The largest index that a token can carry.
    const INDEX_MAX: u32 = (1 << INDEX_BITS) - 1;

    /// # Panics
    /// When `index` has more than 24 bits: the caller's table must be smaller than that.
    pub const fn new(kind: u8, index: u32, generation: u32) -> Self {
        assert!(index <= Self::INDEX_MAX, "a token carries 24 bits of index");
        Self(
            ((kind as u64) << (INDEX_BITS + GENERATION_BITS))
                | ((index as u64) << GENERATION_BITS)
                | generation as u64,
        )
    }

    pub const fn kind(self) -> u8 {
        (self.0 >> (INDEX_BITS + GENERATION_BITS)) as u8
    }

    pub const fn index(self) -> u32 {
        (self.0 >> GENERATION_BITS) as u32 & Self::INDEX_MAX
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are meant")]
    pub const fn generation(self) -> u32 {
        self.0 as u32
    }

    pub const fn pack(self) -> u64 {
        self.0
    }

    /// Every 64-bit value is a token.
    pub const fn unpack(bits: u64) -> Self {
        Self(bits)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}:{}:{})", self.kind(), self.index(), self.generation())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Token;

    proptest! {
        #[test]
        fn packing_and_unpacking_returns_the_same_parts(
            kind: u8, index in 0..=Token::INDEX_MAX, generation: u32,
        ) {
            let token = Token::unpack(Token::new(kind, index, generation).pack());
            prop_assert_eq!(token.kind(), kind);
            prop_assert_eq!(token.index(), index);
            prop_assert_eq!(token.generation(), generation);
        }

        #[test]
        fn every_bit_pattern_is_a_token(bits: u64) {
            let token = Token::unpack(bits);
            let again = Token::new(token.kind(), token.index(), token.generation());
            prop_assert_eq!(again.pack(), bits);
        }
    }

    #[test]
    fn parts_lie_where_the_picture_says() {
        assert_eq!(Token::new(0xAB, 0x00CD_EF01, 0x2345_6789).pack(), 0xABCD_EF01_2345_6789);
    }

    #[test]
    #[should_panic(expected = "24 bits of index")]
    fn an_index_beyond_24_bits_is_refused() {
        let _ = Token::new(0, Token::INDEX_MAX + 1, 0);
    }
}
