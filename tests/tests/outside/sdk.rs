//! Mistakes of models' authors, under a real server: each is an error or a default output, and
//! never another client's answer.

use cutter_tests::{Server, application, model};
use serde_json::json;

const ONE_FLOAT: &str = "type = \"floats\", shape = [1]";

fn served(words: &[&str]) -> Server {
    let body = application("a", ONE_FLOAT, 10_000, "m", "") + &model("m", words, "");
    let server = Server::start(&body);
    server.wait_metric("cutter_replica_up", &[("model", "m")], 1.0);
    server
}

#[test]
fn outputs_that_a_model_forgets_to_write_are_never_another_querys() {
    let server = served(&["fragile", "forgetful"]);
    let mut client = server.client();
    for number in 1..=8 {
        let answer = client.predict("a", vec![number]);
        if number % 2 == 1 {
            let due = json!(f64::from(number));
            assert_eq!((&answer["default"], &answer["output"]), (&json!(false), &due));
            continue;
        }
        assert_eq!((&answer["default"], &answer["output"]), (&json!(true), &json!(-1)));
        assert_eq!(answer["reason"], "model_error");
        let text = answer.to_string();
        assert!(text.contains("the model returned without writing its outputs"), "{text}");
    }
}

#[test]
fn elements_of_another_type_are_an_error_that_names_both() {
    let server = served(&["fragile", "untyped"]);
    let answer = server.client().predict("a", vec![1]);
    assert_eq!((&answer["default"], &answer["reason"]), (&json!(true), &json!("model_error")));
    let text = answer.to_string();
    assert!(text.contains("the output is of type float32, not float64"), "{text}");
}
