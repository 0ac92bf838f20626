//! What was right, and what each model had said: from both follow the losses that policies learn.
//!
//! Owner: the engine thread. Pure. What a model said is kept as a few bytes ([`Said`]), read from
//! its output once, as the application's outputs are to be read ([`Reading`]). What a client
//! reports later ([`Truth`]) is compared with that by the application's [`Loss`]. Until then a
//! decision waits in a ring ([`Decisions`]).

mod decisions;
mod lesson;
mod loss;
mod record;
mod said;

pub use decisions::{Decision, DecisionPlace, Decisions, Ending, Found, Unrewarded};
pub(crate) use lesson::Losses;
pub use lesson::{Lesson, Vector};
pub use loss::{Loss, Truth};
pub use record::{Decided, Learned};
pub use said::{Reading, Said, text_class};
pub(crate) use said::{largest, numbers};
