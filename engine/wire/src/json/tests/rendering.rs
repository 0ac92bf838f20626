//! What outputs become, in one go and in pieces.

use proptest::prelude::*;

use super::super::render::{
    NotUtf8, TensorWriter, TextRule, embed_text, rendered_bytes_max, write_string, write_tensor,
};
use super::*;
use crate::limits::{JSON_DEPTH_MAX, JSON_RENDER_OVERSHOOT_BYTES_MAX};

fn written_by(rule: TextRule, spec: TensorSpec, bytes: &[u8]) -> String {
    let mut out = b"[".to_vec();
    assert_eq!(write_tensor(&mut out, &spec, bytes, rule), Ok(()));
    String::from_utf8(out).expect("JSON is UTF-8")[1..].to_owned()
}

fn written(spec: TensorSpec, bytes: &[u8]) -> String {
    written_by(TextRule::String, spec, bytes)
}

#[test]
fn tensors_are_written_by_their_shapes() {
    assert_eq!(written(exact(F32, &[]), &floats(&[0.1])), "0.1");
    assert_eq!(written(exact(F64, &[3]), &doubles(&[1.0, -0.0, 1e300])), "[1.0,-0.0,1e+300]");
    assert_eq!(
        written(exact(I32, &[2, 2]), &integers(&[1, -2, 3, i32::MIN])),
        "[[1,-2],[3,-2147483648]]"
    );
    assert_eq!(written(TensorSpec::at_most(F32, 12), &floats(&[1.5, 2.5])), "[1.5,2.5]");
    assert_eq!(written(TensorSpec::at_most(BYTES, 9), &[0, 1, 2, 255]), "\"AAEC/w==\"");
    assert_eq!(written(TensorSpec::at_most(BYTES, 9), &[]), "\"\"");
}

#[test]
fn floats_that_json_does_not_know_are_null() {
    let spec = exact(F32, &[3]);
    let bytes = floats(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
    assert_eq!(written(spec, &bytes), "[null,null,null]");
}

#[test]
fn text_that_is_json_is_embedded_and_other_text_is_quoted() {
    let cases = [
        ("-1", "-1"),
        (" {\"class\": [3, null]} ", " {\"class\": [3, null]} "),
        ("\"a\"", "\"a\""),
        ("cat", "\"cat\""),
        ("", "\"\""),
        ("1 2", "\"1 2\""),
        ("01", "\"01\""),
        ("{\"a\":}", "\"{\\\"a\\\":}\""),
        ("\"\\ud800\"", "\"\\\"\\\\ud800\\\"\""),
        ("a\"\\\n\u{1}é", "\"a\\\"\\\\\\n\\u0001é\""),
    ];
    for (text, expected) in cases {
        let mut out = Vec::new();
        embed_text(&mut out, text);
        assert_eq!(str::from_utf8(&out), Ok(expected));
        assert_eq!(written_by(TextRule::Json, LONG_STRING, text.as_bytes()), expected);
    }
}

const LONG_STRING: TensorSpec = TensorSpec::at_most(STRING, 64 << 20);

#[test]
fn a_string_is_a_string_whatever_stands_in_it() {
    for text in ["17", "null", "1e400", "{}", "[1]", "true", "", " "] {
        assert_eq!(written(LONG_STRING, text.as_bytes()), format!("\"{text}\""));
    }
    assert_eq!(written(LONG_STRING, b"\"a\""), "\"\\\"a\\\"\"");
}

#[test]
fn json_that_many_clients_would_refuse_is_a_string() {
    let deepest = "[".repeat(JSON_DEPTH_MAX) + &"]".repeat(JSON_DEPTH_MAX);
    let many_digits = "1".repeat(2_000);
    for text in ["1e308", "[1E-400, -0]", &deepest, &format!("0.{many_digits}")] {
        assert_eq!(written_by(TextRule::Json, LONG_STRING, text.as_bytes()), text);
    }
    let deeper = format!("[{deepest}]");
    for text in ["1e400", "[0, -1e309]", "[{}, 1 ,", &deeper, &many_digits] {
        let quoted = format!("\"{text}\"");
        assert_eq!(written_by(TextRule::Json, LONG_STRING, text.as_bytes()), quoted);
    }
}

#[test]
fn a_string_that_is_not_utf_8_is_an_error_and_nothing_is_written() {
    let cases: [(&[u8], usize); 5] = [
        (b"a\xFF", 1),
        (b"\xFF", 0),
        (b"abc\xC3", 3),
        (b"\"\xC3\x28\"", 1),
        (b"[\"\xED\xA0\x80\"]", 2),
    ];
    for (bytes, at) in cases {
        for rule in [TextRule::String, TextRule::Json] {
            let mut out = b"before".to_vec();
            let written = write_tensor(&mut out, &LONG_STRING, bytes, rule);
            assert_eq!(written, Err(NotUtf8 { at }));
            assert_eq!(out, b"before");
            for budget_bytes in 1..8 {
                assert_eq!(
                    in_pieces(&LONG_STRING, bytes, rule, || budget_bytes),
                    Err(NotUtf8 { at })
                );
            }
        }
    }
}

/// Writes in pieces; checks that none is larger than its budget and the overshoot.
fn in_pieces(
    spec: &TensorSpec,
    bytes: &[u8],
    rule: TextRule,
    mut budget_bytes: impl FnMut() -> usize,
) -> Result<Vec<u8>, NotUtf8> {
    let mut writer = TensorWriter::new(spec, rule);
    let mut out = b"before".to_vec();
    loop {
        let (budget_bytes, before) = (budget_bytes(), out.len());
        let written = writer.write(&mut out, bytes, budget_bytes);
        if written.is_err() {
            assert_eq!(out, b"before", "an error comes first");
        }
        let is_done = written?;
        assert!(out.len() - before <= budget_bytes + JSON_RENDER_OVERSHOOT_BYTES_MAX);
        if is_done {
            assert_eq!(writer.write(&mut out, bytes, budget_bytes), Ok(true));
            return Ok(out.split_off(b"before".len()));
        }
    }
}

fn spec_and_bytes() -> impl Strategy<Value = (TensorSpec, Vec<u8>)> {
    let dims = prop::collection::vec(1u32..4, 0..5);
    let element = prop::sample::select(vec![I32, F32, F64, BYTES]);
    let numbers = (element, dims, any::<bool>()).prop_flat_map(|(element, dims, is_exact)| {
        let exact = exact(element, &dims);
        let bytes = exact.bytes_max();
        let spec = if is_exact { exact } else { TensorSpec::at_most(element, 4096) };
        (Just(spec), prop::collection::vec(any::<u8>(), bytes))
    });
    let text = prop_oneof![
        any::<String>(),
        "[a-z\"\\\\/\u{1}\ré😀]{0,60}",
        "\\[(-?[0-9]{1,3},){0,9}\"[a-z]{0,9}\"\\] {0,9}",
        "[\u{0}-\u{1F}]{0,60}",
    ];
    prop_oneof![numbers, text.prop_map(|text| (LONG_STRING, text.into_bytes()))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn pieces_are_the_whole_and_within_the_bound(
        (spec, bytes) in spec_and_bytes(),
        budgets in prop::collection::vec(0usize..80, 1..8),
        is_json: bool,
    ) {
        let rule = if is_json { TextRule::Json } else { TextRule::String };
        let mut whole = Vec::new();
        prop_assert_eq!(write_tensor(&mut whole, &spec, &bytes, rule), Ok(()));
        prop_assert!(whole.len() as u64 <= rendered_bytes_max(&spec, bytes.len()));
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&whole).is_ok());
        let mut budgets = budgets.into_iter().cycle();
        let pieces = in_pieces(&spec, &bytes, rule, || budgets.next().unwrap_or(1));
        prop_assert_eq!(pieces, Ok(whole));
    }

    #[test]
    fn strings_are_written_as_serde_json_writes_them(
        text in prop_oneof![any::<String>(), "[a-z\"\\\\/\u{0}-\u{1F}\u{7F}é😀]{0,40}"],
    ) {
        let mut out = Vec::new();
        write_string(&mut out, &text);
        prop_assert_eq!(Ok(out), serde_json::to_vec(&text).map_err(|error| error.to_string()));
    }

    #[test]
    fn no_number_takes_more_than_its_bound(bits: u64, integer: i32) {
        #[expect(clippy::cast_possible_truncation, reason = "any bits are a float")]
        let cases = [
            (exact(F64, &[]), bits.to_ne_bytes().to_vec()),
            (exact(F32, &[]), (bits as u32).to_ne_bytes().to_vec()),
            (exact(I32, &[]), integer.to_ne_bytes().to_vec()),
        ];
        for (spec, bytes) in cases {
            // A comma belongs to each but the last.
            let written = written(spec, &bytes).len() as u64;
            prop_assert!(written < rendered_bytes_max(&spec, bytes.len()), "{written}");
        }
    }
}

#[test]
fn the_longest_numbers_take_just_their_bound() {
    let longest = [
        (exact(I32, &[]), i32::MIN.to_ne_bytes().to_vec()),
        (exact(F64, &[]), (-f64::MAX).to_ne_bytes().to_vec()),
        (exact(F32, &[]), (-0.000_001_000_002_6_f32).to_ne_bytes().to_vec()),
    ];
    for (spec, bytes) in longest {
        let written = written(spec, &bytes).len() as u64;
        assert_eq!(written + 1, rendered_bytes_max(&spec, bytes.len()), "{spec}");
    }
}

#[test]
fn no_piece_of_a_large_output_is_larger_than_its_budget() {
    let many = 1 << 18;
    let floats: Vec<u8> = (0..many).flat_map(|at: u32| (at as f32 / 3.0).to_ne_bytes()).collect();
    let text = "é\n\"plain text\u{1}".repeat(1 << 16);
    let json = format!("[{}0]", "[1e0,\"\\u00e9\"],".repeat(1 << 15));
    let long_number = format!("0.{}", "3".repeat(1 << 20));
    let cases = [
        (exact(F32, &[many]), floats.clone(), TextRule::String),
        (exact(F32, &[many / 2, 1, 2]), floats.clone(), TextRule::String),
        (TensorSpec::at_most(BYTES, 1 << 20), floats, TextRule::String),
        (LONG_STRING, text.clone().into_bytes(), TextRule::String),
        (LONG_STRING, text.into_bytes(), TextRule::Json),
        (LONG_STRING, json.into_bytes(), TextRule::Json),
        (LONG_STRING, long_number.into_bytes(), TextRule::Json),
    ];
    for (spec, bytes, rule) in cases {
        let mut whole = Vec::new();
        assert_eq!(write_tensor(&mut whole, &spec, &bytes, rule), Ok(()));
        assert_eq!(in_pieces(&spec, &bytes, rule, || 64 << 10), Ok(whole));
    }
}
