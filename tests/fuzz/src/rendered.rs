//! What an item looks like in an answer, held against the item.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cutter_protocol::limits::RANK_MAX;
use cutter_protocol::tensor::{ElementType, Extent, TensorSpec};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::raw::{array, text};

/// Of one number, with its comma; the longest is `-2.2250738585072014e-308`.
const NUMBER_BYTES_MAX: usize = 26;
/// Of one byte of text: what is not UTF-8 becomes a character of three bytes, a control character
/// an escape of six.
const TEXT_BYTES_PER_BYTE_MAX: usize = 6;
/// Brackets around one number, and the commas between them.
const BRACKET_BYTES_MAX: usize = 3 * RANK_MAX;

/// The most bytes that an item of so many bytes may come to, whatever its shape.
fn rendered_bytes_max(spec: &TensorSpec, bytes: usize) -> usize {
    match spec.element {
        ElementType::Bytes => bytes.div_ceil(3) * 4 + 2,
        ElementType::String => bytes * TEXT_BYTES_PER_BYTE_MAX + 2,
        element => (bytes / element.bytes()).max(1) * (NUMBER_BYTES_MAX + BRACKET_BYTES_MAX),
    }
}

/// Whether the shape has no more brackets than numbers to put into them. A shape with a dimension
/// of 0 can ask for any number of brackets around nothing.
pub fn is_in_proportion(spec: &TensorSpec) -> bool {
    let Extent::Exact(shape) = spec.extent else { return true };
    !shape.dims().contains(&0)
}

/// Asserts that `json` is `bytes`, an item of `spec`, and nothing else.
pub fn check(json: &RawValue, spec: &TensorSpec, bytes: &[u8]) {
    let (found, most) = (json.get().len(), rendered_bytes_max(spec, bytes.len()));
    assert!(found <= most, "{spec}: {found} bytes of JSON for {} bytes", bytes.len());
    match spec.element {
        ElementType::Bytes => {
            let decoded = text(json).and_then(|text| BASE64.decode(text).ok());
            assert_eq!(decoded.as_deref(), Some(bytes), "{json}");
        }
        ElementType::String => check_text(json, &String::from_utf8_lossy(bytes)),
        ElementType::Int32 => check_numbers(json, spec, bytes, |literal, cell: [u8; 4]| {
            literal.parse() == Ok(i32::from_ne_bytes(cell))
        }),
        ElementType::Float32 => check_numbers(json, spec, bytes, |literal, cell: [u8; 4]| {
            let value = f32::from_ne_bytes(cell);
            let read = literal.parse().map(f32::to_bits);
            if value.is_finite() { read == Ok(value.to_bits()) } else { literal == "null" }
        }),
        ElementType::Float64 => check_numbers(json, spec, bytes, |literal, cell: [u8; 8]| {
            let value = f64::from_ne_bytes(cell);
            let read = literal.parse().map(f64::to_bits);
            if value.is_finite() { read == Ok(value.to_bits()) } else { literal == "null" }
        }),
    }
}

/// Text that is JSON stands as it is; other text is a string.
fn check_text(json: &RawValue, expected: &str) {
    let is_embedded =
        json.get() == expected.trim_ascii() && serde_json::from_str::<IgnoredAny>(expected).is_ok();
    assert!(is_embedded || text(json).as_deref() == Some(expected), "{json} for {expected:?}");
}

fn check_numbers<const N: usize>(
    json: &RawValue,
    spec: &TensorSpec,
    bytes: &[u8],
    is_cell: impl Fn(&str, [u8; N]) -> bool,
) {
    let mut literals = Vec::new();
    match spec.extent {
        Extent::Exact(shape) => collect(json, shape.dims(), &mut literals),
        Extent::AtMost { .. } => {
            let entries = array(json).unwrap_or_else(|| panic!("{json} is not flat"));
            literals.extend(entries.iter().map(|entry| entry.get()));
        }
    }
    let (cells, rest) = bytes.as_chunks::<N>();
    assert!(rest.is_empty());
    assert_eq!(literals.len(), cells.len(), "{spec}: {json}");
    for (literal, cell) in literals.into_iter().zip(cells) {
        assert!(is_cell(literal, *cell), "{literal} for the bytes {cell:?}");
    }
}

/// The numbers of nested arrays, which have the dimensions that they should have.
fn collect<'a>(json: &'a RawValue, dims: &[u32], literals: &mut Vec<&'a str>) {
    let Some((&wanted, inner)) = dims.split_first() else { return literals.push(json.get()) };
    let entries = array(json).unwrap_or_else(|| panic!("{json} has too few dimensions"));
    assert_eq!(entries.len(), wanted as usize, "{json} has other dimensions");
    entries.into_iter().for_each(|entry| collect(entry, inner, literals));
}
