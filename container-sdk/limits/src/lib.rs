//! Limits as tables: each is written once, and is a constant and a line of a list.
//!
//! A crate's limits stand in its `limits.rs`, in one table:
//!
//! ```
//! cutter_limits::limits! {
//!     "HTTP" {
//!         /// Bytes of a request head. Beyond: 431.
//!         HEAD_BYTES_MAX: usize = 16 << 10, "bytes";
//!         /// Header fields of a request. Beyond: 431.
//!         HEADERS_MAX: usize = 64, "fields";
//!     }
//! }
//!
//! const _: () = assert!(HEADERS_MAX < HEAD_BYTES_MAX);
//! assert_eq!(TABLE[0].to_string(), "HEAD_BYTES_MAX = 16384 bytes");
//! assert_eq!(TABLE[1].note, "Header fields of a request. Beyond: 431.");
//! ```
//!
//! The comment of an entry is the constant's documentation and the list's note. An entry may be of
//! any integer type, or `f64`. To add a limit is to add one entry; whoever prints `TABLE` prints
//! it.

#![forbid(unsafe_code)]

use std::fmt;

/// One line of a table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// What it bounds: a room of the crate.
    pub section: &'static str,
    /// The name of the constant.
    pub name: &'static str,
    pub value: Value,
    /// What is counted: `bytes`, `ns`, `connections`.
    pub unit: &'static str,
    /// The documentation of the constant, in one line.
    pub note: &'static str,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} {}", self.name, self.value, self.unit)
    }
}

/// The value of a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    Whole(i128),
    Real(f64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(value) => value.fmt(f),
            Self::Real(value) => value.fmt(f),
        }
    }
}

/// Makes a public constant of each entry, and `TABLE`, the list of all of them.
#[macro_export]
macro_rules! limits {
    ($($section:literal {
        $($(#[doc = $doc:literal])+ $name:ident: $type:ident = $value:expr, $unit:literal;)*
    })*) => {
        $($(
            $(#[doc = $doc])+
            pub const $name: $type = $value;
        )*)*

        /// Every limit of this module, in the order of the source.
        pub const TABLE: &[$crate::Limit] = &[$($(
            $crate::Limit {
                section: $section,
                name: stringify!($name),
                value: $crate::limits!(@value $type $name),
                unit: $unit,
                note: concat!($($doc),+).trim_ascii(),
            },
        )*)*];
    };
    (@value f64 $name:ident) => { $crate::Value::Real($name) };
    (@value $type:ident $name:ident) => { $crate::Value::Whole($name as i128) };
}

/// What is wrong with a table: an entry without a unit or a note, or with another unit than the one
/// in its name; a name twice. A crate's test asks this of its own table.
pub fn faults(table: &[Limit]) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, limit) in table.iter().enumerate() {
        let mut fault = |text: &str| faults.push(format!("{}: {text}", limit.name));
        if limit.unit.is_empty() {
            fault("has no unit");
        }
        if limit.note.is_empty() {
            fault("has no note");
        }
        if unit_in_name(limit.name).is_some_and(|unit| unit != limit.unit) {
            fault("its name says another unit");
        }
        if table[..index].iter().any(|other| other.name == limit.name) {
            fault("stands twice");
        }
    }
    faults
}

/// The unit that a name ends in, its bound left out: `ns` of `DRAIN_NS_MAX`.
fn unit_in_name(name: &str) -> Option<&'static str> {
    const UNITS: [(&str, &str); 7] = [
        ("_BYTES", "bytes"),
        ("_BYTES_PER_S", "bytes/s"),
        ("_NS", "ns"),
        ("_US", "us"),
        ("_MS", "ms"),
        ("_ROWS", "rows"),
        ("_DIGITS", "digits"),
    ];
    let name = ["_MAX", "_MIN", "_DEFAULT", "_KEPT", "_TOTAL", "_CONFIGURED"]
        .iter()
        .fold(name, |name, bound| name.strip_suffix(bound).unwrap_or(name));
    UNITS.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, unit)| *unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    limits! {
        "One" {
            /// Bytes of something
            /// in two lines.
            THING_BYTES_MAX: usize = 1 << 20, "bytes";
            /// A share.
            SHARE: f64 = 0.5, "of all";
        }
        "Two" {
            /// The most.
            MOST: u64 = u64::MAX, "things";
        }
    }

    #[test]
    fn an_entry_is_a_constant_and_a_line_of_the_table() {
        assert_eq!((THING_BYTES_MAX, SHARE, MOST), (1 << 20, 0.5, u64::MAX));
        let lines: Vec<String> = TABLE.iter().map(Limit::to_string).collect();
        let expected = [
            "THING_BYTES_MAX = 1048576 bytes",
            "SHARE = 0.5 of all",
            "MOST = 18446744073709551615 things",
        ];
        assert_eq!(lines, expected);
        let sections: Vec<&str> = TABLE.iter().map(|limit| limit.section).collect();
        assert_eq!(sections, ["One", "One", "Two"]);
        assert_eq!(TABLE[0].note, "Bytes of something in two lines.");
        assert_eq!(faults(TABLE), [""; 0]);
    }

    #[test]
    fn a_table_with_faults_is_told_all_of_them() {
        let right = TABLE[0];
        let no_unit = Limit { unit: "", name: "A", ..right };
        let no_note = Limit { note: "", name: "B", ..right };
        let other_unit = Limit { name: "C_NS_MAX", ..right };
        let table = [right, no_unit, no_note, other_unit, right];
        let expected = [
            "A: has no unit",
            "B: has no note",
            "C_NS_MAX: its name says another unit",
            "THING_BYTES_MAX: stands twice",
        ];
        assert_eq!(faults(&table), expected);
    }
}
