//! Predictions that are known: the short way to them beside the long one, which is all that a port
//! has that remembers no bodies.

use std::sync::Arc;

use cutter_core::cache::CacheStats;
use cutter_core::limits::CACHE_BYTES_MIN;
use cutter_core::stats::ApplicationStats;
use proptest::prelude::*;

use super::super::question::Slot;
use super::*;

const MS: u64 = 1_000_000;
/// How long an output is good for.
const TTL_NS: u64 = 50 * MS;
/// What the model can say: the same bytes, in two types.
const SPECS: [ElementType; 2] = [ElementType::Int32, ElementType::Float32];

/// A world whose model has a cache, and what is counted of both.
struct Counted {
    world: World,
    application: Arc<ApplicationStats>,
    cache: Arc<CacheStats>,
    /// Queries that the model has answered.
    predicted: u64,
}

impl Counted {
    fn new() -> Self {
        let text = format!(
            "[server]\nsocket = \"s\"\n[[application]]\nname = \"pairs\"\n\
             input = {{ type = \"floats\", shape = [2] }}\nslo_us = {}\n\
             default_output = \"-1\"\nmodels = [\"places\"]\n\
             [[model]]\nname = \"places\"\nbatch = {{ policy = \"fixed\", max = 4 }}\n\
             cache = {{ bytes = {CACHE_BYTES_MIN}, ttl_us = {} }}\n",
            SLO_NS / 1_000,
            TTL_NS / 1_000,
        );
        let (mut config, _) = config::parse(&text).unwrap();
        // Fewer than a configuration can ask for.
        (config.applications[0].rows, config.applications[0].rows_at_start) = (ROWS, ROWS);
        let Engine { core, frontend, stats, registry, ids, .. } =
            Engine::new(&config, SMALL, 1_000, &|| false).unwrap();
        let counted = registry.counted(&stats);
        let clock = TestClock(Cell::new(1_000));
        let mut world = World { core, frontend, ids, clock }.and_replica();
        world.frontend.open(0, 1_000);
        let (application, (_, cache)) = (&counted.applications[0], &counted.caches[0]);
        let (application, cache) = (Arc::clone(application), Arc::clone(cache));
        Self { world, application, cache, predicted: 0 }
    }

    /// One that reads each body, and so never goes the short way.
    fn without_memo() -> Self {
        let mut counted = Self::new();
        let World { frontend, ids, .. } = &mut counted.world;
        frontend.replies.endpoints.set_memo(ids.applications[0], None);
        counted
    }

    /// Asks, and says what is answered now.
    fn ask(&mut self, number: u8) -> String {
        self.world.receive(&post(&format!("{{\"input\": [{number}, 0.5]}}")));
        self.world.output()
    }

    /// Whether queries wait for the model: one that is asked while a connection is owed as much as
    /// it may be does so later.
    fn is_waiting(&self) -> bool {
        self.cache.misses.get() + self.cache.bypassed.get() > self.predicted
    }

    fn predict(&mut self) -> String {
        if self.is_waiting() {
            self.predicted += self.world.predict() as u64;
        }
        self.world.output()
    }

    /// Time goes on: less than a query may take, so that none of those that wait is late.
    fn pass(&mut self, ns: u64) -> String {
        let mut answers = String::new();
        while self.is_waiting() {
            answers += &self.predict();
        }
        self.world.clock.0.set(self.world.clock.0.get() + ns);
        answers
    }

    /// The model is another one, which says things of another type.
    fn change_type(&mut self, element: ElementType) {
        let (core, now_ns) = (&mut self.world.core, self.world.clock.now_ns());
        let replica = self.world.ids.replicas[0];
        let sink = &mut self.world.frontend.replies;
        core.replica_lost(now_ns, replica, Death::Stopped, sink);
        core.replica_up(now_ns, replica, TensorSpec::scalar(element), 2, 4);
    }

    fn step(&mut self, (kind, number): Step) -> String {
        match kind {
            0..6 => self.ask(number % 6),
            6..8 => self.predict(),
            8 => self.pass(u64::from(number) * MS),
            _ => {
                let answers = self.pass(0);
                self.change_type(SPECS[usize::from(number % 2)]);
                answers
            }
        }
    }

    /// All that is counted, and what is to be counted of the answers that were sent.
    fn books(&mut self) -> String {
        let sent: Vec<_> = self.world.frontend.replies.take_replied().collect();
        format!("{:?} {:?} {sent:?}", self.application, self.cache)
    }

    fn went_the_short_way(&self) -> bool {
        matches!(self.world.frontend.lists.slots[..], [Slot::Known(_)])
    }
}

type Step = (u8, u8);

/// Does the same on both ways.
fn compare(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut both = [Counted::new(), Counted::without_memo()];
    for step in steps {
        let [short, long] = both.each_mut().map(|counted| counted.step(step));
        prop_assert_eq!(short, long);
    }
    let [short, long] = both.each_mut().map(Counted::books);
    prop_assert_eq!(short, long);
    Ok(())
}

#[test]
fn more_than_a_connection_may_be_owed_is_told_and_counted_the_same() {
    compare((0..60).map(|number| (0, number)).chain([(8, 0), (9, 1)]).collect()).unwrap();
}

#[test]
fn a_prediction_that_is_known_takes_no_row_even_if_there_is_none() {
    let mut counted = Counted::new();
    counted.ask(0);
    assert!(counted.predict().contains("\"default\":false"));
    let application = counted.world.ids.applications[0];
    (0..ROWS).for_each(|_| assert!(counted.world.core.reserve(application).is_some()));
    assert!(counted.ask(0).ends_with("{\"query_id\":2,\"output\":0,\"default\":false}"));
    assert!(counted.went_the_short_way());
    assert!(counted.ask(1).contains("\"reason\":\"overloaded\""));
}

#[test]
fn a_prediction_that_is_too_old_is_asked_for_again_whatever_was_known_of_its_body() {
    let mut counted = Counted::new();
    for _ in 0..3 {
        assert_eq!(counted.ask(0), "");
        counted.predict();
        counted.pass(TTL_NS - 1);
        assert!(counted.ask(0).contains("\"default\":false") && counted.went_the_short_way());
        counted.pass(1);
    }
    assert_eq!((counted.cache.hits.get(), counted.cache.expired.get()), (3, 2));
}

#[test]
fn a_cache_is_asked_whether_it_pays_on_the_short_way_too() {
    let mut both = [Counted::new(), Counted::without_memo()];
    both.iter_mut().for_each(|counted| {
        counted.ask(0);
        counted.predict();
    });
    for _ in 0..5_000 {
        let [short, long] = both.each_mut().map(|counted| counted.ask(0));
        assert_eq!(short, long);
    }
    let [short, long] = both.each_mut().map(Counted::books);
    assert_eq!(short, long);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_told_and_counted_is_the_same_as_on_the_long_way(
        steps in prop::collection::vec((0_u8..10, 0_u8..60), 0..200),
    ) {
        compare(steps)?;
    }
}
