//! Random worlds: whatever happens, the oracle's rules hold.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::fleet::{Input, MachinePlan, Service};
use super::world::{Event, MS, Setup, US};
use crate::scheduler::{ApplicationPlan, Death, ModelPlan, PolicyPlan};

/// The same worlds in every run; `PROPTEST_CASES` asks for more of them.
fn config() -> ProptestConfig {
    let rng_seed = RngSeed::Fixed(0x5EED);
    ProptestConfig { rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}

fn application(models: usize) -> impl Strategy<Value = ApplicationPlan> {
    let model = prop_oneof![1 => Just(None), 9 => (0..models).prop_map(Some)];
    (500 * US..20 * MS, 1_u32..80, model).prop_map(|(slo_ns, rows, model)| ApplicationPlan {
        slo_ns,
        rows,
        model,
    })
}

fn model() -> impl Strategy<Value = ModelPlan> {
    let policy = prop_oneof![
        (1_u32..64).prop_map(|max| PolicyPlan::Aimd { max }),
        (1_u32..64).prop_map(|max| PolicyPlan::Fixed { max }),
    ];
    (1_u32..=3, 1_u32..=2, policy, MS..40 * MS).prop_map(
        |(replicas, depth, policy, batch_timeout_ns)| ModelPlan {
            replicas,
            depth,
            policy,
            batch_timeout_ns,
        },
    )
}

fn machine() -> impl Strategy<Value = MachinePlan> {
    let service = (0..2_000_u64, 0..400_u64)
        .prop_map(|(fixed, item)| Service { fixed_ns: fixed * US, per_item_ns: item * US });
    let restart = prop_oneof![1 => Just(None), 5 => (0..15 * MS).prop_map(Some)];
    (service, 1_u32..64, restart).prop_map(|(service, items_max, restart_ns)| MachinePlan {
        service,
        items_max,
        restart_ns,
    })
}

fn setup() -> impl Strategy<Value = Setup> {
    prop::collection::vec(model(), 1..=2).prop_flat_map(|models| {
        let slots = models.iter().map(|model| model.replicas as usize).sum::<usize>();
        (
            prop::collection::vec(application(models.len()), 1..=3),
            Just(models),
            prop::collection::vec(machine(), slots),
        )
            .prop_map(|(applications, models, machines)| Setup {
                applications,
                models,
                machines,
            })
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

/// A time after the one before, whose application, and what it does.
fn arrivals() -> impl Strategy<Value = Vec<(u64, prop::sample::Index, Input)>> {
    let gap = prop_oneof![3 => 0..60 * US, 1 => 0..2 * MS];
    prop::collection::vec((gap, any::<prop::sample::Index>(), input()), 1..400)
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

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_happens_every_query_is_answered_once_and_in_time(
        setup in setup(),
        ups in prop::collection::vec(prop_oneof![Just(0), 0..30 * MS], 6),
        arrivals in arrivals(),
        faults in faults(),
        departures in departures(),
    ) {
        let mut world = setup.build();
        for (replica, after_ns) in ups.into_iter().take(setup.machines.len()).enumerate() {
            world.at(after_ns, Event::Up { replica });
        }
        let queries = arrivals.len();
        let mut at_ns = 0;
        for (gap_ns, which, input) in arrivals {
            at_ns += gap_ns;
            let application = which.index(setup.applications.len());
            world.at(at_ns, Event::Arrive { application, input });
        }
        for (after_ns, which) in departures {
            world.at(after_ns, Event::Abandon { number: which.index(queries) });
        }
        for (after_ns, which, fault) in faults {
            world.at(after_ns, event(which.index(setup.machines.len()), fault));
        }
        world.finish();
    }
}
