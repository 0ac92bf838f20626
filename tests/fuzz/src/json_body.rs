//! A prediction's body, and what the application takes, through the JSON reader.
//!
//! ```text
//!  input: the type of an input (`typed`) · a byte, the most inputs of a batch · the body
//! ```
//!
//! Oracle: a second reader in this file, which builds on `serde_json` for the grammar and on
//! `str::parse` for numbers. Both accept, and then with the same rows, byte for byte; or both
//! refuse. Read in pieces, a body comes to the same, its error and its rows too.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cutter_tensor::{ElementType, Extent, TensorSpec};
use cutter_wire::json::{Body, Context, JsonError, PredictReader, Progress, Rows, read_predict};
use cutter_wire::limits::{
    CONTEXT_KEY_BYTES_MAX, CONTEXT_NUMBERS_MAX, JSON_VALUE_BYTES_MAX, NAME_BYTES_MAX,
    TIMEOUT_US_MAX,
};
use serde_json::value::RawValue;

use crate::Source;
use crate::raw::{Entries, array, is_well_formed, text};
use crate::typed::small_spec;

/// The most inputs of a batch.
const BATCH_MAX: u8 = 5;

/// The longest piece of which the body's own bytes say how long it is.
const PIECE_BYTES_MAX: usize = 24;

/// What a body comes to.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    is_batch: bool,
    version: Option<String>,
    timeout_us: Option<u32>,
    /// A key as it is, or a vector as it is shown.
    context: String,
    explain: bool,
    rows: Vec<Vec<u8>>,
}

pub fn json_body(data: &[u8]) {
    let mut source = Source::new(data);
    let spec = small_spec(&mut source);
    let batch_max = usize::from(source.below(BATCH_MAX)) + 1;
    let body = source.rest();
    let expected = read_by_serde(body, &spec, batch_max);
    let found = read_in_one_pass(body, &spec, batch_max);
    let text = String::from_utf8_lossy(body);
    assert_eq!(found.as_ref().ok(), expected.as_ref(), "{spec}: {text:?}, {found:?}");
    if let Err(error) = found {
        assert!(!error.is_empty() && error.len() < 1024, "{error}");
    }
    let pieces = body.iter().map(|byte| usize::from(*byte) % (PIECE_BYTES_MAX + 1));
    check_in_pieces(body, &spec, batch_max, pieces.chain([PIECE_BYTES_MAX]));
    check_in_pieces(body, &spec, batch_max, std::iter::once(1));
}

/// In pieces of these lengths, again and again, a body comes to what it comes to in one go.
fn check_in_pieces(
    body: &[u8],
    spec: &TensorSpec,
    batch_max: usize,
    pieces: impl Iterator<Item = usize> + Clone,
) {
    let mut whole = KeptRows::new(spec, false);
    let expected = read_predict(body, spec, batch_max, &mut whole);
    let mut kept = KeptRows::new(spec, false);
    let found = read_in_pieces(body, spec, batch_max, pieces.clone(), &mut kept);
    let text = String::from_utf8_lossy(body);
    assert_eq!(found, expected, "{spec}: {text:?}");
    assert_eq!((kept.rows, kept.given), (whole.rows, whole.given), "{spec}: {text:?}");
    // A row that others write to between two pieces: no value depends on what was there.
    let mut shared = KeptRows::new(spec, true);
    let found = read_in_pieces(body, spec, batch_max, pieces, &mut shared);
    assert_eq!(found, expected, "{spec}: {text:?}, with a shared row");
    assert_eq!(shared.given, whole.given, "{spec}: {text:?}, with a shared row");
}

fn read_in_pieces<'b>(
    body: &'b [u8],
    spec: &TensorSpec,
    batch_max: usize,
    pieces: impl Iterator<Item = usize> + Clone,
    rows: &mut KeptRows,
) -> Result<Body<'b>, JsonError> {
    let mut reader = PredictReader::new(*spec, batch_max);
    let mut budgets = pieces.cycle();
    // An error is looked for from the start again, for its line and column.
    for _ in 0..=2 * (body.len() + 1) {
        let budget_bytes = budgets.next().expect("there is a piece");
        if let Progress::Done(read) = reader.read(body, budget_bytes, rows)? {
            return Ok(read);
        }
    }
    panic!("{} bytes are not read in so many pieces", body.len());
}

fn read_in_one_pass(body: &[u8], spec: &TensorSpec, batch_max: usize) -> Result<Read, String> {
    let mut rows = KeptRows::new(spec, false);
    let read = read_predict(body, spec, batch_max, &mut rows);
    // Whatever was wrong, not more was asked for than a batch may have.
    assert!(rows.rows.len() <= rows.given && rows.given <= batch_max);
    let read = read.map_err(|error| error.to_string())?;
    assert_eq!((read.count, rows.rows.len()), (rows.given, rows.given));
    let version = read.version.map(|version| version.into_owned());
    let (is_batch, timeout_us) = (read.is_batch, read.timeout_us);
    let context = match read.context {
        Context::None => String::new(),
        Context::Key(key) => key.into_owned(),
        Context::Vector(vector) => format!("{:?}", vector.numbers().collect::<Vec<_>>()),
    };
    let explain = read.explain;
    Ok(Read { is_batch, version, timeout_us, context, explain, rows: rows.rows })
}

/// Rows as a server would keep them, each as long as was committed.
pub struct KeptRows {
    row: Vec<u8>,
    pub rows: Vec<Vec<u8>>,
    given: usize,
    /// Others write to it too.
    shared: bool,
}

impl KeptRows {
    pub fn new(spec: &TensorSpec, shared: bool) -> Self {
        Self { row: vec![0xEE; spec.bytes_max()], rows: Vec::new(), given: 0, shared }
    }
}

impl Rows for KeptRows {
    fn next_row(&mut self) -> &mut [u8] {
        self.given += 1;
        self.row.fill(0xEE);
        &mut self.row
    }

    fn row(&mut self) -> &mut [u8] {
        if self.shared {
            self.row.iter_mut().for_each(|byte| *byte = byte.wrapping_add(0x6D));
        }
        &mut self.row
    }

    fn commit(&mut self, bytes: usize) {
        self.rows.push(self.row[..bytes].to_vec());
    }
}

/// What the body means; `None` where it means nothing.
fn read_by_serde(body: &[u8], spec: &TensorSpec, batch_max: usize) -> Option<Read> {
    let entries: Entries<'_> = serde_json::from_slice(body).ok()?;
    let (mut inputs, mut version, mut timeout_us) = (None, None, None);
    let (mut context, mut explain) = (None, None);
    for (key, value) in entries.0 {
        match key.as_str() {
            "input" | "input_batch" if inputs.is_some() => return None,
            "input" => inputs = Some((false, vec![value])),
            "input_batch" => inputs = Some((true, array(value)?)),
            "version" if version.is_some() => return None,
            "version" => {
                version = Some(text(value)?).filter(|text| text.len() <= NAME_BYTES_MAX);
                version.as_ref()?;
            }
            "timeout_us" if timeout_us.is_some() => return None,
            "timeout_us" => {
                let value = value.get();
                let is_whole = value.bytes().all(|byte| byte.is_ascii_digit());
                timeout_us = Some(value.parse::<u32>().ok().filter(|_| is_whole)?);
                timeout_us.filter(|value| (1..=TIMEOUT_US_MAX).contains(value))?;
            }
            "uid" | "context" if context.is_some() => return None,
            "uid" => context = Some(context_key(value)?),
            "context" => context = Some(context_key(value).or_else(|| vector(value))?),
            "explain" if explain.is_some() => return None,
            "explain" => explain = Some(value.get().parse::<bool>().ok()?),
            _ => is_well_formed(value, 1).then_some(())?,
        }
    }
    let (is_batch, inputs) = inputs?;
    if inputs.is_empty() || inputs.len() > batch_max {
        return None;
    }
    let rows = inputs.into_iter().map(|input| row(input, spec)).collect::<Option<_>>()?;
    let (context, explain) = (context.unwrap_or_default(), explain.unwrap_or_default());
    Some(Read { is_batch, version, timeout_us, context, explain, rows })
}

fn context_key(value: &RawValue) -> Option<String> {
    let written = value.get();
    let digits = written.strip_prefix('-').unwrap_or(written);
    let is_whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    let key = if is_whole { written.to_owned() } else { text(value)? };
    let fits = key.len() <= CONTEXT_KEY_BYTES_MAX && written.len() <= JSON_VALUE_BYTES_MAX;
    fits.then_some(key)
}

fn vector(value: &RawValue) -> Option<String> {
    let entries = array(value)?.into_iter().map(|entry| number(entry, ElementType::Float64));
    let numbers: Vec<f64> = entries
        .map(|bytes| Some(f64::from_ne_bytes(bytes?.try_into().ok()?)))
        .collect::<Option<_>>()?;
    let fits = (1..=CONTEXT_NUMBERS_MAX).contains(&numbers.len());
    (fits && value.get().len() <= JSON_VALUE_BYTES_MAX).then(|| format!("{numbers:?}"))
}

fn row(input: &RawValue, spec: &TensorSpec) -> Option<Vec<u8>> {
    let bytes = match spec.element {
        ElementType::String => text(input)?.into_bytes(),
        ElementType::Bytes => BASE64.decode(text(input)?).ok()?,
        _ => numbers(input, spec)?,
    };
    spec.admits_bytes(bytes.len()).then_some(bytes)
}

fn numbers(input: &RawValue, spec: &TensorSpec) -> Option<Vec<u8>> {
    let Extent::Exact(shape) = spec.extent else { return flat(input, spec.element) };
    let is_array = input.get().starts_with('[');
    if shape.dims().is_empty() && !is_array {
        return number(input, spec.element);
    }
    let is_nested = array(input)?.first().is_some_and(|first| first.get().starts_with('['));
    if shape.dims().len() >= 2 && is_nested {
        return nested(input, shape.dims(), spec.element);
    }
    flat(input, spec.element)
}

fn nested(input: &RawValue, dims: &[u32], element: ElementType) -> Option<Vec<u8>> {
    let (&wanted, inner) = dims.split_first()?;
    let entries = array(input)?;
    if entries.len() != wanted as usize {
        return None;
    }
    if inner.is_empty() {
        return flat(input, element);
    }
    entries
        .into_iter()
        .map(|entry| nested(entry, inner, element))
        .collect::<Option<Vec<_>>>()
        .map(|it| it.concat())
}

fn flat(input: &RawValue, element: ElementType) -> Option<Vec<u8>> {
    let entries: Option<Vec<_>> =
        array(input)?.into_iter().map(|entry| number(entry, element)).collect();
    Some(entries?.concat())
}

/// A number as the row holds it, exactly as `str::parse` reads it.
fn number(value: &RawValue, element: ElementType) -> Option<Vec<u8>> {
    let text = value.get();
    // `str::parse` would also take "inf".
    if !text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return None;
    }
    match element {
        ElementType::Int32 => text.parse().ok().map(|it: i32| it.to_ne_bytes().to_vec()),
        ElementType::Float32 => {
            let value: f32 = text.parse().ok()?;
            value.is_finite().then(|| value.to_ne_bytes().to_vec())
        }
        ElementType::Float64 => {
            let value: f64 = text.parse().ok()?;
            value.is_finite().then(|| value.to_ne_bytes().to_vec())
        }
        ElementType::String | ElementType::Bytes => None,
    }
}
