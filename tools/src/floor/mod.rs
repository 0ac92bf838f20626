//! What this machine can do, and how quiet it is.
