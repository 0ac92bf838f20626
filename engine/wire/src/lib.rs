//! Protocols as bytes.
#![forbid(unsafe_code)]

pub mod clipper;
pub mod http;
pub mod json;
pub mod limits;
