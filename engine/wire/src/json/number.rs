//! Numbers: the grammar, and correctly rounded values without looking at the digits twice.
//!
//! A literal is read as `mantissa ÷ 10^scale`, eight digits at a time. Where that quotient can be
//! rounded safely it is: the `quick` half of an [`Element`]. Elsewhere (many digits, large
//! exponents, values right between two floats) the text of the literal goes to `str::parse`, which
//! is always right and takes longer: the `slow` half. Quick may give up; when it does not, the
//! halves agree.

use super::cursor::Cursor;

/// A number as it was written. Its value is `mantissa ÷ 10^scale`, negated when negative.
#[derive(Clone, Copy, Debug)]
pub(super) struct Literal {
    /// Meaningless when there are more than [`MANTISSA_DIGITS_MAX`] digits.
    mantissa: u64,
    scale: isize,
    /// Digits before and after the point, but for a lone 0 before it.
    digits: usize,
    negative: bool,
    /// Neither a point nor an exponent was written.
    integer: bool,
    /// What was expected where the number went wrong.
    pub(super) expected: Option<&'static str>,
}

/// Why a well-formed number is not an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    OutOfRange,
    NotInteger,
}

/// An element of `N` bytes.
pub(super) trait Element<const N: usize> {
    /// From what was scanned, if that is surely right.
    fn quick(literal: &Literal) -> Option<[u8; N]>;

    /// From a number of fewer than eight digits before its point, and fewer than eight behind it.
    #[inline(always)]
    fn short(mantissa: u64, before: usize, decimals: usize, negative: bool) -> Option<[u8; N]> {
        Self::quick(&Literal::plain(mantissa, before, decimals, negative))
    }

    /// From the text of a well-formed number.
    fn slow(text: &str) -> Result<[u8; N], Unfit>;
}

/// Bytes that are looked at together.
pub(super) const WORD_BYTES: usize = 8;
const EACH: u64 = 0x0101_0101_0101_0101;
/// Any number of so many digits fits 63 bits, so that it turns into a double in one instruction.
const MANTISSA_DIGITS_MAX: usize = 18;
/// The largest power of ten that a double holds exactly.
const EXACT_POWER_MAX: usize = 22;
/// Integers up to this one are floats.
const EXACT_FLOAT_INTEGER_MAX: u64 = 1 << f32::MANTISSA_DIGITS;
/// Integers up to this one are doubles.
const EXACT_INTEGER_MAX: u64 = 1 << f64::MANTISSA_DIGITS;

/// Steps over a number, or up to where it goes wrong, which `expected` of the literal tells.
///
/// What was expected is a field, and not an error beside the literal, because the compiler keeps
/// the fields in registers and would keep such a pair in memory, at three times the time.
#[inline(always)]
pub(super) fn scan(cursor: &mut Cursor<'_>) -> Literal {
    let mut literal = Literal {
        mantissa: 0,
        scale: 0,
        digits: 0,
        negative: false,
        integer: true,
        expected: None,
    };
    let mut first = cursor.peek().unwrap_or_default();
    // A branch, and not arithmetic on the flag: a processor can predict it, and go on reading.
    if first == b'-' {
        literal.negative = true;
        cursor.advance(1);
        first = cursor.peek().unwrap_or_default();
    }
    let digits_start = cursor.at();
    if !first.is_ascii_digit() {
        literal.expected = Some("a number");
        return literal;
    }
    cursor.advance(1);
    literal.mantissa = u64::from(first - b'0');
    literal.digits = usize::from(first != b'0');
    if let Some(b'0'..=b'9') = cursor.peek() {
        if first == b'0' {
            literal.expected = Some("no digit after a leading 0");
            return literal;
        }
        literal.mantissa = scan_digits(cursor, literal.mantissa);
        literal.digits = cursor.at() - digits_start;
    }
    if cursor.take(b'.') {
        let decimals_start = cursor.at();
        literal.mantissa = scan_digits(cursor, literal.mantissa);
        let decimals = cursor.at() - decimals_start;
        if decimals == 0 {
            literal.expected = Some("a digit after the point");
            return literal;
        }
        literal.digits += decimals;
        literal.scale = decimals.cast_signed();
        literal.integer = false;
    }
    if let Some(b'e' | b'E') = cursor.peek() {
        let (exponent, digits) = scan_exponent(cursor);
        if digits == 0 {
            literal.expected = Some("a digit of the exponent");
        }
        literal.scale = literal.scale.saturating_sub(exponent);
        literal.integer = false;
    }
    literal
}

pub(super) enum Int32 {}

impl Element<4> for Int32 {
    #[inline(always)]
    fn quick(literal: &Literal) -> Option<[u8; 4]> {
        if !literal.integer || literal.digits > MANTISSA_DIGITS_MAX {
            return None;
        }
        let magnitude = literal.mantissa.cast_signed();
        let value = if literal.negative { -magnitude } else { magnitude };
        i32::try_from(value).ok().map(i32::to_ne_bytes)
    }

    fn slow(text: &str) -> Result<[u8; 4], Unfit> {
        if text.contains(['.', 'e', 'E']) {
            return Err(Unfit::NotInteger);
        }
        text.parse().map(i32::to_ne_bytes).map_err(|_| Unfit::OutOfRange)
    }
}

pub(super) enum Float32 {}

impl Element<4> for Float32 {
    /// By way of a double. Making one of the mantissa, the power of ten that it is multiplied with
    /// (a division takes three times as long) and the product each err by 2⁻⁵³ of the result at
    /// most, together by less than four units in its last place. Rounding that on to a float goes
    /// wrong only if the middle between two floats lies so close, which happens to 1 number in 60
    /// million; then this gives up.
    #[inline(always)]
    fn quick(literal: &Literal) -> Option<[u8; 4]> {
        /// The bits of a double that a float has not.
        const LOST: u64 = (1 << (f64::MANTISSA_DIGITS - f32::MANTISSA_DIGITS)) - 1;
        const MIDDLE: u64 = LOST / 2 + 1;
        const DOUBT: u64 = 4;

        let double = literal.scaled(&INVERSE_POWERS, |mantissa, power| mantissa * power)?;
        let above_doubt = double.to_bits().wrapping_sub(MIDDLE - DOUBT) & LOST;
        // 0, or 1e-22 to 1e18: floats reach further, so nothing overflows or loses bits.
        #[expect(clippy::cast_possible_truncation, reason = "rounding to a float is meant")]
        let float = double as f32;
        (above_doubt > 2 * DOUBT).then_some(float.to_ne_bytes())
    }

    /// Mantissa and power of ten are floats, so the processor rounds their quotient correctly.
    #[inline(always)]
    fn short(mantissa: u64, before: usize, decimals: usize, negative: bool) -> Option<[u8; 4]> {
        const POWERS: [f32; 8] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7];
        if mantissa > EXACT_FLOAT_INTEGER_MAX {
            return Self::quick(&Literal::plain(mantissa, before, decimals, negative));
        }
        #[expect(clippy::cast_precision_loss, reason = "it is exact")]
        let magnitude = mantissa.cast_signed() as f32 / POWERS[decimals];
        Some(f32::from_bits(magnitude.to_bits() | u32::from(negative) << 31).to_ne_bytes())
    }

    fn slow(text: &str) -> Result<[u8; 4], Unfit> {
        let float = text.parse().ok().filter(|float: &f32| float.is_finite());
        float.map(f32::to_ne_bytes).ok_or(Unfit::OutOfRange)
    }
}

pub(super) enum Float64 {}

impl Element<8> for Float64 {
    /// Mantissa and power of ten are doubles, so the processor rounds their quotient correctly.
    #[inline(always)]
    fn quick(literal: &Literal) -> Option<[u8; 8]> {
        let double = literal.scaled(&POWERS, |mantissa, power| mantissa / power)?;
        (literal.mantissa <= EXACT_INTEGER_MAX).then_some(double.to_ne_bytes())
    }

    fn slow(text: &str) -> Result<[u8; 8], Unfit> {
        let double = text.parse().ok().filter(|double: &f64| double.is_finite());
        double.map(f64::to_ne_bytes).ok_or(Unfit::OutOfRange)
    }
}

impl Literal {
    /// Of digits, and of decimals behind a point if there are any.
    #[inline(always)]
    pub(super) fn plain(mantissa: u64, before: usize, decimals: usize, negative: bool) -> Self {
        let (scale, integer) = (decimals.cast_signed(), decimals == 0);
        Self { mantissa, scale, digits: before + decimals, negative, integer, expected: None }
    }

    /// The value, as `scale` makes it of the mantissa and the power of its scale. None when there
    /// are too many digits, or the scale is not that of a plain decimal.
    #[inline(always)]
    fn scaled(
        &self,
        powers: &[f64; EXACT_POWER_MAX + 1],
        scale: impl Fn(f64, f64) -> f64,
    ) -> Option<f64> {
        let power = powers.get(usize::try_from(self.scale).ok()?)?;
        if self.digits > MANTISSA_DIGITS_MAX {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "the nearest double is meant")]
        let magnitude = scale(self.mantissa.cast_signed() as f64, *power);
        Some(f64::from_bits(magnitude.to_bits() | u64::from(self.negative) << 63))
    }
}

/// Appends the digits that follow to a mantissa, which wraps around when there are too many.
#[inline(always)]
fn scan_digits(cursor: &mut Cursor<'_>, mut mantissa: u64) -> u64 {
    while let Some(word) = cursor.peek_chunk() {
        let values = values_of(word);
        let digits = digits_of(values);
        if digits < WORD_BYTES {
            cursor.advance(digits);
            return append(mantissa, values, digits);
        }
        cursor.advance(WORD_BYTES);
        mantissa = append_word(mantissa, values);
    }
    while let Some(byte @ b'0'..=b'9') = cursor.peek() {
        mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        cursor.advance(1);
    }
    mantissa
}

/// Makes 0 to 9 of the digits of a word, and more of all other bytes.
#[inline(always)]
pub(super) fn values_of(word: &[u8; WORD_BYTES]) -> u64 {
    u64::from_le_bytes(*word) ^ (EACH * 0x30)
}

/// How many digits the values begin with.
#[inline(always)]
pub(super) fn digits_of(values: u64) -> usize {
    // Adding 0x76 lifts all other bytes, and no digit, to 0x80 or beyond. A carry out of a byte
    // disturbs only bytes behind the first that is no digit.
    let others = (values.wrapping_add(EACH * 0x76) | values) & (EACH * 0x80);
    (others.trailing_zeros() / 8) as usize
}

/// Appends the first digits of a word, fewer than all, to a mantissa, which wraps around.
#[inline(always)]
pub(super) fn append(mantissa: u64, values: u64, digits: usize) -> u64 {
    // Push the digits to the top, so that the zeros which move in lead the number.
    let values = values << (56 - 8 * digits) << 8;
    mantissa.wrapping_mul(TENS[digits]).wrapping_add(eight_digits(values))
}

/// Appends eight digits to a mantissa, which wraps around.
#[inline(always)]
pub(super) fn append_word(mantissa: u64, values: u64) -> u64 {
    mantissa.wrapping_mul(100_000_000).wrapping_add(eight_digits(values))
}

/// The number whose digits are the bytes of a word, the lowest byte first. Neighbours are joined: 8
/// digits to 4 pairs, these to 2 fours, these to one eight.
#[inline(always)]
fn eight_digits(values: u64) -> u64 {
    let pairs = values.wrapping_mul(10 << 8 | 1) >> 8 & 0x00FF_00FF_00FF_00FF;
    let fours = pairs.wrapping_mul(100 << 16 | 1) >> 16 & 0x0000_FFFF_0000_FFFF;
    fours.wrapping_mul(10_000 << 32 | 1) >> 32
}

/// Steps over the `e`, the sign and the digits behind it; gives the value and how many digits.
#[inline(always)]
fn scan_exponent(cursor: &mut Cursor<'_>) -> (isize, usize) {
    cursor.advance(1);
    let negative = cursor.take(b'-');
    if !negative {
        cursor.take(b'+');
    }
    let start = cursor.at();
    let mut exponent = 0isize;
    while let Some(byte @ b'0'..=b'9') = cursor.peek() {
        exponent = exponent
            .saturating_mul(10)
            .saturating_add(isize::from(byte.wrapping_sub(b'0').cast_signed()));
        cursor.advance(1);
    }
    (if negative { -exponent } else { exponent }, cursor.at() - start)
}

const TENS: [u64; WORD_BYTES] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// Powers of ten, each of them exact.
const POWERS: [f64; EXACT_POWER_MAX + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The doubles next to their inverses.
const INVERSE_POWERS: [f64; EXACT_POWER_MAX + 1] = [
    1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14,
    1e-15, 1e-16, 1e-17, 1e-18, 1e-19, 1e-20, 1e-21, 1e-22,
];
