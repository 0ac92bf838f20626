//! What the engine granted, as the handshake hands it over.

use std::os::fd::OwnedFd;

use cutter_tensor::TensorSpec;

use super::{ContainerError, Pools};
use crate::layout::Geometry;
use crate::segment::Segment;
use crate::wait::WaitStrategy;
use crate::wire::WireSignature;

/// What the engine granted, as the container holds it.
#[derive(Debug)]
pub(crate) struct Granted {
    pub geometry: Geometry,
    pub wait: WaitStrategy,
    pub control: Segment,
    pub completions: Segment,
    pub outputs: Segment,
    pub doorbell: OwnedFd,
    pub socket: OwnedFd,
    pub pools: Pools,
}

/// The one type that a signature of the engine names; this version knows no other signatures.
pub(crate) fn granted_spec(
    which: &'static str,
    wire: &WireSignature,
) -> Result<TensorSpec, ContainerError> {
    let signature = wire.read().ok().flatten().ok_or(ContainerError::BadAnswer)?;
    let only = signature.only();
    only.map(|tensor| tensor.spec()).map_err(|why| ContainerError::GrantedSignature { which, why })
}
