//! What the tests of the C SDK share.

pub mod installed;
pub mod mini_engine;
