//! Shared memory between the engine and a container: layout, rings, segments, handshake.
//!
//! This crate is the only place where Cutter touches memory that another process can touch.
//!
//! # Trust
//! The engine does not trust a replica; a container trusts the engine. Every page has one writing
//! process, and the kernel enforces it: what the engine writes is sealed against any other writable
//! mapping. What a replica writes is copied once and then checked (`engine`).
//!
//! # Rules of this crate
//! - No reference covers memory that the other side writes. Control words and ring entries are
//!   atomics, accessed one word at a time; bulk is copied word by word with relaxed loads, each
//!   word read once. The one exception, a container's view of its rows, is reasoned in
//!   `container`.
//! - Positions, masks, capacities and generations are private and never read back.
//! - An offset is never taken from shared memory.
//!
//! # Orderings
//! | store | partner | for |
//! | --- | --- | --- |
//! | ring stamp, release | ring stamp, acquire | the entry, and the tables written before it |
//! | asleep flag, relaxed, then fence | stamp published, then fence, then flag | no lost wake |
//!
//! # Rooms
//! [`entry`] messages and tables · [`layout`] where they lie ·
//! [`ring`], [`sleep`] the two algorithms, over [`words`] · [`segment`] the memory ·
//! [`engine`], [`container`] the two ends · [`wire`], `socket`, [`handshake`] how both sides come
//! to share it: `handshake` knows both ends, and neither end knows it.

pub mod clock;
pub mod container;
pub mod engine;
pub mod entry;
mod environment;
pub mod handshake;
pub mod layout;
pub mod limits;
pub mod ring;
pub mod segment;
pub mod sleep;
mod socket;
#[cfg(test)]
mod testing;
pub mod violation;
pub mod wait;
pub mod wire;
pub mod words;
