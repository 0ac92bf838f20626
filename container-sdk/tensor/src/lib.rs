//! Tensors as the engine and the containers mean them, without the memory that they share.
//!
//! An application declares the input of a query, a container declares the output of an item; the
//! front end writes one and renders the other, and the core passes both on. All of them use the
//! words of this crate, so that none of them needs the protocol for it.
//!
//! [`spec`](TensorSpec) what an item is: element type, shape, bound · [`signature`](Signature) the
//! named tensors of an item and their places in a row · [`input`](RowRef) the row of an input ·
//! [`output`](OutputBytes) the bytes of an output, for a moment or for as long as they are needed ·
//! [`limits`] how large all of them may be.
//!
//! ```
//! use cutter_tensor::{ElementType, Shape, TensorSpec};
//!
//! let image = TensorSpec::exact(ElementType::Float32, Shape::new(&[28, 28])?);
//! assert_eq!(image.bytes_exact(), Some(28 * 28 * 4));
//! assert_eq!(image.to_string(), "float32[28, 28]");
//! # Ok::<(), cutter_tensor::SpecError>(())
//! ```

#![forbid(unsafe_code)]

mod input;
pub mod limits;
mod output;
mod signature;
mod spec;

pub use input::RowRef;
pub use output::{Item, KeptOutput, OutputBytes, OutputWords};
pub use signature::{INPUT_NAME, OUTPUT_NAME, Signature, SignatureError, Tensor};
pub use spec::{ElementType, Extent, Shape, SpecError, TensorSpec};
