//! Calls that are sent to a second replica: a policy hears of the first output only.

use super::super::Updated;
use super::*;
use crate::hedge::{Hedge, HedgePlan};
use crate::limits::HEDGE_HISTORY_MIN;

/// The second replica of the first model.
const SECOND: usize = 2;

/// Two models that a policy asks. The first has two replicas, of which one has a history of batches
/// that took no time.
fn hedged() -> World {
    let mut world = World::new(Setup::vote(2));
    let model = world.models[0];
    world.core.models[model].hedge = Some(Box::new(Hedge::new(HedgePlan { share: 1.0 })));
    let id = ReplicaId::new(whole(SECOND), 0);
    let plan = ReplicaPlan {
        core: None,
        model,
        ordinal: 1,
        depth: 1,
        items_max: ROWS,
        limit: LimitPlan::Fixed { max: ROWS },
        stats: Arc::default(),
    };
    let replica = Box::new(Replica::new(plan));
    world.change(Change::AddReplica { id, replica });
    world.core.replica_up(world.now_ns, id, FLOAT, 1, ROWS);
    world.replicas.push(id);
    world.holds.push(None);
    // Nothing was predicted for the first.
    for _ in 0..=HEDGE_HISTORY_MIN {
        world.ask();
        [0, 1].into_iter().for_each(|model| world.answer(model, 1.0));
    }
    world
}

impl World {
    /// Both replicas of the first model have the same call.
    fn take_twice(&mut self) {
        assert_eq!((self.take(0), self.take(SECOND)), (1, 0));
        self.advance(MS);
        assert_eq!(self.take(SECOND), 1);
    }
}

#[test]
fn what_the_second_replica_says_is_the_models_and_what_the_first_says_later_is_not() {
    let mut world = hedged();
    let query = world.ask();
    world.take_twice();
    world.answer(1, 3.0);
    world.say(SECOND, &3.0_f32.to_le_bytes());
    assert_eq!(world.number(query), 3.0);
    world.say(0, &4.0_f32.to_le_bytes());
    world.tell(query, feedback::label(3.0));
    let (_, losses, _) = world.heard.learned.last().unwrap();
    assert_eq!(*losses, [Some(0.0), Some(0.0)]);
    world.assert_empty();
}

#[test]
fn of_two_outputs_that_both_come_too_late_the_first_is_what_the_model_said() {
    let mut world = hedged();
    let query = world.ask();
    world.take_twice();
    world.answer(1, 3.0);
    world.advance(SLO_NS);
    world.say(0, &3.0_f32.to_le_bytes());
    world.say(SECOND, &4.0_f32.to_le_bytes());
    world.tell(query, feedback::label(3.0));
    let (_, losses, _) = world.heard.learned.last().unwrap();
    assert_eq!(*losses, [Some(0.0), Some(0.0)]);
    world.assert_empty();
}

#[test]
fn an_evaluation_goes_on_with_the_first_output_and_the_second_changes_nothing() {
    let mut world = hedged();
    assert_eq!(world.tell_input(9, feedback::label(3.0)), Updated::Evaluating);
    world.take_twice();
    world.say(SECOND, &3.0_f32.to_le_bytes());
    world.say(0, &4.0_f32.to_le_bytes());
    world.answer(1, 3.0);
    let (_, losses, _) = world.heard.learned.last().unwrap();
    assert_eq!(*losses, [Some(0.0), Some(0.0)]);
    world.assert_empty();
}
