//! JSON one level at a time, by `serde_json`, with every literal as it was written.

use std::fmt;

use cutter_wire::limits::JSON_DEPTH_MAX;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The entries of an object in their order, the repeated ones too.
#[derive(Debug)]
pub struct Entries<'a>(pub Vec<(String, &'a RawValue)>);

impl<'a> Deserialize<'a> for Entries<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'a> Visitor<'a> for EntriesVisitor {
    type Value = Entries<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Entries<'a>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

/// The entries of an array; `None` for anything else.
pub fn array(value: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(value.get()).ok()
}

/// What a string means; `None` for anything else.
pub fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// Whether strings mean something and nothing is nested too deeply, `open` levels being open
/// already. The rest of the grammar has been seen to when the raw value was made.
pub fn is_well_formed(value: &RawValue, open: usize) -> bool {
    is_made_of(value, open, &|_| true)
}

/// The same for a value of which each number is one that a double can hold.
pub fn is_of_doubles(value: &RawValue) -> bool {
    is_made_of(value, 0, &|number| number.parse().is_ok_and(f64::is_finite))
}

fn is_made_of(value: &RawValue, open: usize, is_number: &impl Fn(&str) -> bool) -> bool {
    match value.get().as_bytes()[0] {
        b'"' => text(value).is_some(),
        b'[' => {
            open < JSON_DEPTH_MAX
                && array(value).is_some_and(|values| {
                    values.iter().all(|it| is_made_of(it, open + 1, is_number))
                })
        }
        b'{' => {
            open < JSON_DEPTH_MAX
                && serde_json::from_str::<Entries<'_>>(value.get()).is_ok_and(|entries| {
                    entries.0.iter().all(|(_, it)| is_made_of(it, open + 1, is_number))
                })
        }
        b'-' | b'0'..=b'9' => is_number(value.get()),
        _ => true,
    }
}
