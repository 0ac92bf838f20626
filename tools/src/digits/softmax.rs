//! The served model in plain Rust: what the demo's accuracy must be equal to.
//!
//! Owner: the demo's own thread. Invariant: each logit is summed from the bias over the inputs in
//! order, each product and each sum rounded, which is what `train.py` does and, compiled without
//! fused multiply-add, the C++ container. So all three agree to the last bit, ties included.

use super::{CLASSES, Digit, INPUTS, Row};
use thiserror::Error;

const MAGIC: [u8; 8] = *b"CUTSMAX1";
const HEADER_BYTES: usize = 16;
const FLOATS: usize = INPUTS * CLASSES + CLASSES;

/// Why a file of weights is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SoftmaxError {
    /// Not even a header.
    #[error(
        "a file of weights begins with {HEADER_BYTES} bytes of header, this one has {bytes} bytes \
         in all; make it again with train.py"
    )]
    NoHeader {
        /// Length of the file.
        bytes: usize,
    },
    /// Another kind of file.
    #[error(
        "a file of weights begins with {}, this one with {}; make it again with train.py",
        MAGIC.escape_ascii(), found.escape_ascii()
    )]
    Magic {
        /// The first bytes of the file.
        found: [u8; 8],
    },
    /// A model of another shape.
    #[error(
        "weights must be for {INPUTS} inputs and {CLASSES} classes, these are for {inputs} and \
         {classes}; make them again with train.py"
    )]
    Shape {
        /// Inputs that the header claims.
        inputs: u32,
        /// Classes that the header claims.
        classes: u32,
    },
    /// Cut short or too long.
    #[error(
        "{FLOATS} weights and biases of 4 bytes must follow the header, {bytes} bytes do; \
         make the file again with train.py"
    )]
    Length {
        /// Bytes after the header.
        bytes: usize,
    },
    /// A weight that decides nothing.
    #[error("weight {index} is not a finite number; make the file again with train.py")]
    NotFinite {
        /// Position after the header, in floats.
        index: usize,
    },
}

/// A linear model of 784 inputs and 10 classes.
#[derive(Debug, Clone)]
pub struct Softmax {
    /// By input, then by class, as in the file.
    weights: Vec<[f32; CLASSES]>,
    biases: [f32; CLASSES],
}

impl Softmax {
    /// Reads a file of weights; see `train.py` for its format.
    ///
    /// # Errors
    /// If the file is not a model of this shape, whole, with finite weights.
    pub fn from_bytes(file: &[u8]) -> Result<Self, SoftmaxError> {
        let (header, body) = file
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or(SoftmaxError::NoHeader { bytes: file.len() })?;
        check_header(header)?;
        let (words, rest) = body.as_chunks::<4>();
        if words.len() != FLOATS || !rest.is_empty() {
            return Err(SoftmaxError::Length { bytes: body.len() });
        }
        let floats: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
        if let Some(index) = floats.iter().position(|float| !float.is_finite()) {
            return Err(SoftmaxError::NotFinite { index });
        }
        let (by_input, rest) = floats.as_chunks::<CLASSES>();
        assert!(by_input.len() == INPUTS + 1 && rest.is_empty(), "FLOATS is 785 x 10");
        Ok(Self { weights: by_input[..INPUTS].to_vec(), biases: by_input[INPUTS] })
    }

    /// The class with the largest logit; of equal ones the first.
    #[must_use]
    pub fn predict(&self, row: &Row) -> u8 {
        let logits = self.logits(row);
        let mut best = (0, logits[0]);
        for (class, logit) in (0..).zip(logits) {
            if logit > best.1 {
                best = (class, logit);
            }
        }
        best.0
    }

    /// The share of `images` whose class is their label; 0 if there are none.
    #[must_use]
    pub fn accuracy<'a>(&self, images: impl IntoIterator<Item = Digit<'a>>) -> f64 {
        let (mut correct, mut count) = (0_u32, 0_u32);
        for image in images {
            correct += u32::from(self.predict(&image.row()) == image.label());
            count += 1;
        }
        f64::from(correct) / f64::from(count.max(1))
    }

    pub(super) fn logits(&self, row: &Row) -> [f32; CLASSES] {
        let mut logits = self.biases;
        for (value, weights) in row.iter().zip(&self.weights) {
            for (logit, weight) in logits.iter_mut().zip(weights) {
                *logit += value * weight;
            }
        }
        logits
    }
}

fn check_header(header: &[u8; HEADER_BYTES]) -> Result<(), SoftmaxError> {
    let (halves, _) = header.as_chunks::<8>();
    let [found, shape] = [halves[0], halves[1]];
    let [i0, i1, i2, i3, c0, c1, c2, c3] = shape;
    let inputs = u32::from_le_bytes([i0, i1, i2, i3]);
    let classes = u32::from_le_bytes([c0, c1, c2, c3]);
    if found != MAGIC {
        return Err(SoftmaxError::Magic { found });
    }
    if usize::try_from(inputs) != Ok(INPUTS) || usize::try_from(classes) != Ok(CLASSES) {
        return Err(SoftmaxError::Shape { inputs, classes });
    }
    Ok(())
}
