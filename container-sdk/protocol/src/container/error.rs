//! Why a container cannot serve, in words for whoever runs it.

use std::path::PathBuf;

use cutter_tensor::{SignatureError, TensorSpec};

use crate::environment::{ENV_FD, ENV_SOCKET};
use crate::ring::BrokenStamp;
use crate::segment::SegmentError;

/// Why a container cannot serve, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    #[error(
        "neither {ENV_FD} nor {ENV_SOCKET} is set; let the engine start this container, or set \
         {ENV_SOCKET} to the path of its container socket"
    )]
    NoSocket,
    #[error("{ENV_FD} is {found:?}; it is set by the engine and names its socket")]
    BadInheritedSocket { found: String },
    #[error(
        "the socket that {ENV_FD} names was taken by an earlier connection of this process; a \
         container that the engine starts connects once"
    )]
    InheritedSocketTaken,
    #[error("the model's {which} type cannot be used: {why}")]
    Signature { which: &'static str, why: SignatureError },
    #[error("cannot connect to the engine at {path}: {source}")]
    Connect {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the handshake with the engine failed: {0}")]
    Socket(#[from] std::io::Error),
    #[error("the engine's answer to the hello is not one of this protocol")]
    BadAnswer,
    #[error("the {which} type that the engine grants cannot be used: {why}")]
    GrantedSignature { which: &'static str, why: SignatureError },
    #[error("the engine refused this container: {text}")]
    Refused { text: String },
    #[error(transparent)]
    Segment(#[from] SegmentError),
    #[error("the engine is gone")]
    EngineGone,
    #[error("the submission ring is broken: stamp {} where {} was due", .0.found, .0.expected)]
    BrokenStamp(BrokenStamp),
    #[error("submission with opcode {opcode} and {item_count} items: not of this protocol")]
    Submission { opcode: u16, item_count: u32 },
    #[error(
        "the engine's batch has rows of pool {pool}, which is not mapped: not of this protocol"
    )]
    UnmappedPool { pool: u32 },
    #[error("the engine asks to {step} pool {pool}, {why}: not of this protocol")]
    PoolChange { step: &'static str, pool: u32, why: &'static str },
    #[error("the engine asks to map pool {pool}, whose descriptor cannot be received: {source}")]
    PoolMessage {
        pool: u32,
        #[source]
        source: std::io::Error,
    },
    #[error("item {item}: {bytes} bytes are not an output of type {output}")]
    OutputLength { item: u32, bytes: usize, output: TensorSpec },
    #[error("item {item} of a batch of {count}")]
    NoSuchItem { item: u32, count: u32 },
    #[error("{items} items of a batch of {count} were given back without an output; they failed")]
    Unwritten { items: u32, count: u32 },
}
