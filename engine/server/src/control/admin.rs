//! The admin HTTP: `/healthz`, `/readyz`, `/metrics`, `/stats`, `/inspect`, which only read; and
//! the switches by which an operator takes a model out of what a policy chooses from, and changes
//! how batches of a model are formed.
//!
//! Every connection is one request: it lives for a bounded time, may send a bounded number of
//! bytes, and is closed with the answer. So slow or greedy clients cost little, and none keeps
//! others out (see `admin_listener`). What costs the engine thread something is made a few times a
//! second at most: whoever asks more often gets the last answer again.

use std::fmt::Display;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use cutter_admin_api::arms::{Switch, Switched};
use cutter_admin_api::batching::{self, Wanted};
use cutter_admin_api::inspect::{self, EngineAnswer};
use cutter_admin_api::{Health, Inspection, Stats};
use cutter_core::stats::EngineStats;
use cutter_machine::clock::monotonic_ns;
use serde::Serialize;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::admin_listener::AdminListener;
use super::answers::{self, Process};
use super::changes::{Batching, Changes};
use super::plan::{self, ChangeError};
use super::registry::Registry;
use crate::config::{self, BatchPolicy};
use crate::control::prometheus::{self, Format, ProcessCounts};
use crate::limits::{BATCH_WAIT_US_MAX, INSPECT_ANSWER_NS, INSPECT_PERIOD_NS};
use crate::messages::{EngineMailbox, ToEngine};

const ARM: &str = "/applications/{application}/arms/{model}";
const BATCH: &str = "/models/{model}/batch";
const PATHS: [&str; 7] = ["/healthz", "/readyz", "/metrics", "/stats", "/inspect", ARM, BATCH];

/// What the handlers read, and ask.
#[derive(Clone, Debug)]
pub(super) struct Admin {
    pub(super) registry: Arc<Mutex<Registry>>,
    pub(super) stats: Arc<EngineStats>,
    pub(super) engine: EngineMailbox,
    pub(super) changes: Changes,
    pub(super) log_lines_dropped: fn() -> u64,
    pub(super) started_ns: u64,
    pub(super) inspected: Arc<tokio::sync::Mutex<Option<Inspected>>>,
}

/// The last answer of `/inspect`.
#[derive(Debug)]
pub(super) struct Inspected {
    at_ns: u64,
    body: String,
}

/// Serves until the runtime ends.
pub(super) async fn run(admin: Admin, listener: std::net::TcpListener) -> io::Result<()> {
    axum::serve(AdminListener::new(listener)?, router(admin)).await
}

fn router(admin: Admin) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/stats", get(stats))
        .route("/inspect", get(inspected))
        .route(ARM, post(switch_arm).fallback(only_post))
        .route(BATCH, post(set_batching).fallback(only_post))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(admin)
}

/// Whether the engine thread is running: it holds the other end of a channel to this thread, which
/// closes when that thread ends. A thread that runs but hangs is not found out here.
async fn healthz(State(admin): State<Admin>) -> Response {
    let running = admin.registry().is_engine_running();
    let (status, said) = if running {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "engine thread ended")
    };
    written(status, &Health { status: said.to_owned() })
}

async fn readyz(State(admin): State<Admin>) -> Response {
    let readiness = admin.registry().readiness(monotonic_ns());
    let is_ready = readiness.is_ready();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    written(status, &readiness)
}

async fn metrics(State(admin): State<Admin>, asked: HeaderMap) -> Response {
    let accept: Vec<&str> =
        asked.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let format = Format::wanted(&accept.join(","));
    let process = ProcessCounts { log_lines_dropped: (admin.log_lines_dropped)() };
    let counted = admin.registry().counted(&admin.stats);
    match prometheus::encode(counted, process, format) {
        Ok(text) => {
            let headers = [(CONTENT_TYPE, format.content_type()), (CONNECTION, "close")];
            (headers, text).into_response()
        }
        Err(error) => failed(&error.to_string()),
    }
}

/// Everything that is counted, for a reader who computes windows from two of these.
async fn stats(State(admin): State<Admin>) -> Response {
    let stats = admin.stats(&admin.registry());
    written(StatusCode::OK, &stats)
}

/// How everything stands, from the engine thread, and whatever is known without it.
///
/// Those who ask at the same time wait for one answer.
async fn inspected(State(admin): State<Admin>) -> Response {
    let mut inspected = admin.inspected.lock().await;
    let now_ns = monotonic_ns();
    let is_fresh = |last: &&Inspected| now_ns.saturating_sub(last.at_ns) < INSPECT_PERIOD_NS;
    if let Some(last) = inspected.as_ref().filter(is_fresh) {
        return answer(StatusCode::OK, &last.body);
    }
    match look(&admin).await {
        Ok(body) => {
            let last = inspected.insert(Inspected { at_ns: monotonic_ns(), body });
            answer(StatusCode::OK, &last.body)
        }
        Err(error) => failed(&error.to_string()),
    }
}

async fn look(admin: &Admin) -> serde_json::Result<String> {
    let (reply, answer) = oneshot::channel();
    admin.engine.send(ToEngine::Inspect { reply });
    let answer = timeout(Duration::from_nanos(INSPECT_ANSWER_NS), answer).await;
    let registry = admin.registry();
    let engine = match answer {
        Ok(Ok(seen)) => EngineAnswer::Says(Box::new(answers::engine(&seen, &registry))),
        Ok(Err(_)) => EngineAnswer::Silent("no answer: the engine thread has ended".to_owned()),
        Err(_) => EngineAnswer::Silent(format!(
            "no answer within {} s: the engine thread is stuck",
            Duration::from_nanos(INSPECT_ANSWER_NS).as_secs_f64()
        )),
    };
    let stats = admin.stats(&registry);
    let readiness = registry.readiness(stats.at_ns);
    let schema = inspect::SCHEMA.to_owned();
    serde_json::to_string(&Inspection { schema, readiness, engine, stats })
}

/// Takes a model out of what an application's policy chooses from, or back in.
async fn switch_arm(
    State(admin): State<Admin>,
    Path((application, model)): Path<(String, String)>,
    asked: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(refused) = refused_to_a_page(&asked) {
        return refused;
    }
    let enabled = match serde_json::from_slice(&body) {
        Ok(Switch { enabled }) => enabled,
        Err(error) => {
            let cause = format!("{error}; send {{\"enabled\": false}}, or true");
            return refused(StatusCode::BAD_REQUEST, &cause);
        }
    };
    match admin.changes.switch_arm(application.clone(), model.clone(), enabled).await {
        Ok(()) => written(StatusCode::OK, &Switched { application, model, enabled }),
        Err(error) => refused(status_of(&error), &error.to_string()),
    }
}

/// Changes how batches of a model are formed.
async fn set_batching(
    State(admin): State<Admin>,
    Path(model): Path<String>,
    asked: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(refused) = refused_to_a_page(&asked) {
        return refused;
    }
    let wanted = match read_batching(&body) {
        Ok(wanted) => wanted,
        Err(cause) => return refused(StatusCode::BAD_REQUEST, &cause),
    };
    if let Err(error) = admin.changes.batching(model.clone(), wanted).await {
        return refused(status_of(&error), &error.to_string());
    }
    let registry = admin.registry();
    match plan::model(&registry, &model) {
        Ok(id) => written(StatusCode::OK, &batching_of(model, &registry.models[id].settings.batch)),
        Err(error) => refused(status_of(&error), &error.to_string()),
    }
}

fn read_batching(body: &[u8]) -> Result<Batching, String> {
    let Wanted { policy, max, wait_us, defer } = serde_json::from_slice(body).map_err(|error| {
        format!("{error}; send some of `policy`, `max`, `wait_us` and `defer`, as {{\"max\": 64}}")
    })?;
    let named = |name: &String| BatchPolicy::ALL.into_iter().find(|policy| policy.name() == name);
    let known = BatchPolicy::ALL.map(BatchPolicy::name).join(", ");
    let unknown = |name: &String| format!("there is no policy {name:?}; there are: {known}");
    let policy =
        policy.as_ref().map(|name| named(name).ok_or_else(|| unknown(name))).transpose()?;
    if let Some(wait_us) = wait_us.filter(|wait_us| *wait_us > BATCH_WAIT_US_MAX) {
        return Err(format!("`wait_us` is {wait_us}; expected 0 to {BATCH_WAIT_US_MAX}"));
    }
    Ok(Batching { policy, max, wait_ns: wait_us.map(|us| u64::from(us) * 1_000), defer })
}

fn batching_of(model: String, batch: &config::Batch) -> batching::Batching {
    let config::Batch { policy, max, wait_ns, defer, .. } = *batch;
    batching::Batching {
        model,
        policy: policy.name().to_owned(),
        max,
        wait_us: wait_ns / 1_000,
        defer,
    }
}

/// A browser tells of each request that may change something from which page it comes, and other
/// programs do not: so no page that somebody looks at here can do this behind their back.
fn refused_to_a_page(asked: &HeaderMap) -> Option<Response> {
    let is_page = asked.contains_key(ORIGIN);
    is_page.then(|| refused(StatusCode::FORBIDDEN, "no page of a browser may change anything here"))
}

fn status_of(error: &ChangeError) -> StatusCode {
    match error {
        ChangeError::NoApplication { .. }
        | ChangeError::NoModel { .. }
        | ChangeError::NoArm { .. } => StatusCode::NOT_FOUND,
        ChangeError::BatchMax { .. } => StatusCode::BAD_REQUEST,
        ChangeError::Ending => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::CONFLICT,
    }
}

impl Admin {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stats(&self, registry: &Registry) -> Stats {
        let now_ns = monotonic_ns();
        let uptime_ns = now_ns.saturating_sub(self.started_ns);
        let process = Process { uptime_ns, log_lines_dropped: (self.log_lines_dropped)() };
        answers::stats(now_ns, process, &self.stats, registry)
    }
}

async fn not_found() -> Response {
    let body = json!({ "error": "there is nothing at this path", "paths": PATHS });
    answer(StatusCode::NOT_FOUND, &body)
}

async fn method_not_allowed() -> Response {
    let body = json!({ "error": "only GET and HEAD are possible here", "paths": PATHS });
    answer(StatusCode::METHOD_NOT_ALLOWED, &body)
}

async fn only_post() -> Response {
    refused(StatusCode::METHOD_NOT_ALLOWED, "only POST is possible here")
}

fn written(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(body) => answer(status, &body),
        Err(error) => failed(&error.to_string()),
    }
}

fn failed(cause: &str) -> Response {
    refused(StatusCode::INTERNAL_SERVER_ERROR, cause)
}

fn refused(status: StatusCode, cause: &str) -> Response {
    answer(status, &json!({ "error": cause }))
}

fn answer(status: StatusCode, body: &impl Display) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CONNECTION, "close")];
    (status, headers, format!("{body}\n")).into_response()
}
