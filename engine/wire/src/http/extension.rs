//! The extensions of a chunk (RFC 9112 section 7.1.1), byte by byte. They are read to be skipped.
//!
//! Owner: the engine thread, within the decoder of each connection's reader.
//!
//! ```text
//!   chunk-ext = *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )
//!
//!   Semicolon ─';'─▶ NameStart ─▶ Name ──┬──────────────────────────── ';' or CR
//!       ▲                          AfterName ─'='─▶ ValueStart ─┬▶ Value ─┤
//!       └── white space ◀──────────────────────────────┐        └▶ Quoted ▶ AfterQuoted
//! ```
//!
//! The grammar is followed as a whole, since a line end within a quoted string, or an extension of
//! no name, is where two parsers would part.

use super::error::HttpError;
use super::head::is_token_byte;

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    /// White space was seen where an extension may follow: it must.
    Semicolon,
    NameStart,
    Name,
    /// White space behind a name: a value may follow, or another extension must.
    AfterName,
    ValueStart,
    Value,
    Quoted,
    Escaped,
    AfterQuoted,
}

impl Extension {
    /// What may come after `byte`; `None` when it ends the line of the chunk.
    pub(super) fn step(self, byte: u8) -> Result<Option<Extension>, HttpError> {
        let is_text = matches!(byte, b'\t' | 0x20..=0x7e | 0x80..=0xff);
        let next = match (self, byte) {
            (Self::Name | Self::Value | Self::AfterQuoted, b'\r') => return Ok(None),
            (Self::Quoted, b'"') => Self::AfterQuoted,
            (Self::Quoted, b'\\') => Self::Escaped,
            (Self::Quoted | Self::Escaped, _) if is_text => Self::Quoted,
            (
                Self::Semicolon | Self::NameStart | Self::AfterName | Self::ValueStart,
                b' ' | b'\t',
            ) => self,
            (Self::Name, b' ' | b'\t') => Self::AfterName,
            (Self::Value | Self::AfterQuoted, b' ' | b'\t') => Self::Semicolon,
            (
                Self::Semicolon | Self::Name | Self::AfterName | Self::Value | Self::AfterQuoted,
                b';',
            ) => Self::NameStart,
            (Self::Name | Self::AfterName, b'=') => Self::ValueStart,
            (Self::ValueStart, b'"') => Self::Quoted,
            (Self::NameStart | Self::Name, _) if is_token_byte(byte) => Self::Name,
            (Self::ValueStart | Self::Value, _) if is_token_byte(byte) => Self::Value,
            _ => return Err(HttpError::ChunkExtension { byte }),
        };
        Ok(Some(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads what stands between a chunk's size and its line feed.
    fn read(text: &str) -> Result<(), HttpError> {
        let mut at = Extension::Semicolon;
        for byte in text.bytes() {
            match at.step(byte)? {
                Some(next) => at = next,
                None => return Ok(()),
            }
        }
        panic!("{text:?} does not end");
    }

    #[test]
    fn extensions_of_the_grammar_are_read() {
        for text in [
            ";a",
            ";a=b",
            ";a;b",
            ";a=b;c=\"d\";e",
            ";!#$%&'*+-.^_`|~=0",
            ";a=\"\"",
            ";a=\"\\\"\\\\;=,\"",
            ";a=\"\t \u{e9}\\\t\"",
            " ;a",
            "\t; \ta \t= \tb \t;c",
            ";a ;b",
            ";a=\"b\" ;c",
        ] {
            assert_eq!(read(&format!("{text}\r")), Ok(()), "{text:?}");
        }
    }

    #[test]
    fn whatever_is_not_of_the_grammar_is_refused_where_it_stands() {
        for (text, byte) in [
            (";", b'\r'),
            (";;a", b';'),
            (";=b", b'='),
            (";a=", b'\r'),
            (";a=;b", b';'),
            (";a=b=c", b'='),
            (";a b", b'b'),
            (";a=b c", b'c'),
            (";a ", b'\r'),
            (" ", b'\r'),
            (" a", b'a'),
            (";a=b ", b'\r'),
            (";a@", b'@'),
            (";a=\"b", b'\r'),
            (";a=\"b\\", b'\r'),
            (";a=\"b\"c", b'c'),
            (";a=\"\u{7f}\"", 0x7f),
            (";\"a\"", b'"'),
            (";a\0", 0),
            (";a\n", b'\n'),
        ] {
            let refused = Err(HttpError::ChunkExtension { byte });
            assert_eq!(read(&format!("{text}\r")), refused, "{text:?}");
        }
    }
}
