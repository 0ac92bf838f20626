//! What is answered of what several models say.

use super::*;

#[test]
fn the_class_with_the_most_votes_is_answered_as_soon_as_all_are_in() {
    let mut world = World::new(Setup::vote(3));
    let query = world.ask();
    for (model, class) in [(2, 7.0), (0, 3.0), (1, 7.0)] {
        assert_eq!(world.heard.told.len(), 0, "one is still to come");
        world.advance(MS);
        world.answer(model, class);
    }
    assert_eq!(world.number(query), 7.0);
    let told = world.told(query);
    assert_eq!((told.at_ns, told.confidence), (1_003 * MS, Some(2.0 / 3.0)));
    assert_eq!([0, 1, 2].map(|arm| world.stats.arms[arm].agreed.get()), [0, 1, 1]);
    world.assert_empty();
}

#[test]
fn at_the_deadline_what_is_there_is_combined_and_who_is_missing_does_not_agree() {
    let mut world = World::new(Setup::vote(4));
    let query = world.ask();
    (0..4).for_each(|model| assert_eq!(world.take(model), 1));
    world.say(1, &5.0_f32.to_le_bytes());
    world.say(3, &5.0_f32.to_le_bytes());
    world.advance(SLO_NS);
    assert_eq!((world.number(query), world.told(query).confidence), (5.0, Some(0.5)));
    assert_eq!([0, 1, 2, 3].map(|arm| world.stats.arms[arm].stragglers.get()), [1, 0, 1, 0]);
    world.say(0, &9.0_f32.to_le_bytes());
    world.say(2, &9.0_f32.to_le_bytes());
    world.assert_empty();
}

#[test]
fn when_nothing_is_there_at_the_deadline_the_default_is_answered() {
    let mut world = World::new(Setup::vote(2));
    let query = world.ask();
    world.advance(SLO_NS);
    assert_eq!(world.told(query).output, Err(Reason::Late));
    world.assert_empty();
}

#[test]
fn an_answer_with_too_little_confidence_is_the_default_one() {
    let mut world = World::new(Setup { unsure_below: 0.5, ..Setup::vote(3) });
    let unsure = world.ask();
    [1.0, 2.0, 3.0].into_iter().enumerate().for_each(|(model, said)| world.answer(model, said));
    assert_eq!(world.told(unsure).output, Err(Reason::Unsure));
    let sure = world.ask();
    [1.0, 2.0, 2.0].into_iter().enumerate().for_each(|(model, said)| world.answer(model, said));
    assert_eq!((world.number(sure), world.told(sure).confidence), (2.0, Some(2.0 / 3.0)));
    assert_eq!(world.heard.noted.values().filter(|it| it.answer == Said::Nothing).count(), 1);
    world.assert_empty();
}

#[test]
fn values_are_a_mean_and_agree_within_the_tolerance() {
    let mut world = World::new(Setup::values(4, 1.0));
    let query = world.ask();
    [1.0, 2.0, 3.0, 6.0]
        .into_iter()
        .enumerate()
        .for_each(|(model, said)| world.answer(model, said));
    assert_eq!((world.number(query), world.told(query).confidence), (3.0, Some(0.5)));
    world.assert_empty();
}

#[test]
fn a_missing_value_is_its_mean_so_far_and_does_not_agree() {
    let setup = Setup { substitute: Substitute::Mean, ..Setup::values(2, 0.5) };
    let mut world = World::new(setup);
    for said in [4.0, 8.0] {
        world.ask();
        world.answer(0, 0.0);
        world.answer(1, said);
    }
    let query = world.ask();
    world.answer(0, 6.0);
    world.take(1);
    world.advance(SLO_NS);
    assert_eq!((world.number(query), world.told(query).confidence), (6.0, Some(0.5)));
    let alone = world.ask();
    world.take(0);
    world.advance(SLO_NS);
    let nobody_came = &world.told(alone).output;
    assert_eq!(*nobody_came, Err(Reason::Late), "a mean alone is no answer");
    [0, 1].into_iter().for_each(|model| world.say(model, &0.0_f32.to_le_bytes()));
    world.assert_empty();
}

#[test]
fn scores_are_a_mean_of_each_class() {
    let shape = cutter_tensor::Shape::new(&[3]).unwrap();
    let output = TensorSpec::exact(ElementType::Float32, shape);
    let setup = Setup { reading: Reading::Scores, output, ..Setup::vote(3) };
    let mut world = World::new(setup);
    let query = world.ask();
    let all = [[0.5, 0.25, 0.25], [0.0, 0.75, 0.25], [0.25, 0.5, 0.25_f32]];
    for (model, scores) in all.iter().enumerate() {
        world.take(model);
        let bytes: Vec<u8> = scores.iter().flat_map(|score| score.to_le_bytes()).collect();
        world.say(model, &bytes);
    }
    let told = world.told(query);
    let mean: Vec<u8> = [0.25, 0.5, 0.25_f32].iter().flat_map(|it| it.to_le_bytes()).collect();
    assert_eq!((told.output.clone(), told.confidence), (Ok(mean), Some(2.0 / 3.0)));
    world.assert_empty();
}

#[test]
fn who_fails_or_cannot_be_read_counts_as_missing() {
    let mut world = World::new(Setup::vote(3));
    let query = world.ask();
    world.take(0);
    world.give(0, Item::Failed(b"no"));
    world.answer(1, 0.5);
    world.answer(2, 4.0);
    assert_eq!((world.number(query), world.told(query).confidence), (4.0, Some(1.0 / 3.0)));
    let query = world.ask();
    (0..3).for_each(|model| world.answer(model, f32::NAN));
    assert_eq!(world.told(query).output, Err(Reason::ModelError));
    world.assert_empty();
}

#[test]
fn a_client_that_asks_hears_what_each_model_said_when_and_what_it_counted_for() {
    let mut world = World::new(Setup::vote(3));
    let query = world.ask_with(&Asking { explain: true, ..Asking::default() });
    world.advance(MS);
    world.answer(1, 2.0);
    world.advance(MS);
    world.answer(0, 2.0);
    world.take(2);
    world.advance(SLO_NS);
    let said = Some(2.0_f32.to_le_bytes().to_vec());
    let members = [
        (0, said.clone(), Some(1_002 * MS), 0.5),
        (1, said, Some(1_001 * MS), 0.5),
        (2, None, None, 0.0),
    ];
    assert_eq!(world.told(query).members, members);
    world.say(2, &2.0_f32.to_le_bytes());
    world.assert_empty();
}

#[test]
fn a_baseline_is_answered_at_once_whatever_the_others_say() {
    let mode = Mode::Apprentice { baseline: 1 };
    let mut world = World::new(Setup { mode, ..Setup::vote(3) });
    let query = world.ask();
    world.answer(0, 9.0);
    assert_eq!(world.heard.told.len(), 0);
    world.answer(1, 1.0);
    assert_eq!(world.number(query), 1.0);
    let failed = world.ask();
    world.take(1);
    world.give(1, Item::Failed(b"no"));
    assert_eq!(world.told(failed).output, Err(Reason::ModelError));
}

#[test]
fn queries_decided_under_other_links_are_answered_by_who_comes_first() {
    let mut world = World::new(Setup::vote(3));
    let query = world.ask();
    (0..3).for_each(|model| assert_eq!(world.take(model), 1));
    let stats = Arc::new(SelectionStats::new(2));
    world.link(vec![2, 0], Some(Setup::vote(2).learner(&stats)));
    world.say(1, &6.0_f32.to_le_bytes());
    assert_eq!(world.number(query), 6.0);
    [0, 2].into_iter().for_each(|model| world.say(model, &0.0_f32.to_le_bytes()));
    assert_eq!(world.heard.noted.len(), 0, "nobody knows what was decided");
    world.assert_empty();
}

#[test]
fn one_model_alone_is_explained_too() {
    let mut world = World::new(Setup::vote(1));
    let query = world.ask_with(&Asking { explain: true, ..Asking::default() });
    world.answer(0, 2.0);
    assert_eq!((world.number(query), world.told(query).members.len()), (2.0, 1));
    world.assert_empty();
}
