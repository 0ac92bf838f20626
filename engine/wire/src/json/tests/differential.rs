//! The reader against `serde_json` and `str::parse`, on good bodies and on damaged ones.

use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::super::render::{TextRule, write_string, write_tensor};
use super::*;

/// What `serde_json` makes of a body under our rules: keys once, one of both inputs, one context.
struct Oracle {
    inputs: Vec<Vec<f64>>,
    explain: bool,
}

impl<'de> Deserialize<'de> for Oracle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OracleVisitor)
    }
}

struct OracleVisitor;

impl<'de> Visitor<'de> for OracleVisitor {
    type Value = Oracle;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a body")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Oracle, A::Error> {
        let mut inputs: Option<Vec<Vec<f64>>> = None;
        let mut version: Option<String> = None;
        let mut has_context = false;
        let mut explain: Option<bool> = None;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "input" if inputs.is_none() => inputs = Some(vec![map.next_value()?]),
                "input_batch" if inputs.is_none() => inputs = Some(map.next_value()?),
                "version" if version.is_none() => version = Some(map.next_value()?),
                "uid" | "context" if !has_context => {
                    has_context = true;
                    map.next_value::<serde_json::Value>()?;
                }
                "explain" if explain.is_none() => explain = Some(map.next_value()?),
                "input" | "input_batch" | "version" | "uid" | "context" | "explain" => {
                    return Err(A::Error::custom("twice"));
                }
                _ => drop(map.next_value::<serde_json::Value>()?),
            }
        }
        let inputs = inputs.filter(|inputs| (1..=3).contains(&inputs.len()));
        let inputs = inputs.ok_or_else(|| A::Error::custom("no inputs"))?;
        Ok(Oracle { inputs, explain: explain.unwrap_or_default() })
    }
}

/// `serde_json` rounds more than once; that our values are exact is another test's matter.
const ULPS_MAX: u64 = 8;

fn is_close(ours: &[u8], theirs: &[f64]) -> bool {
    let (ours, _) = ours.as_chunks::<8>();
    let ours: Vec<f64> = ours.iter().map(|bytes| f64::from_ne_bytes(*bytes)).collect();
    ours.len() == theirs.len()
        && ours
            .iter()
            .zip(theirs)
            .all(|(ours, theirs)| ours.to_bits().abs_diff(theirs.to_bits()) <= ULPS_MAX)
}

/// It refuses numbers that no double holds even where nobody wants a double.
pub(super) fn is_too_large<T>(read: &serde_json::Result<T>) -> bool {
    read.as_ref().is_err_and(|error| error.to_string().contains("number out of range"))
}

fn told(context: &Context<'_>) -> String {
    match context {
        Context::None => String::new(),
        Context::Key(key) => key.clone().into_owned(),
        Context::Vector(vector) => format!("{:?}", vector.numbers().collect::<Vec<_>>()),
    }
}

fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "-?(0|[1-9][0-9]{0,7})(\\.[0-9]{1,9})?",
        2 => "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,24})?([eE][-+]?[0-9]{1,2})?",
        1 => "-?(0|[1-9])\\.[0-9]{1,60}",
        1 => any::<f32>().prop_filter("finite", |v| v.is_finite()).prop_map(|v| format!("{v:?}")),
        1 => any::<f64>().prop_filter("finite", |v| v.is_finite()).prop_map(|v| format!("{v:e}")),
        1 => middle_between_floats(),
    ]
}

/// The decimal right between two floats, and its neighbours.
fn middle_between_floats() -> impl Strategy<Value = String> {
    (0x3000_0000u32..0x5000_0000, -1i64..=1).prop_map(|(bits, off)| {
        let low = f64::from(f32::from_bits(bits));
        let high = f64::from(f32::from_bits(bits + 1));
        let middle = ((low + high) / 2.0).to_bits().wrapping_add_signed(off);
        format!("{:?}", f64::from_bits(middle))
    })
}

fn space() -> impl Strategy<Value = String> {
    prop_oneof![3 => Just(String::new()), 1 => "[ \t\r\n]{0,3}"]
}

fn numbers(literals: &[(String, String)]) -> String {
    let entries: Vec<String> =
        literals.iter().map(|(space, number)| format!("{space}{number}{space}")).collect();
    format!("[{}]", entries.join(","))
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        any::<String>().prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Bytes that matter to a reader, and some that must not.
fn mutation() -> impl Strategy<Value = u8> {
    prop::sample::select(b"[]{}\",:\\0123456789.eE+-tfnu /\x00\x1F\n\x7F\x80\xC3\xA9\xFF".to_vec())
}

/// What to do (replace, insert, remove), where, and with which byte.
pub(super) type Mutation = (u8, prop::sample::Index, u8);

pub(super) fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    prop::collection::vec((0u8..3, any::<prop::sample::Index>(), mutation()), 0..3)
}

pub(super) fn mutate(body: &mut Vec<u8>, mutations: &[Mutation]) {
    for (kind, index, byte) in mutations {
        let at = index.index(body.len());
        let (removed, inserted) = [(1, 1), (0, 1), (1, 0)][usize::from(*kind)];
        body.splice(at..at + removed, [*byte].into_iter().take(inserted));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn values_are_those_of_str_parse(
        literals in prop::collection::vec((space(), literal()), 0..24),
    ) {
        let body = format!("{{\"input\":{}}}", numbers(&literals));
        let f64_expected: Vec<f64> =
            literals.iter().map(|(_, number)| number.parse().expect("a number")).collect();
        let f32_expected: Vec<f32> =
            literals.iter().map(|(_, number)| number.parse().expect("a number")).collect();
        let read_f64 = read(body.as_bytes(), TensorSpec::at_most(F64, 1024));
        prop_assert_eq!(read_f64.map(|(_, rows)| rows), Ok(vec![doubles(&f64_expected)]));
        let read_f32 = read(body.as_bytes(), TensorSpec::at_most(F32, 1024));
        let is_finite = f32_expected.iter().all(|value| value.is_finite());
        let f32_expected = is_finite.then(|| vec![floats(&f32_expected)]);
        prop_assert_eq!(read_f32.ok().map(|(_, rows)| rows), f32_expected);
    }

    #[test]
    fn plain_numbers_are_those_of_str_parse(
        literals in prop::collection::vec("-?(0|[1-9][0-9]{0,8})(\\.[0-9]{1,19})?", 8..64),
        space in "[ ]{0,2}",
    ) {
        let body = format!("{{\"input\":[{}]}}", literals.join(&format!(",{space}")));
        let f64_expected: Vec<f64> =
            literals.iter().map(|number| number.parse().expect("a number")).collect();
        let f32_expected: Vec<f32> =
            literals.iter().map(|number| number.parse().expect("a number")).collect();
        let read_f64 = read(body.as_bytes(), TensorSpec::at_most(F64, 1024));
        prop_assert_eq!(read_f64.map(|(_, rows)| rows), Ok(vec![doubles(&f64_expected)]));
        let read_f32 = read(body.as_bytes(), TensorSpec::at_most(F32, 1024));
        prop_assert_eq!(read_f32.map(|(_, rows)| rows), Ok(vec![floats(&f32_expected)]));
    }

    #[test]
    fn plain_integers_are_those_of_str_parse(
        literals in prop::collection::vec("-?(0|[1-9][0-9]{0,8})", 8..64),
        other in prop_oneof![Just("7.0"), Just("07"), Just("2147483648"), Just("-2147483648")],
        at: prop::sample::Index,
    ) {
        let spec = TensorSpec::at_most(I32, 1024);
        let read_all = |literals: &[String]| {
            let body = format!("{{\"input\":[{}]}}", literals.join(", "));
            read(body.as_bytes(), spec).ok().map(|(_, rows)| rows)
        };
        let parsed = |literals: &[String]| -> Option<Vec<Vec<u8>>> {
            let is_padded = |text: &String| text.starts_with('0') && text.len() > 1;
            let number = |text: &String| text.parse().ok().filter(|_| !is_padded(text));
            let numbers: Option<Vec<i32>> = literals.iter().map(number).collect();
            Some(vec![integers(&numbers?)])
        };
        prop_assert_eq!(read_all(&literals), parsed(&literals));
        let mut literals = literals;
        literals.insert(at.index(literals.len() + 1), other.to_owned());
        prop_assert_eq!(read_all(&literals), parsed(&literals));
    }

    #[test]
    fn integers_are_those_of_str_parse(literal in "-?(0|[1-9][0-9]{0,21})(\\.0|e1)?") {
        let body = format!("{{\"input\":{literal}}}");
        let read = read(body.as_bytes(), exact(I32, &[])).ok().map(|(_, rows)| rows);
        prop_assert_eq!(read, literal.parse().ok().map(|value| vec![integers(&[value])]));
    }

    #[test]
    fn mutated_numbers_are_accepted_when_serde_json_accepts_them(
        literals in prop::collection::vec((space(), literal()), 0..24),
        is_batch: bool,
        mutations in mutations(),
    ) {
        let inputs = [
            format!("{{\"input\":{},\"version\":\"1\"}}", numbers(&literals)),
            format!("{{\"a\":0,\"input_batch\":[{0},[1],{0}]}}", numbers(&literals)),
        ];
        let mut body = inputs[usize::from(is_batch)].clone().into_bytes();
        mutate(&mut body, &mutations);
        let ours = read(&body, TensorSpec::at_most(F64, 4096));
        let theirs = serde_json::from_slice::<Oracle>(&body);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs.map(|o| o.inputs));
        for ((_, rows), oracle) in ours.iter().zip(&theirs) {
            prop_assert_eq!(rows.len(), oracle.inputs.len());
            prop_assert!(rows.iter().zip(&oracle.inputs).all(|(row, input)| is_close(row, input)));
        }
    }

    #[test]
    fn contexts_and_flags_are_those_that_were_written(
        key in "[a-zé😀\"\\\\/\u{1}]{1,12}",
        uid: i64,
        numbers in prop::collection::vec(-1e9..1e9, 1..=16),
        explain: bool,
        mutations in mutations(),
    ) {
        let expected = [key.clone(), uid.to_string(), format!("{numbers:?}")];
        let values = [serde_json::json!(key), uid.into(), numbers.into()];
        // A scalar may come without brackets too, which the oracle does not take.
        let spec = TensorSpec::exact(F64, Shape::new(&[1]).unwrap());
        for (value, expected) in values.iter().zip(expected) {
            let body = format!("{{\"context\":{value},\"explain\":{explain},\"input\":[1]}}");
            let ours = read(body.as_bytes(), spec).map(|(body, _)| body);
            let told = ours.map(|body| (told(&body.context), body.explain));
            prop_assert_eq!(told, Ok((expected, explain)));
            let mut body = body.into_bytes();
            mutate(&mut body, &mutations);
            let ours = read(&body, spec).map(|(body, _)| body.explain);
            let theirs = serde_json::from_slice::<Oracle>(&body).map(|oracle| oracle.explain);
            let is_theirs = is_too_large(&theirs) || ours.clone().ok() == theirs.ok();
            prop_assert!(ours.is_err() || is_theirs, "{:?}", body);
        }
    }

    #[test]
    fn mutated_values_under_other_keys_are_accepted_when_serde_json_accepts_them(
        value in json_value(),
        mutations in mutations(),
    ) {
        let mut body = format!("{{\"a\":{value},\"input\":[]}}").into_bytes();
        mutate(&mut body, &mutations);
        let theirs = serde_json::from_slice::<Oracle>(&body).map(drop);
        prop_assume!(!is_too_large(&theirs));
        let ours = read(&body, TensorSpec::at_most(F64, 4096)).map(drop);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs);
    }

    #[test]
    fn strings_are_those_of_serde_json(text: String, pretty in "[a-z\"\\\\/\u{1}é😀]{0,40}") {
        for text in [text, pretty] {
            let mut body = b"{\"input\":".to_vec();
            write_string(&mut body, &text);
            body.push(b'}');
            let rows = read(&body, TensorSpec::at_most(STRING, 1 << 16)).map(|(_, rows)| rows);
            prop_assert_eq!(rows, Ok(vec![text.into_bytes()]));
        }
    }

    #[test]
    fn what_is_written_reads_back(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let kept = &bytes[..bytes.len() / 8 * 8];
        for element in [I32, F64, BYTES] {
            let spec = TensorSpec::at_most(element, 64);
            let mut body = b"{\"input\":".to_vec();
            prop_assert_eq!(write_tensor(&mut body, &spec, kept, TextRule::String), Ok(()));
            body.push(b'}');
            let written = String::from_utf8_lossy(&body);
            prop_assume!(!written.contains("null"));
            prop_assert_eq!(read(&body, spec).map(|(_, rows)| rows), Ok(vec![kept.to_vec()]));
        }
    }

    #[test]
    fn no_bytes_cause_a_panic(body in prop::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(read(&body, exact(F32, &[2])).is_err());
    }
}
