//! Why a default output is told instead of a prediction, in words.

use std::fmt;

use cutter_core::stats::Reason;

use super::endpoint::Endpoint;
use crate::limits::{DEFAULT_TEXT_BYTES_MAX, DETAIL_BYTES_MAX};

/// A reason, as the clients of an application are told it. Of `detail` as much as its limit allows
/// is told. Nothing is taken from the heap unless there is a detail.
#[derive(Clone, Copy, Debug)]
pub struct Explanation<'a> {
    pub reason: Reason,
    pub detail: &'a [u8],
    pub endpoint: &'a Endpoint,
}

/// The most bytes of a default answer without a detail.
pub(super) fn default_bytes_max(endpoint: &Endpoint) -> usize {
    let model = endpoint.models.first().map_or(0, |(model, _)| model.len());
    endpoint.default_json.len() + endpoint.name.len() + model + DEFAULT_TEXT_BYTES_MAX
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, detail, endpoint } = *self;
        let name = &endpoint.name;
        let model = endpoint.models.first().map_or("", |(model, _)| model.as_str());
        match reason {
            Reason::NoModel => write!(f, "No model is linked to application {name}"),
            Reason::NotReady => write!(f, "No replica of model {model} is ready"),
            Reason::Overloaded if detail.is_empty() => {
                let rows = endpoint.rows;
                write!(
                    f,
                    "All {rows} rows of application {name} hold queries that wait; send fewer at \
                     once, or raise its `rows` in the configuration"
                )
            }
            Reason::Overloaded => f.write_str(&String::from_utf8_lossy(detail)),
            Reason::Late => f.write_str("No prediction within the latency SLO"),
            Reason::ModelError if detail.is_empty() => write!(f, "Model {model} failed"),
            Reason::ModelError => {
                let most = detail.len().min(DETAIL_BYTES_MAX);
                write!(f, "Model {model} failed: {}", String::from_utf8_lossy(&detail[..most]))
            }
            Reason::Unsure => f.write_str("Too few models agree"),
            Reason::ShuttingDown => f.write_str("The server is shutting down"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cutter_core::stats::ApplicationStats;
    use cutter_tensor::{ElementType, TensorSpec};
    use cutter_wire::clipper::{DefaultAnswer, write_default};

    use super::*;

    fn endpoint(name: String, default: &str, models: Vec<(String, String)>) -> Endpoint {
        let input = TensorSpec::scalar(ElementType::Float32);
        Endpoint::new(name, input, 1, default, models, Arc::new(ApplicationStats::new("a")))
    }

    fn written(reason: Reason, detail: &[u8], endpoint: &Endpoint) -> Vec<u8> {
        let mut out = Vec::new();
        let explanation = Explanation { reason, detail, endpoint };
        let (output, reason) = (&endpoint.default_json[..], reason.as_str());
        write_default(&mut out, u64::MAX, &DefaultAnswer { output, explanation, reason }, |_| {});
        out
    }

    #[test]
    fn a_default_output_fits_into_what_is_set_aside_for_it() {
        let name = "n".repeat(cutter_wire::limits::NAME_BYTES_MAX);
        let model = vec![(name.clone(), "1".to_owned())];
        let endpoint = endpoint(name, "{\"a\": \"\u{1}\"}", model);
        for reason in Reason::ALL {
            let out = written(reason, b"", &endpoint);
            assert!(out.len() <= default_bytes_max(&endpoint), "{reason:?}: {}", out.len());
            assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
        }
    }

    #[test]
    fn a_detail_is_cut_where_its_limit_is() {
        let endpoint = endpoint("a".to_owned(), "0", Vec::new());
        let out = written(Reason::ModelError, &[1; 2 * DETAIL_BYTES_MAX], &endpoint);
        let most = default_bytes_max(&endpoint) + 6 * DETAIL_BYTES_MAX;
        assert!(out.len() <= most, "{}", out.len());
    }
}
