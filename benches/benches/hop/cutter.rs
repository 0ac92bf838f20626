//! The engine's core, with a container in another process and no network.

use std::io;
use std::path::Path;
use std::sync::Arc;

use cutter_benches::containers::{self, ITEMS_MAX};
use cutter_benches::cores::Cores;
use cutter_benches::floor::{Exchanges, record_sums};
use cutter_benches::inputs::{POOL_ROWS, ROW_BYTES, Row};
use cutter_benches::measurement::Round;
use cutter_core::scheduler::{
    Admission, Answer, ApplicationPlan, ModelPlan, Outcome, PolicyPlan, Scheduler, Sink,
};
use cutter_core::stats::{EngineStats, Reason};
use cutter_machine::clock::{MonotonicClock, monotonic_ns};
use cutter_protocol::limits::DEPTH_DEFAULT;
use cutter_protocol::violation::Violation;
use cutter_protocol::wait::WaitStrategy;
use cutter_server::carrier::Replicas;
use cutter_server::pool::InputPool;
use cutter_tools::floor::cores::pin;

/// Far above what a query takes, so that none is answered late when others take the cores.
const SLO_NS: u64 = 10_000_000_000;
const BATCH_TIMEOUT_NS: u64 = 100_000_000_000;

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
    let mut pool = InputPool::create(POOL_ROWS, ROW_BYTES).map_err(io::Error::other)?;
    let stats = Arc::new(EngineStats::new(&["rows"], &[("sum", "1", 1)], Violation::KINDS));
    let application = ApplicationPlan { slo_ns: SLO_NS, rows: POOL_ROWS, model: Some(0) };
    let model_plan = ModelPlan {
        replicas: 1,
        depth: DEPTH_DEFAULT,
        policy: PolicyPlan::Aimd { max: ITEMS_MAX },
        batch_timeout_ns: BATCH_TIMEOUT_NS,
    };
    let mut scheduler = Scheduler::new(&[application], &[model_plan], Arc::clone(&stats));
    let mut replicas = Replicas::new(&scheduler, stats);
    let (end, container) = containers::start(model, cores.other, &pool, WaitStrategy::Spin)?;
    replicas.up(monotonic_ns(), 0, 1, end, &mut scheduler);
    let mut sink = LastAnswer::default();
    let bytes = u32::try_from(ROW_BYTES).expect("3,136");
    let round = record_sums(rows, exchanges, |arrived_ns, input| {
        let row = scheduler.reserve(0).expect("one query in flight");
        pool.row_mut(row, ROW_BYTES).copy_from_slice(bytemuck::bytes_of(input));
        let query = Admission { application: 0, row, bytes, arrived_ns, reply_to: 0 };
        scheduler.admit(monotonic_ns(), &query, &mut sink);
        while sink.sum.is_none() {
            replicas.serve(&MonotonicClock, &mut scheduler, &mut sink);
        }
        sink.sum.take().unwrap_or(f32::NAN)
    });
    replicas.stop();
    drop(container);
    round.map_err(|error| match sink.default {
        Some(reason) => io::Error::other(format!("{error}: a default, {reason:?}")),
        None => error,
    })
}
