//! The admin HTTP: `/healthz`, `/readyz`, `/metrics`, `/stats`, `/inspect`. All of it only reads.
//!
//! Every connection is one request: it lives for a bounded time, may send a bounded number of
//! bytes, and is closed with the answer. So slow or greedy clients cost little, and none can keep
//! others out for long.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use cutter_protocol::clock::monotonic_ns;
use serde::Serialize;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Sleep, sleep, timeout};

use super::answers::{EngineAnswer, InspectAnswer, StatsAnswer};
use super::board::Board;
use crate::config::Config;
use crate::limits::{
    ACCEPT_PAUSE_NS, ADMIN_CONNECTION_NS, ADMIN_CONNECTIONS_MAX, ADMIN_REQUEST_BYTES_MAX,
    INSPECT_ANSWER_NS,
};
use crate::messages::{EngineMailbox, ToEngine};
use crate::stats::{EngineStats, prometheus};

const PATHS: [&str; 5] = ["/healthz", "/readyz", "/metrics", "/stats", "/inspect"];

/// What the handlers read.
#[derive(Clone, Debug)]
pub(super) struct Admin {
    pub(super) board: Arc<Mutex<Board>>,
    pub(super) stats: Arc<EngineStats>,
    pub(super) config: Arc<Config>,
    pub(super) engine: EngineMailbox,
    pub(super) started_ns: u64,
}

/// Serves until the runtime ends.
pub(super) async fn run(admin: Admin, listener: std::net::TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = Door {
        listener: TcpListener::from_std(listener)?,
        places: Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX)),
    };
    axum::serve(listener, router(admin)).await
}

fn router(admin: Admin) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/stats", get(stats))
        .route("/inspect", get(inspect))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(admin)
}

/// Whether the engine thread is running: it holds the other end of a channel to this thread, which
/// closes when that thread ends. A thread that runs but hangs is not found out here.
async fn healthz(State(admin): State<Admin>) -> Response {
    let running = admin.board.lock().unwrap_or_else(PoisonError::into_inner).is_engine_running();
    match running {
        true => answer(StatusCode::OK, &json!({ "status": "ok" })),
        false => {
            answer(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "engine thread ended" }))
        }
    }
}

async fn readyz(State(admin): State<Admin>) -> Response {
    let board = admin.board.lock().unwrap_or_else(PoisonError::into_inner);
    let view = board.view(monotonic_ns());
    let status = match view.is_ready() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    written(status, &view)
}

async fn metrics(State(admin): State<Admin>) -> Response {
    match prometheus::encode(&admin.stats) {
        Ok(text) => {
            let headers = [(CONTENT_TYPE, prometheus::CONTENT_TYPE), (CONNECTION, "close")];
            (headers, text).into_response()
        }
        Err(error) => failed(&error.to_string()),
    }
}

/// Everything that is counted, for a reader who computes windows from two of these.
async fn stats(State(admin): State<Admin>) -> Response {
    let board = admin.board.lock().unwrap_or_else(PoisonError::into_inner);
    written(StatusCode::OK, &admin.stats_answer(&board))
}

/// How everything stands, from the engine thread, and whatever is known without it.
async fn inspect(State(admin): State<Admin>) -> Response {
    let (reply, answer) = oneshot::channel();
    admin.engine.send(ToEngine::Inspect { reply });
    let answer = timeout(Duration::from_nanos(INSPECT_ANSWER_NS), answer).await;
    let engine = match &answer {
        Ok(Ok(inspection)) => EngineAnswer::new(inspection, &admin.config),
        Ok(Err(_)) => EngineAnswer::Silent("no answer: the engine thread has ended".to_owned()),
        Err(_) => EngineAnswer::Silent(format!(
            "no answer within {} s: the engine thread is stuck",
            Duration::from_nanos(INSPECT_ANSWER_NS).as_secs_f64()
        )),
    };
    let board = admin.board.lock().unwrap_or_else(PoisonError::into_inner);
    let stats = admin.stats_answer(&board);
    let readiness = board.view(stats.at_ns);
    written(StatusCode::OK, &InspectAnswer::new(readiness, engine, stats))
}

impl Admin {
    fn stats_answer<'a>(&'a self, board: &Board) -> StatsAnswer<'a> {
        let now_ns = monotonic_ns();
        let uptime_ns = now_ns.saturating_sub(self.started_ns);
        StatsAnswer::new(now_ns, uptime_ns, &self.stats, &self.config, board)
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

fn written(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(body) => answer(status, &body),
        Err(error) => failed(&error.to_string()),
    }
}

fn failed(cause: &str) -> Response {
    answer(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "error": cause }))
}

fn answer(status: StatusCode, body: &impl Display) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CONNECTION, "close")];
    (status, headers, format!("{body}\n")).into_response()
}

/// Accepts connections, a bounded number at a time.
#[derive(Debug)]
struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl axum::serve::Listener for Door {
    type Io = Guarded;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Guarded, SocketAddr) {
        loop {
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
                unreachable!("the semaphore is never closed");
            };
            match self.listener.accept().await {
                Ok((stream, address)) => return (Guarded::new(stream, place), address),
                Err(error) => {
                    tracing::warn!("cannot accept an admin connection: {error}");
                    sleep(Duration::from_nanos(ACCEPT_PAUSE_NS)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection whose time and whose bytes are bounded.
#[derive(Debug)]
struct Guarded {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    bytes_left: usize,
    _place: OwnedSemaphorePermit,
}

impl Guarded {
    fn new(stream: TcpStream, place: OwnedSemaphorePermit) -> Self {
        let end = Box::pin(sleep(Duration::from_nanos(ADMIN_CONNECTION_NS)));
        Self { stream, end, bytes_left: ADMIN_REQUEST_BYTES_MAX, _place: place }
    }

    fn poll_end(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.end.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_end(context)?;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = buffer.filled().len() - before;
        match self.bytes_left.checked_sub(read) {
            Some(left) => self.bytes_left = left,
            None => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
        }
        polled
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_end(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_end(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
