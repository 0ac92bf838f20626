//! Containers that connect to the container socket; the test itself is one.

use cutter_core::Death;
use cutter_protocol::container::{ContainerEnd, ContainerError};
use cutter_protocol::handshake::{Hello, connect, join};
use cutter_tensor::{ElementType, TensorSpec};

use super::containers::{hello, output};
use super::world::{DIGITS, DOWN, EXPECTED, Told, World, until};

fn by_hand(replicas: u32) -> String {
    format!("{DIGITS}\n[[model]]\nname = \"m\"\nreplicas = {replicas}\n")
}

fn join_as(world: &World, hello: &Hello) -> Result<ContainerEnd, String> {
    let socket = connect(&world.socket()).unwrap();
    join(socket, hello).map_err(|error| match error {
        ContainerError::Refused { text } => text,
        other => other.to_string(),
    })
}

fn lost(replica: usize, incarnation: u64, death: Death) -> Told {
    Told::Lost { replica, incarnation, death }
}

#[test]
fn a_container_that_connects_is_up_until_its_socket_closes() {
    let mut world = World::start(&by_hand(1));
    assert_eq!(world.hear(), DOWN);
    assert_eq!(world.replica(0)["state"], "not_connected");
    let container = join_as(&world, &hello()).unwrap();
    assert_eq!(world.hear(), EXPECTED);
    let _end = world.hear_up(0, 1);
    assert_eq!(world.ready().0, 200);
    assert_eq!(world.replica(0)["pid"], std::process::id());
    drop(container);
    assert_eq!([world.hear(), world.hear()], [lost(0, 1, Death::Crash), DOWN]);
    let _container = join_as(&world, &hello()).unwrap();
    assert_eq!([world.hear(), world.hear()], [EXPECTED, Told::Up { replica: 0, incarnation: 2 }]);
    assert_eq!(world.stats.models[0].restarts.get(), 1);
}

#[test]
fn a_container_that_finds_every_replica_connected_is_refused() {
    let mut world = World::start(&by_hand(2));
    assert_eq!(world.hear(), DOWN);
    let _first = join_as(&world, &hello()).unwrap();
    let _second = join_as(&world, &hello()).unwrap();
    let refused = join_as(&world, &hello()).unwrap_err();
    let expected = "all 2 replicas of model m are connected; raise `replicas` in the \
                    configuration for more";
    assert_eq!(refused, expected);
}

#[test]
fn a_container_of_a_model_that_is_not_there_is_refused() {
    let mut world = World::start(&by_hand(1));
    assert_eq!(world.hear(), DOWN);
    let model = "other".to_owned();
    let refused = join_as(&world, &Hello { model, ..hello() }).unwrap_err();
    assert_eq!(refused, "there is no model other; those started by hand are: m:1");
    assert!(world.logged("a container that connected was refused: ").starts_with("there is no"));
}

#[test]
fn a_name_with_a_line_end_stays_within_its_line() {
    let mut world = World::start(&by_hand(1));
    assert_eq!(world.hear(), DOWN);
    let model = "a\nERROR \"b\u{1b}[31m".to_owned();
    let model_version = "\r\n9".to_owned();
    let refused = join_as(&world, &Hello { model, model_version, ..hello() }).unwrap_err();
    let shown =
        "there is no model a\\nERROR \\\"b\\u{1b}[31m:\\r\\n9; those started by hand are: m:1";
    assert_eq!(refused, shown);
    world.logged(shown);
}

#[test]
fn connections_that_say_nothing_keep_no_container_out_and_do_not_fill_the_log() {
    let mut world = World::start(&by_hand(1));
    assert_eq!(world.hear(), DOWN);
    let mute: Vec<_> = (0..300).map(|_| connect(&world.socket()).unwrap()).collect();
    let _container = join_as(&world, &hello()).unwrap();
    assert_eq!(world.hear(), EXPECTED);
    let _end = world.hear_up(0, 1);
    drop(mute);
    let count = world.logged("more containers were refused that are not listed count=");
    assert!(count.parse::<u64>().unwrap() > 100, "{count}");
    // A few windows, if this machine is slow.
    let told = world.log().matches("a container that connected was refused").count();
    assert!(told <= 5 * crate::limits::REFUSAL_LINES_MAX as usize, "{told}");
}

#[test]
fn a_second_replica_must_give_the_output_of_the_first() {
    let mut world = World::start(&by_hand(2));
    assert_eq!(world.hear(), DOWN);
    let _first = join_as(&world, &hello()).unwrap();
    assert_eq!(world.hear(), EXPECTED);
    let _end = world.hear_up(0, 1);
    let output = output(TensorSpec::scalar(ElementType::Int32));
    let refused = join_as(&world, &Hello { output, ..hello() }).unwrap_err();
    assert!(refused.starts_with("the container gives int32, but replicas of model m"), "{refused}");
    assert_eq!(world.replica(1)["state"], "not_connected");
    assert_eq!(world.ready().0, 200);
}

#[test]
fn something_that_is_no_container_is_refused_and_harms_nobody() {
    let mut world = World::start(&by_hand(1));
    assert_eq!(world.hear(), DOWN);
    let socket = connect(&world.socket()).unwrap();
    rustix::net::send(&socket, b"GET / HTTP/1.1", rustix::net::SendFlags::empty()).unwrap();
    world.logged("the first message has 14 bytes");
    let _container = join_as(&world, &hello()).unwrap();
    assert_eq!(world.hear(), EXPECTED);
    let _end = world.hear_up(0, 1);
}

#[test]
fn a_container_that_hangs_up_in_the_handshake_frees_its_place() {
    let mut world = World::start(&by_hand(1));
    assert_eq!(world.hear(), DOWN);
    drop(connect(&world.socket()).unwrap());
    world.logged("it closed its socket during the handshake");
    let _container = join_as(&world, &hello()).unwrap();
    assert_eq!(world.hear(), EXPECTED);
}

#[test]
fn the_end_of_the_server_waits_for_a_container_that_leaves_when_asked() {
    let mut world = World::start(&by_hand(1));
    assert_eq!(world.hear(), DOWN);
    let container = join_as(&world, &hello()).unwrap();
    assert_eq!(world.hear(), EXPECTED);
    let end = world.hear_up(0, 1);
    world.ask_to_stop();
    assert_eq!(world.hear(), Told::Drain);
    until("the socket's end", || (!world.socket().exists()).then_some(()));
    drop(container);
    world.end_drained(vec![end]);
}
