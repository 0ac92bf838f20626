//! Outputs as JSON: tensors by their shape, text by Clipper's rule.
//!
//! Everything is appended to a buffer that the caller keeps, so that nothing is taken from the heap
//! once it has grown. Floats have the fewest digits that read back as the same float. JSON knows
//! neither NaN nor infinity; both become `null`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

use cutter_protocol::tensor::{ElementType, Extent, TensorSpec};

use super::cursor::Cursor;

/// Appends an output: a number for a scalar, else arrays nested as the shape is; a flat array where
/// only the bytes are bounded; text as [`embed_text`] has it; bytes as a string of base64.
///
/// # Panics
/// When the bytes are not an item of `spec`; whoever took them from a replica has checked that.
pub fn write_tensor(
    out: &mut Vec<u8>,
    spec: &TensorSpec,
    bytes: &[u8],
    _rule: TextRule,
) -> Result<(), NotUtf8> {
    write_tensor_(out, spec, bytes);
    Ok(())
}
fn write_tensor_(out: &mut Vec<u8>, spec: &TensorSpec, bytes: &[u8]) {
    assert!(spec.admits_bytes(bytes.len()), "{} bytes are not an item of {spec}", bytes.len());
    match spec.element {
        ElementType::Int32 => write_numbers(out, spec, bytes, i32::from_ne_bytes),
        ElementType::Float32 => write_numbers(out, spec, bytes, f32::from_ne_bytes),
        ElementType::Float64 => write_numbers(out, spec, bytes, f64::from_ne_bytes),
        ElementType::String => embed_text(out, &String::from_utf8_lossy(bytes)),
        ElementType::Bytes => write_base64(out, bytes),
    }
}

/// Appends a string in quotes, with escapes where JSON needs them.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    write_plain(out, text);
}

/// Appends a text as it is if it is JSON itself, else as a string in quotes.
///
/// So a model, or a default output, that says `-1` or `{"class": 3}` answers with just that.
pub fn embed_text(out: &mut Vec<u8>, text: &str) {
    let mut cursor = Cursor::new(text.as_bytes());
    // Text nested too deeply for us is so for many clients too; it becomes a string.
    if cursor.skip_value(0).and_then(|()| cursor.expect_end()).is_ok() {
        out.extend_from_slice(text.as_bytes());
    } else {
        write_string(out, text);
    }
}

fn write_numbers<const N: usize, T: Serialize>(
    out: &mut Vec<u8>,
    spec: &TensorSpec,
    bytes: &[u8],
    decode: impl Fn([u8; N]) -> T + Copy,
) {
    let (cells, _) = bytes.as_chunks::<N>();
    match &spec.extent {
        Extent::Exact(shape) => write_nested(out, shape.dims(), cells, decode),
        Extent::AtMost { .. } => {
            write_array(out, cells.len(), |out, at| write_plain(out, &decode(cells[at])));
        }
    }
}

/// The cells of these dimensions, in as many brackets. Recursion ends with the rank.
fn write_nested<const N: usize, T: Serialize>(
    out: &mut Vec<u8>,
    dims: &[u32],
    cells: &[[u8; N]],
    decode: impl Fn([u8; N]) -> T + Copy,
) {
    let Some((&entries, inner)) = dims.split_first() else {
        return write_plain(out, &decode(cells[0]));
    };
    let size: usize = inner.iter().map(|dim| *dim as usize).product();
    write_array(out, entries as usize, |out, at| {
        write_nested(out, inner, &cells[at * size..(at + 1) * size], decode);
    });
}

fn write_array(out: &mut Vec<u8>, entries: usize, write_entry: impl Fn(&mut Vec<u8>, usize)) {
    out.push(b'[');
    for at in 0..entries {
        if at > 0 {
            out.push(b',');
        }
        write_entry(out, at);
    }
    out.push(b']');
}

fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = BASE64.encode_slice(bytes, &mut out[start..]);
    debug_assert_eq!(written, Ok(out.len() - start));
    out.push(b'"');
}

fn write_plain<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok(), "numbers and text are JSON, and a Vec takes all bytes");
}

#[derive(Debug)]
pub struct NotUtf8 {
    pub at: usize,
}
#[derive(Debug, Clone, Copy)]
pub enum TextRule {
    String,
    Json,
}
#[derive(Debug)]
pub struct TensorWriter(TensorSpec);
impl TensorWriter {
    pub fn new(spec: &TensorSpec, _text: TextRule) -> Self {
        Self(*spec)
    }
    pub fn write(
        &mut self,
        out: &mut Vec<u8>,
        bytes: &[u8],
        _budget: usize,
    ) -> Result<bool, NotUtf8> {
        write_tensor_(out, &self.0, bytes);
        Ok(true)
    }
}
pub fn rendered_bytes_max(_spec: &TensorSpec, bytes: usize) -> u64 {
    bytes as u64 * 6 + 64
}
