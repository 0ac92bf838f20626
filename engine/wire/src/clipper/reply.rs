//! How a request is answered.

use std::fmt::Display;
use std::io::Write;

use super::Problem;
use crate::json::render::write_string;

/// Writes what stands before a prediction's output.
#[inline]
pub fn open_prediction(out: &mut Vec<u8>, query_id: u64) {
    open_item(out, query_id);
}

/// Writes what stands behind a prediction's output.
#[inline]
pub fn close_prediction(out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"default\":false}");
}

/// A default output, and why it is told instead of a prediction.
#[derive(Clone, Copy, Debug)]
pub struct DefaultAnswer<'a, E> {
    /// The output, as JSON.
    pub output: &'a [u8],
    /// Why, for people.
    pub explanation: E,
    /// Why, for machines: one word.
    pub reason: &'a str,
}

/// Writes the default output as the answer to one query.
pub fn write_default(out: &mut Vec<u8>, query_id: u64, answer: &DefaultAnswer<'_, impl Display>) {
    open_item(out, query_id);
    out.extend_from_slice(answer.output);
    out.extend_from_slice(b",\"default\":true,\"default_explanation\":");
    write_text(out, &answer.explanation);
    out.extend_from_slice(b",\"reason\":\"");
    out.extend_from_slice(answer.reason.as_bytes());
    out.extend_from_slice(b"\"}");
}

/// Writes the body of an answer that is an error.
pub fn write_problem(out: &mut Vec<u8>, problem: &Problem) {
    out.extend_from_slice(b"{\"error\":");
    write_string(out, problem.kind());
    out.extend_from_slice(b",\"cause\":");
    write_text(out, problem);
    out.push(b'}');
}

fn open_item(out: &mut Vec<u8>, query_id: u64) {
    write!(out, "{{\"query_id\":{query_id},\"output\":").expect("writing to a Vec cannot fail");
}

/// A text in quotes, escaped as it is formatted: nothing is taken from the heap.
fn write_text(out: &mut Vec<u8>, text: &impl Display) {
    let written = serde_json::to_writer(out, &format_args!("{text}"));
    debug_assert!(written.is_ok(), "text is JSON, and a Vec takes all bytes");
}
