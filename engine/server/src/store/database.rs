//! States in redb: a table by whose they are.
//!
//! ```text
//!   (series, key of the context)  ▸  [ checksum ][ the bytes of a state ]
//! ```
//!
//! Every page is verified when the file is opened, and every state when it is read, with whose it
//! is: damage is found, and no state is taken for another. A round of states is one commit. After
//! an error redb takes nothing more, so it is opened anew for the next try; the lock of the file
//! stays.

use cutter_core::contexts::ContextKey;
use redb::{Builder, ReadableDatabase, StorageBackend, TableDefinition};
use twox_hash::XxHash3_64;

use crate::limits::STORE_CACHE_BYTES;

const STATES: TableDefinition<'_, (u128, &[u8]), &[u8]> = TableDefinition::new("states");

/// What is before a state.
pub(super) const CHECKSUM_BYTES: usize = size_of::<u64>();

/// What a read came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    State,
    Nothing,
    /// The bytes are not those that were written.
    Damaged,
}

/// The database in a file, which is opened as often as it must be.
#[derive(Debug)]
pub(super) struct Database<F> {
    file: F,
    redb: Option<redb::Database>,
}

impl<F: StorageBackend + Clone> Database<F> {
    /// Opens one that was made.
    pub fn open(file: F) -> Result<Self, redb::Error> {
        let mut database = Self { file, redb: None };
        database.with(|redb| Ok(redb.begin_read()?.open_table(STATES)?))?;
        Ok(database)
    }

    /// Reads a state into a buffer.
    pub fn read(
        &mut self,
        series: u128,
        key: &ContextKey,
        bytes: &mut Vec<u8>,
    ) -> Result<Found, redb::Error> {
        bytes.clear();
        let is_there = self.with(|redb| {
            let value = redb.begin_read()?.open_table(STATES)?.get((series, key.bytes()))?;
            bytes.extend(value.iter().flat_map(|value| value.value()));
            Ok(value.is_some())
        })?;
        if !is_there {
            return Ok(Found::Nothing);
        }
        let is_sound = bytes.split_first_chunk().is_some_and(|(checksum, state)| {
            u64::from_le_bytes(*checksum) == checksum_of(series, key, state)
        });
        Ok(if is_sound { Found::State } else { Found::Damaged })
    }

    /// Writes states, with room for a checksum before each: all of them, or none.
    pub fn write<'a>(
        &mut self,
        states: impl Iterator<Item = (u128, &'a ContextKey, &'a mut [u8])>,
    ) -> Result<(), redb::Error> {
        // In the table's order: those that lie in one page are met one after another.
        let mut states: Vec<_> = states.collect();
        states.sort_unstable_by_key(|(series, key, _)| (*series, key.bytes()));
        self.with(|redb| {
            let transaction = redb.begin_write()?;
            let mut table = transaction.open_table(STATES)?;
            for (series, key, bytes) in states {
                let (checksum, state) = bytes.split_at_mut(CHECKSUM_BYTES);
                checksum.copy_from_slice(&checksum_of(series, key, state).to_le_bytes());
                table.insert((series, key.bytes()), &*bytes)?;
            }
            drop(table);
            Ok(transaction.commit()?)
        })
    }

    fn with<T>(
        &mut self,
        work: impl FnOnce(&redb::Database) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        let redb = self.redb.take().map_or_else(|| open(self.file.clone()), Ok)?;
        let done = work(&redb)?;
        self.redb = Some(redb);
        Ok(done)
    }
}

/// Makes an empty one in an empty file.
pub(super) fn make(file: impl StorageBackend) -> Result<(), redb::Error> {
    let redb = open(file)?;
    let transaction = redb.begin_write()?;
    transaction.open_table(STATES)?;
    Ok(transaction.commit()?)
}

fn open(file: impl StorageBackend) -> Result<redb::Database, redb::Error> {
    let mut builder = Builder::new();
    builder.set_cache_size(STORE_CACHE_BYTES).set_check_integrity_on_open(true);
    Ok(builder.create_with_backend(file)?)
}

/// Of a state and of whose it is.
fn checksum_of(series: u128, key: &ContextKey, state: &[u8]) -> u64 {
    let [low, high] = [series, series >> 64].map(|half| {
        #[expect(clippy::cast_possible_truncation, reason = "the other half is taken too")]
        let half = half as u64;
        half
    });
    let key_hash = XxHash3_64::oneshot_with_seed(low ^ high.rotate_left(1), key.bytes());
    XxHash3_64::oneshot_with_seed(key_hash, state)
}
