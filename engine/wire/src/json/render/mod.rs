//! Outputs as JSON: tensors by their shape, in one go or in pieces.
//!
//! | output | JSON |
//! | --- | --- |
//! | a scalar | a number |
//! | an exact shape | arrays nested as the shape is |
//! | numbers of which only the bytes are bounded | a flat array |
//! | bytes | a string of base64 |
//! | a string | a string, whatever stands in it: `17` is `"17"` |
//! | a string of an application whose outputs are JSON | itself if it is JSON, else a string |
//!
//! Floats have the fewest digits that read back as the same float. JSON knows neither NaN nor
//! infinity; both become `null`. A string that is not UTF-8 is an error, found before anything of
//! it is written. JSON that holds a number beyond the range of a double, such as `1e400`, or that
//! is nested deeper than [`JSON_DEPTH_MAX`](crate::limits::JSON_DEPTH_MAX), would be refused by
//! many clients: it becomes a string. The length of a text does not matter.
//!
//! Everything is appended to a buffer that the caller keeps, so that nothing is taken from the heap
//! once it has grown. Work is linear in the bytes of the
//! output, and a [`TensorWriter`] can stop anywhere in it.

mod arrays;
mod text;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cutter_tensor::{ElementType, Extent, TensorSpec};

use self::arrays::Arrays;
use self::text::Text;
use crate::limits::{
    JSON_BYTES_PER_BASE64_GROUP, JSON_BYTES_PER_FLOAT32, JSON_BYTES_PER_FLOAT64,
    JSON_BYTES_PER_INT32, JSON_BYTES_PER_STRING_BYTE,
};

pub use self::text::{embed_text, write_string};

/// What an output of text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextRule {
    /// A string.
    String,
    /// JSON, which is embedded as it is. What is no JSON is a string.
    Json,
}

/// A string output is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the output is a string that is not UTF-8, from its byte {at} on")]
pub struct NotUtf8 {
    /// Bytes before the first wrong one.
    pub at: usize,
}

/// Appends an output. After an error `out` is as it was.
///
/// # Panics
/// When the bytes are not an item of `spec`; whoever took them from a replica has checked that.
pub fn write_tensor(
    out: &mut Vec<u8>,
    spec: &TensorSpec,
    bytes: &[u8],
    text: TextRule,
) -> Result<(), NotUtf8> {
    let is_done = TensorWriter::new(spec, text).write(out, bytes, usize::MAX)?;
    debug_assert!(is_done, "no output is longer than the budget");
    Ok(())
}

/// The most bytes of JSON that an output of so many bytes may become, by any [`TextRule`].
pub fn rendered_bytes_max(spec: &TensorSpec, bytes: usize) -> u64 {
    const QUOTES_BYTES: u64 = 2;
    let elements = (bytes / spec.element.bytes()) as u64;
    let each = element_bytes_max(spec.element);
    match spec.element {
        ElementType::String => elements * each + QUOTES_BYTES,
        ElementType::Bytes => elements.div_ceil(3) * each + QUOTES_BYTES,
        ElementType::Int32 | ElementType::Float32 | ElementType::Float64 => {
            elements * each + brackets_bytes_max(spec)
        }
    }
}

/// The most bytes of JSON for one number and its comma, for one byte of a string, or for three
/// other bytes.
const fn element_bytes_max(element: ElementType) -> u64 {
    match element {
        ElementType::Int32 => JSON_BYTES_PER_INT32,
        ElementType::Float32 => JSON_BYTES_PER_FLOAT32,
        ElementType::Float64 => JSON_BYTES_PER_FLOAT64,
        ElementType::String => JSON_BYTES_PER_STRING_BYTE as u64,
        ElementType::Bytes => JSON_BYTES_PER_BASE64_GROUP as u64,
    }
}

/// The brackets of all arrays, each with a comma behind it.
fn brackets_bytes_max(spec: &TensorSpec) -> u64 {
    const ARRAY_BYTES: u64 = 3;
    let Extent::Exact(shape) = spec.extent else { return ARRAY_BYTES };
    let mut arrays = 1;
    let mut bytes = 0;
    for dim in shape.dims() {
        bytes += arrays * ARRAY_BYTES;
        // The dimensions before one fit 32 bits, as their product does.
        arrays *= u64::from(*dim);
    }
    bytes
}

/// An output that is being written.
#[derive(Clone, Debug)]
pub struct TensorWriter {
    spec: TensorSpec,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Numbers(Arrays),
    Text(Text),
    /// The next byte to be encoded; none before the opening quote.
    Base64(Option<usize>),
    Done,
}

impl TensorWriter {
    pub fn new(spec: &TensorSpec, text: TextRule) -> Self {
        let state = match spec.element {
            ElementType::Int32 | ElementType::Float32 | ElementType::Float64 => {
                State::Numbers(Arrays::new())
            }
            ElementType::String => State::Text(Text::new(text)),
            ElementType::Bytes => State::Base64(None),
        };
        Self { spec: *spec, state }
    }

    /// Goes on where the last call stopped: appends about `budget_bytes`, and never more than
    /// [`JSON_RENDER_OVERSHOOT_BYTES_MAX`](crate::limits::JSON_RENDER_OVERSHOOT_BYTES_MAX) beyond
    /// them. Bytes of a text that are only checked count as well. True when all is written.
    ///
    /// The bytes are the same in each call. An error comes before anything is appended.
    ///
    /// # Panics
    /// When the bytes are not an item of the spec; whoever took them from a replica has checked
    /// that.
    pub fn write(
        &mut self,
        out: &mut Vec<u8>,
        bytes: &[u8],
        budget_bytes: usize,
    ) -> Result<bool, NotUtf8> {
        let spec = &self.spec;
        assert!(spec.admits_bytes(bytes.len()), "{} bytes are not an item of {spec}", bytes.len());
        let is_done = match &mut self.state {
            State::Numbers(arrays) => arrays.write(out, spec, bytes, budget_bytes),
            State::Text(text) => text.write(out, bytes, budget_bytes)?,
            State::Base64(at) => write_base64(out, bytes, at, budget_bytes),
            State::Done => true,
        };
        if is_done {
            self.state = State::Done;
        }
        Ok(is_done)
    }
}

/// Goes on with base64 at `at`.
fn write_base64(
    out: &mut Vec<u8>,
    bytes: &[u8],
    at: &mut Option<usize>,
    budget_bytes: usize,
) -> bool {
    const GROUP_BYTES: usize = 3;
    let start = at.unwrap_or_else(|| {
        out.push(b'"');
        0
    });
    let groups = (budget_bytes / JSON_BYTES_PER_BASE64_GROUP).max(1);
    let end = start.saturating_add(groups.saturating_mul(GROUP_BYTES)).min(bytes.len());
    let (piece, begin) = (&bytes[start..end], out.len());
    out.resize(begin + piece.len().div_ceil(GROUP_BYTES) * JSON_BYTES_PER_BASE64_GROUP, 0);
    let written = BASE64.encode_slice(piece, &mut out[begin..]);
    debug_assert_eq!(written, Ok(out.len() - begin));
    *at = Some(end);
    if end < bytes.len() {
        return false;
    }
    out.push(b'"');
    true
}
