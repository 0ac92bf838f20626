//! Containers for the tests of this module to start: the test binary is run again with one of these
//! as its only test. Run without an engine, they do nothing.

use std::os::fd::OwnedFd;

use cutter_protocol::container::{ContainerEnd, Next};
use cutter_protocol::handshake::{Hello, join, socket_from_environment};
use cutter_tensor::{ElementType, INPUT_NAME, OUTPUT_NAME, Shape, Signature, TensorSpec};

pub fn hello() -> Hello {
    Hello {
        input: Some(input(TensorSpec::exact(ElementType::Float32, Shape::new(&[4]).unwrap()))),
        output: output(TensorSpec::scalar(ElementType::Float32)),
        items_max: Some(8),
        may_warm_up: false,
        sdk: "test".to_owned(),
        sdk_version: "1".to_owned(),
        model: String::new(),
        model_version: String::new(),
        pid: std::process::id(),
    }
}

pub fn input(spec: TensorSpec) -> Signature {
    Signature::of_one(INPUT_NAME, spec).unwrap()
}

pub fn output(spec: TensorSpec) -> Signature {
    Signature::of_one(OUTPUT_NAME, spec).unwrap()
}

fn sleep_for_ever() {
    std::thread::sleep(std::time::Duration::from_secs(3600));
}

fn with_engine(live: impl FnOnce(OwnedFd)) {
    if let Ok(socket) = socket_from_environment() {
        live(socket);
    }
}

fn serve(mut end: ContainerEnd) {
    assert_eq!(end.next(None).unwrap(), Next::Stop);
}

#[test]
#[ignore = "a container, started by other tests"]
fn serves() {
    with_engine(|socket| serve(join(socket, &hello()).unwrap()));
}

#[test]
#[ignore = "a container, started by other tests"]
fn does_not_end_when_asked() {
    with_engine(|socket| {
        let _end = join(socket, &hello()).unwrap();
        sleep_for_ever();
    });
}

#[test]
#[ignore = "a container, started by other tests"]
fn closes_its_socket_and_stays() {
    with_engine(|socket| {
        drop(join(socket, &hello()).unwrap());
        sleep_for_ever();
    });
}

#[test]
#[ignore = "a container, started by other tests"]
fn takes_another_input() {
    with_engine(|socket| {
        let input = Some(input(TensorSpec::scalar(ElementType::Int32)));
        join(socket, &Hello { input, ..hello() }).unwrap();
    });
}

#[test]
#[ignore = "a container, started by other tests"]
fn talks_after_the_handshake() {
    with_engine(|socket| {
        let end = join(socket, &hello()).unwrap();
        rustix::net::send(end.socket(), b"hello?", rustix::net::SendFlags::empty()).unwrap();
        sleep_for_ever();
    });
}

#[test]
#[ignore = "a container, started by other tests"]
fn says_hello_and_no_more() {
    with_engine(|socket| {
        // A hello of the right length and beginning, in a version that does not exist.
        let mut wire = [0u8; 392];
        wire[..8].copy_from_slice(b"CUTTERhi");
        wire[8..10].copy_from_slice(&99u16.to_le_bytes());
        rustix::net::send(&socket, &wire, rustix::net::SendFlags::empty()).unwrap();
        sleep_for_ever();
    });
}
