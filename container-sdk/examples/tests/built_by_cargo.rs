//! The binaries that cargo builds are whole: `main` from C, the SDK from Rust.

#![allow(clippy::unwrap_used, reason = "a test fails here")]

#[path = "../../c/tests/support/mini_engine.rs"]
mod mini_engine;

use std::process::Command;

use cutter_tensor::{ElementType, Shape, TensorSpec};

use mini_engine::MiniEngine;

fn start(binary: &str, arguments: &[&str]) -> MiniEngine {
    let input = TensorSpec::exact(ElementType::Float32, Shape::new(&[20]).unwrap());
    MiniEngine::start(Command::new(binary).args(arguments), input)
}

/// What a model gives for two inputs, of 20 ones and of 20 halves.
fn outputs(binary: &str, arguments: &[&str]) -> Vec<f32> {
    let [ones, halves] = [1f32, 0.5].map(|float| float.to_le_bytes().repeat(20));
    let mut engine = start(binary, arguments);
    let outputs = engine.predict(&[&ones, &halves]).floats();
    assert!(engine.stop().success());
    outputs
}

#[test]
fn each_model_predicts() {
    assert_eq!(outputs(env!("CARGO_BIN_EXE_noop"), &[]), [0.0, 0.0]);
    assert_eq!(outputs(env!("CARGO_BIN_EXE_sum"), &[]), [20.0, 10.0]);
    assert_eq!(outputs(env!("CARGO_BIN_EXE_synthetic"), &["1", "1"]), [2.0, 2.0]);
    assert_eq!(outputs(env!("CARGO_BIN_EXE_fragile"), &["floats"]), [1.0, 0.5]);
}

#[test]
fn a_complete_c_model_has_under_25_lines() {
    assert!(include_str!("../sum.c").lines().count() < 25);
    assert!(include_str!("../noop.c").lines().count() < 25);
}

#[test]
fn the_synthetic_model_refuses_times_that_mean_nothing() {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_synthetic"));
        let output = command.args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let usage = "usage: synthetic FIXED_US PER_ITEM_US [--control PATH]\n";
    let wrong: [&[&str]; 5] = [&[], &["1"], &["1", "x"], &["-1", "1"], &["1", "2", "--control"]];
    assert_eq!(wrong.map(run), [(); 5].map(|()| (Some(2), usage.to_owned())));
}
