//! Goodput: how much there is to be had, and what policies of batching make of it. Pure.
//!
//! The goodput of a server is the highest rate at which a quantile of its answers keeps the SLO.
//! A replica that takes `l(b) = fixed + per_row × b` for a batch of `b` rows has an upper bound of
//! it, whoever forms its batches; a policy can be told as a share of that.
//!
//! ```text
//!  scene        l(b), the time that a query may take, replicas
//!    fluid        U0, which nobody exceeds, and T*, for arrivals at even distances
//!    chain        T_M: Poisson arrivals and one replica that takes all that waits, solved
//!    mean         what a query takes on average then
//!    clairvoyant  the fewest losses on one very trace, by one who knew it before
//!    simulation   any policy, any arrivals, any replicas
//!  fit          l(b) from what a server counts of its batches
//!  served       a model that runs, with its line, its SLO and its replicas
//!  bounds       all of them in one table
//! ```
//!
//! Where the formulas come from: T* for one replica is "half the SLO" of Nexus (Shen et al., SOSP
//! '19), for several the staggered batches of Symphony (Chen et al., arXiv 2308.07470).

pub mod bounds;
mod chain;
pub mod clairvoyant;
pub mod fit;
mod fluid;
mod mean;
mod scene;
pub mod served;
pub mod simulation;

pub use chain::poisson_qps;
pub use fluid::{ceiling_qps, fluid_optimum};
pub use mean::mean_latency_max_ns;
pub use scene::{Scene, SceneError, ServiceLine};
