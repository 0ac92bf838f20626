//! The committed schema and the types of result files say the same.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests fail as tests do")]

use std::collections::BTreeSet;

use cutter_tools::result::{Finding, LoadResult, ResultFile};
// For `samples`, which is of the library's own tests and names these from its root.
use cutter_tools::{capacity, compare, load, result};
use jsonschema::Validator;
use serde_json::{Value, json};

#[path = "../src/report/samples.rs"]
#[allow(dead_code, reason = "the page's tests use more of it")]
mod samples;

/// Objects whose keys are data.
const MAPS: [&str; 2] = ["default_reasons", "http_statuses"];

fn schema() -> Value {
    serde_json::from_str(include_str!("../schema/result.schema.json")).unwrap()
}

fn validator() -> Validator {
    jsonschema::draft202012::new(&schema()).unwrap()
}

fn files() -> Vec<Value> {
    samples::all().iter().map(|file| serde_json::to_value(file).unwrap()).collect()
}

fn refused(validator: &Validator, file: &Value) -> bool {
    !validator.is_valid(file)
}

/// The JSON pointers of all objects with fixed keys.
fn objects(at: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.push(at.to_owned());
            for (key, value) in fields.iter().filter(|(key, _)| !MAPS.contains(&key.as_str())) {
                objects(&format!("{at}/{key}"), value, found);
            }
        }
        // The first and the last stand for all: hundreds of slices are alike.
        Value::Array(items) => {
            let ends = [items.first(), items.last()].into_iter().flatten();
            for (at_item, item) in [0, items.len().saturating_sub(1)].iter().zip(ends) {
                objects(&format!("{at}/{at_item}"), item, found);
            }
        }
        _ => {}
    }
}

fn objects_of(file: &Value) -> Vec<String> {
    let mut found = Vec::new();
    objects("", file, &mut found);
    found
}

fn keys_of(file: &Value) -> BTreeSet<String> {
    let of_object = |at: String| {
        let fields = file.pointer(&at).unwrap().as_object().unwrap();
        fields.keys().cloned().collect::<Vec<_>>()
    };
    objects_of(file).into_iter().flat_map(of_object).collect()
}

/// The names of all properties of a schema.
fn properties(schema: &Value, found: &mut BTreeSet<String>) {
    let Value::Object(fields) = schema else {
        schema.as_array().into_iter().flatten().for_each(|item| properties(item, found));
        return;
    };
    for (keyword, value) in fields {
        let named = value.as_object().filter(|_| keyword == "properties").into_iter().flatten();
        found.extend(named.map(|(name, _)| name.clone()));
        properties(value, found);
    }
}

#[test]
fn the_schema_is_one() {
    jsonschema::draft202012::meta::validate(&schema()).unwrap();
}

#[test]
fn files_of_every_kind_are_valid() {
    let validator = validator();
    let files = files();
    for file in &files {
        let errors: Vec<String> = validator.iter_errors(file).map(|e| e.to_string()).collect();
        assert_eq!(errors, [""; 0], "{}", file["kind"]);
    }
    let kinds: BTreeSet<&str> = files.iter().map(|file| file["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, BTreeSet::from(["capacity", "compare", "floor", "load", "selection"]));
}

#[test]
fn files_are_read_and_written_alike() {
    for file in samples::all() {
        let text = serde_json::to_string(&file).unwrap();
        let back: ResultFile = serde_json::from_str(&text).unwrap();
        assert_eq!(back, file);
        assert_eq!(serde_json::to_string(&back).unwrap(), text);
    }
}

#[test]
fn every_field_of_the_schema_is_one_of_the_types_and_back() {
    let mut of_schema = BTreeSet::new();
    properties(&schema(), &mut of_schema);
    let of_types: BTreeSet<String> = files().iter().flat_map(keys_of).collect();
    assert_eq!(of_schema, of_types);
}

#[test]
fn a_file_that_lacks_any_field_is_refused() {
    let validator = validator();
    for file in files() {
        for at in objects_of(&file) {
            let keys = file.pointer(&at).unwrap().as_object().unwrap().keys();
            for key in keys {
                let mut damaged = file.clone();
                damaged.pointer_mut(&at).unwrap().as_object_mut().unwrap().remove(key);
                assert!(refused(&validator, &damaged), "without {at}/{key}");
            }
        }
    }
}

#[test]
fn a_file_with_an_unknown_field_anywhere_is_refused() {
    let validator = validator();
    for file in files() {
        for at in objects_of(&file) {
            let mut damaged = file.clone();
            damaged.pointer_mut(&at).unwrap()["surprise"] = json!(1);
            assert!(refused(&validator, &damaged), "with {at}/surprise");
        }
    }
}

#[test]
fn a_value_of_the_wrong_form_is_refused() {
    let validator = validator();
    let wrong = [
        ("/schema", json!("cutter-bench/2")),
        ("/kind", json!("floor")),
        ("/kind", json!("sweep")),
        ("/started_at", json!(7)),
        ("/finding/plan/loop", json!("half-open")),
        ("/finding/offered_qps", json!(-1.0)),
        ("/finding/duration_ns", json!(1.5)),
        ("/finding/counts/answered", json!(null)),
        ("/finding/counts/http_statuses", json!({"teapot": 1})),
        ("/finding/latency/quantiles/0/state", json!("guessed")),
        ("/finding/latency/quantiles/0/quantile", json!(1.1)),
        ("/finding/latency/curve/0", json!([0.5])),
        ("/finding/latency/curve/0", json!([0.5, 1, 2])),
        ("/finding/slices/slices/0/heat", json!([[-1, 1]])),
        ("/environment/load_average", json!([0.5])),
    ];
    let file = serde_json::to_value(samples::load_file(2_000.0, 1.0)).unwrap();
    assert!(validator.is_valid(&file));
    for (at, value) in wrong {
        let mut damaged = file.clone();
        *damaged.pointer_mut(at).unwrap() = value.clone();
        assert!(refused(&validator, &damaged), "{at} = {value}");
    }
}

#[test]
fn a_run_without_requests_and_one_that_all_failed_are_among_the_samples() {
    let loads: Vec<Box<LoadResult>> = samples::all()
        .into_iter()
        .filter_map(|file| match file.finding {
            Finding::Load(load) => Some(load),
            _ => None,
        })
        .collect();
    assert!(loads.iter().any(|load| load.counts.requests == 0 && load.engine.is_none()));
    assert!(loads.iter().any(|load| load.counts.requests > 0 && load.counts.answered == 0));
    assert!(loads.iter().any(|load| !load.validity.valid));
}
