//! Entries of `models`: which models they name, and what is said where they name none.

use super::{check, config, warnings};

/// An application, at whose line 4 stand its models, and models by name and version.
fn linking(models: &str, written: &[(&str, &str)]) -> String {
    let model = |(name, version): &(&str, &str)| {
        format!("[[model]]\nname = \"{name}\"\nversion = \"{version}\"\ncommand = [\"m\"]\n")
    };
    let written: String = written.iter().map(model).collect();
    let application = "[[application]]\nname = \"a\"\ninput = { type = \"s\" }\n";
    format!("{application}models = {models}\n{written}")
}

const WRITTEN: [(&str, &str); 4] = [("m", "1"), ("m", "2.1"), ("n", "7"), ("m", "3")];

#[test]
fn models_are_named_by_name_or_by_name_and_version_in_the_order_of_the_list() {
    let table = [
        ("[]", vec![]),
        ("[\"n\"]", vec![2]),
        ("[\"n:7\"]", vec![2]),
        ("[\"m:2.1\"]", vec![1]),
        ("[\"m:3\", \"n\", \"m:1\"]", vec![3, 2, 0]),
    ];
    for (models, expected) in table {
        let config = config(&linking(models, &WRITTEN));
        assert_eq!(config.applications[0].models, expected, "{models}");
        for (index, model) in config.models.iter().enumerate() {
            let linked = if expected.contains(&index) { vec![0] } else { vec![] };
            assert_eq!(model.applications, linked, "{models} {index}");
        }
    }
    let most: Vec<(String, String)> =
        (1..=8).map(|version| ("m".to_owned(), version.to_string())).collect();
    let most: Vec<(&str, &str)> =
        most.iter().map(|(name, version)| (&**name, &**version)).collect();
    let list: Vec<String> =
        most.iter().map(|(name, version)| format!("\"{name}:{version}\"")).collect();
    let config = config(&linking(&format!("[{}]", list.join(", ")), &most));
    assert_eq!(config.applications[0].models, [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn every_model_of_a_list_knows_input_and_objectives_of_all_who_list_it() {
    let text = linking("[\"m:1\", \"n\"]", &WRITTEN)
        + "[[application]]\nname = \"b\"\ninput = { type = \"s\" }\nslo_us = 500000\n\
           models = [\"n\", \"m:3\"]\n";
    let config = config(&text);
    let found = |index: usize| {
        let model = &config.models[index];
        (model.applications.clone(), model.slo_ns, model.batch_timeout_ns)
    };
    assert_eq!(found(0), (vec![0], Some(20_000_000), 1_000_000_000));
    assert_eq!(found(1), (vec![], None, 1_000_000_000));
    assert_eq!(found(2), (vec![0, 1], Some(20_000_000), 5_000_000_000));
    assert_eq!(found(3), (vec![1], Some(500_000_000), 5_000_000_000));
    let input = Some(config.applications[0].input);
    assert_eq!([2, 3].map(|index| config.models[index].input), [input; 2]);
}

#[test]
fn a_model_is_labelled_with_its_version_where_its_name_has_several() {
    let config = config(&linking("[\"n\"]", &WRITTEN));
    let labels: Vec<String> = (0..4).map(|model| config.label(model)).collect();
    assert_eq!(labels, ["m:1", "m:2.1", "n", "m:3"]);
    let told = warnings(&linking("[\"m:1\", \"n\", \"m:3\"]", &WRITTEN));
    assert_eq!(
        told,
        "cutter.toml:9:1: warning: model \"m:2.1\" is not linked to any application; it will get \
         no queries"
    );
}

#[test]
fn an_entry_that_does_not_name_one_version_is_refused_with_what_there_is() {
    let table = [
        (
            "[\"n\", \"m\"]",
            "c:4:16: model \"m\" has several versions (application \"a\"); write which, as \
             `name:version`; expected one of: m:1, m:2.1, m:3",
        ),
        (
            "[\"m:2.0\"]",
            "c:4:11: model \"m\" has no version \"2.0\" (application \"a\"); expected one of: \
             1, 2.1, 3; did you mean \"2.1\"?",
        ),
        (
            "[\"m:\"]",
            "c:4:11: model \"m\" has no version \"\" (application \"a\"); expected one of: 1, \
             2.1, 3",
        ),
        (
            "[\"n:8\"]",
            "c:4:11: model \"n\" has no version \"8\" (application \"a\"); expected one of: 7",
        ),
        (
            "[\"n:7:7\"]",
            "c:4:11: model \"n\" has no version \"7:7\" (application \"a\"); expected one of: 7",
        ),
        (
            "[\"mm:1\", \":1\"]",
            "c:4:11: unknown model \"mm\" (application \"a\"); expected one of: m, n; did you \
             mean \"m\"?\n\
             c:4:19: unknown model \"\" (application \"a\"); expected one of: m, n",
        ),
        (
            "[\"n\", \"m:1\", \"n:7\", \"m:1\"]",
            "c:4:23: application \"a\" names model \"n\" a second time; expected each version of \
             a model once\n\
             c:4:30: application \"a\" names model \"m:1\" a second time; expected each version \
             of a model once",
        ),
    ];
    for (models, expected) in table {
        check(&[(&linking(models, &WRITTEN), expected)]);
    }
}

#[test]
fn a_mistake_in_a_model_is_not_told_again_where_it_is_named() {
    check(&[
        (
            &linking("[\"m\"]", &[("m", "1"), ("m", "1")]),
            "c:10:8: a second model \"m\" has version \"1\", as on line 6; expected another `name` \
             or another `version`",
        ),
        (
            &linking("[\"m:1\"]", &[("m:1", "1")]),
            "c:6:8: `name` of model \"m:1\" is \"m:1\"; expected 1 to 63 lower-case letters and \
             digits, with `-` or `_` between them",
        ),
        (
            &linking("[\"m:A\"]", &[("m", "A"), ("m", "1")]),
            "c:7:11: `version` of model \"m:A\" is \"A\"; expected 1 to 63 lower-case letters and \
             digits, with `-`, `_` or `.` between them",
        ),
    ]);
}

#[test]
fn a_link_to_an_unknown_model_is_refused_with_the_known_ones_and_the_nearest() {
    let application = "[[application]]\nname = \"digits\"\ninput = { type = \"s\" }\n";
    let model = |name: &str| format!("[[model]]\nname = \"{name}\"\ncommand = [\"m\"]\n");
    let many: String = (0..18).map(|index| model(&format!("m{index}"))).collect();
    check(&[
        (
            &format!("{application}models = [\"sofmax\"]\n{}", model("softmax")),
            "c:4:11: unknown model \"sofmax\" (application \"digits\"); expected one of: \
             softmax",
        ),
        (
            &format!("{application}models = [\"sofmax\"]\n{}{}", model("softmax"), model("forest")),
            "c:4:11: unknown model \"sofmax\" (application \"digits\"); expected one of: \
             softmax, forest; did you mean \"softmax\"?",
        ),
        (
            &format!("{application}models = [\"n17\"]\n{many}"),
            "c:4:11: unknown model \"n17\" (application \"digits\"); expected one of: m0, \
             m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15 and 2 more; \
             did you mean \"m17\"?",
        ),
    ]);
}

#[test]
fn a_model_of_applications_with_different_inputs_is_refused() {
    let application = |name: &str, input: &str| {
        format!("[[application]]\nname = \"{name}\"\ninput = {{ {input} }}\nmodels = [\"m\"]\n")
    };
    let model = "[[model]]\nname = \"m\"\ncommand = [\"m\"]\n";
    let other_version = "[[model]]\nname = \"m\"\ncommand = [\"m\"]\nversion = \"2\"\n";
    let first = application("a", "type = \"f\", shape = [784]");
    let other_type = application("b", "type = \"d\", shape = [784]");
    let other_shape = application("b", "type = \"f\", shape = [28, 28]");
    let other_bound = application("b", "type = \"f\", max_bytes = 3136");
    check(&[
        (
            &format!("{first}{other_type}{model}"),
            "c:8:11: model \"m\" would get float64[784] from application \"b\", but gets \
             float32[784] from application \"a\" (line 4); a container takes one kind of \
             input: give each kind a [[model]] of its own",
        ),
        (
            &format!("{first}{other_shape}{model}"),
            "c:8:11: model \"m\" would get float32[28, 28] from application \"b\", but \
             gets float32[784] from application \"a\" (line 4); a container takes one kind \
             of input: give each kind a [[model]] of its own",
        ),
        (
            &format!("{first}{other_bound}{model}"),
            "c:8:11: model \"m\" would get float32 of at most 3136 bytes from application \
             \"b\", but gets float32[784] from application \"a\" (line 4); a container \
             takes one kind of input: give each kind a [[model]] of its own",
        ),
        (
            &format!("{first}{other_type}{model}{other_version}")
                .replace("[\"m\"]\n[", "[\"m:1\"]\n["),
            "c:8:11: model \"m:1\" would get float64[784] from application \"b\", but gets \
             float32[784] from application \"a\" (line 4); a container takes one kind of \
             input: give each kind a [[model]] of its own",
        ),
    ]);
}
