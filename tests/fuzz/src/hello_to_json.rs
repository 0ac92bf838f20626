//! From what a container declares to what a client reads: any declared output that is granted, any
//! completion of it, rendered.
//!
//! ```text
//!  input: the output's type as it lies in a hello · a byte, the items of the batch · a byte, the
//!         form of the completion · what each item says of itself · the output slot's bytes
//! ```
//!
//! Oracle: the answer is JSON that `serde_json` takes, the output in it is the item, of the
//! declared shape, in a size that is in proportion to it; a failure carries its message.

use std::sync::Arc;

use bytemuck::Zeroable;
use cutter_core::stats::{ApplicationStats, Reason};
use cutter_protocol::engine::{Completed, EngineEnd, Polled, Results};
use cutter_protocol::entry::{FLAG_UNIFORM, ItemEntry, STATUS_FAILED};
use cutter_protocol::handshake::Hello;
use cutter_protocol::layout::Geometry;
use cutter_protocol::limits::{COPY_BYTES_MAX, DEPTH_DEFAULT, MESSAGE_AREA_BYTES};
use cutter_protocol::wire::{
    ABI_MAJOR, ABI_MINOR, HELLO_MAGIC, SPEC_EXACT, WireHello, WireSpec, WireTensor, text_field,
};
use cutter_server::limits::DETAIL_BYTES_MAX;
use cutter_server::port::http::{Endpoint, Explanation};
use cutter_tensor::{ElementType, Item, OUTPUT_NAME, TensorSpec};
use cutter_wire::clipper::{DefaultAnswer, close_prediction, open_prediction, write_default};
use cutter_wire::json::render::TextRule;
use serde_json::value::RawValue;

use crate::Source;
use crate::raw::{Entries, text};
use crate::rendered::{check, write};
use crate::replica::peer::{Peer, submit};

/// Larger output slots are granted too, but making them takes the time of many inputs.
const SLOT_BYTES_MAX: usize = 512 << 10;
/// After so many looks a batch is copied.
const LOOKS_MAX: usize = SLOT_BYTES_MAX.div_ceil(COPY_BYTES_MAX) + 1;
/// The most items of the batch.
const ITEMS_MAX: u8 = 8;
/// The longest number of a query.
const QUERY_ID: u64 = u64::MAX;
/// Strings of this application are JSON if they can be.
const RULE: TextRule = TextRule::Json;
/// Of an answer beside the output: keys, numbers, the model's name.
const ANSWER_BYTES_MAX: usize = 256;

pub fn hello_to_json(data: &[u8]) {
    let mut source = Source::new(data);
    let wire: WireSpec = bytemuck::cast(source.array::<{ size_of::<WireSpec>() }>());
    let items = u32::from(source.below(ITEMS_MAX)) + 1;
    let Some(geometry) = granted(wire, items) else { return };
    let items = items.min(geometry.items_max);
    let mut engine = EngineEnd::create(geometry).expect("memory for a small incarnation");
    let mut peer = Peer::of(&engine);
    let ticket = submit(&mut engine, items);
    let mut completion = peer.by_table(ticket, items);
    match source.below(4) {
        0 => completion.flags = FLAG_UNIFORM,
        1 => {
            completion.status = STATUS_FAILED;
            completion.message_bytes = u32::from(source.u16());
        }
        _ => {
            for item in 0..items {
                peer.set_item(ticket.slot, item, entry(&geometry.output, &mut source));
            }
        }
    }
    let bytes = source.rest();
    let messages = bytes.len().min(MESSAGE_AREA_BYTES);
    peer.messages(ticket.slot)[..messages].copy_from_slice(&bytes[..messages]);
    let places = peer.outputs(ticket.slot).iter_mut();
    places.zip(bytes.iter().cycle()).for_each(|(place, byte)| *place = *byte);
    peer.publish(completion);
    for _ in 0..LOOKS_MAX {
        match engine.poll() {
            Ok(Polled::Completed(completed)) => {
                return check_answers(&completed, &geometry.output);
            }
            Ok(Polled::Copying) => {}
            Ok(Polled::Nothing | Polled::PoolChanged(_)) => panic!("a batch was published"),
            // The replica ends: nothing is rendered.
            Err(_) => return,
        }
    }
    panic!("not copied after {LOOKS_MAX} looks");
}

/// What the engine makes of a hello with this output.
fn granted(output: WireSpec, items: u32) -> Option<Geometry> {
    let read = Hello::read(bytemuck::bytes_of(&wire_hello(output)));
    let dims = output.dims.iter().take(output.rank as usize);
    let is_empty = output.extent == SPEC_EXACT && dims.clone().any(|dim| *dim == 0);
    assert!(!is_empty || read.is_err(), "any number of brackets around nothing: {output:?}");
    let (_, output) = read.ok()?.specs().expect("it was read");
    let geometry = Geometry::fit(DEPTH_DEFAULT, items, output).ok()?;
    (geometry.slot_bytes() <= SLOT_BYTES_MAX).then_some(geometry)
}

fn wire_hello(output: WireSpec) -> WireHello {
    let mut hello = WireHello::zeroed();
    hello.magic = HELLO_MAGIC;
    (hello.abi_major, hello.abi_minor) = (ABI_MAJOR, ABI_MINOR);
    // Submission, completion, row entry, item entry.
    hello.struct_bytes = [64, 64, 16, 8];
    hello.output.count = 1;
    hello.output.tensors[0] = WireTensor { name: text_field(OUTPUT_NAME), spec: output };
    hello
}

/// Whether the item succeeded, and with how many bytes; or where its message lies.
fn entry(output: &TensorSpec, source: &mut Source<'_>) -> ItemEntry {
    let (status, length) = (u16::from(source.below(3) == 2), source.u16());
    let bytes = output.bytes_exact().unwrap_or(usize::from(length) % (output.bytes_max() + 1));
    let bytes = bytes - bytes % output.element.bytes();
    match status {
        0 => ItemEntry {
            status,
            message_bytes: 0,
            bytes_or_offset: u32::try_from(bytes).expect("within the slot"),
        },
        _ => ItemEntry {
            status,
            message_bytes: length & 0xFF,
            bytes_or_offset: u32::from(length >> 8),
        },
    }
}

fn endpoint() -> Endpoint {
    let input = TensorSpec::scalar(ElementType::Int32);
    let models = vec![("sum".to_owned(), "1".to_owned())];
    let stats = Arc::new(ApplicationStats::new("sums"));
    Endpoint::new("sums".to_owned(), input, 1, "-1", models, stats)
}

fn check_answers(completed: &Completed<'_>, spec: &TensorSpec) {
    let endpoint = endpoint();
    for index in 0..completed.item_count {
        let item = match &completed.results {
            Results::Failed(message) => Item::Failed(message),
            Results::Items(items) => items.get(index as usize),
        };
        check_answer(item, spec, &endpoint);
    }
}

fn check_answer(item: Item<'_>, spec: &TensorSpec, endpoint: &Endpoint) {
    let mut json = Vec::new();
    match item {
        Item::Output(output) => {
            // What is no text is answered like a failure, which is looked at below.
            let Ok(output) = write(spec, output.bytes(), RULE) else { return };
            open_prediction(&mut json, QUERY_ID);
            json.extend_from_slice(&output);
            close_prediction(&mut json, |_| {});
        }
        Item::Failed(detail) => {
            let reason = Reason::ModelError;
            let explanation = Explanation { reason, detail, endpoint };
            let (output, reason) = (&endpoint.default_json[..], reason.as_str());
            let answer = DefaultAnswer { output, explanation, reason };
            write_default(&mut json, QUERY_ID, &answer, |_| {});
        }
    }
    let json = str::from_utf8(&json).expect("JSON is UTF-8");
    let Entries(entries) = serde_json::from_str(json).expect(json);
    let entry = |key| {
        let mut found = entries.iter().filter(|(name, _)| name == key);
        found.next().filter(|_| found.next().is_none()).map(|(_, value)| *value)
    };
    let literal = |key| entry(key).map(RawValue::get);
    assert_eq!(literal("query_id"), Some("18446744073709551615"), "{json}");
    let output = entry("output").expect(json);
    assert!(json.len() <= output.get().len() + explained_bytes(item), "{json}");
    match item {
        Item::Output(item) => {
            assert_eq!(literal("default"), Some("false"), "{json}");
            check(output, spec, item.bytes(), RULE);
        }
        Item::Failed(message) => {
            assert_eq!((literal("default"), output.get()), (Some("true"), "-1"), "{json}");
            assert_eq!(literal("reason"), Some("\"model_error\""), "{json}");
            let explanation = entry("default_explanation").and_then(text).expect(json);
            assert!(explanation.ends_with(&*String::from_utf8_lossy(told(message))), "{json}");
        }
    }
}

/// As much of a message as is told.
fn told(message: &[u8]) -> &[u8] {
    &message[..message.len().min(DETAIL_BYTES_MAX)]
}

/// What an answer may have beside its output: a failed one its message, each byte an escape.
fn explained_bytes(item: Item<'_>) -> usize {
    let message = match item {
        Item::Output(_) => 0,
        Item::Failed(message) => told(message).len(),
    };
    ANSWER_BYTES_MAX + 6 * message
}
