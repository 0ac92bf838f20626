//! What is asked: requests as bytes, and what their answers should be.

/// The right answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    pub class: u8,
}
