//! Models that an operator takes out of what a policy chooses from.

use serde_json::{Value, json};

use super::world::{Told, World, json_of, post};

/// Two versions of one model and another, and an application that has no policy.
const CONFIG: &str = r#"
[[application]]
name = "digits"
input = { type = "floats", shape = [4] }
models = ["m:1", "m:2", "trees"]
policy = { name = "exp3", off = ["trees"] }
[[application]]
name = "plain"
input = { type = "floats", shape = [4] }
models = ["trees"]
[[model]]
name = "m"
[[model]]
name = "m"
version = "2"
[[model]]
name = "trees"
"#;

/// Containers are awaited in vain, and the engine thread was told so.
fn world() -> World {
    let mut world = World::start(CONFIG);
    (0..3).for_each(|_| assert!(matches!(world.hear(), Told::Availability { .. })));
    world
}

fn switch(world: &World, path: &str, body: &str) -> (u16, Value) {
    let (status, _, body) = post(world.admin, &format!("/applications/{path}"), "", body);
    (status, serde_json::from_str(&body).unwrap())
}

fn enabled(world: &World) -> Vec<bool> {
    let stats = json_of(world.admin, "/stats");
    let arms = stats["applications"][0]["selection"]["arms"].as_array().unwrap();
    arms.iter().map(|arm| arm["enabled"].as_bool().unwrap()).collect()
}

#[test]
fn a_model_is_taken_out_and_put_back_and_the_engine_thread_is_told() {
    let mut world = world();
    assert_eq!(enabled(&world), [true, true, false]);
    let out = switch(&world, "digits/arms/m:2", r#"{"enabled": false}"#);
    let said = json!({ "application": "digits", "model": "m:2", "enabled": false });
    assert_eq!(out, (200, said));
    assert_eq!(world.hear(), Told::Switched { application: 0, arm: 1, on: false });
    assert_eq!(switch(&world, "digits/arms/trees", r#"{"enabled": true}"#).0, 200);
    assert_eq!(world.hear(), Told::Switched { application: 0, arm: 2, on: true });
    assert_eq!(enabled(&world), [true, false, true]);
    assert!(world.log().contains("an operator switched a model"), "{}", world.log());
}

#[test]
fn what_is_not_there_is_not_found_and_where_nothing_is_chosen_nothing_is_switched() {
    let world = world();
    let asked = ["nobody/arms/trees", "digits/arms/m", "digits/arms/m:3", "plain/arms/trees"];
    let answers = asked.map(|path| switch(&world, path, r#"{"enabled": false}"#));
    assert_eq!(answers.each_ref().map(|(status, _)| *status), [404, 404, 404, 409]);
    let expected = "application digits asks no model m; it asks: m:1, m:2, trees:1";
    assert_eq!(answers[1].1["error"], expected);
    assert_eq!(enabled(&world), [true, true, false]);
}

#[test]
fn a_body_that_says_something_else_is_refused_and_so_is_a_page_of_a_browser() {
    let world = world();
    for body in ["", "{}", "true", r#"{"enabled": 0}"#, r#"{"enabled": true, "cap": 1}"#] {
        let (status, said) = switch(&world, "digits/arms/trees", body);
        assert_eq!(status, 400, "{body}");
        assert!(said["error"].as_str().unwrap().ends_with(r#"send {"enabled": false}, or true"#));
    }
    let path = "/applications/digits/arms/trees";
    let of_page = "Origin: http://127.0.0.1:1338\r\n";
    assert_eq!(post(world.admin, path, of_page, r#"{"enabled": true}"#).0, 403);
    let (status, head, body) = world.request(&format!("GET {path}"));
    assert_eq!((status, body.as_str()), (405, "{\"error\":\"only POST is possible here\"}\n"));
    assert!(head.contains("allow: POST"), "{head}");
    assert_eq!(enabled(&world), [true, true, false]);
}
