//! `cutter check`: the resolved configuration, every limit, the shared memory it will take.

use std::fmt::{self, Write};

use cutter_protocol::layout::Geometry;
use cutter_protocol::limits::{
    ADAPTIVE_WINDOW_NS, DEPTH_DEFAULT, HANDSHAKE_NS, MESSAGE_BYTES_MAX, OUTPUT_SLOT_BYTES_MAX,
};
use cutter_protocol::tensor::{ElementType, TensorSpec};

use crate::config::{Config, Facts, FixedLimit, Model, ReplicaBytes, print as print_config};
use crate::limits::{
    BODY_BYTES_MAX, BODY_RATE_BYTES_PER_S, CONNECTIONS_MAX, CRASHES_MAX, DRAIN_NS_MAX,
    HEAD_BYTES_MAX, HEAD_TIME_NS, HEADERS_MAX, IN_POOL_BYTES_MAX, INPUT_BATCH_MAX, JSON_DEPTH_MAX,
    KEEP_ALIVE_IDLE_NS, PIPELINED_REQUESTS_MAX, RECEIVE_BUFFER_BYTES, RECEIVE_BUFFERS,
    TARGET_BYTES_MAX,
};

const MS: u64 = 1_000_000;

const LIMITS: [FixedLimit; 21] = [
    FixedLimit::new("connections", CONNECTIONS_MAX as u64, ""),
    FixedLimit::new("pipelined requests", PIPELINED_REQUESTS_MAX as u64, "a connection"),
    FixedLimit::new("request head", HEAD_BYTES_MAX as u64, "bytes"),
    FixedLimit::new("header fields", HEADERS_MAX as u64, ""),
    FixedLimit::new("request target", TARGET_BYTES_MAX as u64, "bytes"),
    FixedLimit::new("request body", BODY_BYTES_MAX as u64, "bytes"),
    FixedLimit::new("incomplete requests", IN_POOL_BYTES_MAX as u64, "bytes"),
    FixedLimit::new("inputs of a request", INPUT_BATCH_MAX as u64, ""),
    FixedLimit::new("JSON nesting", JSON_DEPTH_MAX as u64, ""),
    FixedLimit::new("time for a head", HEAD_TIME_NS / MS, "ms"),
    FixedLimit::new("least body rate", BODY_RATE_BYTES_PER_S, "bytes/s"),
    FixedLimit::new("idle connection", KEEP_ALIVE_IDLE_NS / MS, "ms"),
    FixedLimit::new("receive buffers", RECEIVE_BUFFERS as u64, ""),
    FixedLimit::new("receive buffer", RECEIVE_BUFFER_BYTES as u64, "bytes"),
    FixedLimit::new("batches at a replica", DEPTH_DEFAULT as u64, ""),
    FixedLimit::new("output slot", OUTPUT_SLOT_BYTES_MAX as u64, "bytes"),
    FixedLimit::new("failure message", MESSAGE_BYTES_MAX as u64, "bytes"),
    FixedLimit::new("lives an input may cost", CRASHES_MAX as u64, ""),
    FixedLimit::new("handshake", HANDSHAKE_NS / MS, "ms"),
    FixedLimit::new("adaptive window", ADAPTIVE_WINDOW_NS / 1_000, "us"),
    FixedLimit::new("drain", DRAIN_NS_MAX / MS, "ms"),
];

/// Writes what `cutter check` shows.
pub fn print(config: &Config, out: &mut impl Write) -> fmt::Result {
    print_config(config, &Facts { replica_bytes, limits: &LIMITS }, out)
}

/// The segments of one replica; the size of its outputs is known when its container has said what
/// it gives.
fn replica_bytes(model: &Model) -> ReplicaBytes {
    let some_output = TensorSpec::scalar(ElementType::Float32);
    let geometry = Geometry::fit(DEPTH_DEFAULT, model.batch.max(), some_output)
        .expect("the configuration bounds the batch");
    ReplicaBytes {
        control: geometry.control_bytes() as u64,
        completions: geometry.completions_bytes() as u64,
        outputs: None,
    }
}
