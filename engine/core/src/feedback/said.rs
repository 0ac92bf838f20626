//! What a model said of an input, as far as it is combined and learned from.

use cutter_tensor::{ElementType, TensorSpec};
use twox_hash::XxHash3_64;

/// What a model said.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Said {
    /// Nothing, or nothing in time.
    #[default]
    Nothing,
    /// A class that has a number.
    Class(i64),
    /// A class that has a name, of which this is [`text_class`].
    Text(u64),
    /// A real value, which is finite.
    Value(f64),
}

/// How the outputs of an application's models are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// A whole number, a string or bytes: two that are the same are the same class.
    #[default]
    Class,
    /// One number.
    Value,
    /// A number for each class: the class with the largest one, of several the first.
    Scores,
}

/// By what classes with names are told apart. It is the same in every run, as it is written down:
/// two names of a set of a million have the same with a chance of 3e-8.
pub fn text_class(name: &[u8]) -> u64 {
    XxHash3_64::oneshot(name)
}

impl Said {
    /// Whether it is the same; of values, whether they are close enough.
    pub fn agrees(self, other: Self, tolerance: f64) -> bool {
        match (self, other) {
            (Self::Nothing, _) => false,
            (Self::Value(value), Self::Value(other)) => (value - other).abs() <= tolerance,
            (said, other) => said == other,
        }
    }
}

impl Reading {
    /// What an output says; `None` if it cannot be read so.
    pub fn read(self, output: &[u8], spec: &TensorSpec) -> Option<Said> {
        match (self, spec.element) {
            (Self::Class, ElementType::String | ElementType::Bytes) => {
                Some(Said::Text(text_class(output)))
            }
            (Self::Class, element) => {
                let class = only(numbers(element, output)?)?;
                // Beyond 2^53 neighbours cannot be told apart.
                let is_whole = class.fract() == 0.0 && class.abs() <= (1_u64 << 53) as f64;
                #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
                is_whole.then_some(Said::Class(class as i64))
            }
            (Self::Value, element) => {
                let value = only(numbers(element, output)?)?;
                value.is_finite().then_some(Said::Value(value))
            }
            (Self::Scores, element) => largest(numbers(element, output)?).map(Said::Class),
        }
    }
}

/// The elements of a tensor of numbers.
pub(crate) fn numbers(
    element: ElementType,
    bytes: &[u8],
) -> Option<impl Iterator<Item = f64> + Clone> {
    let size = match element {
        ElementType::Int32 | ElementType::Float32 | ElementType::Float64 => element.bytes(),
        ElementType::String | ElementType::Bytes => return None,
    };
    Some(bytes.chunks_exact(size).map(move |number| match (element, number) {
        (ElementType::Int32, &[a, b, c, d]) => f64::from(i32::from_le_bytes([a, b, c, d])),
        (_, &[a, b, c, d]) => f64::from(f32::from_le_bytes([a, b, c, d])),
        (_, wide) => wide.try_into().map_or(f64::NAN, f64::from_le_bytes),
    }))
}

fn only(mut numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let first = numbers.next()?;
    numbers.next().is_none().then_some(first)
}

/// The place of the largest number; none where one is no number.
pub(crate) fn largest(numbers: impl Iterator<Item = f64>) -> Option<i64> {
    let mut best = None;
    for (place, number) in (0..).zip(numbers) {
        if number.is_nan() {
            return None;
        }
        if best.is_none_or(|(_, most)| number > most) {
            best = Some((place, number));
        }
    }
    best.map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use cutter_tensor::Shape;

    use super::*;

    fn floats(values: &[f32]) -> (Vec<u8>, TensorSpec) {
        let dims = [u32::try_from(values.len()).unwrap()];
        let spec = TensorSpec::exact(ElementType::Float32, Shape::new(&dims).unwrap());
        (values.iter().flat_map(|value| value.to_le_bytes()).collect(), spec)
    }

    fn read(reading: Reading, values: &[f32]) -> Option<Said> {
        let (bytes, spec) = floats(values);
        reading.read(&bytes, &spec)
    }

    #[test]
    fn numbers_are_classes_values_or_scores() {
        assert_eq!(read(Reading::Class, &[7.0]), Some(Said::Class(7)));
        assert_eq!(read(Reading::Value, &[7.5]), Some(Said::Value(7.5)));
        assert_eq!(read(Reading::Scores, &[0.1, 0.7, 0.7]), Some(Said::Class(1)));
        let int = TensorSpec::scalar(ElementType::Int32);
        assert_eq!(Reading::Class.read(&(-3_i32).to_le_bytes(), &int), Some(Said::Class(-3)));
    }

    #[test]
    fn what_cannot_be_read_so_says_nothing() {
        for values in [&[7.5][..], &[f32::NAN], &[f32::INFINITY], &[1.0, 2.0]] {
            assert_eq!(read(Reading::Class, values), None, "{values:?}");
        }
        assert_eq!(read(Reading::Value, &[f32::NAN]), None);
        assert_eq!(read(Reading::Value, &[1.0, 2.0]), None);
        assert_eq!(read(Reading::Scores, &[1.0, f32::NAN]), None);
        let text = TensorSpec::at_most(ElementType::String, 8);
        assert_eq!(Reading::Value.read(b"7", &text), None);
        assert_eq!(Reading::Scores.read(b"7", &text), None);
    }

    #[test]
    fn names_are_classes_and_their_numbers_never_change() {
        let text = TensorSpec::at_most(ElementType::String, 8);
        assert_eq!(Reading::Class.read(b"cat", &text), Some(Said::Text(text_class(b"cat"))));
        assert_ne!(text_class(b"cat"), text_class(b"dog"));
        assert_eq!(text_class(b""), 0x2d06_8005_38d3_94c2, "the published value for no bytes");
    }
}
