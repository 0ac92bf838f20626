use proptest::prelude::*;

use super::super::tensor::Output;
use super::super::{Check, Label, Reply, Verdict, judge};
use crate::load::Outcome;

const CHECKS: [Check; 4] = [Check::Status, Check::Clipper, Check::OipJson, Check::OipBinary];
const SEVEN: Option<&Label> = Some(&Label { class: 7 });
const DEFAULT: &str = concat!(
    r#"{"query_id":1,"output":-1,"default":true,"#,
    r#""default_explanation":"No \"x\"","reason":"late"}"#
);

fn reply(status: u16, body: &[u8]) -> Reply<'_> {
    Reply { status, keep_alive: true, inference_header_length: None, body }
}

fn clipper<'a>(body: &'a str, label: Option<&Label>) -> Verdict<'a> {
    judge(Check::Clipper, &reply(200, body.as_bytes()), label)
}

fn error(verdict: &Verdict<'_>) -> String {
    assert_eq!(verdict.outcome, Outcome::Broken);
    verdict.error.clone().unwrap()
}

/// A binary answer: its JSON, and the bytes after it.
fn binary(json: &str, data: &[u8], label: Option<&Label>) -> Result<Option<bool>, String> {
    let body = [json.as_bytes(), data].concat();
    let reply = Reply { inference_header_length: Some(json.len()), ..reply(200, &body) };
    let verdict = judge(Check::OipBinary, &reply, label);
    verdict.error.map_or(Ok(verdict.correct), Err)
}

fn output(datatype: &str, bytes: usize) -> String {
    format!(
        "{{\"outputs\":[{{\"name\":\"o\",\"shape\":[1],\"datatype\":\"{datatype}\",\
         \"parameters\":{{\"binary_data_size\":{bytes}}}}}]}}"
    )
}

#[test]
fn a_status_other_than_2xx_is_an_error_of_http_under_every_check() {
    for check in CHECKS {
        for status in [100, 199, 300, 404, 503] {
            let verdict = judge(check, &reply(status, b"{\"error\":\n1}"), SEVEN);
            assert_eq!((verdict.outcome, verdict.correct), (Outcome::HttpError, None));
            assert_eq!(verdict.error.unwrap(), format!("status {status}: {{\"error\": 1}}"));
        }
    }
    let verdict = judge(Check::Status, &reply(204, b"hello"), SEVEN);
    assert_eq!((verdict.outcome, verdict.correct), (Outcome::Answered, None));
}

#[test]
fn an_error_is_told_in_the_words_of_the_server_and_in_one_line() {
    let said = |body: &[u8]| judge(Check::OipJson, &reply(400, body), None).error.unwrap();
    let triton = br#"{"error":"unexpected shape for 'input'.\n\tExpected \"[784]\". "}"#;
    assert_eq!(said(triton), "status 400: unexpected shape for 'input'. Expected \"[784]\".");
    assert_eq!(said(br#"{"detail":[1]}"#), r#"status 400: {"detail":[1]}"#);
    assert_eq!(said(b"<html>\r\n  <b>Not\0 here\n"), "status 400: <html> <b>Not here");
    assert_eq!(said(b""), "status 400: nothing in its body");
    assert_eq!(said(br#"{"error":""}"#), "status 400: nothing in its body");
    let zipped = b"\x1f\x8b\x08\0\0\0\0\0\0\x03";
    assert_eq!(said(zipped), "status 400: 10 bytes that are no text (is it compressed?)");
    let (fits, long) = ("é".repeat(240), "é".repeat(241));
    assert_eq!(said(fits.as_bytes()), format!("status 400: {fits}"));
    assert_eq!(said(long.as_bytes()), format!("status 400: {fits}…"));
    let long_error = format!("{{\"error\":\"{}\"}}", "a".repeat(10_000));
    assert!(said(long_error.as_bytes()).starts_with("status 400: {\"error\":\"aaa"));
}

#[test]
fn a_prediction_is_compared_with_its_label() {
    let body = |output: &str| format!("{{\"query_id\":1,\"output\":{output},\"default\":false}}");
    let correct = |output: &str| clipper(&body(output), SEVEN).correct;
    for output in ["7", "7.0", "\"7\"", "[7]", "[[7]]", "[0,0,0,0,0,0,0,0.5,0.4,0]"] {
        assert_eq!(correct(output), Some(true), "{output}");
    }
    for output in ["8", "-7", "7.5", "\"seven\"", "[]", "{\"7\":7}", "[7,0]", "true"] {
        assert_eq!(correct(output), Some(false), "{output}");
    }
    let unlabelled = body("[1,2]");
    let unlabelled = clipper(&unlabelled, None);
    assert_eq!((unlabelled.outcome, unlabelled.correct), (Outcome::Answered, None));
}

#[test]
fn a_default_is_told_with_its_reason() {
    let verdict = clipper(DEFAULT, SEVEN);
    assert_eq!((verdict.outcome, verdict.correct), (Outcome::Default, None));
    assert!(matches!(verdict.reason, Some(std::borrow::Cow::Borrowed("late"))));
    assert_eq!(clipper(r#"{"output":-1,"default":true}"#, None).reason, None);
}

#[test]
fn a_batch_is_a_default_if_any_of_it_is() {
    let batch = |items: &str| format!("{{\"batch_predictions\":[{items}]}}");
    let good = r#"{"output":7,"default":false}"#;
    let mixed = batch(&format!("{good},{DEFAULT},{good}"));
    assert_eq!(clipper(&mixed, None).reason.unwrap(), "late");
    let all_good = batch(&format!("{good},{good}"));
    assert_eq!(clipper(&all_good, SEVEN).correct, Some(true));
    let of_one = format!("{},\"batch_predictions\":[{good}]}}", &good[..good.len() - 1]);
    assert_eq!(clipper(&of_one, SEVEN).outcome, Outcome::Answered);
    assert!(error(&clipper(&batch(""), None)).contains("\"batch_predictions\" is empty"));
}

#[test]
fn a_body_that_is_no_prediction_is_broken_and_quoted() {
    let text = error(&clipper("hello", None));
    assert!(text.starts_with("a body that is no prediction (expected value"), "{text}");
    assert!(text.ends_with(": hello"), "{text}");
    assert!(error(&clipper("{}", None)).contains("no \"output\""));
    assert!(error(&clipper(r#"{"output":1}"#, None)).contains("no \"default\""));
    assert!(error(&clipper(r#"{"output":1,"default":0}"#, None)).contains("invalid type"));
    assert!(error(&clipper(&format!("{DEFAULT}x"), None)).contains("trailing"));
    let long = "é".repeat(100_000);
    assert!(error(&clipper(&long, None)).chars().count() < 320);
}

#[test]
fn an_inference_is_compared_with_its_label() {
    let body = |data: &str| {
        format!(
            "{{\"model_name\":\"m\",\"outputs\":[{{\"name\":\"o\",\"datatype\":\"FP32\",\
             \"shape\":[1,3],\"data\":{data}}},{{\"name\":\"p\",\"datatype\":\"BYTES\",\
             \"shape\":[1],\"data\":[\"x\"]}}]}}"
        )
    };
    let judged = |body: &str, label| {
        let verdict = judge(Check::OipJson, &reply(200, body.as_bytes()), label);
        verdict.error.map_or(Ok(verdict.correct), Err)
    };
    let two = Some(&Label { class: 2 });
    assert_eq!(judged(&body("[0.1,0.2,0.7]"), two), Ok(Some(true)));
    assert_eq!(judged(&body("[[0.1,0.2],[0.7]]"), two), Ok(Some(true)));
    assert_eq!(judged(&body("[2]"), two), Ok(Some(true)));
    assert_eq!(judged(&body("[0.8,0.2,0.7]"), two), Ok(Some(false)));
    assert_eq!(judged(&body("[0.8,0.2,0.7]"), None), Ok(None));
    assert!(judged("<html>", None).unwrap_err().contains("no object of JSON"));
    assert!(judged("{\"error\":\"outputs\"}", None).unwrap_err().contains("no \"outputs\""));
    assert!(judged("{\"outputs\":[]}", two).unwrap_err().contains("empty"));
    let without = "{\"outputs\":[{\"datatype\":\"FP32\"}]}";
    assert!(judged(without, two).unwrap_err().contains("no \"data\""));
}

#[test]
fn binary_outputs_are_read_by_their_type() {
    let scores: Vec<u8> = (0u8..10).flat_map(|i| f32::from(i % 8).to_le_bytes()).collect();
    let texts = [&1u32.to_le_bytes()[..], b"7"].concat();
    let cases: [(&str, &[u8]); 10] = [
        ("FP16", &[0, 0x47]),
        ("BF16", &[0xe0, 0x40]),
        ("FP32", &scores),
        ("FP32", &7f32.to_le_bytes()),
        ("FP64", &7f64.to_le_bytes()),
        ("INT32", &7i32.to_le_bytes()),
        ("INT64", &7i64.to_le_bytes()),
        ("UINT16", &7u16.to_le_bytes()),
        ("UINT8", &[7]),
        ("BYTES", &texts),
    ];
    for (datatype, data) in cases {
        let json = output(datatype, data.len());
        assert_eq!(binary(&json, data, SEVEN), Ok(Some(true)), "{datatype}");
        let eight = Some(&Label { class: 8 });
        assert_eq!(binary(&json, data, eight), Ok(Some(false)), "{datatype}");
        assert_eq!(binary(&json, data, None), Ok(None), "{datatype}");
    }
}

#[test]
fn binary_outputs_that_do_not_add_up_are_broken() {
    let error = |json: &str, data: &[u8]| binary(json, data, SEVEN).unwrap_err();
    assert!(error(&output("FP32", 4), &[0; 5]).contains("should have 4 bytes and have 5"));
    assert!(error(&output("FP32", 3), &[0; 3]).contains("3 bytes are no FP32"));
    assert!(error(&output("WORD", 3), &[0; 3]).contains("3 bytes are no WORD"));
    assert!(error(&output("BYTES", 5), &[9, 0, 0, 0, 1]).contains("5 bytes are no BYTES"));
    assert!(error(r#"{"outputs":[{"datatype":"FP32"}]}"#, b"").contains("no data"));
    let beyond = Reply { inference_header_length: Some(9), ..reply(200, b"{}") };
    let verdict = judge(Check::OipBinary, &beyond, None);
    assert!(verdict.error.unwrap().contains("should be 9 bytes of 2"));
    let huge = format!(
        r#"{{"outputs":[{0},{0}]}}"#,
        r#"{"datatype":"INT8","parameters":{"binary_data_size":18446744073709551615}}"#
    );
    assert!(error(&huge, b"").contains("18446744073709551615"));
}

#[test]
fn halves_are_ordered_as_the_numbers_they_are() {
    // Minus infinity, -2, the least above zero, the greatest of those without a leading one, the
    // least with one, 65504, infinity; each is the greatest so far. No number never is.
    let halves = [0xfc00u16, 0xc000, 0x0001, 0x03ff, 0x0400, 0x7bff, 0x7c00, 0x7e00];
    for end in 1..halves.len() {
        let bytes: Vec<u8> = halves[..=end].iter().flat_map(|half| half.to_le_bytes()).collect();
        let class = u8::try_from(end.min(6)).unwrap();
        assert!(Output::from_bytes("FP16", &bytes).unwrap().is_class(class), "{end}");
    }
    assert!(Output::from_bytes("FP16", &0x4880u16.to_le_bytes()).unwrap().is_class(9));
    assert!(Output::from_bytes("FP16", &[0; 3]).is_none());
    assert!(Output::from_bytes("BF16", &[0; 3]).is_none());
}

#[test]
fn the_first_of_equals_is_the_class_and_no_number_never_is() {
    let of = |text: &str| serde_json::from_str::<Output>(text).unwrap();
    assert!(of("[1,3,3]").is_class(1));
    assert!(of("[null,1,0]").is_class(1));
    let values: Vec<u8> = [f32::NAN, -1.0, 0.5].iter().flat_map(|v| v.to_le_bytes()).collect();
    assert!(Output::from_bytes("FP32", &values).unwrap().is_class(2));
}

proptest! {
    #[test]
    fn hostile_bodies_never_panic(
        body in proptest::collection::vec(any::<u8>(), 0..80),
        json_bytes in proptest::option::of(0usize..100),
        status in 0u16..700,
    ) {
        for check in CHECKS {
            for label in [None, SEVEN] {
                let reply = Reply { inference_header_length: json_bytes, ..reply(status, &body) };
                judge(check, &reply, label);
            }
        }
    }

    #[test]
    fn hostile_tensors_never_panic(
        data in proptest::collection::vec(any::<u8>(), 0..40),
        datatype in prop_oneof![Just("BYTES"), Just("FP32"), Just("INT64"), Just("UINT8")],
        promised in 0usize..40,
    ) {
        let _ = binary(&output(datatype, promised), &data, SEVEN);
        let _ = binary(&output(datatype, data.len()), &data, SEVEN);
    }
}
