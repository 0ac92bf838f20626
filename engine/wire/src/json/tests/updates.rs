//! Updates: what they say, and every error word for word.

use proptest::prelude::*;

use super::super::{
    Label, Lesson, Target, Update, UpdateProgress, UpdateReader, Updates, read_updates,
};
use super::differential::{is_too_large, mutate, mutations};
use super::pieces::{Veiled, input, small_value, space};
use super::*;
use crate::limits::JSON_OVERSHOOT_BYTES_MAX;

const BATCH_MAX: usize = 3;

/// Updates as they are handed on, and their rows.
#[derive(Default)]
struct Told {
    rows: Kept,
    updates: Vec<String>,
}

impl Rows for Told {
    fn next_row(&mut self) -> &mut [u8] {
        self.rows.next_row()
    }

    fn row(&mut self) -> &mut [u8] {
        self.rows.row()
    }

    fn commit(&mut self, bytes: usize) {
        self.rows.commit(bytes);
    }
}

impl Updates for Told {
    fn push(&mut self, update: Update<'_>) {
        self.updates.push(format!("{update:?} after {} rows", self.rows.rows.len()));
    }
}

fn told_of(spec: TensorSpec) -> Told {
    Told { rows: Kept { bytes_max: spec.bytes_max(), ..Kept::default() }, ..Told::default() }
}

/// The one update of a body.
struct Only(Option<(Target, String, f64, String)>, [u8; 4]);

impl Rows for Only {
    fn next_row(&mut self) -> &mut [u8] {
        &mut self.1
    }

    fn row(&mut self) -> &mut [u8] {
        &mut self.1
    }

    fn commit(&mut self, _: usize) {}
}

impl Updates for Only {
    fn push(&mut self, update: Update<'_>) {
        let (kind, number) = match update.lesson {
            Lesson::Label(Label::Number { value, written }) => {
                (format!("label {}", String::from_utf8_lossy(written)), value)
            }
            Lesson::Label(Label::Text(text)) => (format!("label {text:?}"), 0.0),
            Lesson::Reward(reward) => ("reward".to_owned(), reward),
            Lesson::Withdrawn => ("withdrawn".to_owned(), 0.0),
        };
        self.0 = Some((update.target, kind, number, format!("{:?}", update.context)));
    }
}

fn only(body: &str) -> (Target, String, f64, String) {
    let mut only = Only(None, [0; 4]);
    let spec = TensorSpec::scalar(F32);
    assert_eq!(
        read_updates(body.as_bytes(), &spec, BATCH_MAX, &mut only),
        Ok((1, false)),
        "{body}"
    );
    only.0.expect("an update was handed on")
}

fn refused(body: &str) -> String {
    let spec = TensorSpec::scalar(F32);
    let read = read_updates(body.as_bytes(), &spec, BATCH_MAX, &mut told_of(spec));
    read.expect_err(body).to_string()
}

#[test]
fn an_update_says_what_it_is_about_and_what_is_to_be_learned() {
    let id = Target::QueryId;
    let cases = [
        (r#"{"query_id":7,"label":3}"#, (id(7), "label 3", 3.0, "None")),
        (r#"{"label":3.50,"query_id":0}"#, (id(0), "label 3.50", 3.5, "None")),
        (
            r#"{"query_id":9007199254740992,"label":"\u0063at"}"#,
            (id(1 << 53), "label \"cat\"", 0.0, "None"),
        ),
        (r#"{"query_id":1,"reward":-0.25,"x":[{}]}"#, (id(1), "reward", -0.25, "None")),
        (r#"{ "withdrawn" : true , "query_id" : 1 }"#, (id(1), "withdrawn", 0.0, "None")),
        (r#"{"input":1,"label":"","uid":5}"#, (Target::Input, "label \"\"", 0.0, "Key(\"5\")")),
        (
            r#"{"context":"ann","input":[1],"reward":1}"#,
            (Target::Input, "reward", 1.0, "Key(\"ann\")"),
        ),
    ];
    for (body, (target, lesson, number, context)) in cases {
        let expected = (target, lesson.to_owned(), number, context.to_owned());
        assert_eq!(only(body), expected, "{body}");
    }
}

#[test]
fn clippers_body_is_read_as_it_is() {
    let body = r#"{"uid": 0, "input": 1.5, "label": 1.0}"#;
    let expected = (Target::Input, "label 1.0".to_owned(), 1.0, "Key(\"0\")".to_owned());
    assert_eq!(only(body), expected);
}

#[test]
fn several_updates_are_handed_on_in_order_each_behind_its_row() {
    let body = br#"{"a":0,"updates":[{"input":[1,2],"reward":1},{"query_id":3,"label":4},
        {"reward":0,"input":[3,4]}],"b":0}"#;
    let spec = exact(F32, &[2]);
    let mut told = told_of(spec);
    assert_eq!(read_updates(body, &spec, BATCH_MAX, &mut told), Ok((3, true)));
    assert_eq!(told.rows.rows, [floats(&[1.0, 2.0]), floats(&[3.0, 4.0])]);
    let of = |target, lesson| format!("{:?}", Update { target, lesson, context: Context::None });
    let label = Lesson::Label(Label::Number { value: 4.0, written: b"4" });
    let expected = [
        of(Target::Input, Lesson::Reward(1.0)) + " after 1 rows",
        of(Target::QueryId(3), label) + " after 1 rows",
        of(Target::Input, Lesson::Reward(0.0)) + " after 2 rows",
    ];
    assert_eq!(told.updates, expected);
}

#[test]
fn what_is_missing_or_given_too_often_is_told() {
    let several = "the update has more than one of \"label\", \"reward\" and \"withdrawn\"; send \
                   one of them";
    let mixed = "\"updates\" and the keys of a single update are both given; send one of them";
    let no_target = "the update has neither \"query_id\" nor \"input\"; it needs one of them";
    let no_lesson = "the update has neither \"label\" nor \"reward\" nor \"withdrawn\": true; it \
                     needs one of them";
    let at = |column: usize, text: &str| format!("line 1, column {column}: {text}");
    let cases = [
        (r#" {"label":1}"#, at(2, no_target)),
        (r#"{"query_id":1}"#, at(1, no_lesson)),
        (r#"{}"#, at(1, no_target)),
        (r#"{"updates":[{"query_id":1,"label":1},{"query_id":1}]}"#, at(38, no_lesson)),
        (r#"{"query_id":1,"label":1,"reward":1}"#, at(25, several)),
        (r#"{"query_id":1,"withdrawn":true,"label":1}"#, at(32, several)),
        (r#"{"label":1,"label":"a"}"#, at(12, "\"label\" is given twice")),
        (
            r#"{"query_id":1,"input":1,"label":1}"#,
            at(15, "both \"query_id\" and \"input\" are given; send one of them"),
        ),
        (r#"{"input":1,"input":1}"#, at(12, "\"input\" is given twice")),
        (
            r#"{"uid":1,"context":1}"#,
            at(10, "both \"uid\" and \"context\" are given; send one of them"),
        ),
        (r#"{"label":1,"updates":[]}"#, at(12, mixed)),
        (r#"{"updates":[{"query_id":1,"label":1}],"uid":1}"#, at(39, mixed)),
        (
            r#"{"updates":[{"query_id":1,"label":1}],"updates":[]}"#,
            at(39, "\"updates\" is given twice"),
        ),
        (r#"{"updates":[ ]}"#, "\"updates\" is empty; it takes 1 to 3 updates".to_owned()),
        (r#"{"updates":[1]}"#, at(13, "found '1', expected an update, which is an object")),
        (r#"{"updates":{}}"#, at(12, "found '{', expected an array of updates")),
        (r#"[]"#, at(1, "found '[', expected an object such as {\"query_id\": …}")),
        (r#"{"query_id":1,"label":1}}"#, at(25, "found '}', expected the end of the body")),
    ];
    for (body, expected) in cases {
        assert_eq!(refused(body), expected, "{body}");
    }
    let four = [r#"{"query_id":1,"label":1}"#; 4].join(",");
    assert_eq!(
        refused(&format!("{{\"updates\":[{four}]}}")),
        "\"updates\" has more than 3 updates, the most that one body may carry"
    );
}

#[test]
fn ids_labels_and_rewards_of_another_kind_are_refused() {
    let body = |key: &str, value: &str| format!("{{\"{key}\":{value}}}");
    for id in ["-1", "1.0", "1e3", "9007199254740993", "99999999999999999999", "\"1\"", "null"] {
        assert_eq!(
            refused(&body("query_id", id)),
            "line 1, column 13: \"query_id\" has to be a whole number from 0 to 9007199254740992"
        );
    }
    for label in ["null", "true", "[1]", "{}"] {
        assert_eq!(
            refused(&body("label", label)),
            "line 1, column 10: \"label\" has to be a number or a string"
        );
    }
    for reward in ["null", "\"1\"", "[]", "false"] {
        assert_eq!(
            refused(&body("reward", reward)),
            "line 1, column 11: \"reward\" has to be a number"
        );
    }
    for (key, column) in [("label", 10), ("reward", 11)] {
        assert_eq!(
            refused(&body(key, "-1e309")),
            format!(
                "line 1, column {column}: \"{key}\" has -1e309, which is more than a double can \
                 hold"
            )
        );
        let found = refused(&body(key, "NaN"));
        assert_eq!(found, format!("line 1, column {column}: found 'N', expected a value"));
        let digits = "1".repeat(1025);
        let long = format!("\"{key}\" is written with 1025 bytes; no more than 1024 are read");
        assert_eq!(refused(&body(key, &digits)), format!("line 1, column {column}: {long}"));
    }
    assert_eq!(
        refused(&body("withdrawn", "false")),
        "line 1, column 14: \"withdrawn\" has to be true; leave it out of what is not withdrawn"
    );
    assert_eq!(
        refused(r#"{"updates":[{"query_id":1,"label":1},{"input":[1,2]}]}"#),
        "updates[1].input has 2 numbers; this application takes float32"
    );
}

/// Reads in pieces with these budgets, again and again.
fn read_in_pieces(
    body: &[u8],
    spec: TensorSpec,
    budgets: &[usize],
    told: &mut Told,
) -> Result<(usize, bool), JsonError> {
    let mut reader = UpdateReader::new(spec, BATCH_MAX);
    let mut veiled = Veiled::new(body);
    for budget_bytes in budgets.iter().copied().cycle() {
        let start = reader.pieces.at;
        veiled.unveil(start + budget_bytes + JSON_OVERSHOOT_BYTES_MAX);
        let progress = reader.read(&veiled.seen, budget_bytes, told)?;
        assert!(reader.pieces.at <= start + budget_bytes + JSON_OVERSHOOT_BYTES_MAX);
        if let UpdateProgress::Done { count, is_batch } = progress {
            return Ok((count, is_batch));
        }
    }
    unreachable!("budgets never end")
}

/// An update, most often a good one, and who takes its input.
fn update() -> impl Strategy<Value = (String, TensorSpec)> {
    let key = ["query_id", "label", "label", "reward", "withdrawn", "uid", "context", "x"];
    let entries = (prop::sample::select(key.to_vec()), space(), small_value());
    let about = prop_oneof![Just("query_id"), Just("input")];
    (input(), about, prop::collection::vec(entries, 0..4), space()).prop_map(
        |((input, spec), about, entries, space)| {
            let value = if about == "input" { input } else { "17".to_owned() };
            let entry = |(key, space, value)| format!(",{space}\"{key}\":{space}{value}{space}");
            let entries: String = entries.into_iter().map(entry).collect();
            (format!("{{{space}\"{about}\":{space}{value}{entries}}}"), spec)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(768))]

    #[test]
    fn pieces_give_what_the_whole_gives_of_updates(
        (update, spec) in update(),
        count in 0_usize..5,
        space in space(),
        budgets in prop::collection::vec(1usize..90, 1..6),
        mutations in mutations(),
        is_mutated: bool,
    ) {
        let updates = vec![update.clone(); count].join(&format!("{space},"));
        let batch = format!("{{\"updates\"{space}:{space}[{updates}{space}]}}");
        let mut body = [update, batch][usize::from(count > 0)].clone().into_bytes();
        if is_mutated {
            mutate(&mut body, &mutations);
        }
        let mut expected = told_of(spec);
        let whole = read_updates(&body, &spec, BATCH_MAX, &mut expected);
        for budgets in [&budgets[..], &[1]] {
            let mut told = told_of(spec);
            let read = read_in_pieces(&body, spec, budgets, &mut told);
            prop_assert_eq!(&read, &whole, "{}", String::from_utf8_lossy(&body));
            prop_assert_eq!(&told.updates, &expected.updates);
            prop_assert!(told.rows.rows == expected.rows.rows);
        }
    }

    #[test]
    fn updates_are_those_of_serde_json(
        query_id in 0_u64..=1 << 53,
        label in "[a-zé😀\"\\\\/\u{1}]{0,30}",
        reward: f64,
        mutations in mutations(),
    ) {
        prop_assume!(reward.is_finite());
        let lessons = [
            serde_json::json!({ "query_id": query_id, "label": label }),
            serde_json::json!({ "reward": reward, "query_id": query_id }),
        ];
        let spec = TensorSpec::scalar(F32);
        for lesson in lessons {
            let mut body = lesson.to_string().into_bytes();
            let mut told = Only(None, [0; 4]);
            prop_assert_eq!(read_updates(&body, &spec, BATCH_MAX, &mut told), Ok((1, false)));
            let (target, lesson, number, _) = told.0.expect("an update was handed on");
            prop_assert_eq!(target, Target::QueryId(query_id));
            let is_label = lesson == format!("label {label:?}");
            prop_assert!(is_label || number.to_bits() == reward.to_bits(), "{} {}", lesson, number);
            mutate(&mut body, &mutations);
            let ours = read_updates(&body, &spec, BATCH_MAX, &mut told_of(spec));
            let theirs = serde_json::from_slice::<serde_json::Value>(&body);
            prop_assert!(ours.is_err() || theirs.is_ok() || is_too_large(&theirs));
        }
    }
}

#[test]
fn every_beginning_of_an_update_is_refused() {
    let body =
        br#"{"updates":[{"input":1,"label":"\u0063at","uid":"ann"}, {"query_id":1,"reward":1}]}"#;
    let spec = TensorSpec::scalar(F32);
    let read = |body: &[u8]| read_updates(body, &spec, BATCH_MAX, &mut told_of(spec));
    assert_eq!(read(body), Ok((2, true)));
    for end in 0..body.len() {
        assert!(read(&body[..end]).is_err(), "{end}");
    }
}

#[test]
fn a_reader_of_updates_is_small() {
    assert!(size_of::<UpdateReader>() <= 768, "{}", size_of::<UpdateReader>());
}
