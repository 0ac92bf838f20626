//! The models of handwritten digits give the classes that their training script found by other
//! means, refuse what is no model, and are sick or slow when a demo asks for it.

#![allow(clippy::unwrap_used, reason = "a test fails here")]

#[path = "../../c/tests/support/mini_engine.rs"]
mod mini_engine;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use cutter_tensor::{ElementType, Shape, TensorSpec};
use rustix::process::{Pid, Signal, kill_process};

use mini_engine::{ITEMS_MAX, MiniEngine};

const DIGITS: &[u8] = include_bytes!("../digits/digits.bin");
const GOLDEN: &str = include_str!("../digits/golden_models.txt");
const HEADER_BYTES: usize = 20;
const IMAGE_BYTES: usize = 65;
const HELD_OUT: usize = 500;
const SIDE: usize = 28;
const INPUTS: usize = SIDE * SIDE;

/// How long a fault may take to show.
const PATIENCE: Duration = Duration::from_secs(60);

/// One line of the golden file.
struct Golden {
    name: &'static str,
    right: usize,
    classes: Vec<i32>,
}

fn golden() -> Vec<Golden> {
    let line = |line: &'static str| {
        let [name, right, classes] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let classes = classes.bytes().map(|digit| i32::from(digit - b'0')).collect();
        Golden { name, right: right.parse().unwrap(), classes }
    };
    GOLDEN.lines().map(line).collect()
}

fn golden_of(name: &str) -> Vec<i32> {
    golden().into_iter().find(|golden| golden.name == name).unwrap().classes
}

fn held_out() -> impl Iterator<Item = &'static [u8]> {
    let images = DIGITS[HEADER_BYTES..].chunks_exact(IMAGE_BYTES);
    let training = images.len() - HELD_OUT;
    images.skip(training)
}

/// Images scaled to 28 x 28 as train.py does: bilinear, pixel centres aligned, all exact until
/// the division.
fn rows() -> Vec<Vec<u8>> {
    held_out().map(|image| bytes_of(&scaled(&image[1..]))).collect()
}

fn scaled(pixels: &[u8]) -> Vec<f32> {
    let tap = |x: usize| {
        let at = (4 * x).saturating_sub(5).min(14 * 7);
        let low = (at / 14).min(6);
        [(low, 14 - (at - 14 * low)), (low + 1, at - 14 * low)]
    };
    let value = |place: usize| {
        let across = tap(place % SIDE);
        let down = tap(place / SIDE);
        let of_line = |(line, weight): (usize, usize)| {
            let of_pixel = |(x, share): (usize, usize)| usize::from(pixels[8 * line + x]) * share;
            across.map(of_pixel).iter().sum::<usize>() * weight
        };
        f32::from(u16::try_from(down.map(of_line).iter().sum::<usize>()).unwrap()) / 3136.0
    };
    (0..INPUTS).map(value).collect()
}

fn bytes_of(floats: &[f32]) -> Vec<u8> {
    floats.iter().flat_map(|float| float.to_le_bytes()).collect()
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("digits").join(name)
}

/// The program that serves a line of the golden file, and its arguments.
fn model(name: &str) -> Command {
    let words: Vec<&str> = name.split('-').collect();
    let (program, arguments) = match words[..] {
        ["linear"] => (env!("CARGO_BIN_EXE_softmax"), vec!["linear.bin"]),
        ["mlp", "small"] => (env!("CARGO_BIN_EXE_mlp"), vec!["mlp-small.bin"]),
        ["mlp", "large"] => (env!("CARGO_BIN_EXE_mlp"), vec!["mlp-large.bin"]),
        ["neighbours"] => (env!("CARGO_BIN_EXE_neighbours"), vec!["neighbours.bin"]),
        ["forest"] => (env!("CARGO_BIN_EXE_forest"), vec!["forest.bin"]),
        ["forest", first, count] => {
            (env!("CARGO_BIN_EXE_forest"), vec!["forest.bin", first, count])
        }
        _ => panic!("no program serves {name}"),
    };
    let mut command = Command::new(program);
    command.arg(file(arguments[0])).args(&arguments[1..]);
    command
}

fn start(command: &mut Command) -> MiniEngine {
    let spec = TensorSpec::exact(ElementType::Float32, Shape::new(&[784]).unwrap());
    MiniEngine::start(command, spec)
}

fn classes(engine: &mut MiniEngine, rows: &[Vec<u8>]) -> Vec<i32> {
    let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
    let class = |output: Vec<u8>| i32::from_le_bytes(output.try_into().unwrap());
    let batches = rows.chunks(ITEMS_MAX as usize);
    let outputs = batches.flat_map(|batch| engine.predict(batch).outputs());
    outputs.map(class).collect()
}

fn signal(engine: &MiniEngine, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(engine.pid()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// A signal is taken soon, but not at once: asks again until what it does is seen.
fn until(what: &str, mut seen: impl FnMut() -> bool) {
    let since = Instant::now();
    while !seen() {
        assert!(since.elapsed() < PATIENCE, "{what} is not seen");
    }
}

/// How long a batch takes, whose answers are right.
fn time(engine: &mut MiniEngine, rows: &[Vec<u8>], due: &[i32]) -> Duration {
    let since = Instant::now();
    assert_eq!(classes(engine, rows), due);
    since.elapsed()
}

#[test]
fn every_model_gives_every_held_out_image_the_class_that_the_script_found() {
    let rows = rows();
    let models = golden();
    assert_eq!(models.len(), 25);
    for golden in models {
        let mut engine = start(&mut model(golden.name));
        assert_eq!(classes(&mut engine, &rows), golden.classes, "{}", golden.name);
        assert!(engine.stop().success());
    }
}

#[test]
fn the_five_models_differ_in_quality() {
    let labels: Vec<i32> = held_out().map(|image| i32::from(image[0])).collect();
    let right = |golden: &Golden| {
        let pairs = golden.classes.iter().zip(&labels);
        assert_eq!(pairs.filter(|(class, label)| class == label).count(), golden.right);
        (golden.name, golden.right)
    };
    let found: Vec<_> = golden()[..5].iter().map(right).collect();
    let due = [
        ("linear", 404),
        ("mlp-small", 414),
        ("neighbours", 450),
        ("forest", 461),
        ("mlp-large", 486),
    ];
    assert_eq!(found, due);
}

#[test]
fn rows_that_lie_apart_get_the_same_classes() {
    let rows = rows();
    let rows: Vec<&[u8]> = rows[..40].iter().map(Vec::as_slice).collect();
    for name in ["linear", "mlp-large", "neighbours", "forest"] {
        let mut engine = start(&mut model(name));
        let together = engine.predict(&rows);
        assert_eq!(engine.predict_scattered(&rows), together, "{name}");
        assert!(engine.stop().success());
    }
}

#[test]
fn what_is_no_pixel_is_taken_as_paper_or_ink() {
    let wild = [f32::NAN, f32::NEG_INFINITY, -1e30, f32::INFINITY, 1e30, 0.0, 1.0];
    let rows = wild.map(|value| bytes_of(&[value; INPUTS]));
    for name in ["mlp-large", "neighbours", "forest"] {
        let mut engine = start(&mut model(name));
        let [nan, least, low, most, high, paper, ink] =
            classes(&mut engine, &rows).try_into().unwrap();
        assert_eq!(([nan, least, low], [most, high]), ([paper; 3], [ink; 2]), "{name}");
        assert!(engine.stop().success());
    }
}

#[test]
fn a_sick_model_answers_at_random_until_it_is_healed() {
    let rows = rows();
    for name in ["linear", "mlp-small", "neighbours", "forest"] {
        let due = golden_of(name);
        let mut engine = start(&mut model(name));
        signal(&engine, Signal::USR1);
        until("the fault", || classes(&mut engine, &rows[..64]) != due[..64]);
        let sick = classes(&mut engine, &rows);
        let alike = sick.iter().zip(&due).filter(|(sick, due)| sick == due).count();
        assert!((20..80).contains(&alike), "{alike} of 500 are alike, about 50 are at random");
        assert!((0..10).all(|digit| sick.contains(&digit)));
        signal(&engine, Signal::USR1);
        until("the healing", || classes(&mut engine, &rows) == due);
        assert!(engine.stop().success());
    }
}

#[test]
fn a_slow_model_is_late_and_right_until_it_is_healed() {
    let (rows, late) = (&rows()[..8], Duration::from_millis(400));
    for name in ["linear", "mlp-small", "neighbours", "forest"] {
        let due = &golden_of(name)[..8];
        let mut engine = start(model(name).env("DEMO_SLOW_MS", "400"));
        signal(&engine, Signal::USR2);
        until("the fault", || time(&mut engine, rows, due) >= late);
        assert!(time(&mut engine, rows, due) >= late);
        signal(&engine, Signal::USR2);
        until("the healing", || time(&mut engine, rows, due) < late);
        assert!(engine.stop().success());
    }
}

#[test]
fn a_share_of_batches_can_be_late() {
    let (rows, due) = (&rows()[..1], &golden_of("forest")[..1]);
    let late = Duration::from_millis(200);
    let mut command = model("forest");
    let mut engine = start(command.envs([("DEMO_SLOW_MS", "200"), ("DEMO_SLOW_SHARE", "0.5")]));
    signal(&engine, Signal::USR2);
    until("a late batch", || time(&mut engine, rows, due) >= late);
    until("one in time", || time(&mut engine, rows, due) < late);
    until("another late one", || time(&mut engine, rows, due) >= late);
    assert!(engine.stop().success());
}

/// Exit status and words of a model that has no engine and should not come so far.
fn complaint(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// A copy of a model's file, changed.
fn changed(name: &str, change: impl Fn(&mut Vec<u8>)) -> PathBuf {
    let mut bytes = std::fs::read(file(name)).unwrap();
    change(&mut bytes);
    let number = bytes.iter().fold(0_u64, |hash, byte| hash.rotate_left(5) ^ u64::from(*byte));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{number:x}-{name}"));
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_file_that_is_no_model_is_refused_with_the_reason() {
    let mlp = env!("CARGO_BIN_EXE_mlp");
    let neighbours = env!("CARGO_BIN_EXE_neighbours");
    let forest = env!("CARGO_BIN_EXE_forest");
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(5000);
    let lengthened = |bytes: &mut Vec<u8>| bytes.push(0);
    let cases = [
        (mlp, file("absent.bin"), "the file cannot be opened"),
        (mlp, file("digits.bin"), "it does not begin with CUTMLP_1"),
        (mlp, changed("mlp-small.bin", cut), "it is cut short"),
        (mlp, changed("mlp-small.bin", lengthened), "it is longer than it says"),
        (mlp, changed("mlp-small.bin", |bytes| bytes[8] = 0), "it holds 0 hidden units, not 1 to"),
        (
            mlp,
            changed("mlp-small.bin", |bytes| bytes[12 + 8 * 784 + 3] = 127),
            "is not -2097152 to",
        ),
        (neighbours, changed("neighbours.bin", |bytes| bytes[12] = 10), "10 is not 0 to 9"),
        (neighbours, changed("neighbours.bin", |bytes| bytes[212] = 129), "129 is not 0 to 128"),
        (neighbours, changed("neighbours.bin", lengthened), "it is longer than it says"),
        (forest, changed("forest.bin", |bytes| bytes[17] = 4), "is not 0 to 783"),
        (forest, changed("forest.bin", |bytes| bytes[12] = 13), "13 questions a tree, not 1 to"),
        (forest, changed("forest.bin", cut), "it is cut short"),
    ];
    for (program, path, reason) in cases {
        let (code, text) = complaint(Command::new(program).arg(&path));
        assert_eq!(code, Some(1), "{reason}");
        assert!(text.contains(reason) && text.contains("train_models.py"), "{reason}: {text}");
    }
}

#[test]
fn arguments_that_mean_nothing_are_refused() {
    let forest = |part: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forest"));
        complaint(command.arg(file("forest.bin")).args(part))
    };
    let usage = (Some(2), "usage: forest FILE [FIRST COUNT]\n".to_owned());
    let wrong: [&[&str]; 4] = [&["5"], &["-1", "5"], &["0", "5x"], &["0", "5", "7"]];
    assert_eq!(wrong.map(forest), [(); 4].map(|()| usage.clone()));
    for part in [["96", "5"], ["0", "0"], ["101", "1"], ["1", "18446744073709551615"]] {
        let (code, text) = forest(&part);
        let [first, count] = part;
        let due = format!(
            "forest: there are no {count} trees from tree {first} on; the file holds 100\n"
        );
        assert_eq!((code, text), (Some(1), due));
    }
    let (code, text) = complaint(model("linear").env("DEMO_SLOW_MS", "soon"));
    let due = "softmax: DEMO_SLOW_MS is 'soon'; set it to 0 to 60000\n";
    assert_eq!((code, text.as_str()), (Some(1), due));
}
