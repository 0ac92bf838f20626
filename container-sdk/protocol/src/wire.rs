//! The messages of the handshake, byte by byte.
//!
//! ```text
//!   container ──Hello──▶ engine
//!   container ◀─Answer── engine      accepted: with descriptors; refused: with a text
//!   container ──Ready──▶ engine      everything is mapped and prefaulted
//!   container ◀─Pool─── engine       later: a pool more, with its descriptor
//! ```
//!
//! One message is one SOCK_SEQPACKET record. The first 16 bytes of a `Hello`, and the first
//! 16 + [`REFUSAL_BYTES`] of an `Answer`, keep their meaning in every version, so that two sides of
//! different versions can still tell each other so.

use bytemuck::{Pod, Zeroable};
use cutter_tensor::limits::{RANK_MAX, TENSOR_NAME_BYTES_MAX, TENSORS_MAX};
use cutter_tensor::{ElementType, Extent, Shape, Signature, SignatureError, SpecError, TensorSpec};

use crate::limits::{NAME_BYTES, POOLS_MAX, REFUSAL_BYTES};

/// Changes when old and new cannot talk.
pub const ABI_MAJOR: u16 = 2;
/// Grows when something is added that the other side may ignore.
pub const ABI_MINOR: u16 = 0;

pub const HELLO_MAGIC: u64 = u64::from_le_bytes(*b"CUTTERhi");
pub const ANSWER_MAGIC: u64 = u64::from_le_bytes(*b"CUTTERan");
pub const READY_MAGIC: u64 = u64::from_le_bytes(*b"CUTTERok");
pub const POOL_MAGIC: u64 = u64::from_le_bytes(*b"CUTTERpl");

/// Descriptors of an accepting answer besides those of the pools.
pub const FIXED_DESCRIPTORS: usize = 4;

pub const ANSWER_REFUSED: u32 = 0;
pub const ANSWER_ACCEPTED: u32 = 1;

/// The model may be given inputs that nobody asks about, before it gets any that somebody does.
pub const FEATURE_WARM_UP: u64 = 1;

/// What a container tells of itself.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct WireHello {
    pub magic: u64,
    pub abi_major: u16,
    pub abi_minor: u16,
    pub hello_bytes: u32,
    /// Sizes of the shared structs: submission, completion, row entry, item entry.
    pub struct_bytes: [u16; 4],
    /// What the container can or allows: bits as [`FEATURE_WARM_UP`]. The engine ignores those that
    /// it does not know.
    pub features: u64,
    pub pid: u32,
    /// The largest batch that the model takes; 0 for any.
    pub items_max: u32,
    /// What the model takes; of no tensor for whatever the application sends.
    pub input: WireSignature,
    pub output: WireSignature,
    /// Names end at the first zero byte.
    pub sdk: [u8; NAME_BYTES],
    pub sdk_version: [u8; NAME_BYTES],
    /// Empty: the container was spawned for a replica, or leaves the choice to the engine.
    pub model: [u8; NAME_BYTES],
    pub model_version: [u8; NAME_BYTES],
}

/// What the engine answers. Followed, when accepted, by these descriptors in this order: control,
/// completions, outputs, doorbell, and one for each of the first `pool_count` pools.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct WireAnswer {
    pub magic: u64,
    pub abi_major: u16,
    pub abi_minor: u16,
    /// [`ANSWER_ACCEPTED`] or [`ANSWER_REFUSED`].
    pub accepted: u32,
    /// Why not, up to the first zero byte.
    pub refusal: [u8; REFUSAL_BYTES],
    pub incarnation: u64,
    pub depth: u32,
    pub items_max: u32,
    pub wait: u32,
    pub pool_count: u32,
    pub output: WireSignature,
    pub pools: [WirePool; POOLS_MAX],
}

/// One input pool.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct WirePool {
    /// By which batches name it: below [`POOLS_MAX`], and no other pool of the replica has it.
    pub index: u32,
    pub rows: u32,
    pub stride: u32,
    pub reserved: u32,
    pub input: WireSignature,
}

/// A pool for a container that serves already. Its descriptor comes with it, and a submission in
/// the ring asks to map it.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct WirePoolMessage {
    pub magic: u64,
    pub pool: WirePool,
}

/// The container has mapped everything.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct WireReady {
    pub magic: u64,
}

/// The tensors of an input or output, in their order.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct WireSignature {
    pub count: u32,
    pub reserved: u32,
    pub tensors: [WireTensor; TENSORS_MAX],
}

/// One tensor of an item.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct WireTensor {
    /// Ends at the first zero byte.
    pub name: [u8; NAME_BYTES],
    pub spec: WireSpec,
}

/// A tensor's type and extent.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct WireSpec {
    pub element: u32,
    /// [`SPEC_EXACT`] or [`SPEC_AT_MOST`].
    pub extent: u32,
    pub rank: u32,
    /// [`SPEC_AT_MOST`] only.
    pub bytes: u32,
    pub dims: [u32; RANK_MAX],
}

pub const SPEC_EXACT: u32 = 1;
pub const SPEC_AT_MOST: u32 = 2;

impl From<&Signature> for WireSignature {
    fn from(signature: &Signature) -> Self {
        let mut wire = WireSignature::zeroed();
        for (to, tensor) in wire.tensors.iter_mut().zip(signature.tensors()) {
            *to = WireTensor { name: text_field(tensor.name()), spec: tensor.spec().into() };
            wire.count += 1;
        }
        wire
    }
}

impl WireSignature {
    /// `None` for one of no tensor; an error for what means nothing or exceeds the limits.
    pub fn read(&self) -> Result<Option<Signature>, SignatureError> {
        let count = self.count as usize;
        let tensors = self.tensors.get(..count).ok_or(SignatureError::Count { count })?;
        if tensors.is_empty() {
            return Ok(None);
        }
        let names: Vec<String> = tensors.iter().map(|tensor| field_text(&tensor.name)).collect();
        let named = names.iter().zip(tensors).map(|(name, tensor)| match tensor.spec.read() {
            Ok(spec) => Ok((&**name, spec)),
            Err(why) => Err(SignatureError::Spec { name: name.clone(), why }),
        });
        Signature::new(&named.collect::<Result<Vec<_>, _>>()?).map(Some)
    }
}

impl From<TensorSpec> for WireSpec {
    fn from(spec: TensorSpec) -> Self {
        let mut wire = WireSpec::zeroed();
        wire.element = spec.element as u32;
        match spec.extent {
            Extent::Exact(shape) => {
                wire.extent = SPEC_EXACT;
                for (to, from) in wire.dims.iter_mut().zip(shape.dims()) {
                    *to = *from;
                    wire.rank += 1;
                }
            }
            Extent::AtMost { bytes } => (wire.extent, wire.bytes) = (SPEC_AT_MOST, bytes),
        }
        wire
    }
}

impl WireSpec {
    /// An error for what means nothing or exceeds the limits.
    pub fn read(&self) -> Result<TensorSpec, SpecError> {
        let element = ElementType::from_wire(self.element);
        let element = element.ok_or(SpecError::Element { element: self.element })?;
        let spec = match self.extent {
            SPEC_EXACT => {
                let rank = self.rank as usize;
                let dims = self.dims.get(..rank).ok_or(SpecError::Rank { rank })?;
                TensorSpec::exact(element, Shape::new(dims)?)
            }
            SPEC_AT_MOST => TensorSpec::at_most(element, self.bytes),
            extent => return Err(SpecError::Extent { extent }),
        };
        spec.check()?;
        Ok(spec)
    }
}

/// A text as a fixed field, cut at a character when it is too long.
pub fn text_field<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [0; N];
    let text = &text[..text.floor_char_boundary(N)];
    field[..text.len()].copy_from_slice(text.as_bytes());
    field
}

/// The text of a fixed field, up to the first zero byte.
pub fn field_text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<WireSpec>() == 48);
    assert!(size_of::<WireTensor>() == NAME_BYTES + 48);
    assert!(offset_of!(WireTensor, spec) == NAME_BYTES);
    assert!(TENSOR_NAME_BYTES_MAX < NAME_BYTES);
    assert!(size_of::<WireSignature>() == 8 + 8 * 112);
    assert!(offset_of!(WireSignature, tensors) == 8);
    assert!(size_of::<WirePool>() == 16 + 904);
    assert!(offset_of!(WirePool, index) == 0);
    assert!(offset_of!(WirePool, rows) == 4);
    assert!(offset_of!(WirePool, stride) == 8);
    assert!(offset_of!(WirePool, input) == 16);
    assert!(size_of::<WireHello>() == 40 + 2 * 904 + 4 * NAME_BYTES);
    assert!(offset_of!(WireHello, hello_bytes) == 12);
    assert!(offset_of!(WireHello, features) == 24);
    assert!(offset_of!(WireHello, input) == 40);
    assert!(offset_of!(WireHello, output) == 40 + 904);
    assert!(offset_of!(WireHello, sdk) == 40 + 2 * 904);
    assert!(offset_of!(WireAnswer, refusal) == 16);
    assert!(offset_of!(WireAnswer, incarnation) == 16 + REFUSAL_BYTES);
    assert!(offset_of!(WireAnswer, output) == 16 + REFUSAL_BYTES + 24);
    assert!(offset_of!(WireAnswer, pools) == 16 + REFUSAL_BYTES + 24 + 904);
    assert!(size_of::<WireAnswer>() == 16 + REFUSAL_BYTES + 24 + 904 + POOLS_MAX * 920);
    assert!(size_of::<WireReady>() == 8);
    assert!(size_of::<WirePoolMessage>() == 8 + 920);
    assert!(offset_of!(WirePoolMessage, pool) == 8);
};

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> TensorSpec {
        TensorSpec::exact(ElementType::Float32, Shape::new(&[28, 28]).unwrap())
    }

    #[test]
    fn specs_cross_the_wire_unchanged() {
        for spec in [
            matrix(),
            TensorSpec::exact(ElementType::Int32, Shape::SCALAR),
            TensorSpec::at_most(ElementType::String, 4096),
        ] {
            assert_eq!(WireSpec::from(spec).read(), Ok(spec));
        }
    }

    fn two() -> Signature {
        let text = TensorSpec::at_most(ElementType::String, 9);
        Signature::new(&[("image", matrix()), ("caption", text)]).unwrap()
    }

    #[test]
    fn signatures_cross_the_wire_unchanged() {
        for signature in [two(), Signature::of_one(&"x".repeat(63), matrix()).unwrap()] {
            assert_eq!(WireSignature::from(&signature).read(), Ok(Some(signature)));
        }
        assert_eq!(WireSignature::zeroed().read(), Ok(None));
    }

    #[test]
    fn a_signature_has_its_golden_bytes() {
        let mut golden = [0u8; 904];
        golden[0] = 2;
        golden[8..13].copy_from_slice(b"image");
        for (offset, byte) in [(72, 2), (76, 1), (80, 2), (88, 28), (92, 28)] {
            golden[offset] = byte;
        }
        golden[120..127].copy_from_slice(b"caption");
        for (offset, byte) in [(184, 4), (188, 2), (196, 9)] {
            golden[offset] = byte;
        }
        assert_eq!(bytemuck::bytes_of(&WireSignature::from(&two())), golden);
    }

    #[test]
    fn a_pool_has_its_golden_bytes() {
        let input = WireSignature::from(&two());
        let pool = WirePool { index: 0x11, rows: 0x22, stride: 0x33, reserved: 0, input };
        let golden = [0x11, 0, 0, 0, 0x22, 0, 0, 0, 0x33, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0];
        assert_eq!(&bytemuck::bytes_of(&pool)[..20], golden);
        let message = WirePoolMessage { magic: POOL_MAGIC, pool };
        assert_eq!(&bytemuck::bytes_of(&message)[..9], b"CUTTERpl\x11");
    }

    #[test]
    fn a_signature_that_means_nothing_is_not_read() {
        let good = WireSignature::from(&two());
        let with = |tamper: fn(&mut WireSignature)| {
            let mut wire = good;
            tamper(&mut wire);
            wire.read().unwrap_err()
        };
        let count = TENSORS_MAX + 1;
        assert_eq!(with(|it| it.count = 9), SignatureError::Count { count });
        let name = String::new();
        assert_eq!(with(|it| it.count = 3), {
            SignatureError::Spec { name: name.clone(), why: SpecError::Extent { extent: 0 } }
        });
        assert_eq!(with(|it| it.tensors[1].name[0] = 0), SignatureError::Name { name });
        let name = "x".repeat(64);
        assert_eq!(with(|it| it.tensors[0].name = [b'x'; 64]), SignatureError::Name { name });
        let name = "image".to_owned();
        let why = SpecError::Element { element: 9 };
        assert_eq!(
            with(|it| it.tensors[0].spec.element = 9),
            SignatureError::Spec { name: name.clone(), why }
        );
        let twice = with(|it| it.tensors[1].name = it.tensors[0].name);
        assert_eq!(twice, SignatureError::Twice { name });
    }

    #[test]
    fn a_spec_has_its_golden_bytes() {
        let mut golden = [0u8; 48];
        for (offset, byte) in [(0, 2), (4, 1), (8, 2), (16, 28), (20, 28)] {
            golden[offset] = byte;
        }
        assert_eq!(bytemuck::bytes_of(&WireSpec::from(matrix())), golden);
    }

    #[test]
    fn a_spec_that_means_nothing_is_not_read() {
        let good = WireSpec::from(matrix());
        let bad = [
            (WireSpec { element: 9, ..good }, SpecError::Element { element: 9 }),
            (WireSpec { extent: 3, ..good }, SpecError::Extent { extent: 3 }),
            (WireSpec { rank: 9, ..good }, SpecError::Rank { rank: 9 }),
            (WireSpec { rank: u32::MAX, ..good }, SpecError::Rank { rank: u32::MAX as usize }),
            (WireSpec { dims: [u32::MAX; RANK_MAX], ..good }, SpecError::Elements),
            (
                WireSpec { dims: [1 << 15, 1 << 10, 0, 0, 0, 0, 0, 0], ..good },
                SpecError::Bytes { bytes: 1 << 27 },
            ),
            (WireSpec { rank: 3, ..good }, SpecError::EmptyShape { dimension: 2 }),
        ];
        assert!(bad.iter().all(|(wire, due)| wire.read() == Err(*due)));
    }

    #[test]
    fn text_fields_are_cut_at_a_character() {
        assert_eq!(field_text(&text_field::<8>("softmax")), "softmax");
        assert_eq!(field_text(&text_field::<4>("sofé")), "sof");
    }
}
