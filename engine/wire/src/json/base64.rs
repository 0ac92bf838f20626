//! Base64, decoded in pieces of any length into a row.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Characters of a group, and the bytes that they stand for.
const GROUP_CHARACTERS: usize = 4;
const GROUP_BYTES: usize = 3;

/// A text that is being decoded. Its last group is held back, since only that may be padded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Decoder {
    held: [u8; GROUP_CHARACTERS],
    held_count: usize,
    characters: usize,
    /// Written to the row.
    bytes: usize,
    /// What came is no base64, or more than the row holds. The characters are still counted.
    has_failed: bool,
}

impl Decoder {
    /// Takes the next characters.
    pub(super) fn push(&mut self, piece: &str, row: &mut [u8]) {
        let piece = piece.as_bytes();
        self.characters += piece.len();
        let filling = if self.held_count > 0 { GROUP_CHARACTERS - self.held_count } else { 0 };
        let (filling, rest) = piece.split_at(filling.min(piece.len()));
        self.hold(filling);
        let Some(last) = rest.len().checked_sub(1) else { return };
        let (held, count) = (self.held, self.held_count);
        self.decode(&held[..count], row);
        let (whole, last) = rest.split_at(last / GROUP_CHARACTERS * GROUP_CHARACTERS);
        self.decode(whole, row);
        self.held_count = 0;
        self.hold(last);
    }

    /// The bytes that the whole text stands for, as its length and its padding tell; none if it has
    /// no length of base64.
    pub(super) fn length(&self) -> Option<usize> {
        let held = &self.held[..self.held_count];
        let padding = held.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
        let groups = self.characters / GROUP_CHARACTERS;
        self.characters
            .is_multiple_of(GROUP_CHARACTERS)
            .then(|| (groups * GROUP_BYTES).saturating_sub(padding))
    }

    /// After the last character: whether the row holds the bytes now.
    pub(super) fn finish(&mut self, row: &mut [u8]) -> bool {
        let mut group = [0; GROUP_BYTES];
        let decoded = BASE64.decode_slice(&self.held[..self.held_count], &mut group);
        let Ok(count) = decoded else { return false };
        let place = row.get_mut(self.bytes..self.bytes + count);
        let Some(place) = place.filter(|_| !self.has_failed) else { return false };
        place.copy_from_slice(&group[..count]);
        true
    }

    fn hold(&mut self, characters: &[u8]) {
        let end = self.held_count + characters.len();
        self.held[self.held_count..end].copy_from_slice(characters);
        self.held_count = end;
    }

    /// Whole groups, which are not the last.
    fn decode(&mut self, groups: &[u8], row: &mut [u8]) {
        let end = self.bytes + groups.len() / GROUP_CHARACTERS * GROUP_BYTES;
        let place = row.get_mut(self.bytes..end).filter(|_| !self.has_failed);
        let decoded = place.map(|place| BASE64.decode_slice(groups, place));
        // Padding in the middle would make them stand for fewer bytes.
        self.has_failed |= decoded != Some(Ok(end - self.bytes));
        self.bytes = end;
    }
}
