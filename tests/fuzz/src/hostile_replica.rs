//! A replica that writes what it wants over all that a replica can write, step by step, while the
//! engine submits and polls.
//!
//! ```text
//!  input: the type of an output · steps: a byte, which one, and what it needs
//! ```
//!
//! Oracle: a completion is believed only if it is for a batch in flight, with its count of items,
//! or for the change of the pools under way, with none; and gives what lies in the replica's memory
//! within the declared type; everything else is a violation, or nothing. What is in flight is what
//! was submitted and not completed. An output that was kept stays what it was, whatever is written
//! and completed afterwards.

use cutter_protocol::engine::{EngineEnd, Polled, PoolChange, PoolChanged, Results};
use cutter_protocol::entry::{
    Completion, FLAG_INLINE, FLAG_UNIFORM, ItemEntry, STATUS_FAILED, Ticket,
};
use cutter_protocol::layout::Geometry;
use cutter_protocol::limits::{COPY_BYTES_MAX, MESSAGE_AREA_BYTES};
use cutter_protocol::violation::Violation;
use cutter_tensor::{Item, KeptOutput, TensorSpec};

use crate::Source;
use crate::replica::peer::{DEPTH, ITEMS_MAX, Peer, change, failed, ok, submit};
use crate::typed::small_spec;

/// Of one input; the time that it takes is theirs.
const STEPS_MAX: usize = 256;
/// After so many looks a batch is copied.
const LOOKS_MAX: usize = (1 << 20) / COPY_BYTES_MAX + 1;
/// Steps of this number on are those of changes of the pools; they are few in a script.
const RARE_STEPS: u8 = 128;
/// Pools of the changes.
const POOLS: u8 = 16;
/// Words of a completion.
const COMPLETION_WORDS: u8 = 8;

pub fn hostile_replica(data: &[u8]) {
    let mut source = Source::new(data);
    let Some(mut world) = World::new(small_spec(&mut source)) else { return };
    for _ in 0..STEPS_MAX {
        if source.is_empty() {
            break;
        }
        world.step(&mut source);
    }
    world.poll();
    for (kept, bytes) in &world.kept {
        assert_eq!(kept.bytes(), bytes);
    }
}

/// The engine, the replica, and what is known to be in flight.
struct World {
    engine: EngineEnd,
    peer: Peer,
    in_flight: Vec<(Ticket, u32)>,
    change: Option<(Ticket, PoolChange)>,
    /// Completions that the engine took from the ring, believed or not.
    taken: u64,
    /// Outputs that were kept, and what they were.
    kept: Vec<(KeptOutput, Vec<u8>)>,
}

impl World {
    fn new(output: TensorSpec) -> Option<Self> {
        let geometry = Geometry::fit(DEPTH, ITEMS_MAX, output).ok()?;
        let engine = EngineEnd::create(geometry).expect("memory for a small incarnation");
        let peer = Peer::of(&engine);
        let (in_flight, kept) = (Vec::new(), Vec::new());
        Some(Self { engine, peer, in_flight, change: None, taken: 0, kept })
    }

    fn step(&mut self, source: &mut Source<'_>) {
        let step = source.u8();
        match step % 8 {
            0 => self.submit(source),
            1 => self.scribble(source),
            2 => self.scribble_outputs(source),
            3 | 4 => self.complete(source),
            5 => self.peer.position = self.taken,
            6 if step >= RARE_STEPS => self.ask(source),
            7 if step >= RARE_STEPS => self.complete_change(source),
            _ => self.poll(),
        }
        assert_eq!(self.engine.in_flight() as usize, self.in_flight.len());
        assert_eq!(self.engine.has_free_ticket(), self.in_flight.len() < DEPTH as usize);
        assert_eq!(self.engine.has_free_change(), self.change.is_none());
    }

    /// Asks for a change of the pools.
    fn ask(&mut self, source: &mut Source<'_>) {
        let pool = u32::from(source.below(POOLS));
        let changes = [PoolChange::Map { pool }, PoolChange::Unmap { pool }];
        let wanted = changes[usize::from(source.below(2))];
        if self.engine.has_free_change() {
            self.change = Some((change(&mut self.engine, wanted), wanted));
        }
    }

    /// Completes the change in good order, but for one word now and then.
    fn complete_change(&mut self, source: &mut Source<'_>) {
        let Some((ticket, _)) = self.change else { return };
        let form = source.u8();
        let mut completion = self.peer.changed(ticket);
        if form & 1 != 0 {
            completion.status = STATUS_FAILED;
            completion.message_bytes = u32::from(source.u16());
        }
        self.publish(completion, form >> 1 & 3 == 3, source);
    }

    /// Publishes a completion, but for one word if it is to be tampered with.
    fn publish(&mut self, mut completion: Completion, tamper: bool, source: &mut Source<'_>) {
        completion.stamp = self.peer.position + 1;
        let mut words: [u64; COMPLETION_WORDS as usize] = bytemuck::cast(completion);
        if tamper {
            let word = usize::from(source.below(COMPLETION_WORDS));
            words[word] = value(source);
        }
        self.peer.publish_stamped(bytemuck::cast(words));
    }

    fn submit(&mut self, source: &mut Source<'_>) {
        let items = u32::from(source.u8()) % self.peer.geometry.items_max + 1;
        if self.engine.has_free_ticket() {
            let ticket = submit(&mut self.engine, items);
            assert!(self.in_flight.iter().all(|(other, _)| other.slot != ticket.slot));
            self.in_flight.push((ticket, items));
        }
    }

    /// Any word over any word: of the ring, of the item tables, or anywhere.
    fn scribble(&mut self, source: &mut Source<'_>) {
        let words = match source.below(4) {
            0 | 1 => self.peer.ring_words(),
            2 => self.peer.item_table_words(),
            _ => 0..self.peer.words(),
        };
        let word = words.start + usize::from(source.u16()) % words.len();
        let value = value(source);
        self.peer.set_word(word, value);
    }

    fn scribble_outputs(&mut self, source: &mut Source<'_>) {
        let slot = u32::from(source.u8()) % DEPTH;
        let outputs = self.peer.outputs(slot);
        if !outputs.is_empty() {
            let start = usize::from(source.u16()) % outputs.len();
            let length = usize::from(source.u8()).min(outputs.len() - start);
            outputs[start..start + length].fill(source.u8());
        }
    }

    /// Completes a batch in good order, but for one word now and then.
    fn complete(&mut self, source: &mut Source<'_>) {
        let form = source.u8();
        let which = usize::from(form & 1);
        let Some((ticket, count)) = self.in_flight.get(which).copied() else { return };
        let mut completion = self.peer.by_table(ticket, count);
        match form >> 1 & 3 {
            0 => completion.flags = FLAG_UNIFORM,
            1 => {
                completion.status = STATUS_FAILED;
                completion.message_bytes = u32::from(source.u16());
            }
            _ => {
                for item in 0..count {
                    let entry = self.entry(source);
                    self.peer.set_item(ticket.slot, item, entry);
                }
            }
        }
        self.publish(completion, form >> 3 & 3 == 3, source);
    }

    /// What a replica may say of an item, or nearly.
    fn entry(&self, source: &mut Source<'_>) -> ItemEntry {
        let output = self.peer.geometry.output;
        let (form, length) = (source.below(4), source.u16());
        let bytes = output.bytes_exact().unwrap_or(usize::from(length) % (output.bytes_max() + 1));
        let bytes = u32::try_from(bytes - bytes % output.element.bytes()).expect("small outputs");
        match form {
            0 | 1 => ok(bytes),
            2 => failed(u32::from(length >> 8), length & 0xFF),
            _ => ok(u32::from(length)),
        }
    }

    /// Nothing is written meanwhile, so what the engine finds can be told beforehand.
    fn poll(&mut self) {
        let entry = self.peer.entry(self.taken);
        let before = (self.taken + 1).saturating_sub(self.peer.ring_entries() as u64);
        let has_news = self.engine.has_news();
        assert_eq!(has_news, entry.stamp != before);
        let mut looks = 1;
        while self.is_copying(&entry, has_news) {
            looks += 1;
            assert!(looks <= LOOKS_MAX, "not copied after {LOOKS_MAX} looks");
        }
    }

    /// One look, and whether what it found is still being copied.
    fn is_copying(&mut self, entry: &Completion, has_news: bool) -> bool {
        let expected = self.taken + 1;
        match self.engine.poll() {
            Ok(Polled::Copying) => return true,
            Ok(Polled::PoolChanged(PoolChanged { change, result })) => {
                assert_eq!(entry.stamp, expected);
                assert_eq!(self.change.take(), Some((entry.ticket, change)));
                let message = &self.peer.messages(DEPTH)[..entry.message_bytes as usize];
                let is_failure = entry.status == STATUS_FAILED;
                assert_eq!(result, if is_failure { Err(message) } else { Ok(()) });
                self.taken += 1;
            }
            Ok(Polled::Nothing) => assert!(!has_news),
            Err(Violation::Stamp { found, expected: due }) => {
                assert_eq!((found, due), (entry.stamp, expected));
                assert!(has_news && found != expected);
            }
            Err(violation) => {
                assert_eq!(entry.stamp, expected);
                assert!(violation.kind() < Violation::KINDS.len());
                assert!(!violation.to_string().is_empty());
                self.taken += 1;
            }
            Ok(Polled::Completed(completed)) => {
                assert_eq!(entry.stamp, expected);
                let known = (completed.ticket, completed.item_count);
                let index = self.in_flight.iter().position(|it| *it == known);
                self.in_flight.remove(index.expect("only what is in flight completes"));
                self.taken += 1;
                check_results(&mut self.peer, entry, &completed.results);
                keep_first(&completed.results, &mut self.kept);
            }
        }
        false
    }
}

/// Keeps the first output of a batch, if it has one.
fn keep_first(results: &Results<'_>, kept: &mut Vec<(KeptOutput, Vec<u8>)>) {
    if let Results::Items(items) = results
        && let Item::Output(output) = items.get(0)
    {
        kept.push((output.keep(), output.bytes().to_vec()));
    }
}

/// What the engine believed is what lies in the replica's memory, within the bounds.
fn check_results(peer: &mut Peer, entry: &Completion, results: &Results<'_>) {
    let (slot, output) = (entry.ticket.slot, peer.geometry.output);
    let items = match results {
        Results::Failed(message) => {
            assert!(message.len() <= MESSAGE_AREA_BYTES);
            return assert_eq!(*message, &peer.messages(slot)[..message.len()]);
        }
        Results::Items(items) => items,
    };
    let inline: [u8; 16] = bytemuck::cast(entry.inline);
    for item in 0..entry.item_count {
        match items.get(item as usize) {
            Item::Output(found) => {
                let bytes = found.bytes();
                assert!(output.admits_bytes(bytes.len()));
                let start = item as usize * peer.geometry.output_stride();
                let is_inline = entry.flags & FLAG_INLINE != 0;
                let outputs = if is_inline { &inline[..] } else { peer.outputs(slot) };
                assert_eq!(bytes, &outputs[start..start + bytes.len()]);
            }
            Item::Failed(message) => {
                let ItemEntry { message_bytes, bytes_or_offset, .. } = peer.item(slot, item);
                let start = bytes_or_offset as usize;
                assert_eq!(message.len(), usize::from(message_bytes));
                assert_eq!(message, &peer.messages(slot)[start..start + message.len()]);
            }
        }
    }
}

/// A word: small, of two small halves, or any.
fn value(source: &mut Source<'_>) -> u64 {
    match source.below(3) {
        0 => u64::from(source.u8()),
        1 => u64::from(source.u8()) << 32 | u64::from(source.u8()),
        _ => source.u64(),
    }
}
