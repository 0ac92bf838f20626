//! How a model's batches are formed, beside the limit that each replica finds.
//!
//! One per model, read by the engine thread whenever it forms a batch; a change replaces it whole.

/// What a model's operator has chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forming {
    /// How long a query waits at most for others to go with it; 0: not at all. Waiting pays where a
    /// batch costs much beside its rows (Clipper, NSDI '17, section 4.3.3).
    pub wait_ns: u64,
    /// Whether a batch begins as late as its first query allows, so that it grows (Symphony,
    /// arXiv 2308.07470).
    pub defer: bool,
    pub cost: Cost,
}

/// What the size of a batch is, for its limit and for the estimate of its service time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cost {
    /// Its rows.
    #[default]
    Rows,
    /// The bytes of its inputs, where a long input takes longer than a short one.
    Bytes,
}
