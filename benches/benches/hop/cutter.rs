//! The engine's core, with a container in another process and no network.

use std::io;
use std::path::Path;
use std::sync::Arc;

use cutter_benches::containers::{self, ITEMS_MAX};
use cutter_benches::cores::{Cores, pin};
use cutter_benches::floor::{Exchanges, record};
use cutter_benches::inputs::{POOL_ROWS, ROW_BYTES, Row, sum};
use cutter_benches::measurement::Round;
use cutter_engine::clock::MonotonicClock;
use cutter_engine::pool::InputPool;
use cutter_engine::replicas::Replicas;
use cutter_engine::scheduler::{
    Admission, Answer, ApplicationPlan, ModelPlan, Outcome, PolicyPlan, Scheduler, Sink,
};
use cutter_engine::stats::EngineStats;
use cutter_protocol::clock::monotonic_ns;
use cutter_protocol::limits::DEPTH_DEFAULT;
use cutter_protocol::violation::Violation;
use cutter_protocol::wait::WaitStrategy;

/// Far above what a query takes, so that none is answered late when others take the cores.
const SLO_NS: u64 = 10_000_000_000;
const BATCH_TIMEOUT_NS: u64 = 100_000_000_000;

/// Takes the answer of the one query in flight.
#[derive(Default)]
struct LastAnswer {
    sum: Option<f32>,
    defaults: u64,
}

impl Sink for LastAnswer {
    fn answer(&mut self, answer: &Answer<'_>) {
        self.sum = match answer.outcome {
            Outcome::Prediction { output, .. } => Some(bytemuck::pod_read_unaligned(output)),
            Outcome::Default { .. } => {
                self.defaults += 1;
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
    let mut inputs = rows.iter().cycle();
    let mut wrong = 0;
    let round = record(exchanges, |number| {
        let input = inputs.next().expect("endless");
        let arrived_ns = monotonic_ns();
        let row = scheduler.reserve(0).expect("one query in flight");
        pool.row_mut(row, ROW_BYTES).copy_from_slice(bytemuck::bytes_of(input));
        let bytes = u32::try_from(ROW_BYTES).expect("3,136");
        let query = Admission { application: 0, row, bytes, arrived_ns, reply_to: number };
        let now_ns = monotonic_ns();
        scheduler.admit(now_ns, &query, &mut sink);
        replicas.serve(&MonotonicClock, &mut scheduler, &mut sink);
        while sink.sum.is_none() {
            replicas.serve(&MonotonicClock, &mut scheduler, &mut sink);
        }
        wrong += u32::from(sink.sum.take() != Some(sum(input)));
    });
    replicas.stop();
    drop(container);
    match (sink.defaults, wrong) {
        (0, 0) => Ok(round),
        (defaults, wrong) => {
            Err(io::Error::other(format!("{defaults} default answers and {wrong} wrong sums")))
        }
    }
}
