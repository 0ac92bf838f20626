//! What is asked: requests as bytes, and what their answers should be.
