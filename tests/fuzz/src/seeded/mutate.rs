//! New inputs out of known ones.

use fastrand::Rng;

use super::dictionary::words;
use crate::Target;

/// The most changes that one input goes through.
const CHANGES_MAX: usize = 5;
/// The most bytes that one change puts in, unless they come from another input.
const INSERTED_BYTES_MAX: usize = 16;
/// Numbers at which something ends.
const EDGES: [u64; 14] = [
    0,
    1,
    7,
    8,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0x7FFF,
    0xFFFF,
    0x7FFF_FFFF,
    0xFFFF_FFFF,
    0x7FFF_FFFF_FFFF_FFFF,
    u64::MAX,
];

/// Makes inputs, always the same ones for the same seed.
#[derive(Debug)]
pub struct Mutator {
    random: Rng,
    words: Vec<Vec<u8>>,
    input_bytes_max: usize,
}

impl Mutator {
    pub fn new(seed: u64, target: &Target) -> Self {
        let words = words(target.dictionary);
        Self { random: Rng::with_seed(seed), words, input_bytes_max: target.input_bytes_max }
    }

    /// One of `known`, changed in a few ways.
    pub fn mutated(&mut self, known: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.random.choice(known).cloned().unwrap_or_default();
        for _ in 0..self.random.usize(1..=CHANGES_MAX) {
            self.change(&mut input, known);
        }
        input.truncate(self.input_bytes_max);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, known: &[Vec<u8>]) {
        match self.random.u8(0..10) {
            0 => self.flip(input),
            1 => self.put(input, |random| vec![random.u8(..)]),
            2 => self.put(input, edge),
            3 => {
                let bytes = self.random.usize(1..=INSERTED_BYTES_MAX);
                let random: Vec<u8> = (0..bytes).map(|_| self.random.u8(..)).collect();
                self.insert(input, &random);
            }
            4 => self.remove(input),
            5 => self.repeat(input),
            6 => self.splice(input, known),
            7 => input.truncate(self.random.usize(..=input.len())),
            _ => self.word(input),
        }
    }

    fn flip(&mut self, input: &mut [u8]) {
        if let Some(byte) = self.random.choice(input) {
            *byte ^= 1 << self.random.u8(..8);
        }
    }

    /// Puts bytes in place of others.
    fn put(&mut self, input: &mut [u8], bytes: impl FnOnce(&mut Rng) -> Vec<u8>) {
        let bytes = bytes(&mut self.random);
        let at = self.random.usize(..=input.len());
        input[at..].iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    }

    fn insert(&mut self, input: &mut Vec<u8>, bytes: &[u8]) {
        let at = self.random.usize(..=input.len());
        input.splice(at..at, bytes.iter().copied());
    }

    fn remove(&mut self, input: &mut Vec<u8>) {
        let range = self.range(input);
        input.drain(range);
    }

    /// A part of the input once more, somewhere else.
    fn repeat(&mut self, input: &mut Vec<u8>) {
        let range = self.range(input);
        let part = input[range].to_vec();
        self.insert(input, &part);
    }

    /// A part of another input.
    fn splice(&mut self, input: &mut Vec<u8>, known: &[Vec<u8>]) {
        if let Some(other) = self.random.choice(known) {
            let range = self.range(other);
            self.insert(input, &other[range]);
        }
    }

    /// A word of the dictionary, between other bytes or in place of some.
    fn word(&mut self, input: &mut Vec<u8>) {
        let Some(word) = self.random.choice(&self.words).cloned() else { return };
        if self.random.bool() {
            self.insert(input, &word);
        } else {
            self.put(input, |_| word);
        }
    }

    fn range(&mut self, input: &[u8]) -> std::ops::Range<usize> {
        let start = self.random.usize(..=input.len());
        let bytes = self.random.usize(..=(input.len() - start).min(4 * INSERTED_BYTES_MAX));
        start..start + bytes
    }
}

/// A number at an edge, or beside it, in one to eight bytes.
fn edge(random: &mut Rng) -> Vec<u8> {
    let edge = EDGES[random.usize(..EDGES.len())];
    let number = edge.wrapping_add(random.u64(..3)).wrapping_sub(1);
    number.to_le_bytes()[..1 << random.usize(..4)].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TARGETS;

    #[test]
    fn the_same_seed_makes_the_same_inputs() {
        let inputs = |seed| {
            let mut mutator = Mutator::new(seed, &TARGETS[0]);
            let known = [b"GET / HTTP/1.1\r\n".to_vec(), b"Host: a".to_vec()];
            (0..100).map(|_| mutator.mutated(&known)).collect::<Vec<_>>()
        };
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
    }

    #[test]
    fn inputs_come_from_nothing_and_stay_within_their_bound() {
        let target = Target { input_bytes_max: 64, ..TARGETS[0] };
        let mut mutator = Mutator::new(1, &target);
        let mut known = vec![Vec::new()];
        for _ in 0..2_000 {
            let input = mutator.mutated(&known);
            assert!(input.len() <= 64);
            known.push(input);
        }
        assert!(known.iter().any(|input| input.len() == 64));
    }
}
