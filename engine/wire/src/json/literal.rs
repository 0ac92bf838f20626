//! Numbers of any length, read byte by byte and in pieces.
//!
//! A literal of some megabytes is JSON. What decides its value is short all the same: its first
//! digits that are not leading zeros, whether there is anything but zeros behind them, and the
//! power of ten. No decimal of more than 767 digits lies right between two doubles, so two numbers
//! alike in their first [`DIGITS_KEPT`] digits round alike, if both or neither have more behind.

use super::cursor::{Cursor, Stop};
use super::number::{Element, Unfit};

/// Digits that are looked at to round a number, leading zeros apart.
const DIGITS_KEPT: usize = 800;
/// Bytes of a literal that stands for a longer one: a sign, the digits, one more if any were left
/// out, and an exponent.
const SHORT_BYTES_MAX: usize = DIGITS_KEPT + 32;
/// Bytes of a literal that `str::parse` is given as it is. It does not count the zeros of longer
/// ones against a large exponent.
const PARSED_BYTES_MAX: usize = 1024;
/// Beyond this an exponent outweighs the digits of any body.
const EXPONENT_MAX: i64 = 1 << 40;

/// A number that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct LongLiteral {
    pub(super) start: usize,
    state: State,
    /// Where the first digit stands that is not a leading zero.
    digits_at: usize,
    /// How many of the digits from there on are kept.
    kept: usize,
    /// Whether one of the others is not 0.
    is_inexact: bool,
    /// The power of ten of the last digit that is kept.
    scale: i64,
    exponent: i64,
    is_exponent_negative: bool,
    is_integer: bool,
}

/// What was read last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    Minus,
    LeadingZero,
    Integer,
    Point,
    Fraction,
    ExponentMark,
    ExponentSign,
    Exponent,
}

/// The element that a well-formed number is, whatever its length.
pub(super) fn element<const N: usize, E: Element<N>>(text: &[u8]) -> Result<[u8; N], Unfit> {
    if text.len() <= PARSED_BYTES_MAX {
        return E::slow(str::from_utf8(text).unwrap_or_default());
    }
    let mut literal = LongLiteral::new(0);
    text.iter().enumerate().for_each(|(at, byte)| _ = literal.push(*byte, at));
    literal.element::<N, E>(text)
}

impl LongLiteral {
    /// A number whose first byte stands at `start`.
    pub(super) fn new(start: usize) -> Self {
        Self {
            start,
            state: State::Start,
            digits_at: start,
            kept: 0,
            is_inexact: false,
            scale: 0,
            exponent: 0,
            is_exponent_negative: false,
            is_integer: true,
        }
    }

    /// Steps over the number, or over as much of it as the piece has.
    pub(super) fn read(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        while let Some(byte) = cursor.peek()
            && self.push(byte, cursor.at())
        {
            cursor.advance(1);
        }
        let expected = match self.state {
            _ if cursor.is_at_cut() => return Err(Stop::Cut),
            State::LeadingZero if cursor.peek().is_some_and(|byte| byte.is_ascii_digit()) => {
                "no digit after a leading 0"
            }
            State::Start | State::Minus => "a number",
            State::Point => "a digit after the point",
            State::ExponentMark | State::ExponentSign => "a digit of the exponent",
            State::LeadingZero | State::Integer | State::Fraction | State::Exponent => {
                return Ok(());
            }
        };
        Err(cursor.syntax(expected))
    }

    /// The value, once the number has been read. `body` is where it stands.
    pub(super) fn element<const N: usize, E: Element<N>>(
        &self,
        body: &[u8],
    ) -> Result<[u8; N], Unfit> {
        if self.is_integer && (self.kept == DIGITS_KEPT) {
            return Err(Unfit::OutOfRange);
        }
        let mut short = Short { bytes: [0; SHORT_BYTES_MAX], len: 0 };
        if body.get(self.start) == Some(&b'-') {
            short.push(b'-');
        }
        let digits = body.get(self.digits_at..).unwrap_or_default();
        let digits = digits.iter().filter(|byte| **byte != b'.').take(self.kept);
        digits.for_each(|digit| short.push(*digit));
        let mut scale = self.scale;
        if self.is_inexact {
            short.push(b'1');
            scale -= 1;
        } else if self.kept == 0 {
            short.push(b'0');
        }
        if !self.is_integer {
            let exponent = if self.is_exponent_negative { -self.exponent } else { self.exponent };
            short.push_exponent(scale + exponent);
        }
        E::slow(str::from_utf8(&short.bytes[..short.len]).unwrap_or_default())
    }

    /// Takes a byte, unless the number cannot go on with it.
    fn push(&mut self, byte: u8, at: usize) -> bool {
        self.state = match (self.state, byte) {
            (State::Start, b'-') => State::Minus,
            (State::Start | State::Minus, b'0') => State::LeadingZero,
            (State::Start | State::Minus | State::Integer, b'0'..=b'9') => State::Integer,
            (State::LeadingZero | State::Integer, b'.') => State::Point,
            (State::Point | State::Fraction, b'0'..=b'9') => State::Fraction,
            (State::LeadingZero | State::Integer | State::Fraction, b'e' | b'E') => {
                State::ExponentMark
            }
            (State::ExponentMark, b'+' | b'-') => State::ExponentSign,
            (State::ExponentMark | State::ExponentSign | State::Exponent, b'0'..=b'9') => {
                State::Exponent
            }
            _ => return false,
        };
        match self.state {
            State::Integer | State::Fraction => self.push_digit(byte, at),
            State::Point | State::ExponentMark => self.is_integer = false,
            State::ExponentSign => self.is_exponent_negative = byte == b'-',
            State::Exponent => {
                let exponent = self.exponent * 10 + i64::from(byte - b'0');
                self.exponent = exponent.min(EXPONENT_MAX);
            }
            State::Start | State::Minus | State::LeadingZero => (),
        }
        true
    }

    fn push_digit(&mut self, digit: u8, at: usize) {
        let is_fraction = self.state == State::Fraction;
        let is_leading = self.kept == 0 && digit == b'0';
        let is_kept = !is_leading && self.kept < DIGITS_KEPT;
        if is_kept {
            if self.kept == 0 {
                self.digits_at = at;
            }
            self.kept += 1;
        } else {
            self.is_inexact |= digit != b'0';
        }
        match (is_fraction, is_kept || is_leading) {
            (true, true) => self.scale -= 1,
            (false, false) => self.scale += 1,
            _ => (),
        }
    }
}

/// A short literal for a long one.
struct Short {
    bytes: [u8; SHORT_BYTES_MAX],
    len: usize,
}

impl Short {
    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn push_exponent(&mut self, exponent: i64) {
        self.push(b'e');
        if exponent < 0 {
            self.push(b'-');
        }
        let magnitude = exponent.unsigned_abs();
        let digits = magnitude.checked_ilog10().unwrap_or(0);
        (0..=digits).rev().for_each(|power| {
            let digit = magnitude / 10u64.pow(power) % 10;
            self.push(b"0123456789"[usize::try_from(digit).unwrap_or_default()]);
        });
    }
}
