//! What a container calls to come to share memory with the engine.
//!
//! Owner: the container's one predicting thread. The engine is trusted, but for what it may have
//! been built from: an answer of another version, or one that means nothing, is told as such.

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use bytemuck::Zeroable;
use rustix::io::retry_on_intr;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::Hello;
use crate::container::{ContainerEnd, ContainerError, Granted, Pool, Pools, granted_spec};
use crate::environment::{ENV_FD, ENV_SOCKET};
use crate::layout::Geometry;
use crate::limits::POOLS_MAX;
use crate::segment::Segment;
use crate::socket::{receive, send};
use crate::wait::WaitStrategy;
use crate::wire::{
    ABI_MAJOR, ANSWER_ACCEPTED, ANSWER_MAGIC, FIXED_DESCRIPTORS, READY_MAGIC, WireAnswer,
    WireReady, field_text,
};

/// Where the part of an answer ends that every version understands.
const REFUSAL_END: usize = std::mem::offset_of!(WireAnswer, incarnation);

/// Finds the engine's socket by the environment. The one that was inherited is taken once.
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

/// Connects to the engine's container socket.
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

/// [`enter`]s, and is ready at once.
pub fn join(socket: OwnedFd, hello: &Hello) -> Result<ContainerEnd, ContainerError> {
    let end = enter(socket, hello)?;
    say_ready(&end)?;
    Ok(end)
}

/// Introduces itself and maps what the engine grants. The engine sends no batch before
/// [`say_ready`].
pub fn enter(socket: OwnedFd, hello: &Hello) -> Result<ContainerEnd, ContainerError> {
    for (which, signature) in [("input", hello.input.as_ref()), ("output", Some(&hello.output))] {
        let only = signature.map_or(Ok(()), |signature| signature.only().map(drop));
        only.map_err(|why| ContainerError::Signature { which, why })?;
    }
    send(socket.as_fd(), bytemuck::bytes_of(&hello.write()), &[])?;
    let (answer, descriptors) = receive_answer(&socket)?;
    Ok(ContainerEnd::new(map_grant(&answer, descriptors, socket)?))
}

/// Takes batches from now on.
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
    let output = granted_spec("output", &answer.output)?;
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
    let mut pools = Pools::default();
    for wire in &answer.pools[..pool_count] {
        let pool = Pool::open(wire, next()?)?;
        let is_free = pools.is_free(wire.index);
        is_free.then(|| pools.put(wire.index, pool)).ok_or(ContainerError::BadAnswer)?;
    }
    let wait = WaitStrategy::from_wire(answer.wait).ok_or(ContainerError::BadAnswer)?;
    Ok(Granted { geometry, wait, control, completions, outputs, doorbell, socket, pools })
}

fn receive_answer(socket: &OwnedFd) -> Result<(WireAnswer, Vec<OwnedFd>), ContainerError> {
    let mut answer = WireAnswer::zeroed();
    let (bytes, descriptors) = receive(socket, bytemuck::bytes_of_mut(&mut answer))?;
    match bytes {
        0 => Err(ContainerError::EngineGone),
        bytes if bytes < REFUSAL_END || answer.magic != ANSWER_MAGIC => {
            Err(ContainerError::BadAnswer)
        }
        _ if answer.accepted != ANSWER_ACCEPTED => {
            Err(ContainerError::Refused { text: field_text(&answer.refusal) })
        }
        bytes if bytes < size_of::<WireAnswer>() || answer.abi_major != ABI_MAJOR => {
            Err(ContainerError::BadAnswer)
        }
        _ => Ok((answer, descriptors)),
    }
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
