//! How the control thread ends: nothing is left.

use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

use super::super::Timing;
use super::world::{Told, World, container, is_gone, model, quick, until};
use crate::messages::ToControl;

#[test]
fn a_drained_server_ends_its_replicas_and_leaves_nothing() {
    let mut world = World::start(&format!("{}replicas = 2\n", container("serves")));
    let ends = vec![world.hear_with_end().1.unwrap(), world.hear_with_end().1.unwrap()];
    let pids = [world.pid(0), world.pid(1)];
    world.end(ends);
    assert_eq!(pids.map(is_gone), [true, true]);
    assert!(!world.socket().exists());
    assert_eq!(world.log().matches("gone (exit status: 0)").count(), 2, "{}", world.log());
}

#[test]
fn a_draining_server_keeps_its_replicas_and_is_not_ready() {
    let mut world = World::start(&container("serves"));
    let end = world.hear_up(0, 1);
    world.ask_to_stop();
    assert_eq!(world.hear(), Told::Drain);
    let (status, ready) = world.ready();
    assert_eq!((status, &ready["status"]), (503, &"draining".into()));
    assert_eq!(ready["models"][0]["replicas"][0]["state"], "up");
    world.end_drained(vec![end]);
}

#[test]
fn a_replica_that_does_not_end_when_asked_is_killed() {
    let mut world = World::start_with(&container("does_not_end_when_asked"), quick(), false);
    let end = world.hear_up(0, 1);
    let pid = world.pid(0);
    world.end(vec![end]);
    assert!(is_gone(pid));
    assert!(world.log().contains("gone (signal: 9 (SIGKILL))"), "{}", world.log());
}

#[test]
fn a_replica_in_its_handshake_does_not_delay_the_end() {
    let mut world = World::start(&model(&["sleep", "1000"]));
    let pid = world.pid(0);
    world.end(vec![]);
    assert!(is_gone(pid));
}

#[test]
fn an_engine_thread_that_does_not_drain_is_not_waited_for_without_end() {
    let timing = Timing { drain: Duration::from_millis(100), ..quick() };
    let mut world = World::start_with(&container("serves"), timing, false);
    let _end = world.hear_up(0, 1);
    let pid = world.pid(0);
    world.ask_to_stop();
    world.join();
    assert!(is_gone(pid));
    assert!(world.log().contains("the engine thread does not drain"));
}

#[test]
fn an_engine_thread_that_ends_before_its_time_takes_everything_with_it() {
    let mut world = World::start(&container("serves"));
    let _end = world.hear_up(0, 1);
    let pid = world.pid(0);
    world.to_control = None;
    world.join();
    assert!(is_gone(pid));
    assert!(world.log().contains("the engine thread has ended before its time"));
}

/// One test, since signals reach all of a process.
#[test]
fn the_first_signal_drains_and_the_second_kills_and_others_do_nothing() {
    let mut world = World::start_with(&container("does_not_end_when_asked"), quick(), true);
    let _end = world.hear_up(0, 1);
    let pid = world.pid(0);
    for (signal, name) in
        [(Signal::HUP, "SIGHUP"), (Signal::USR1, "SIGUSR1"), (Signal::USR2, "SIGUSR2")]
    {
        kill_process(getpid(), signal).unwrap();
        world.logged(&format!("{name}: nothing is done"));
    }
    assert_eq!(world.ready().0, 200);
    kill_process(getpid(), Signal::TERM).unwrap();
    assert_eq!(world.hear(), Told::Drain);
    assert!(!is_gone(pid));
    kill_process(getpid(), Signal::INT).unwrap();
    // What waits is answered as an end, before there is no model for it any more.
    assert_eq!(world.hear(), Told::EndNow);
    let lost = world.hear();
    assert!(matches!(lost, Told::Lost { replica: 0, .. }), "{lost:?}");
    world.join();
    assert!(is_gone(pid));
    assert!(world.log().contains("SIGINT during the drain: ending at once"));
}

#[test]
fn a_drained_engine_may_be_gone_before_its_last_message_is_read() {
    let mut world = World::start(&container("serves"));
    let mut end = world.hear_up(0, 1);
    world.ask_to_stop();
    assert_eq!(world.hear(), Told::Drain);
    end.stop();
    world.tell(ToControl::Drained);
    world.to_control = None;
    world.join();
    until("the log", || world.log().contains("gone (exit status: 0)").then_some(()));
}
