//! Any item of any small type through rendering, and back through the reader of inputs.
//!
//! ```text
//!  input: the type (`typed`) · the item, as far as it goes
//! ```
//!
//! Oracle: the JSON is one that `serde_json` takes, of the declared shape; each number reads back
//! as the same bits; the size is in proportion to the item, and within the bound that is told
//! beforehand. Written in pieces it is the same. What was written without a `null` reads back
//! through the body reader as the same bytes. Text that is not UTF-8 is refused and not written.

use cutter_tensor::{ElementType, Extent, TensorSpec};
use cutter_wire::json::render::TextRule;
use cutter_wire::json::{Rows, read_predict};
use serde_json::value::RawValue;

use crate::Source;
use crate::rendered::{check, write};
use crate::typed::small_spec;

pub fn tensor_to_json(data: &[u8]) {
    let mut source = Source::new(data);
    let spec = small_spec(&mut source);
    let item = item(&spec, source.rest());
    for rule in [TextRule::String, TextRule::Json] {
        // Refused is only what `write` has looked at.
        let Ok(json) = write(&spec, &item, rule) else { return };
        let text = str::from_utf8(&json).expect("JSON is UTF-8");
        let raw: &RawValue = serde_json::from_str(text).expect(text);
        check(raw, &spec, &item, rule);
        let is_number = !matches!(spec.element, ElementType::String | ElementType::Bytes);
        let has_null = is_number && text.contains("null");
        let is_embedded = spec.element == ElementType::String && rule == TextRule::Json;
        if !has_null && !is_embedded {
            assert_eq!(read_back(text, &spec), Some(item.clone()), "{text}");
        }
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

    fn row(&mut self) -> &mut [u8] {
        &mut self.row
    }

    fn commit(&mut self, bytes: usize) {
        self.bytes = bytes;
    }
}
