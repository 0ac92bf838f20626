//! Replicas that are started by their command.

use std::path::Path;

use cutter_core::{Death, Id};
use cutter_machine::affinity;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::super::spawn::spawn;
use super::world::{DOWN, EXPECTED, Told, World, container, is_gone, json_of, model, until};
use crate::carrier::KillReason;
use crate::config::Config;
use crate::limits::{LOADING_EXPECTED_NS, OUTPUT_READ_BYTES_MAX, OUTPUT_READ_WINDOW_NS};
use crate::messages::ToControl;

const LOST: Told = Told::Lost { replica: 0, incarnation: 1, death: Death::Crash };

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

fn last_error(world: &World) -> String {
    until("an error", || Some(world.replica(0)["last_error"].as_str()?.to_owned()))
}

#[test]
fn a_command_that_does_not_exist_is_named_while_the_server_goes_on() {
    let mut world = World::start(&model(&["./missing"]));
    assert_eq!(world.hear(), DOWN);
    let error = last_error(&world);
    assert!(error.starts_with("cannot start /"), "{error}");
    assert!(
        error.ends_with("No such file or directory (os error 2); build it, or correct `command`")
    );
    let (status, ready) = world.ready();
    assert_eq!((status, &ready["status"]), (503, &"not_ready".into()));
    assert_eq!(ready["reasons"][0], "no replica of model m is up");
    assert_eq!(ready["models"][0]["replicas"][0]["state"], "backing_off");
    world.end(vec![]);
}

#[test]
fn a_bare_name_that_no_folder_of_the_path_has_is_named() {
    let world = World::start(&model(&["no-such-program-anywhere"]));
    let error = last_error(&world);
    assert!(error.contains("no folder of PATH has it"), "{error}");
}

#[test]
fn a_file_that_may_not_be_run_is_named() {
    let world = World::start(&model(&["/etc/passwd"]));
    let error = last_error(&world);
    assert!(error.contains("Permission denied"), "{error}");
    assert!(error.contains("chmod +x"), "{error}");
}

#[test]
fn a_command_that_ends_at_once_is_started_again_and_again() {
    let script = "echo out; echo err >&2; exit 3";
    let mut world = World::start(&model(&["sh", "-c", script]));
    assert_eq!([world.hear(), world.hear(), world.hear()], [DOWN, EXPECTED, DOWN]);
    until("two restarts", || (world.stats.models[0].restarts.get() >= 2).then_some(()));
    let expected = "its process ended (exit status: 3); its last line on stderr: err";
    assert_eq!(last_error(&world), expected);
    world.end(vec![]);
    let log = world.log();
    assert!(log.contains("out model=\"m\" replica=0"), "{log}");
    assert!(log.contains("err model=\"m\" replica=0"), "{log}");
    let gone = log.lines().filter(|line| line.contains("gone (exit status: 3)"));
    assert!(
        gone.clone().count() >= 2 && gone.clone().any(|l| l.contains("retry_in_ms=200")),
        "{log}"
    );
    assert_eq!(log.matches(expected).count(), 1, "told once: {log}");
}

/// One replica of model `m` that has 300 ms to serve.
fn impatient(command: &[&str]) -> String {
    format!("{}load_timeout_us = 300000\n", model(command))
}

#[test]
fn a_process_that_loads_is_called_so_and_waited_for() {
    let mut world = World::start(&model(&["sleep", "1000"]));
    let pid = world.pid(0);
    assert_eq!(world.replica(0)["state"], "loading");
    // After a while queries do not wait for it any more. It goes on.
    assert_eq!(world.hear(), DOWN);
    let shown = world.replica(0);
    assert_eq!((&shown["state"], &shown["pid"]), (&"loading".into(), &pid.into()));
    assert!(shown["for_ms"].as_u64().unwrap() >= LOADING_EXPECTED_NS / 1_000_000, "{shown}");
    assert!(shown["last_error"].is_null());
    world.end(vec![]);
}

#[test]
fn a_process_that_never_connects_is_killed_and_named() {
    let mut world = World::start(&impatient(&["sleep", "1000"]));
    let pid = world.pid(0);
    assert_eq!(world.hear(), DOWN);
    until("its death", || is_gone(pid).then_some(()));
    let error = last_error(&world);
    assert!(error.starts_with("it did not say hello within 300 ms"), "{error}");
    world.end(vec![]);
}

#[test]
fn what_a_killed_process_started_is_killed_with_it() {
    let script = "sleep 1000 & echo started $!; exec sleep 1000";
    let world = World::start(&impatient(&["sh", "-c", script]));
    let line = world.logged("started ");
    let child: i32 = line.split(' ').next().unwrap().parse().unwrap();
    until("its death", || is_dead(child).then_some(()));
}

/// Gone, or waiting to be reaped by whoever inherited it.
fn is_dead(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

#[test]
fn a_killed_replica_is_told_and_started_again() {
    let mut world = World::start(&container("serves"));
    let first = world.hear_up(0, 1);
    assert_eq!(first.geometry().items_max, 8);
    assert_eq!(world.ready().0, 200);
    kill(world.pid(0));
    assert_eq!(world.hear(), LOST);
    let second = world.hear_up(0, 2);
    assert_eq!(last_error(&world), "its process ended (signal: 9 (SIGKILL))");
    assert_eq!(world.replica(0)["restarts"], 1);
    assert_eq!(world.stats.models[0].restarts.get(), 1);
    world.end(vec![second]);
}

#[test]
fn one_replica_of_two_keeps_the_model_expected() {
    let mut world = World::start(&format!("{}replicas = 2\n", container("serves")));
    let ups = [world.hear(), world.hear()];
    assert!(ups.contains(&Told::Up { replica: 0, incarnation: 1 }), "{ups:?}");
    assert!(ups.contains(&Told::Up { replica: 1, incarnation: 1 }), "{ups:?}");
    kill(world.pid(1));
    assert_eq!(world.hear(), Told::Lost { replica: 1, incarnation: 1, death: Death::Crash });
    assert_eq!(world.hear(), Told::Up { replica: 1, incarnation: 2 });
    assert_eq!(world.ready().0, 200);
}

#[test]
fn an_incarnation_that_the_engine_gives_up_is_killed_and_no_other_is() {
    let mut world = World::start(&container("serves"));
    let _end = world.hear_up(0, 1);
    let pid = world.pid(0);
    let reason = KillReason::Hang { running_ns: 7_000_000 };
    let of = |replica| Id::from_bits(replica);
    world.tell(ToControl::Kill { replica: of(0), incarnation: 99, reason });
    world.tell(ToControl::Kill { replica: of(9), incarnation: 1, reason });
    assert_eq!(world.ready().0, 200);
    world.tell(ToControl::Kill { replica: of(0), incarnation: 1, reason });
    assert_eq!(world.hear(), LOST);
    until("its death", || is_gone(pid).then_some(()));
    assert_eq!(last_error(&world), "it was killed: a batch has been running for 7 ms");
}

#[test]
fn a_replica_that_closes_its_socket_but_stays_is_killed() {
    let mut world = World::start(&container("closes_its_socket_and_stays"));
    let _end = world.hear_up(0, 1);
    assert_eq!(world.hear(), LOST);
    assert_eq!(last_error(&world), "it closed its socket to the engine");
}

#[test]
fn a_replica_that_talks_after_the_handshake_is_killed() {
    let mut world = World::start(&container("talks_after_the_handshake"));
    let _end = world.hear_up(0, 1);
    assert_eq!(world.hear(), LOST);
    assert!(last_error(&world).starts_with("it was killed: it sent a message"));
}

#[test]
fn a_container_of_another_version_is_refused_and_killed() {
    let mut world = World::start(&container("says_hello_and_no_more"));
    let pid = world.pid(0);
    assert_eq!(world.hear(), DOWN);
    assert!(last_error(&world).starts_with("the container speaks ABI 99.0, the engine 2.0"));
    until("its death", || is_gone(pid).then_some(()));
}

#[test]
fn a_container_of_another_input_is_refused_with_both_named() {
    let mut world = World::start(&container("takes_another_input"));
    assert_eq!(world.hear(), DOWN);
    let error = last_error(&world);
    let expected = "the container takes int32, but application digits sends float32[4]";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn a_replica_runs_on_the_core_that_was_asked_for() {
    let core = *affinity::allowed().unwrap().last().unwrap();
    let mut world = World::start(&format!("{}cpus = [{core}]\n", container("serves")));
    let _end = world.hear_up(0, 1);
    let pid = Pid::from_raw(world.pid(0));
    assert_eq!(affinity::cores_of(pid).unwrap(), [core]);
    assert!(world.replica(0)["not_pinned"].is_null());
}

#[test]
fn a_replica_inherits_its_socket_and_nothing_else_of_the_engine() {
    let world = World::start(&model(&["sleep", "1000"]));
    let pid = world.pid(0);
    let links = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    // What the loader of the program has open goes away under us.
    let links = links.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
    let links: Vec<String> = links.map(|link| link.to_str().unwrap().to_owned()).collect();
    let of_kind = |kind: &str| links.iter().filter(|link| link.starts_with(kind)).count();
    assert_eq!(["socket:", "anon_inode:", "/memfd:"].map(of_kind), [1, 0, 0], "{links:?}");
}

#[test]
fn a_replica_dies_with_the_thread_that_started_it() {
    let text = model(&["sleep", "1000"]);
    let config = Config::from_toml(&text, Path::new("/tmp"), "c").unwrap().0;
    let start = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let model = &config.models[0];
        let spawned = spawn(model, model.command.as_ref().unwrap(), 0).unwrap();
        let pid = spawned.process.pid();
        // As if the engine had been killed: nothing of it does anything any more.
        std::mem::forget(spawned.process);
        pid
    };
    let pid = std::thread::spawn(start).join().unwrap();
    let (_, status) = waitpid(Some(pid), WaitOptions::empty()).unwrap().unwrap();
    assert_eq!(status.terminating_signal(), Some(Signal::KILL.as_raw()));
}

#[test]
fn a_core_that_cannot_be_had_is_told_and_the_replica_runs_without() {
    let mut world = World::start(&format!("{}cpus = [1023]\n", container("serves")));
    let _end = world.hear_up(0, 1);
    let text = world.replica(0)["not_pinned"].as_str().unwrap().to_owned();
    assert!(text.starts_with("core 1023 is not among the cores"), "{text}");
    assert!(world.log().contains("not pinned: core 1023"));
    assert_eq!(world.ready().0, 200);
}

#[test]
fn output_without_end_is_dropped_and_counted() {
    let world = World::start(&model(&["sh", "-c", "seq -f 'line %g' 400; exec sleep 1000"]));
    world.logged("... 300 lines dropped model=\"m\"");
    assert!(world.log().contains("line 100 model=\"m\""));
    assert!(!world.log().contains("line 101 model=\"m\""));
}

#[test]
fn a_replica_that_prints_without_end_waits_for_its_pipe() {
    let world = World::start(&model(&["sh", "-c", "exec yes"]));
    world.logged("bytes/s; when it prints more, it waits)");
    let rate = OUTPUT_READ_BYTES_MAX as u64 * 1_000_000_000 / OUTPUT_READ_WINDOW_NS;
    let (pid, from) = (world.pid(0), std::time::Instant::now());
    let written = || {
        let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
        let bytes = io.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap();
        bytes.parse::<u64>().unwrap()
    };
    let before = written();
    std::thread::sleep(std::time::Duration::from_secs(2));
    let seconds = from.elapsed().as_secs() + 1;
    // What is in the pipe, and a window more.
    let most = rate * seconds + 2 * OUTPUT_READ_BYTES_MAX as u64;
    let bytes = written() - before;
    assert!(bytes <= most, "{bytes} in {seconds} s, {most} at most");
    assert_eq!(world.log().matches("when it prints more, it waits").count(), 1);
}

#[test]
fn a_model_that_fails_is_seen_by_its_operator() {
    let mut world = World::start(&container("serves"));
    let _end = world.hear_up(0, 1);
    world.stats.models[0].replicas[0].batches.add(6);
    world.stats.models[0].batches_failed.add(6);
    for _ in 0..5 {
        let text = "no weights\nfor \u{1b}[31mthis".to_owned();
        world.tell(ToControl::ModelFailed { model: Id::from_bits(0), text });
    }
    world.logged("a batch failed: no weights\\nfor \\u{1b}[31mthis");
    world.logged("the model fails its batches");
    let (status, ready) = world.ready();
    assert_eq!((status, &ready["status"]), (200, &"degraded".into()));
    assert_eq!(ready["reasons"][0], "model m fails: 6 of its last 6 batches");
    let stats = &json_of(world.admin, "/stats")["models"][0];
    assert_eq!((&stats["batches_failed"], &stats["failed_share"]), (&6.into(), &1.0.into()));
    assert_eq!(stats["last_error"], "no weights\\nfor \\u{1b}[31mthis");
    assert_eq!(world.log().matches("a batch failed").count(), 1, "told once in a while");
}
