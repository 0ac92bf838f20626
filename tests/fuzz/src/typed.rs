//! Types of items out of an input's bytes, and items written out for people.

use cutter_tensor::limits::RANK_MAX;
use cutter_tensor::{ElementType, Shape, SpecError, TensorSpec};

use crate::Source;

/// The largest dimension that [`small_spec`] makes.
const DIMENSION_MAX: u8 = 6;
/// The most elements of a shape that [`small_spec`] makes.
const ELEMENTS_MAX: usize = 4096;

/// A type whose items are small: an element, then a bound on the bytes or a shape.
pub fn small_spec(source: &mut Source<'_>) -> TensorSpec {
    let element = ElementType::ALL[usize::from(source.below(5))];
    let rank_max = u8::try_from(RANK_MAX).expect("a small constant");
    // One beyond the ranks: no shape at all.
    let rank = source.below(rank_max + 2);
    if rank > rank_max {
        return TensorSpec::at_most(element, u32::from(source.u16() % 1024));
    }
    let mut dims: Vec<u32> =
        (0..rank).map(|_| u32::from(source.below(DIMENSION_MAX + 1))).collect();
    if let Some(dimension) = dims.iter().position(|dim| *dim == 0) {
        assert_eq!(Shape::new(&dims), Err(SpecError::EmptyShape { dimension }));
        dims.iter_mut().for_each(|dim| *dim = (*dim).max(1));
    }
    let shape = Shape::new(&dims).ok().filter(|shape| shape.elements() <= ELEMENTS_MAX);
    TensorSpec::exact(element, shape.unwrap_or(Shape::SCALAR))
}
