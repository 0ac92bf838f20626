//! The smallest engine: it starts one container, hands it batches one at a time, and takes what
//! comes back, over the protocol's own handshake and shared memory.
//!
//! For tests of containers. It checks nothing that `EngineEnd` does not check, serves no network,
//! and panics where a test should fail. Needs only `cutter-protocol` and `rustix`; other crates
//! take it in with `#[path]`.

#![allow(dead_code, reason = "each test takes what it needs")]
#![allow(clippy::unwrap_used, reason = "a test fails here")]

use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Child, Command, ExitStatus};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use cutter_protocol::engine::{EngineEnd, Polled, Results};
use cutter_protocol::handshake::{
    self, ENV_FD, ENV_MODEL, ENV_SOCKET, Grant, GrantedPool, Hello, send_grant, send_refusal,
};
use cutter_protocol::layout::Geometry;
use cutter_protocol::limits::{DEPTH_DEFAULT, ROW_ALIGN_BYTES};
use cutter_protocol::segment::{Segment, Writer};
use cutter_protocol::violation::Violation;
use cutter_protocol::wait::WaitStrategy;
use cutter_tensor::{INPUT_NAME, Item, RowRef, Signature, TensorSpec};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

/// Items of one batch at most; the pool has room for as many scattered rows.
pub const ITEMS_MAX: u32 = 64;

/// After this long without an answer a test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between a spawn's opening and closing of the child's socket, no other child may be spawned: it
/// would inherit the socket too, and the end of the first would not show.
static SPAWNING: Mutex<()> = Mutex::new(());

/// An engine with one container.
#[derive(Debug)]
pub struct MiniEngine {
    end: EngineEnd,
    hello: Hello,
    pool: Segment,
    stride: usize,
    next_row: u32,
    socket: OwnedFd,
    child: Running,
}

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// For each item its output, or why it failed.
    Items(Vec<Result<Vec<u8>, String>>),
    /// The whole batch failed.
    Failed(String),
    /// The container ended with the batch in hand.
    Died(ExitStatus),
    /// The container broke the protocol.
    Violated(Violation),
}

impl Answer {
    /// The outputs of a batch of which no item failed.
    pub fn outputs(self) -> Vec<Vec<u8>> {
        match self {
            Self::Items(items) => items.into_iter().collect::<Result<_, _>>().unwrap(),
            other => panic!("no outputs: {other:?}"),
        }
    }

    /// The outputs as one float each.
    pub fn floats(self) -> Vec<f32> {
        let float = |output: Vec<u8>| f32::from_le_bytes(output.try_into().unwrap());
        self.outputs().into_iter().map(float).collect()
    }
}

impl MiniEngine {
    /// Starts a container and shakes hands with it. Its input type is `input`.
    pub fn start(command: &mut Command, input: TensorSpec) -> MiniEngine {
        let (socket, mut child) = spawn(command);
        let hello = receive_hello(&socket, &mut child);
        let items_max = hello.items_max.unwrap_or(ITEMS_MAX).min(ITEMS_MAX);
        let geometry = Geometry::fit(DEPTH_DEFAULT, items_max, hello.specs().unwrap().1).unwrap();
        let end = EngineEnd::create(geometry).unwrap();
        let stride = input.bytes_max().next_multiple_of(ROW_ALIGN_BYTES).max(ROW_ALIGN_BYTES);
        // Scattered rows take every second place.
        let rows = 2 * ITEMS_MAX;
        let bytes = stride * rows as usize;
        let pool = Segment::create(c"mini-engine-pool", bytes, Writer::Maker).unwrap();
        let grant = Grant {
            incarnation: 1,
            geometry,
            output: &hello.output,
            wait: WaitStrategy::Adaptive,
            descriptors: end.descriptors(),
            pools: vec![GrantedPool {
                index: 0,
                rows,
                stride: u32::try_from(stride).unwrap(),
                input: Signature::of_one(INPUT_NAME, input).unwrap(),
                segment: pool.as_fd(),
            }],
        };
        send_grant(socket.as_fd(), &grant).unwrap();
        let ready = receive(&socket).unwrap();
        assert!(handshake::is_ready(&ready), "the container did not map what it was granted");
        MiniEngine { end, hello, pool, stride, next_row: 0, socket, child }
    }

    /// Starts a container, refuses it, and waits until it ends.
    pub fn refuse(command: &mut Command, text: &str) -> ExitStatus {
        let (socket, mut child) = spawn(command);
        receive_hello(&socket, &mut child);
        send_refusal(socket.as_fd(), text).unwrap();
        child.wait()
    }

    /// What the container said of itself.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// The container's process id.
    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Has a batch predicted whose rows lie one after another.
    pub fn predict(&mut self, inputs: &[&[u8]]) -> Answer {
        self.predict_rows(inputs, 1)
    }

    /// Has a batch predicted whose rows lie apart; of two items at least, or it is dense after all.
    pub fn predict_scattered(&mut self, inputs: &[&[u8]]) -> Answer {
        assert!(inputs.len() > 1);
        self.predict_rows(inputs, 2)
    }

    /// Asks the container to end, and waits until it does.
    pub fn stop(mut self) -> ExitStatus {
        self.end.stop();
        self.child.wait()
    }

    /// Ends as an engine that crashes does: the socket closes, nothing is said.
    pub fn vanish(self) -> ExitStatus {
        let Self { mut child, socket, .. } = self;
        drop(socket);
        child.wait()
    }

    fn predict_rows(&mut self, inputs: &[&[u8]], step: u32) -> Answer {
        let rows = self.write_rows(inputs, step);
        let (ticket, _) = self.end.submit(&rows, cutter_protocol::clock::monotonic_ns());
        let since = Instant::now();
        loop {
            match self.end.poll() {
                Err(violation) => return Answer::Violated(violation),
                Ok(Polled::Completed(completed)) => {
                    assert_eq!(completed.ticket, ticket);
                    return answer(&completed.results, inputs.len());
                }
                Ok(Polled::Nothing | Polled::Copying) => {}
                Ok(Polled::PoolChanged(changed)) => panic!("not asked for: {changed:?}"),
            }
            // A completion may have been published just before the end.
            if let Some(status) = self.child.ended().filter(|_| !self.end.has_news()) {
                return Answer::Died(status);
            }
            assert!(since.elapsed() < PATIENCE, "no completion for a batch of {}", inputs.len());
            std::thread::yield_now();
        }
    }

    /// Writes the inputs to every `step`th row, from a new place each time.
    fn write_rows(&mut self, inputs: &[&[u8]], step: u32) -> Vec<RowRef> {
        let count = u32::try_from(inputs.len()).unwrap();
        assert!((1..=ITEMS_MAX).contains(&count));
        if self.next_row + step * count > 2 * ITEMS_MAX {
            self.next_row = 0;
        }
        let first = self.next_row;
        self.next_row += step * count;
        let write = |(row, input): (u32, &&[u8])| {
            self.pool.bytes_mut(row as usize * self.stride, input.len()).copy_from_slice(input);
            RowRef { pool: 0, row, bytes: u32::try_from(input.len()).unwrap() }
        };
        (first..).step_by(step as usize).zip(inputs).map(write).collect()
    }
}

/// A child that does not outlive its test.
#[derive(Debug)]
struct Running(Child);

impl Running {
    fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    fn wait(&mut self) -> ExitStatus {
        let since = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(since.elapsed() < PATIENCE, "the container does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, in a test that went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(command: &mut Command) -> (OwnedFd, Running) {
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    let _guard = SPAWNING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let (ours, theirs) = socketpair(family, kind, SocketFlags::CLOEXEC, None).unwrap();
    fcntl_setfd(&theirs, FdFlags::empty()).unwrap();
    command.env(ENV_FD, theirs.as_raw_fd().to_string());
    let child = command.env_remove(ENV_SOCKET).env_remove(ENV_MODEL).spawn();
    let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    set_socket_timeout(&ours, Timeout::Recv, Some(PATIENCE)).unwrap();
    (ours, Running(child))
}

/// A message of the container; a signal, as of some other test's child, does not end the wait.
fn receive(socket: &OwnedFd) -> std::io::Result<Vec<u8>> {
    loop {
        let result = handshake::receive_from_container(socket.as_fd());
        if !result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Interrupted) {
            return result;
        }
    }
}

fn receive_hello(socket: &OwnedFd, child: &mut Running) -> Hello {
    match receive(socket) {
        Ok(message) if message.is_empty() => panic!("no hello: {}", child.wait()),
        Ok(message) => Hello::read(&message).unwrap(),
        Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("no hello in {PATIENCE:?}"),
        Err(error) => panic!("no hello: {error}"),
    }
}

fn answer(results: &Results<'_>, count: usize) -> Answer {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match results {
        Results::Failed(message) => Answer::Failed(text(message)),
        Results::Items(items) => {
            let item = |index| match items.get(index) {
                Item::Output(output) => Ok(output.bytes().to_vec()),
                Item::Failed(message) => Err(text(message)),
            };
            Answer::Items((0..count).map(item).collect())
        }
    }
}
