//! How a request is answered.

use std::io::Write;
use std::ops::Range;

use super::question::{Application, Problem};
use crate::json::render::{embed_text, write_string, write_tensor};
use crate::scheduler::{Answer, Outcome};
use crate::stats::Reason;

/// Writes the answer to one query as a JSON object.
pub fn write_item(out: &mut Vec<u8>, answer: &Answer<'_>, application: &Application) {
    out.extend_from_slice(b"{\"query_id\":");
    write_number(out, answer.query_id);
    out.extend_from_slice(b",\"output\":");
    match answer.outcome {
        Outcome::Prediction { output, spec } => {
            write_tensor(out, spec, output);
            out.extend_from_slice(b",\"default\":false}");
        }
        Outcome::Default { reason, detail } => {
            embed_text(out, &application.default_output);
            out.extend_from_slice(b",\"default\":true,\"default_explanation\":");
            let detail = String::from_utf8_lossy(detail);
            write_string(out, &explanation(reason, &detail, application));
            out.extend_from_slice(b",\"reason\":\"");
            out.extend_from_slice(reason.as_str().as_bytes());
            out.extend_from_slice(b"\"}");
        }
    }
}

/// Writes the body of a whole answer from its items, which stand at `items` in `written`.
pub fn write_predictions(
    out: &mut Vec<u8>,
    written: &[u8],
    items: &[Range<usize>],
    is_batch: bool,
) {
    if let ([single], true) = (items, is_batch) {
        // Clipper unwraps a batch of one. Whoever asked for a batch finds it here too.
        let item = &written[single.clone()];
        out.extend_from_slice(&item[..item.len() - 1]);
        out.extend_from_slice(b",\"batch_predictions\":[");
        out.extend_from_slice(item);
        out.extend_from_slice(b"]}");
        return;
    }
    if is_batch {
        out.extend_from_slice(b"{\"batch_predictions\":[");
    }
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&written[item.clone()]);
    }
    if is_batch {
        out.extend_from_slice(b"]}");
    }
}

/// Writes the body of an answer that is an error.
pub fn write_problem(out: &mut Vec<u8>, problem: &Problem) {
    out.extend_from_slice(b"{\"error\":");
    write_string(out, problem.kind());
    out.extend_from_slice(b",\"cause\":");
    write_string(out, &problem.to_string());
    out.push(b'}');
}

fn explanation(reason: Reason, detail: &str, application: &Application) -> String {
    let name = &application.name;
    let model = application.model.as_ref().map_or("", |(model, _)| model.as_str());
    match reason {
        Reason::NoModel => format!("No model is linked to application {name}"),
        Reason::NotReady => format!("No replica of model {model} is ready"),
        Reason::Overloaded => format!("Too many queries of application {name} are waiting"),
        Reason::Late => "No prediction within the latency SLO".to_owned(),
        Reason::ModelError if detail.is_empty() => format!("Model {model} failed"),
        Reason::ModelError => format!("Model {model} failed: {detail}"),
        Reason::ShuttingDown => "The server is shutting down".to_owned(),
    }
}

fn write_number(out: &mut Vec<u8>, number: u64) {
    write!(out, "{number}").expect("writing to a Vec cannot fail");
}
