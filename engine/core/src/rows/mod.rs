//! Rows: where inputs lie, and which of them are free.
//!
//! [`allocator`] which row an input gets · [`pool`] what stands in it.

mod allocator;
mod pool;

pub use allocator::RowAllocator;
pub use pool::{HeapRows, Pool, RowMemory};
