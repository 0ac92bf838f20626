//! Processes that are killed, and disks that are full: this test program started once more, as
//! another process.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use cutter_core::contexts::{Contexts, ContextsPlan, Observed};
use cutter_machine::clock::monotonic_ns;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;
use crate::limits::STORE_LOST_NS_MAX;

/// Where the other process has its file.
const PATH: &str = "CUTTER_TEST_STORE";
const CONTEXTS: u32 = 100;

/// Runs a test of this file in another process.
fn start(test: &str, path: &Path) -> Child {
    let name = format!("store::tests::ended::{test}");
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", &name])
        .env(PATH, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What the engine thread does with contexts and store, in one turn.
fn turn(contexts: &mut Contexts<()>, store: &mut Opened) {
    let (series, client) = (store.series, &mut store.client);
    contexts.ask(|key| client.load(series, key));
    while client.answer(|_, key, bytes| {
        contexts.loaded(key, bytes, monotonic_ns(), |state, ()| state.words_mut()[0] += 1.0);
    }) {}
    contexts.save(monotonic_ns(), |key, bytes| client.save(series, key, bytes));
}

#[test]
#[ignore = "the process that another test kills"]
fn contexts_learn_until_the_process_is_killed() {
    let Some(path) = env::var_os(PATH) else { return };
    let mut store = Opened::new(Path::new(&path)).unwrap();
    let initial = Numbers { version: 1 }.init(2);
    let plan = ContextsPlan { held: CONTEXTS, initial, seed: 1, has_store: true };
    let mut contexts = Contexts::<()>::new(plan);
    let mut out = std::io::stdout().lock();
    // What was learned before is there first, so that each lesson is learned when it is given.
    while contexts.counts().held <= CONTEXTS || contexts.counts().loading > 0 {
        (0..CONTEXTS).for_each(|of| _ = contexts.state(&key(of)));
        turn(&mut contexts, &mut store);
    }
    for of in (0..CONTEXTS).cycle() {
        let mut count = 0.0;
        let observed = contexts.observe(&key(of), (), monotonic_ns(), |state, ()| {
            state.words_mut()[0] += 1.0;
            count = state.words()[0];
        });
        assert_eq!(observed, Observed::Learned);
        writeln!(out, "learned {of} {count} {}", monotonic_ns()).unwrap();
        turn(&mut contexts, &mut store);
        thread::sleep(Duration::from_micros(100));
    }
}

/// Reads which context had learned how often, and when, for a while, and kills the process.
fn lessons_until_killed(mut child: Child, lessons: usize) -> (Vec<(u32, f64, u64)>, u64) {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut learned = lines.filter_map(|line| {
        let line = line.unwrap();
        // The test's own name is printed in front of the first.
        let mut words = line.split_once("learned ")?.1.split(' ');
        let mut next = || words.next().unwrap();
        Some((next().parse().unwrap(), next().parse().unwrap(), next().parse().unwrap()))
    });
    let mut read: Vec<_> = learned.by_ref().take(lessons).collect();
    let killed_ns = monotonic_ns();
    child.kill().unwrap();
    read.extend(learned);
    child.wait().unwrap();
    (read, killed_ns)
}

#[test]
fn after_a_kill_nothing_is_missing_that_was_learned_more_than_a_second_before() {
    // In memory: how long a disk takes to write is not in that second, and on a busy machine it can
    // be as long.
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = directory.path().join("state.redb");
    for _ in 0..3 {
        let child = start("contexts_learn_until_the_process_is_killed", &path);
        let (learned, killed_ns) = lessons_until_killed(child, 10_000);
        let mut store = Opened::new(&path).unwrap();
        let mut checked = 0;
        let (mut due, mut most) = (HashMap::new(), HashMap::new());
        for (of, count, at_ns) in learned {
            most.insert(of, count);
            if at_ns + STORE_LOST_NS_MAX <= killed_ns {
                due.insert(of, count);
            }
        }
        for (of, due) in due {
            let found = store.load(store.series, key(of)).expect("it is there");
            let (words, _) = found[found.len() - 16..].as_chunks();
            let count = f64::from_le_bytes(words[0]);
            // The last line may not have been printed.
            assert!((due..=most[&of] + 1.0).contains(&count), "{of}: {count}, not {due}");
            checked += 1;
        }
        assert_eq!(checked, CONTEXTS, "it ran for long enough");
        store.thread.join();
    }
}

const MANY: u32 = 10_000;

#[test]
#[ignore = "the process whose disk is full, which another test starts"]
fn states_are_saved_to_a_disk_that_is_full_for_a_while() {
    let Some(path) = env::var_os(PATH) else { return };
    let mut store = Opened::new(Path::new(&path)).unwrap();
    // A write beyond the limit is an error then, and not the end of the process.
    const SIGXFSZ: i32 = 25;
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).unwrap();
    let Rlimit { current, maximum } = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: Some(8192), maximum }).unwrap();
    (0..MANY).for_each(|of| store.save(store.series, key(of), &state([f64::from(of), 1.0])));
    while store.thread.counts().failures.get() < 2 {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(store.load(store.series, key(7)), Some(state([7.0, 1.0])), "it goes on");
    setrlimit(Resource::Fsize, Rlimit { current, maximum }).unwrap();
    store.thread.join();
}

#[test]
fn what_could_not_be_written_is_written_when_there_is_room_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    Opened::new(&path).unwrap().thread.join();
    let child = start("states_are_saved_to_a_disk_that_is_full_for_a_while", &path);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let mut store = Opened::new(&path).unwrap();
    for of in 0..MANY {
        assert_eq!(store.load(store.series, key(of)), Some(state([f64::from(of), 1.0])));
    }
}
