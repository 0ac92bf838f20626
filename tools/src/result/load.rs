//! What one run of `load` found.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::load::recording::GeneratorUse;

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadResult {
    /// As it was given.
    pub target: String,
    pub plan: PlanResult,
    pub validity: Validity,
    /// The run was ended before its schedule was (Ctrl-C).
    pub ended_early: bool,
    pub warm_up: WarmUp,
    /// Of what comes after the warm-up, as everything below.
    pub counts: Counts,
    pub duration_ns: u64,
    /// Requests that were due, per second.
    pub offered_qps: f64,
    /// Answers that were asked for (no defaults, no errors), per second.
    pub answered_qps: f64,
    /// The same within the SLO, if there is one.
    pub goodput_qps: Option<f64>,
    pub slo_ns: Option<u64>,
    pub accuracy: Option<Accuracy>,
    /// From when a request was due to its complete answer.
    pub latency: Distribution,
    /// From when it was due to when it was sent: the generator's own part.
    pub send_lag: Distribution,
    pub generator: GeneratorUse,
    pub slices: Slices,
    /// What the engine said over its admin port, when it was asked.
    pub engine: Option<EngineSeries>,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanResult {
    /// `open` or `closed`.
    #[serde(rename = "loop")]
    pub loop_kind: String,
    /// As on the command line: `poisson`, `onoff:50:150` …; absent in closed loop.
    pub arrivals: Option<String>,
    /// The mean rate of the schedule; absent in closed loop.
    pub rate_qps: Option<f64>,
    pub seconds: Option<f64>,
    pub requests: Option<u64>,
    pub connections: usize,
    pub pipeline: usize,
    pub time_limit_ns: u64,
    pub seed: u64,
    /// `clipper`, `oip-json`, `oip-binary`, `raw`.
    pub protocol: String,
    /// What is asked: `digits`, `float32:784`, a path.
    pub input: String,
    /// Different requests.
    pub bodies: usize,
    /// Bytes of a request, head and body, on average.
    pub request_bytes: u64,
    pub wait: String,
    pub cpu: Option<usize>,
}

/// Whether the run can be believed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    pub valid: bool,
    /// Why it is not.
    pub reasons: Vec<String>,
    /// What should be known all the same.
    pub warnings: Vec<String>,
}

/// What was cut off at the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WarmUp {
    /// `mser` (found by the stationarity test), `fixed` (as asked), `none`.
    pub method: String,
    pub requests: u64,
    pub duration_ns: u64,
    /// Whether what is left looks alike from its beginning to its end.
    pub stationary: bool,
}

/// Each request that was due is counted once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub requests: u64,
    pub answered: u64,
    pub defaults: u64,
    pub default_reasons: BTreeMap<String, u64>,
    pub http_errors: u64,
    #[serde(deserialize_with = "by_status")]
    pub http_statuses: BTreeMap<u16, u64>,
    pub timed_out: u64,
    pub broken: u64,
    /// Those that had to wait because every connection was taken.
    pub blocked: u64,
    /// Connections that were opened again.
    pub reopened: u64,
    pub first_error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Predictions whose label was known.
    pub checked: u64,
    pub correct: u64,
}

/// A distribution of times. A request that was never answered is slower than every answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// All requests, failed ones included.
    pub count: u64,
    /// Those that were never answered.
    pub failed: u64,
    /// Of those that were answered, as the next two.
    pub min_ns: u64,
    pub mean_ns: f64,
    pub max_ns: u64,
    pub quantiles: Vec<QuantileResult>,
    /// (quantile, ns), for drawing; up to the highest quantile that is supported.
    pub curve: Vec<(f64, u64)>,
    /// An HdrHistogram of the answered ones: V2, DEFLATE, base64.
    pub histogram: String,
}

/// One quantile, with its interval of 95 % confidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantileResult {
    pub quantile: f64,
    /// Absent: not supported, or it lies among the failed ones.
    pub value_ns: Option<u64>,
    pub low_ns: Option<u64>,
    /// Absent also when the interval reaches beyond the slowest answer: into the failed ones, or
    /// because too few of the samples are independent of each other.
    pub high_ns: Option<u64>,
    pub state: QuantileState,
    /// Requests that it takes to support this quantile.
    pub needs: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuantileState {
    Measured,
    /// Too few samples.
    Unsupported,
    /// It lies among the requests that were never answered.
    Failed,
}

/// The run over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slices {
    pub slice_ns: u64,
    /// Lower edges of the heat map's buckets, in ns, logarithmic. A time counts in the last bucket
    /// whose edge it reaches.
    pub edges_ns: Vec<u64>,
    pub slices: Vec<Slice>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// From the start of the schedule, warm-up included.
    pub start_ns: u64,
    pub requests: u64,
    pub failed: u64,
    pub defaults: u64,
    pub p50_ns: Option<u64>,
    pub p99_ns: Option<u64>,
    pub max_ns: Option<u64>,
    /// (bucket, requests), buckets without any left out.
    pub heat: Vec<(usize, u64)>,
    /// Before the end of the warm-up.
    pub is_warm_up: bool,
}

/// What an engine said of itself during the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EngineSeries {
    /// Over the whole run, in the order in which a query passes them.
    pub stages: Vec<StageResult>,
    pub samples: Vec<EngineSample>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageResult {
    pub name: String,
    pub p50_ns: u64,
    pub p99_ns: u64,
    pub mean_ns: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EngineSample {
    /// From the start of the schedule.
    pub at_ns: u64,
    pub models: Vec<ModelSample>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSample {
    /// `name:version`.
    pub model: String,
    pub queued: u64,
    /// Rows per batch since the last sample; absent when there was no batch.
    pub batch_mean: Option<f64>,
    /// By replica.
    pub limits: Vec<u64>,
}

/// Keys of JSON are text. serde reads numbers from them, but not below `kind` and `finding`, where
/// it has to keep what it read before it knows its type.
fn by_status<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<u16, u64>, D::Error> {
    let by_text = BTreeMap::<String, u64>::deserialize(from)?;
    let status = |(text, count): (String, u64)| {
        let is_status = |_| serde::de::Error::custom(format!("{text:?} is no HTTP status"));
        Ok((text.parse().map_err(is_status)?, count))
    };
    by_text.into_iter().map(status).collect()
}
