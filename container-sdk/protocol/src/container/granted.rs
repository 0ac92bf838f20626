//! What the engine granted, as the handshake hands it over.

use std::os::fd::OwnedFd;

use super::Pools;
use crate::layout::Geometry;
use crate::segment::Segment;
use crate::wait::WaitStrategy;

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
