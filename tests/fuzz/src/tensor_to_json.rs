//! Any item of any small type through rendering, and back through the reader of inputs.
//!
//! ```text
//!  input: the type (`typed`) · the item, as far as it goes
//! ```
//!
//! Oracle: the JSON is one that `serde_json` takes, of the declared shape; each number reads back
//! as the same bits; the size is in proportion to the item. What was written without a `null` reads
//! back through the body reader as the same bytes.

use cutter_engine::json::render::write_tensor;
use cutter_engine::json::{Rows, read_predict};
use cutter_protocol::tensor::{ElementType, Extent, TensorSpec};
use serde_json::value::RawValue;

use crate::Source;
use crate::rendered::{check, is_in_proportion};
use crate::typed::small_spec;

pub fn tensor_to_json(data: &[u8]) {
    let mut source = Source::new(data);
    let spec = small_spec(&mut source);
    if !is_in_proportion(&spec) {
        return;
    }
    let item = item(&spec, source.rest());
    let mut json = Vec::new();
    write_tensor(&mut json, &spec, &item);
    let text = str::from_utf8(&json).expect("JSON is UTF-8");
    let raw: &RawValue = serde_json::from_str(text).expect(text);
    check(raw, &spec, &item);
    let is_embedded = spec.element == ElementType::String && text == String::from_utf8_lossy(&item);
    if !is_embedded && !text.contains("null") {
        assert_eq!(read_back(text, &spec), lossless(&spec, &item), "{text}");
    }
}

/// As many of the bytes as make an item, with zeros behind them where the size is exact.
fn item(spec: &TensorSpec, bytes: &[u8]) -> Vec<u8> {
    let most = bytes.len().min(spec.bytes_max());
    let mut item = bytes[..most - most % spec.element.bytes()].to_vec();
    if let Extent::Exact(_) = spec.extent {
        item.resize(spec.bytes_max(), 0);
    }
    item
}

/// The item as JSON can carry it: text is UTF-8 there.
fn lossless(spec: &TensorSpec, item: &[u8]) -> Option<Vec<u8>> {
    match spec.element {
        ElementType::String => {
            let text = String::from_utf8_lossy(item).into_owned().into_bytes();
            // What is not UTF-8 has grown, perhaps beyond the type.
            spec.admits_bytes(text.len()).then_some(text)
        }
        _ => Some(item.to_vec()),
    }
}

fn read_back(json: &str, spec: &TensorSpec) -> Option<Vec<u8>> {
    let mut row = OneRow { row: vec![0; spec.bytes_max()], bytes: 0 };
    read_predict(format!("{{\"input\":{json}}}").as_bytes(), spec, 1, &mut row).ok()?;
    row.row.truncate(row.bytes);
    Some(row.row)
}

struct OneRow {
    row: Vec<u8>,
    bytes: usize,
}

impl Rows for OneRow {
    fn next_row(&mut self) -> &mut [u8] {
        &mut self.row
    }

    fn commit(&mut self, bytes: usize) {
        self.bytes = bytes;
    }
}
