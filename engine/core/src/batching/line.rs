//! A line through sizes and times, `fixed + per_size × size`, that forgets.
//!
//! One per estimate, on the engine thread. Means, variance and covariance, each older batch
//! counting less than the next; of the first few, each counts the same, so that the line is there
//! after two sizes. All is kept as a difference from the means, so that sizes may be rows or bytes.
//!
//! A limit that has found its place gives batches of one size for long. What little their sizes
//! differ then tells nothing of the slope but noise; so the slope moves towards what the batches
//! tell only as far as their sizes are spread, and otherwise stays what it was.

use crate::limits::{SERVICE_GAIN, SERVICE_KNOWN_BATCHES, SERVICE_SPREAD_PARTS};

/// The running line.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Line {
    /// Batches learned from, until each counts by the gain alone.
    samples: u32,
    mean_size: f64,
    mean_ns: f64,
    variance: f64,
    covariance: f64,
    per_size_ns: f64,
    /// Of that, what is believed: at least 0 and at most so steep that no rows take no time. Noise
    /// cannot make a larger batch look faster, nor the fixed cost negative.
    slope_ns: f64,
}

impl Line {
    /// Learns that a batch of this size took so long.
    pub fn learn(&mut self, size: f64, ns: f64) {
        self.samples = self.samples.saturating_add(1);
        let gain = f64::from(self.samples).recip().max(SERVICE_GAIN);
        let size_off = size - self.mean_size;
        let ns_off = ns - self.mean_ns;
        self.mean_size += gain * size_off;
        self.mean_ns += gain * ns_off;
        self.variance = (1.0 - gain) * (self.variance + gain * size_off * size_off);
        self.covariance = (1.0 - gain) * (self.covariance + gain * size_off * ns_off);
        let spread = (self.mean_size / SERVICE_SPREAD_PARTS).powi(2);
        if self.variance + spread > 0.0 {
            let unexplained = self.covariance - self.per_size_ns * self.variance;
            self.per_size_ns += unexplained / (self.variance + spread);
        }
        self.set_slope();
    }

    /// All takes so many times as long as it did. What is learned next counts more than usual.
    pub fn scale(&mut self, times: f64) {
        self.mean_ns *= times;
        self.covariance *= times;
        self.per_size_ns *= times;
        self.samples = self.samples.min(SERVICE_KNOWN_BATCHES);
        self.set_slope();
    }

    /// What a batch of this size takes, in ns.
    pub fn at(&self, size: f64) -> f64 {
        self.mean_ns + self.slope_ns * (size - self.mean_size)
    }

    fn set_slope(&mut self) {
        let steepest_ns = self.mean_ns / self.mean_size.max(1.0);
        self.slope_ns = self.per_size_ns.clamp(0.0, steepest_ns);
    }

    /// Whether so much is known that a batch far from the line is an exception.
    pub fn is_firm(&self) -> bool {
        self.samples > SERVICE_KNOWN_BATCHES
    }
}
