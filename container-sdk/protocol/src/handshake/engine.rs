//! What the engine calls to come to share memory with a container.
//!
//! Owner: the control thread. It reads a container's words without room for descriptors.

use std::os::fd::BorrowedFd;

use bytemuck::Zeroable;
use cutter_tensor::Signature;
use rustix::io::retry_on_intr;
use rustix::net::RecvFlags;

use crate::layout::Geometry;
use crate::limits::POOLS_MAX;
use crate::socket::send;
use crate::wait::WaitStrategy;
use crate::wire::{
    ABI_MAJOR, ABI_MINOR, ANSWER_ACCEPTED, ANSWER_MAGIC, ANSWER_REFUSED, FIXED_DESCRIPTORS,
    POOL_MAGIC, READY_MAGIC, WireAnswer, WireHello, WirePool, WirePoolMessage, WireReady,
    text_field,
};

/// What the engine grants: the sizes, the waiting, and the pools to read.
#[derive(Debug)]
pub struct Grant<'a> {
    pub incarnation: u64,
    pub geometry: Geometry,
    /// What the container said that it gives: of the type that `geometry` has.
    pub output: &'a Signature,
    pub wait: WaitStrategy,
    /// The descriptors of `EngineEnd::descriptors`.
    pub descriptors: [BorrowedFd<'a>; FIXED_DESCRIPTORS],
    pub pools: Vec<GrantedPool<'a>>,
}

/// A pool that a container may read.
#[derive(Debug)]
pub struct GrantedPool<'a> {
    /// By which batches name it: below [`POOLS_MAX`], and no other pool of the replica has it.
    pub index: u32,
    pub rows: u32,
    pub stride: u32,
    pub input: Signature,
    pub segment: BorrowedFd<'a>,
}

/// Sends the descriptors. The indexes of the pools may have gaps. The message is small and the
/// socket fresh, so it does not block.
pub fn send_grant(socket: BorrowedFd<'_>, grant: &Grant<'_>) -> std::io::Result<()> {
    assert!(grant.pools.len() <= POOLS_MAX);
    let mut answer = empty_answer(ANSWER_ACCEPTED);
    answer.incarnation = grant.incarnation;
    answer.depth = grant.geometry.depth;
    answer.items_max = grant.geometry.items_max;
    answer.wait = grant.wait as u32;
    answer.output = grant.output.into();
    let mut descriptors = grant.descriptors.to_vec();
    for (wire, pool) in answer.pools.iter_mut().zip(&grant.pools) {
        *wire = pool.wire();
        descriptors.push(pool.segment);
        answer.pool_count += 1;
    }
    send(socket, bytemuck::bytes_of(&answer), &descriptors)
}

/// Sends the descriptor of a pool to a container that serves already, before the engine's end asks
/// to map it. The message is small and one change is under way at a time, so it does not block.
pub fn send_pool(socket: BorrowedFd<'_>, pool: &GrantedPool<'_>) -> std::io::Result<()> {
    let message = WirePoolMessage { magic: POOL_MAGIC, pool: pool.wire() };
    send(socket, bytemuck::bytes_of(&message), &[pool.segment])
}

/// Sends a refusal; the container prints the text.
pub fn send_refusal(socket: BorrowedFd<'_>, text: &str) -> std::io::Result<()> {
    let mut answer = empty_answer(ANSWER_REFUSED);
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

impl GrantedPool<'_> {
    fn wire(&self) -> WirePool {
        assert!((self.index as usize) < POOLS_MAX);
        let Self { index, rows, stride, .. } = *self;
        WirePool { index, rows, stride, reserved: 0, input: (&self.input).into() }
    }
}

fn empty_answer(accepted: u32) -> WireAnswer {
    let mut answer = WireAnswer::zeroed();
    answer.magic = ANSWER_MAGIC;
    (answer.abi_major, answer.abi_minor) = (ABI_MAJOR, ABI_MINOR);
    answer.accepted = accepted;
    answer
}
