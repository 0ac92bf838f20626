//! What the engine thread and the control thread tell each other.
//!
//! Both directions are rare: replicas that come and go, the end of the server. A message to the
//! engine thread rings an eventfd, on which a read is always armed, so that it is noticed while the
//! engine spins and while it sleeps.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, mpsc};

use cutter_core::ids::{ApplicationId, ModelId, ReplicaId};
use cutter_core::{Availability, Change, Death, Retired};
use cutter_protocol::engine::{EngineEnd, PoolChange};
use rustix::event::EventfdFlags;
use tokio::sync::oneshot;

use crate::carrier::KillReason;
use crate::decision_log::LogHeader;
use crate::inspection::Inspection;
use crate::port::direct::Question;
use crate::port::http::Endpoint;

/// Control thread to engine thread.
#[derive(Debug)]
pub enum ToEngine {
    /// A step of the core, and what clients are to see of the application that is added or linked.
    /// It is acknowledged by its number.
    Change {
        number: u64,
        change: Change,
        endpoint: Option<Box<Endpoint>>,
        header: Option<Box<LogHeader>>,
    },
    /// A model of an application, by its place among those linked, is not to be asked any more, or
    /// is again.
    SwitchArm { application: ApplicationId, arm: usize, on: bool },
    /// An incarnation has mapped everything and waits for batches.
    /// First these pools are changed, whose descriptors are on their way to it; and then it is
    /// warmed up, if it may be.
    ReplicaUp {
        replica: ReplicaId,
        incarnation: u64,
        end: Box<EngineEnd>,
        pools: Vec<PoolChange>,
        may_warm_up: bool,
    },
    /// A replica that is up is to read another application's rows, or is not to any more. It is
    /// told when it has done so, unless it ends before.
    ChangePool { replica: ReplicaId, incarnation: u64, change: PoolChange },
    /// A replica that is drained is to end.
    StopReplica { replica: ReplicaId, incarnation: u64 },
    /// An incarnation is gone. The engine may have given it up before.
    ReplicaLost { replica: ReplicaId, incarnation: u64, death: Death },
    /// Whether queries of a model have anything to wait for.
    Availability { model: ModelId, availability: Availability },
    /// A query of the program in whose process the engine runs.
    Ask(Box<Question>),
    /// Say how everything stands. Nothing changes by it, and whoever asked may have gone.
    Inspect { reply: oneshot::Sender<Box<Inspection>> },
    /// Take no new connections, answer what is in flight, ask the replicas to end, say `Drained`.
    Drain,
    /// Answer what is left with the default, now, and end: the replicas are being killed. Comes
    /// after `Drain`.
    EndNow,
}

/// Engine thread to control thread.
#[derive(Debug)]
pub enum ToControl {
    /// A change is done. What it took out is freed here.
    Changed { number: u64, retired: Retired, endpoint: Option<Box<Endpoint>> },
    /// The engine has given an incarnation up: kill it.
    Kill { replica: ReplicaId, incarnation: u64, reason: KillReason },
    /// An incarnation that was to be warmed up is up, after so many probes; and why they are no
    /// more, if something went wrong.
    Warmed { replica: ReplicaId, incarnation: u64, probes: u32, failure: Option<String> },
    /// A replica has changed a pool.
    PoolChanged { replica: ReplicaId, incarnation: u64, change: PoolChange },
    /// A batch of a model came back as failed, with the model's text. Not sent for each: whoever
    /// sends it bounds how often.
    ModelFailed { model: ModelId, text: String },
    /// The memory of an incarnation that is gone: to be dropped where unmapping may take its time.
    Retired(Box<EngineEnd>),
    /// A large buffer that nobody needs: to be dropped there too.
    Garbage(Vec<u8>),
    /// Everything is answered and the engine thread is about to end.
    Drained,
}

/// The control thread's way to the engine thread.
#[derive(Clone, Debug)]
pub struct EngineMailbox {
    messages: mpsc::Sender<ToEngine>,
    bell: Arc<OwnedFd>,
}

impl EngineMailbox {
    /// Sends, unless the engine thread has ended.
    pub fn send(&self, message: ToEngine) {
        if self.messages.send(message).is_ok() {
            self.ring();
        }
    }

    /// Wakes the engine thread.
    pub fn ring(&self) {
        // A counter that could overflow after 2^64 messages.
        let _ = rustix::io::write(&*self.bell, &1u64.to_ne_bytes());
    }
}

/// The engine thread's end.
#[derive(Debug)]
pub struct EngineInbox {
    messages: mpsc::Receiver<ToEngine>,
    bell: Arc<OwnedFd>,
}

impl EngineInbox {
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    pub fn next(&self) -> Option<ToEngine> {
        self.messages.try_recv().ok()
    }
}

/// A way to an engine thread that is yet to start.
pub fn mailbox() -> std::io::Result<(EngineMailbox, EngineInbox)> {
    let (sender, receiver) = mpsc::channel();
    let bell = Arc::new(rustix::event::eventfd(0, EventfdFlags::CLOEXEC)?);
    let mailbox = EngineMailbox { messages: sender, bell: Arc::clone(&bell) };
    Ok((mailbox, EngineInbox { messages: receiver, bell }))
}
