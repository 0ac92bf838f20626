//! The handshake, message by message: what is said, what is refused and why, and what neither side
//! believes of the other.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use bytemuck::Zeroable;
use cutter_protocol::container::{ContainerEnd, ContainerError};
use cutter_protocol::engine::EngineEnd;
use cutter_protocol::handshake::{
    Hello, HelloError, connect, is_ready, join, receive_from_container, send_refusal,
};
use cutter_protocol::layout::{Geometry, GeometryError};
use cutter_protocol::limits::{
    BATCH_ITEMS_MAX, DEPTH_MAX, NAME_BYTES, OUTPUT_SLOT_BYTES_MAX, POOLS_MAX, REFUSAL_BYTES,
};
use cutter_protocol::segment::{Segment, SegmentError, Writer};
use cutter_protocol::wire::{
    ABI_MAJOR, ABI_MINOR, ANSWER_ACCEPTED, ANSWER_MAGIC, HELLO_MAGIC, READY_MAGIC, SPEC_EXACT,
    WireAnswer, WireHello, WirePool, WireSignature, WireSpec, field_text,
};
use cutter_tensor::limits::ITEM_BYTES_MAX;
use cutter_tensor::{ElementType, Shape, Signature, SignatureError, SpecError, TensorSpec};
use proptest::prelude::*;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown};

use crate::support::{
    self, Setup, at_most_bytes, exact_bytes, hello, input_of, output_of, receive, serve,
    socket_pair,
};

/// The bytes of the hello that a container with this description sends.
fn hello_message(hello: &Hello) -> Vec<u8> {
    let (engine, container) = socket_pair();
    send_refusal(engine.as_fd(), "only the hello matters").unwrap();
    join(container, hello).unwrap_err();
    receive(&engine)
}

fn named(name: &str, spec: TensorSpec) -> Signature {
    Signature::of_one(name, spec).unwrap()
}

/// What the engine makes of a hello in which something was changed.
fn read_with(tamper: impl FnOnce(&mut WireHello)) -> Result<Hello, HelloError> {
    let message = hello_message(&hello(exact_bytes(8)));
    let mut wire: WireHello = bytemuck::pod_read_unaligned(&message);
    tamper(&mut wire);
    Hello::read(bytemuck::bytes_of(&wire))
}

#[test]
fn a_hello_arrives_as_it_was_said() {
    let shape = Shape::new(&[28, 28]).unwrap();
    let input = TensorSpec::exact(ElementType::Float32, shape);
    let said = [
        hello(exact_bytes(8)),
        hello(at_most_bytes(1)),
        Hello { input: Some(input_of(input)), items_max: None, ..hello(at_most_bytes(9)) },
        Hello { output: named("dense/BiasAdd", at_most_bytes(9)), ..hello(at_most_bytes(9)) },
        Hello { model: String::new(), model_version: "é".repeat(32), ..hello(exact_bytes(1)) },
        Hello { may_warm_up: true, ..hello(exact_bytes(8)) },
    ];
    for said in said {
        assert_eq!(Hello::read(&hello_message(&said)), Ok(said));
    }
}

#[test]
fn a_name_that_is_too_long_is_cut_at_a_character() {
    let said = Hello { sdk: format!("x{}", "é".repeat(32)), ..hello(exact_bytes(8)) };
    let heard = Hello::read(&hello_message(&said)).unwrap();
    assert_eq!(heard.sdk, format!("x{}", "é".repeat(31)));
    assert_eq!(heard.sdk.len(), NAME_BYTES - 1);
}

#[test]
fn features_that_the_engine_does_not_know_are_ignored() {
    let heard = [0, 1, !1, u64::MAX].map(|features| read_with(|wire| wire.features = features));
    let may_warm_up = heard.map(|hello| hello.unwrap().may_warm_up);
    assert_eq!(may_warm_up, [false, true, false, true]);
}

#[test]
fn a_name_that_is_not_text_is_still_read() {
    let heard = read_with(|wire| wire.model = [0xff; NAME_BYTES]).unwrap();
    assert_eq!(heard.model, "\u{fffd}".repeat(NAME_BYTES));
}

#[test]
fn no_part_of_a_hello_is_a_hello() {
    let message = hello_message(&hello(exact_bytes(8)));
    for bytes in 0..message.len() {
        assert_eq!(Hello::read(&message[..bytes]), Err(HelloError::NotAHello { bytes }));
    }
}

#[test]
fn bytes_after_a_hello_are_ignored() {
    let said = hello(exact_bytes(8));
    let message = [hello_message(&said), vec![0xff; 100]].concat();
    assert_eq!(Hello::read(&message), Ok(said));
}

#[test]
fn another_version_is_refused_by_its_number() {
    for (major, minor) in [
        (ABI_MAJOR + 1, ABI_MINOR),
        (ABI_MAJOR - 1, ABI_MINOR),
        (ABI_MAJOR, ABI_MINOR + 1),
        (ABI_MAJOR, u16::MAX),
        (0, 0),
        (u16::MAX, 0),
    ] {
        let found = read_with(|wire| (wire.abi_major, wire.abi_minor) = (major, minor));
        assert_eq!(found, Err(HelloError::Version { major, minor }));
    }
}

#[test]
fn another_version_is_known_by_the_first_sixteen_bytes() {
    let mut wire = WireHello::zeroed();
    wire.magic = HELLO_MAGIC;
    (wire.abi_major, wire.abi_minor) = (ABI_MAJOR + 1, 3);
    let message = bytemuck::bytes_of(&wire);
    let expected = HelloError::Version { major: ABI_MAJOR + 1, minor: 3 };
    assert_eq!(Hello::read(&message[..16]), Err(expected));
    assert_eq!(Hello::read(&message[..15]), Err(HelloError::NotAHello { bytes: 15 }));
}

#[test]
fn another_magic_is_not_a_hello() {
    let bytes = size_of::<WireHello>();
    assert_eq!(read_with(|wire| wire.magic ^= 1), Err(HelloError::NotAHello { bytes }));
}

#[test]
fn structs_of_another_size_are_refused() {
    let good = [64, 64, 16, 8];
    assert!(read_with(|wire| wire.struct_bytes = good).is_ok());
    for index in 0..good.len() {
        let mut found = good;
        found[index] += 8;
        let refused = read_with(|wire| wire.struct_bytes = found);
        assert_eq!(refused, Err(HelloError::Structs { found }));
    }
}

#[test]
fn a_type_that_means_nothing_is_refused() {
    let none = WireSignature::zeroed();
    let any = WireSpec::zeroed();
    let unknown = WireSpec { element: 5, ..any };
    let huge = WireSpec { extent: SPEC_EXACT, rank: 1, ..any };
    let huge = WireSpec { dims: [u32::MAX, 0, 0, 0, 0, 0, 0, 0], ..huge };
    let hollow = WireSpec { rank: 2, dims: [u32::MAX, 0, 0, 0, 0, 0, 0, 0], ..huge };
    // A container must say what it gives, and need not say what it takes.
    assert!(read_with(|wire| wire.input = none).is_ok());
    assert_eq!(read_with(|wire| wire.output = none), Err(HelloError::NoOutput));
    for (spec, why) in [
        (unknown, SpecError::Element { element: 5 }),
        (huge, SpecError::Bytes { bytes: u32::MAX as usize }),
        (hollow, SpecError::EmptyShape { dimension: 1 }),
        (WireSpec { extent: 3, ..any }, SpecError::Extent { extent: 3 }),
    ] {
        let name = "output".to_owned();
        let refused = |which| {
            let why = SignatureError::Spec { name: name.clone(), why };
            Err(HelloError::Signature { which, why })
        };
        assert_eq!(read_with(|wire| wire.output.tensors[0].spec = spec), refused("output"));
        let input = |wire: &mut WireHello| {
            wire.input = wire.output;
            wire.input.tensors[0].spec = spec;
        };
        assert_eq!(read_with(input), refused("input"));
    }
}

#[test]
fn a_container_hears_of_a_type_that_cannot_be_used_before_it_says_hello() {
    let (_engine, socket) = socket_pair();
    let refused = join(socket, &Hello { output: two(), ..hello(exact_bytes(8)) }).unwrap_err();
    let due = "the model's output type cannot be used: 2 tensors; one is served in this version";
    assert_eq!(refused.to_string(), due);
    let (_engine, socket) = socket_pair();
    let refused = join(socket, &Hello { input: Some(two()), ..hello(exact_bytes(8)) }).unwrap_err();
    assert_eq!(refused.to_string(), due.replace("output", "input"));
}

fn two() -> Signature {
    Signature::new(&[("a", exact_bytes(8)), ("b", exact_bytes(8))]).unwrap()
}

#[test]
fn a_hello_of_several_tensors_is_refused_for_now() {
    let why = SignatureError::Several { count: 2 };
    let refused = |which| Err(HelloError::Signature { which, why: why.clone() });
    assert_eq!(read_with(|wire| wire.output = (&two()).into()), refused("output"));
    assert_eq!(read_with(|wire| wire.input = (&two()).into()), refused("input"));
    let text = HelloError::Signature { which: "output", why }.to_string();
    let due =
        "the container's output type cannot be used: 2 tensors; one is served in this version";
    assert_eq!(text, due);
}

#[test]
fn a_hello_of_the_first_version_is_told_of_the_versions() {
    // As it was: shorter, with one type for the input and one for the output.
    let mut message = [0; 392];
    message[..8].copy_from_slice(b"CUTTERhi");
    message[8..10].copy_from_slice(&[1, 0]);
    message[12..16].copy_from_slice(&392u32.to_le_bytes());
    message[16..24].copy_from_slice(&[64, 0, 64, 0, 16, 0, 8, 0]);
    let refused = Hello::read(&message).unwrap_err();
    assert_eq!(refused, HelloError::Version { major: 1, minor: 0 });
    let due = "the container speaks ABI 1.0, the engine 2.0; build the container with this \
               engine's SDK";
    assert_eq!(refused.to_string(), due);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_hello_says_stays_within_the_limits(
        changes in proptest::collection::vec((0..size_of::<WireHello>(), any::<u8>()), 0..12),
        cut in 0..2 * size_of::<WireHello>(),
    ) {
        let mut wire = WireHello::zeroed();
        wire.magic = HELLO_MAGIC;
        (wire.abi_major, wire.abi_minor) = (ABI_MAJOR, ABI_MINOR);
        wire.struct_bytes = [64, 64, 16, 8];
        wire.output = (&output_of(at_most_bytes(9))).into();
        let mut message = [bytemuck::bytes_of(&wire), &[0; size_of::<WireHello>()]].concat();
        changes.into_iter().for_each(|(place, byte)| message[place] = byte);
        let heard = Hello::read(&message[..cut.max(16)]);
        let specs = heard.iter().map(|hello| hello.specs().unwrap());
        let specs = specs.flat_map(|(input, output)| input.into_iter().chain([output]));
        prop_assert!(specs.into_iter().all(|spec| spec.bytes_max() <= ITEM_BYTES_MAX));
        let names = heard.iter().flat_map(|it| [&it.sdk, &it.sdk_version, &it.model]);
        // A byte that is not text becomes a mark of three.
        prop_assert!(names.into_iter().all(|name| name.len() <= 3 * NAME_BYTES));
        prop_assert!(heard.is_err() || cut >= size_of::<WireHello>());
    }
}

#[test]
fn only_a_ready_is_ready() {
    let ready = READY_MAGIC.to_le_bytes();
    assert!(is_ready(&ready));
    assert!(is_ready(&[&ready[..], &[1, 2, 3]].concat()));
    assert!(!is_ready(&ready[..7]));
    assert!(!is_ready(&[]));
    assert!(!is_ready(&ANSWER_MAGIC.to_le_bytes()));
}

#[test]
fn a_container_that_left_says_nothing() {
    let (engine, container) = socket_pair();
    drop(container);
    assert_eq!(receive(&engine), Vec::<u8>::new());
}

#[test]
fn a_container_that_hesitates_does_not_block_the_engine() {
    let (engine, _container) = socket_pair();
    rustix::io::ioctl_fionbio(&engine, true).unwrap();
    let refused = receive_from_container(engine.as_fd()).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_message_that_is_too_long_is_cut() {
    let (engine, container) = socket_pair();
    rustix::net::send(&container, &[7; 60_000], SendFlags::empty()).unwrap();
    assert_eq!(receive(&engine), vec![7; 2 * size_of::<WireHello>()]);
}

/// What a container makes of an answer that was waiting for it.
fn joined(answer: impl FnOnce(OwnedFd) -> OwnedFd) -> Result<ContainerEnd, ContainerError> {
    let (engine, container) = socket_pair();
    let _open = answer(engine);
    join(container, &hello(exact_bytes(8)))
}

fn refused_with(text: &str) -> String {
    let outcome = joined(|engine| {
        send_refusal(engine.as_fd(), text).unwrap();
        engine
    });
    match outcome {
        Err(ContainerError::Refused { text }) => text,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_refusal_tells_why() {
    assert_eq!(refused_with("model \"x\" is not known"), "model \"x\" is not known");
    assert_eq!(refused_with(""), "");
    assert_eq!(refused_with(&"é".repeat(REFUSAL_BYTES)), "é".repeat(REFUSAL_BYTES / 2));
}

#[test]
fn an_engine_that_ends_instead_of_answering_is_gone() {
    let outcome = joined(|engine| {
        rustix::net::shutdown(&engine, Shutdown::Write).unwrap();
        engine
    });
    assert!(matches!(outcome, Err(ContainerError::EngineGone)), "{outcome:?}");
}

/// An engine that grants something else than it means to.
#[derive(Debug)]
struct Grantor {
    end: EngineEnd,
    pools: [Segment; 2],
}

impl Grantor {
    const POOL_ROWS: u32 = 8;
    const POOL_STRIDE: u32 = 64;

    fn new() -> Self {
        let geometry = Geometry::fit(2, 16, exact_bytes(8)).unwrap();
        let bytes = (Self::POOL_ROWS * Self::POOL_STRIDE) as usize;
        let pool = || Segment::create(c"cutter-test-pool", bytes, Writer::Maker).unwrap();
        Self { end: EngineEnd::create(geometry).unwrap(), pools: [pool(), pool()] }
    }

    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let mut descriptors = self.end.descriptors().to_vec();
        descriptors.extend(self.pools.iter().map(AsFd::as_fd));
        descriptors
    }

    fn answer(&self) -> WireAnswer {
        let geometry = self.end.geometry();
        let mut answer = WireAnswer::zeroed();
        answer.magic = ANSWER_MAGIC;
        (answer.abi_major, answer.abi_minor) = (ABI_MAJOR, ABI_MINOR);
        answer.accepted = ANSWER_ACCEPTED;
        (answer.depth, answer.items_max) = (geometry.depth, geometry.items_max);
        answer.output = (&output_of(geometry.output)).into();
        let input = (&input_of(at_most_bytes(64))).into();
        let (rows, stride) = (Self::POOL_ROWS, Self::POOL_STRIDE);
        let pool = |index| WirePool { index, rows, stride, reserved: 0, input };
        // An application has left.
        (answer.pools[0], answer.pools[1]) = (pool(0), pool(7));
        answer.pool_count = 2;
        answer
    }
}

fn send_with(socket: &OwnedFd, message: &[u8], descriptors: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(descriptors)));
    let parts = [IoSlice::new(message)];
    rustix::net::sendmsg(socket, &parts, &mut ancillary, SendFlags::empty())
        .expect("there is room for one message");
}

/// What a container makes of a grant in which something was changed.
fn granted_with(tamper: impl FnOnce(&mut WireAnswer)) -> Result<ContainerEnd, ContainerError> {
    let grantor = Grantor::new();
    let mut answer = grantor.answer();
    tamper(&mut answer);
    joined(|engine| {
        send_with(&engine, bytemuck::bytes_of(&answer), &grantor.descriptors());
        engine
    })
}

fn is_bad_answer(outcome: &Result<ContainerEnd, ContainerError>) -> bool {
    matches!(outcome, Err(ContainerError::BadAnswer))
}

#[test]
fn a_grant_is_taken_as_it_was_meant() {
    let end = granted_with(|_| {}).unwrap();
    assert_eq!(*end.geometry(), Geometry::fit(2, 16, exact_bytes(8)).unwrap());
}

#[test]
fn a_grant_that_means_nothing_is_a_bad_answer() {
    let tampers: [fn(&mut WireAnswer); 16] = [
        |answer| answer.magic ^= 1,
        |answer| answer.depth = 0,
        |answer| answer.depth = DEPTH_MAX + 1,
        |answer| answer.items_max = 0,
        |answer| answer.items_max = BATCH_ITEMS_MAX + 1,
        |answer| answer.items_max = u32::MAX,
        |answer| answer.wait = 4,
        |answer| answer.pool_count = 1,
        |answer| answer.pool_count = 3,
        |answer| answer.pool_count = u32::MAX,
        |answer| answer.output = WireSignature::zeroed(),
        |answer| answer.output.count = u32::MAX,
        |answer| answer.pools[1].input = WireSignature::zeroed(),
        |answer| answer.pools[0].input.tensors[0].spec.element = 5,
        |answer| answer.pools[1].index = 0,
        |answer| answer.pools[1].index = u32::try_from(POOLS_MAX).unwrap(),
    ];
    for (index, tamper) in tampers.into_iter().enumerate() {
        let outcome = granted_with(tamper);
        assert!(is_bad_answer(&outcome), "{index}: {outcome:?}");
    }
}

#[test]
fn a_grant_of_several_tensors_is_refused_for_now() {
    let output = granted_with(|answer| answer.output = (&two()).into());
    let input = granted_with(|answer| answer.pools[1].input = (&two()).into());
    for (which, outcome) in [("output", output), ("input", input)] {
        let refused = outcome.unwrap_err().to_string();
        let due = format!("the {which} type that the engine grants cannot be used: 2 tensors; one");
        assert!(refused.starts_with(&due), "{refused}");
    }
}

#[test]
fn a_grant_in_another_major_version_is_a_bad_answer() {
    for major in [ABI_MAJOR + 1, ABI_MAJOR - 1, 0, u16::MAX] {
        let outcome = granted_with(|answer| answer.abi_major = major);
        assert!(is_bad_answer(&outcome), "{major}: {outcome:?}");
    }
}

#[test]
fn a_grant_in_a_later_minor_version_is_taken() {
    assert!(granted_with(|answer| answer.abi_minor = ABI_MINOR + 1).is_ok());
}

#[test]
fn a_grant_whose_sizes_are_not_those_of_the_segments_is_refused() {
    let tampers: [fn(&mut WireAnswer); 5] = [
        |answer| answer.depth = 3,
        |answer| answer.items_max = 100,
        |answer| answer.output = (&output_of(exact_bytes(16))).into(),
        |answer| answer.pools[0].rows += 1,
        |answer| answer.pools[1].stride += 64,
    ];
    for (index, tamper) in tampers.into_iter().enumerate() {
        let outcome = granted_with(tamper);
        let size = matches!(outcome, Err(ContainerError::Segment(SegmentError::Size { .. })));
        assert!(size, "{index}: {outcome:?}");
    }
}

#[test]
fn a_grant_with_a_descriptor_too_few_or_too_many_is_a_bad_answer() {
    let grantor = Grantor::new();
    let answer = grantor.answer();
    let all = grantor.descriptors();
    let more = [all.clone(), vec![all[0]]].concat();
    let many = [all[0]; 4 + POOLS_MAX + 1];
    for descriptors in [&all[..1], &all[..5], &more, &many] {
        let outcome = joined(|engine| {
            send_with(&engine, bytemuck::bytes_of(&answer), descriptors);
            engine
        });
        assert!(is_bad_answer(&outcome), "{}: {outcome:?}", descriptors.len());
    }
}

#[test]
fn a_grant_that_is_cut_short_is_a_bad_answer() {
    let grantor = Grantor::new();
    let answer = grantor.answer();
    let message = bytemuck::bytes_of(&answer);
    for bytes in [1, 16, 16 + REFUSAL_BYTES, message.len() - 1] {
        let outcome = joined(|engine| {
            send_with(&engine, &message[..bytes], &grantor.descriptors());
            engine
        });
        assert!(is_bad_answer(&outcome), "{bytes}: {outcome:?}");
    }
}

#[test]
fn a_refusal_of_any_version_is_understood() {
    let mut answer = WireAnswer::zeroed();
    answer.magic = ANSWER_MAGIC;
    (answer.abi_major, answer.abi_minor) = (ABI_MAJOR + 1, 9);
    answer.refusal[..3].copy_from_slice(b"old");
    let message = bytemuck::bytes_of(&answer);
    let longer = [message, &[7; 100]].concat();
    // By the promise of `wire`, this much of an answer means the same for ever.
    for message in [&longer[..], message, &message[..16 + REFUSAL_BYTES]] {
        let outcome = joined(|engine| {
            rustix::net::send(&engine, message, SendFlags::empty()).unwrap();
            engine
        });
        let understood = matches!(&outcome, Err(ContainerError::Refused { text }) if text == "old");
        assert!(understood, "{} bytes: {outcome:?}", message.len());
    }
}

#[test]
fn the_most_pools_are_granted_and_read() {
    let pools = [(4, 24); POOLS_MAX];
    let served = Setup::new(exact_bytes(24)).pools(&pools).run(
        |end| serve(end, support::echo),
        |engine| {
            let rows: Vec<_> = (0..16).map(|pool| support::row_ref(pool, pool % 4, 24)).collect();
            engine.end.submit(&rows, 0);
            let row = |pool| Ok(support::row_bytes(pool, pool % 4, 24));
            let expected = support::Answer::Items((0..16).map(row).collect());
            assert_eq!(engine.next_answer(), expected);
            assert_eq!(engine.hello, hello(exact_bytes(24)));
            engine.stop();
        },
    );
    assert_eq!(served.unwrap(), 1);
}

#[test]
fn a_socket_that_is_not_there_is_named() {
    let refused = connect(Path::new("/nonexistent/cutter.sock")).unwrap_err().to_string();
    assert!(refused.contains("/nonexistent/cutter.sock"), "{refused}");
    let long = "x".repeat(200);
    assert!(connect(Path::new(&long)).unwrap_err().to_string().contains(&long));
}

#[test]
fn a_field_without_an_end_is_all_text() {
    assert_eq!(field_text(&[b'a'; 8]), "aaaaaaaa");
    assert_eq!(field_text(&[]), "");
}

#[test]
fn geometries_fit_up_to_the_limits_and_no_further() {
    let small = exact_bytes(1);
    let fit = |depth, items, output| Geometry::fit(depth, items, output).map(|g| g.items_max);
    assert_eq!(fit(1, 1, small), Ok(1));
    assert_eq!(fit(DEPTH_MAX, u32::MAX, small), Ok(BATCH_ITEMS_MAX));
    for depth in [0, DEPTH_MAX + 1, u32::MAX] {
        assert_eq!(fit(depth, 1, small), Err(GeometryError::Depth { depth }));
    }
    assert_eq!(fit(1, 0, small), Err(GeometryError::NoItems));

    let largest = u32::try_from(ITEM_BYTES_MAX).unwrap();
    for largest_output in [exact_bytes(largest), at_most_bytes(largest)] {
        assert_eq!(fit(1, 9, largest_output), Ok(1));
    }
    for too_large in [exact_bytes(largest + 1), at_most_bytes(largest + 1), at_most_bytes(u32::MAX)]
    {
        assert!(matches!(fit(1, 1, too_large), Err(GeometryError::Output(_))));
    }
    // Half a slot and a bit: a second item does not fit, though its bytes alone would.
    assert_eq!(fit(1, 9, at_most_bytes(largest / 2)), Ok(2));
    assert_eq!(fit(1, 9, at_most_bytes(largest / 2 + 1)), Ok(1));
}

#[test]
fn a_slot_holds_the_outputs_of_the_largest_batch() {
    for bytes in [1, 7, 8, 63, 64, 65, 16_384, 16_385] {
        for output in [exact_bytes(bytes), at_most_bytes(bytes)] {
            let geometry = Geometry::fit(3, u32::MAX, output).unwrap();
            let items = geometry.items_max as usize;
            assert!(geometry.output_stride() >= bytes as usize);
            assert!(geometry.slot_bytes() >= items * geometry.output_stride());
            assert!(geometry.slot_bytes() <= OUTPUT_SLOT_BYTES_MAX);
            assert!(geometry.outputs_bytes() >= 3 * geometry.slot_bytes());
            assert!(geometry.outputs_bytes() > 0);
        }
    }
}
