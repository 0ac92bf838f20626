//! The named tensors of one item, and how they lie in its row.
//!
//! ```text
//!   one tensor           several, all exact          several, one of its own length
//!   0   the tensor       0    first tensor           0    lengths, a u32 for each tensor
//!                        …64  second tensor          64   first tensor
//!                        …64  …                      …64  second tensor …
//! ```
//!
//! A tensor alone lies at the start of the row, whatever its extent: the length of the row is its
//! own. Several lie one behind another, each on a multiple of [`TENSOR_ALIGN_BYTES`] with room for
//! its largest; where one has a length of its own, the row begins with the lengths of all.

use crate::limits::{
    ITEM_BYTES_MAX, ITEM_LISTS_MAX, SIGNATURE_HEADER_BYTES, TENSOR_ALIGN_BYTES,
    TENSOR_NAME_BYTES_MAX, TENSORS_MAX,
};
use crate::spec::{Extent, SpecError, TensorSpec};

/// The name of an input of which nobody said another.
pub const INPUT_NAME: &str = "input";
/// The name of an output of which nobody said another.
pub const OUTPUT_NAME: &str = "output";

/// Why tensors are no signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("{count} tensors; there can be 1 to {TENSORS_MAX}")]
    Count { count: usize },
    #[error("{count} tensors; one is served in this version")]
    Several { count: usize },
    #[error(
        "a tensor is named {name:?}; a name has 1 to {TENSOR_NAME_BYTES_MAX} printable ASCII \
         characters and no space"
    )]
    Name { name: String },
    #[error("two tensors are named {name}")]
    Twice { name: String },
    #[error("tensor {name}: {why}")]
    Spec { name: String, why: SpecError },
    #[error("tensors of {bytes} bytes together; an item can have {ITEM_BYTES_MAX}")]
    Bytes { bytes: usize },
    #[error("tensors of {lists} nested lists; there can be {ITEM_LISTS_MAX} in one item")]
    Lists { lists: u64 },
}

/// One named tensor of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    name: Box<str>,
    spec: TensorSpec,
    offset: usize,
}

impl Tensor {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn spec(&self) -> TensorSpec {
        self.spec
    }

    /// Where its bytes start in the row.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

/// The tensors of an item, in their order, and their places in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    tensors: Box<[Tensor]>,
    stride: usize,
}

impl Signature {
    /// Places the tensors in a row. Their names differ, and all together are within the limits of
    /// one item.
    pub fn new(tensors: &[(&str, TensorSpec)]) -> Result<Signature, SignatureError> {
        let count = tensors.len();
        if !(1..=TENSORS_MAX).contains(&count) {
            return Err(SignatureError::Count { count });
        }
        for (index, (name, spec)) in tensors.iter().enumerate() {
            check_name(name)?;
            let named = || (*name).to_owned();
            if tensors[..index].iter().any(|(other, _)| other == name) {
                return Err(SignatureError::Twice { name: named() });
            }
            spec.check().map_err(|why| SignatureError::Spec { name: named(), why })?;
        }
        let is_exact = tensors.iter().all(|(_, spec)| spec.bytes_exact().is_some());
        // Lengths stand first, unless all are known or the row's own is the one.
        let mut end = if count == 1 || is_exact { 0 } else { SIGNATURE_HEADER_BYTES };
        let placed = tensors.iter().map(|(name, spec)| {
            let offset = end.next_multiple_of(TENSOR_ALIGN_BYTES);
            end = offset + spec.bytes_max();
            Tensor { name: (*name).into(), spec: *spec, offset }
        });
        let placed = placed.collect();
        let (bytes, lists) = (end, tensors.iter().map(|(_, spec)| lists_of(spec)).sum());
        if bytes > ITEM_BYTES_MAX {
            return Err(SignatureError::Bytes { bytes });
        }
        if lists > ITEM_LISTS_MAX {
            return Err(SignatureError::Lists { lists });
        }
        let stride = bytes.next_multiple_of(TENSOR_ALIGN_BYTES);
        Ok(Signature { tensors: placed, stride })
    }

    /// The signature of a single tensor.
    pub fn of_one(name: &str, spec: TensorSpec) -> Result<Signature, SignatureError> {
        Self::new(&[(name, spec)])
    }

    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// The tensor of a signature that has no other; engine and containers serve no other
    /// signatures in this version.
    pub fn only(&self) -> Result<&Tensor, SignatureError> {
        match &*self.tensors {
            [tensor] => Ok(tensor),
            several => Err(SignatureError::Several { count: several.len() }),
        }
    }

    /// Bytes from the start of one row to the start of the next.
    pub fn stride(&self) -> usize {
        self.stride
    }
}

/// Whether a tensor can have this name: any that the configuration allows, and any of the Open
/// Inference Protocol that can be read.
fn check_name(name: &str) -> Result<(), SignatureError> {
    let fits = (1..=TENSOR_NAME_BYTES_MAX).contains(&name.len());
    if fits && name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(SignatureError::Name { name: name.to_owned() })
}

fn lists_of(spec: &TensorSpec) -> u64 {
    match spec.extent {
        Extent::Exact(shape) => shape.lists(),
        Extent::AtMost { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{ElementType, Shape};

    fn floats(dims: &[u32]) -> TensorSpec {
        TensorSpec::exact(ElementType::Float32, Shape::new(dims).unwrap())
    }

    fn text(bytes: u32) -> TensorSpec {
        TensorSpec::at_most(ElementType::String, bytes)
    }

    fn offsets(signature: &Signature) -> Vec<usize> {
        signature.tensors().iter().map(Tensor::offset).collect()
    }

    #[test]
    fn a_single_tensor_lies_at_the_start_of_its_row() {
        for (spec, stride) in [(floats(&[784]), 3136), (text(100), 128), (floats(&[]), 64)] {
            let signature = Signature::of_one("x", spec).unwrap();
            assert_eq!(offsets(&signature), [0]);
            assert_eq!(signature.stride(), stride);
            let tensor = signature.only().unwrap();
            assert_eq!((tensor.name(), tensor.spec()), ("x", spec));
        }
    }

    #[test]
    fn exact_tensors_lie_aligned_one_behind_another() {
        let tensors = [("a", floats(&[3])), ("b", floats(&[16])), ("c", floats(&[17]))];
        let signature = Signature::new(&tensors).unwrap();
        assert_eq!(offsets(&signature), [0, 64, 128]);
        assert_eq!(signature.stride(), 256);
    }

    #[test]
    fn lengths_stand_before_tensors_of_their_own_length() {
        let signature = Signature::new(&[("a", floats(&[3])), ("b", text(65))]).unwrap();
        assert_eq!(offsets(&signature), [64, 128]);
        assert_eq!(signature.stride(), 256);
    }

    #[test]
    fn several_tensors_are_not_the_only_one() {
        let signature = Signature::new(&[("a", floats(&[3])), ("b", floats(&[3]))]).unwrap();
        let refused = signature.only().unwrap_err();
        assert_eq!(refused, SignatureError::Several { count: 2 });
        assert_eq!(refused.to_string(), "2 tensors; one is served in this version");
    }

    #[test]
    fn a_signature_has_one_tensor_to_the_most() {
        let names: Vec<String> = (0..=TENSORS_MAX).map(|index| index.to_string()).collect();
        let tensors: Vec<_> = names.iter().map(|name| (&**name, floats(&[1]))).collect();
        assert_eq!(Signature::new(&[]), Err(SignatureError::Count { count: 0 }));
        let count = tensors.len();
        assert_eq!(Signature::new(&tensors), Err(SignatureError::Count { count }));
        assert!(Signature::new(&tensors[1..]).is_ok());
    }

    #[test]
    fn names_are_short_printable_and_differ() {
        let longest = "x".repeat(TENSOR_NAME_BYTES_MAX);
        for name in ["a", "input_ids", "StatefulPartitionedCall:0", "dense/BiasAdd", &longest] {
            assert!(Signature::of_one(name, text(1)).is_ok(), "{name}");
        }
        let long = format!("{longest}x");
        for name in ["", "a b", "tab\t", "é", "a\0", &long] {
            let name = name.to_owned();
            assert_eq!(Signature::of_one(&name, text(1)), Err(SignatureError::Name { name }));
        }
        let twice = Signature::new(&[("a", text(1)), ("b", text(1)), ("a", text(2))]);
        assert_eq!(twice, Err(SignatureError::Twice { name: "a".to_owned() }));
    }

    #[test]
    fn tensors_are_judged_alone_and_together() {
        let why = SpecError::EmptyBound { bytes: 0, element: ElementType::String };
        let refused = Signature::of_one("a", text(0)).unwrap_err();
        assert_eq!(refused, SignatureError::Spec { name: "a".to_owned(), why });
        let half = u32::try_from(ITEM_BYTES_MAX / 2).unwrap();
        let bytes = |dims: &[u32]| TensorSpec::exact(ElementType::Bytes, Shape::new(dims).unwrap());
        let two = |spec| Signature::new(&[("a", spec), ("b", spec)]);
        assert_eq!(two(bytes(&[half])).unwrap().stride(), ITEM_BYTES_MAX);
        let beyond = SIGNATURE_HEADER_BYTES + ITEM_BYTES_MAX;
        assert_eq!(two(text(half)), Err(SignatureError::Bytes { bytes: beyond }));
        let lists = u32::try_from(ITEM_LISTS_MAX).unwrap();
        let most = bytes(&[lists - 1, 1]);
        let lists = 2 * u64::from(lists);
        assert_eq!(two(most), Err(SignatureError::Lists { lists }));
    }
}
