//! The engine's core, with a container in another process and no network.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use cutter_bench_support::containers::{self, ITEMS_MAX};
use cutter_bench_support::cores::Cores;
use cutter_bench_support::floor::record_sums;
use cutter_bench_support::inputs::{FLOATS, POOL_ROWS, ROW_BYTES, Row};
use cutter_bench_support::measurement::{Exchanges, Round};
use cutter_core::stats::Reason;
use cutter_core::{Admission, Answer, Outcome, Sink};
use cutter_machine::clock::{MonotonicClock, monotonic_ns};
use cutter_protocol::wait::WaitStrategy;
use cutter_server::carrier::{Carrier, Rings};
use cutter_server::config;
use cutter_server::engine::Engine;
use cutter_server::port::http::PortLimits;
use cutter_tools::floor::cores::pin;

/// One application and its model, with an objective and a timeout far above what a query takes, so
/// that none is answered late when others take the cores.
fn configuration() -> String {
    format!(
        "[server]\nsocket = \"s\"\n\
         [[application]]\nname = \"rows\"\ninput = {{ type = \"floats\", shape = [{FLOATS}] }}\n\
         rows = {POOL_ROWS}\nslo_us = 10_000_000\nmodels = [\"sum\"]\n\
         [[model]]\nname = \"sum\"\nbatch_timeout_us = 100_000_000\n\
         batch = {{ policy = \"aimd\", max = {ITEMS_MAX} }}\n"
    )
}

/// Takes the answer of the one query in flight.
#[derive(Default)]
struct LastAnswer {
    sum: Option<f32>,
    /// Why there was a default output instead, if ever.
    default: Option<Reason>,
}

impl Sink for LastAnswer {
    fn answer(&mut self, answer: &Answer<'_>) {
        self.sum = match answer.outcome {
            Outcome::Prediction { output, .. } => {
                Some(bytemuck::pod_read_unaligned(output.bytes()))
            }
            Outcome::Default { reason, .. } => {
                self.default = Some(reason);
                Some(f32::NAN)
            }
        };
    }
}

/// One round, with a container of its own.
pub fn round(cores: Cores, model: &Path, rows: &[Row], exchanges: Exchanges) -> io::Result<Round> {
    pin(cores.engine)?;
    let (config, _) = config::parse(&configuration()).map_err(io::Error::other)?;
    let made = Engine::new(&config, PortLimits::default(), monotonic_ns(), &|| false);
    let Engine { mut core, stats, registry, ids, .. } = made.map_err(io::Error::other)?;
    let (application, replica) = (ids.applications[0], ids.replicas[0]);
    let mut rings = Rings::new(stats);
    let memory = registry.applications[application].rows.as_fd();
    let (end, container) = containers::start(model, cores.other, memory, WaitStrategy::Spin)?;
    rings.up(monotonic_ns(), (replica, 1), end, Vec::new(), false, &mut core);
    let mut sink = LastAnswer::default();
    let bytes = u32::try_from(ROW_BYTES).expect("3,136");
    let round = record_sums(rows, exchanges, |arrived_ns, input| {
        let row = core.reserve(application).expect("one query in flight");
        let place = core.row_mut(application, row, ROW_BYTES);
        place.copy_from_slice(bytemuck::bytes_of(input));
        let query =
            Admission { application, row, bytes, arrived_ns, timeout_ns: None, reply_to: 0 };
        core.admit(monotonic_ns(), &query, &mut sink);
        while sink.sum.is_none() {
            rings.serve(&MonotonicClock, &mut core, &mut sink);
        }
        sink.sum.take().unwrap_or(f32::NAN)
    });
    rings.stop();
    drop(container);
    round.map_err(|error| match sink.default {
        Some(reason) => io::Error::other(format!("{error}: a default, {reason:?}")),
        None => error,
    })
}
