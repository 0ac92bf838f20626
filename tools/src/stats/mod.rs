//! The statistics of latencies.
