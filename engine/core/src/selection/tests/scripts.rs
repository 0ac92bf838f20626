//! Anything that may happen, in any order: each query is answered once, in time, and nothing of it
//! stays.

use proptest::prelude::*;

use super::*;

/// A thing that happens.
#[derive(Clone, Debug)]
enum Event {
    Ask { input: u8, explain: bool },
    Take(usize),
    Say(usize, u8),
    Fail(usize),
    Advance(u64),
    Relink(usize),
}

const MODELS: usize = 4;

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (0_u8..4, any::<bool>()).prop_map(|(input, explain)| Event::Ask { input, explain }),
        6 => (0..MODELS).prop_map(Event::Take),
        6 => (0..MODELS, 0_u8..3).prop_map(|(model, said)| Event::Say(model, said)),
        1 => (0..MODELS).prop_map(Event::Fail),
        2 => (0_u64..12).prop_map(|ms| Event::Advance(ms * MS)),
        1 => (1..=MODELS).prop_map(Event::Relink),
    ];
    prop::collection::vec(event, 0..120)
}

fn setups() -> impl Strategy<Value = Setup> {
    let modes = prop_oneof![
        3 => Just(Mode::Online),
        1 => (0_u8..1).prop_map(|baseline| Mode::Apprentice { baseline }),
        1 => (0_u8..1).prop_map(|baseline| Mode::LogOnly { baseline }),
    ];
    let readings = prop_oneof![Just(Reading::Class), Just(Reading::Value), Just(Reading::Scores)];
    let substitutes = prop_oneof![Just(Substitute::Nothing), Just(Substitute::Mean)];
    let booleans = (any::<bool>(), any::<bool>());
    (booleans, modes, readings, substitutes, 0.0..1.0).prop_map(
        |((one, caches), mode, reading, substitute, unsure_below)| {
            let setup = if one { Setup::one_of(MODELS) } else { Setup::vote(MODELS) };
            Setup { mode, reading, substitute, unsure_below, caches, ..setup }
        },
    )
}

fn happen(world: &mut World, event: Event) {
    match event {
        Event::Ask { input, explain } if world.core.view().applications[0].1.rows_in_use < ROWS => {
            world.ask_of(input, &Asking { explain, ..Asking::default() });
        }
        Event::Take(model) if world.holds[model].is_none() => {
            world.take(model);
        }
        Event::Say(model, said) if world.holds[model].is_some() => {
            world.say(model, &f32::from(said).to_le_bytes());
        }
        Event::Fail(model) if world.holds[model].is_some() => {
            world.give(model, Item::Failed(b"no"));
        }
        Event::Advance(ns) => world.advance(ns),
        Event::Relink(models) => {
            let stats = Arc::new(SelectionStats::new(models));
            let learner = Setup::vote(models).learner(&stats);
            world.link((0..models).collect(), Some(learner));
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn each_query_is_answered_once_and_leaves_nothing(setup in setups(), script in events()) {
        let mut world = World::new(setup);
        script.into_iter().for_each(|event| happen(&mut world, event));
        world.advance(SLO_NS);
        for model in 0..MODELS {
            if world.holds[model].is_some() {
                world.say(model, &0.0_f32.to_le_bytes());
            }
        }
        world.assert_empty();
        for noted in world.heard.noted.values() {
            let asked_one = noted.propensities.iter().sum::<f64>();
            prop_assert!(asked_one > 0.999 || noted.asked.is_empty());
        }
    }
}
