//! What the applications of the script take, and what their models make of it.

use std::sync::Arc;

use cutter_core::ItemResults;
use cutter_core::slab::Slab;
use cutter_core::stats::ApplicationStats;
use cutter_server::limits::BATCH_TIMEOUT_US_MAX;
use cutter_server::port::http::{Endpoint, Endpoints};
use cutter_tensor::{ElementType, Item, OutputBytes, Shape, TensorSpec};

use super::BATCH_MAX;

/// By number: two integers, text, and an application without a model.
pub const NAMES: [&str; 3] = ["pairs", "texts", "none"];
/// Applications that have a model; both have the same numbers.
pub const MODELS: usize = 2;
pub const PAIRS: usize = 0;
const TEXTS: usize = 1;
/// Of one input; of text the most.
const INPUT_BYTES_MAX: [u32; NAMES.len()] = [8, 64, 8];
/// Integers of an output at most.
const OUTPUT_INTEGERS_MAX: i32 = 20_000;
/// What an output's integers are behind the first.
const FILLER: i32 = 7;

/// The applications as their clients see them, by number.
pub fn endpoints() -> Endpoints {
    let (mut endpoints, mut ids) = (Endpoints::new(NAMES.len()), Slab::new(NAMES.len()));
    for (number, name) in NAMES.into_iter().enumerate() {
        let input = match number {
            TEXTS => TensorSpec::at_most(ElementType::String, INPUT_BYTES_MAX[number]),
            _ => TensorSpec::exact(ElementType::Int32, Shape::new(&[2]).expect("two integers")),
        };
        let stats = Arc::new(ApplicationStats::new(name));
        let model = (number < MODELS).then(|| (name.to_owned(), "1".to_owned()));
        let models = model.into_iter().collect();
        let mut endpoint = Endpoint::new(name.to_owned(), input, 1, "-1", models, stats);
        endpoint.json_output = number == TEXTS;
        endpoints.add(ids.insert(()).expect("room for all"), Box::new(endpoint));
    }
    endpoints
}

/// The same as a configuration, with as many models of the same names.
pub fn configuration(slo_ns: u64) -> String {
    let part = |number: usize| {
        let name = NAMES[number];
        let input = match number {
            TEXTS => format!("type = \"strings\", max_bytes = {}", INPUT_BYTES_MAX[number]),
            _ => "type = \"integers\", shape = [2]".to_owned(),
        };
        let models = if number < MODELS { format!("[{name:?}]") } else { "[]".to_owned() };
        let application = format!(
            "[[application]]\nname = {name:?}\ninput = {{ {input} }}\nmodels = {models}\n\
             default_output = \"-1\"\nslo_us = {}\njson_output = {}\n",
            slo_ns / 1_000,
            number == TEXTS
        );
        let model = format!(
            "[[model]]\nname = {name:?}\nbatch = {{ policy = \"fixed\", max = {BATCH_MAX} }}\n\
             batch_timeout_us = {BATCH_TIMEOUT_US_MAX}\n"
        );
        if number < MODELS { application + &model } else { application }
    };
    let parts = (0..NAMES.len()).map(part).collect::<String>();
    "[server]\nsocket = \"s\"\n".to_owned() + &parts
}

pub fn output_spec(application: usize) -> TensorSpec {
    match application {
        TEXTS => TensorSpec::at_most(ElementType::String, INPUT_BYTES_MAX[TEXTS]),
        _ => TensorSpec::at_most(ElementType::Int32, 4 * (1 + OUTPUT_INTEGERS_MAX.cast_unsigned())),
    }
}

/// The first integer of an input and as many others as the second says; or the same text. `None`
/// where the model fails.
pub fn output(application: usize, input: &[u8]) -> Option<Vec<u8>> {
    match application {
        // Not UTF-8.
        TEXTS if input.starts_with(b"!") => Some(vec![0xFF]),
        TEXTS => Some(input.to_vec()),
        PAIRS => {
            let (integers, _) = input.as_chunks::<4>();
            let size = i32::from_ne_bytes(integers[1]);
            let size = usize::try_from(size.min(OUTPUT_INTEGERS_MAX)).ok()?;
            let fillers = std::iter::repeat_n(FILLER.to_ne_bytes(), size);
            Some(std::iter::once(integers[0]).chain(fillers).flatten().collect())
        }
        _ => None,
    }
}

/// What a batch comes to.
pub struct Outputs(Vec<Option<Vec<u8>>>);

impl Outputs {
    pub fn of(application: usize, inputs: &[Vec<u8>]) -> Self {
        Self(inputs.iter().map(|input| output(application, input)).collect())
    }
}

impl ItemResults for Outputs {
    fn get(&self, item: usize) -> Item<'_> {
        match &self.0[item] {
            Some(bytes) => Item::Output(OutputBytes::borrowed(bytes)),
            None => Item::Failed(b"it cannot be done"),
        }
    }
}
