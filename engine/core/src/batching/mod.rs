//! Decides which queries go together to a replica, and how many.
//!
//! Owner: the engine thread. Pure logic: it sees only sizes and times, and every time is passed in.
//! Nothing here allocates after construction, and nothing here knows what a query or a model is.
//!
//! How it flows: a model's waiting queries stand in one [`DeadlineQueue`], earliest deadline first.
//! When a replica of the model has room, the engine asks the replica's [`BatchLimit`] how many to
//! take, and its [`ServiceEstimate`] how long that will be, so that a query which would come too
//! late is answered at once instead of being sent. When the batch comes back, its size and service
//! time go to the estimate, which tells stalls apart, and what it makes of them to the limit;
//! whether it failed goes to its [`FailureShare`], and where batches are hedged, how well it was
//! predicted goes to its [`Lateness`]. [`Objective`] turns the SLOs of the linked
//! applications into what one batch may take. What of all this a model's operator has chosen is its
//! [`Forming`].
//!
//! ```text
//!  queries ▸ DeadlineQueue ▸ (late? answer now) ▸ batch of up to limit() ▸ replica
//!                               ▲                        ▲                    │
//!                        ServiceEstimate ── a lesson ─▸ BatchLimit            │
//!                               ▲                                             │
//!                               └────────────────── observe ──────────────────┘
//! ```
#![forbid(unsafe_code)]

mod aimd;
mod failure_share;
mod forming;
mod lateness;
mod limiter;
mod line;
mod margin;
mod objective;
mod quantile;
mod queue;
mod service;
#[cfg(test)]
mod worlds;

pub use aimd::Aimd;
pub use failure_share::FailureShare;
pub use forming::{Cost, Forming};
pub use lateness::Lateness;
pub use limiter::BatchLimit;
pub use objective::Objective;
pub use quantile::Quantile;
pub use queue::{DeadlineQueue, Full, Queued};
pub(crate) use service::whole_ns;
pub use service::{Lesson, ServiceEstimate};
