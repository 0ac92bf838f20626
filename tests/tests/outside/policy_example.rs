//! A program with a policy of its own, as its comment says: it serves the configuration that
//! stands there, and is told what is wrong with another.

use std::process::Command;

use cutter_tests::command::{self, Ended};
use cutter_tests::documents::Document;
use cutter_tests::server::{Plan, cutter};
use cutter_tests::{Server, binary};

const PROGRAM: &str = "my-cutter";

/// The configuration in the comment, on ports that are free, with the model where it was built.
fn config() -> String {
    let comment = Document::of_module("engine/policy-example/src/main.rs");
    let config = comment.block("toml").replace(":1337", ":0").replace(":1338", ":0");
    assert!(config.contains("name = \"softmax\"") && config.contains("target/debug/sum"));
    config.replace("target/debug/sum", binary("sum").to_str().unwrap())
}

fn start() -> Server {
    Plan::whole(&config()).with("state = \"none\"").served_by(PROGRAM).start_ready()
}

/// How a program ends that is given this configuration.
fn ended(command: &mut Command, config: &str) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cutter.toml"), config).unwrap();
    command::run(command.arg("cutter.toml").current_dir(folder.path()))
}

#[test]
fn the_program_serves_the_configuration_of_its_comment_and_drains() {
    let mut server = start();
    let mut client = server.client();
    for query in 0..20_u8 {
        let reply = client.predict("sums", vec![query, 2, 3, 4]);
        assert_eq!(reply["output"], f64::from(query) + 9.0, "{reply}");
    }
    drop(client);
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn what_the_policy_refuses_is_told_with_its_place() {
    let wrong = config().replace("temperature", "heat");
    let ended = ended(&mut Command::new(binary(PROGRAM)), &wrong);
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    let expected = "cutter.toml:12:8: the policy of application \"sums\" cannot be made: `heat` is \
                    neither `temperature` nor `discount`\n";
    assert_eq!(ended.stderr, ["my-cutter: ", expected].concat());
}

#[test]
fn without_the_program_nobody_knows_the_policy() {
    let ended = ended(&mut cutter(&["check", "--config"]), &config());
    assert_eq!(ended.code(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("is \"softmax\"; expected one of: static"), "{}", ended.stderr);
}

#[test]
fn without_a_configuration_the_program_says_how_it_is_called() {
    let ended = command::run(&mut Command::new(binary(PROGRAM)));
    assert_eq!((ended.code(), ended.stderr.as_str()), (1, "my-cutter: usage: my-cutter CONFIG\n"));
}
