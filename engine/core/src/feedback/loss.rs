//! How wrong what was said is, beside what was right.

use super::said::{Said, text_class};

/// What a client says was right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// The label as a number, if it is one.
    number: Option<f64>,
    /// The label as a name.
    text: u64,
}

impl Truth {
    /// A label that came as a number, and how it was written.
    pub fn number(value: f64, written: &[u8]) -> Self {
        Self { number: Some(value), text: text_class(written) }
    }

    /// A label that came as a name.
    pub fn text(name: &[u8]) -> Self {
        Self { number: None, text: text_class(name) }
    }
}

/// From 0, right, to 1, as wrong as can be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// 0 for the right class, and for a value that is the right one; else 1.
    ZeroOne,
    /// How far a value is off, in parts of a range; 1 beyond it.
    Absolute { range: f64 },
    /// The square of that.
    Squared { range: f64 },
}

impl Loss {
    /// `None` where they cannot be compared: nothing was said, or the label is not of the kind of
    /// what was said.
    pub fn of(self, said: Said, truth: &Truth) -> Option<f64> {
        let (said, right) = match (said, truth.number) {
            (Said::Nothing, _) => return None,
            (Said::Text(class), _) => return Some(f64::from(u8::from(class != truth.text))),
            #[expect(clippy::cast_precision_loss, reason = "classes are below 2^53")]
            (Said::Class(class), Some(right)) => (class as f64, right),
            (Said::Value(value), Some(right)) => (value, right),
            (Said::Class(_) | Said::Value(_), None) => return None,
        };
        let off = (said - right).abs();
        match self {
            Self::ZeroOne => Some(f64::from(u8::from(off != 0.0))),
            Self::Absolute { range } => Some((off / range).min(1.0)),
            Self::Squared { range } => Some((off / range).min(1.0).powi(2)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEVEN: [u8; 1] = *b"7";

    #[test]
    fn classes_are_right_or_wrong() {
        let truth = Truth::number(7.0, &SEVEN);
        assert_eq!(Loss::ZeroOne.of(Said::Class(7), &truth), Some(0.0));
        assert_eq!(Loss::ZeroOne.of(Said::Class(8), &truth), Some(1.0));
        let name = |name: &[u8]| Said::Text(text_class(name));
        assert_eq!(Loss::ZeroOne.of(name(b"7"), &truth), Some(0.0));
        assert_eq!(Loss::ZeroOne.of(name(b"cat"), &Truth::text(b"cat")), Some(0.0));
        assert_eq!(Loss::ZeroOne.of(name(b"cat"), &Truth::text(b"dog")), Some(1.0));
    }

    #[test]
    fn values_are_off_by_parts_of_the_range_and_no_more_than_it() {
        let truth = Truth::number(10.0, b"10");
        let said = [10.0, 11.0, 6.0, 100.0].map(Said::Value);
        let absolute = said.map(|said| Loss::Absolute { range: 4.0 }.of(said, &truth).unwrap());
        assert_eq!(absolute, [0.0, 0.25, 1.0, 1.0]);
        let squared = said.map(|said| Loss::Squared { range: 4.0 }.of(said, &truth).unwrap());
        assert_eq!(squared, [0.0, 0.0625, 1.0, 1.0]);
    }

    #[test]
    fn what_cannot_be_compared_has_no_loss() {
        let name = Truth::text(b"cat");
        assert_eq!(Loss::ZeroOne.of(Said::Nothing, &name), None);
        assert_eq!(Loss::ZeroOne.of(Said::Class(7), &name), None);
        assert_eq!(Loss::Absolute { range: 1.0 }.of(Said::Value(7.0), &name), None);
    }
}
