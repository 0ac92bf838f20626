//! The resolved configuration: plain values that hold every limit.

mod policy;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use cutter_protocol::limits::ROW_ALIGN_BYTES;

pub use cutter_protocol::wait::WaitStrategy;
use cutter_tensor::{Extent, TensorSpec};

use crate::limits::AT_ONCE_BYTES_MAX;

use crate::limits::BATCH_MAX_DEFAULT;

pub use policy::{
    Arms, Ensemble, Judging, Learning, Mode, Plan, Policy, Registered, Rewards, Substitute,
};

/// What one server serves, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub server: Server,
    /// In the order of the file.
    pub applications: Vec<Application>,
    /// In the order of the file; [`Application::models`] are indexes of this list.
    pub models: Vec<Model>,
}

impl Config {
    /// What a model is called where one is meant: by its name, and by its version too where the
    /// name has several.
    pub fn label(&self, model: usize) -> String {
        let Model { name, .. } = &self.models[model];
        let versions = self.models.iter().filter(|other| other.name == *name).count();
        if versions > 1 { self.models[model].label() } else { name.clone() }
    }

    /// Whether anything is learned that is to outlive the server.
    pub fn has_store(&self) -> bool {
        match self.server.state {
            StateStore::None => false,
            StateStore::At(_) => true,
            StateStore::Default => self.applications.iter().any(|it| it.policy.is_some()),
        }
    }
}

/// One version of a model, as people write it.
pub(super) fn label(name: &str, version: &str) -> String {
    format!("{name}:{version}")
}

#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Where queries are taken; at least one.
    pub query: Vec<Listen>,
    pub admin: SocketAddr,
    /// The engine thread's core; `None` leaves it to the kernel.
    pub cpu: Option<usize>,
    pub wait: WaitStrategy,
    /// The Unix socket at which containers started by hand connect.
    pub socket: Option<PathBuf>,
    pub state: StateStore,
    /// Where decisions and feedback are recorded; `None`: nowhere.
    pub decision_log: Option<DecisionLog>,
}

/// Where what was learned outlives the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StateStore {
    /// In the state directory of the platform.
    #[default]
    Default,
    /// Nowhere: it is gone with the server.
    None,
    /// In this file.
    At(PathBuf),
}

/// A record of decisions and feedback, in files that follow each other.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionLog {
    pub directory: PathBuf,
    /// A file of this size is ended, and the next one begun.
    pub file_bytes: u64,
    /// Beyond so many the oldest is removed.
    pub files: u32,
    /// The share of decisions that are recorded.
    pub sample: f64,
}

/// An address on which connections are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Application {
    pub name: String,
    pub input: TensorSpec,
    pub slo_ns: u64,
    /// What is answered when no prediction is there in time.
    pub default_output: String,
    /// Indexes of [`Config::models`], in the order in which they are listed, each once.
    pub models: Vec<usize>,
    /// Whom of them a query asks. `None`: the first is asked, and nothing is learned; the others
    /// stand ready to be linked in its place. With one there is a model at least.
    pub policy: Option<Policy>,
    /// The rows of the input pool.
    pub rows: u32,
    /// Those whose memory is taken at start; the others take theirs when they are first used.
    pub rows_at_start: u32,
    /// Whether a string output that is JSON is embedded as JSON, not as a string.
    pub json_output: bool,
}

impl Application {
    /// The bytes from one row to the next.
    pub fn row_stride(&self) -> usize {
        row_stride(&self.input)
    }

    /// The bytes of the input pool when every row is full.
    pub fn pool_bytes(&self) -> u64 {
        u64::from(self.rows) * self.row_stride() as u64
    }

    /// Whether bodies that come again are worth remembering: what a model that it asks has said of
    /// them is kept, and reading numbers takes longer than comparing bytes.
    pub fn remembers_bodies<'a>(&self, mut models: impl Iterator<Item = &'a Model>) -> bool {
        let is_numbers = matches!(self.input.extent, Extent::Exact(_));
        let is_small = self.input.bytes_max() <= AT_ONCE_BYTES_MAX;
        is_numbers && is_small && models.any(|model| model.cache.is_some())
    }

    /// Those of them that are taken at start.
    pub fn pool_bytes_at_start(&self) -> u64 {
        u64::from(self.rows_at_start) * self.row_stride() as u64
    }
}

/// The largest item, rounded up to whole cache lines.
pub(super) fn row_stride(input: &TensorSpec) -> usize {
    input.bytes_max().max(1).next_multiple_of(ROW_ALIGN_BYTES)
}

#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub name: String,
    pub version: String,
    /// `None`: its containers are started by hand and connect through [`Server::socket`].
    pub command: Option<Command>,
    /// The working directory of the replicas.
    pub directory: PathBuf,
    pub replicas: u32,
    /// May be empty: then the replicas are not pinned. See [`Model::cpu_of_replica`].
    pub cpus: Vec<usize>,
    pub batch: Batch,
    /// How the replicas wait for work.
    pub wait: WaitStrategy,
    /// Whether it says the same of the same input, always.
    pub deterministic: bool,
    /// `None`: its outputs are not kept. One that is not deterministic has none.
    pub cache: Option<Cache>,
    /// The largest share of its calls that are also sent to a second replica, as the linked
    /// applications have it; `None`: none are.
    pub hedge_share: Option<f64>,
    /// After this time a running batch is a hang, and its replica is killed.
    pub batch_timeout_ns: u64,
    /// After this time a container that does not serve yet is given up. `None`: never.
    pub load_timeout_us: Option<u64>,
    /// What the linked applications send; `None` when there are none.
    pub input: Option<TensorSpec>,
    /// The tightest objective of the linked applications; `None` when there are none.
    pub slo_ns: Option<u64>,
    /// Indexes of [`Config::applications`].
    pub applications: Vec<usize>,
}

impl Model {
    /// Its name and version, as they are written where one version of several is meant.
    pub fn label(&self) -> String {
        label(&self.name, &self.version)
    }

    /// The core of one replica: the list is dealt out in turn.
    pub fn cpu_of_replica(&self, replica: u32) -> Option<usize> {
        let turn = (replica as usize).checked_rem(self.cpus.len())?;
        self.cpus.get(turn).copied()
    }
}

/// Outputs that are kept for the same input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// The most that it takes, everything counted.
    pub bytes: u64,
    /// An older output is not used. `None`: it is as good as a new one.
    pub ttl_ns: Option<u64>,
}

/// What starts a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// A path already joined to the working directory, or a bare name to be found by `PATH`.
    pub program: PathBuf,
    pub args: Vec<String>,
}

impl Command {
    /// Whether the program is a bare name.
    pub fn is_found_by_path(&self) -> bool {
        self.program.components().count() == 1 && !self.program.has_root()
    }
}

/// How batches are formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    pub policy: BatchPolicy,
    /// The most queries of one batch.
    pub max: u32,
    /// How long a query waits at most for others to go with it.
    pub wait_ns: u64,
    /// Whether a batch begins as late as its first query allows.
    pub defer: bool,
    /// Whether a batch needs its core for itself.
    pub exclusive: bool,
    pub cost: BatchCost,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            policy: BatchPolicy::default(),
            max: BATCH_MAX_DEFAULT,
            wait_ns: 0,
            defer: false,
            exclusive: false,
            cost: BatchCost::default(),
        }
    }
}

/// How the size of a batch is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BatchPolicy {
    /// Grow by steps while batches meet their objective, shrink when they miss it.
    #[default]
    Aimd,
    /// As large as the 99th percentile of service times allows.
    Quantile,
    /// Always the most.
    Fixed,
}

impl BatchPolicy {
    pub const ALL: [Self; 3] = [Self::Aimd, Self::Quantile, Self::Fixed];

    /// As the configuration has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aimd => "aimd",
            Self::Quantile => "quantile",
            Self::Fixed => "fixed",
        }
    }
}

/// What the policy counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BatchCost {
    #[default]
    Rows,
    /// The bytes of the inputs, up to so many; one input may have more.
    Bytes { max: u32 },
}

impl BatchCost {
    /// The words that the configuration knows.
    pub(super) const ROWS: &str = "rows";
    pub(super) const BYTES: &str = "bytes";
}
