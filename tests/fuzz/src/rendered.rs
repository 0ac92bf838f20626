//! What an item looks like in an answer, held against the item.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cutter_tensor::limits::RANK_MAX;
use cutter_tensor::{ElementType, Extent, TensorSpec};
use cutter_wire::json::render::{
    NotUtf8, TensorWriter, TextRule, rendered_bytes_max, write_tensor,
};
use cutter_wire::limits::JSON_RENDER_OVERSHOOT_BYTES_MAX;
use serde_json::value::RawValue;

use crate::raw::{array, is_of_doubles, text};

/// Of one number, with its comma; the longest is `-2.2250738585072014e-308`.
const NUMBER_BYTES_MAX: usize = 26;
/// Of one byte of text: a control character becomes an escape of six.
const TEXT_BYTES_PER_BYTE_MAX: usize = 6;
/// Brackets around one number, and the commas between them.
const BRACKET_BYTES_MAX: usize = 3 * RANK_MAX;

/// The longest piece of which the item's own bytes say how long it is.
const PIECE_BYTES_MAX: usize = 24;
/// A larger item is written in larger pieces: small ones are many.
const SMALL_BYTES_MAX: usize = 512;
const LARGE_PIECE_BYTES: usize = 10_007;
/// What stands in a buffer before an item is written behind it.
const BEFORE: &[u8] = b"before";

/// The most bytes that an item of so many bytes may come to, whatever its shape.
fn proportionate_bytes(spec: &TensorSpec, bytes: usize) -> usize {
    match spec.element {
        ElementType::Bytes => bytes.div_ceil(3) * 4 + 2,
        ElementType::String => bytes * TEXT_BYTES_PER_BYTE_MAX + 2,
        element => (bytes / element.bytes()).max(1) * (NUMBER_BYTES_MAX + BRACKET_BYTES_MAX),
    }
}

/// The JSON of an item, after it was written whole and in pieces: both are the same, within the
/// bound that is told beforehand, and refused is only text that is not UTF-8.
pub fn write(spec: &TensorSpec, bytes: &[u8], rule: TextRule) -> Result<Vec<u8>, NotUtf8> {
    let mut json = BEFORE.to_vec();
    let written = write_tensor(&mut json, spec, bytes, rule);
    let pieces = bytes.iter().map(|byte| usize::from(*byte) % (PIECE_BYTES_MAX + 1));
    let cuts = match bytes.len() {
        0..=SMALL_BYTES_MAX => vec![pieces.chain([PIECE_BYTES_MAX]).collect(), vec![1]],
        _ => vec![vec![LARGE_PIECE_BYTES, 1]],
    };
    for pieces in cuts {
        let mut found = BEFORE.to_vec();
        assert_eq!(write_in_pieces(&mut found, spec, bytes, (rule, &pieces)), written);
        assert!(found == json, "{spec}: {}", String::from_utf8_lossy(&found));
    }
    let is_text = spec.element == ElementType::String;
    let wrong = str::from_utf8(bytes).err().filter(|_| is_text);
    assert_eq!(written.err(), wrong.map(|error| NotUtf8 { at: error.valid_up_to() }));
    let json = json.split_off(BEFORE.len());
    let (found, most) = (json.len() as u64, rendered_bytes_max(spec, bytes.len()));
    assert!(found <= most, "{spec}: {found} bytes of JSON, at most {most} were told");
    written.map(|()| json)
}

fn write_in_pieces(
    out: &mut Vec<u8>,
    spec: &TensorSpec,
    bytes: &[u8],
    (rule, pieces): (TextRule, &[usize]),
) -> Result<(), NotUtf8> {
    let mut writer = TensorWriter::new(spec, rule);
    // Text is looked at twice, and then written.
    let most = 3 * (rendered_bytes_max(spec, bytes.len()) + 1);
    let mut budgets = pieces.iter().cycle();
    for _ in 0..most {
        let (budget_bytes, before) = (*budgets.next().expect("there is a piece"), out.len());
        let is_done = writer.write(out, bytes, budget_bytes)?;
        let piece = out.len() - before;
        assert!(piece <= budget_bytes + JSON_RENDER_OVERSHOOT_BYTES_MAX, "a piece of {piece}");
        if is_done {
            return Ok(());
        }
    }
    panic!("{spec}: {} bytes are not written in {most} pieces", bytes.len());
}

/// Asserts that `json` is `bytes`, an item of `spec`, and nothing else.
pub fn check(json: &RawValue, spec: &TensorSpec, bytes: &[u8], rule: TextRule) {
    let (found, most) = (json.get().len(), proportionate_bytes(spec, bytes.len()));
    assert!(found <= most, "{spec}: {found} bytes of JSON for {} bytes", bytes.len());
    match spec.element {
        ElementType::Bytes => {
            let decoded = text(json).and_then(|text| BASE64.decode(text).ok());
            assert_eq!(decoded.as_deref(), Some(bytes), "{json}");
        }
        ElementType::String => {
            check_text(json, str::from_utf8(bytes).expect("other text is refused"), rule);
        }
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

/// Text is a string; where outputs are JSON, what is JSON of doubles stands as it is.
fn check_text(json: &RawValue, expected: &str, rule: TextRule) {
    let is_json = || serde_json::from_str::<&RawValue>(expected).is_ok_and(is_of_doubles);
    if rule == TextRule::Json && is_json() {
        assert_eq!(json.get(), expected.trim_matches([' ', '\t', '\r', '\n']));
    } else {
        assert_eq!(text(json).as_deref(), Some(expected), "{json}");
    }
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
