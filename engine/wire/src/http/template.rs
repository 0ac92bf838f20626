//! The fast path: a head like the last one on its connection needs no parsing.
//!
//! Owner: the engine thread, one template in each connection's reader.
//!
//! Clients that keep a connection send the same head again and again; only Content-Length changes.
//! So: equal bytes before the digits, digits, equal bytes after them through the empty line. Equal
//! bytes mean an equal parse, and no rule of the full parser but the length's own looks at the
//! length's digits. Whatever is not surely equal goes to the full parser.
//!
//! ```text
//!  POST /digits/predict HTTP/1.1␍␊Host: x␍␊Content-Length: 6831␍␊Accept: */*␍␊␍␊
//!  ╰──────────────────── before ─────────────────────────╯╰──╯╰───── after ─────╯
//!                         memcmp                          digits     memcmp
//! ```
//!
//! Beside the head stands its route: equal bytes have an equal path, so that what was found for the
//! one is what would be found for the other, as long as nothing has changed there. That is for the
//! reader to ask ([`Routes::is_current`](super::Routes::is_current)).

use super::head::{Facts, Framing, parse_length};
use super::span::Span;
use crate::limits::{CONTENT_LENGTH_DIGITS_MAX, TEMPLATE_BYTES_MAX};

/// The last short head that the full parser accepted, and where its request went. Allocates once,
/// at the first head.
#[derive(Debug)]
pub(super) struct Template<R> {
    bytes: Vec<u8>,
    known: Option<(Facts, R)>,
}

// By hand, since a derive would ask the same of `R`.
impl<R> Default for Template<R> {
    fn default() -> Self {
        Self { bytes: Vec::new(), known: None }
    }
}

impl<R: Copy> Template<R> {
    /// Takes `head`, of which the full parser said `facts`, and its route. A long head is not worth
    /// its memory.
    pub(super) fn remember(&mut self, head: &[u8], facts: &Facts, route: R) {
        if head.len() > TEMPLATE_BYTES_MAX {
            return;
        }
        self.bytes.clear();
        self.bytes.reserve_exact(TEMPLATE_BYTES_MAX);
        self.bytes.extend_from_slice(head);
        self.known = Some((*facts, route));
    }

    /// The route of the head that is remembered was found anew.
    pub(super) fn set_route(&mut self, route: R) {
        if let Some((_, known)) = &mut self.known {
            *known = route;
        }
    }

    /// The facts of the head at the start of `bytes`, when it is sure what the full parser says,
    /// and the route that it had then.
    pub(super) fn recognise(&self, bytes: &[u8]) -> Option<(Facts, R)> {
        let (facts, route) = self.known.as_ref()?;
        let digits = facts.length_digits;
        let (before, after) = (&self.bytes[..digits.start()], &self.bytes[digits.end()..]);
        let rest = bytes.strip_prefix(before)?;
        if digits.start() == digits.end() {
            // No Content-Length: the span is empty at 0, and `after` is the whole head.
            return rest.starts_with(after).then_some((*facts, *route));
        }
        let window = &rest[..rest.len().min(CONTENT_LENGTH_DIGITS_MAX + 1)];
        let digits_len = window.iter().position(|byte| !byte.is_ascii_digit())?;
        if !rest[digits_len..].starts_with(after) {
            return None;
        }
        let length = parse_length(&rest[..digits_len])?;
        let facts = Facts {
            head_bytes: before.len() + digits_len + after.len(),
            framing: Framing::Length(length),
            length_digits: Span::new(before.len(), before.len() + digits_len),
            ..*facts
        };
        Some((facts, *route))
    }
}
