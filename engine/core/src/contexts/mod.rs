//! What was learned of each context of an application: a state of its policy for each key.
//!
//! Owner: the engine thread. Pure: the store is somewhere else, and time is passed in. There may be
//! a million contexts; the states of so many as were planned are in memory, in places that are
//! taken when the table is made, and the others in the store. A query never waits for one: until
//! the state of its context is there it is served by the application's own, from which every
//! context starts. That one is a context too, with no bytes as its key: the first place is its, and
//! it keeps it.
//!
//! ```text
//!                        ┌── ask ▸ ┄ store ┄ ▸ loaded: none ──▸ Absent ─┐ first lesson: starts
//!   a key that is not ▸ Loading                                        ▼ from the application's
//!   in memory, used      └── ask ▸ ┄ store ┄ ▸ loaded: bytes ─▸ Own: clean ⇄ changed
//!                                                                   ▲ save ▸ ┄ store ┄
//! ```
//!
//! A lesson about a state that is being loaded waits until it is there. A state that has changed
//! waits [`CONTEXT_SAVE_WAIT_NS`] for further changes, and is then handed to the store, which has
//! the word on it from then on: what is asked for later is answered with what was handed over.
//!
//! Without a store a context is there from its first lesson on, and forgotten when its place is
//! given to another.
//!
//! Invariants:
//! - A place is given to another context only when its state is not being loaded and is in the
//!   store as it is. The ring of those ([`clock`]) holds no others.
//! - Lessons of one context are learned in the order in which they came, each once.
//! - The memory is that of [`Contexts::table_bytes`], whatever keys come.
//!
//! # Rooms
//! [`ContextKey`] · `index` from keys to places · `clock` whose place is given away · `lessons`
//! those that wait.

mod clock;
mod index;
mod key;
mod lessons;
mod series;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use twox_hash::XxHash3_64;

use crate::limits::{
    CONTEXT_LESSONS_WAITING_MAX, CONTEXT_LOADS_MAX, CONTEXT_SAVE_WAIT_NS, CONTEXTS_HELD_MAX,
    CONTEXTS_OF_TURN_MAX,
};
use crate::policy::State;

pub use key::ContextKey;
pub use series::Series;

use clock::Clock;
use index::Index;
use lessons::{Chain, Lessons};

/// The place of the application's own state.
const APPLICATION: u32 = 0;

/// What the contexts of an application are made of.
#[derive(Clone, Debug)]
pub struct ContextsPlan {
    /// How many are held in memory beside the application's own: 1 to [`CONTEXTS_HELD_MAX`].
    pub held: u32,
    /// What the policy knows before anything is observed.
    pub initial: State,
    /// Makes the table's hash one that no client knows.
    pub seed: u64,
    pub has_store: bool,
}

/// What became of a lesson.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Observed {
    /// It was learned.
    Learned,
    /// It will be, when the state is loaded.
    Waits,
    /// There was no room to wait for its state. It is counted.
    Lost,
}

/// What is counted of the contexts of an application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContextCounts {
    /// Those in memory, the application's own included.
    pub held: u32,
    /// Those of them that the store is being asked for.
    pub loading: u32,
    /// Those of them that have changed since they were handed to the store.
    pub changed: usize,
    /// Lessons that were not learned, ever.
    pub lessons_lost: u64,
    /// States that are nowhere any more, ever: without a store, given up for another.
    pub forgotten: u64,
}

/// How much is known of a state that has a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The store has not said yet what it has of it.
    Loading,
    /// Nothing was learned of it. The application's own serves.
    Absent,
    Own,
}

#[derive(Debug)]
struct Place {
    key: ContextKey,
    hash: u32,
    phase: Phase,
    /// In the queue of those to be saved.
    is_changed: bool,
    /// Lessons that wait for it.
    waiting: Chain,
    state: State,
}

/// A state that is to be handed to the store.
#[derive(Clone, Copy, Debug)]
struct Changed {
    place: u32,
    due_ns: u64,
}

/// The states of an application by context. `L` is a lesson: what a policy is to observe.
#[derive(Debug)]
pub struct Contexts<L> {
    places: Box<[Place]>,
    /// Places that have a context. The others come behind them.
    held: u32,
    index: Index,
    clock: Clock,
    seed: u64,
    has_store: bool,
    /// To be asked for.
    asks: VecDeque<u32>,
    /// To be asked for, or asked for and not answered.
    loading: u32,
    lessons: Lessons<L>,
    /// First due first: all wait for the same time.
    changed: VecDeque<Changed>,
    /// A state as the store has it: what is before its words, and room for them.
    bytes: Vec<u8>,
    lessons_lost: u64,
    forgotten: u64,
}

impl<L: Copy> Contexts<L> {
    /// Takes all the memory that it will ever need. With a store, the first that it asks for is the
    /// application's own state.
    ///
    /// # Panics
    /// When none is to be held, or more than [`CONTEXTS_HELD_MAX`].
    pub fn new(plan: ContextsPlan) -> Self {
        let ContextsPlan { held, initial, seed, has_store } = plan;
        assert!((1..=CONTEXTS_HELD_MAX).contains(&held), "{held} contexts");
        let rooms = Rooms::of(held, has_store);
        let mut contexts = Self {
            places: (0..rooms.places).map(|_| vacant(&initial)).collect(),
            held: 1,
            index: Index::new(rooms.places),
            clock: Clock::new(rooms.places),
            seed,
            has_store,
            asks: VecDeque::with_capacity(rooms.loads as usize),
            loading: 0,
            lessons: Lessons::new(rooms.lessons),
            changed: VecDeque::with_capacity(rooms.changed),
            bytes: initial.bytes(),
            lessons_lost: 0,
            forgotten: 0,
        };
        if has_store {
            contexts.asks.push_back(APPLICATION);
            contexts.loading = 1;
        } else {
            contexts.places[APPLICATION as usize].phase = Phase::Own;
        }
        contexts
    }

    /// The bytes of its tables.
    pub fn table_bytes(plan: &ContextsPlan) -> usize {
        let rooms = Rooms::of(plan.held, plan.has_store);
        rooms.places * (size_of::<Place>() + size_of_val(plan.initial.words()))
            + Index::table_bytes(rooms.places)
            + Clock::table_bytes(rooms.places)
            + rooms.loads as usize * size_of::<u32>()
            + Lessons::<L>::table_bytes(rooms.lessons)
            + rooms.changed * size_of::<Changed>()
            + plan.initial.bytes().len()
    }

    /// The state to select and combine by, and whose it is: the context's own, or the application's
    /// as long as that of the context is not there or nothing was learned of it.
    pub fn state(&mut self, key: &ContextKey) -> (&ContextKey, &State) {
        let place = if self.has_store { self.reach(key) } else { self.find(key) };
        let own = place.filter(|place| self.places[*place as usize].phase != Phase::Loading);
        let own = own.inspect(|place| self.clock.touch(*place));
        let own = own.filter(|place| self.places[*place as usize].phase == Phase::Own);
        let place = &self.places[own.unwrap_or(APPLICATION) as usize];
        (&place.key, &place.state)
    }

    /// A context learns, now or when its state is there.
    pub fn observe(
        &mut self,
        key: &ContextKey,
        lesson: L,
        now_ns: u64,
        learn: impl FnOnce(&mut State, L),
    ) -> Observed {
        let reached = self.reach(key);
        if let Some(place) = reached
            && self.places[place as usize].phase != Phase::Loading
        {
            self.clock.touch(place);
            learn(self.change(place, now_ns), lesson);
            return Observed::Learned;
        }
        let waiting = reached.map(|place| &mut self.places[place as usize].waiting);
        if waiting.is_some_and(|waiting| self.lessons.push(waiting, lesson)) {
            return Observed::Waits;
        }
        self.lessons_lost += 1;
        Observed::Lost
    }

    /// Hands some of the keys that the store is to be asked for to it, until it says that it cannot
    /// take one now. Each that it took is answered by [`loaded`](Self::loaded).
    pub fn ask(&mut self, mut ask: impl FnMut(&ContextKey) -> bool) {
        for _ in 0..CONTEXTS_OF_TURN_MAX {
            let first = self.asks.front();
            if !first.is_some_and(|place| ask(&self.places[*place as usize].key)) {
                return;
            }
            self.asks.pop_front();
        }
    }

    /// The store has said what it has of a context: the bytes of a state of this policy, or
    /// nothing. What waits for it is learned.
    ///
    /// # Panics
    /// When it was not asked for that, or the bytes are of another policy or number of models.
    pub fn loaded(
        &mut self,
        key: &ContextKey,
        bytes: Option<&[u8]>,
        now_ns: u64,
        mut learn: impl FnMut(&mut State, L),
    ) {
        let place = self.find(key).expect("the store is asked for what has a place");
        let Place { phase, state, .. } = &mut self.places[place as usize];
        assert!(*phase == Phase::Loading, "the store is asked once");
        *phase = if bytes.is_some() || place == APPLICATION { Phase::Own } else { Phase::Absent };
        if let Some(bytes) = bytes {
            read(state, bytes, &self.bytes);
        }
        self.loading -= 1;
        if place != APPLICATION {
            self.clock.enter(place);
        }
        while let Some(lesson) = self.lessons.pop(&mut self.places[place as usize].waiting) {
            learn(self.change(place, now_ns), lesson);
        }
    }

    /// Hands some of the states to the store that are due, as bytes, until it says that it cannot
    /// take one now.
    pub fn save(&mut self, now_ns: u64, mut save: impl FnMut(&ContextKey, &[u8]) -> bool) {
        for _ in 0..CONTEXTS_OF_TURN_MAX {
            let Some(&Changed { place, due_ns }) = self.changed.front() else { return };
            let Place { key, state, is_changed, .. } = &mut self.places[place as usize];
            if due_ns > now_ns {
                return;
            }
            write(state, &mut self.bytes);
            if !save(key, &self.bytes) {
                return;
            }
            *is_changed = false;
            self.changed.pop_front();
            if place != APPLICATION {
                self.clock.enter(place);
            }
        }
    }

    /// When there is next something for the store: at once, at an instant, or never.
    pub fn due_ns(&self) -> Option<u64> {
        if !self.asks.is_empty() {
            return Some(0);
        }
        self.changed.front().map(|first| first.due_ns)
    }

    pub fn counts(&self) -> ContextCounts {
        let &Self { held, loading, lessons_lost, forgotten, .. } = self;
        ContextCounts { held, loading, changed: self.changed.len(), lessons_lost, forgotten }
    }

    /// The place of a context that has one.
    #[inline]
    fn find(&self, key: &ContextKey) -> Option<u32> {
        if *key == ContextKey::APPLICATION {
            return Some(APPLICATION);
        }
        self.index.find(self.hash(key), |place| self.places[place as usize].key == *key)
    }

    /// The place of a context, which gets one if that can be had now.
    fn reach(&mut self, key: &ContextKey) -> Option<u32> {
        self.find(key).or_else(|| self.settle(key))
    }

    /// Gives a place to a context that has none.
    fn settle(&mut self, key: &ContextKey) -> Option<u32> {
        if self.loading >= CONTEXT_LOADS_MAX {
            return None;
        }
        let place = self.vacate()?;
        let hash = self.hash(key);
        self.index.insert(hash, place);
        let phase = if self.has_store { Phase::Loading } else { Phase::Absent };
        let settled = &mut self.places[place as usize];
        (settled.key, settled.hash, settled.phase) = (*key, hash, phase);
        if self.has_store {
            self.asks.push_back(place);
            self.loading += 1;
        } else {
            self.clock.enter(place);
        }
        Some(place)
    }

    /// A place that no context has, or not any more.
    fn vacate(&mut self) -> Option<u32> {
        if (self.held as usize) < self.places.len() {
            self.held += 1;
            return Some(self.held - 1);
        }
        let place = self.clock.take()?;
        let Place { hash, phase, .. } = self.places[place as usize];
        self.index.remove(hash, place);
        self.forgotten += u64::from(!self.has_store && phase == Phase::Own);
        Some(place)
    }

    /// The state of a context that is going to change.
    fn change(&mut self, place: u32, now_ns: u64) -> &mut State {
        if self.places[place as usize].phase == Phase::Absent {
            let (application, others) = self.places.split_at_mut(1);
            let starting = &mut others[place as usize - 1];
            starting.phase = Phase::Own;
            starting.state.words_mut().copy_from_slice(application[0].state.words());
        }
        let changing = &mut self.places[place as usize];
        if self.has_store && !changing.is_changed {
            changing.is_changed = true;
            let due_ns = now_ns.saturating_add(CONTEXT_SAVE_WAIT_NS);
            self.changed.push_back(Changed { place, due_ns });
            if place != APPLICATION {
                self.clock.leave(place);
            }
        }
        &mut changing.state
    }

    #[inline]
    fn hash(&self, key: &ContextKey) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "all bits of it are as good")]
        let hash = XxHash3_64::oneshot_with_seed(self.seed, key.bytes()) as u32;
        hash
    }
}

/// What there is room for.
struct Rooms {
    places: usize,
    loads: u32,
    lessons: u32,
    changed: usize,
}

impl Rooms {
    fn of(held: u32, has_store: bool) -> Self {
        let places = held as usize + 1;
        let (loads, lessons, changed) = if has_store {
            (CONTEXT_LOADS_MAX, CONTEXT_LESSONS_WAITING_MAX, places)
        } else {
            (0, 0, 0)
        };
        Self { places, loads, lessons, changed }
    }
}

fn vacant(initial: &State) -> Place {
    Place {
        key: ContextKey::APPLICATION,
        hash: 0,
        phase: Phase::Loading,
        is_changed: false,
        waiting: Chain::EMPTY,
        state: initial.clone(),
    }
}

/// Puts the words of a state where they are in its bytes: at their end.
fn write(state: &State, bytes: &mut [u8]) {
    let header = bytes.len() - size_of_val(state.words());
    let (words, _) = bytes[header..].as_chunks_mut();
    for (bytes, word) in words.iter_mut().zip(state.words()) {
        *bytes = word.to_le_bytes();
    }
}

/// Takes the words of a state from bytes that begin like others of the same policy.
fn read(state: &mut State, bytes: &[u8], like: &[u8]) {
    let header = like.len() - size_of_val(state.words());
    let is_alike = bytes.len() == like.len() && bytes[..header] == like[..header];
    assert!(is_alike, "the store has checked what it found");
    let (words, _) = bytes[header..].as_chunks();
    for (word, bytes) in state.words_mut().iter_mut().zip(words) {
        *word = f64::from_le_bytes(*bytes);
    }
}
