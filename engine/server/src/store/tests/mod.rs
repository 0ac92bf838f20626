//! Real files in a directory of their own.

mod damage;
mod ended;

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use cutter_core::contexts::ContextKey;
use cutter_core::limits::CONTEXT_KEY_BYTES_MAX;
use cutter_core::policy::{Ask, Choice, Feedback, Format, Policy, PolicyError, State};

use super::*;

/// Learns nothing by itself: a state is two numbers, none of them negative.
#[derive(Debug)]
struct Numbers {
    version: u16,
}

impl Policy for Numbers {
    fn init(&self, models: usize) -> State {
        State::new(Format { policy: *b"numb", version: self.version }, models, [0.0; 2])
    }

    fn is_sound(&self, state: &State) -> bool {
        state.words().iter().all(|word| *word >= 0.0)
    }

    fn choose(&self, _: &State, _: &Ask<'_>) -> Result<Choice, PolicyError> {
        Err(PolicyError::NothingServable)
    }

    fn observe(&self, _: &mut State, _: &Feedback<'_>) -> Result<(), PolicyError> {
        Ok(())
    }
}

fn state(words: [f64; 2]) -> Vec<u8> {
    let mut state = Numbers { version: 1 }.init(2);
    state.words_mut().copy_from_slice(&words);
    state.bytes()
}

fn key(number: u32) -> ContextKey {
    ContextKey::new(&number.to_le_bytes()).unwrap()
}

/// A store, and the bell that rings when there is an answer.
struct Opened {
    client: StoreClient,
    thread: StoreThread,
    bell: Receiver<()>,
    series: Series,
}

/// How often a file that is held is tried again, a millisecond later.
const TRIES_WHILE_HELD: u32 = 500;

impl Opened {
    /// A child that another test starts holds what this process had open, until it has become
    /// another program.
    fn new(path: &Path) -> Result<Self, StoreError> {
        let mut opened = Self::try_once(path);
        for _ in 0..TRIES_WHILE_HELD {
            if !matches!(opened, Err(StoreError::Held { .. })) {
                break;
            }
            thread::sleep(Duration::from_millis(1));
            opened = Self::try_once(path);
        }
        opened
    }

    fn try_once(path: &Path) -> Result<Self, StoreError> {
        let (rings, bell) = channel();
        let (client, mut thread) = open(path, Box::new(move || _ = rings.send(())))?;
        let series =
            thread.register("digits", "numbers of a, b", Box::new(Numbers { version: 1 }), 2);
        Ok(Self { client, thread, bell, series })
    }

    fn save(&mut self, series: Series, key: ContextKey, state: &[u8]) {
        while !self.client.save(series, &key, state) {
            thread::yield_now();
        }
    }

    fn load(&mut self, series: Series, key: ContextKey) -> Option<Vec<u8>> {
        assert!(self.client.load(series, &key));
        let mut found = None;
        while !self.client.answer(|whose, of, state| {
            assert_eq!((whose, of), (series, &key));
            found = state.map(<[u8]>::to_vec);
        }) {
            self.bell.recv().unwrap();
        }
        found
    }
}

#[test]
fn what_was_saved_is_there_after_the_end_and_a_new_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("made/for it/state.redb");
    let longest = ContextKey::new(&[7; CONTEXT_KEY_BYTES_MAX]).unwrap();
    let keys: Vec<_> = (0..1000).map(key).chain([ContextKey::APPLICATION, longest]).collect();
    let value = |at: usize| state([f64::from(u32::try_from(at).unwrap()), 0.5]);
    let mut store = Opened::new(&path).unwrap();
    for (at, key) in keys.iter().enumerate() {
        store.save(store.series, *key, &value(at));
    }
    let counts = Arc::clone(store.thread.counts());
    store.thread.join();
    assert_eq!((counts.saved.get(), counts.failures.get()), (1002, 0));

    let mut store = Opened::new(&path).unwrap();
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(store.load(store.series, *key), Some(value(at)), "{key:?}");
    }
    assert_eq!(store.load(store.series, key(1000)), None);
}

#[test]
fn what_is_loaded_is_what_was_saved_last_written_or_not() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Opened::new(&directory.path().join("state.redb")).unwrap();
    for count in 0..3000 {
        let last = state([f64::from(count), 1.0]);
        store.save(store.series, key(1), &last);
        assert_eq!(store.load(store.series, key(1)), Some(last));
    }
}

#[test]
fn a_series_has_no_state_of_another_nor_of_another_policy() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Opened::new(&directory.path().join("state.redb")).unwrap();
    let mut register = |application: &str, label: &str, version, models| {
        store.thread.register(application, label, Box::new(Numbers { version }), models)
    };
    let [mine, same] = [(); 2].map(|()| register("a", "b", 1, 2));
    let others = [register("ab", "", 1, 2), register("", "ab", 1, 2), register("a", "c", 1, 2)];
    let unfit = [register("a", "b", 2, 2), register("a", "b", 1, 3)];
    store.save(mine, key(1), &state([3.0, 4.0]));
    assert_eq!(store.load(same, key(1)), Some(state([3.0, 4.0])));
    others.into_iter().for_each(|series| assert_eq!(store.load(series, key(1)), None));
    assert_eq!(store.thread.counts().unusable.get(), 0);
    unfit.into_iter().for_each(|series| assert_eq!(store.load(series, key(1)), None));
    store.save(mine, key(2), &state([-1.0, 0.0]));
    assert_eq!(store.load(mine, key(2)), None, "no state that the policy can lead to");
    assert_eq!(store.thread.counts().unusable.get(), 3);
    store.thread.forget(mine);
    assert_eq!(store.load(mine, key(1)), None);
}

#[test]
fn a_store_that_is_busy_says_not_now_and_loses_nothing_that_it_took() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    let (is_ringing, rings) = channel();
    let (go_on, may_go_on) = channel::<()>();
    // The thread is held up where it tells that there is an answer.
    let bell = move || {
        is_ringing.send(()).unwrap();
        let _ = may_go_on.recv();
    };
    let (mut client, mut thread) = open(&path, Box::new(bell)).unwrap();
    let series = thread.register("digits", "numbers of a, b", Box::new(Numbers { version: 1 }), 2);
    assert!(client.load(series, &key(0)));
    rings.recv().unwrap();
    let taken = (0..).take_while(|of| client.save(series, &key(*of), &state([1.0; 2]))).count();
    assert_eq!(taken, STORE_REQUESTS_MAX);
    assert!(!client.load(series, &key(0)));
    drop(go_on);
    thread.join();
    let mut store = Opened::new(&path).unwrap();
    for of in 0..u32::try_from(taken).unwrap() {
        assert_eq!(store.load(store.series, key(of)), Some(state([1.0; 2])));
    }
}

#[test]
fn the_default_file_is_in_the_users_state_directory() {
    let path = |variables: &[(&str, &str)]| {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        default_path_in(|name| variables.get(name).map(OsString::from))
    };
    let (state, home) = (("XDG_STATE_HOME", "/s"), ("HOME", "/h"));
    assert_eq!(path(&[state, home]).unwrap(), Path::new("/s/cutter/state.redb"));
    assert_eq!(path(&[home]).unwrap(), Path::new("/h/.local/state/cutter/state.redb"));
    let relative = path(&[("XDG_STATE_HOME", "s"), home]);
    assert_eq!(relative.unwrap(), Path::new("/h/.local/state/cutter/state.redb"));
    assert!(path(&[]).unwrap_err().to_string().contains("set `state` to a file"));
}

/// Prints figures: how fast it saves, and how long a file of a million states takes to open.
#[test]
#[ignore = "measures, and takes some hundred megabytes of disk"]
fn states_saved_in_a_second() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    let mut store = Opened::new(&path).unwrap();
    let start = std::time::Instant::now();
    (0..1_000_000).for_each(|of| store.save(store.series, key(of), &state([1.0; 2])));
    store.thread.join();
    let saved = start.elapsed();
    let bytes = std::fs::metadata(&path).unwrap().len();
    let start = std::time::Instant::now();
    let store = Opened::new(&path).unwrap();
    let opened = start.elapsed();
    store.thread.join();
    let per_second = 1e6 / saved.as_secs_f64();
    eprintln!("{per_second:.0} states/s; {} MB opened in {opened:.2?}", bytes / 1_000_000);
}
