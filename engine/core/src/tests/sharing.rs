//! Replicas that share a core.

use super::fleet::{Input, Service};
use super::world::{Event, MS, START_NS, Setup, US, World};

const TAUGHT_NS: u64 = 90 * MS;

/// Two models that must have the same core for themselves, each asked by an application of its own.
/// Batches of the first take 8 ms and those of the second 4 ms, as is known by now.
fn two(cores: [Option<u32>; 2]) -> World {
    let mut setup = Setup::models(2);
    for (model, core) in cores.into_iter().enumerate() {
        setup.models[model].core = core;
    }
    setup.machines[0].service = Service { fixed_ns: 8 * MS, per_item_ns: 0 };
    setup.machines[1].service = Service { fixed_ns: 4 * MS, per_item_ns: 0 };
    let mut second = setup.applications[0].clone();
    (setup.applications[0].models, second.models) = (vec![0], vec![1]);
    setup.applications.push(second);
    let mut world = setup.build_up();
    for (application, at_ns) in [(0, 0), (1, 20 * MS), (0, 40 * MS), (1, 60 * MS)] {
        arrive(&mut world, application, at_ns, 20 * MS);
    }
    world.run_until(TAUGHT_NS);
    world
}

fn arrive(world: &mut World, application: usize, at_ns: u64, timeout_ns: u64) {
    let timeout_ns = Some(timeout_ns);
    world.at(at_ns, Event::Arrive { application, input: Input::Good, timeout_ns });
}

/// What was sent after the lessons: when, in µs, and to whom.
fn sent(world: &World) -> Vec<(u64, usize)> {
    let start_ns = START_NS + TAUGHT_NS;
    let later = world.oracle.batches.iter().filter(|sent| sent.at_ns >= start_ns);
    later.map(|sent| ((sent.at_ns - start_ns) / US, sent.replica)).collect()
}

#[test]
fn a_batch_begins_when_that_of_the_other_ends() {
    let mut world = two([Some(1), Some(1)]);
    arrive(&mut world, 0, TAUGHT_NS, 20 * MS);
    arrive(&mut world, 1, TAUGHT_NS + MS, 20 * MS);
    world.finish();
    assert_eq!(sent(&world), [(0, 0), (7_900, 1)]);
}

#[test]
fn on_different_cores_they_run_side_by_side() {
    for cores in [[Some(1), Some(2)], [Some(1), None], [None, None]] {
        let mut world = two(cores);
        arrive(&mut world, 0, TAUGHT_NS, 20 * MS);
        arrive(&mut world, 1, TAUGHT_NS + MS, 20 * MS);
        world.finish();
        assert_eq!(sent(&world), [(0, 0), (1_000, 1)]);
    }
}

/// Both wait while a batch of the first runs. Its next must begin by 1 + 19 − 8 = 12 ms.
#[test]
fn the_one_goes_first_that_must_begin_first() {
    for (timeout_ns, order) in [
        // By 2 + 13 − 4 = 11 ms.
        (13 * MS, [(0, 0), (7_900, 1), (11_800, 0)]),
        // By 2 + 18 − 4 = 16 ms.
        (18 * MS, [(0, 0), (7_900, 0), (15_900, 1)]),
    ] {
        let mut world = two([Some(1), Some(1)]);
        arrive(&mut world, 0, TAUGHT_NS, 20 * MS);
        arrive(&mut world, 0, TAUGHT_NS + MS, 19 * MS);
        arrive(&mut world, 1, TAUGHT_NS + 2 * MS, timeout_ns);
        world.finish();
        assert_eq!(sent(&world), order);
    }
}

/// It takes 40 ms this time. After 8 the other one does not wait any longer.
#[test]
fn a_batch_that_takes_longer_than_expected_does_not_hold_the_other_up() {
    let mut world = two([Some(1), Some(1)]);
    world.at(TAUGHT_NS, Event::Pace { replica: 0, percent: 500 });
    arrive(&mut world, 0, TAUGHT_NS, 20 * MS);
    arrive(&mut world, 1, TAUGHT_NS + MS, 20 * MS);
    world.finish();
    assert_eq!(sent(&world), [(0, 0), (7_900, 1)]);
}
