//! When requests are due.
