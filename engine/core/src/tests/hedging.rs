//! Calls whose replica is late, and that are sent to a second one too.

use std::sync::Arc;

use super::fleet::{BROKEN_MESSAGE, ITEM_MESSAGE, Input, MachinePlan, Outputs, Service};
use super::oracle::Given;
use super::world::{Event, MS, ModelSetup, START_NS, Setup, US, World};
use crate::cache::{Cache, CachePlan};
use crate::ids::ApplicationId;
use crate::limits::{CACHE_BYTES_MIN, CACHE_PAYS_PARTS};
use crate::stats::Reason;
use crate::{Admission, Answer, Asked, BatchResults, Core, Death, Outcome, Sink};

/// By then the replicas have a history: batches of one query that took 1 ms each.
const TAUGHT: u64 = 100 * MS;
/// Each of two replicas has served so many.
const LESSONS: usize = 30;
/// The first query after that.
const FIRST: usize = 2 * LESSONS;
const SHARE: f64 = 0.1;

fn hedged(replicas: usize) -> Setup {
    let mut setup = Setup::replicas(replicas);
    setup.models[0].hedge = Some(SHARE);
    setup
}

/// Each query finds two replicas that have nothing to do, or one.
fn taught(setup: &Setup) -> World {
    let mut world = setup.build_up();
    (0..LESSONS as u64).for_each(|lesson| world.queries_at(lesson * 2 * MS, 2));
    world.run_until(TAUGHT - 1);
    world
}

/// The next query goes to the first of two replicas, which takes 15 ms for it: late after less than
/// 2 ms, by its history. The other would take 1 ms.
fn with_a_straggler(input: Input) -> World {
    let mut world = taught(&hedged(2));
    pace(&mut world, 0, 1_500);
    world.query_at(TAUGHT, input);
    world
}

fn pace(world: &mut World, replica: usize, percent: u64) {
    world.at(TAUGHT, Event::Pace { replica, percent });
}

fn lost(replica: usize, death: Death) -> Event {
    Event::Lost { replica, death }
}

fn model_error(text: &[u8]) -> Given {
    Given::Default(Reason::ModelError, text.to_vec())
}

/// Queries that were sent twice, and those of them that the second answered.
fn counts(world: &World) -> (u64, u64) {
    let stats = &world.stats.models[0];
    (stats.hedged.get(), stats.hedges_won.get())
}

/// Which replicas got a query, one after another.
fn replicas_of(world: &World, number: usize) -> Vec<usize> {
    let batches = world.oracle.batches.iter();
    let with_it = batches.filter(|sent| sent.queries.contains(&number));
    with_it.map(|sent| sent.replica).collect()
}

/// When a query was answered, in µs after the replicas were taught.
fn answered_us(world: &World, number: usize) -> u64 {
    (world.answer(number).0 - TAUGHT) / US
}

#[test]
fn a_call_of_a_late_replica_is_answered_by_an_idle_one_and_the_slow_output_changes_nothing() {
    let mut world = with_a_straggler(Input::Good);
    world.run_until(TAUGHT + 4 * MS);
    assert_eq!(world.answer(FIRST).1, Given::Prediction);
    assert!((2_000..3_000).contains(&answered_us(&world, FIRST)));
    assert_eq!(world.rows_in_use(), 1, "the first replica reads the row still");
    world.finish();
    assert_eq!(replicas_of(&world, FIRST), [0, 1]);
    assert_eq!(counts(&world), (1, 1));
    assert_eq!(world.stats.models[0].queue.count(), (FIRST + 1) as u64, "it waited once");
}

#[test]
fn when_the_late_replica_is_the_first_after_all_its_output_is_told() {
    let mut world = taught(&hedged(2));
    pace(&mut world, 0, 250);
    world.queries_at(TAUGHT, 1);
    world.finish();
    assert_eq!(world.answer(FIRST), (TAUGHT + 2_500 * US, Given::Prediction));
    assert_eq!((replicas_of(&world, FIRST), counts(&world)), (vec![0, 1], (1, 0)));
}

#[test]
fn what_waits_behind_a_late_batch_is_sent_to_another_replica_too() {
    let mut world = taught(&hedged(2));
    pace(&mut world, 0, 1_500);
    pace(&mut world, 1, 200);
    world.queries_at(TAUGHT, 3);
    world.at(TAUGHT + MS, Event::Pace { replica: 1, percent: 100 });
    world.finish();
    assert_eq!(replicas_of(&world, FIRST), [0, 1]);
    assert_eq!(replicas_of(&world, FIRST + 1), [1]);
    assert_eq!(replicas_of(&world, FIRST + 2), [0, 1]);
    let answered = [0, 1, 2].map(|query| answered_us(&world, FIRST + query));
    assert_eq!(answered, [3_000, 2_000, 4_000]);
}

/// One query in ten is slow. Gives how many were sent twice.
fn sent_twice_of_560(share: f64) -> u64 {
    let mut setup = hedged(2);
    setup.models[0].hedge = Some(share);
    let mut world = taught(&setup);
    for query in 0..500 {
        let at_ns = TAUGHT + query * 20 * MS;
        let percent = if query % 10 == 0 { 1_500 } else { 100 };
        world.at(at_ns, Event::Pace { replica: 0, percent });
        world.query_at(at_ns, Input::Good);
    }
    world.finish();
    counts(&world).0
}

/// The oracle sees to it that the share is kept at each instant.
#[test]
fn no_more_than_the_share_is_sent_twice_however_many_are_late() {
    let sent_twice = [0.02, 1.0].map(sent_twice_of_560);
    assert!((9..=11).contains(&sent_twice[0]) && sent_twice[1] > 30, "{sent_twice:?}");
}

#[test]
fn nothing_is_sent_twice_where_that_is_off_or_no_other_replica_is_there() {
    for setup in [Setup::replicas(2), hedged(1)] {
        let mut world = taught(&setup);
        pace(&mut world, 0, 1_500);
        world.queries_at(TAUGHT, 1);
        world.finish();
        assert_eq!(world.answer(FIRST), (TAUGHT + 15 * MS, Given::Prediction));
        assert_eq!(replicas_of(&world, FIRST), [0]);
    }
}

#[test]
fn nothing_is_late_where_there_is_no_history() {
    let mut world = hedged(2).build_up();
    world.queries_at(0, 2);
    world.at(5 * MS, Event::Pace { replica: 0, percent: 1_500 });
    world.queries_at(5 * MS, 1);
    world.finish();
    assert_eq!((world.answer(2).0, counts(&world)), (20 * MS, (0, 0)));
}

#[test]
fn while_no_replica_is_idle_nothing_is_sent_twice_and_as_soon_as_one_is_it_takes_what_is_late() {
    let mut world = with_a_straggler(Input::Good);
    pace(&mut world, 1, 400);
    world.queries_at(TAUGHT, 1);
    world.at(TAUGHT + MS, Event::Pace { replica: 1, percent: 100 });
    world.run_until(TAUGHT + 4 * MS - 1);
    assert_eq!(counts(&world), (0, 0));
    world.finish();
    assert_eq!((answered_us(&world, FIRST), counts(&world)), (5_000, (1, 1)));
}

#[test]
fn a_call_that_could_not_be_in_time_elsewhere_is_not_sent_there() {
    let mut world = taught(&hedged(2));
    pace(&mut world, 0, 1_500);
    let timeout_ns = Some(2_500 * US);
    world.at(TAUGHT, Event::Arrive { application: 0, input: Input::Good, timeout_ns });
    world.finish();
    assert_eq!(
        world.answer(FIRST),
        (TAUGHT + 2_500 * US, Given::Default(Reason::Late, Vec::new()))
    );
    assert_eq!(counts(&world), (0, 0));
}

#[test]
fn what_waits_goes_before_what_is_sent_twice() {
    let mut setup = hedged(2);
    setup.models[0].depth = 1;
    let mut world = taught(&setup);
    [(0, 1_500), (1, 300)].into_iter().for_each(|(replica, percent)| {
        pace(&mut world, replica, percent);
    });
    world.queries_at(TAUGHT, 3);
    world.at(TAUGHT + MS, Event::Pace { replica: 1, percent: 100 });
    world.finish();
    let answered = [0, 1, 2].map(|query| answered_us(&world, FIRST + query));
    assert_eq!(answered, [5_000, 3_000, 4_000]);
}

#[test]
fn a_crash_of_either_leaves_the_call_to_the_other() {
    for (dies, answered) in [(0, 2..3), (1, 15..16)] {
        let mut world = with_a_straggler(Input::Good);
        world.at(TAUGHT + 2 * MS, lost(dies, Death::Crash));
        world.finish();
        assert_eq!(world.answer(FIRST).1, Given::Prediction);
        assert!(answered.contains(&(answered_us(&world, FIRST) / 1_000)), "{dies} died");
        assert_eq!(replicas_of(&world, FIRST), [0, 1], "it was not sent again");
        assert_eq!(world.stats.models[0].redispatches.get(), 0);
    }
}

#[test]
fn a_call_whose_containers_both_died_has_had_its_two_lives() {
    let mut world = with_a_straggler(Input::Good);
    world.at(TAUGHT + 2 * MS, lost(0, Death::Crash));
    world.at(TAUGHT + 2_100 * US, lost(1, Death::Crash));
    world.finish();
    let died = b"the model's container died each time it was given this input";
    assert_eq!(world.answer(FIRST), (TAUGHT + 2_100 * US, model_error(died)));
}

#[test]
fn a_call_whose_containers_both_were_taken_away_waits_again_and_is_not_sent_twice_again() {
    let mut world = with_a_straggler(Input::Good);
    world.at(TAUGHT + 2 * MS, lost(0, Death::Stopped));
    world.at(TAUGHT + 2_100 * US, lost(1, Death::Stopped));
    world.finish();
    assert_eq!((answered_us(&world, FIRST), counts(&world)), (8_000, (1, 0)));
    assert_eq!(replicas_of(&world, FIRST), [0, 1, 0]);
}

#[test]
fn a_call_whose_first_container_died_and_whose_second_was_taken_away_is_a_suspect() {
    let mut world = with_a_straggler(Input::Good);
    world.at(TAUGHT + 2 * MS, lost(0, Death::Crash));
    world.at(TAUGHT + 2_100 * US, lost(1, Death::Stopped));
    world.run_until(TAUGHT + 3 * MS);
    assert_eq!(world.core.view().models[0].1.suspects, 1);
    world.finish();
    assert_eq!((answered_us(&world, FIRST), world.answer(FIRST).1), (8_000, Given::Prediction));
}

#[test]
fn a_failure_of_either_leaves_the_call_to_the_other() {
    for (fails, answered) in [(0, 2..3), (1, 15..16)] {
        let mut world = with_a_straggler(Input::Good);
        // The one is broken when both have the call, and before any of them is done.
        world.at(TAUGHT + 2 * MS, Event::Break { replica: fails, broken: true });
        world.finish();
        assert_eq!(world.answer(FIRST).1, Given::Prediction);
        assert!(answered.contains(&(answered_us(&world, FIRST) / 1_000)), "{fails} fails");
        assert_eq!(replicas_of(&world, FIRST), [0, 1], "it was not sent again");
        assert_eq!(world.stats.models[0].items_failed.get(), 0);
    }
}

#[test]
fn a_call_that_fails_alone_on_both_is_guilty_and_told_once() {
    let mut world = with_a_straggler(Input::Good);
    for replica in [0, 1] {
        world.at(TAUGHT + 2 * MS, Event::Break { replica, broken: true });
    }
    world.finish();
    assert_eq!(world.answer(FIRST), (TAUGHT + 15 * MS, model_error(BROKEN_MESSAGE)));
    assert_eq!(replicas_of(&world, FIRST), [0, 1]);
    let stats = &world.stats.models[0];
    assert_eq!((stats.batches_failed.get(), stats.items_failed.get()), (2, 1));
}

#[test]
fn an_item_that_fails_on_both_fails_when_the_second_says_so() {
    let mut world = with_a_straggler(Input::FailsItem);
    world.finish();
    assert_eq!(world.answer(FIRST), (TAUGHT + 15 * MS, model_error(ITEM_MESSAGE)));
    assert_eq!((counts(&world), world.stats.models[0].items_failed.get()), ((1, 0), 1));
}

#[test]
fn a_batch_that_hangs_is_answered_elsewhere_and_killed_in_its_time() {
    let mut world = with_a_straggler(Input::Good);
    world.at(TAUGHT + MS, Event::Hang { replica: 0 });
    world.finish();
    assert_eq!(answered_us(&world, FIRST) / 1_000, 2);
    assert_eq!(world.machines[0].lives_lost, 1);
}

#[test]
fn a_client_that_goes_leaves_the_row_to_both_replicas() {
    let mut world = with_a_straggler(Input::Good);
    world.at(TAUGHT + 2 * MS, Event::Abandon { number: FIRST });
    let held = [2, 4, 14, 16].map(|after_ms| {
        world.run_until(TAUGHT + after_ms * MS);
        world.rows_in_use()
    });
    assert_eq!(held, [1, 1, 1, 0]);
    world.finish();
    assert_eq!(counts(&world), (1, 0));
}

#[test]
fn replicas_and_models_go_when_what_was_sent_twice_is_back() {
    let back_after_ns = 50 * MS;
    for (event, gone_after_ms) in [
        (Event::RetireReplica { replica: 0, back_after_ns }, 15),
        (Event::RetireReplica { replica: 1, back_after_ns }, 3),
        (Event::RetireModel { model: 0, back_after_ns }, 15),
    ] {
        let mut world = with_a_straggler(Input::Good);
        world.at(TAUGHT + 2 * MS, event);
        let replicas = [gone_after_ms - 1, gone_after_ms].map(|after_ms| {
            world.run_until(TAUGHT + after_ms * MS);
            world.core.view().replicas.len()
        });
        assert!(replicas[0] == 2 && replicas[1] < 2, "{replicas:?}");
        world.finish();
        assert_eq!(answered_us(&world, FIRST) / 1_000, 2);
    }
}

#[test]
fn a_replica_on_its_way_out_takes_nothing_twice_and_what_it_has_may_go_elsewhere() {
    for (goes, sent_twice) in [(0, 1), (1, 0)] {
        let mut world = with_a_straggler(Input::Good);
        let retire = Event::RetireReplica { replica: goes, back_after_ns: 50 * MS };
        world.at(TAUGHT + MS, retire);
        world.finish();
        assert_eq!(counts(&world).0, sent_twice, "{goes} goes");
    }
}

/// The other model is preferred, and dies at last: meanwhile the output of the hedged one waits,
/// and the slow batch with the same call comes back.
#[test]
fn an_output_that_waits_for_others_is_not_touched_by_the_second_one() {
    let mut setup = hedged(2);
    setup.models.push(ModelSetup { replicas: 1, hedge: None, ..setup.models[0].clone() });
    let service = Service { fixed_ns: 10 * MS, per_item_ns: 0 };
    setup.machines.push(MachinePlan { service, restart_ns: None, ..setup.machines[0] });
    let mut world = taught(&setup);
    let asked = Asked::All;
    world.at(TAUGHT, Event::Relink { application: 0, models: vec![1, 0], asked });
    pace(&mut world, 0, 500);
    world.queries_at(TAUGHT, 1);
    world.at(TAUGHT + 6 * MS, lost(2, Death::Crash));
    world.finish();
    assert_eq!(world.answer(FIRST), (TAUGHT + 6 * MS, Given::Prediction));
    assert_eq!(counts(&world), (1, 1));
}

/// Who was answered what.
#[derive(Default)]
struct Told(Vec<(u64, Option<[u8; 8]>)>);

impl Sink for Told {
    fn answer(&mut self, answer: &Answer<'_>) {
        let Outcome::Prediction { output, .. } = answer.outcome else {
            return self.0.push((answer.reply_to, None));
        };
        self.0.push((answer.reply_to, output.bytes().try_into().ok()));
    }
}

fn ask(core: &mut Core, now_ns: u64, application: ApplicationId, reply_to: u64, told: &mut Told) {
    let row = core.reserve(application).expect("a row is free");
    let (bytes, timeout_ns) = (4, None);
    let input = Admission { application, row, bytes, arrived_ns: now_ns, timeout_ns, reply_to };
    core.admit(now_ns, &input, told);
}

/// All inputs are alike, so the second call waits for the output of the first.
#[test]
fn who_has_joined_a_call_that_is_sent_twice_gets_the_first_output_and_so_do_later_ones() {
    let mut world = taught(&hedged(2));
    let (application, model) = (world.application(0), world.model(0));
    let (late, idle) = (world.replica(0), world.replica(1));
    let core = &mut world.core;
    core.models[model].cache = Some(Box::new(Cache::new(CachePlan {
        bytes_max: CACHE_BYTES_MIN,
        input_bytes: 4,
        ttl_ns: None,
        pays_parts: CACHE_PAYS_PARTS,
        seed: 1,
        stats: Arc::default(),
    })));
    let (mut now_ns, mut rows, mut told) = (START_NS + TAUGHT, Vec::new(), Told::default());
    [1, 2].into_iter().for_each(|query| ask(core, now_ns, application, query, &mut told));
    assert!(core.next_batch(now_ns, late, &mut rows, &mut told).is_some());
    core.sent(now_ns, late, 0);
    while !core.has_late() {
        now_ns = core.next_tick_ns().expect("it is late at some time");
        core.tick(now_ns, &mut told);
    }
    assert!(core.next_batch(now_ns, idle, &mut rows, &mut told).is_some());
    core.sent(now_ns, idle, 0);
    for (replica, output) in [(idle, [1; 8]), (late, [2; 8])] {
        now_ns += MS;
        let results = BatchResults::Items(Outputs(vec![(Input::Good, output)]));
        core.complete(now_ns, now_ns, replica, 0, &results, &mut told);
        ask(core, now_ns, application, 3, &mut told);
    }
    told.0.sort_unstable();
    assert_eq!(told.0, [1, 2, 3, 3].map(|query| (query, Some([1; 8]))));
}
