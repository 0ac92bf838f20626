//! Tensors, and how each protocol writes them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::digits::{INPUTS, Row};
use crate::random::Random;

const INVARIANT: &str = "writing to a Vec cannot fail";

/// The type of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    Float32,
    Float64,
    Int32,
    Int64,
    Uint8,
}

impl Element {
    pub const ALL: [Self; 5] =
        [Self::Float32, Self::Float64, Self::Int32, Self::Int64, Self::Uint8];

    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Uint8 => "uint8",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|element| element.name() == name)
    }

    pub fn bytes(self) -> u64 {
        match self {
            Self::Float64 | Self::Int64 => 8,
            Self::Float32 | Self::Int32 => 4,
            Self::Uint8 => 1,
        }
    }

    /// What Open Inference calls it.
    fn datatype(self) -> &'static str {
        match self {
            Self::Float32 => "FP32",
            Self::Float64 => "FP64",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Uint8 => "UINT8",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    Float32(f32),
    /// Written with six decimals, as `cutter demo` has always asked.
    Six(f32),
    Float64(f64),
    Int32(i32),
    Int64(i64),
    Uint8(u8),
}

impl Value {
    /// Floats from 0 to 1 have six decimals: what people send, and short in JSON. Integers are
    /// small.
    fn random(element: Element, random: &mut Random) -> Self {
        let millionth = |random: &mut Random| random.below(1_000_000);
        let byte = |random: &mut Random| random.next_u32().to_le_bytes()[3];
        match element {
            Element::Float32 => Self::Float32(millionth(random) as f32 / 1e6),
            Element::Float64 => Self::Float64(f64::from(millionth(random)) / 1e6),
            Element::Int32 => Self::Int32(byte(random).into()),
            Element::Int64 => Self::Int64(byte(random).into()),
            Element::Uint8 => Self::Uint8(byte(random)),
        }
    }

    /// As JSON. What `Display` writes of a float is the shortest text that reads back as the same.
    fn write_json(self, out: &mut Vec<u8>) {
        match self {
            Self::Float32(value) => write!(out, "{value}"),
            Self::Six(value) => write!(out, "{value:.6}"),
            Self::Float64(value) => write!(out, "{value}"),
            Self::Int32(value) => write!(out, "{value}"),
            Self::Int64(value) => write!(out, "{value}"),
            Self::Uint8(value) => write!(out, "{value}"),
        }
        .expect(INVARIANT);
    }

    fn write_bytes(self, out: &mut Vec<u8>) {
        match self {
            Self::Float32(value) | Self::Six(value) => out.extend(value.to_le_bytes()),
            Self::Float64(value) => out.extend(value.to_le_bytes()),
            Self::Int32(value) => out.extend(value.to_le_bytes()),
            Self::Int64(value) => out.extend(value.to_le_bytes()),
            Self::Uint8(value) => out.push(value),
        }
    }
}

/// One input.
#[derive(Debug)]
pub struct Tensor {
    element: Element,
    shape: Vec<u64>,
    values: Vec<Value>,
}

impl Tensor {
    pub fn of_row(row: &Row) -> Self {
        let values = row.iter().map(|value| Value::Six(*value)).collect();
        Self { element: Element::Float32, shape: vec![INPUTS as u64], values }
    }

    pub fn random(element: Element, shape: &[u64], random: &mut Random) -> Self {
        let count = shape.iter().product::<u64>();
        let values = (0..count).map(|_| Value::random(element, random)).collect();
        Self { element, shape: shape.to_vec(), values }
    }

    /// Of its bytes; the same for the same values.
    pub fn hash(&self) -> u64 {
        let mut bytes = Vec::new();
        self.write_bytes(&mut bytes);
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        hasher.finish()
    }

    /// The elements alone, little-endian.
    pub fn write_bytes(&self, out: &mut Vec<u8>) {
        self.values.iter().for_each(|value| value.write_bytes(out));
    }

    /// `{"input":[…]}`; bytes are base64 there.
    pub fn write_clipper(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"input\":");
        if self.element == Element::Uint8 {
            let mut bytes = Vec::new();
            self.write_bytes(&mut bytes);
            write!(out, "\"{}\"", STANDARD.encode(bytes)).expect(INVARIANT);
        } else {
            self.write_array(out);
        }
        out.push(b'}');
    }

    /// A request of Open Inference, all of it JSON.
    pub fn write_inference(&self, out: &mut Vec<u8>, name: &str, has_batch: bool) {
        self.write_description(out, name, has_batch);
        out.extend_from_slice(b",\"data\":");
        self.write_array(out);
        out.extend_from_slice(b"}]}");
    }

    /// A request of Open Inference with its tensor after the JSON, and the length of the JSON. The
    /// answer is asked for in the same form.
    pub fn write_binary(&self, out: &mut Vec<u8>, name: &str, has_batch: bool) -> usize {
        let from = out.len();
        self.write_description(out, name, has_batch);
        let bytes = self.element.bytes() * self.values.len() as u64;
        write!(
            out,
            ",\"parameters\":{{\"binary_data_size\":{bytes}}}}}],\
             \"parameters\":{{\"binary_data_output\":true}}}}"
        )
        .expect(INVARIANT);
        let json_bytes = out.len() - from;
        self.write_bytes(out);
        json_bytes
    }

    fn write_description(&self, out: &mut Vec<u8>, name: &str, has_batch: bool) {
        let name = serde_json::Value::from(name);
        let batch = if has_batch { "1," } else { "" };
        let (shape, datatype) = (join(&self.shape, ","), self.element.datatype());
        write!(
            out,
            "{{\"inputs\":[{{\"name\":{name},\"shape\":[{batch}{shape}],\
             \"datatype\":\"{datatype}\""
        )
        .expect(INVARIANT);
    }

    fn write_array(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (index, value) in self.values.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            value.write_json(out);
        }
        out.push(b']');
    }
}

/// The sizes of a shape with something between them.
pub fn join(shape: &[u64], between: &str) -> String {
    shape.iter().map(u64::to_string).collect::<Vec<_>>().join(between)
}
