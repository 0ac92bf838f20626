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

/// Writes what stands behind a prediction's output; `extra` writes what else is told.
#[inline]
pub fn close_prediction(out: &mut Vec<u8>, extra: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b",\"default\":false");
    extra(out);
    out.push(b'}');
}

/// Writes how sure an answer is: the share of all linked models that agree with it.
pub fn write_confidence(out: &mut Vec<u8>, confidence: f64) {
    write!(out, ",\"confidence\":{confidence:.4}").expect("writing to a Vec cannot fail");
}

/// What one model said of a query.
#[derive(Clone, Copy, Debug)]
pub struct Spoke<'a> {
    pub model: &'a str,
    pub version: &'a str,
    /// Its part in the answer.
    pub weight: f64,
    /// How long after the query it came, if it did in time.
    pub after_us: Option<u64>,
}

/// Begins a model of those that are told of an answer.
pub fn begin_model(out: &mut Vec<u8>, is_first: bool) {
    out.extend_from_slice(if is_first { b",\"models\":[" } else { b"," });
}

/// Writes what it said; `output` writes its output.
pub fn write_model(out: &mut Vec<u8>, spoke: &Spoke<'_>, output: impl FnOnce(&mut Vec<u8>)) {
    let Spoke { model, version, weight, after_us } = spoke;
    out.extend_from_slice(b"{\"model\":");
    write_string(out, model);
    out.extend_from_slice(b",\"version\":");
    write_string(out, version);
    write!(out, ",\"weight\":{weight:.4},\"after_us\":").expect("writing to a Vec cannot fail");
    match after_us {
        Some(after_us) => write!(out, "{after_us}").expect("writing to a Vec cannot fail"),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"output\":");
    output(out);
    out.push(b'}');
}

/// Behind the last of them.
pub fn end_models(out: &mut Vec<u8>) {
    out.push(b']');
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

/// Writes the default output as the answer to one query; `extra` writes what else is told.
pub fn write_default(
    out: &mut Vec<u8>,
    query_id: u64,
    answer: &DefaultAnswer<'_, impl Display>,
    extra: impl FnOnce(&mut Vec<u8>),
) {
    open_item(out, query_id);
    out.extend_from_slice(answer.output);
    out.extend_from_slice(b",\"default\":true,\"default_explanation\":");
    write_text(out, &answer.explanation);
    out.extend_from_slice(b",\"reason\":\"");
    out.extend_from_slice(answer.reason.as_bytes());
    out.push(b'"');
    extra(out);
    out.push(b'}');
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
