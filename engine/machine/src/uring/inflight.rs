//! The operations that the kernel has not finished, and the memory that it may still touch.
//!
//! Each operation lives in one slot from its start to its last completion. The slot's key travels
//! through the kernel as user data; the caller's token and the operation's memory wait in the slot.
//! Memory leaves a slot only in [`InFlight::finish`], which the ring calls on the last completion.
//! So a `Vec` given to a send can neither move its bytes nor be freed while the kernel reads them:
//! the table of slots may grow and move, but a `Vec`'s bytes stay where they are on the heap.
//!
//! Owner: the thread that owns the ring. Nothing is allocated once the table has grown to the most
//! operations that were ever in flight together.

use std::mem;
use std::sync::Arc;

use super::token::Token;

/// Bytes of an eventfd's counter, a `u64`.
pub(super) const CELL_BYTES: u32 = u64::BITS / 8;

/// What an operation does; decides how its completions are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Accept,
    Receive,
    ReceiveOnce,
    Send,
    Read,
}

/// Names one operation in flight, in the kernel's user data: generation above, slot index below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    pub(super) fn index(self) -> u32 {
        self.index
    }

    pub(super) fn pack(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the two halves are meant")]
    pub(super) fn unpack(user_data: u64) -> Self {
        Self { index: user_data as u32, generation: (user_data >> 32) as u32 }
    }
}

#[derive(Debug)]
struct Slot {
    /// `None`: the slot is free.
    tenant: Option<(Token, Operation)>,
    generation: u32,
    memory: Vec<u8>,
    /// Bytes that the operation reads and does not own alone.
    shared: Option<Arc<[u8]>>,
}

#[derive(Debug, Default)]
pub(super) struct InFlight {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Cells of finished eventfd reads, to be used again.
    cells: Vec<Vec<u8>>,
}

impl InFlight {
    pub(super) fn with_capacity(operations: usize) -> Self {
        Self {
            slots: Vec::with_capacity(operations),
            free: Vec::with_capacity(operations),
            cells: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn start(&mut self, operation: Operation, token: Token, memory: Vec<u8>) -> Key {
        let tenant = Some((token, operation));
        if let Some(index) = self.free.pop() {
            let slot = self.slot(index);
            slot.tenant = tenant;
            slot.memory = memory;
            return Key { index, generation: slot.generation };
        }
        let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        assert!(index < u32::MAX, "fewer than 2^32 operations in flight");
        self.slots.push(Slot { tenant, generation: 0, memory, shared: None });
        Key { index, generation: 0 }
    }

    /// The memory of an operation in flight, for the kernel to read or write.
    pub(super) fn memory(&mut self, key: Key) -> &mut Vec<u8> {
        &mut self.slot(key.index).memory
    }

    /// Keeps bytes alive until the operation's last completion. Nobody can change them meanwhile:
    /// an `Arc` with two owners gives no `&mut`.
    pub(super) fn keep(&mut self, key: Key, bytes: Arc<[u8]>) {
        self.slot(key.index).shared = Some(bytes);
    }

    /// Whose completion this is.
    ///
    /// # Panics
    /// When the key names no operation in flight. Keys come back from the kernel as they were
    /// given, so that would be our own error.
    pub(super) fn tenant(&mut self, key: Key) -> (Token, Operation) {
        let slot = self.slot(key.index);
        assert_eq!(slot.generation, key.generation, "a completion of an operation long finished");
        slot.tenant.expect("a completion of an operation in flight")
    }

    /// Ends an operation after its last completion and gives its memory back.
    pub(super) fn finish(&mut self, key: Key) -> Vec<u8> {
        let slot = self.slot(key.index);
        assert!(slot.tenant.take().is_some(), "an operation finishes once");
        slot.generation = slot.generation.wrapping_add(1);
        let memory = mem::take(&mut slot.memory);
        slot.shared = None;
        self.free.push(key.index);
        memory
    }

    /// The first operation in flight under this token, from slot `from` on.
    pub(super) fn find(&self, token: Token, from: u32) -> Option<Key> {
        self.slots.iter().zip(0..).skip(from as usize).find_map(|(slot, index)| {
            let (of, _) = slot.tenant?;
            (of == token).then_some(Key { index, generation: slot.generation })
        })
    }

    /// Eight bytes for an eventfd read.
    pub(super) fn take_cell(&mut self) -> Vec<u8> {
        self.cells.pop().unwrap_or_else(|| vec![0; CELL_BYTES as usize])
    }

    pub(super) fn put_cell(&mut self, cell: Vec<u8>) {
        debug_assert_eq!(cell.len(), CELL_BYTES as usize);
        self.cells.push(cell);
    }

    /// Gives up the memory of whatever is still in flight, never to be freed: the kernel may still
    /// touch it.
    pub(super) fn leak(&mut self) {
        mem::forget(mem::take(&mut self.slots));
        self.free.clear();
    }

    fn slot(&mut self, index: u32) -> &mut Slot {
        self.slots.get_mut(index as usize).expect("a key names a slot that exists")
    }
}

#[cfg(test)]
mod tests {
    use super::super::Token;
    use super::{InFlight, Key, Operation};

    const TOKEN: Token = Token::new(1, 2, 3);

    #[test]
    fn memory_comes_back_with_the_end_of_its_operation() {
        let mut in_flight = InFlight::with_capacity(1);
        let key = in_flight.start(Operation::Send, TOKEN, vec![7; 100]);
        let address = in_flight.memory(key).as_ptr();
        for _ in 0..1000 {
            in_flight.start(Operation::Receive, TOKEN, Vec::new());
        }
        assert_eq!(in_flight.tenant(key), (TOKEN, Operation::Send));
        let memory = in_flight.finish(key);
        assert_eq!((memory.as_ptr(), memory.len()), (address, 100));
        assert_eq!(in_flight.len(), 1000);
    }

    #[test]
    fn a_slot_is_used_again_under_another_key() {
        let mut in_flight = InFlight::with_capacity(1);
        let first = in_flight.start(Operation::Accept, TOKEN, Vec::new());
        in_flight.finish(first);
        let second = in_flight.start(Operation::Accept, TOKEN, Vec::new());
        assert_eq!(first.index, second.index);
        assert_ne!(first.pack(), second.pack());
        assert_eq!(Key::unpack(second.pack()), second);
    }

    #[test]
    #[should_panic(expected = "long finished")]
    fn a_key_of_a_finished_operation_is_refused() {
        let mut in_flight = InFlight::with_capacity(1);
        let first = in_flight.start(Operation::Accept, TOKEN, Vec::new());
        in_flight.finish(first);
        in_flight.start(Operation::Accept, TOKEN, Vec::new());
        in_flight.tenant(first);
    }

    #[test]
    fn only_operations_in_flight_under_a_token_are_found() {
        let mut in_flight = InFlight::with_capacity(4);
        let ended = in_flight.start(Operation::Receive, TOKEN, Vec::new());
        let receive = in_flight.start(Operation::Receive, TOKEN, Vec::new());
        in_flight.start(Operation::Receive, Token::new(1, 2, 4), Vec::new());
        let send = in_flight.start(Operation::Send, TOKEN, Vec::new());
        in_flight.finish(ended);
        assert_eq!(in_flight.find(TOKEN, 0), Some(receive));
        assert_eq!(in_flight.find(TOKEN, receive.index + 1), Some(send));
        assert_eq!(in_flight.find(TOKEN, send.index + 1), None);
    }
}
