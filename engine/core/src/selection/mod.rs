//! Whom the queries of an application with a policy ask, and what is answered of what they say.
//!
//! Owner: the engine thread. An application whose configuration names a policy has a [`Selector`]:
//! a table beside its queries, by row, of what was decided for each, and the [`Learner`] that
//! decides: its policy, what that has learned, and the decisions that wait for feedback. A learner
//! belongs to the models that are linked, comes with them and goes with them.
//!
//! ```text
//!   admit ▸ servable ▸ Learner::choose ▸ calls … outputs ▸ said ┐
//!                                                               ▼
//!   answer ◂─ confidence ◂─ combine ◂─ all are in, or the deadline has come
//!      └─▸ decisions ┄┄┄┄ feedback ▸ losses ▸ Policy::observe
//! ```
//!
//! - *Servable* ([`servable`](Core::servable)) is who is ready and would be in time, as predicted;
//!   who is taken out by the operator is not.
//! - A query asks the models that the policy chose, side by side over one row. It is answered as
//!   soon as all are in, at its deadline of what is there.
//! - Where several were asked, the answer is their vote, or their mean ([`Reading`]). Its
//!   confidence is the share of *all* linked models that agree. Below the application's threshold
//!   the default output is answered.
//! - Beside a baseline ([`Mode`]) the baseline is answered, whatever the policy says.
//!
//! A query without a policy never comes here.
//!
//! [`Reading`]: crate::feedback::Reading

mod choose;
mod conclude;
mod ensemble;
mod judge;
mod learn;
mod learner;
mod means;
mod selector;
mod servable;
mod storage;
#[cfg(test)]
mod tests;

#[cfg(doc)]
use crate::Core;

pub use ensemble::{Ensemble, Member};
pub use learn::{Target, Update, Updated};
pub use learner::{Asking, Learner, LearnerPlan, LearnerSize, Mode, Substitute};

pub use storage::Storage;

pub(crate) use ensemble::Scratch;
pub(crate) use selector::Selector;
