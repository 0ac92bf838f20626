//! What one item of a batch looks like: its element type and its extent.
//!
//! An application declares the input of a query, a container declares the output of an item. Both
//! use the same two words: an element type and either an exact shape or a bound on the bytes.

use std::fmt;

use crate::limits::{ITEM_BYTES_MAX, ITEM_LISTS_MAX, RANK_MAX};

/// Why a type of items cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    #[error("element type {element} is not defined")]
    Element { element: u32 },
    #[error("extent {extent} is not defined")]
    Extent { extent: u32 },
    #[error("a shape of {rank} dimensions; there can be {RANK_MAX}")]
    Rank { rank: usize },
    #[error("dimension {dimension} of the shape is 0, so that an item holds nothing")]
    EmptyShape { dimension: usize },
    #[error("a bound of {bytes} bytes has no room for one element of type {element}")]
    EmptyBound { bytes: u32, element: ElementType },
    #[error("a shape of more elements than fit in 32 bits")]
    Elements,
    #[error("a shape of {lists} nested lists; there can be {ITEM_LISTS_MAX} in one item")]
    Lists { lists: u64 },
    #[error("items of {bytes} bytes; an item can have {ITEM_BYTES_MAX}")]
    Bytes { bytes: usize },
}

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

    /// Up to [`RANK_MAX`] dimensions of at least 1, whose product fits in 32 bits.
    ///
    /// A shape with a dimension of 0 holds no element, and yet what is written around them may be
    /// billions of empty lists: there is none.
    pub fn new(dims: &[u32]) -> Result<Shape, SpecError> {
        let rank = u8::try_from(dims.len()).ok().filter(|rank| usize::from(*rank) <= RANK_MAX);
        let rank = rank.ok_or(SpecError::Rank { rank: dims.len() })?;
        if let Some(dimension) = dims.iter().position(|dim| *dim == 0) {
            return Err(SpecError::EmptyShape { dimension });
        }
        let elements = dims.iter().try_fold(1u32, |product, dim| product.checked_mul(*dim));
        elements.ok_or(SpecError::Elements)?;
        let mut shape = Shape { dims: [0; RANK_MAX], rank };
        shape.dims[..dims.len()].copy_from_slice(dims);
        Ok(shape)
    }

    pub fn dims(&self) -> &[u32] {
        &self.dims[..usize::from(self.rank)]
    }

    /// The number of elements: the product of the dimensions, 1 for a scalar.
    pub fn elements(&self) -> usize {
        self.dims().iter().map(|dim| *dim as usize).product()
    }

    /// The lists that an item is written as: one, and one for each element of a list of lists.
    pub fn lists(&self) -> u64 {
        let Some((_, outer)) = self.dims().split_last() else { return 0 };
        let mut within = 1;
        let lists_of = outer.iter().map(|dim| {
            within *= u64::from(*dim);
            within
        });
        1 + lists_of.sum::<u64>()
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

    /// Judges the type by what an item will cost: its bytes, and what is written around them.
    pub fn check(&self) -> Result<(), SpecError> {
        match self.extent {
            Extent::Exact(shape) if shape.lists() > ITEM_LISTS_MAX => {
                return Err(SpecError::Lists { lists: shape.lists() });
            }
            Extent::AtMost { bytes } if (bytes as usize) < self.element.bytes() => {
                return Err(SpecError::EmptyBound { bytes, element: self.element });
            }
            _ => {}
        }
        let bytes = self.bytes_max();
        if bytes > ITEM_BYTES_MAX { Err(SpecError::Bytes { bytes }) } else { Ok(()) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_with_a_dimension_of_zero_is_none() {
        for (dims, dimension) in [(&[0][..], 0), (&[u32::MAX, 0], 1), (&[2, 0, 3], 1)] {
            assert_eq!(Shape::new(dims), Err(SpecError::EmptyShape { dimension }));
        }
    }

    #[test]
    fn shapes_end_at_the_limits_of_rank_and_elements() {
        assert!(Shape::new(&[1; RANK_MAX]).is_ok());
        assert_eq!(Shape::new(&[1; RANK_MAX + 1]), Err(SpecError::Rank { rank: RANK_MAX + 1 }));
        assert!(Shape::new(&[1 << 16, (1 << 16) - 1]).is_ok());
        assert_eq!(Shape::new(&[1 << 16, 1 << 16]), Err(SpecError::Elements));
    }

    #[test]
    fn lists_are_counted_as_they_are_written() {
        let lists = |dims: &[u32]| Shape::new(dims).unwrap().lists();
        assert_eq!([lists(&[]), lists(&[9]), lists(&[2, 3]), lists(&[2, 3, 4])], [0, 1, 3, 9]);
    }

    #[test]
    fn a_type_is_judged_by_what_an_item_costs() {
        let exact = |dims: &[u32]| TensorSpec::exact(ElementType::Bytes, Shape::new(dims).unwrap());
        let lists = u32::try_from(ITEM_LISTS_MAX).unwrap();
        assert_eq!(exact(&[lists - 1, 1]).check(), Ok(()));
        let lists = u64::from(lists) + 1;
        assert_eq!(exact(&[4 << 20, 1]).check(), Err(SpecError::Lists { lists }));
        assert_eq!(exact(&[64 << 20]).check(), Ok(()));
        let bytes = (64 << 20) + 1;
        let found = exact(&[(64 << 20) + 1]).check();
        assert_eq!(found, Err(SpecError::Bytes { bytes }));
        assert_eq!(
            found.unwrap_err().to_string(),
            "items of 67108865 bytes; an item can have 67108864"
        );
    }

    #[test]
    fn a_bound_has_room_for_an_element() {
        let element = ElementType::Float64;
        let found = |bytes| TensorSpec::at_most(element, bytes).check();
        assert_eq!(found(8), Ok(()));
        assert_eq!(found(7), Err(SpecError::EmptyBound { bytes: 7, element }));
    }
}
