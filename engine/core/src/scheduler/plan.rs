//! Applications and models as the scheduler needs to know them, before it has any state of them.

/// An application as the scheduler needs to know it.
#[derive(Clone, Debug)]
pub struct ApplicationPlan {
    pub slo_ns: u64,
    pub rows: u32,
    /// The linked model. Several, and a policy to choose among them, come later.
    pub model: Option<usize>,
}

/// A model as the scheduler needs to know it.
#[derive(Clone, Debug)]
pub struct ModelPlan {
    pub replicas: u32,
    pub depth: u32,
    pub policy: PolicyPlan,
    /// A batch that runs longer hangs.
    pub batch_timeout_ns: u64,
}

/// How the batch limit of each replica is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyPlan {
    Aimd { max: u32 },
    Fixed { max: u32 },
}

/// Whether a model can be expected to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// A replica is ready, or is being started and may be ready in time: queries wait.
    Expected,
    /// None is ready and none will be soon: queries are answered at once.
    Down,
}
