//! Replicas that are warmed up before they get queries.

use super::fleet::{Input, MachinePlan, Service};
use super::oracle::Given;
use super::world::{ApplicationSetup, Event, MS, Setup, US, World};
use crate::limits::WARM_UP_NS_MAX;
use crate::stats::Reason;
use crate::{Death, LimitPlan};

/// One replica of 1 ms a batch and 100 us a row that may be warmed up, with batches of up to 16.
fn warmed_up(zeros: Input) -> Setup {
    let mut setup = Setup::simple();
    setup.machines[0].service = Service { fixed_ns: MS, per_item_ns: 100 * US };
    setup.machines[0].warms_up = Some(zeros);
    setup
}

/// What was told of the only warm-up: its probes, and why the last one failed.
fn told(world: &World) -> (u32, Option<&[u8]>) {
    let [warmed] = &world.warmed[..] else { panic!("{:?}", world.warmed) };
    (warmed.probes, warmed.failure.as_deref())
}

#[test]
fn probes_grow_to_the_largest_batch_and_then_the_replica_is_up() {
    let mut world = warmed_up(Input::Good).build_up();
    let up = || world.stats.models[0].replicas[0].up.get();
    assert_eq!(up(), 0);
    // 1.1 ms twice, then 1.2, 1.4, 1.8 and 2.6 ms.
    world.run_until(9_199 * US);
    assert_eq!(
        (
            world.warmed.len(),
            world.core.view().replicas[0].1.life.as_ref().map(|life| life.warming)
        ),
        (0, Some(true))
    );
    world.run_until(9_200 * US);
    assert_eq!(world.probes, [1, 1, 2, 4, 8, 16]);
    assert_eq!(told(&world), (6, None));
    assert_eq!(world.stats.models[0].replicas[0].up.get(), 1);
    world.finish();
}

#[test]
fn a_query_waits_for_the_end_of_a_warm_up_and_shares_no_batch_with_a_probe() {
    let mut world = warmed_up(Input::Good).build_up();
    world.query_at(2 * MS, Input::Good);
    world.finish();
    assert_eq!(world.answer(0), (10_300 * US, Given::Prediction));
}

#[test]
fn probes_teach_how_long_batches_take_and_how_large_they_may_be() {
    let mut setup = warmed_up(Input::Good);
    setup.models[0].limit = LimitPlan::Aimd { max: 1_000 };
    setup.machines[0].items_max = 1_000;
    let mut world = setup.build_up();
    world.run_until(100 * MS);
    // Two thirds of the SLO are 13.3 ms: 64 rows take 7.4 ms, and 128 take 13.8, too long.
    assert_eq!(world.probes, [1, 1, 2, 4, 8, 16, 32, 64, 128]);
    assert_eq!(world.limit(0), 115);
    let estimate = &world.core.replicas[world.replica(0)].estimate;
    let off_ns = estimate.learnt(50).unwrap().abs_diff(6 * MS);
    assert!(off_ns <= 10, "{off_ns} ns");
    world.finish();
}

#[test]
fn the_first_probe_teaches_nothing() {
    let mut setup = warmed_up(Input::Good);
    setup.machines[0].service.per_item_ns = 0;
    let mut world = setup.build();
    world.at(0, Event::Pace { replica: 0, percent: 1_900 });
    world.at(0, Event::Up { replica: 0 });
    world.at(18 * MS, Event::Pace { replica: 0, percent: 100 });
    world.run_until(40 * MS);
    assert_eq!(world.probes, [1, 1, 2, 4, 8, 16]);
    world.finish();
}

#[test]
fn no_probe_is_so_large_that_it_could_count_as_hanging() {
    let mut setup = warmed_up(Input::Good);
    setup.applications[0].slo_ns = 200 * MS;
    setup.models[0].batch_timeout_ns = 3 * MS;
    let mut world = setup.build_up();
    world.run_until(100 * MS);
    // Of 8 rows, which take 1.8 ms, twice as many could take 3.6.
    assert_eq!(world.probes, [1, 1, 2, 4, 8]);
    world.finish();
    assert_eq!(world.machines[0].lives_lost, 0);
}

#[test]
fn probes_together_take_a_bounded_time() {
    let mut setup = warmed_up(Input::Good);
    setup.applications[0] = ApplicationSetup::of(100 * WARM_UP_NS_MAX, 64, Some(0));
    setup.models[0].batch_timeout_ns = 10 * WARM_UP_NS_MAX;
    setup.machines[0].service = Service { fixed_ns: WARM_UP_NS_MAX * 2 / 5, per_item_ns: 0 };
    let mut world = setup.build_up();
    world.run_until(10 * WARM_UP_NS_MAX);
    assert_eq!(world.probes, [1, 1, 2, 4]);
    assert_eq!(told(&world), (4, None));
    world.finish();
}

#[test]
fn a_probe_that_fails_ends_the_warm_up_and_the_replica_is_up_as_without() {
    let texts = [Input::FailsBatch, Input::FailsItem].map(|zeros| {
        let mut world = warmed_up(zeros).build_up();
        world.queries_at(0, 3);
        world.finish();
        assert_eq!(world.probes, [1]);
        assert_eq!(world.stats.models[0].warm_ups_failed.get(), 1);
        assert_eq!(world.stats.models[0].batches_failed.get(), 0);
        assert!((0..3).all(|number| world.answer(number).1 == Given::Prediction));
        told(&world).1.unwrap().to_vec()
    });
    assert_eq!(texts, [b"no zeros".to_vec(), b"this item failed".to_vec()]);
}

#[test]
fn a_probe_that_hangs_is_killed_as_any_batch_is() {
    let mut setup = warmed_up(Input::Hangs);
    setup.machines[0].restart_ns = None;
    let mut world = setup.build_up();
    world.query_at(45 * MS, Input::Good);
    world.finish();
    assert_eq!((world.machines[0].lives_lost, world.warmed.len()), (1, 0));
    assert_eq!(world.answer(0), (50 * MS + 1, Given::Default(Reason::NotReady, Vec::new())));
}

#[test]
fn a_death_in_a_warm_up_makes_no_query_a_suspect_and_is_the_last_of_its_kind() {
    let mut setup = Setup::replicas(2);
    setup.machines[0].warms_up = Some(Input::Kills);
    let mut world = setup.build();
    world.at(0, Event::Up { replica: 0 });
    world.queries_at(0, 4);
    world.at(2 * MS, Event::Up { replica: 1 });
    world.finish();
    let failure = Some(&b"an incarnation of this replica died of a probe"[..]);
    assert_eq!((world.machines[0].lives_lost, told(&world)), (1, (0, failure)));
    assert_eq!(world.stats.models[0].warm_ups_failed.get(), 1);
    assert_eq!(world.stats.models[0].redispatches.get(), 0);
    assert!((0..4).all(|number| world.answer(number).1 == Given::Prediction));
}

#[test]
fn others_serve_while_a_replica_is_warmed_up() {
    let mut setup = Setup::replicas(2);
    setup.machines[0].warms_up = Some(Input::Good);
    let mut world = setup.build_up();
    world.queries_at(0, 2);
    world.run_until(3 * MS);
    assert!(world.oracle.batches.iter().all(|batch| batch.replica == 1));
    assert_eq!(world.warmed.len(), 0);
    world.finish();
    assert!((0..2).all(|number| world.answer(number).1 == Given::Prediction));
}

#[test]
fn a_model_that_nobody_asks_is_up_without_probes() {
    let mut setup = warmed_up(Input::Good);
    setup.applications[0] = ApplicationSetup::of(20 * MS, 64, None);
    let mut world = setup.build_up();
    assert_eq!((world.probes.len(), told(&world)), (0, (0, None)));
    world.finish();
}

#[test]
fn a_switch_to_another_model_ends_a_warm_up() {
    let mut setup = Setup::models(2);
    setup.applications[0].models = vec![0];
    setup.machines[0].warms_up = Some(Input::Good);
    let mut world = setup.build_up();
    world.at(
        1_500 * US,
        Event::Relink { application: 0, models: vec![1], asked: crate::Asked::First },
    );
    world.at(1_600 * US, Event::RetireModel { model: 0, back_after_ns: 50 * MS });
    world.run_until(2 * MS);
    assert_eq!((world.probes.clone(), told(&world)), (vec![1, 1], (2, None)));
    assert_eq!(world.core.view().models.len(), 1);
    world.finish();
}

#[test]
fn a_replica_that_is_drained_gets_no_probe_more_and_goes_when_its_last_is_back() {
    let mut world = warmed_up(Input::Good).build_up();
    world.at(500 * US, Event::RetireReplica { replica: 0, back_after_ns: 50 * MS });
    world.run_until(1_099 * US);
    assert_eq!(world.core.view().replicas.len(), 1);
    world.run_until(1_100 * US);
    assert_eq!((world.core.view().replicas.len(), world.probes.len()), (0, 1));
    world.run_until(52 * MS);
    assert_eq!(world.core.view().replicas.len(), 1, "it is back");
    world.finish();
}

#[test]
fn a_replica_that_is_taken_away_in_its_warm_up_begins_again() {
    let mut world = warmed_up(Input::Good).build_up();
    world.at(4 * MS, Event::Lost { replica: 0, death: Death::Stopped });
    world.finish();
    assert_eq!(world.probes, [1, 1, 2, 4, 1, 1, 2, 4, 8, 16]);
    assert_eq!(told(&world), (6, None));
}

#[test]
fn probes_are_in_no_statistics_of_batches() {
    let mut world = warmed_up(Input::Good).build_up();
    world.finish();
    let stats = &world.stats.models[0];
    assert_eq!((stats.batch_size.count(), stats.service.count()), (0, 0));
    assert_eq!((stats.replicas[0].batches.get(), stats.replicas[0].service_ns.get()), (0, 0));
}

/// What is late of the first second, after a cold start and after a warm-up.
#[test]
fn the_first_second_after_a_warm_up_sheds_a_tenth_of_what_a_cold_start_does() {
    let late = [None, Some(Input::Good)].map(|warms_up| {
        let mut setup = Setup::simple();
        setup.applications[0].rows = 4_096;
        setup.models[0].limit = LimitPlan::Aimd { max: 1_000 };
        let service = Service { fixed_ns: 4 * MS, per_item_ns: 100 * US };
        let items_max = 1_000;
        setup.machines[0] = MachinePlan { service, items_max, restart_ns: None, warms_up };
        let mut world = setup.build_up();
        (0..3_000).for_each(|number| world.query_at(100 * MS + number * MS / 3, Input::Good));
        world.finish();
        (0..3_000).filter(|number| world.answer(*number).1 != Given::Prediction).count()
    });
    assert!(late[1] * 10 <= late[0], "{late:?}");
}
