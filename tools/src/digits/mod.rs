//! What `cutter demo` asks and what it should be told: handwritten digits, and the class that the
//! served weights give each of them.
//!
//! ```text
//! digits.bin ──▶ Digits ──▶ Digit ──▶ row: [f32; 784] ──▶ over HTTP to the softmax container
//!                                          └────────────▶ Softmax ──▶ offline class
//! ```
//!
//! Owner: the demo's own thread; nothing here runs on the engine thread. All is pure.
//!
//! Invariants: a `Digits` has passed all checks, so reading an image cannot fail. A row holds the
//! very bits that `train.py` trained with, and an offline logit the very bits of its prediction;
//! tests compare both. `train.py` describes the two files.

mod softmax;

pub use softmax::{Softmax, SoftmaxError};

use thiserror::Error;

/// The images, as `train.py` wrote them.
pub const DIGITS_FILE: &[u8] = include_bytes!("../../../container-sdk/examples/digits/digits.bin");
/// The weights, as `train.py` wrote them. The container reads the same file.
pub const WEIGHTS_FILE: &[u8] =
    include_bytes!("../../../container-sdk/examples/digits/weights.bin");

/// Values of a row: an image scaled to 28 x 28.
pub const INPUTS: usize = SIDE_SCALED * SIDE_SCALED;
/// Classes that an image can belong to: the ten digits.
pub const CLASSES: usize = 10;
/// What the model reads: one image, 0.0 for paper and 1.0 for ink.
pub type Row = [f32; INPUTS];

const MAGIC: [u8; 8] = *b"CUTDIGIT";
const HEADER_BYTES: usize = 20;
const SIDE: usize = 8;
const SIDE_SCALED: usize = 28;
const PIXELS: usize = SIDE * SIDE;
const PIXEL_MAX: u8 = 16;
const LABEL_MAX: u8 = 9;
const IMAGE_BYTES: usize = 1 + PIXELS;

/// Why a file of images is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DigitsError {
    /// Not even a header.
    #[error(
        "a file of digits begins with {HEADER_BYTES} bytes of header, this one has {bytes} bytes \
         in all; make it again with train.py"
    )]
    NoHeader {
        /// Length of the file.
        bytes: usize,
    },
    /// Another kind of file.
    #[error(
        "a file of digits begins with {}, this one with {}; make it again with train.py",
        MAGIC.escape_ascii(), found.escape_ascii()
    )]
    Magic {
        /// The first bytes of the file.
        found: [u8; 8],
    },
    /// Images of another size.
    #[error(
        "images must be {SIDE} pixels wide and high, these are {side}; \
         make the file again with train.py"
    )]
    Side {
        /// Side that the header claims.
        side: u32,
    },
    /// No image to ask, or more than there are.
    #[error("{held_out} of {count} images cannot be held out: hold out at least 1 and at most all")]
    HeldOut {
        /// Held-out images that the header claims.
        held_out: u32,
        /// All images that the header claims.
        count: u32,
    },
    /// Cut short, or longer than its header says.
    #[error(
        "{count} images of {IMAGE_BYTES} bytes were promised, {bytes} bytes follow the header; \
         make the file again with train.py"
    )]
    Length {
        /// All images that the header claims.
        count: u32,
        /// Bytes after the header.
        bytes: usize,
    },
    /// A label that is no digit.
    #[error(
        "image {image} is labelled {label}, but labels go from 0 to {LABEL_MAX}; \
         make the file again with train.py"
    )]
    Label {
        /// Position of the image in the file.
        image: usize,
        /// The label found.
        label: u8,
    },
    /// A pixel darker than ink.
    #[error(
        "image {image} has a pixel of {value}, but pixels go from 0 to {PIXEL_MAX}; \
         make the file again with train.py"
    )]
    Pixel {
        /// Position of the image in the file.
        image: usize,
        /// The pixel found.
        value: u8,
    },
}

/// A checked file of images.
#[derive(Debug, Clone, Copy)]
pub struct Digits<'a> {
    training: &'a [[u8; IMAGE_BYTES]],
    held_out: &'a [[u8; IMAGE_BYTES]],
}

impl<'a> Digits<'a> {
    /// Checks `file` whole; see `train.py` for its format.
    ///
    /// # Errors
    /// If the file is not exactly what its header says, or holds an impossible label or pixel.
    pub fn from_bytes(file: &'a [u8]) -> Result<Self, DigitsError> {
        let (header, body) = file
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or(DigitsError::NoHeader { bytes: file.len() })?;
        let (count, held_out) = check_header(header)?;
        let length_error = DigitsError::Length { count, bytes: body.len() };
        let (images, rest) = body.as_chunks::<IMAGE_BYTES>();
        if usize::try_from(count) != Ok(images.len()) || !rest.is_empty() {
            return Err(length_error);
        }
        images.iter().enumerate().try_for_each(|(index, image)| check_image(index, image))?;
        let training = usize::try_from(count - held_out).map_err(|_| length_error)?;
        let (training, held_out) = images.split_at(training);
        Ok(Self { training, held_out })
    }

    /// The images that training never saw, in the order of the data set. Never empty.
    pub fn held_out(&self) -> impl ExactSizeIterator<Item = Digit<'a>> + Clone + use<'a> {
        self.held_out.iter().map(Digit::new)
    }

    /// The images that the weights were trained with.
    pub fn training(&self) -> impl ExactSizeIterator<Item = Digit<'a>> + Clone + use<'a> {
        self.training.iter().map(Digit::new)
    }
}

/// One image and what its writer meant.
#[derive(Debug, Clone, Copy)]
pub struct Digit<'a> {
    label: u8,
    pixels: &'a [u8; PIXELS],
}

impl<'a> Digit<'a> {
    fn new(image: &'a [u8; IMAGE_BYTES]) -> Self {
        let [label, pixels @ ..] = image;
        Self { label: *label, pixels }
    }

    /// The digit that was written, 0 to 9.
    #[must_use]
    pub fn label(&self) -> u8 {
        self.label
    }

    /// The image scaled to 28 x 28, bilinear, with pixel centres aligned.
    ///
    /// Both weights are fourteenths, so a value is a whole number of 1/(14 * 14 * 16). All is
    /// exact until the one division, and Python and C++ find the same bits.
    #[must_use]
    pub fn row(&self) -> Row {
        let mut row = [0.0; INPUTS];
        for (line, y) in row.chunks_exact_mut(SIDE_SCALED).zip(&TAPS) {
            for (value, x) in line.iter_mut().zip(&TAPS) {
                let above = self.between(y.low, x);
                let below = self.between(y.low + 1, x);
                let whole = above * y.low_weight + below * y.high_weight;
                *value = f32::from(whole) / f32::from(WHOLE_MAX);
            }
        }
        row
    }

    /// Fourteen times the value of image line `y` at `x`.
    fn between(&self, y: usize, x: &Tap) -> u16 {
        let left = u16::from(self.pixels[y * SIDE + x.low]);
        let right = u16::from(self.pixels[y * SIDE + x.low + 1]);
        left * x.low_weight + right * x.high_weight
    }
}

/// What a full black image scales to, before the division.
const WHOLE_MAX: u16 = 14 * 14 * PIXEL_MAX as u16;
const TAPS: [Tap; SIDE_SCALED] = taps();

/// The two image lines (or columns) that an output line lies between. Weights sum up to 14.
#[derive(Debug, Clone, Copy)]
struct Tap {
    low: usize,
    low_weight: u16,
    high_weight: u16,
}

/// Output x lies at image coordinate (x + 1/2) * 8/28 - 1/2 = (4x - 5) / 14, held to 0..=7.
const fn taps() -> [Tap; SIDE_SCALED] {
    let mut taps = [Tap { low: 0, low_weight: 14, high_weight: 0 }; SIDE_SCALED];
    let mut x = 0;
    while x < SIDE_SCALED {
        let at = (4 * x).saturating_sub(5);
        let at = if at > 14 * (SIDE - 1) { 14 * (SIDE - 1) } else { at };
        let low = if at / 14 > SIDE - 2 { SIDE - 2 } else { at / 14 };
        #[expect(clippy::cast_possible_truncation, reason = "at most 14")]
        let high_weight = (at - 14 * low) as u16;
        taps[x] = Tap { low, low_weight: 14 - high_weight, high_weight };
        x += 1;
    }
    taps
}

/// The counts of all and of held-out images.
fn check_header(header: &[u8; HEADER_BYTES]) -> Result<(u32, u32), DigitsError> {
    let (words, _) = header.as_chunks::<4>();
    let [m0, m1, count, side, held_out] = [0, 1, 2, 3, 4].map(|word| words[word]);
    let mut found = [0; 8];
    found[..4].copy_from_slice(&m0);
    found[4..].copy_from_slice(&m1);
    let [count, side, held_out] = [count, side, held_out].map(u32::from_le_bytes);
    if found != MAGIC {
        return Err(DigitsError::Magic { found });
    }
    if usize::try_from(side) != Ok(SIDE) {
        return Err(DigitsError::Side { side });
    }
    if held_out == 0 || held_out > count {
        return Err(DigitsError::HeldOut { held_out, count });
    }
    Ok((count, held_out))
}

fn check_image(image: usize, bytes: &[u8; IMAGE_BYTES]) -> Result<(), DigitsError> {
    let Digit { label, pixels } = Digit::new(bytes);
    if label > LABEL_MAX {
        return Err(DigitsError::Label { image, label });
    }
    let too_dark = pixels.iter().find(|value| **value > PIXEL_MAX);
    too_dark.map_or(Ok(()), |value| Err(DigitsError::Pixel { image, value: *value }))
}

#[cfg(test)]
mod tests;
