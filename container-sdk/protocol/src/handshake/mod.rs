//! The handshake: how a container and the engine come to share memory.
//!
//! The socket is of type SOCK_SEQPACKET, inherited by a container that the engine spawned, or
//! connected by one that was started by hand. The engine accepts no descriptor, ever: it reads
//! without room for any, so the kernel drops what a container may try to pass.
//!
//! Here is what both sides share; `engine` has what the engine calls, `container` what a container
//! calls.

mod container;
mod engine;

pub use self::container::{connect, enter, join, say_ready, socket_from_environment};
pub use self::engine::{
    Grant, GrantedPool, is_ready, receive_from_container, send_grant, send_pool, send_refusal,
};
pub use crate::environment::{ENV_FD, ENV_MODEL, ENV_SOCKET};

use bytemuck::Zeroable;
use cutter_tensor::{Signature, SignatureError, TensorSpec};

use crate::entry::{Completion, ItemEntry, RowEntry, Submission};
use crate::wire::{
    ABI_MAJOR, ABI_MINOR, FEATURE_WARM_UP, HELLO_MAGIC, WireHello, WireSignature, field_text,
    text_field,
};

const STRUCT_BYTES: [u16; 4] = [
    narrow(size_of::<Submission>()),
    narrow(size_of::<Completion>()),
    narrow(size_of::<RowEntry>()),
    narrow(size_of::<ItemEntry>()),
];

/// What a container says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// `None`: whatever the application sends.
    pub input: Option<Signature>,
    pub output: Signature,
    /// The largest batch that the model takes.
    pub items_max: Option<u32>,
    /// The model may be given inputs that nobody asks about, before it serves.
    pub may_warm_up: bool,
    pub sdk: String,
    pub sdk_version: String,
    /// Empty where the container does not say.
    pub model: String,
    pub model_version: String,
    pub pid: u32,
}

/// Why a hello cannot be answered with memory.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    #[error("the first message has {bytes} bytes and does not begin as a container's hello does")]
    NotAHello { bytes: usize },
    #[error(
        "the container speaks ABI {major}.{minor}, the engine {ABI_MAJOR}.{ABI_MINOR}; build the \
         container with this engine's SDK"
    )]
    Version { major: u16, minor: u16 },
    #[error("the container's shared structs have {found:?} bytes, the engine's {STRUCT_BYTES:?}")]
    Structs { found: [u16; 4] },
    #[error("the container's {which} type cannot be used: {why}")]
    Signature { which: &'static str, why: SignatureError },
    #[error("the container declares no output type")]
    NoOutput,
}

impl Hello {
    /// Reads a container's first message. Bytes that a later minor version appended are ignored.
    pub fn read(message: &[u8]) -> Result<Hello, HelloError> {
        let not_a_hello = HelloError::NotAHello { bytes: message.len() };
        let mut wire = WireHello::zeroed();
        let known = message.len().min(size_of::<WireHello>());
        bytemuck::bytes_of_mut(&mut wire)[..known].copy_from_slice(&message[..known]);
        if known < 16 || wire.magic != HELLO_MAGIC {
            return Err(not_a_hello);
        }
        if wire.abi_major != ABI_MAJOR || wire.abi_minor > ABI_MINOR {
            return Err(HelloError::Version { major: wire.abi_major, minor: wire.abi_minor });
        }
        if known < size_of::<WireHello>() {
            return Err(not_a_hello);
        }
        if wire.struct_bytes != STRUCT_BYTES {
            return Err(HelloError::Structs { found: wire.struct_bytes });
        }
        let wrong = |which| move |why| HelloError::Signature { which, why };
        let output = wire.output.read().map_err(wrong("output"))?;
        let hello = Hello {
            input: wire.input.read().map_err(wrong("input"))?,
            output: output.ok_or(HelloError::NoOutput)?,
            items_max: (wire.items_max > 0).then_some(wire.items_max),
            may_warm_up: wire.features & FEATURE_WARM_UP != 0,
            sdk: field_text(&wire.sdk),
            sdk_version: field_text(&wire.sdk_version),
            model: field_text(&wire.model),
            model_version: field_text(&wire.model_version),
            pid: wire.pid,
        };
        hello.specs()?;
        Ok(hello)
    }

    /// The types of what is served in this version: one tensor goes in, if the container says
    /// which, and one comes out.
    pub fn specs(&self) -> Result<(Option<TensorSpec>, TensorSpec), HelloError> {
        let only = |which, signature: &Signature| match signature.only() {
            Ok(tensor) => Ok(tensor.spec()),
            Err(why) => Err(HelloError::Signature { which, why }),
        };
        let input = self.input.as_ref().map(|input| only("input", input)).transpose()?;
        Ok((input, only("output", &self.output)?))
    }

    fn write(&self) -> WireHello {
        WireHello {
            magic: HELLO_MAGIC,
            abi_major: ABI_MAJOR,
            abi_minor: ABI_MINOR,
            hello_bytes: u32::from(narrow(size_of::<WireHello>())),
            struct_bytes: STRUCT_BYTES,
            features: if self.may_warm_up { FEATURE_WARM_UP } else { 0 },
            pid: self.pid,
            items_max: self.items_max.unwrap_or(0),
            input: self.input.as_ref().map_or_else(WireSignature::zeroed, Into::into),
            output: (&self.output).into(),
            sdk: text_field(&self.sdk),
            sdk_version: text_field(&self.sdk_version),
            model: text_field(&self.model),
            model_version: text_field(&self.model_version),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "asserted")]
const fn narrow(bytes: usize) -> u16 {
    assert!(bytes <= u16::MAX as usize);
    bytes as u16
}
