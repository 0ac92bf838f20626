//! Where queries come in.
//!
//! A port owns its peers, their pace, and bounded bytes in and out; what it asks of the core does
//! not show which port it came by.

pub mod http;
