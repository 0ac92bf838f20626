//! The class that an output stands for, from JSON or from a tensor's bytes.
//!
//! One number is the class itself; of several, the place of the greatest is. Texts that are numbers
//! count as those: Clipper's models answer with texts, and so does Open Inference's BYTES.

use std::fmt::{self, Formatter};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess};

/// What was seen of an output. Classes are small, so that an `f64` holds them exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Output {
    values: usize,
    greatest: Option<(usize, f64)>,
}

impl Output {
    /// Whether this is the class `class`.
    pub fn is_class(&self, class: u8) -> bool {
        match self.greatest {
            Some((_, value)) if self.values == 1 => value == f64::from(class),
            Some((place, _)) => place == usize::from(class),
            None => false,
        }
    }

    /// Reads a tensor's bytes; `None` when they are no whole elements, or of an unknown type.
    pub fn from_bytes(datatype: &str, bytes: &[u8]) -> Option<Self> {
        let mut output = Self::default();
        match datatype {
            "BYTES" => return Self::from_texts(bytes),
            "BOOL" | "UINT8" => bytes.iter().for_each(|byte| output.add(f64::from(*byte))),
            "INT8" => bytes.iter().for_each(|byte| output.add(f64::from(byte.cast_signed()))),
            "UINT16" => output.add_all(bytes, |word| u16::from_le_bytes(word).into())?,
            "INT16" => output.add_all(bytes, |word| i16::from_le_bytes(word).into())?,
            "UINT32" => output.add_all(bytes, |word| u32::from_le_bytes(word).into())?,
            "INT32" => output.add_all(bytes, |word| i32::from_le_bytes(word).into())?,
            "UINT64" => output.add_all(bytes, |word| u64::from_le_bytes(word) as f64)?,
            "INT64" => output.add_all(bytes, |word| i64::from_le_bytes(word) as f64)?,
            "FP16" => output.add_all(bytes, |word| half(u16::from_le_bytes(word)))?,
            // The upper half of a single.
            "BF16" => {
                output.add_all(bytes, |[low, high]| f32::from_le_bytes([0, 0, low, high]).into())?
            }
            "FP32" => output.add_all(bytes, |word| f32::from_le_bytes(word).into())?,
            "FP64" => output.add_all(bytes, f64::from_le_bytes)?,
            _ => return None,
        }
        Some(output)
    }

    fn from_texts(mut bytes: &[u8]) -> Option<Self> {
        let mut output = Self::default();
        while !bytes.is_empty() {
            let (length, rest) = bytes.split_first_chunk()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let (text, rest) = rest.split_at_checked(length)?;
            output.add(std::str::from_utf8(text).map_or(f64::NAN, number_of));
            bytes = rest;
        }
        Some(output)
    }

    fn add_all<const N: usize>(&mut self, bytes: &[u8], read: fn([u8; N]) -> f64) -> Option<()> {
        let (words, rest) = bytes.as_chunks();
        words.iter().for_each(|word| self.add(read(*word)));
        rest.is_empty().then_some(())
    }

    /// The first of equals is the greatest; what is no number never is.
    fn add(&mut self, value: f64) {
        let is_greatest = self.greatest.is_none_or(|(_, greatest)| value > greatest);
        if is_greatest && !value.is_nan() {
            self.greatest = Some((self.values, value));
        }
        self.values += 1;
    }
}

/// A number of IEEE 754's binary16: a sign, 5 bits of exponent and 10 of fraction.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (bits >> 10 & 0x1f, f64::from(bits & 0x3ff));
    sign * match (exponent, fraction) {
        // Too small for a leading one.
        (0, _) => fraction * 2f64.powi(-24),
        (0x1f, 0.0) => f64::INFINITY,
        (0x1f, _) => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(i32::from(exponent) - 25),
    }
}

fn number_of(text: &str) -> f64 {
    text.trim().parse().unwrap_or(f64::NAN)
}

/// From JSON of any form; what is nested is read in its order.
impl<'de> Deserialize<'de> for Output {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut output = Self::default();
        Values(&mut output).deserialize(deserializer)?;
        Ok(output)
    }
}

struct Values<'a>(&'a mut Output);

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> serde::de::Visitor<'de> for Values<'_> {
    type Value = ();

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("an output")
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.add(f64::from(u8::from(value)));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.0.add(value as f64);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.add(value as f64);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.0.add(value);
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.0.add(number_of(value));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.add(f64::NAN);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        while values.next_element_seed(Values(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.0.add(f64::NAN);
        Ok(())
    }
}
