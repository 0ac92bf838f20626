//! Which core each thread is on.

/// Where the threads ran.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    pub engine: Option<usize>,
    pub model: Option<usize>,
    pub client: Option<usize>,
}
