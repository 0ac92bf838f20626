//! The handshake: how a container and the engine come to share memory.
//!
//! The socket is of type SOCK_SEQPACKET, inherited by a container that the engine spawned, or
//! connected by one that was started by hand. The engine accepts no descriptor, ever: it reads
//! without room for any, so the kernel drops what a container may try to pass.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bytemuck::Zeroable;
use cutter_tensor::{SpecError, TensorSpec};
use rustix::event::{PollFd, PollFlags};
use rustix::io::retry_on_intr;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use rustix::time::Timespec;

use crate::container::{ContainerEnd, Pool};
use crate::entry::{Completion, ItemEntry, RowEntry, Submission};
use crate::layout::Geometry;
use crate::limits::{HANDSHAKE_NS, POOLS_MAX};
use crate::ring::BrokenStamp;
use crate::segment::{Segment, SegmentError};
use crate::wait::WaitStrategy;
use crate::wire::{
    ABI_MAJOR, ABI_MINOR, ANSWER_ACCEPTED, ANSWER_MAGIC, ANSWER_REFUSED, HELLO_MAGIC, READY_MAGIC,
    WireAnswer, WireHello, WirePool, WireReady, field_text, text_field,
};

/// Holds the number of the inherited socket, in a container that the engine spawned.
pub const ENV_FD: &str = "CUTTER_FD";
/// Holds the path of the engine's container socket, for a container started by hand.
pub const ENV_SOCKET: &str = "CUTTER_SOCKET";
/// Holds the model's name, with an optional `:version`, for a container started by hand.
pub const ENV_MODEL: &str = "CUTTER_MODEL";

/// Where the part of an answer ends that every version understands.
const REFUSAL_END: usize = std::mem::offset_of!(WireAnswer, incarnation);
/// Descriptors of an incarnation besides those of the pools.
const FIXED_DESCRIPTORS: usize = 4;
const DESCRIPTORS_MAX: usize = FIXED_DESCRIPTORS + POOLS_MAX;
const STRUCT_BYTES: [u16; 4] = [
    narrow(size_of::<Submission>()),
    narrow(size_of::<Completion>()),
    narrow(size_of::<RowEntry>()),
    narrow(size_of::<ItemEntry>()),
];

/// What a container says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// `None`: whatever the application sends.
    pub input: Option<TensorSpec>,
    pub output: TensorSpec,
    /// The largest batch that the model takes.
    pub items_max: Option<u32>,
    pub sdk: String,
    pub sdk_version: String,
    /// Empty where the container does not say.
    pub model: String,
    pub model_version: String,
    pub pid: u32,
}

/// Why a hello cannot be answered with memory.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    #[error("the first message has {bytes} bytes and does not begin as a container's hello does")]
    NotAHello { bytes: usize },
    #[error(
        "the container speaks ABI {major}.{minor}, the engine {ABI_MAJOR}.{ABI_MINOR}; build the \
         container with this engine's SDK"
    )]
    Version { major: u16, minor: u16 },
    #[error("the container's shared structs have {found:?} bytes, the engine's {STRUCT_BYTES:?}")]
    Structs { found: [u16; 4] },
    #[error("the container's {which} type cannot be used: {why}")]
    Spec { which: &'static str, why: SpecError },
    #[error("the container declares no output type")]
    NoOutput,
}

impl Hello {
    /// Reads a container's first message. Bytes that a later minor version appended are ignored.
    pub fn read(message: &[u8]) -> Result<Hello, HelloError> {
        let not_a_hello = HelloError::NotAHello { bytes: message.len() };
        let mut wire = WireHello::zeroed();
        let known = message.len().min(size_of::<WireHello>());
        bytemuck::bytes_of_mut(&mut wire)[..known].copy_from_slice(&message[..known]);
        if known < 16 || wire.magic != HELLO_MAGIC {
            return Err(not_a_hello);
        }
        if wire.abi_major != ABI_MAJOR || wire.abi_minor > ABI_MINOR {
            return Err(HelloError::Version { major: wire.abi_major, minor: wire.abi_minor });
        }
        if known < size_of::<WireHello>() {
            return Err(not_a_hello);
        }
        if wire.struct_bytes != STRUCT_BYTES {
            return Err(HelloError::Structs { found: wire.struct_bytes });
        }
        let wrong = |which| move |why| HelloError::Spec { which, why };
        let output = wire.output.read().map_err(wrong("output"))?;
        Ok(Hello {
            input: wire.input.read().map_err(wrong("input"))?,
            output: output.ok_or(HelloError::NoOutput)?,
            items_max: (wire.items_max > 0).then_some(wire.items_max),
            sdk: field_text(&wire.sdk),
            sdk_version: field_text(&wire.sdk_version),
            model: field_text(&wire.model),
            model_version: field_text(&wire.model_version),
            pid: wire.pid,
        })
    }

    fn write(&self) -> WireHello {
        WireHello {
            magic: HELLO_MAGIC,
            abi_major: ABI_MAJOR,
            abi_minor: ABI_MINOR,
            hello_bytes: u32::from(narrow(size_of::<WireHello>())),
            struct_bytes: STRUCT_BYTES,
            features: 0,
            pid: self.pid,
            items_max: self.items_max.unwrap_or(0),
            input: self.input.into(),
            output: Some(self.output).into(),
            sdk: text_field(&self.sdk),
            sdk_version: text_field(&self.sdk_version),
            model: text_field(&self.model),
            model_version: text_field(&self.model_version),
        }
    }
}

/// What the engine grants: the sizes, the waiting, and the pools to read.
#[derive(Debug)]
pub struct Grant<'a> {
    pub incarnation: u64,
    pub geometry: Geometry,
    pub wait: WaitStrategy,
    /// The descriptors of `EngineEnd::descriptors`.
    pub descriptors: [BorrowedFd<'a>; FIXED_DESCRIPTORS],
    pub pools: Vec<GrantedPool<'a>>,
}

/// One pool of a grant.
#[derive(Debug)]
pub struct GrantedPool<'a> {
    pub rows: u32,
    pub stride: u32,
    pub input: TensorSpec,
    pub segment: BorrowedFd<'a>,
}

/// Sends the descriptors. The message is small and the socket fresh, so it does not block.
pub fn send_grant(socket: BorrowedFd<'_>, grant: &Grant<'_>) -> std::io::Result<()> {
    assert!(grant.pools.len() <= POOLS_MAX);
    let mut answer = WireAnswer::zeroed();
    answer.magic = ANSWER_MAGIC;
    (answer.abi_major, answer.abi_minor) = (ABI_MAJOR, ABI_MINOR);
    answer.accepted = ANSWER_ACCEPTED;
    answer.incarnation = grant.incarnation;
    answer.depth = grant.geometry.depth;
    answer.items_max = grant.geometry.items_max;
    answer.wait = grant.wait as u32;
    answer.output = Some(grant.geometry.output).into();
    let mut descriptors = grant.descriptors.to_vec();
    for (wire, pool) in answer.pools.iter_mut().zip(&grant.pools) {
        let input = Some(pool.input).into();
        *wire = WirePool { rows: pool.rows, stride: pool.stride, input };
        descriptors.push(pool.segment);
        answer.pool_count += 1;
    }
    send(socket, bytemuck::bytes_of(&answer), &descriptors)
}

/// Sends a refusal; the container prints the text.
pub fn send_refusal(socket: BorrowedFd<'_>, text: &str) -> std::io::Result<()> {
    let mut answer = WireAnswer::zeroed();
    answer.magic = ANSWER_MAGIC;
    (answer.abi_major, answer.abi_minor) = (ABI_MAJOR, ABI_MINOR);
    answer.accepted = ANSWER_REFUSED;
    answer.refusal = text_field(text);
    send(socket, bytemuck::bytes_of(&answer), &[])
}

/// Receives one message from a container, without blocking when the socket does not block, and
/// without room for descriptors. No bytes: the container is gone.
pub fn receive_from_container(socket: BorrowedFd<'_>) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; 2 * size_of::<WireHello>()];
    let (bytes, _) =
        retry_on_intr(|| rustix::net::recv(socket, &mut message[..], RecvFlags::CMSG_CLOEXEC))?;
    message.truncate(bytes);
    Ok(message)
}

/// Whether a message says that the container has mapped everything and takes batches.
pub fn is_ready(message: &[u8]) -> bool {
    let ready = WireReady { magic: READY_MAGIC };
    message.starts_with(bytemuck::bytes_of(&ready))
}

/// Why a container cannot serve, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    #[error(
        "neither {ENV_FD} nor {ENV_SOCKET} is set; let the engine start this container, or set \
         {ENV_SOCKET} to the path of its container socket"
    )]
    NoSocket,
    #[error("{ENV_FD} is {found:?}; it is set by the engine and names its socket")]
    BadInheritedSocket { found: String },
    #[error(
        "the socket that {ENV_FD} names was taken by an earlier connection of this process; a \
         container that the engine starts connects once"
    )]
    InheritedSocketTaken,
    #[error("the model's {which} type cannot be used: {why}")]
    Spec { which: &'static str, why: SpecError },
    #[error("cannot connect to the engine at {path}: {source}")]
    Connect {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the handshake with the engine failed: {0}")]
    Socket(#[from] std::io::Error),
    #[error("the engine's answer to the hello is not one of this protocol")]
    BadAnswer,
    #[error("the engine refused this container: {text}")]
    Refused { text: String },
    #[error(transparent)]
    Segment(#[from] SegmentError),
    #[error("the engine is gone")]
    EngineGone,
    #[error("the submission ring is broken: stamp {} where {} was due", .0.found, .0.expected)]
    BrokenStamp(BrokenStamp),
    #[error("submission with opcode {opcode} and {item_count} items: not of this protocol")]
    Submission { opcode: u16, item_count: u32 },
    #[error("item {item}: {bytes} bytes are not an output of type {output}")]
    OutputLength { item: u32, bytes: usize, output: TensorSpec },
    #[error("item {item} of a batch of {count}")]
    NoSuchItem { item: u32, count: u32 },
    #[error("{items} items of a batch of {count} were given back without an output; they failed")]
    Unwritten { items: u32, count: u32 },
}

/// What the engine granted, as the container holds it.
#[derive(Debug)]
pub(crate) struct Granted {
    pub geometry: Geometry,
    pub wait: WaitStrategy,
    pub control: Segment,
    pub completions: Segment,
    pub outputs: Segment,
    pub doorbell: OwnedFd,
    pub socket: OwnedFd,
    pub pools: Vec<Pool>,
}

/// Container: finds the engine's socket by the environment. The one that was inherited is taken
/// once.
pub fn socket_from_environment() -> Result<OwnedFd, ContainerError> {
    if let Ok(found) = std::env::var(ENV_FD) {
        // Whatever came of the first try, the number may name something else by now.
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.swap(true, Ordering::Relaxed) {
            return Err(ContainerError::InheritedSocketTaken);
        }
        return inherited_socket(&found).ok_or(ContainerError::BadInheritedSocket { found });
    }
    let path = std::env::var_os(ENV_SOCKET).ok_or(ContainerError::NoSocket)?;
    connect(Path::new(&path))
}

/// Container: connects to the engine's container socket.
pub fn connect(path: &Path) -> Result<OwnedFd, ContainerError> {
    let failed = |errno: rustix::io::Errno| ContainerError::Connect {
        path: path.to_owned(),
        source: errno.into(),
    };
    let address = SocketAddrUnix::new(path).map_err(failed)?;
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
        .map_err(failed)?;
    retry_on_intr(|| rustix::net::connect(&socket, &address)).map_err(failed)?;
    Ok(socket)
}

/// Container: [`enter`]s, and is ready at once.
pub fn join(socket: OwnedFd, hello: &Hello) -> Result<ContainerEnd, ContainerError> {
    let end = enter(socket, hello)?;
    say_ready(&end)?;
    Ok(end)
}

/// Container: introduces itself and maps what the engine grants. The engine sends no batch before
/// [`say_ready`].
pub fn enter(socket: OwnedFd, hello: &Hello) -> Result<ContainerEnd, ContainerError> {
    let wrong = |which| move |why| ContainerError::Spec { which, why };
    hello.input.map_or(Ok(()), |input| input.check()).map_err(wrong("input"))?;
    hello.output.check().map_err(wrong("output"))?;
    send(socket.as_fd(), bytemuck::bytes_of(&hello.write()), &[])?;
    wait_readable(&socket)?;
    let (answer, descriptors) = receive_answer(&socket)?;
    Ok(ContainerEnd::new(map_grant(&answer, descriptors, socket)?))
}

/// Container: takes batches from now on.
pub fn say_ready(end: &ContainerEnd) -> Result<(), ContainerError> {
    let ready = WireReady { magic: READY_MAGIC };
    send(end.socket(), bytemuck::bytes_of(&ready), &[]).map_err(|error| match error.kind() {
        std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset => {
            ContainerError::EngineGone
        }
        _ => error.into(),
    })
}

fn map_grant(
    answer: &WireAnswer,
    descriptors: Vec<OwnedFd>,
    socket: OwnedFd,
) -> Result<Granted, ContainerError> {
    let output = answer.output.read().ok().flatten().ok_or(ContainerError::BadAnswer)?;
    let geometry = Geometry::fit(answer.depth, answer.items_max, output)
        .ok()
        .filter(|geometry| geometry.items_max == answer.items_max)
        .ok_or(ContainerError::BadAnswer)?;
    let pool_count = answer.pool_count as usize;
    if pool_count > POOLS_MAX || descriptors.len() != FIXED_DESCRIPTORS + pool_count {
        return Err(ContainerError::BadAnswer);
    }
    let mut descriptors = descriptors.into_iter();
    let mut next = || descriptors.next().ok_or(ContainerError::BadAnswer);
    let control = Segment::open(next()?, geometry.control_bytes())?;
    // SAFETY: the engine, which is trusted here, makes these two for this incarnation and maps them
    // read-only; they came with this grant, and nobody else in this process has them.
    let (completions, outputs) = unsafe {
        let completions = Segment::open_writable(next()?, geometry.completions_bytes())?;
        (completions, Segment::open_writable(next()?, geometry.outputs_bytes())?)
    };
    let doorbell = next()?;
    let mut pools = Vec::with_capacity(pool_count);
    for wire in &answer.pools[..pool_count] {
        let input = wire.input.read().ok().flatten().ok_or(ContainerError::BadAnswer)?;
        let bytes = wire.rows as usize * wire.stride as usize;
        let segment = Segment::open(next()?, bytes)?;
        pools.push(Pool::new(wire.rows, wire.stride, input, segment));
    }
    let wait = WaitStrategy::from_wire(answer.wait).ok_or(ContainerError::BadAnswer)?;
    Ok(Granted { geometry, wait, control, completions, outputs, doorbell, socket, pools })
}

fn receive_answer(socket: &OwnedFd) -> Result<(WireAnswer, Vec<OwnedFd>), ContainerError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut answer = WireAnswer::zeroed();
    let bytes = bytemuck::bytes_of_mut(&mut answer);
    let expected = bytes.len();
    let mut parts = [IoSliceMut::new(bytes)];
    let received = retry_on_intr(|| {
        rustix::net::recvmsg(socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })
    .map_err(std::io::Error::from)?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    match received.bytes {
        0 => Err(ContainerError::EngineGone),
        bytes if bytes < REFUSAL_END || answer.magic != ANSWER_MAGIC => {
            Err(ContainerError::BadAnswer)
        }
        _ if answer.accepted != ANSWER_ACCEPTED => {
            Err(ContainerError::Refused { text: field_text(&answer.refusal) })
        }
        bytes if bytes < expected || answer.abi_major != ABI_MAJOR => {
            Err(ContainerError::BadAnswer)
        }
        _ => Ok((answer, descriptors)),
    }
}

fn wait_readable(socket: &OwnedFd) -> Result<(), ContainerError> {
    const SECOND_NS: u64 = 1_000_000_000;
    #[expect(clippy::cast_possible_wrap, reason = "a small constant")]
    let timeout = Timespec { tv_sec: (HANDSHAKE_NS / SECOND_NS) as i64, tv_nsec: 0 };
    let mut polled = [PollFd::new(socket, PollFlags::IN)];
    let ready = retry_on_intr(|| rustix::event::poll(&mut polled, Some(&timeout)))
        .map_err(std::io::Error::from)?;
    if ready == 0 {
        return Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
    }
    Ok(())
}

fn inherited_socket(found: &str) -> Option<OwnedFd> {
    let number: RawFd = found.parse().ok().filter(|number| *number > 2)?;
    // SAFETY: only borrowed to ask whether it is open at all, and what it is.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let kind = rustix::net::sockopt::socket_type(borrowed).ok()?;
    if kind != SocketType::SEQPACKET {
        return None;
    }
    rustix::io::fcntl_setfd(borrowed, rustix::io::FdFlags::CLOEXEC).ok()?;
    // SAFETY: open, as the call above proved; the engine passed it for this process to own, and
    // the variable is read once, at start.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

fn send(
    socket: BorrowedFd<'_>,
    message: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> std::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(descriptors)));
    }
    let parts = [IoSlice::new(message)];
    retry_on_intr(|| rustix::net::sendmsg(socket, &parts, &mut ancillary, SendFlags::NOSIGNAL))?;
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "asserted")]
const fn narrow(bytes: usize) -> u16 {
    assert!(bytes <= u16::MAX as usize);
    bytes as u16
}
