//! Models built against an installed SDK, driven over a real handshake.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use cutter_tensor::{ElementType, Shape, TensorSpec};

use crate::support::installed::{
    cmake, compile_c, consumer, example, fresh_folder, prefix, run, sdk,
};
use crate::support::mini_engine::{Answer, MiniEngine};

fn vector(elements: u32) -> TensorSpec {
    TensorSpec::exact(ElementType::Float32, Shape::new(&[elements]).unwrap())
}

fn strings() -> TensorSpec {
    TensorSpec::at_most(ElementType::String, 8192)
}

fn bytes_of(floats: &[f32]) -> Vec<u8> {
    floats.iter().flat_map(|float| float.to_le_bytes()).collect()
}

/// `count` rows of `elements` floats, and their sums.
fn rows_and_sums(count: u16, elements: u16) -> (Vec<Vec<u8>>, Vec<f32>) {
    let row = |item| (0..elements).map(|i| f32::from((7 * item + i) % 19)).collect::<Vec<_>>();
    let rows: Vec<Vec<f32>> = (0..count).map(row).collect();
    let sums = rows.iter().map(|row| row.iter().sum()).collect();
    (rows.iter().map(|row| bytes_of(row)).collect(), sums)
}

fn slices(rows: &[Vec<u8>]) -> Vec<&[u8]> {
    rows.iter().map(Vec::as_slice).collect()
}

/// The fragile model, in a mode for inputs of one float.
fn fragile(mode: &str) -> MiniEngine {
    MiniEngine::start(Command::new(example("fragile")).arg(mode), vector(1))
}

fn predict_floats(engine: &mut MiniEngine, floats: &[f32]) -> Answer {
    let rows: Vec<Vec<u8>> = floats.iter().map(|float| bytes_of(&[*float])).collect();
    engine.predict(&slices(&rows))
}

/// What a refused model prints.
fn complaint(binary: PathBuf, refusal: &str) -> (Option<i32>, String) {
    let text = fresh_folder("complaint").join("stderr");
    let file = std::fs::File::create(&text).unwrap();
    let status = MiniEngine::refuse(Command::new(binary).stderr(Stdio::from(file)), refusal);
    (status.code(), std::fs::read_to_string(text).unwrap())
}

#[test]
fn a_c_model_built_through_pkg_config_sums_dense_and_scattered_rows() {
    let mut engine =
        MiniEngine::start(&mut Command::new(compile_c("sum.c", "cutter-container")), vector(784));
    let (rows, sums) = rows_and_sums(40, 784);
    assert_eq!(engine.predict(&slices(&rows)).floats(), sums);
    assert_eq!(engine.predict_scattered(&slices(&rows)).floats(), sums);
    assert_eq!(engine.predict(&slices(&rows[..1])).floats(), sums[..1]);
    assert!(engine.stop().success());
}

#[test]
fn a_c_model_runs_with_the_shared_library() {
    let binary = compile_c("sum.c", "cutter-container-shared");
    let mut command = Command::new(binary);
    let mut engine =
        MiniEngine::start(command.env("LD_LIBRARY_PATH", prefix().join("lib")), vector(5));
    let (rows, sums) = rows_and_sums(3, 5);
    assert_eq!(engine.predict(&slices(&rows)).floats(), sums);
    assert!(engine.stop().success());
}

#[test]
fn a_cpp_model_built_through_cmake_reads_rows_every_way() {
    let mut static_engine = MiniEngine::start(&mut Command::new(consumer("matrix")), vector(4));
    let mut shared_engine =
        MiniEngine::start(&mut Command::new(consumer("matrix-shared")), vector(4));
    for engine in [&mut static_engine, &mut shared_engine] {
        assert_eq!(engine.hello().specs(), Ok((Some(vector(4)), vector(3))));
        assert_eq!(engine.hello().items_max, Some(16));
        assert_eq!(
            (engine.hello().model.as_str(), engine.hello().model_version.as_str()),
            ("matrix", "2")
        );
        let (rows, sums) = rows_and_sums(5, 4);
        let due = |dense| sums.iter().map(|sum| bytes_of(&[*sum, *sum, dense])).collect::<Vec<_>>();
        assert_eq!(engine.predict(&slices(&rows)).outputs(), due(1.0));
        assert_eq!(engine.predict_scattered(&slices(&rows)).outputs(), due(0.0));
    }
    assert!(static_engine.stop().success());
    assert!(shared_engine.stop().success());
}

#[test]
fn an_exception_fails_the_batch_and_the_container_lives_on() {
    let mut engine = MiniEngine::start(&mut Command::new(consumer("matrix")), vector(4));
    let (good, bad) = (bytes_of(&[1.0, 2.0, 3.0, 4.0]), bytes_of(&[-1.0; 4]));
    assert_eq!(engine.predict(&[&good, &bad]), Answer::Failed("-1 is no input".into()));
    assert_eq!(engine.predict(&[&good]).outputs(), [bytes_of(&[10.0, 10.0, 1.0])]);
    assert!(engine.stop().success());
}

#[test]
fn a_pull_loop_completes_drops_and_fails() {
    let mut engine = MiniEngine::start(&mut Command::new(consumer("pull")), strings());
    let answer = engine.predict(&[b"sloop", b"", b"fail", b"gaff-rigged"]);
    let gone = |text: &str| Ok(text.as_bytes().to_vec());
    let due = vec![gone("SLOOP"), gone(""), Err("as you wish".into()), gone("GAFF-RIGGED")];
    assert_eq!(answer, Answer::Items(due));
    assert_eq!(
        engine.predict(&[b"drop", b"sloop"]),
        Answer::Failed("the model gave the batch up".into())
    );
    assert_eq!(
        engine.predict_scattered(&[b"jib", b"main"]).outputs(),
        [b"JIB".to_vec(), b"MAIN".to_vec()]
    );
    assert!(engine.stop().success());
}

#[test]
fn one_item_fails_and_the_others_do_not() {
    let mut engine = fragile("floats");
    let answer = predict_floats(&mut engine, &[1.0, 13.0, 2.0]);
    let due = vec![Ok(bytes_of(&[1.0])), Err("13 is unlucky".into()), Ok(bytes_of(&[2.0]))];
    assert_eq!(answer, Answer::Items(due));
    assert_eq!(predict_floats(&mut engine, &[3.0, 4.0]).floats(), [3.0, 4.0]);
    assert!(engine.stop().success());
}

#[test]
fn a_batch_fails_with_a_message_or_without_and_the_container_lives_on() {
    let mut engine = fragile("floats");
    let failed = Answer::Failed("1313 is a bad year".into());
    assert_eq!(predict_floats(&mut engine, &[1.0, 1313.0]), failed);
    assert_eq!(predict_floats(&mut engine, &[5.0]).floats(), [5.0]);
    assert!(engine.stop().success());
    let failed = Answer::Failed("this model always fails".into());
    assert_eq!(predict_floats(&mut fragile("fail"), &[1.0]), failed);
    let failed = Answer::Failed("the model returned 3".into());
    assert_eq!(predict_floats(&mut fragile("nonzero"), &[1.0]), failed);
}

#[test]
fn every_wrong_call_is_refused_and_does_no_harm() {
    let mut engine = fragile("misuse");
    assert_eq!(predict_floats(&mut engine, &[1.0, 2.0, 3.0]).floats(), [0.0; 3]);
    assert_eq!(predict_floats(&mut engine, &[1.0]).floats(), [0.0]);
    assert!(engine.stop().success());
}

#[test]
fn outputs_that_a_model_forgets_are_an_error_and_nobody_elses() {
    let mut engine = fragile("forgetful");
    let forgotten = Answer::Failed("the model returned without writing its outputs".into());
    for _ in 0..3 {
        assert_eq!(predict_floats(&mut engine, &[1.5, 2.5, 3.5]).floats(), [1.5, 2.5, 3.5]);
        assert_eq!(predict_floats(&mut engine, &[4.5, 5.5, 6.5]), forgotten);
    }
    assert!(engine.stop().success());
}

#[test]
fn elements_of_another_type_are_refused_with_both_types() {
    let refused = |answer| match answer {
        Answer::Failed(text) => text,
        answer => panic!("{answer:?}"),
    };
    let found = refused(predict_floats(&mut fragile("untyped"), &[1.0]));
    assert_eq!(found, "the output is of type float32, not float64");
    for (mode, due) in [
        ("row", "the input is of type float32, not float64"),
        ("text", "the input is of type float32, not string"),
        ("dense", "the input is of type float32, not int32"),
        ("gather", "the input is of type float32, not float64"),
        ("outputs", "the output is of type float32, not float64"),
        ("output", "the output is of type float32, not string"),
    ] {
        let mut command = Command::new(consumer("types"));
        let mut engine = MiniEngine::start(command.arg(mode), vector(1));
        assert_eq!(refused(predict_floats(&mut engine, &[1.0])), due, "{mode}");
    }
    let mut engine = MiniEngine::start(&mut Command::new(consumer("types")), vector(1));
    assert_eq!(predict_floats(&mut engine, &[1.0, 2.0]).floats(), [0.0; 2]);
    assert!(engine.stop().success());
}

#[test]
fn a_process_takes_the_socket_that_it_inherited_once() {
    let mut engine = fragile("twice");
    let text = match predict_floats(&mut engine, &[1.0]) {
        Answer::Failed(text) => text,
        answer => panic!("{answer:?}"),
    };
    assert!(text.contains("was taken by an earlier connection of this process"), "{text}");
    assert!(engine.stop().success());
    let text = fresh_folder("twice").join("stderr");
    let file = std::fs::File::create(&text).unwrap();
    let mut command = Command::new(example("fragile"));
    let status = MiniEngine::refuse(command.arg("twice").stderr(Stdio::from(file)), "go away");
    assert_eq!(status.code(), Some(1));
    let text = std::fs::read_to_string(text).unwrap();
    assert!(text.contains("was taken by an earlier connection of this process"), "{text}");
}

#[test]
fn a_cpp_exception_that_leaves_a_c_function_ends_the_process() {
    use std::os::unix::process::ExitStatusExt;
    let mut engine = MiniEngine::start(&mut Command::new(consumer("throws")), vector(1));
    let answer = predict_floats(&mut engine, &[1.0]);
    let Answer::Died(status) = answer else { panic!("{answer:?}") };
    assert_eq!(status.signal(), Some(6), "{status}");
}

#[test]
fn the_header_for_cpp_says_which_cpp_it_needs() {
    let source = sdk().join("tests/consumer/matrix.cpp");
    let include = format!("-I{}", prefix().join("include").display());
    let output = Command::new("c++")
        .args(["-std=c++17", "-fsyntax-only", &include])
        .arg(source)
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("cutter/container.hpp needs C++20"), "{text}");
}

#[test]
fn a_project_of_c_alone_finds_the_package() {
    let folder = fresh_folder("c-alone");
    let project = "cmake_minimum_required(VERSION 3.16)\nproject(alone LANGUAGES C)\n\
        find_package(cutter-container 0.1 REQUIRED)\nadd_executable(sum sum.c)\n\
        target_link_libraries(sum PRIVATE cutter::container)\n";
    std::fs::write(folder.join("CMakeLists.txt"), project).unwrap();
    std::fs::copy(sdk().join("../examples/sum.c"), folder.join("sum.c")).unwrap();
    let built = cmake("c-alone-build", &folder, &["all"]);
    let mut engine = MiniEngine::start(&mut Command::new(built.join("sum")), vector(2));
    assert_eq!(engine.predict(&[&bytes_of(&[1.0, 2.0])]).floats(), [3.0]);
    assert!(engine.stop().success());
}

#[test]
fn a_batch_that_is_forgotten_fails_when_the_connection_closes() {
    let mut engine = fragile("forget");
    let failed = Answer::Failed("the model gave the batch up".into());
    assert_eq!(predict_floats(&mut engine, &[1.0]), failed);
}

#[test]
fn strings_have_lengths_of_their_own() {
    let mut engine = MiniEngine::start(Command::new(example("fragile")).arg("strings"), strings());
    let (most, more) = (vec![b'x'; 4096], vec![b'x'; 4097]);
    let answer = engine.predict(&[b"sloop", b"", b"fail", &most, &more]);
    let too_long = "item 4: 4097 bytes are not an output of type string of at most 4096 bytes";
    let due = vec![
        Ok(b"sloop".to_vec()),
        Ok(Vec::new()),
        Err("as you wish: é".to_owned()),
        Ok(most),
        Err(too_long.to_owned()),
    ];
    assert_eq!(answer, Answer::Items(due));
    assert!(engine.stop().success());
}

#[test]
fn large_bytes_come_back_in_place_from_scattered_rows() {
    let input = TensorSpec::at_most(ElementType::Bytes, 1 << 20);
    let mut engine = MiniEngine::start(Command::new(example("fragile")).arg("bytes"), input);
    let rows: Vec<Vec<u8>> =
        [1 << 20, 3, 77_777].map(|bytes| (0..=250).cycle().take(bytes).collect()).into();
    assert_eq!(engine.predict_scattered(&slices(&rows)).outputs(), rows);
    assert_eq!(engine.predict(&slices(&rows)).outputs(), rows);
    assert!(engine.stop().success());
}

#[test]
fn a_model_that_ends_or_scribbles_is_seen_to() {
    let died = |answer| matches!(answer, Answer::Died(_));
    assert!(died(predict_floats(&mut fragile("floats"), &[1.0, 99.0])));
    assert!(died(predict_floats(&mut fragile("floats"), &[1.0, 666.0])));
    let answer = predict_floats(&mut fragile("floats"), &[1.0, 555.0]);
    assert!(matches!(answer, Answer::Violated(_)), "{answer:?}");
}

#[test]
fn a_container_ends_when_the_engine_is_gone() {
    let mut engine = fragile("floats");
    assert_eq!(predict_floats(&mut engine, &[1.0]).floats(), [1.0]);
    assert_eq!(engine.vanish().code(), Some(1));
}

#[test]
fn a_refused_model_prints_the_engines_reason() {
    let (code, text) = complaint(example("sum"), "no model of this name");
    let due = "sum: the engine refused this container: no model of this name\n";
    assert_eq!((code, text.as_str()), (Some(1), due));
}

#[test]
fn a_model_started_without_an_engine_says_what_to_do() {
    let mut command = Command::new(example("sum"));
    let output = command.env_remove("CUTTER_FD").env_remove("CUTTER_SOCKET").output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("set CUTTER_SOCKET to the path of its container socket"), "{text}");
}

#[test]
fn the_synthetic_model_obeys_its_control_file_while_it_runs() {
    let control = fresh_folder("synthetic").join("times");
    let mut command = Command::new(example("synthetic"));
    let command = command.args(["0", "0", "--control"]).arg(&control);
    let mut engine = MiniEngine::start(command, vector(1));
    assert_eq!(predict_floats(&mut engine, &[0.0; 3]).floats(), [3.0; 3]);
    assert_eq!(std::fs::read(&control).unwrap(), [0; 16]);
    let never = [f64::NAN.to_le_bytes(), 0f64.to_le_bytes()].concat();
    std::fs::write(&control, never).unwrap();
    let failed = Answer::Failed("the service time is not between 0 and 60 s".into());
    assert_eq!(predict_floats(&mut engine, &[0.0; 3]), failed);
    assert!(engine.stop().success());
}

#[test]
fn the_synthetic_model_takes_its_time() {
    let mut command = Command::new(example("synthetic"));
    let mut engine = MiniEngine::start(command.args(["2000", "500"]), vector(1));
    let start = std::time::Instant::now();
    assert_eq!(predict_floats(&mut engine, &[0.0; 4]).floats(), [4.0; 4]);
    assert!(start.elapsed().as_micros() >= 4000);
    assert!(engine.stop().success());
}

#[test]
fn destdir_moves_the_files_and_leaves_the_prefix() {
    let stage = fresh_folder("stage");
    run(Command::new(sdk().join("install.sh")).arg("/opt/cutter").env("DESTDIR", &stage));
    let lib = stage.join("opt/cutter/lib");
    let text = std::fs::read_to_string(lib.join("pkgconfig/cutter-container.pc")).unwrap();
    assert!(text.starts_with("prefix=/opt/cutter\n"), "{text}");
    assert!(!text.contains('@'), "{text}");
    assert!(lib.join("libcutter_c.so").exists());
}

#[test]
fn install_without_a_prefix_explains_itself() {
    let output = Command::new(sdk().join("install.sh")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("usage: install.sh PREFIX"));
}
