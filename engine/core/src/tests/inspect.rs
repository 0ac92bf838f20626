//! One look at everything, while something is going on.

use super::world::{Event, MS, START_NS, Setup, US};
use crate::{Availability, BatchView, Death, QueryView};

#[test]
fn a_look_shows_what_runs_what_waits_and_until_when() {
    let mut world = Setup::simple().build_up();
    // Each of the first two finds a free ticket; the others wait.
    world.queries_at(0, 5);
    world.run_until(500 * US);
    let view = world.core.view();
    let batch = |slot, hangs_ns| BatchView {
        slot,
        items: 1,
        dispatched_ns: START_NS,
        deadline_ns: Some(START_NS + 20 * MS),
        hangs_ns,
    };
    let life = view.replicas[0].1.life.as_ref().unwrap();
    assert_eq!(life.batches, [batch(0, Some(START_NS + 50 * MS)), batch(1, None)]);
    let model = &view.models[0].1;
    assert_eq!((model.queued, model.suspects, model.queue_capacity), (3, 0, 64));
    let head = QueryView {
        id: 3,
        application: world.application(0),
        row: 2,
        arrived_ns: START_NS,
        deadline_ns: START_NS + 20 * MS,
        is_answered: false,
    };
    assert_eq!(model.head, Some(head));
    let application = &view.applications[0].1;
    assert_eq!((application.rows, application.rows_in_use, application.next_row), (64, 5, 5));
    assert_eq!(application.first_due.map(|query| query.id), Some(1));
    world.finish();
}

#[test]
fn a_replica_that_is_lost_has_no_life_and_its_query_is_a_suspect() {
    let mut setup = Setup::simple();
    setup.machines[0].restart_ns = Some(10 * MS);
    let mut world = setup.build_up();
    world.queries_at(0, 1);
    world.at(500 * US, Event::Lost { replica: 0, death: Death::Crash });
    world.run_until(MS);
    let view = world.core.view();
    assert_eq!(view.replicas[0].1.life, None);
    let model = &view.models[0].1;
    assert_eq!((model.queued, model.suspects, model.retries), (0, 1, 0));
    assert_eq!(view.models[0].1.availability, Availability::Expected);
    world.finish();
}

#[test]
fn a_replicas_own_counts_are_those_of_its_batches() {
    let mut world = Setup::simple().build_up();
    world.queries_at(0, 5);
    world.finish();
    let replica = &world.stats.models[0].replicas[0];
    // One query, one query, and the three that waited: 1 ms each batch, one after another.
    let counts = (replica.batches.get(), replica.rows.get(), replica.service_ns.get());
    assert_eq!(counts, (3, 5, 3 * MS));
    let sums = &replica.service_sums;
    let sums = (sums.batches.get(), sums.rows_squared.get(), sums.rows_service_ns.get());
    assert_eq!(sums, (3, 1 + 1 + 9, 5 * MS));
}
