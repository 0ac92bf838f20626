//! Whether an answer was what was asked for.
//!
//! Only as much is read as the verdict needs: without a label, an output is skipped, and an answer
//! of Open Inference is looked at from outside.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Reply;
use super::tensor::Output;
use crate::load::recording::Outcome;

/// Characters of a body that an error quotes: with what stands before them, no more than
/// `ERROR_CHARS_MAX`, mostly.
const EXCERPT_CHARS_MAX: usize = 240;
/// The longest body that is read as an error of Open Inference.
const REFUSAL_BYTES_MAX: usize = 4_096;
/// A text begins with so many characters of text: compressed bytes hardly ever do.
const TEXT_CHARS_MIN: usize = 8;

/// How answers are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// By their status alone.
    Status,
    Clipper,
    OipJson,
    OipBinary,
}

/// The right answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    pub class: u8,
}

/// What an answer amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    pub outcome: Outcome,
    /// Of a default output, the reason that was given.
    pub reason: Option<Cow<'a, str>>,
    /// Whether the prediction was right; `None` without a label, or without a prediction.
    pub correct: Option<bool>,
    /// What was wrong with it, in one line.
    pub error: Option<String>,
}

/// Judges an answer to a request whose right answer is `label`, if that is known.
pub fn judge<'a>(check: Check, reply: &Reply<'a>, label: Option<&Label>) -> Verdict<'a> {
    if !matches!(reply.status, 200..=299) {
        let error = format!("status {}: {}", reply.status, excerpt(reply.body));
        return Verdict::bad(Outcome::HttpError, error);
    }
    let verdict = match (check, label) {
        (Check::Status, _) => Ok(Verdict::answered(None)),
        (Check::Clipper, None) => read_clipper::<IgnoredAny>(reply.body, |_| None),
        (Check::Clipper, Some(label)) => {
            read_clipper::<Output>(reply.body, |output| Some(output.is_class(label.class)))
        }
        (Check::OipJson | Check::OipBinary, label) => read_inference(reply, label),
    };
    verdict.unwrap_or_else(|why| {
        let error = format!("a body that is no prediction ({why}): {}", excerpt(reply.body));
        Verdict::bad(Outcome::Broken, error)
    })
}

impl Verdict<'_> {
    fn answered(correct: Option<bool>) -> Self {
        Self { outcome: Outcome::Answered, reason: None, correct, error: None }
    }

    fn bad(outcome: Outcome, error: String) -> Self {
        Self { outcome, reason: None, correct: None, error: Some(error) }
    }
}

/// Text that is borrowed where JSON allows it.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// One prediction of Clipper.
#[derive(Deserialize)]
struct Item<'a, O> {
    output: O,
    default: bool,
    #[serde(default, borrow)]
    reason: Option<Text<'a>>,
}

/// A whole answer of Clipper: one prediction, a batch, or (Cutter, to a batch of one) both.
#[derive(Deserialize)]
struct Answer<'a, O> {
    output: Option<O>,
    default: Option<bool>,
    #[serde(default, borrow)]
    reason: Option<Text<'a>>,
    #[serde(borrow, bound(deserialize = "O: Deserialize<'de>"))]
    batch_predictions: Option<Vec<Item<'a, O>>>,
}

fn read_clipper<'a, O: Deserialize<'a>>(
    body: &'a [u8],
    is_correct: impl Fn(&O) -> Option<bool>,
) -> Result<Verdict<'a>, String> {
    let answer: Answer<'a, O> = serde_json::from_slice(body).map_err(|why| why.to_string())?;
    let item = match (answer.batch_predictions, answer.output, answer.default) {
        (Some(items), _, _) => worst(items).ok_or("\"batch_predictions\" is empty")?,
        (None, Some(output), Some(default)) => Item { output, default, reason: answer.reason },
        (None, None, _) => return Err("it has no \"output\"".to_owned()),
        (None, _, None) => return Err("it has no \"default\"".to_owned()),
    };
    if !item.default {
        return Ok(Verdict::answered(is_correct(&item.output)));
    }
    let reason = item.reason.map(|reason| reason.0);
    Ok(Verdict { outcome: Outcome::Default, reason, correct: None, error: None })
}

/// The first default, or else the first of all: a batch is as good as its worst.
fn worst<O>(mut items: Vec<Item<'_, O>>) -> Option<Item<'_, O>> {
    let at = items.iter().position(|item| item.default).unwrap_or(0);
    (!items.is_empty()).then(|| items.swap_remove(at))
}

/// An answer of Open Inference, with or without binary data.
#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a, O: Deserialize<'de>"))]
struct Inference<'a, O> {
    outputs: Vec<Tensor<'a, O>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a, O: Deserialize<'de>"))]
struct Tensor<'a, O> {
    #[serde(borrow)]
    datatype: Text<'a>,
    data: Option<O>,
    parameters: Option<TensorParameters>,
}

#[derive(Deserialize)]
struct TensorParameters {
    binary_data_size: Option<usize>,
}

fn read_inference<'a>(reply: &Reply<'a>, label: Option<&Label>) -> Result<Verdict<'a>, String> {
    match (reply.inference_header_length, label) {
        (None, None) => look_at(reply.body).map(|()| Verdict::answered(None)),
        (None, Some(label)) => {
            let output = inference::<Output>(reply.body)?.outputs.swap_remove(0).data;
            let output = output.ok_or("its first output has no \"data\"")?;
            Ok(Verdict::answered(Some(output.is_class(label.class))))
        }
        (Some(length), label) => read_binary(reply.body, length, label),
    }
}

fn inference<'a, O: Deserialize<'a>>(json: &'a [u8]) -> Result<Inference<'a, O>, String> {
    let answer: Inference<'a, O> = serde_json::from_slice(json).map_err(|why| why.to_string())?;
    if answer.outputs.is_empty() { Err("its \"outputs\" are empty".to_owned()) } else { Ok(answer) }
}

/// Tells an answer from a page of errors without reading its numbers: a generator that parses all
/// of them would be busier than the server that it measures.
fn look_at(body: &[u8]) -> Result<(), String> {
    const OUTPUTS: &[u8] = b"\"outputs\"";
    let [b'{', inner @ .., b'}'] = body.trim_ascii() else {
        return Err("it is no object of JSON".to_owned());
    };
    let is_key = |at: usize| {
        let found = inner[at..].strip_prefix(OUTPUTS);
        found.is_some_and(|rest| rest.trim_ascii_start().starts_with(b":"))
    };
    let has_outputs = (0..inner.len()).any(is_key);
    has_outputs.then_some(()).ok_or_else(|| "it has no \"outputs\"".to_owned())
}

fn read_binary<'a>(
    body: &'a [u8],
    json_bytes: usize,
    label: Option<&Label>,
) -> Result<Verdict<'a>, String> {
    let beyond = || format!("its JSON should be {json_bytes} bytes of {}", body.len());
    let (json, data) = body.split_at_checked(json_bytes).ok_or_else(beyond)?;
    let answer = inference::<Output>(json)?;
    let size = |tensor: &Tensor<'_, Output>| {
        tensor.parameters.as_ref().and_then(|parameters| parameters.binary_data_size)
    };
    let promised = answer
        .outputs
        .iter()
        .filter_map(size)
        .try_fold(0usize, |sum, bytes| sum.checked_add(bytes))
        .unwrap_or(usize::MAX);
    if promised != data.len() {
        let bytes = data.len();
        return Err(format!("its outputs should have {promised} bytes and have {bytes}"));
    }
    let Some(label) = label else { return Ok(Verdict::answered(None)) };
    let first = &answer.outputs[0];
    let datatype = &*first.datatype.0;
    let output = match size(first) {
        Some(bytes) => Output::from_bytes(datatype, &data[..bytes])
            .ok_or_else(|| format!("{bytes} bytes are no {datatype}"))?,
        None => first.data.ok_or("its first output has no data")?,
    };
    Ok(Verdict::answered(Some(output.is_class(label.class))))
}

/// What a server said, in one line: the text of an `{"error":"…"}`, as Open Inference has it, or
/// else the beginning of the body.
fn excerpt(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal<'a> {
        #[serde(borrow)]
        error: Text<'a>,
    }
    // Not all of a long one: errors may come as fast as answers.
    let refusal = if body.len() <= REFUSAL_BYTES_MAX {
        serde_json::from_slice::<Refusal<'_>>(body).ok()
    } else {
        None
    };
    let words = refusal.as_ref().map_or(body, |refusal| refusal.error.0.as_bytes());
    // A character has at most four bytes; one more tells that there was more.
    let words = String::from_utf8_lossy(&words[..words.len().min(4 * (EXCERPT_CHARS_MAX + 1))]);
    let is_noise = |char: char| {
        char == char::REPLACEMENT_CHARACTER || (char.is_control() && !char.is_whitespace())
    };
    if words.chars().take(TEXT_CHARS_MIN).any(is_noise) {
        return format!("{} bytes that are no text (is it compressed?)", body.len());
    }
    match one_line(&words) {
        line if line.is_empty() => "nothing in its body".to_owned(),
        line => line,
    }
}

/// The beginning of a text, with a space for all white space and control characters between words.
fn one_line(text: &str) -> String {
    let words = text.split(|char: char| char.is_whitespace() || char.is_control());
    let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(EXCERPT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
