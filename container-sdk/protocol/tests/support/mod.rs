//! What the tests of this crate share: an engine and a container in one process, over a real
//! socket pair, and rows whose bytes tell where they come from.
#![allow(dead_code, reason = "every test binary uses a part of it")]

pub mod peer;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use cutter_protocol::container::{ContainerEnd, ContainerError, Next};
use cutter_protocol::engine::{Completed, EngineEnd, Polled, PoolChange, PoolChanged, Results};
use cutter_protocol::handshake::{
    Grant, GrantedPool, Hello, is_ready, join, receive_from_container, send_grant, send_pool,
};
use cutter_protocol::layout::Geometry;
use cutter_protocol::limits::ROW_ALIGN_BYTES;
use cutter_protocol::segment::{Segment, Writer};
use cutter_protocol::wait::WaitStrategy;
use cutter_tensor::{
    ElementType, INPUT_NAME, Item, OUTPUT_NAME, RowRef, Shape, Signature, TensorSpec,
};
use rustix::event::{PollFd, PollFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::time::Timespec;

/// A wait that takes this long has been lost; nothing here takes a thousandth of it.
const LOST: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// What an incarnation is made from.
#[derive(Clone, Debug)]
pub struct Setup {
    pub geometry: Geometry,
    pub wait: WaitStrategy,
    /// Rows of each pool, and bytes of each row.
    pub pools: Vec<(u32, u32)>,
}

impl Setup {
    /// Depth 2, up to 16 items, one pool of 64 rows of 24 bytes, yielding.
    pub fn new(output: TensorSpec) -> Self {
        let geometry = Geometry::fit(2, 16, output).expect("well within the limits");
        Self { geometry, wait: WaitStrategy::Yield, pools: vec![(64, 24)] }
    }

    pub fn wait(self, wait: WaitStrategy) -> Self {
        Self { wait, ..self }
    }

    pub fn pools(self, pools: &[(u32, u32)]) -> Self {
        Self { pools: pools.to_vec(), ..self }
    }

    pub fn depth(self, depth: u32) -> Self {
        let geometry = Geometry::fit(depth, self.geometry.items_max, self.geometry.output);
        Self { geometry: geometry.expect("well within the limits"), ..self }
    }

    /// Runs both ends to their end, and gives back what the container came to.
    pub fn run<T: Send>(
        &self,
        container: impl FnOnce(ContainerEnd) -> T + Send,
        engine: impl FnOnce(&mut Engine),
    ) -> T {
        let (engine_socket, container_socket) = socket_pair();
        let hello = hello(self.geometry.output);
        thread::scope(|scope| {
            let container = scope.spawn(move || {
                container(join(container_socket, &hello).expect("the engine grants"))
            });
            // Dropped at the end, also by a failed assertion: the container then ends too.
            engine(&mut Engine::grant(self, engine_socket));
            container.join().expect("the container's part succeeds")
        })
    }
}

/// The engine's end with what belongs to it.
#[derive(Debug)]
pub struct Engine {
    pub end: EngineEnd,
    pub hello: Hello,
    pub socket: OwnedFd,
    pub pools: Vec<Segment>,
}

impl Engine {
    fn grant(setup: &Setup, socket: OwnedFd) -> Self {
        let hello = Hello::read(&receive(&socket)).expect("a hello of this version");
        let end = EngineEnd::create(setup.geometry).expect("memory for a small incarnation");
        let pools: Vec<Segment> = (0..).zip(&setup.pools).map(pool_of).collect();
        let granted = (0..).zip(&pools).zip(&setup.pools);
        let granted = granted.map(|((index, segment), sizes)| granted_pool(index, *sizes, segment));
        let grant = Grant {
            incarnation: 1,
            geometry: setup.geometry,
            output: &hello.output,
            wait: setup.wait,
            descriptors: end.descriptors(),
            pools: granted.collect(),
        };
        send_grant(socket.as_fd(), &grant).expect("the container receives");
        assert!(is_ready(&receive(&socket)));
        Self { end, hello, socket, pools }
    }

    /// Submits rows that start at `first`, one after another.
    pub fn submit(&mut self, first: u32, count: u32) -> bool {
        let rows: Vec<RowRef> = (first..first + count).map(|row| row_ref(0, row, 24)).collect();
        self.end.submit(&rows, 0).1
    }

    /// The answer of the next completion, which comes unless the container fails. It may be copied
    /// in pieces.
    pub fn next_answer(&mut self) -> Answer {
        loop {
            self.await_news();
            match self.end.poll().expect("the container keeps to the protocol") {
                Polled::Nothing => panic!("there were news"),
                Polled::Copying => {}
                Polled::Completed(completed) => return answer(&completed),
                Polled::PoolChanged(changed) => panic!("before the batch: {changed:?}"),
            }
        }
    }

    fn await_news(&self) {
        while !self.end.has_news() {
            self.look_after_container();
            thread::yield_now();
        }
    }

    /// The next completion, which comes unless the container fails, and is copied in one piece.
    pub fn next(&mut self) -> Completed<'_> {
        self.await_news();
        self.end.poll().expect("the container keeps to the protocol").completed().expect("news")
    }

    /// Asks for a pool more, whose rows are of these sizes.
    pub fn map_pool(&mut self, index: u32, sizes: (u32, u32)) -> Segment {
        let segment = pool_of((index, &sizes));
        let pool = granted_pool(index, sizes, &segment);
        send_pool(self.socket.as_fd(), &pool).expect("the container is there");
        self.end.map_pool(index);
        segment
    }

    /// The change of the pools that comes next, with what the container says of its failure.
    pub fn next_change(&mut self) -> (PoolChange, Result<(), String>) {
        self.await_news();
        match self.end.poll().expect("the container keeps to the protocol") {
            Polled::PoolChanged(PoolChanged { change, result }) => {
                (change, result.map_err(|text| String::from_utf8(text.to_vec()).expect("text")))
            }
            other => panic!("before the change: {other:?}"),
        }
    }

    /// Sleeps until the doorbell rings.
    pub fn sleep(&self) {
        let doorbell = self.end.doorbell();
        let mut polled =
            [PollFd::from_borrowed_fd(doorbell, PollFlags::IN), hangup_of(&self.socket)];
        let ready = rustix::event::poll(&mut polled, Some(&LOST)).expect("both are open");
        assert_eq!((ready, polled[0].revents()), (1, PollFlags::IN), "a lost wake");
    }

    /// Takes the wakes out of the doorbell, if there are any.
    pub fn drain_doorbell(&self) -> Option<u64> {
        let doorbell = self.end.doorbell();
        let mut polled = [PollFd::from_borrowed_fd(doorbell, PollFlags::IN)];
        let ready = rustix::event::poll(&mut polled, Some(&NOW)).expect("the doorbell is open");
        let mut wakes = [0; 8];
        (ready > 0).then(|| rustix::io::read(doorbell, &mut wakes).expect("there are wakes"))?;
        Some(u64::from_ne_bytes(wakes))
    }

    /// Whether the replica has announced that it sleeps, read without a mapping.
    pub fn replica_is_asleep(&self) -> bool {
        let mut flag = [0; 8];
        let [_, completions, ..] = self.end.descriptors();
        rustix::io::pread(completions, &mut flag, 0).expect("a memfd can be read");
        u64::from_ne_bytes(flag) != 0
    }

    /// Fails when the container is gone and has left nothing.
    pub fn look_after_container(&self) {
        let gone = rustix::event::poll(&mut [hangup_of(&self.socket)], Some(&NOW));
        let gone = gone.expect("the socket is open") > 0;
        assert!(!gone || self.end.has_news(), "the container is gone");
    }

    /// Stops the container, and stays until it has ended.
    pub fn stop(&mut self) {
        self.end.stop();
        let ended = rustix::event::poll(&mut [hangup_of(&self.socket)], Some(&LOST));
        assert_eq!(ended.expect("the socket is open"), 1, "the container does not end");
    }
}

fn hangup_of(socket: &OwnedFd) -> PollFd<'_> {
    PollFd::new(socket, PollFlags::HUP)
}

/// A container that runs `model` on every batch until it is stopped. Gives back how many.
pub fn serve(
    mut end: ContainerEnd,
    mut model: impl FnMut(&mut ContainerEnd),
) -> Result<u64, ContainerError> {
    let mut batches = 0;
    while end.next(None)? == Next::Batch {
        model(&mut end);
        batches += 1;
    }
    Ok(batches)
}

/// The model that gives every row back, cut to the bytes that the output takes.
pub fn echo(end: &mut ContainerEnd) {
    let stride = end.geometry().output_stride();
    let (rows, outputs) = end.parts();
    for index in 0..rows.len() {
        let row = rows.get(index);
        let bytes = stride.min(row.len());
        outputs[index * stride..][..bytes].copy_from_slice(&row[..bytes]);
    }
    // What it did not write is told to the engine as well.
    _ = end.complete();
}

/// The results of a batch, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Failed(String),
    Items(Vec<Result<Vec<u8>, String>>),
}

pub fn answer(completed: &Completed<'_>) -> Answer {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("cut at a character");
    match &completed.results {
        Results::Failed(message) => Answer::Failed(text(message)),
        Results::Items(items) => {
            let item = |index: u32| match items.get(index as usize) {
                Item::Output(output) => Ok(output.bytes().to_vec()),
                Item::Failed(message) => Err(text(message)),
            };
            Answer::Items((0..completed.item_count).map(item).collect())
        }
    }
}

/// Tells another thread of the end of this part, also of its failure.
#[derive(Debug)]
pub struct SetOnDrop<'a>(pub &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub fn socket_pair() -> (OwnedFd, OwnedFd) {
    let flags = SocketFlags::CLOEXEC;
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
        .expect("two descriptors are free")
}

pub fn receive(socket: &OwnedFd) -> Vec<u8> {
    receive_from_container(socket.as_fd()).expect("the socket is open")
}

pub fn hello(output: TensorSpec) -> Hello {
    Hello {
        input: None,
        output: output_of(output),
        items_max: Some(16),
        may_warm_up: false,
        sdk: "test".to_owned(),
        sdk_version: "1.2.3".to_owned(),
        model: "echo".to_owned(),
        model_version: "7".to_owned(),
        pid: std::process::id(),
    }
}

pub fn input_of(spec: TensorSpec) -> Signature {
    Signature::of_one(INPUT_NAME, spec).expect("within the limits")
}

pub fn output_of(spec: TensorSpec) -> Signature {
    Signature::of_one(OUTPUT_NAME, spec).expect("within the limits")
}

pub fn granted_pool(index: u32, (rows, bytes): (u32, u32), segment: &Segment) -> GrantedPool<'_> {
    let input = input_of(at_most_bytes(bytes));
    GrantedPool { index, rows, stride: stride(bytes), input, segment: segment.as_fd() }
}

pub fn exact_bytes(bytes: u32) -> TensorSpec {
    TensorSpec::exact(ElementType::Bytes, Shape::new(&[bytes]).expect("one dimension"))
}

pub fn at_most_bytes(bytes: u32) -> TensorSpec {
    TensorSpec::at_most(ElementType::Bytes, bytes)
}

pub fn row_ref(pool: u32, row: u32, bytes: u32) -> RowRef {
    RowRef { pool, row, bytes }
}

/// The bytes of a row, which differ from those of any row nearby.
pub fn row_bytes(pool: u32, row: u32, bytes: u32) -> Vec<u8> {
    (0..bytes).map(|index| (pool * 101 + row * 29 + index * 7).to_le_bytes()[0]).collect()
}

fn stride(bytes: u32) -> u32 {
    let align = u32::try_from(ROW_ALIGN_BYTES).expect("a small constant");
    bytes.next_multiple_of(align)
}

fn pool_of((pool, (rows, bytes)): (u32, &(u32, u32))) -> Segment {
    let stride = stride(*bytes) as usize;
    let all = *rows as usize * stride;
    let mut segment = Segment::create(c"cutter-test-pool", all, Writer::Maker).expect("memory");
    for (row, place) in (0..*rows).zip(segment.bytes_mut(0, all).chunks_exact_mut(stride)) {
        place[..*bytes as usize].copy_from_slice(&row_bytes(pool, row, *bytes));
    }
    segment
}
