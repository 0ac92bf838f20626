//! What is told beside an answer of a policy: how sure it is, and what each model said.

use cutter_core::selection::{Ensemble, Member};
use cutter_wire::clipper::{self, Spoke};
use cutter_wire::json::render::write_tensor;

use super::endpoint::Endpoint;

/// What is told beside an answer.
#[derive(Clone, Copy, Debug, Default)]
pub enum Extra<'a> {
    #[default]
    Nothing,
    /// Of a query that came at this time.
    Ensemble { ensemble: &'a Ensemble<'a>, arrived_ns: u64 },
    /// It was written before.
    Written(&'a [u8]),
}

impl Extra<'_> {
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>, endpoint: &Endpoint) {
        match self {
            Self::Nothing => {}
            Self::Ensemble { ensemble, arrived_ns } => {
                write_ensemble(out, ensemble, *arrived_ns, endpoint);
            }
            Self::Written(written) => out.extend_from_slice(written),
        }
    }
}

fn write_ensemble(out: &mut Vec<u8>, told: &Ensemble<'_>, arrived_ns: u64, endpoint: &Endpoint) {
    if let Some(confidence) = told.confidence {
        clipper::write_confidence(out, confidence);
    }
    for (place, member) in told.members.iter().enumerate() {
        clipper::begin_model(out, place == 0);
        write_member(out, member, arrived_ns, endpoint);
    }
    if !told.members.is_empty() {
        clipper::end_models(out);
    }
}

fn write_member(out: &mut Vec<u8>, member: &Member<'_>, arrived_ns: u64, endpoint: &Endpoint) {
    let Member { arm, output, came_ns, weight } = *member;
    let (model, version) =
        endpoint.models.get(arm).map_or(("", ""), |(model, version)| (model, version));
    let after_us = came_ns.map(|came_ns| came_ns.saturating_sub(arrived_ns) / 1_000);
    clipper::write_model(out, &Spoke { model, version, weight, after_us }, |out| {
        let start = out.len();
        let written = output
            .map(|(output, spec)| write_tensor(out, spec, output.bytes(), endpoint.text_rule()));
        if !matches!(written, Some(Ok(()))) {
            out.truncate(start);
            out.extend_from_slice(b"null");
        }
    });
}
