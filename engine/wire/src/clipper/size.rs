//! How large a body may be.
//!
//! A body is refused by its size before it is read, so the limit must never refuse what the reader
//! would take: as many inputs as a batch may have, each number with all of its digits and on a line
//! of its own, each line indented at every level of nesting.

use cutter_tensor::{ElementType, Extent, TensorSpec};

use crate::limits::{
    BODY_BYTES_MAX, BODY_BYTES_MIN, INPUT_BATCH_MAX, JSON_BYTES_PER_BASE64_GROUP,
    JSON_BYTES_PER_BRACKET, JSON_BYTES_PER_NUMBER, JSON_BYTES_PER_STRING_BYTE,
    JSON_BYTES_PER_UPDATE, JSON_INDENT_BYTES,
};

/// An input stands inside the body's object and the array of a batch.
const INPUT_LEVEL: u64 = 2;
/// An update's input stands inside the update's object too.
const UPDATE_INPUT_LEVEL: u64 = INPUT_LEVEL + 1;

/// The largest body that asks predictions of an application with this input.
pub fn body_bytes_max_of(input: &TensorSpec) -> usize {
    body_of(json_bytes(input, JSON_INDENT_BYTES as u64, INPUT_LEVEL))
}

/// The largest body that an application with this input is to learn from.
pub fn update_bytes_max_of(input: &TensorSpec) -> usize {
    let input = json_bytes(input, JSON_INDENT_BYTES as u64, UPDATE_INPUT_LEVEL);
    body_of(input + JSON_BYTES_PER_UPDATE as u64)
}

/// The most bytes of JSON that one input takes without white space.
pub fn input_json_bytes_max(input: &TensorSpec) -> u64 {
    json_bytes(input, 0, INPUT_LEVEL)
}

/// The largest body of entries with so many bytes each.
fn body_of(entry_bytes: u64) -> usize {
    let whole = (INPUT_BATCH_MAX as u64 * entry_bytes).saturating_add(BODY_BYTES_MIN as u64);
    usize::try_from(whole).unwrap_or(usize::MAX).min(BODY_BYTES_MAX)
}

fn json_bytes(input: &TensorSpec, indent: u64, input_level: u64) -> u64 {
    let bytes = input.bytes_max() as u64;
    let bracket = |level: u64| JSON_BYTES_PER_BRACKET as u64 + indent * level;
    let number = |level: u64| JSON_BYTES_PER_NUMBER as u64 + indent * level;
    match (input.element, input.extent) {
        (ElementType::Bytes, _) => {
            bracket(input_level) + bytes.div_ceil(3) * JSON_BYTES_PER_BASE64_GROUP as u64
        }
        (ElementType::String, _) => {
            bracket(input_level) + bytes * JSON_BYTES_PER_STRING_BYTE as u64
        }
        (_, Extent::Exact(shape)) => nested(shape.dims(), input_level, bracket, number),
        (element, Extent::AtMost { .. }) => {
            let elements = bytes / element.bytes() as u64;
            2 * bracket(input_level) + elements * number(input_level + 1)
        }
    }
}

/// An array of arrays: two brackets for each of them, and the numbers within.
fn nested(
    dims: &[u32],
    input_level: u64,
    bracket: impl Fn(u64) -> u64,
    number: impl Fn(u64) -> u64,
) -> u64 {
    let (mut bytes, mut arrays, mut level) = (0, 1, input_level);
    for dim in dims {
        bytes += arrays * 2 * bracket(level);
        arrays *= u64::from(*dim);
        level += 1;
    }
    bytes + arrays * number(level)
}

#[cfg(test)]
mod tests {
    use cutter_tensor::Shape;
    use serde::Serialize;
    use serde_json::ser::{PrettyFormatter, Serializer};
    use serde_json::{Value, json};

    use super::*;
    use crate::limits::{CONTEXT_KEY_BYTES_MAX, JSON_VALUE_BYTES_MAX};

    /// A body of as many inputs as a batch may have, indented by so much.
    fn pretty(input: &Value, indent: usize) -> String {
        let inputs: Vec<&Value> = std::iter::repeat_n(input, INPUT_BATCH_MAX).collect();
        indented(&json!({ "input_batch": inputs, "version": "1" }), indent)
    }

    /// As many updates, each with as much beside its input as may be.
    fn pretty_updates(input: &Value, indent: usize) -> String {
        let longest = "x".repeat(JSON_VALUE_BYTES_MAX - 2);
        let context = "\u{1}".repeat(CONTEXT_KEY_BYTES_MAX);
        let update = json!({ "label": longest, "context": context, "input": input });
        indented(&json!({ "updates": vec![update; INPUT_BATCH_MAX] }), indent)
    }

    fn indented(body: &Value, indent: usize) -> String {
        let indent = vec![b' '; indent];
        let mut written = Vec::new();
        let formatter = PrettyFormatter::with_indent(&indent);
        body.serialize(&mut Serializer::with_formatter(&mut written, formatter)).unwrap();
        String::from_utf8(written).unwrap()
    }

    /// Its bytes with the line ends of a text that was edited elsewhere.
    fn longest(lines: &str) -> usize {
        lines.len() + lines.bytes().filter(|byte| *byte == b'\n').count()
    }

    fn of_shape(dims: &[u32]) -> Value {
        match dims {
            [] => json!(-1.797_693_134_862_315_7e308),
            [dim, inner @ ..] => vec![of_shape(inner); *dim as usize].into(),
        }
    }

    #[test]
    fn a_whole_batch_written_with_indentation_is_within_the_limit() {
        for dims in [&[1][..], &[4], &[16], &[2, 3], &[1, 1, 1, 1], &[1; 8], &[2, 1, 2, 1, 2]] {
            let body = longest(&pretty(&of_shape(dims), JSON_INDENT_BYTES));
            let updates = longest(&pretty_updates(&of_shape(dims), JSON_INDENT_BYTES));
            for element in [ElementType::Int32, ElementType::Float32, ElementType::Float64] {
                let spec = TensorSpec::exact(element, Shape::new(dims).unwrap());
                let limits = [body_bytes_max_of(&spec), update_bytes_max_of(&spec)];
                assert!(body <= limits[0], "{dims:?}: {body} bytes, limit {}", limits[0]);
                assert!(updates <= limits[1], "{dims:?}: {updates} bytes, limit {}", limits[1]);
            }
        }
    }

    #[test]
    fn inputs_of_any_length_are_within_the_limit_when_they_are_full() {
        let table = [
            (TensorSpec::at_most(ElementType::Float32, 64), of_shape(&[16])),
            (TensorSpec::at_most(ElementType::Float64, 64), of_shape(&[8])),
            (TensorSpec::at_most(ElementType::Int32, 4), of_shape(&[1])),
            (TensorSpec::at_most(ElementType::String, 100), "\u{1}".repeat(100).into()),
            (TensorSpec::at_most(ElementType::Bytes, 100), "A".repeat(136).into()),
        ];
        for (input, value) in table {
            let longest = longest(&pretty(&value, JSON_INDENT_BYTES));
            let limit = body_bytes_max_of(&input);
            assert!(longest <= limit, "{input}: {longest} bytes, limit {limit}");
        }
    }

    #[test]
    fn a_limit_is_no_larger_than_that_of_any_body() {
        let large = TensorSpec::at_most(ElementType::Float32, 64 << 20);
        assert_eq!(body_bytes_max_of(&large), BODY_BYTES_MAX);
        assert!(input_json_bytes_max(&large) > BODY_BYTES_MAX as u64);
        let small = TensorSpec::exact(ElementType::Float32, Shape::new(&[4]).unwrap());
        assert_eq!(input_json_bytes_max(&small), 2 * 4 + 4 * 32);
        assert_eq!(body_bytes_max_of(&small), (64 << 10) + 1024 * (2 * 20 + 4 * 56));
    }
}
