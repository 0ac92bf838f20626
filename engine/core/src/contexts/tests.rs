//! Contexts beside a map that forgets nothing, and a store that takes its time.

use std::collections::{HashMap, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::policy::Format;

type Words = [f64; 2];

/// A lesson says whose it is and the how manieth of them.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Lesson {
    key: ContextKey,
    number: u64,
}

/// How many lessons a context was given, was refused, and has learned, and what of them.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    given: u64,
    last_learned: u64,
    learned: u64,
    words: Option<Words>,
}

/// All that is known of each context.
#[derive(Debug, Default)]
struct Oracle(HashMap<ContextKey, Known>);

impl Oracle {
    /// What a context's state is, if it were there.
    fn words(&self, key: &ContextKey) -> Words {
        let words = |key| self.0.get(key).and_then(|known| known.words);
        words(key).or_else(|| words(&ContextKey::APPLICATION)).unwrap_or_default()
    }

    /// What the policy of these tests makes of a lesson: words that tell every order apart.
    fn learn(&mut self, key: &ContextKey, state: &mut State, lesson: Lesson) {
        let [count, digest] = self.words(key);
        assert_eq!(state.words(), [count, digest], "{key:?} has the state of another");
        #[expect(clippy::cast_precision_loss, reason = "few lessons")]
        let words = [count + 1.0, (digest * 31.0 + lesson.number as f64) % 1_048_573.0];
        state.words_mut().copy_from_slice(&words);
        let known = self.0.entry(*key).or_default();
        assert!(lesson.key == *key && lesson.number > known.last_learned, "{lesson:?} of {key:?}");
        known.last_learned = lesson.number;
        known.learned += 1;
        known.words = Some(words);
    }
}

/// A store that answers when it is told to.
#[derive(Debug, Default)]
struct SlowStore {
    saved: HashMap<ContextKey, Vec<u8>>,
    asked: VecDeque<ContextKey>,
}

struct World {
    contexts: Contexts<Lesson>,
    oracle: Oracle,
    store: SlowStore,
    now_ns: u64,
}

fn plan(held: u32, has_store: bool) -> ContextsPlan {
    let format = Format { policy: *b"test", version: 1 };
    ContextsPlan { held, initial: State::new(format, 2, [0.0; 2]), seed: 7, has_store }
}

fn key(number: u32) -> ContextKey {
    // The application's own is one of them.
    let digits = if number == 0 { String::new() } else { format!("user {number}") };
    ContextKey::new(digits.as_bytes()).unwrap()
}

/// The words in the bytes of a state.
fn words(bytes: &[u8]) -> Words {
    let (words, _) = bytes[bytes.len() - 16..].as_chunks();
    [words[0], words[1]].map(f64::from_le_bytes)
}

impl World {
    fn new(held: u32, has_store: bool) -> Self {
        let contexts = Contexts::new(plan(held, has_store));
        World { contexts, oracle: Oracle::default(), store: SlowStore::default(), now_ns: 0 }
    }

    /// With the application's own state loaded: the store has none.
    fn started(held: u32) -> Self {
        let mut world = Self::new(held, true);
        world.turn();
        world
    }

    fn observe(&mut self, key: ContextKey) -> Observed {
        let known = self.oracle.0.entry(key).or_default();
        known.given += 1;
        let lesson = Lesson { key, number: known.given };
        let oracle = &mut self.oracle;
        let learn = |state: &mut State, lesson| oracle.learn(&key, state, lesson);
        self.contexts.observe(&key, lesson, self.now_ns, learn)
    }

    /// What serves a context is its own state or the application's, as they are.
    fn check_state(&mut self, key: &ContextKey) -> bool {
        let (whose, state) = self.contexts.state(key);
        assert!(whose == key || *whose == ContextKey::APPLICATION, "{whose:?} serves {key:?}");
        assert_eq!(state.words(), self.oracle.words(whose));
        whose == key
    }

    fn ask(&mut self, most: usize) {
        let asked = &mut self.store.asked;
        let room = asked.len() + most;
        self.contexts.ask(|key| {
            let has_room = asked.len() < room;
            asked.extend(has_room.then_some(*key));
            has_room
        });
    }

    fn answer(&mut self, which: usize) {
        let Some(key) = self.store.asked.remove(which) else { return };
        let bytes = self.store.saved.get(&key).map(Vec::as_slice);
        let oracle = &mut self.oracle;
        let learn = |state: &mut State, lesson| oracle.learn(&key, state, lesson);
        self.contexts.loaded(&key, bytes, self.now_ns, learn);
    }

    fn save(&mut self, most: usize) {
        let mut left = most;
        let Self { contexts, oracle, store, now_ns } = self;
        contexts.save(*now_ns, |key, bytes| {
            let has_room = left > 0;
            left = left.saturating_sub(1);
            assert_eq!(words(bytes), oracle.words(key));
            store.saved.extend(has_room.then(|| (*key, bytes.to_vec())));
            has_room
        });
    }

    /// A store that keeps up.
    fn turn(&mut self) {
        self.ask(usize::MAX >> 1);
        while !self.store.asked.is_empty() {
            self.answer(0);
        }
        self.save(usize::MAX);
    }

    /// Everything is answered and saved.
    fn settle(&mut self) {
        self.now_ns = u64::MAX;
        while self.contexts.due_ns().is_some() || !self.store.asked.is_empty() {
            self.turn();
        }
    }

    /// What was given was learned or refused, and what was learned is in the store.
    fn check_end(&self) {
        let known = &self.oracle.0;
        let given: u64 = known.values().map(|known| known.given).sum();
        let learned: u64 = known.values().map(|known| known.learned).sum();
        assert_eq!(given, learned + self.contexts.counts().lessons_lost);
        for (key, known) in known {
            assert_eq!(self.store.saved.get(key).map(|bytes| words(bytes)), known.words, "{key:?}");
        }
    }
}

proptest! {
    #[test]
    fn every_lesson_is_learned_once_in_its_order_by_its_context_and_saved(
        steps in prop::collection::vec((0_u8..8, 0_u32..12, 0_usize..6), 0..400),
    ) {
        let mut world = World::new(4, true);
        for (step, of, how_many) in steps {
            world.now_ns += 20_000_000;
            match step {
                0 | 1 => _ = world.check_state(&key(of)),
                2..=4 => _ = world.observe(key(of)),
                5 => world.ask(how_many),
                6 => world.answer(how_many),
                _ => world.save(how_many),
            }
            let counts = world.contexts.counts();
            prop_assert!(counts.held <= 5 && counts.changed <= 5 && counts.loading <= 5);
        }
        world.settle();
        world.check_end();
        (0..12).for_each(|of| _ = world.check_state(&key(of)));
    }

    #[test]
    fn without_a_store_a_context_has_what_it_learned_or_starts_anew(
        steps in prop::collection::vec((any::<bool>(), 0_u32..9), 0..300),
    ) {
        let mut world = World::new(3, false);
        let mut forgotten = 0;
        for (learns, of) in steps {
            world.now_ns += 1;
            let had = world.contexts.find(&key(of)).is_some();
            if learns {
                // Whoever has no place any more is unknown, as if it had never been.
                let known = world.oracle.0.entry(key(of)).or_default();
                known.words = known.words.filter(|_| had);
                prop_assert_eq!(world.observe(key(of)), Observed::Learned);
            } else {
                prop_assert_eq!(world.check_state(&key(of)), had);
            }
            forgotten = world.contexts.counts().forgotten.max(forgotten);
            prop_assert!(world.contexts.counts().held <= 4);
        }
        prop_assert_eq!(world.contexts.due_ns(), None);
    }
}

/// So many contexts, three lessons each, through a thousandth as many places.
fn many_contexts(contexts: u32) {
    let mut world = World::started(contexts / 1000);
    let round = |world: &mut World, step: u32| {
        // A stride that has no factor in common with their number meets each of them once.
        let all = (0..contexts).map(|at| 1 + at * step % contexts);
        for of in all {
            world.now_ns += 50_000_000;
            assert_ne!(world.observe(key(of)), Observed::Lost);
            world.turn();
        }
    };
    [1, 7, 11].into_iter().for_each(|step| round(&mut world, step));
    world.settle();
    world.check_end();
    assert_eq!(world.contexts.counts().lessons_lost, 0);
    assert_eq!(world.store.saved.len(), contexts as usize);
    assert!(world.store.saved.values().all(|bytes| words(bytes)[0] == 3.0));
    assert_eq!(world.contexts.counts().held, contexts / 1000 + 1);
}

#[test]
fn twenty_thousand_contexts_learn_through_twenty_places() {
    many_contexts(20_000);
}

#[test]
#[ignore = "a soak: a million contexts through a thousand places"]
fn a_million_contexts_learn_through_a_thousand_places() {
    many_contexts(1_000_000);
}

#[test]
fn a_context_starts_from_what_the_application_has_learned_and_then_goes_its_own_way() {
    let mut world = World::started(4);
    assert_eq!(world.observe(key(0)), Observed::Learned);
    assert!(!world.check_state(&key(1)), "the application's own serves meanwhile");
    world.turn();
    assert!(!world.check_state(&key(1)), "and while nothing was learned of the context");
    assert_eq!(world.observe(key(0)), Observed::Learned);
    assert_eq!(world.observe(key(1)), Observed::Learned);
    assert_eq!(world.contexts.state(&key(1)).1.words()[0], 3.0);
    assert_eq!(world.observe(key(0)), Observed::Learned);
    assert_eq!(world.contexts.state(&key(1)).1.words()[0], 3.0);
    assert!(world.check_state(&key(1)));
}

#[test]
fn a_state_is_handed_over_once_in_a_while_however_often_it_changes() {
    let mut world = World::started(4);
    let mut saves = 0;
    for _ in 0..1000 {
        assert_eq!(world.observe(key(0)), Observed::Learned);
        world.now_ns += CONTEXT_SAVE_WAIT_NS / 100;
        world.contexts.save(world.now_ns, |_, _| {
            saves += 1;
            true
        });
    }
    assert_eq!(saves, 10);
    assert_eq!(world.contexts.due_ns(), None, "the last change was the last that was saved");
}

#[test]
fn what_changed_keeps_its_place_until_the_store_has_taken_it() {
    let mut world = World::started(2);
    [1, 2].iter().for_each(|of| assert_eq!(world.observe(key(*of)), Observed::Waits));
    world.turn();
    assert_eq!(world.observe(key(3)), Observed::Lost, "both places have changed");
    assert_eq!(world.contexts.counts().lessons_lost, 1);
    world.now_ns = CONTEXT_SAVE_WAIT_NS;
    world.save(1);
    assert_eq!(world.observe(key(3)), Observed::Waits);
    assert!(world.check_state(&key(2)), "the one that was not saved is there");
    assert!(!world.check_state(&key(1)));
    world.settle();
    world.oracle.0.get_mut(&key(3)).unwrap().given -= 1;
    world.contexts.lessons_lost = 0;
    world.check_end();
}

#[test]
fn the_store_is_asked_for_a_context_once_and_lessons_wait_for_it_up_to_their_limit() {
    let mut world = World::started(4);
    let outcomes = (0..=CONTEXT_LESSONS_WAITING_MAX).map(|_| world.observe(key(1)));
    let waiting = outcomes.filter(|outcome| *outcome == Observed::Waits).count();
    assert_eq!(waiting, CONTEXT_LESSONS_WAITING_MAX as usize);
    assert_eq!(world.contexts.due_ns(), Some(0));
    world.ask(usize::MAX >> 1);
    assert_eq!(world.store.asked, [key(1)]);
    world.settle();
    world.check_end();
    assert_eq!(world.contexts.counts().lessons_lost, 1);
}

#[test]
#[should_panic(expected = "the store has checked what it found")]
fn bytes_of_another_policy_are_no_state_of_this_one() {
    let mut contexts = Contexts::<Lesson>::new(plan(1, true));
    let other = State::new(Format { policy: *b"else", version: 1 }, 2, [0.0; 2]);
    contexts.loaded(&ContextKey::APPLICATION, Some(&other.bytes()), 0, |_, _| ());
}

#[test]
fn its_tables_have_as_many_bytes_as_is_said_of_them() {
    for (held, has_store) in [(1, true), (100, true), (100, false)] {
        let contexts = Contexts::<Lesson>::new(plan(held, has_store));
        let places = held as usize + 1;
        let states = places * size_of::<Words>();
        let queues = contexts.asks.capacity() * size_of::<u32>()
            + contexts.changed.capacity() * size_of::<Changed>()
            + contexts.bytes.capacity();
        let lessons = u32::from(has_store) * CONTEXT_LESSONS_WAITING_MAX;
        let tables = size_of_val(&*contexts.places)
            + Index::table_bytes(places)
            + Clock::table_bytes(places)
            + Lessons::<Lesson>::table_bytes(lessons);
        let said = Contexts::<Lesson>::table_bytes(&plan(held, has_store));
        assert_eq!(said, states + queues + tables);
    }
}
