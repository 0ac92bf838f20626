//! The engine's wake, seen from a replica that is only a flag, a read-only mapping and a futex.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use cutter_protocol::engine::EngineEnd;
use memmap2::{MmapOptions, MmapRaw};
use rustix::io::Errno;
use rustix::thread::futex;
use rustix::time::Timespec;

use crate::support::peer::{Peer, ends, submit};
use crate::support::{SetOnDrop, exact_bytes, row_ref};

/// Where in the control segment the kick word lies.
const KICK: usize = 128;
const ASLEEP_WORD: usize = 0;
/// A wait that takes this long has been lost; nothing here takes a thousandth of it.
const LOST: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

/// The control segment, mapped as a replica may map it.
#[derive(Debug)]
struct Control(MmapRaw);

impl Control {
    fn of(engine: &EngineEnd) -> Self {
        let [control, ..] = engine.descriptors();
        let fd = control.as_fd().try_clone_to_owned().expect("a descriptor is free");
        let bytes = engine.geometry().control_bytes();
        Self(MmapOptions::new().len(bytes).map_raw_read_only(&fd).expect("it may be read"))
    }

    /// The half of the kick word that counts.
    fn kick(&self) -> &AtomicU32 {
        // SAFETY: aligned and mapped while `self` lives, written only as an atomic, and not by
        // this process through this mapping.
        unsafe { AtomicU32::from_ptr(self.0.as_mut_ptr().add(KICK).cast()) }
    }

    /// Sleeps until woken, also on values that have changed meanwhile.
    fn sleep_until_woken(&self) {
        loop {
            let kick = self.kick();
            let expected = kick.load(Ordering::Relaxed);
            match futex::wait(kick, futex::Flags::empty(), expected, Some(&LOST)) {
                Ok(()) => return,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => panic!("a lost wake: {errno}"),
            }
        }
    }
}

fn complete_one(engine: &mut EngineEnd, peer: &mut Peer) -> bool {
    let (ticket, woke) = engine.submit(&[row_ref(0, 0, 8)], 0);
    let completion = peer.uniform(ticket, 1);
    peer.publish(completion);
    assert_eq!(engine.poll().expect("all in order").completed().expect("news").ticket, ticket);
    woke
}

#[test]
fn the_kick_word_moves_when_the_replica_sleeps_and_only_then() {
    let (mut engine, mut peer) = ends(exact_bytes(8));
    let control = Control::of(&engine);
    let mut found = vec![];
    for flag in [0, 1, 1, 0, u64::MAX, 0] {
        peer.set_word(ASLEEP_WORD, flag);
        let woke = complete_one(&mut engine, &mut peer);
        found.push((woke, control.kick().load(Ordering::Relaxed)));
    }
    let expected = [(false, 0), (true, 1), (true, 2), (false, 2), (true, 3), (false, 3)];
    assert_eq!(found, expected);
}

#[test]
fn a_stop_kicks_a_replica_that_sleeps_once() {
    let (mut engine, mut peer) = ends(exact_bytes(8));
    let control = Control::of(&engine);
    peer.set_word(ASLEEP_WORD, 1);
    submit(&mut engine, 1);
    engine.stop();
    engine.stop();
    assert_eq!(control.kick().load(Ordering::Relaxed), 2);
}

#[test]
fn a_kick_wakes_who_sleeps_on_a_mapping_of_its_own() {
    let (mut engine, mut peer) = ends(exact_bytes(8));
    let control = Control::of(&engine);
    peer.set_word(ASLEEP_WORD, 1);
    let woken = AtomicBool::new(false);
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            // Also after a failure, or the failure would wait for ever.
            let _end = SetOnDrop(&woken);
            (0..100).for_each(|_| control.sleep_until_woken());
        });
        while !woken.load(Ordering::Relaxed) {
            assert!(complete_one(&mut engine, &mut peer));
            thread::yield_now();
        }
        sleeper.join().unwrap();
    });
}
