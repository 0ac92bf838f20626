//! Answers out of bytes: framing, and whether an answer was what was asked for.
