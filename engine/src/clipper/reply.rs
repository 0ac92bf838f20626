//! How a request is answered.

use std::fmt::Display;
use std::io::Write;

use super::question::{Application, Problem};
use crate::json::render::write_string;
use crate::limits::{DEFAULT_TEXT_BYTES_MAX, DETAIL_BYTES_MAX};
use crate::stats::Reason;

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

/// Writes the default output as the answer to one query. Of `detail` as much as its limit allows
/// is told, in one line.
pub fn write_default(
    out: &mut Vec<u8>,
    query_id: u64,
    reason: Reason,
    detail: &[u8],
    application: &Application,
) {
    open_item(out, query_id);
    out.extend_from_slice(&application.default_json);
    out.extend_from_slice(b",\"default\":true,\"default_explanation\":");
    write_explanation(out, reason, detail, application);
    out.extend_from_slice(b",\"reason\":\"");
    out.extend_from_slice(reason.as_str().as_bytes());
    out.extend_from_slice(b"\"}");
}

/// The most bytes that [`write_default`] appends when it has no detail to tell.
pub fn default_bytes_max(application: &Application) -> usize {
    let model = application.model.as_ref().map_or(0, |(model, _)| model.len());
    application.default_json.len() + application.name.len() + model + DEFAULT_TEXT_BYTES_MAX
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

fn write_explanation(out: &mut Vec<u8>, reason: Reason, detail: &[u8], application: &Application) {
    let name = &application.name;
    let model = application.model.as_ref().map_or("", |(model, _)| model.as_str());
    match reason {
        Reason::NoModel => {
            write_text(out, &format_args!("No model is linked to application {name}"))
        }
        Reason::NotReady => write_text(out, &format_args!("No replica of model {model} is ready")),
        Reason::Overloaded if detail.is_empty() => {
            let rows = application.rows;
            let text = format_args!(
                "All {rows} rows of application {name} hold queries that wait; send fewer at \
                 once, or raise its `rows` in the configuration"
            );
            write_text(out, &text);
        }
        Reason::Overloaded => write_text(out, &String::from_utf8_lossy(detail)),
        Reason::Late => write_string(out, "No prediction within the latency SLO"),
        Reason::ModelError if detail.is_empty() => {
            write_text(out, &format_args!("Model {model} failed"));
        }
        Reason::ModelError => {
            let most = detail.len().min(DETAIL_BYTES_MAX);
            let detail = String::from_utf8_lossy(&detail[..most]);
            write_text(out, &format_args!("Model {model} failed: {detail}"));
        }
        Reason::ShuttingDown => write_string(out, "The server is shutting down"),
    }
}

/// A text in quotes, escaped as it is formatted: nothing is taken from the heap.
fn write_text(out: &mut Vec<u8>, text: &impl Display) {
    let written = serde_json::to_writer(out, &format_args!("{text}"));
    debug_assert!(written.is_ok(), "text is JSON, and a Vec takes all bytes");
}

#[cfg(test)]
mod tests {
    use super::*;
    use cutter_protocol::tensor::{ElementType, TensorSpec};

    #[test]
    fn a_default_output_fits_into_what_is_set_aside_for_it() {
        let name = "n".repeat(crate::limits::NAME_BYTES_MAX);
        let input = TensorSpec::scalar(ElementType::Float32);
        let model = Some((name.clone(), "1".to_owned()));
        let application = Application::new(name, input, "{\"a\": \"\u{1}\"}", model);
        for reason in Reason::ALL {
            let mut out = Vec::new();
            write_default(&mut out, u64::MAX, reason, b"", &application);
            assert!(out.len() <= default_bytes_max(&application), "{reason:?}: {}", out.len());
            assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
        }
    }

    #[test]
    fn a_detail_is_cut_where_its_limit_is() {
        let input = TensorSpec::scalar(ElementType::Float32);
        let application = Application::new("a".to_owned(), input, "0", None);
        let mut out = Vec::new();
        let detail = [1; 2 * DETAIL_BYTES_MAX];
        write_default(&mut out, 1, Reason::ModelError, &detail, &application);
        let most = default_bytes_max(&application) + 6 * DETAIL_BYTES_MAX;
        assert!(out.len() <= most, "{}", out.len());
    }
}
