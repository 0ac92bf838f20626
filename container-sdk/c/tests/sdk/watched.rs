//! Models under the eyes of valgrind and of the compiler's sanitizers: no error in them, nor in the
//! SDK, and they serve as they do without.

use std::path::{Path, PathBuf};
use std::process::Command;

use cutter_tensor::{ElementType, Shape, TensorSpec};

use crate::support::installed::{compile_c, compile_sanitized, example, need, sdk};
use crate::support::mini_engine::{Answer, MiniEngine};

/// What valgrind ends with when it found an error.
const FOUND: i32 = 99;

fn floats(elements: u32) -> TensorSpec {
    TensorSpec::exact(ElementType::Float32, Shape::new(&[elements]).unwrap())
}

fn strings() -> TensorSpec {
    TensorSpec::at_most(ElementType::String, 8192)
}

fn bytes_of(floats: &[f32]) -> Vec<u8> {
    floats.iter().flat_map(|float| float.to_le_bytes()).collect()
}

/// A model that valgrind runs.
fn valgrind(model: PathBuf, words: &[&str], input: TensorSpec) -> MiniEngine {
    need("valgrind", "valgrind");
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--leak-check=full", "--errors-for-leak-kinds=definite"]);
    command.arg(format!("--error-exitcode={FOUND}")).arg(model).args(words);
    MiniEngine::start(&mut command, input)
}

#[test]
fn valgrind_finds_nothing_in_a_model_that_reads_dense_and_scattered_rows() {
    let mut engine = valgrind(compile_c("sum.c", "cutter-container"), &[], floats(5));
    let rows = [bytes_of(&[1.0, 2.0, 3.0, 4.0, 5.0]), bytes_of(&[0.5; 5])];
    let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
    assert_eq!(engine.predict(&rows).floats(), [15.0, 2.5]);
    assert_eq!(engine.predict_scattered(&rows).floats(), [15.0, 2.5]);
    assert!(engine.stop().success());
}

#[test]
fn valgrind_finds_nothing_in_wrong_calls() {
    let mut engine = valgrind(example("fragile"), &["misuse"], floats(1));
    let row = bytes_of(&[1.0]);
    assert_eq!(engine.predict(&[&row, &row]).floats(), [0.0; 2]);
    assert!(engine.stop().success());
}

#[test]
fn valgrind_finds_nothing_in_outputs_with_lengths_of_their_own() {
    let mut engine = valgrind(example("fragile"), &["strings"], strings());
    let answer = engine.predict(&[b"sloop", b"", b"fail", &[b'x'; 5000]]);
    let Answer::Items(items) = answer else { panic!("{answer:?}") };
    assert_eq!(items[..2], [Ok(b"sloop".to_vec()), Ok(vec![])]);
    assert!(items[2..].iter().all(Result::is_err));
    assert!(engine.stop().success());
}

fn sanitized(source: &Path, input: TensorSpec) -> MiniEngine {
    MiniEngine::start(&mut Command::new(compile_sanitized(source)), input)
}

#[test]
fn the_sanitizers_find_nothing_in_the_wrapper_for_cpp() {
    let consumer = sdk().join("tests/consumer");
    let mut engine = sanitized(&consumer.join("matrix.cpp"), floats(4));
    let (good, bad) = (bytes_of(&[1.0, 2.0, 3.0, 4.0]), bytes_of(&[-1.0; 4]));
    assert_eq!(engine.predict(&[&good, &good]).outputs()[1], bytes_of(&[10.0, 10.0, 1.0]));
    assert_eq!(engine.predict_scattered(&[&good, &good]).outputs().len(), 2);
    assert_eq!(engine.predict(&[&good, &bad]), Answer::Failed("-1 is no input".into()));
    assert!(engine.stop().success());
    let mut engine = sanitized(&consumer.join("pull.cpp"), strings());
    let answer = engine.predict(&[b"sloop", b"fail", &[b'x'; 100]]);
    let due = vec![Ok(b"SLOOP".to_vec()), Err("as you wish".into()), Ok(vec![b'X'; 100])];
    assert_eq!(answer, Answer::Items(due));
    assert!(matches!(engine.predict(&[b"drop"]), Answer::Failed(_)));
    assert!(engine.stop().success());
}
