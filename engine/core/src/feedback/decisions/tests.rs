//! The ring against a list of all decisions ever recorded.

use proptest::prelude::*;

use super::*;

const MODELS: usize = 2;
const WAIT_NS: u64 = 10;
const FIRST_ID: u64 = 100;

fn decision(query_id: u64, input: u128, answered_ns: u64) -> Decision<'static> {
    Decision {
        query_id,
        input,
        arrived_ns: answered_ns.saturating_sub(1),
        answered_ns,
        context: b"ann",
        servable: Models::first(MODELS),
        asked: Models::only(1),
        propensities: &[0.25, 0.75],
        said: &[Said::Nothing, Said::Class(3)],
        answer: Said::Class(3),
        vector: &[],
    }
}

/// Records one whose place nobody had that still waits.
fn record(decisions: &mut Decisions, decision: &Decision<'_>) {
    decisions.record(decision, |expired| panic!("{expired:?} waits"));
}

fn ring(places: usize) -> Decisions {
    Decisions::new(places, (MODELS, 0), WAIT_NS, FIRST_ID)
}

fn waiting(found: Found) -> DecisionPlace {
    match found {
        Found::Waiting(place) => place,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_recorded_is_found_by_its_id_and_by_its_input() {
    let mut decisions = ring(4);
    let longest =
        Decision { context: &[7; crate::limits::CONTEXT_KEY_BYTES_MAX], ..decision(100, 5, 0) };
    record(&mut decisions, &longest);
    let place = waiting(decisions.find_by_id(100));
    assert_eq!(decisions.find_by_input(5), Found::Waiting(place));
    assert_eq!(decisions.decision(place), longest);
    assert_eq!(decisions.find_by_id(101), Found::Unknown);
    assert_eq!(decisions.find_by_input(5 + (1 << 64)), Found::Unknown, "half of it is the same");
}

#[test]
fn a_decision_is_learned_once_and_what_was_withdrawn_stays_so() {
    let mut decisions = ring(4);
    [100, 101].iter().for_each(|id| record(&mut decisions, &decision(*id, 5, 0)));
    decisions.finish(waiting(decisions.find_by_id(101)), Ending::Learned);
    assert_eq!(decisions.find_by_id(101), Found::Duplicate);
    let older = waiting(decisions.find_by_input(5));
    assert_eq!(decisions.decision(older).query_id, 100);
    decisions.finish(older, Ending::Withdrawn);
    assert_eq!(decisions.find_by_id(100), Found::Withdrawn);
    assert_eq!(decisions.find_by_input(5), Found::Duplicate, "so ended the latest");
    assert_eq!(decisions.take_expired(u64::MAX), None);
}

#[test]
fn a_decision_expires_when_its_time_is_over_or_its_place_is_needed() {
    let mut decisions = ring(2);
    [(100, 0), (101, 3)].iter().for_each(|(id, at)| {
        record(&mut decisions, &decision(*id, u128::from(*id), *at));
    });
    assert_eq!(decisions.take_expired(9), None);
    assert_eq!(decisions.next_due_ns(), Some(10));
    assert_eq!(decisions.take_expired(10).map(|decision| decision.query_id), Some(100));
    assert_eq!(
        (decisions.find_by_id(100), decisions.find_by_input(100)),
        (Found::Late, Found::Late)
    );
    record(&mut decisions, &decision(102, 102, 11));
    assert_eq!(
        (decisions.find_by_id(100), decisions.find_by_id(99)),
        (Found::Late, Found::Unknown)
    );
    let mut expired = Vec::new();
    decisions.record(&decision(103, 103, 12), |decision| expired.push(decision.query_id));
    assert_eq!((expired, decisions.find_by_id(101)), (vec![101], Found::Late));
    assert_eq!(decisions.next_due_ns(), Some(21));
}

#[test]
fn what_a_model_says_late_counts_while_the_decision_waits() {
    let mut decisions = ring(2);
    record(&mut decisions, &decision(100, 5, 0));
    assert!(decisions.note_said(100, 0, Said::Class(4)));
    let place = waiting(decisions.find_by_id(100));
    assert_eq!(decisions.decision(place).said, [Said::Class(4), Said::Class(3)]);
    decisions.finish(place, Ending::Learned);
    assert!(!decisions.note_said(100, 0, Said::Class(5)));
    assert!(!decisions.note_said(101, 0, Said::Class(5)));
}

#[test]
fn its_memory_is_what_is_told_of_it() {
    let decisions = ring(5);
    let bytes = size_of_val(&*decisions.records)
        + size_of_val(&*decisions.propensities)
        + size_of_val(&*decisions.said)
        + 2 * Index::table_bytes(5);
    assert_eq!(Decisions::table_bytes(5, (MODELS, 0)), bytes);
    assert!(size_of::<Record>() <= 192, "{}", size_of::<Record>());
}

/// What is done to the ring.
#[derive(Clone, Debug)]
enum Step {
    Record { input: u128, id_step: u64 },
    Wait(u64),
    FinishById(u64, Ending),
    FinishByInput(u128, Ending),
}

fn step() -> impl Strategy<Value = Step> {
    let ending = || prop::sample::select(vec![Ending::Learned, Ending::Withdrawn, Ending::Expired]);
    prop_oneof![
        4 => (0_u128..4, 1_u64..3).prop_map(|(input, id_step)| Step::Record { input, id_step }),
        1 => (0_u64..8).prop_map(Step::Wait),
        2 => (FIRST_ID..FIRST_ID + 60, ending())
            .prop_map(|(id, ending)| Step::FinishById(id, ending)),
        2 => (0_u128..4, ending()).prop_map(|(input, ending)| Step::FinishByInput(input, ending)),
    ]
}

/// A decision, as a list would keep it.
#[derive(Clone, Copy, Debug)]
struct Kept {
    id: u64,
    input: u128,
    answered_ns: u64,
    ending: Option<Ending>,
}

/// Every decision ever recorded, in order.
#[derive(Debug, Default)]
struct Oracle {
    all: Vec<Kept>,
    places: usize,
}

impl Oracle {
    /// Those that are in the ring.
    fn ring(&mut self) -> &mut [Kept] {
        let left = self.all.len().saturating_sub(self.places);
        &mut self.all[left..]
    }

    fn by_id(&mut self, id: u64) -> Option<&mut Kept> {
        self.ring().iter_mut().find(|kept| kept.id == id)
    }

    fn by_input(&mut self, input: u128) -> Option<&mut Kept> {
        let of_input = |kept: &&mut Kept| kept.input == input;
        let waits = |kept: &Kept| kept.input == input && kept.ending.is_none();
        let any_waits = self.ring().iter().any(waits);
        let newest_first = self.ring().iter_mut().rev().filter(of_input);
        newest_first.into_iter().find(|kept| !any_waits || kept.ending.is_none())
    }

    fn has_left(&self, id: u64) -> bool {
        let left = self.all.len().saturating_sub(self.places);
        self.all[..left].iter().any(|kept| kept.id >= id)
    }

    /// Ends those that have waited long enough; gives their ids.
    fn expire(&mut self, now_ns: u64) -> Vec<u64> {
        let is_due =
            |kept: &&mut Kept| kept.ending.is_none() && kept.answered_ns + WAIT_NS <= now_ns;
        let due = self.ring().iter_mut().filter(is_due);
        due.map(|kept| {
            kept.ending = Some(Ending::Expired);
            kept.id
        })
        .collect()
    }
}

/// How what was found looks without a place.
fn shown(decisions: &Decisions, found: Found) -> String {
    match found {
        Found::Waiting(place) => format!("waiting {}", decisions.decision(place).query_id),
        other => format!("{other:?}"),
    }
}

fn expected(kept: &Kept) -> String {
    match kept.ending {
        None => format!("waiting {}", kept.id),
        Some(Ending::Learned) => "Duplicate".to_owned(),
        Some(Ending::Withdrawn) => "Withdrawn".to_owned(),
        Some(Ending::Expired) => "Late".to_owned(),
    }
}

fn check(decisions: &Decisions, oracle: &mut Oracle) {
    for id in FIRST_ID - 2..FIRST_ID + 60 {
        let absent = ["Unknown", "Late"][usize::from(id >= FIRST_ID && oracle.has_left(id))];
        let kept = oracle.by_id(id).map_or(absent.to_owned(), |kept| expected(kept));
        assert_eq!(shown(decisions, decisions.find_by_id(id)), kept, "id {id}");
    }
    for input in 0..4 {
        let kept = oracle.by_input(input).map_or("Unknown".to_owned(), |kept| expected(kept));
        assert_eq!(shown(decisions, decisions.find_by_input(input)), kept, "input {input}");
    }
    let waiting = oracle.ring().iter().filter(|kept| kept.ending.is_none()).count();
    assert_eq!(decisions.waiting(), waiting);
}

proptest! {
    #[test]
    fn it_agrees_with_a_list(
        places in 1_usize..7,
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut decisions = ring(places);
        let mut oracle = Oracle { places, ..Oracle::default() };
        let (mut now_ns, mut next_id) = (0, FIRST_ID);
        for step in steps {
            match step {
                Step::Record { input, id_step } => {
                    let mut expired = None;
                    let new = decision(next_id, input, now_ns);
                    decisions.record(&new, |decision| expired = Some(decision.query_id));
                    let oldest = oracle.ring().first().copied();
                    let oldest = oldest.filter(|_| oracle.all.len() >= places);
                    let waited = oldest.filter(|kept| kept.ending.is_none());
                    prop_assert_eq!(expired, waited.map(|kept| kept.id));
                    oracle.all.push(Kept { id: next_id, input, answered_ns: now_ns, ending: None });
                    next_id += id_step;
                }
                Step::Wait(ns) => {
                    now_ns += ns;
                    let mut taken = Vec::new();
                    while let Some(decision) = decisions.take_expired(now_ns) {
                        taken.push(decision.query_id);
                    }
                    prop_assert_eq!(taken, oracle.expire(now_ns));
                }
                Step::FinishById(id, ending) => {
                    if let Found::Waiting(place) = decisions.find_by_id(id) {
                        decisions.finish(place, ending);
                        oracle.by_id(id).expect("it waits").ending = Some(ending);
                    }
                }
                Step::FinishByInput(input, ending) => {
                    if let Found::Waiting(place) = decisions.find_by_input(input) {
                        decisions.finish(place, ending);
                        oracle.by_input(input).expect("it waits").ending = Some(ending);
                    }
                }
            }
            check(&decisions, &mut oracle);
        }
    }
}
