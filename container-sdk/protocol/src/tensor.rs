//! What one item of a batch looks like: its element type and its extent.
//!
//! An application declares the input of a query, a container declares the output of an item. Both
//! use the same two words: an element type and either an exact shape or a bound on the bytes.

use std::fmt;

use crate::limits::{ITEM_BYTES_MAX, RANK_MAX};

/// The element types that cross the boundary between engine and container.
///
/// The numbers are those of the wire; they never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum ElementType {
    Bytes = 0,
    Int32 = 1,
    Float32 = 2,
    Float64 = 3,
    String = 4,
}

impl ElementType {
    pub const ALL: [ElementType; 5] =
        [Self::Bytes, Self::Int32, Self::Float32, Self::Float64, Self::String];

    /// Bytes of one element in memory.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Bytes | Self::String => 1,
            Self::Int32 | Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Int32 => "int32",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::String => "string",
        }
    }

    pub fn from_wire(value: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|element| *element as u32 == value)
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The dimensions of a tensor, outermost first. Rank 0 is a scalar.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    dims: [u32; RANK_MAX],
    rank: u8,
}

impl Shape {
    pub const SCALAR: Shape = Shape { dims: [0; RANK_MAX], rank: 0 };

    /// `None` when there are more than [`RANK_MAX`] dimensions or the product overflows `u32`.
    pub fn new(dims: &[u32]) -> Option<Shape> {
        if dims.len() > RANK_MAX {
            return None;
        }
        let mut shape = Shape::SCALAR;
        shape.dims[..dims.len()].copy_from_slice(dims);
        shape.rank = u8::try_from(dims.len()).ok()?;
        dims.iter().try_fold(1u32, |product, dim| product.checked_mul(*dim))?;
        Some(shape)
    }

    pub fn dims(&self) -> &[u32] {
        &self.dims[..usize::from(self.rank)]
    }

    /// The number of elements: the product of the dimensions, 1 for a scalar.
    pub fn elements(&self) -> usize {
        self.dims().iter().map(|dim| *dim as usize).product()
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.dims(), f)
    }
}

/// How much of its element type one item holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Exactly this shape, every time.
    Exact(Shape),
    /// Any number of elements whose bytes do not exceed this bound; each item has its own length.
    AtMost { bytes: u32 },
}

/// The type and the extent of one item, input or output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    pub element: ElementType,
    pub extent: Extent,
}

impl TensorSpec {
    pub const fn exact(element: ElementType, shape: Shape) -> Self {
        Self { element, extent: Extent::Exact(shape) }
    }

    pub const fn scalar(element: ElementType) -> Self {
        Self::exact(element, Shape::SCALAR)
    }

    pub const fn at_most(element: ElementType, bytes: u32) -> Self {
        Self { element, extent: Extent::AtMost { bytes } }
    }

    /// The bytes of the largest item.
    pub fn bytes_max(&self) -> usize {
        match self.extent {
            Extent::Exact(shape) => shape.elements() * self.element.bytes(),
            Extent::AtMost { bytes } => bytes as usize,
        }
    }

    /// The bytes of every item, when all are equal.
    pub fn bytes_exact(&self) -> Option<usize> {
        match self.extent {
            Extent::Exact(_) => Some(self.bytes_max()),
            Extent::AtMost { .. } => None,
        }
    }

    /// Whether an item of this many bytes fits the extent and holds whole elements.
    pub fn admits_bytes(&self, bytes: usize) -> bool {
        match self.extent {
            Extent::Exact(_) => bytes == self.bytes_max(),
            Extent::AtMost { bytes: most } => {
                bytes <= most as usize && bytes.is_multiple_of(self.element.bytes())
            }
        }
    }

    /// Whether the item's bytes stay within [`ITEM_BYTES_MAX`].
    pub fn is_within_limits(&self) -> bool {
        self.bytes_max() <= ITEM_BYTES_MAX
    }
}

impl fmt::Display for TensorSpec {
    /// `float32[784]`, `int32` for a scalar, `string of at most 4096 bytes`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.extent {
            Extent::Exact(shape) if shape.dims().is_empty() => write!(f, "{}", self.element),
            Extent::Exact(shape) => write!(f, "{}{:?}", self.element, shape),
            Extent::AtMost { bytes } => write!(f, "{} of at most {bytes} bytes", self.element),
        }
    }
}
