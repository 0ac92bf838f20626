//! A live view of a running engine.
