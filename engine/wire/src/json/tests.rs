//! What is read, what is written, and every error word for word.

mod contexts;
mod differential;
mod pieces;
mod rendering;
mod updates;

use cutter_tensor::{ElementType, Shape, TensorSpec};

use super::{Body, Context, JsonError, Rows, read_predict};
use crate::limits::JSON_DEPTH_MAX;

/// Rows as a server would keep them, each as long as was committed.
#[derive(Default)]
struct Kept {
    bytes_max: usize,
    next: Vec<u8>,
    rows: Vec<Vec<u8>>,
}

impl Rows for Kept {
    fn next_row(&mut self) -> &mut [u8] {
        self.next = vec![0xEE; self.bytes_max];
        &mut self.next
    }

    fn row(&mut self) -> &mut [u8] {
        &mut self.next
    }

    fn commit(&mut self, bytes: usize) {
        self.rows.push(self.next[..bytes].to_vec());
    }
}

/// A body that asks for nothing but predictions.
fn plain(count: usize, is_batch: bool) -> Body<'static> {
    let (version, timeout_us, context, explain) = (None, None, Context::None, false);
    Body { count, is_batch, version, timeout_us, context, explain }
}

type Read<'a> = Result<(Body<'a>, Vec<Vec<u8>>), JsonError>;

fn read(body: &[u8], spec: TensorSpec) -> Read<'_> {
    let mut rows = Kept { bytes_max: spec.bytes_max(), ..Kept::default() };
    let read = read_predict(body, &spec, 3, &mut rows)?;
    assert_eq!(read.count, rows.rows.len());
    Ok((read, rows.rows))
}

fn rows(body: &str, spec: TensorSpec) -> Vec<Vec<u8>> {
    read(body.as_bytes(), spec).expect(body).1
}

fn refusal(body: &[u8], spec: TensorSpec) -> String {
    read(body, spec).expect_err("a bad body").to_string()
}

fn exact(element: ElementType, dims: &[u32]) -> TensorSpec {
    TensorSpec::exact(element, Shape::new(dims).expect("a small shape"))
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_ne_bytes()).collect()
}

fn doubles(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_ne_bytes()).collect()
}

fn integers(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_ne_bytes()).collect()
}

const F32: ElementType = ElementType::Float32;
const F64: ElementType = ElementType::Float64;
const I32: ElementType = ElementType::Int32;
const STRING: ElementType = ElementType::String;
const BYTES: ElementType = ElementType::Bytes;

#[test]
fn integers_and_fractions_mix_in_floats_and_doubles() {
    let body = r#"{"input": [1, 2.5, -0, 1e2]}"#;
    assert_eq!(rows(body, exact(F32, &[4])), [floats(&[1.0, 2.5, -0.0, 100.0])]);
    assert_eq!(rows(body, exact(F64, &[4])), [doubles(&[1.0, 2.5, -0.0, 100.0])]);
}

#[test]
fn int32_holds_its_whole_range() {
    let body = r#"{"input": [-2147483648,2147483647,-0,7]}"#;
    assert_eq!(rows(body, exact(I32, &[4])), [integers(&[i32::MIN, i32::MAX, 0, 7])]);
}

#[test]
fn keys_come_in_any_order_with_space_everywhere_and_others_are_ignored() {
    let body =
        b" \t{ \"uid\" : 0 ,\r\n\"x\":{\"a\":[{},[],null,true,false,-1.5e+3,\"\\u00e9\\\"\"]},\
        \"version\" : \"2\" , \"\\u0069nput\" : [ 1 , 2 ] } \n";
    let (body, rows) = read(body, exact(F32, &[2])).expect("a good body");
    let context = Context::Key("0".into());
    assert_eq!(body, Body { version: Some("2".into()), context, ..plain(1, false) });
    assert_eq!(rows, [floats(&[1.0, 2.0])]);
}

#[test]
fn each_input_of_a_batch_gets_its_row() {
    let body = br#"{"input_batch":[[1,2],[3,4] , [5,6]],"version":"a\n\ud83d\ude00"}"#;
    let (body, rows) = read(body, exact(I32, &[2])).expect("a good body");
    assert_eq!(body, Body { version: Some("a\n😀".into()), ..plain(3, true) });
    assert_eq!(rows, [integers(&[1, 2]), integers(&[3, 4]), integers(&[5, 6])]);
}

#[test]
fn a_batch_of_one_says_that_it_is_a_batch() {
    let (body, _) = read(br#"{"input_batch":[[1]]}"#, exact(I32, &[1])).expect("a good body");
    assert_eq!(body, plain(1, true));
}

#[test]
fn a_scalar_is_a_bare_number_or_an_array_of_one() {
    assert_eq!(rows(r#"{"input":-2.5}"#, exact(F32, &[])), [floats(&[-2.5])]);
    assert_eq!(rows(r#"{"input":[-2.5]}"#, exact(F32, &[])), [floats(&[-2.5])]);
    assert_eq!(
        rows(r#"{"input_batch":[1,[2],3]}"#, exact(I32, &[])).concat(),
        integers(&[1, 2, 3])
    );
}

#[test]
fn a_matrix_is_flat_or_nested() {
    let spec = exact(I32, &[2, 1, 3]);
    let expected = [integers(&[1, 2, 3, 4, 5, 6])];
    assert_eq!(rows(r#"{"input":[1,2,3,4,5,6]}"#, spec), expected);
    assert_eq!(rows(r#"{"input":[ [[1,2,3]] , [ [4,5,6] ] ]}"#, spec), expected);
}

#[test]
fn inputs_of_no_bytes_are_inputs_where_only_the_most_is_said() {
    assert_eq!(rows(r#"{"input":[]}"#, TensorSpec::at_most(F64, 8)), [[0u8; 0]]);
    assert_eq!(rows(r#"{"input":""}"#, TensorSpec::at_most(STRING, 0)), [[0u8; 0]]);
    assert_eq!(rows(r#"{"input":""}"#, TensorSpec::at_most(BYTES, 8)), [[0u8; 0]]);
}

#[test]
fn strings_are_unescaped_and_bytes_are_decoded() {
    let text = r#"{"input_batch":["plain, and longer than eight",
        "\"\\\/\b\f\n\r\t\u00E9é","\uD83D\uDE00"]}"#;
    let expected = ["plain, and longer than eight", "\"\\/\u{8}\u{C}\n\r\téé", "😀"];
    assert_eq!(
        rows(text, TensorSpec::at_most(STRING, 28)),
        expected.map(|s| s.as_bytes().to_vec())
    );
    let bytes = r#"{"input_batch":["AAEC/w==","+\/8=","\u0041AAA"]}"#;
    let expected = [vec![0, 1, 2, 255], vec![0xFB, 0xFF], vec![0, 0, 0]];
    assert_eq!(rows(bytes, TensorSpec::at_most(BYTES, 4)), expected);
    assert_eq!(rows(r#"{"input":"AAEC/w=="}"#, exact(BYTES, &[4])), [[0, 1, 2, 255]]);
}

#[test]
fn variable_inputs_have_their_own_lengths() {
    let body = r#"{"input_batch":[[1.5],[],[2,3]]}"#;
    let expected = [floats(&[1.5]), vec![], floats(&[2.0, 3.0])];
    assert_eq!(rows(body, TensorSpec::at_most(F32, 11)), expected);
}

#[test]
fn syntax_errors_tell_line_column_and_what_was_expected() {
    let spec = exact(F32, &[2]);
    let object = "an object such as {\"input\": …}";
    let cases: [(&[u8], &str, &str); 20] = [
        (b"", "line 1, column 1: found the end of the body", object),
        (b"\n [1]", "line 2, column 2: found '['", object),
        (b"{input:1}", "line 1, column 2: found 'i'", "a key in quotes"),
        (b"{\"input\" [1]}", "line 1, column 10: found '['", "':'"),
        (b"{\"input\":\"\xC3\xA9\"}", "line 1, column 10: found '\"'", "an array of numbers"),
        (b"{\"input\":1}", "line 1, column 10: found '1'", "an array of numbers"),
        (b"{\"input\":[1,NaN]}", "line 1, column 13: found 'N'", "a number"),
        (b"{\"input\":[1,-Infinity]}", "line 1, column 14: found 'I'", "a number"),
        (b"{\"input\":[1,]}", "line 1, column 13: found ']'", "a number"),
        (b"{\"input\":[1,\n+2]}", "line 2, column 1: found '+'", "a number"),
        (b"{\"input\":[01,2]}", "line 1, column 12: found '1'", "no digit after a leading 0"),
        (b"{\"input\":[1.,2]}", "line 1, column 13: found ','", "a digit after the point"),
        (b"{\"input\":[1e,2]}", "line 1, column 13: found ','", "a digit of the exponent"),
        (b"{\"input\":[.5,2]}", "line 1, column 11: found '.'", "a number"),
        (b"{\"input\":[1 2]}", "line 1, column 13: found '2'", "',' or ']'"),
        (b"{\"\xC3\xA9\":1,\"input\":[1,2]]", "line 1, column 21: found ']'", "',' or '}'"),
        (b"{\"input\":[1,2]} x", "line 1, column 17: found 'x'", "the end of the body"),
        (b"{\"input\":[1,2],}", "line 1, column 16: found '}'", "a key in quotes"),
        (b"{\"input\":[1,2],\"a\":\xFF}", "line 1, column 20: found byte 0xFF", "a value"),
        (b"{\"input\":[1,2],\"version\":2}", "line 1, column 26: found '2'", "a version in quotes"),
    ];
    for (body, found, expected) in cases {
        assert_eq!(refusal(body, spec), format!("{found}, expected {expected}"));
    }
}

#[test]
fn errors_about_inputs_name_both_sides() {
    let digits = exact(F32, &[784]);
    let matrix = exact(I32, &[2, 3]);
    let cases: [(&str, TensorSpec, &str); 17] = [
        (
            r#"{"input":[1,2,3]}"#,
            digits,
            "input has 3 numbers; this application takes float32[784]",
        ),
        (
            r#"{"input_batch":[[1,2],[1,2,3]]}"#,
            exact(F32, &[2]),
            "input_batch[1] has 3 numbers; this application takes float32[2]",
        ),
        (
            r#"{"input":[1,2,3]}"#,
            TensorSpec::at_most(F64, 16),
            "input has 3 numbers of 8 bytes; this application takes float64 of at most 16 bytes",
        ),
        (
            r#"{"input":"\u00e9a"}"#,
            TensorSpec::at_most(STRING, 2),
            "input has 3 bytes; this application takes string of at most 2 bytes",
        ),
        (
            r#"{"input":"AAEC/w=="}"#,
            exact(BYTES, &[3]),
            "input has 4 bytes; this application takes bytes[3]",
        ),
        (
            r#"{"input":[[1,2,3],[4,5]]}"#,
            matrix,
            "line 1, column 19: an array of dimension 2 of input has 2 entries instead of 3; this \
             application takes int32[2, 3]",
        ),
        (
            r#"{"input":[[1,2,3],[4,5,6],[7,[8]]]}"#,
            matrix,
            "line 1, column 10: an array of dimension 1 of input has 3 entries instead of 2; this \
             application takes int32[2, 3]",
        ),
        (
            r#"{"input":[[1,2,3],4]}"#,
            matrix,
            "line 1, column 19: found '4', expected an array of numbers",
        ),
        (
            r#"{"input":[1,2.0]}"#,
            exact(I32, &[2]),
            "line 1, column 13: element 1 of input is 2.0, which is not written as an integer; \
             this application takes int32[2]",
        ),
        (
            r#"{"input_batch":[[1e2]]}"#,
            exact(I32, &[1]),
            "line 1, column 18: element 0 of input_batch[0] is 1e2, which is not written as an \
             integer; this application takes int32[1]",
        ),
        (
            r#"{"input":[[1,2,3],[4,5,2147483648]]}"#,
            matrix,
            "line 1, column 24: element 5 of input is 2147483648, which int32 cannot hold",
        ),
        (
            r#"{"input":-1e39}"#,
            exact(F32, &[]),
            "line 1, column 10: element 0 of input is -1e39, which float32 cannot hold",
        ),
        (
            r#"{"input":[1e309]}"#,
            exact(F64, &[1]),
            "line 1, column 11: element 0 of input is 1e309, which float64 cannot hold",
        ),
        (
            r#"{"input":[1000000000000000000000000000000000000000]}"#,
            exact(F32, &[1]),
            "line 1, column 11: element 0 of input is 10000000000000000000000000000000…, which \
             float32 cannot hold",
        ),
        (
            r#"{"input":"AAE"}"#,
            TensorSpec::at_most(BYTES, 8),
            "line 1, column 11: input is not base64; use the alphabet A-Z a-z 0-9 + / and pad with \
             = to a multiple of 4 characters",
        ),
        (
            r#"{"input":"AA-_"}"#,
            TensorSpec::at_most(BYTES, 8),
            "line 1, column 11: input is not base64; use the alphabet A-Z a-z 0-9 + / and pad with \
             = to a multiple of 4 characters",
        ),
        (
            r#"{"input":[1]}"#,
            TensorSpec::at_most(STRING, 8),
            "line 1, column 10: found '[', expected a string",
        ),
    ];
    for (body, spec, expected) in cases {
        assert_eq!(refusal(body.as_bytes(), spec), expected);
    }
}

#[test]
fn a_timeout_is_a_whole_number_of_microseconds() {
    let scalar = TensorSpec::scalar(F32);
    let body = |timeout: &str| format!("{{\"timeout_us\": {timeout} , \"input\": 1}}");
    let told = |timeout: &str| {
        let read = read(body(timeout).as_bytes(), scalar).map(|(body, _)| body.timeout_us);
        read.map_err(|error| error.to_string())
    };
    for (timeout, expected) in [("1", 1), ("20000", 20_000), ("60000000", 60_000_000)] {
        assert_eq!(told(timeout), Ok(Some(expected)));
    }
    for timeout in ["0", "60000001", "-1", "1.5", "1e3", "\"5\"", "null", "[1]", "99999999999"] {
        let error = told(timeout).unwrap_err();
        let expected = "line 1, column 16: \"timeout_us\" is no whole number of microseconds";
        assert!(error.starts_with(expected), "{timeout}: {error}");
    }
    let twice = told("1, \"timeout_us\": 2").unwrap_err();
    assert!(twice.contains("\"timeout_us\" is given twice"), "{twice}");
}

#[test]
fn errors_about_keys_and_batches_say_what_to_do() {
    let spec = exact(I32, &[1]);
    let version = "v".repeat(64);
    let long_version = format!("{{\"input\":[1],\"version\":\"{version}\"}}");
    let cases: [(&str, &str); 9] = [
        (
            &long_version,
            "line 1, column 25: \"version\" has 64 bytes; no model version has more than 63",
        ),
        ("{}", "the body has neither \"input\" nor \"input_batch\"; it needs one of them"),
        (
            r#"{"inputs":[1]}"#,
            "the body has neither \"input\" nor \"input_batch\"; it needs one of them",
        ),
        (r#"{"input":[1],"input":[1]}"#, "line 1, column 14: \"input\" is given twice"),
        (
            r#"{"input_batch":[[1]], "input_batch":[[1]]}"#,
            "line 1, column 23: \"input_batch\" is given twice",
        ),
        (
            r#"{"version":"1","version":"1","input":[1]}"#,
            "line 1, column 16: \"version\" is given twice",
        ),
        (
            r#"{"input_batch":[[1]],"input":[1]}"#,
            "line 1, column 22: both \"input\" and \"input_batch\" are given; send one of them",
        ),
        (r#"{"input_batch":[ ]}"#, "\"input_batch\" is empty; it takes 1 to 3 inputs"),
        (
            r#"{"input_batch":[[1],[2],[3],[4]]}"#,
            "\"input_batch\" has more than 3 inputs, the most that one body may carry",
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(refusal(body.as_bytes(), spec), expected);
    }
}

#[test]
fn errors_in_strings_point_at_the_character() {
    let escape =
        "an escape that JSON does not have; it has \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX";
    let lone = "half of a surrogate pair; characters beyond \\uffff are written as two \\uXXXX";
    let control = "control character 0x01 in a string; write it as an escape, \\u0001";
    let cases: [(&[u8], &str); 11] = [
        (b"a\x01", control),
        (b"a\\x", escape),
        (b"a\\u12", escape),
        (b"a\\u+123", escape),
        (b"a\\u123\xC3\xA9", escape),
        (b"a\\ud83d", lone),
        (b"a\\ud83dx", lone),
        (b"a\\ud83d\\u0041", lone),
        (b"a\\ude00", lone),
        (b"a\\ude00\\ude00", lone),
        (b"a\xFFb", "the string is not UTF-8"),
    ];
    for (text, expected) in cases {
        let wanted = [b"{\"input\":\"", text, b"\"}"].concat();
        let ignored = [b"{\"other\":\"", text, b"\"}"].concat();
        let spec = TensorSpec::at_most(STRING, 100);
        assert_eq!(refusal(&wanted, spec), format!("line 1, column 12: {expected}"));
        assert_eq!(refusal(&ignored, spec), format!("line 1, column 12: {expected}"));
    }
}

#[test]
fn nesting_is_bounded_where_serde_json_bounds_it() {
    let spec = exact(I32, &[1]);
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
        format!("{{\"a\":{open}{close},\"input\":[1]}}")
    };
    let deepest = nested(JSON_DEPTH_MAX);
    assert!(read(deepest.as_bytes(), spec).is_ok());
    assert!(serde_json::from_str::<serde_json::Value>(&deepest).is_ok());
    let deeper = nested(JSON_DEPTH_MAX + 1);
    assert_eq!(
        refusal(deeper.as_bytes(), spec),
        "line 1, column 132: arrays and objects are nested deeper than 127"
    );
    assert!(serde_json::from_str::<serde_json::Value>(&deeper).is_err());
    let bomb = format!("{{\"a\":{}", "[{\"a\":".repeat(1_000_000));
    assert!(refusal(bomb.as_bytes(), spec).ends_with("nested deeper than 127"));
    let bomb = format!("{{\"input\":{}", "[".repeat(1_000_000));
    assert!(refusal(bomb.as_bytes(), exact(I32, &[1, 1])).contains("expected a number"));
}

#[test]
fn every_beginning_of_a_body_is_refused() {
    let numbers: &[u8] = br#"{"a":{"b":[1.5e-3,true,null,"\u00e9"]},
        "input_batch":[[[0.125,-2]],[[3,4e0]]],"version":"\n1"}"#;
    let text: &[u8] = br#"{"input":"a\ud83d\ude00b", "x":false}"#;
    let cases = [(numbers, exact(F32, &[1, 2])), (text, TensorSpec::at_most(STRING, 100))];
    for (body, spec) in cases {
        assert!(read(body, spec).is_ok());
        for end in 0..body.len() {
            assert!(read(&body[..end], spec).is_err(), "{end}");
        }
    }
}

#[test]
fn long_numbers_and_large_exponents_are_rounded_correctly_or_refused() {
    let many_nines = "9".repeat(400);
    let literals = [
        "0.".to_owned() + &many_nines,
        format!("{many_nines}e-400"),
        format!("0.{}1e400", "0".repeat(399)),
        "1e-999999999999999999999".to_owned(),
        "0e999999999999999999999".to_owned(),
        "3.4028235677973366e38".to_owned(),
        "1.401298464324817e-45".to_owned(),
        "7.006492321624085e-46".to_owned(),
        "16777217".to_owned(),
        "9007199791611905".to_owned(),
        "9223372036854775808".to_owned(),
        "18446744073709551616".to_owned(),
        "0.1000000014901161193847656250000000000001".to_owned(),
        "1.00000005960464477540".to_owned(),
        "1.000000059604644775390625".to_owned(),
    ];
    for literal in &literals {
        let body = format!("{{\"input\":[{literal}]}}");
        let f32_expected: f32 = literal.parse().expect("a number");
        assert_eq!(rows(&body, exact(F32, &[1])), [floats(&[f32_expected])], "{literal}");
        let f64_expected: f64 = literal.parse().expect("a number");
        assert_eq!(rows(&body, exact(F64, &[1])), [doubles(&[f64_expected])], "{literal}");
    }
    for literal in [&many_nines, "3.4028235677973367e38", "1e999999999999999999999"] {
        let body = format!("{{\"input\":[{literal}]}}");
        assert!(refusal(body.as_bytes(), exact(F32, &[1])).ends_with("float32 cannot hold"));
    }
}
