//! Random worlds: whatever happens, the oracle's rules hold.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::fleet::{Input, MachinePlan, Service};
use super::world::{ApplicationSetup, Event, MS, ModelSetup, Setup, US, World};
use crate::batching::Forming;
use crate::{Asked, Death, LimitPlan};

/// The same worlds in every run; `PROPTEST_CASES` asks for more of them.
fn config() -> ProptestConfig {
    let rng_seed = RngSeed::Fixed(0x5EED);
    ProptestConfig { rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}

fn application(models: usize) -> impl Strategy<Value = ApplicationSetup> {
    (500 * US..20 * MS, 1_u32..80, links(models)).prop_map(|(slo_ns, rows, (models, asked))| {
        ApplicationSetup { slo_ns, rows, models, asked, input_bytes: 4 }
    })
}

/// Some of the models in some order, and how they are asked.
fn links(models: usize) -> impl Strategy<Value = (Vec<usize>, Asked)> {
    let all: Vec<usize> = (0..models).collect();
    let some = prop::sample::subsequence(all, 0..=models).prop_shuffle();
    let asked = prop_oneof![2 => Just(Asked::First), 1 => Just(Asked::All)];
    (prop_oneof![1 => Just(Vec::new()), 9 => some], asked)
}

fn model() -> impl Strategy<Value = ModelSetup> {
    let limit = prop_oneof![
        (1_u32..64).prop_map(|max| LimitPlan::Aimd { max }),
        (1_u32..64).prop_map(|max| LimitPlan::Fixed { max }),
    ];
    let hedge = prop_oneof![2 => Just(None), 1 => (0.05..1.0).prop_map(Some), 1 => Just(Some(1.0))];
    let wait = prop_oneof![2 => Just(0), 1 => 0..10 * MS];
    let forming = (wait, any::<bool>()).prop_map(|(wait_ns, defer)| Forming {
        wait_ns,
        defer,
        ..Forming::default()
    });
    let core = prop::option::of(0_u32..2);
    (1_u32..=3, 1_u32..=2, limit, MS..40 * MS, forming, core, hedge).prop_map(
        |(replicas, depth, limit, batch_timeout_ns, forming, core, hedge)| ModelSetup {
            replicas,
            depth,
            limit,
            batch_timeout_ns,
            forming,
            core,
            hedge,
        },
    )
}

fn machine() -> impl Strategy<Value = MachinePlan> {
    let service = (0..2_000_u64, 0..400_u64)
        .prop_map(|(fixed, item)| Service { fixed_ns: fixed * US, per_item_ns: item * US });
    let restart = prop_oneof![1 => Just(None), 5 => (0..15 * MS).prop_map(Some)];
    let warms_up = prop_oneof![
        6 => Just(None),
        3 => Just(Some(Input::Good)),
        1 => input().prop_map(Some),
    ];
    (service, 1_u32..64, restart, warms_up).prop_map(
        |(service, items_max, restart_ns, warms_up)| MachinePlan {
            service,
            items_max,
            restart_ns,
            warms_up,
        },
    )
}

fn setup() -> impl Strategy<Value = Setup> {
    prop::collection::vec(model(), 1..=3).prop_flat_map(|models| {
        let slots = models.iter().map(|model| model.replicas as usize).sum::<usize>();
        (
            prop::collection::vec(application(models.len()), 1..=3),
            Just(models),
            prop::collection::vec(machine(), slots),
            prop_oneof![Just(0), 0..2 * MS],
        )
            .prop_map(|(applications, models, machines, reply_ns)| Setup {
                applications,
                models,
                machines,
                reply_ns,
            })
    })
}

fn setup_and_changes() -> impl Strategy<Value = (Setup, Changes)> {
    setup().prop_flat_map(|setup| {
        let changes = changes(setup.models.len());
        (Just(setup), changes)
    })
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        200 => Just(Input::Good),
        4 => Just(Input::FailsItem),
        2 => Just(Input::FailsBatch),
        2 => Just(Input::Kills),
        1 => Just(Input::Hangs),
    ]
}

/// A time after the one before, whose application, what it does, and a deadline of its own.
fn arrivals() -> impl Strategy<Value = Vec<(u64, prop::sample::Index, Input, Option<u64>)>> {
    let gap = prop_oneof![3 => 0..60 * US, 1 => 0..2 * MS];
    let timeout = prop_oneof![9 => Just(None), 1 => (100 * US..40 * MS).prop_map(Some)];
    prop::collection::vec((gap, any::<prop::sample::Index>(), input(), timeout), 1..400)
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Lost(Death),
    Hang,
    Pace(u64),
    Break(bool),
}

fn faults() -> impl Strategy<Value = Vec<(u64, prop::sample::Index, Fault)>> {
    let fault = prop_oneof![
        Just(Fault::Lost(Death::Crash)),
        Just(Fault::Lost(Death::Stopped)),
        Just(Fault::Hang),
        (0..1_000_u64).prop_map(Fault::Pace),
        any::<bool>().prop_map(Fault::Break),
    ];
    prop::collection::vec((0..40 * MS, any::<prop::sample::Index>(), fault), 0..12)
}

/// Clients that go away: when, and whose.
fn departures() -> impl Strategy<Value = Vec<(u64, prop::sample::Index)>> {
    prop::collection::vec((0..40 * MS, any::<prop::sample::Index>()), 0..60)
}

fn event(replica: usize, fault: Fault) -> Event {
    match fault {
        Fault::Lost(death) => Event::Lost { replica, death },
        Fault::Hang => Event::Hang { replica },
        Fault::Pace(percent) => Event::Pace { replica, percent },
        Fault::Break(broken) => Event::Break { replica, broken },
    }
}

/// Changes while queries run: which application, model or replica, and after how long what goes
/// comes back.
fn changes(models: usize) -> impl Strategy<Value = Changes> {
    let back = MS..20 * MS;
    let change = prop_oneof![
        3 => links(models).prop_map(|(models, asked)| ChangeOf::Links(models, asked)),
        1 => back.clone().prop_map(ChangeOf::Application),
        1 => back.clone().prop_map(ChangeOf::Model),
        1 => back.prop_map(ChangeOf::Replica),
    ];
    prop::collection::vec((0..40 * MS, any::<prop::sample::Index>(), change), 0..16)
}

#[derive(Clone, Debug)]
enum ChangeOf {
    Links(Vec<usize>, Asked),
    Application(u64),
    Model(u64),
    Replica(u64),
}

fn change(setup: &Setup, which: prop::sample::Index, change: ChangeOf) -> Event {
    let application = which.index(setup.applications.len());
    match change {
        ChangeOf::Links(models, asked) => Event::Relink { application, models, asked },
        ChangeOf::Application(back_after_ns) => {
            Event::RetireApplication { application, back_after_ns }
        }
        ChangeOf::Model(back_after_ns) => {
            Event::RetireModel { model: which.index(setup.models.len()), back_after_ns }
        }
        ChangeOf::Replica(back_after_ns) => {
            Event::RetireReplica { replica: which.index(setup.machines.len()), back_after_ns }
        }
    }
}

/// What happens in a world.
#[derive(Clone, Debug)]
struct Script {
    arrivals: Vec<(u64, prop::sample::Index, Input, Option<u64>)>,
    faults: Vec<(u64, prop::sample::Index, Fault)>,
    departures: Vec<(u64, prop::sample::Index)>,
}

fn script() -> impl Strategy<Value = Script> {
    (arrivals(), faults(), departures()).prop_map(|(arrivals, faults, departures)| Script {
        arrivals,
        faults,
        departures,
    })
}

/// Plans what happens, from some time on.
fn play(world: &mut World, setup: &Setup, script: Script, from_ns: u64) {
    let first = world.oracle.queries.len();
    let queries = script.arrivals.len();
    let mut at_ns = from_ns;
    for (gap_ns, which, input, timeout_ns) in script.arrivals {
        at_ns += gap_ns;
        let application = which.index(setup.applications.len());
        world.at(at_ns, Event::Arrive { application, input, timeout_ns });
    }
    for (after_ns, which) in script.departures {
        world.at(from_ns + after_ns, Event::Abandon { number: first + which.index(queries) });
    }
    for (after_ns, which, fault) in script.faults {
        world.at(from_ns + after_ns, event(which.index(setup.machines.len()), fault));
    }
}

type Changes = Vec<(u64, prop::sample::Index, ChangeOf)>;

fn play_changes(world: &mut World, setup: &Setup, changes: Changes, from_ns: u64) {
    for (after_ns, which, what) in changes {
        world.at(from_ns + after_ns, change(setup, which, what));
    }
}

/// One model of several replicas whose calls are sent twice as often as it helps, and time enough
/// for all that can come of that.
fn hedging_setup() -> impl Strategy<Value = Setup> {
    let machine = prop::collection::vec(machine(), 3);
    (2_usize..=3, 1_u32..=2, 1_u32..16, 10 * MS..60 * MS, 20 * MS..100 * MS, machine).prop_map(
        |(replicas, depth, max, batch_timeout_ns, slo_ns, machines)| {
            let mut setup = Setup::replicas(replicas);
            (setup.applications[0].rows, setup.applications[0].slo_ns) = (400, slo_ns);
            let (limit, hedge) = (LimitPlan::Fixed { max }, Some(1.0));
            let replicas = setup.models[0].replicas;
            let forming = Forming::default();
            setup.models[0] =
                ModelSetup { replicas, depth, limit, batch_timeout_ns, forming, core: None, hedge };
            setup.machines = machines.into_iter().take(setup.machines.len()).collect();
            setup
        },
    )
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_happens_every_query_is_answered_once_and_in_time(
        (setup, changes) in setup_and_changes(),
        ups in prop::collection::vec(prop_oneof![Just(0), 0..30 * MS], 9),
        script in script(),
    ) {
        let mut world = setup.build();
        for (replica, after_ns) in ups.into_iter().take(setup.machines.len()).enumerate() {
            world.at(after_ns, Event::Up { replica });
        }
        play(&mut world, &setup, script, 0);
        play_changes(&mut world, &setup, changes, 0);
        world.finish();
    }

    /// The same where the replicas have a history when it begins, so that they can be late.
    #[test]
    fn whatever_happens_to_calls_that_are_sent_twice_they_are_answered_once_and_in_time(
        setup in hedging_setup(),
        changes in changes(1),
        script in script(),
    ) {
        let mut world = setup.build_up();
        for lesson in 0..30 {
            world.queries_at(lesson * 3 * MS, setup.machines.len());
        }
        world.run_until(100 * MS);
        play(&mut world, &setup, script, 100 * MS);
        play_changes(&mut world, &setup, changes, 100 * MS);
        world.finish();
    }
}
