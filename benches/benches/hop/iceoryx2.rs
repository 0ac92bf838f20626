//! The same rows over iceoryx2: a publisher and a subscriber on either side. The other side is this
//! bench itself, in a second process.

use std::fmt::Display;
use std::io;
use std::process::Command;

use cutter_bench_support::cores::{Cores, pin_child};
use cutter_bench_support::floor::record_sums;
use cutter_bench_support::inputs::{FLOATS, Row, sum};
use cutter_bench_support::measurement::{Exchanges, Round};
use cutter_bench_support::processes::{Running, limit_time};
use cutter_tools::floor::cores::pin;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use rustix::process::{Signal, set_parent_process_death_signal};

type Sender<T> = Publisher<ipc::Service, T, ()>;
type Receiver<T> = Subscriber<ipc::Service, T, ()>;

/// Told to the other side as the first float of a row, to end it.
const STOP: f32 = -1.0;

/// One round, with another side of its own.
pub fn round(cores: Cores, rows: &[Row], exchanges: Exchanges) -> io::Result<Round> {
    pin(cores.engine)?;
    let name = format!("cutter-benches/{}", std::process::id());
    let node = node()?;
    let asks = sender::<Row>(&node, &format!("{name}/rows"))?;
    let answers = receiver::<f32>(&node, &format!("{name}/sums"))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--peer", &name]);
    let peer = Running::start(&mut command)?;
    pin_child(peer.child(), cores.other)?;
    // Until the other side subscribes, what is published is lost.
    while answers.receive().map_err(failed)?.is_none() {
        std::thread::yield_now();
    }
    let mut broken = None;
    let round = record_sums(rows, exchanges, |_, input| match ask(&asks, &answers, input) {
        Ok(sum) => sum,
        Err(error) => {
            broken = Some(error);
            f32::NAN
        }
    });
    publish(&asks, &[STOP; FLOATS])?;
    peer.wait()?;
    broken.map_or(round, Err)
}

/// The other side: sums what comes until it is told to stop.
pub fn answer(name: &str) -> io::Result<()> {
    limit_time();
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let node = node()?;
    let asks = receiver::<Row>(&node, &format!("{name}/rows"))?;
    let answers = sender::<f32>(&node, &format!("{name}/sums"))?;
    publish(&answers, &0.0)?;
    loop {
        let Some(row) = asks.receive().map_err(failed)? else {
            std::hint::spin_loop();
            continue;
        };
        if row[0].to_bits() == STOP.to_bits() {
            return Ok(());
        }
        publish(&answers, &sum(&*row))?;
    }
}

fn node() -> io::Result<Node<ipc::Service>> {
    set_log_level(LogLevel::Error);
    NodeBuilder::new().create().map_err(failed)
}

fn sender<T>(node: &Node<ipc::Service>, name: &str) -> io::Result<Sender<T>>
where
    T: std::fmt::Debug + ZeroCopySend,
{
    let name = name.try_into().map_err(failed)?;
    let service = node.service_builder(&name).publish_subscribe::<T>().open_or_create();
    service.map_err(failed)?.publisher_builder().create().map_err(failed)
}

fn receiver<T>(node: &Node<ipc::Service>, name: &str) -> io::Result<Receiver<T>>
where
    T: std::fmt::Debug + ZeroCopySend,
{
    let name = name.try_into().map_err(failed)?;
    let service = node.service_builder(&name).publish_subscribe::<T>().open_or_create();
    service.map_err(failed)?.subscriber_builder().create().map_err(failed)
}

fn ask(asks: &Sender<Row>, answers: &Receiver<f32>, row: &Row) -> io::Result<f32> {
    publish(asks, row)?;
    loop {
        if let Some(answer) = answers.receive().map_err(failed)? {
            return Ok(*answer);
        }
        std::hint::spin_loop();
    }
}

/// Writes straight into the memory that is shared.
fn publish<T>(sender: &Sender<T>, value: &T) -> io::Result<()>
where
    T: Copy + std::fmt::Debug + ZeroCopySend,
{
    let mut sample = sender.loan_uninit().map_err(failed)?;
    sample.payload_mut().write(*value);
    // SAFETY: written in the line above.
    unsafe { sample.assume_init() }.send().map_err(failed)?;
    Ok(())
}

fn failed(error: impl Display) -> io::Error {
    io::Error::other(format!("iceoryx2: {error}"))
}
