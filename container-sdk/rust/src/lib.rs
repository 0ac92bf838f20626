//! Serve a model with Cutter.
//!
//! A container is a process that runs one model. It connects to the engine, takes batches of rows
//! that it reads in place, writes the outputs in place, and gives the batch back.
//!
//! ```no_run
//! use cutter_container::{Batch, ElementType, Model, TensorSpec, serve};
//!
//! fn main() -> Result<(), cutter_container::ContainerError> {
//!     let model = Model::new(TensorSpec::scalar(ElementType::Float32));
//!     serve(&model, |batch: &mut Batch<'_>| {
//!         for item in 0..batch.len() {
//!             let sum: f32 = batch.row_as::<f32>(item)?.iter().sum();
//!             batch.output_as::<f32>(item)?[0] = sum;
//!         }
//!         Ok(())
//!     })
//! }
//! ```
//!
//! An item whose output a model does not write fails, and so does a batch of which nothing was
//! written; places for outputs come cleared. So a mistake of a model is an error or a zero, never
//! the output of somebody else's query.
//!
//! [`serve`] owns the loop. A model with a loop of its own takes a [`Container`] and asks it for
//! the next batch. The engine finds the container when it starts it (`command` in the
//! configuration), or the container finds the engine by `CUTTER_SOCKET` in its environment.

#![forbid(unsafe_code)]

mod batch;
mod container;
mod element;

pub use batch::{Batch, BatchError, Dense, Rows};
pub use container::{Container, Model, Pull, serve};
pub use cutter_protocol::container::ContainerError;
pub use cutter_protocol::handshake::{ENV_FD, ENV_MODEL, ENV_SOCKET};
pub use cutter_tensor::{ElementType, Extent, Shape, SignatureError, SpecError, TensorSpec};
pub use element::Element;

/// Limits that a model meets.
pub mod limits {
    pub use cutter_protocol::limits::{BATCH_ITEMS_MAX, MESSAGE_BYTES_MAX, OUTPUT_SLOT_BYTES_MAX};
    pub use cutter_tensor::limits::{
        ITEM_BYTES_MAX, ITEM_LISTS_MAX, RANK_MAX, TENSOR_NAME_BYTES_MAX,
    };
}
