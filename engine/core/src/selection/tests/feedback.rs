//! What is learned of what clients say.

use super::super::{Target, Update, Updated};
use super::*;
use crate::feedback::{Lesson, Truth, Vector};
use crate::policy::{BetaThompson, EpsilonGreedy, Exp4, LinUcb};

pub(super) fn label(number: f64) -> Lesson {
    Lesson::Label(Truth::number(number, number.to_string().as_bytes()))
}

fn hedge(models: usize) -> Setup {
    Setup { policy: Box::new(Exp4::new(0.5, 0.0).unwrap()), ..Setup::vote(models) }
}

impl World {
    fn update(&mut self, target: Target, lesson: Lesson) -> Updated {
        let update = Update {
            application: self.application,
            target,
            lesson,
            key: &[],
            vector: Vector::NONE,
        };
        self.core.update(self.now_ns, &update, &mut self.heard)
    }

    /// Of a query by its id: in these worlds it is its number.
    pub(super) fn tell(&mut self, query: u64, lesson: Lesson) -> Updated {
        self.update(Target::Query(query), lesson)
    }

    pub(super) fn tell_input(&mut self, input: u8, lesson: Lesson) -> Updated {
        let row = self.core.reserve(self.application).expect("a row is free");
        self.core.row_mut(self.application, row, 4).fill(input);
        let mut budget_bytes = usize::MAX;
        assert!(self.core.commit(self.application, row, 4, &mut budget_bytes));
        self.update(Target::Input { row, bytes: 4 }, lesson)
    }

    /// All models are asked and say these.
    fn round(&mut self, said: &[f32]) -> u64 {
        let query = self.ask();
        said.iter().enumerate().for_each(|(model, said)| self.answer(model, *said));
        query
    }

    /// The weights of the last answer of several models.
    fn weights(&self) -> Vec<u64> {
        self.stats.arms.iter().map(|arm| arm.weight.get()).collect()
    }

    fn losses(&self, arm: usize) -> (u64, u64) {
        let counted = &self.stats.arms[arm];
        (counted.learned.get(), counted.losses.get())
    }
}

#[test]
fn a_label_teaches_of_each_model_that_was_asked_how_wrong_it_was() {
    let mut world = World::new(hedge(3));
    let query = world.round(&[1.0, 2.0, 2.0]);
    assert_eq!(world.tell(query, label(1.0)), Updated::Learned);
    let losses = vec![Some(0.0), Some(1.0), Some(1.0)];
    assert_eq!(world.heard.learned, [(query, losses, Some(1.0))]);
    (0..20).for_each(|_| {
        let query = world.round(&[1.0, 2.0, 2.0]);
        world.tell(query, label(1.0));
    });
    let query = world.round(&[1.0, 2.0, 2.0]);
    assert_eq!(world.number(query), 1.0, "one that is right outweighs two that are wrong");
    assert!(world.weights()[0] > 900_000, "{:?}", world.weights());
    assert_eq!((world.stats.judged.get(), world.losses(2)), (21, (21, 21_000_000)));
}

#[test]
fn what_was_told_before_changes_nothing() {
    let mut world = World::new(hedge(2));
    let query = world.round(&[1.0, 2.0]);
    assert_eq!(world.tell(query, label(1.0)), Updated::Learned);
    let weights = {
        world.round(&[1.0, 2.0]);
        world.weights()
    };
    assert_eq!(world.tell(query, label(2.0)), Updated::Duplicate);
    world.round(&[1.0, 2.0]);
    assert_eq!(world.weights(), weights);
    assert_eq!(world.tell(77, label(1.0)), Updated::Unknown);
    let feedback = &world.stats.feedback;
    let counts = [&feedback.learned, &feedback.duplicate, &feedback.unknown].map(|it| it.get());
    assert_eq!(counts, [1, 1, 1]);
}

#[test]
fn what_comes_after_its_time_is_late_and_what_is_withdrawn_is_not_learned() {
    let mut world = World::new(hedge(2));
    let late = world.round(&[1.0, 2.0]);
    let shown = world.round(&[1.0, 2.0]);
    assert_eq!(world.tell(shown, Lesson::Withdrawn), Updated::Withdrawn);
    assert_eq!(world.tell(shown, label(1.0)), Updated::Duplicate);
    world.advance(WAIT_NS);
    assert_eq!(world.tell(late, label(1.0)), Updated::Late);
    assert_eq!(world.heard.learned.len(), 0);
    assert_eq!(world.stats.feedback.expired.get(), 1);
}

#[test]
fn a_decision_that_leaves_the_window_is_late() {
    let mut world = World::new(hedge(2));
    let first = world.round(&[1.0, 2.0]);
    (0..WINDOW).for_each(|_| {
        world.round(&[1.0, 2.0]);
    });
    assert_eq!(world.tell(first, label(1.0)), Updated::Late);
}

#[test]
fn silence_is_a_loss_where_it_is_said_so() {
    let unrewarded = Unrewarded::DefaultLoss(0.5);
    let mut world = World::new(Setup { unrewarded, ..hedge(2) });
    let query = world.round(&[1.0, 1.0]);
    world.advance(WAIT_NS);
    world.expire();
    assert_eq!([0, 1].map(|arm| world.losses(arm)), [(1, 500_000); 2]);
    // It is told as if somebody had said so.
    assert_eq!(world.heard.learned, [(query, vec![Some(0.5); 2], Some(0.5))]);
}

#[test]
fn a_reward_is_that_of_the_models_that_agreed_with_the_answer() {
    let rewards = (-1.0, 1.0);
    let mut world = World::new(Setup { rewards, ..hedge(3) });
    let query = world.round(&[1.0, 1.0, 2.0]);
    for reward in [f64::NAN, 1.5, -1.5, f64::INFINITY] {
        assert_eq!(world.tell(query, Lesson::Reward(reward)), Updated::Reward);
    }
    assert_eq!(world.tell(query, Lesson::Reward(0.5)), Updated::Learned);
    let losses = vec![Some(0.25), Some(0.25), None];
    assert_eq!(world.heard.learned, [(query, losses, Some(0.25))]);
}

#[test]
fn a_label_of_another_kind_is_refused_and_can_be_told_right_then() {
    let mut world = World::new(hedge(2));
    let query = world.round(&[1.0, 1.0]);
    assert_eq!(world.tell(query, Lesson::Label(Truth::text(b"one"))), Updated::Label);
    assert_eq!(world.tell(query, label(1.0)), Updated::Learned);
}

#[test]
fn a_default_output_teaches_nothing_of_a_model_unless_it_is_said_so() {
    for (default_teaches, learned) in [(false, 0), (true, 1)] {
        let mut world = World::new(Setup { default_teaches, ..hedge(2) });
        let query = world.ask();
        world.answer(0, 3.0);
        world.take(1);
        world.advance(SLO_NS);
        assert_eq!(world.tell(query, label(3.0)), Updated::Learned);
        assert_eq!([0, 1].map(|arm| world.losses(arm)), [(1, 0), (learned, learned * 1_000_000)]);
        world.say(1, &3.0_f32.to_le_bytes());
    }
}

#[test]
fn what_a_straggler_says_later_is_learned_from_too() {
    let mut world = World::new(hedge(2));
    let query = world.ask();
    world.answer(0, 3.0);
    world.take(1);
    world.advance(SLO_NS);
    world.say(1, &4.0_f32.to_le_bytes());
    world.tell(query, label(3.0));
    assert_eq!([0, 1].map(|arm| world.losses(arm)), [(1, 0), (1, 1_000_000)]);
}

#[test]
fn feedback_on_an_input_finds_the_latest_decision_for_it() {
    let mut world = World::new(hedge(2));
    let asking = Asking::default();
    for said in [[1.0, 2.0], [1.0, 1.0]] {
        world.ask_of(9, &asking);
        said.iter().enumerate().for_each(|(model, said)| world.answer(model, *said));
    }
    assert_eq!(world.tell_input(9, label(1.0)), Updated::Learned);
    assert_eq!(world.tell_input(9, label(1.0)), Updated::Learned);
    let ids: Vec<u64> = world.heard.learned.iter().map(|(id, ..)| *id).collect();
    assert_eq!(ids, [2, 1]);
    assert_eq!(world.tell_input(9, label(1.0)), Updated::Duplicate);
    world.assert_empty();
}

#[test]
fn an_input_that_was_not_asked_is_evaluated_and_nobody_is_answered() {
    let mut world = World::new(hedge(2));
    assert_eq!(world.tell_input(9, label(2.0)), Updated::Evaluating);
    world.answer(1, 2.0);
    assert_eq!(world.heard.learned.len(), 0);
    world.answer(0, 1.0);
    let (id, losses, answer_loss) = &world.heard.learned[0];
    assert_eq!((losses.as_slice(), *answer_loss), (&[Some(1.0), Some(0.0)][..], None));
    let noted = &world.heard.noted[id];
    assert!(noted.is_evaluation);
    assert_eq!((noted.servable, noted.asked), (Models::first(2), Models::first(2)));
    assert_eq!(noted.propensities, [1.0; 2]);
    assert_eq!(
        (noted.said.as_slice(), noted.answer),
        (&[1, 2].map(Said::Class)[..], Said::Nothing)
    );
    assert_eq!(world.stats.feedback.evaluated.get(), 1);
    assert_eq!(world.tell_input(8, Lesson::Reward(1.0)), Updated::Unknown);
    world.assert_empty();
}

#[test]
fn without_the_numbers_that_its_policy_looks_at_no_input_is_evaluated_but_for_the_log() {
    let looking = || Setup { policy: Box::new(LinUcb::new(2, 1.0, 0.0).unwrap()), ..hedge(2) };
    let mut world = World::new(looking());
    assert_eq!(world.tell_input(9, label(2.0)), Updated::NoVector);
    assert_eq!(world.stats.feedback.unusable.get(), 1);
    world.assert_empty();
    let mode = Mode::LogOnly { baseline: 0 };
    let mut world = World::new(Setup { mode, ..looking() });
    assert_eq!(world.tell_input(9, label(2.0)), Updated::Evaluating);
    [2.0, 1.0].iter().enumerate().for_each(|(model, said)| world.answer(model, *said));
    assert_eq!(world.heard.noted.len(), 1, "it is logged");
    world.assert_empty();
}

#[test]
fn an_evaluation_learns_of_what_came_when_its_patience_ends() {
    let mut world = World::new(hedge(2));
    world.tell_input(9, label(2.0));
    world.answer(0, 2.0);
    world.take(1);
    world.advance(crate::limits::EVALUATION_NS);
    assert_eq!(world.heard.learned[0].1, [Some(0.0), None]);
    world.say(1, &0.0_f32.to_le_bytes());
    world.assert_empty();
}

#[test]
fn what_the_caches_know_is_learned_from_at_once() {
    let mut world = World::new(Setup { caches: true, ..hedge(2) });
    world.ask_of(9, &Asking::default());
    [1.0, 2.0].iter().enumerate().for_each(|(model, said)| world.answer(model, *said));
    world.tell_input(9, label(1.0));
    world.advance(WAIT_NS);
    world.ask_of(8, &Asking::default());
    [1.0, 2.0].iter().enumerate().for_each(|(model, said)| world.answer(model, *said));
    let other = Lesson::Label(Truth::number(1.0, b"1"));
    (0..WINDOW).for_each(|_| {
        world.ask_of(8, &Asking::default());
    });
    assert_eq!(world.tell_input(9, other), Updated::Learned);
    assert_eq!(world.heard.learned.last().unwrap().1, [Some(0.0), Some(1.0)]);
    world.assert_empty();
}

#[test]
fn one_model_that_is_asked_learns_by_the_propensity_that_it_was_asked_with() {
    let policy = Box::new(EpsilonGreedy::new(0.2, 1.0).unwrap());
    let mut world = World::new(Setup { policy, ..Setup::vote(2) });
    let mut right = 0;
    for _ in 0..400 {
        let query = world.ask();
        let model = world.asked()[0];
        world.answer(model, if model == 1 { 1.0 } else { 0.0 });
        right += usize::from(model == 1);
        world.tell(query, label(1.0));
    }
    assert!(right > 320, "{right} of 400 asked the one that is right");
}

#[test]
fn each_context_learns_for_itself_and_begins_with_what_the_application_knows() {
    let policy = Box::new(BetaThompson::new(0.99, 0.0).unwrap());
    let mut world = World::new(Setup { policy, contexts: 8, ..Setup::vote(2) });
    let mut asked = [[0; 2]; 2];
    for round in 0..600 {
        let user = round % 2;
        let key = [b"ann", b"bob"][user];
        let query = world.ask_with(&Asking { key, ..Asking::default() });
        let model = world.asked()[0];
        world.answer(model, if model == user { 1.0 } else { 0.0 });
        world.tell(query, label(1.0));
        asked[user][model] += usize::from(round >= 300);
    }
    assert!(asked[0][0] > 130 && asked[1][1] > 130, "{asked:?}");
}

#[test]
fn an_apprentice_learns_beside_its_baseline_and_tells_how_it_would_have_done() {
    let mode = Mode::Apprentice { baseline: 0 };
    let policy = Box::new(BetaThompson::new(0.99, 0.0).unwrap());
    let mut world = World::new(Setup { policy, mode, ..Setup::vote(2) });
    for _ in 0..300 {
        let query = world.ask();
        for model in world.asked().into_iter().rev() {
            world.answer(model, if model == 1 { 1.0 } else { 0.0 });
        }
        assert_eq!(world.number(query), 0.0, "the baseline is answered");
        world.tell(query, label(1.0));
    }
    let stats = &world.stats;
    let share = |counter: &crate::stats::Counter| counter.get() as f64 / 300.0;
    assert_eq!((share(&stats.judged), stats.earned.get()), (1.0, 0));
    assert!(share(&stats.beside_earned) / 1e6 > 0.85, "{stats:?}");
    assert!(share(&stats.beside_agreed) < 0.15);
}

#[test]
fn one_that_logs_only_learns_nothing() {
    let mode = Mode::LogOnly { baseline: 0 };
    let mut world = World::new(Setup { mode, ..Setup::one_of(2) });
    let query = world.ask();
    world.answer(0, 1.0);
    assert_eq!(world.tell(query, label(2.0)), Updated::Learned);
    assert_eq!((world.losses(0), world.stats.judged.get()), ((0, 0), 1));
    assert_eq!(world.heard.learned.len(), 1, "it is told all the same");
}

#[test]
fn who_has_no_policy_learns_nothing() {
    let mut world = World::new(Setup::vote(1));
    world.link(Vec::new(), None);
    assert_eq!(world.tell(1, label(1.0)), Updated::NoPolicy);
    assert_eq!(world.tell_input(1, label(1.0)), Updated::NoPolicy);
    assert_eq!(world.core.view().applications[0].1.rows_in_use, 0);
}

#[test]
fn a_look_shows_what_a_learner_holds_and_what_it_waits_for() {
    let mut world = World::new(Setup { contexts: 4, ..hedge(2) });
    let queries = [(); 3].map(|()| world.round(&[1.0, 2.0]));
    world.tell(queries[1], label(1.0));
    let asking = Asking { key: b"ann", vector: None, explain: false };
    let of_context = world.ask_of(7, &asking);
    [0, 1].into_iter().for_each(|model| world.answer(model, 1.0));
    let look = |world: &World| world.core.view().applications[0].1.learner.unwrap();
    assert_eq!((look(&world).decisions_waiting, look(&world).contexts.held), (3, 1));
    world.tell(of_context, label(1.0));
    assert_eq!((look(&world).decisions_waiting, look(&world).contexts.held), (2, 2));
    world.advance(WAIT_NS);
    world.expire();
    assert_eq!(look(&world).decisions_waiting, 0);
    world.link(Vec::new(), None);
    assert_eq!(world.core.view().applications[0].1.learner, None);
}

#[test]
fn an_evaluation_whose_models_are_not_linked_any_more_answers_nobody() {
    let mut world = World::new(hedge(2));
    assert_eq!(world.tell_input(9, label(2.0)), Updated::Evaluating);
    (0..2).for_each(|model| assert_eq!(world.take(model), 1));
    let stats = Arc::new(SelectionStats::new(1));
    world.link(vec![0], Some(hedge(1).learner(&stats)));
    (0..2).for_each(|model| world.say(model, &2.0_f32.to_le_bytes()));
    assert_eq!((world.heard.told.len(), world.heard.learned.len()), (0, 0));
    world.assert_empty();
}
