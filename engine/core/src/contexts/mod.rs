//! Keys of contexts.
mod key;
pub use key::ContextKey;
