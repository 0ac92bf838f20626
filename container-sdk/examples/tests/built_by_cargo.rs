//! The binaries that cargo builds are whole: `main` from C, the SDK from Rust.

#![allow(clippy::unwrap_used, reason = "a test fails here")]

#[path = "../../c/tests/support/mini_engine.rs"]
mod mini_engine;

use std::process::Command;
use std::sync::Barrier;
use std::time::Instant;

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
    let usage = "usage: synthetic FIXED_US PER_ITEM_US [wait] [--control PATH]\n";
    let wrong: [&[&str]; 8] = [
        &[],
        &["1"],
        &["1", "x"],
        &["-1", "1"],
        &["1", "2", "--control"],
        &["1", "2", "waits"],
        &["1", "2", "wait", "wait"],
        &["1", "2", "--control", "path", "wait"],
    ];
    assert_eq!(wrong.map(run), [(); 8].map(|()| (Some(2), usage.to_owned())));
}

#[test]
fn synthetic_models_that_wait_do_so_side_by_side_and_leave_the_cores_alone() {
    const WAIT_US: &str = "500000";
    const WAIT_TICKS: u64 = 50;
    let both_begin = Barrier::new(2);
    let one = || {
        let mut engine = start(env!("CARGO_BIN_EXE_synthetic"), &[WAIT_US, "0", "wait"]);
        both_begin.wait();
        let began = Instant::now();
        assert_eq!(engine.predict(&[&[0; 80]]).floats(), [1.0]);
        let ended = Instant::now();
        let ticks = cpu_ticks(engine.pid());
        assert!(engine.stop().success());
        (began, ended, ticks)
    };
    let [a, b] = std::thread::scope(|scope| {
        [scope.spawn(one), scope.spawn(one)].map(|replica| replica.join().unwrap())
    });
    assert!([a, b].iter().all(|(began, ended, _)| (*ended - *began).as_millis() >= 500));
    assert!(a.0 < b.1 && b.0 < a.1, "one waited after the other");
    assert!(a.2 + b.2 < WAIT_TICKS, "{} and {} ticks of 10 ms", a.2, b.2);
}

/// The processor time that a process has had, in ticks of 10 ms.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, behind_name) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = behind_name.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
