//! Signatures of the engine, as far as a container knows them.

use cutter_tensor::TensorSpec;

use super::ContainerError;
use crate::wire::WireSignature;

/// The one type that a signature of the engine names; this version knows no other signatures.
pub(crate) fn granted_spec(
    which: &'static str,
    wire: &WireSignature,
) -> Result<TensorSpec, ContainerError> {
    let signature = wire.read().ok().flatten().ok_or(ContainerError::BadAnswer)?;
    let only = signature.only();
    only.map(|tensor| tensor.spec()).map_err(|why| ContainerError::GrantedSignature { which, why })
}
