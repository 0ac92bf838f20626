//! The example models, as containers of an engine that a bench is itself.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;

use cutter_protocol::engine::EngineEnd;
use cutter_protocol::handshake::{
    ENV_FD, ENV_SOCKET, Grant, GrantedPool, Hello, is_ready, receive_from_container, send_grant,
};
use cutter_protocol::layout::Geometry;
use cutter_protocol::limits::DEPTH_DEFAULT;
use cutter_protocol::wait::WaitStrategy;
use cutter_server::pool::BLANK_ROWS;
use cutter_tensor::{ElementType, INPUT_NAME, Shape, Signature, TensorSpec};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::cores::pin_child;
use crate::inputs::{FLOATS, POOL_ROWS, ROW_BYTES};
use crate::processes::{Running, build};

/// Items of a batch at most.
pub const ITEMS_MAX: u32 = 64;

/// A container that waits for batches. It ends when this is dropped.
#[derive(Debug)]
pub struct Container {
    // The engine's end of the handshake's socket: closed, it tells the container to end.
    _socket: OwnedFd,
    _process: Running,
}

/// Builds an example model and says where it is.
pub fn example(name: &str) -> io::Result<PathBuf> {
    build("cutter-examples", name)
}

/// What every bench asks: rows of 784 floats.
pub fn input() -> TensorSpec {
    let shape = Shape::new(&[u32::try_from(FLOATS).expect("784")]).expect("one dimension");
    TensorSpec::exact(ElementType::Float32, shape)
}

/// Starts a container on a core and shares the memory of a pool with it, of as many rows as every
/// bench has.
pub fn start(
    program: &Path,
    cpu: usize,
    pool: BorrowedFd<'_>,
    wait: WaitStrategy,
) -> io::Result<(Box<EngineEnd>, Container)> {
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    fcntl_setfd(&theirs, FdFlags::empty())?;
    let mut command = Command::new(program);
    command.env(ENV_FD, theirs.as_raw_fd().to_string()).env_remove(ENV_SOCKET);
    let process = Running::start(&mut command)?;
    drop(theirs);
    pin_child(process.child(), cpu)?;
    let hello = Hello::read(&receive_from_container(ours.as_fd())?).map_err(io::Error::other)?;
    let (_, output) = hello.specs().map_err(io::Error::other)?;
    let geometry = Geometry::fit(DEPTH_DEFAULT, ITEMS_MAX, output);
    let geometry = geometry.map_err(io::Error::other)?;
    let end = EngineEnd::create(geometry).map_err(io::Error::other)?;
    let grant = Grant {
        incarnation: 1,
        geometry,
        output: &hello.output,
        wait,
        descriptors: end.descriptors(),
        pools: vec![GrantedPool {
            index: 0,
            rows: POOL_ROWS + BLANK_ROWS,
            stride: u32::try_from(ROW_BYTES).map_err(io::Error::other)?,
            input: Signature::of_one(INPUT_NAME, input()).map_err(io::Error::other)?,
            segment: pool,
        }],
    };
    send_grant(ours.as_fd(), &grant)?;
    if !is_ready(&receive_from_container(ours.as_fd())?) {
        return Err(io::Error::other(format!("{} did not get ready", program.display())));
    }
    Ok((Box::new(end), Container { _socket: ours, _process: process }))
}
