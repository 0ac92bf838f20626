//! Both messages of the handshake, from a peer that writes what it wants.
//!
//! ```text
//!  input: a byte, what it is, and whether zeros fill it up to the whole message
//!         even: a hello · odd: which descriptors, then an answer
//! ```
//!
//! Oracle: a hello that is accepted and sent anew by the SDK is read as the same; what a container
//! may be granted for it stays within the limits. An answer is refused in words, or the container's
//! end has the sizes that the answer said.

use std::os::fd::{AsFd, OwnedFd};

use bytemuck::Zeroable;
use cutter_protocol::container::ContainerError;
use cutter_protocol::engine::EngineEnd;
use cutter_protocol::handshake::{Hello, is_ready, join, receive_from_container};
use cutter_protocol::layout::Geometry;
use cutter_protocol::limits::{
    BATCH_ITEMS_MAX, DEPTH_DEFAULT, NAME_BYTES, OUTPUT_SLOT_BYTES_MAX, REFUSAL_BYTES,
    REPLICA_MEMORY_BYTES_MAX, ROW_ALIGN_BYTES,
};
use cutter_protocol::segment::{Segment, Writer};
use cutter_protocol::wire::{ANSWER_MAGIC, ANSWER_REFUSED, WireAnswer, WireHello, text_field};
use cutter_tensor::limits::ITEM_BYTES_MAX;
use cutter_tensor::{ElementType, OUTPUT_NAME, Signature, Tensor, TensorSpec};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use crate::Source;

/// What the segments of the answers are made for: answers that say the same are accepted.
const ITEMS: u32 = 4;
const POOL_ROWS: u32 = 16;
const POOL_STRIDE: u32 = 64;
/// A name of which every byte grew to a character of three.
const NAME_TEXT_BYTES_MAX: usize = 3 * NAME_BYTES;
/// Of the words with which a hello or an answer is refused.
const ERROR_BYTES_MAX: usize = 1024;

pub fn hello_and_answer(data: &[u8]) {
    let mut source = Source::new(data);
    let form = source.u8();
    if form & 1 == 0 {
        hello(&filled(form, source.rest(), size_of::<WireHello>()));
    } else {
        let descriptors = source.u8();
        answer(descriptors, &filled(form, source.rest(), size_of::<WireAnswer>()));
    }
}

/// The message, filled up if the form says so: most of a whole one are places for more tensors.
fn filled(form: u8, message: &[u8], whole: usize) -> Vec<u8> {
    let mut message = message.to_vec();
    if form & 2 != 0 {
        message.resize(message.len().max(whole), 0);
    }
    message
}

fn hello(message: &[u8]) {
    let hello = match Hello::read(message) {
        Ok(hello) => hello,
        Err(error) => {
            let text = error.to_string();
            return assert!(!text.is_empty() && text.len() <= ERROR_BYTES_MAX, "{text}");
        }
    };
    assert!(message.len() >= size_of::<WireHello>());
    check_within_limits(&hello);
    let names = [&hello.sdk, &hello.sdk_version, &hello.model, &hello.model_version];
    assert!(names.iter().all(|name| name.len() <= NAME_TEXT_BYTES_MAX && !name.contains('\0')));
    let again = sent_anew(&hello);
    // A name that was not UTF-8 has grown, and is cut where it does not fit any more.
    let cut = |name: &str| name[..name.floor_char_boundary(NAME_BYTES)].to_owned();
    let expected = Hello {
        sdk: cut(&hello.sdk),
        sdk_version: cut(&hello.sdk_version),
        model: cut(&hello.model),
        model_version: cut(&hello.model_version),
        ..hello
    };
    assert_eq!(again, expected);
}

/// What the engine would grant, were the model's own bound the largest.
fn check_within_limits(hello: &Hello) {
    assert!(hello.items_max != Some(0));
    let (input, output) = hello.specs().expect("it was read");
    assert!([input, Some(output)].iter().flatten().all(|spec| spec.bytes_max() <= ITEM_BYTES_MAX));
    let wanted = hello.items_max.unwrap_or(BATCH_ITEMS_MAX);
    let geometry = match Geometry::fit(DEPTH_DEFAULT, wanted, output) {
        Ok(geometry) => geometry,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!(geometry.memory_bytes() <= REPLICA_MEMORY_BYTES_MAX, "{geometry:?}");
    assert!((1..=wanted.min(BATCH_ITEMS_MAX)).contains(&geometry.items_max));
    let slot_bytes = geometry.output_stride() * geometry.items_max as usize;
    assert!(slot_bytes <= OUTPUT_SLOT_BYTES_MAX, "{slot_bytes} bytes for {hello:?}");
    assert!(geometry.slot_bytes() < slot_bytes + ROW_ALIGN_BYTES);
    let depth = DEPTH_DEFAULT as usize;
    assert!(geometry.outputs_bytes() <= depth * (OUTPUT_SLOT_BYTES_MAX + ROW_ALIGN_BYTES));
}

/// The hello as the SDK writes it. It is refused at once, before it waits.
fn sent_anew(hello: &Hello) -> Hello {
    let (engine, container) = socket_pair();
    let mut answer = WireAnswer::zeroed();
    answer.magic = ANSWER_MAGIC;
    answer.accepted = ANSWER_REFUSED;
    answer.refusal = text_field("no");
    send(&engine, bytemuck::bytes_of(&answer), &[]);
    let refused = join(container, hello);
    assert!(matches!(refused, Err(ContainerError::Refused { text }) if text == "no"));
    Hello::read(&receive(&engine)).expect("the SDK's own hello")
}

fn answer(descriptors: u8, message: &[u8]) {
    let output = TensorSpec::scalar(ElementType::Float32);
    let geometry = Geometry::fit(DEPTH_DEFAULT, ITEMS, output).expect("well within the limits");
    let end = EngineEnd::create(geometry).expect("memory for a small incarnation");
    let pool_bytes = (POOL_ROWS * POOL_STRIDE) as usize;
    let pool = Segment::create(c"cutter-fuzz-pool", pool_bytes, Writer::Maker);
    let pool = pool.expect("memory for a few rows");
    let [control, completions, outputs, doorbell] = end.descriptors();
    let all = [control, completions, outputs, doorbell, pool.as_fd(), pool.as_fd()];
    let sent = &all[..usize::from(descriptors) % (all.len() + 1)];
    let (engine, container) = socket_pair();
    send(&engine, message, sent);
    match join(container, &own_hello(output)) {
        Ok(container) => {
            let said: &[u8] = &message[..size_of::<WireAnswer>()];
            let said: WireAnswer = bytemuck::pod_read_unaligned(said);
            let found = container.geometry();
            assert_eq!((found.depth, found.items_max), (said.depth, said.items_max));
            let granted = said.output.read().ok().flatten().expect("it was taken");
            assert_eq!(granted.only().map(Tensor::spec), Ok(found.output));
            // It could only map what has the right size.
            assert_eq!(found.outputs_bytes(), geometry.outputs_bytes());
            assert_eq!(found.completions_bytes(), geometry.completions_bytes());
            assert_eq!(Hello::read(&receive(&engine)), Ok(own_hello(output)));
            assert!(is_ready(&receive(&engine)));
        }
        Err(error) => {
            let text = error.to_string();
            let most = ERROR_BYTES_MAX + 3 * REFUSAL_BYTES;
            assert!(!text.is_empty() && text.len() <= most, "{text}");
        }
    }
}

fn own_hello(output: TensorSpec) -> Hello {
    let text = str::to_owned;
    Hello {
        input: None,
        output: Signature::of_one(OUTPUT_NAME, output).expect("a small output"),
        items_max: None,
        may_warm_up: false,
        sdk: text("rust"),
        sdk_version: text("0.1.0"),
        model: text("model"),
        model_version: text("1"),
        pid: 7,
    }
}

fn socket_pair() -> (OwnedFd, OwnedFd) {
    let flags = SocketFlags::CLOEXEC;
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
        .expect("two descriptors are free")
}

fn receive(socket: &OwnedFd) -> Vec<u8> {
    receive_from_container(socket.as_fd()).expect("the socket is open")
}

fn send(socket: &OwnedFd, message: &[u8], descriptors: &[std::os::fd::BorrowedFd<'_>]) {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(6))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(descriptors)));
    }
    let parts = [std::io::IoSlice::new(message)];
    rustix::net::sendmsg(socket, &parts, &mut ancillary, SendFlags::empty())
        .expect("a small message fits into a fresh socket");
}
