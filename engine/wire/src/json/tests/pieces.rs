//! Reading in pieces gives what reading in one go gives, and no piece looks beyond its budget.

use proptest::prelude::*;

use super::super::{PredictReader, Progress};
use super::differential::{mutate, mutations};
use super::*;
use crate::limits::JSON_OVERSHOOT_BYTES_MAX;

const BATCH_MAX: usize = 3;
/// Enough for every small row.
const CLOBBERED_BYTES: usize = 1024;

/// Rows of a full pool: all of them are the same place, which others write to between pieces.
struct Scratch {
    place: Vec<u8>,
    committed: Vec<usize>,
}

impl Rows for Scratch {
    fn next_row(&mut self) -> &mut [u8] {
        self.row()
    }

    fn row(&mut self) -> &mut [u8] {
        let clobbered = self.place.iter_mut().take(CLOBBERED_BYTES);
        clobbered.for_each(|byte| *byte = byte.wrapping_add(0x6D));
        &mut self.place
    }

    fn commit(&mut self, bytes: usize) {
        self.committed.push(bytes);
    }
}

/// What a reader may see of a body: only what its budget allows, and noise behind that.
pub(super) struct Veiled<'a> {
    body: &'a [u8],
    pub(super) seen: Vec<u8>,
    bytes: usize,
}

impl<'a> Veiled<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { body, seen: vec![0xFF; body.len()], bytes: 0 }
    }

    pub(super) fn unveil(&mut self, end: usize) {
        let end = end.clamp(self.bytes, self.body.len());
        self.seen[self.bytes..end].copy_from_slice(&self.body[self.bytes..end]);
        self.bytes = end;
    }
}

/// Reads in pieces with these budgets, again and again.
fn read_in_pieces<R: Rows>(
    body: &[u8],
    spec: TensorSpec,
    budgets: &[usize],
    rows: &mut R,
) -> Result<String, JsonError> {
    let mut reader = PredictReader::new(spec, BATCH_MAX);
    let mut veiled = Veiled::new(body);
    for budget_bytes in budgets.iter().copied().cycle() {
        let start = reader.pieces.at;
        veiled.unveil(start + budget_bytes + JSON_OVERSHOOT_BYTES_MAX);
        let progress = reader.read(&veiled.seen, budget_bytes, rows)?;
        assert!(reader.pieces.at <= start + budget_bytes + JSON_OVERSHOOT_BYTES_MAX);
        if let Progress::Done(body) = progress {
            return Ok(told(&body));
        }
    }
    unreachable!("budgets never end")
}

/// All that a body says.
fn told(body: &Body<'_>) -> String {
    format!("{body:?}")
}

/// Reads a body in both ways and compares everything.
fn check(body: &[u8], spec: TensorSpec, budgets: &[usize]) {
    let mut expected = Kept { bytes_max: spec.bytes_max(), ..Kept::default() };
    let whole = read_predict(body, &spec, BATCH_MAX, &mut expected).map(|body| told(&body));
    let mut kept = Kept { bytes_max: spec.bytes_max(), ..Kept::default() };
    let shown = || String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
    assert_eq!(read_in_pieces(body, spec, budgets, &mut kept), whole, "{} {budgets:?}", shown());
    assert!(kept.rows == expected.rows, "{} {budgets:?}", shown());
    let mut scratch = Scratch { place: vec![0; spec.bytes_max()], committed: Vec::new() };
    assert_eq!(read_in_pieces(body, spec, budgets, &mut scratch), whole);
    let lengths: Vec<usize> = expected.rows.iter().map(Vec::len).collect();
    assert_eq!(scratch.committed, lengths);
}

/// A long number of some kind, a plain one, and one that only some elements can be.
fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?(0|[1-9][0-9]{0,8})",
        "-?(0|[1-9][0-9]{0,8})\\.[0-9]{1,9}([eE][-+]?[0-9]{1,2})?",
        "-?0\\.0{60,200}[0-9]{1,80}[eE]0{0,90}[0-9]{1,2}",
        "-?[1-9][0-9]{60,200}(\\.[0-9]{1,80})?([eE]-[0-9]{1,3})?",
    ]
}

/// White space that is often none, and sometimes more than a piece.
pub(super) fn space() -> impl Strategy<Value = String> {
    prop_oneof![8 => Just(String::new()), 2 => "[ \t\r\n]{0,3}", 1 => "[ \n]{60,150}"]
}

fn array(entry: impl Strategy<Value = String>, most: usize) -> impl Strategy<Value = String> {
    let entries = prop::collection::vec((space(), entry), 0..=most);
    (space(), entries).prop_map(|(space, entries)| {
        let entries: Vec<String> =
            entries.into_iter().map(|(space, entry)| format!("{space}{entry}{space}")).collect();
        format!("{space}[{}]", entries.join(","))
    })
}

fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-zA-Z0-9+/]{0,40}",
        1 => "(é|😀|\\\\u00e9|\\\\ud83d\\\\ude00|\\\\n|\\\\\"|\\\\/){0,9}",
        1 => "={0,3}",
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

/// An input of some kind, and who may take it.
pub(super) fn input() -> impl Strategy<Value = (String, TensorSpec)> {
    let nested = |spec: TensorSpec, rows, columns| {
        array(array(literal(), columns), rows).prop_map(move |text| (text, spec))
    };
    let flat = |spec: TensorSpec| array(literal(), 24).prop_map(move |text| (text, spec));
    prop_oneof![
        flat(TensorSpec::at_most(F32, 1024)),
        flat(TensorSpec::at_most(F64, 100)),
        flat(exact(I32, &[2])),
        nested(exact(F32, &[2, 2]), 3, 2),
        nested(exact(F64, &[1, 3]), 1, 3),
        nested(exact(I32, &[3, 1]), 3, 1),
        array(array(array(literal(), 1), 2), 2).prop_map(|text| (text, exact(F32, &[2, 2, 1]))),
        literal().prop_map(|text| (text, exact(F32, &[]))),
        literal().prop_map(|text| (text, exact(I32, &[]))),
        string().prop_map(|text| (text, TensorSpec::at_most(STRING, 60))),
        string().prop_map(|text| (text, TensorSpec::at_most(BYTES, 60))),
        "[A-Za-z0-9+/]{4}".prop_map(|text| (format!("\"{text}\""), exact(BYTES, &[3]))),
    ]
}

pub(super) fn ignored() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        literal(),
        string(),
        prop::sample::select(vec!["true", "false", "null", "{}", "[]"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            array(inner.clone(), 3),
            (string(), space(), inner.clone(), inner)
                .prop_map(|(key, space, a, b)| format!("{{{key}:{space}{a},{space}\"\":{b}}}")),
        ]
    })
}

fn body() -> impl Strategy<Value = (String, TensorSpec)> {
    let ours = ["\\u0069nput", "version", "uid", "context", "explain", "timeout_us"];
    let ours = prop::sample::select(ours.to_vec()).prop_map(|key| format!("\"{key}\""));
    let key = prop_oneof![string(), ours];
    let version = prop_oneof![8 => "[a-z]{0,12}", 1 => "(\\\\u0031){1,64}", 1 => "[a-z]{60,70}"];
    (input(), key, ignored(), version, space(), 0u8..4).prop_map(
        |((input, spec), key, ignored, version, space, kind)| {
            let body = match kind {
                0 => format!("{space}{{\"input\":{space}{input}}}"),
                1 => format!(
                    "{{{key}{space}:{ignored},\"input\":{input},\"version\":\"{version}\"}}"
                ),
                2 => format!(
                    "{{\"input_batch\"{space}:[{input},{space}{input}{space}],{key}:{ignored}}}"
                ),
                _ => format!(
                    "{{\"version\":\"{version}\",\"input_batch\":[{input},{input},{input}]}}"
                ),
            };
            (body, spec)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(768))]

    #[test]
    fn pieces_give_what_the_whole_gives(
        (body, spec) in body(),
        before in 0usize..JSON_OVERSHOOT_BYTES_MAX,
        budgets in prop::collection::vec(1usize..90, 1..6),
        mutations in mutations(),
        is_mutated: bool,
    ) {
        let mut body = (" ".repeat(before) + &body).into_bytes();
        if is_mutated {
            mutate(&mut body, &mutations);
        }
        check(&body, spec, &budgets);
        check(&body, spec, &[1]);
    }

    #[test]
    fn numbers_of_any_length_are_those_of_str_parse(literal in literal(), before in 0usize..70) {
        let body = format!("{}{{\"input\":{literal}}}", " ".repeat(before));
        let f64_expected = literal.parse().ok().filter(|value: &f64| value.is_finite());
        let f32_expected = literal.parse().ok().filter(|value: &f32| value.is_finite());
        let expected = [
            (exact(F64, &[]), f64_expected.map(|value| doubles(&[value]))),
            (exact(F32, &[]), f32_expected.map(|value| floats(&[value]))),
            (exact(I32, &[]), literal.parse().ok().map(|value| integers(&[value]))),
        ];
        for (spec, expected) in expected {
            let mut rows = Kept { bytes_max: spec.bytes_max(), ..Kept::default() };
            let read = read_in_pieces(body.as_bytes(), spec, &[1], &mut rows);
            prop_assert_eq!(read.ok().map(|_| rows.rows.concat()), expected);
        }
    }
}

/// A small value of some kind, most often one of those that keys of ours take.
pub(super) fn small_value() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "\"[a-z]{0,8}\"|-?[1-9][0-9]{0,20}|true|false",
        1 => "\"(\\\\u00e9|é|[a-z]){30,70}\"",
        1 => "[1-9][0-9]{60,70}|\"a{1010,1030}\"| {40,80}7",
        1 => array(literal(), 18),
        1 => ignored(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn pieces_give_what_the_whole_gives_of_small_values(
        keys in prop::collection::vec(
            (prop::sample::select(vec!["uid", "context", "explain", "timeout_us"]), small_value()),
            0..3,
        ),
        space in space(),
        budgets in prop::collection::vec(1usize..90, 1..6),
    ) {
        let entry = |(key, value)| format!("\"{key}\"{space}:{space}{value}{space},");
        let entries: String = keys.into_iter().map(entry).collect();
        let body = format!("{{{entries}\"input\":[1]}}");
        check(body.as_bytes(), exact(F32, &[1]), &budgets);
        check(body.as_bytes(), exact(F32, &[1]), &[1]);
    }
}

/// Bodies of some 1 MB, a dozen of pieces, each long in another way.
fn long_bodies() -> Vec<(String, TensorSpec)> {
    const BYTES_LONG: usize = 400_000;
    let any_floats = TensorSpec::at_most(F32, 8_000_000);
    let any_text = TensorSpec::at_most(STRING, 10_000_000);
    let any_bytes = TensorSpec::at_most(BYTES, 10_000_000);
    let repeat = |text: &str| text.repeat(BYTES_LONG / text.len());
    let digits = repeat("1234567890");
    let ignored = |value: String| (format!("{{\"a\":{value},\"input\":[1]}}"), any_floats);
    let input = |value: String, spec| (format!("{{\"input\":{value}}}"), spec);
    let deep = format!("{}{}", "[{\"a\":".repeat(60), "}]".repeat(60));
    let deep = deep.replace(":}", ":0}");
    vec![
        input(format!("[{}0]", repeat("-1.25, ")), any_floats),
        input(format!("[{}0]", repeat("1e3 ,\n")), TensorSpec::at_most(F64, 14_000_000)),
        input(format!("[{}[0,0]]", repeat("[1,2],")), exact(I32, &[66_667, 2])),
        input(format!("[{}[0,0]]", repeat("[1,2],")), exact(I32, &[2, 2])),
        input(format!("[{}1]", repeat("0, ")), exact(I32, &[2])),
        input(format!("\"{}\"", repeat("plain text ")), any_text),
        input(format!("\"{}\"", repeat("grüße😀")), any_text),
        input(format!("\"{}\"", repeat("\\ud83d\\ude00\\n")), any_text),
        input(format!("\"{}\"", repeat("é")), TensorSpec::at_most(STRING, 4)),
        input(format!("\"{}\"", repeat("AAEC")), any_bytes),
        input(format!("\"{}AA==\"", repeat("\\/\\u0041AA")), any_bytes),
        input(format!("\"{}\"", repeat("AA==")), any_bytes),
        input(format!("[{}1]", repeat(" ")), any_floats),
        input(format!("[1{}]", repeat(" \n")), any_floats),
        input(format!("[0.{digits},{digits}e-10000000]"), any_floats),
        input(format!("[0.{}1e10000000]", repeat("0")), any_floats),
        input(format!("-{digits}"), exact(F32, &[])),
        input(format!("[1,{digits}]"), exact(I32, &[2])),
        input(format!("[1{}]", repeat("e") + &digits), any_floats),
        ignored(digits.clone()),
        ignored(format!("1.{digits}e{digits}")),
        ignored(format!("[{deep}{}]", repeat(&format!(",{deep}")))),
        ignored(format!("{{\"b\":0{}}}", repeat(",\"key\":true"))),
        ignored(format!("\"{}\"", repeat("\\u00e9é\\\\"))),
        ignored(format!("{}\"\"", repeat(" "))),
        (format!("{{\"{}\":0,\"input\":[1]}}", repeat("input")), any_floats),
        (format!("{{\"input\":[1],\"version\":\"{}\"}}", repeat("1")), any_floats),
        (format!("{{\"input\":[1],\"context\":[{}1]}}", repeat("1,")), any_floats),
        (format!("{{\"input\":[1],\"uid\":{}1}}", repeat(" ")), any_floats),
        (format!("{{\"input\":[1]}}{}", repeat("\n ")), any_floats),
        (format!("{{\"input\":[1]}}{}é?", repeat("\n\r\t")), any_floats),
        (repeat(" "), any_floats),
    ]
}

#[test]
fn no_piece_of_a_large_body_looks_beyond_its_budget() {
    for (body, spec) in long_bodies() {
        check(body.as_bytes(), spec, &[64 << 10, 100_003]);
    }
}

#[test]
fn a_reader_is_small() {
    assert!(size_of::<PredictReader>() <= 768, "{}", size_of::<PredictReader>());
}
