use std::path::Path;

use proptest::prelude::*;

use super::{EXAMPLE, policy};
use crate::config::keys::document;
use crate::config::{Config, parse};
use crate::limits::sums;

/// Reads a text and prints whatever comes of it. What is taken holds every limit.
fn read_and_print(text: &str) -> String {
    match parse(text) {
        Ok((config, warnings)) => {
            assert_eq!(config.check(), Ok(()));
            let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
            format!("{config:?} {:?} {warnings:?}", sums::all(&config))
        }
        Err(errors) => errors.to_string(),
    }
}

/// Values of every kind, right and wrong, for any key.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        (-2i64..70).prop_map(|number| number.to_string()),
        "[0-9]{1,50}",
        any::<f64>().prop_map(|number| format!("{number:?}")),
        "[a-z/:\\.\\-_0-9]{0,12}".prop_map(|text| format!("{text:?}")),
        any::<String>().prop_map(|text| format!("{text:?}")),
        prop::sample::select(vec![
            "[]",
            "[[]]",
            "{}",
            "[1, 2]",
            "[\"m\"]",
            "[\"softmax:1\", \"softmax\", \"m:\", \":1\", \"softmax:1\"]",
            "[4294967295, 4294967295]",
            "true",
            "{ type = \"f\", shape = [3] }",
            "{ type = \"s\", max_bytes = 67108864 }",
            "{ policy = \"fixed\", max = 4 }",
            "{ softmax = 0.5, m = 1 }",
            "{ name = \"exp3\", eta = 0.5 }",
            "{ directory = \"d\" }",
            "[0.5, nan]",
            "[-inf, 1]",
            "-inf",
            "nan",
            "\"softmax\"",
            "\"leave_out\"",
            "1979-05-27",
            "\"unix:x\"",
            "[\"127.0.0.1:1\"]",
        ])
        .prop_map(str::to_owned),
    ]
}

fn line() -> impl Strategy<Value = String> {
    let headers = [
        "[server]",
        "[server.decision_log]",
        "[[application]]",
        "[application.policy]",
        "[application.policy.caps]",
        "[[model]]",
        "[model.batch]",
        "[model.cache]",
        "[application]",
    ];
    let rows = document().into_iter().flat_map(|(_, rows)| rows);
    let keys: Vec<&str> = rows.map(|row| row.key).chain(["strange"]).collect();
    prop_oneof![
        1 => prop::sample::select(headers.to_vec()).prop_map(str::to_owned),
        4 => (prop::sample::select(keys), value())
            .prop_map(|(key, value)| format!("{key} = {value}")),
    ]
}

/// A word of a list of the document, as it is written.
fn word(list: &str) -> impl Strategy<Value = String> + use<> {
    let rows = document().into_iter().flat_map(|(_, rows)| rows);
    let row = rows.into_iter().find(|row| row.range.contains(list)).expect("such a list");
    let words: Vec<String> = row.range.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    prop::sample::select(words).prop_map(|word| format!("{word:?}"))
}

/// A line of a policy, whose name and modes are often right.
fn policy_line() -> impl Strategy<Value = String> {
    let rows = document().into_iter().find(|(heading, _)| heading.contains("`policy`"));
    let keys: Vec<&str> = rows.into_iter().flat_map(|(_, rows)| rows).map(|row| row.key).collect();
    prop_oneof![
        2 => word("`exp3`").prop_map(|name| format!("name = {name}")),
        1 => word("`apprentice`").prop_map(|mode| format!("mode = {mode}")),
        1 => word("`squared`").prop_map(|loss| format!("loss = {loss}")),
        4 => (prop::sample::select(keys.clone()), value())
            .prop_map(|(key, value)| format!("{key} = {value}")),
        4 => (prop::sample::select(keys), 0.0f64..1.0)
            .prop_map(|(key, value)| format!("{key} = {value:?}")),
    ]
}

proptest! {
    #[test]
    fn a_policy_of_arbitrary_lines_never_panics_and_can_be_made_if_it_is_taken(
        lines in prop::collection::vec(policy_line(), 0..6),
    ) {
        let text = policy(&lines.join("\n"));
        read_and_print(&text);
        let read = parse(&text).map(|(config, _)| config);
        let policies = read.iter().flat_map(|config| &config.applications);
        for policy in policies.filter_map(|application| application.policy.as_ref()) {
            prop_assert!(policy.plan.build_for(2).is_ok(), "{policy:?}");
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        read_and_print(&text);
    }

    #[test]
    fn arbitrary_lines_of_the_schema_never_panic(
        lines in prop::collection::vec(line(), 0..24),
    ) {
        read_and_print(&lines.join("\n"));
    }

    #[test]
    fn an_example_with_one_value_replaced_never_panics(
        index in 0usize..19, value in value(),
    ) {
        let replaced = EXAMPLE.lines().enumerate().map(|(at, line)| {
            match line.split_once(" = ") {
                Some((key, _)) if at == index => format!("{key} = {value}"),
                _ => line.to_owned(),
            }
        });
        read_and_print(&replaced.collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn an_example_cut_anywhere_and_with_bytes_put_in_never_panics(
        at in 0usize..EXAMPLE.len(), insert in any::<String>(), keep in any::<bool>(),
    ) {
        let (before, after) = EXAMPLE.split_at(at);
        let after = if keep { after } else { "" };
        read_and_print(&format!("{before}{insert}{after}"));
    }

    #[test]
    fn every_line_of_errors_begins_with_its_place(lines in prop::collection::vec(line(), 0..24)) {
        let text = lines.join("\n");
        let result = Config::from_toml(&text, Path::new("/srv"), "c");
        let errors = result.err().map(|errors| errors.to_string()).unwrap_or_default();
        for line in errors.lines() {
            let mut parts = line.splitn(4, ':');
            prop_assert_eq!(parts.next(), Some("c"));
            for _ in 0..2 {
                let number = parts.next().and_then(|part| part.parse::<usize>().ok());
                prop_assert!(number.is_some_and(|number| number >= 1), "{}", line);
            }
        }
    }
}
