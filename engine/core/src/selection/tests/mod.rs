//! An application with a policy, by hand: queries come, replicas answer when they are told to.

mod answers;
mod caches;
mod choices;
mod feedback;
mod hedged;
mod scripts;

use std::collections::BTreeMap;
use std::sync::Arc;

use cutter_tensor::{ElementType, Item, OutputBytes, RowRef, TensorSpec};

use super::{Asking, Learner, LearnerPlan, Mode, Substitute};
use crate::cache::{CachePlan, CacheStats};
use crate::feedback::{Decided, Learned, Loss, Reading, Said, Unrewarded};
use crate::ids::{ApplicationId, ModelId, ReplicaId};
use crate::limits::{CACHE_BYTES_MIN, CACHE_PAYS_PARTS, LINKS_MAX};
use crate::policy::{Exp3, Models, PerModel, Policy, Vote};
use crate::rows::{HeapRows, Pool};
use crate::stats::{ApplicationStats, ModelStats, Reason, SelectionStats};
use crate::{
    Admission, Answer, Application, ApplicationPlan, BatchResults, Change, Core, Forming,
    ItemResults, LimitPlan, Link, Links, Model, ModelPlan, NewRoom, Outcome, Replica, ReplicaPlan,
    Room, Sink,
};

const MS: u64 = 1_000_000;
const SLO_NS: u64 = 20 * MS;
const ROWS: u32 = 16;
/// Decisions that can wait for feedback, and how long each does.
const WINDOW: usize = 8;
const WAIT_NS: u64 = 1_000 * MS;
const FLOAT: TensorSpec = TensorSpec::scalar(ElementType::Float32);

/// Which model said what, when and with what weight.
type Spoke = (usize, Option<Vec<u8>>, Option<u64>, f64);

/// What was told of a query.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    at_ns: u64,
    /// The output, or why there is none.
    output: Result<Vec<u8>, Reason>,
    confidence: Option<f64>,
    members: Vec<Spoke>,
}

/// A decision as it was noted.
#[derive(Clone, Debug, PartialEq)]
struct Noted {
    is_evaluation: bool,
    asked: Models,
    servable: Models,
    propensities: Vec<f64>,
    said: Vec<Said>,
    answer: Said,
}

/// From which query something was learned, the losses, and that of its answer.
type Taught = (u64, Vec<Option<f64>>, Option<f64>);

/// Who hears of everything.
#[derive(Debug, Default)]
struct Heard {
    told: BTreeMap<u64, Told>,
    noted: BTreeMap<u64, Noted>,
    learned: Vec<Taught>,
}

impl Sink for Heard {
    fn answer(&mut self, answer: &Answer<'_>) {
        let output = match answer.outcome {
            Outcome::Prediction { output, .. } => Ok(output.bytes().to_vec()),
            Outcome::Default { reason, .. } => Err(reason),
        };
        let members = answer.ensemble.map(|ensemble| ensemble.members).unwrap_or_default();
        let member = |member: &super::Member<'_>| {
            let said = member.output.map(|(output, _)| output.bytes().to_vec());
            (member.arm, said, member.came_ns, member.weight)
        };
        let told = Told {
            at_ns: answer.answered_ns,
            output,
            confidence: answer.ensemble.and_then(|ensemble| ensemble.confidence),
            members: members.iter().map(member).collect(),
        };
        let before = self.told.insert(answer.reply_to, told);
        assert_eq!(before, None, "a query is answered once");
    }

    fn decided(&mut self, decided: &Decided<'_>) {
        let noted = Noted {
            is_evaluation: decided.is_evaluation,
            asked: decided.asked,
            servable: decided.servable,
            propensities: decided.propensities.to_vec(),
            said: decided.said.to_vec(),
            answer: decided.answer,
        };
        let before = self.noted.insert(decided.query_id, noted);
        assert_eq!(before, None, "a query is decided once");
    }

    fn learned(&mut self, learned: &Learned<'_>) {
        let Learned { query_id, losses, answer_loss, .. } = *learned;
        self.learned.push((query_id, losses.to_vec(), answer_loss));
    }
}

/// What a world is made of.
#[derive(Debug)]
struct Setup {
    models: usize,
    policy: Box<dyn Policy>,
    reading: Reading,
    tolerance: f64,
    substitute: Substitute,
    unsure_below: f64,
    mode: Mode,
    caps: PerModel,
    on: Models,
    output: TensorSpec,
    /// Whether the models have caches.
    caches: bool,
    loss: Loss,
    rewards: (f64, f64),
    default_teaches: bool,
    unrewarded: Unrewarded,
    contexts: u32,
}

impl Setup {
    /// So many models that say a class, all of which are asked and count the same.
    fn vote(models: usize) -> Self {
        Self {
            models,
            policy: Box::new(Vote::majority()),
            reading: Reading::Class,
            tolerance: 0.0,
            substitute: Substitute::Nothing,
            unsure_below: 0.0,
            mode: Mode::Online,
            caps: [1.0; LINKS_MAX],
            on: Models::first(models),
            output: FLOAT,
            caches: false,
            loss: Loss::ZeroOne,
            rewards: (0.0, 1.0),
            default_teaches: false,
            unrewarded: Unrewarded::LeaveOut,
            contexts: 0,
        }
    }

    /// The same where one is asked.
    fn one_of(models: usize) -> Self {
        Self { policy: Box::new(Exp3::new(0.1, 0.0, 0.0).unwrap()), ..Self::vote(models) }
    }

    fn values(models: usize, tolerance: f64) -> Self {
        Self { reading: Reading::Value, tolerance, ..Self::vote(models) }
    }

    fn learner(self, stats: &Arc<SelectionStats>) -> Box<Learner> {
        Box::new(Learner::new(LearnerPlan {
            policy: self.policy,
            models: self.models,
            numbers: 0,
            reading: self.reading,
            tolerance: self.tolerance,
            substitute: self.substitute,
            unsure_below: self.unsure_below,
            loss: self.loss,
            rewards: self.rewards,
            default_teaches: self.default_teaches,
            mode: self.mode,
            caps: self.caps,
            on: self.on,
            seed: 7,
            contexts: self.contexts,
            series: None,
            hash_seed: 5,
            window: WINDOW,
            feedback_wait_ns: WAIT_NS,
            unrewarded: self.unrewarded,
            first_query_id: 1,
            stats: Arc::clone(stats),
        }))
    }
}

/// An application, and models of one replica each that hold what they are sent.
struct World {
    core: Core,
    application: ApplicationId,
    models: Vec<ModelId>,
    replicas: Vec<ReplicaId>,
    heard: Heard,
    stats: Arc<SelectionStats>,
    /// Of the models that have one.
    caches: Vec<Arc<CacheStats>>,
    now_ns: u64,
    queries: u64,
    /// What each replica holds: the rows of one batch.
    holds: Vec<Option<Vec<RowRef>>>,
}

/// The same result for each item of a batch.
struct Same<'a>(Item<'a>);

impl ItemResults for Same<'_> {
    fn get(&self, _: usize) -> Item<'_> {
        self.0
    }
}

impl World {
    fn new(setup: Setup) -> Self {
        let (models, output, caches) = (setup.models, setup.output, setup.caches);
        let stats = Arc::new(SelectionStats::new(models));
        let mut world = Self {
            core: Core::new(),
            application: ApplicationId::new(0, 0),
            models: (0..models).map(|place| ModelId::new(whole(place), 0)).collect(),
            replicas: (0..models).map(|place| ReplicaId::new(whole(place), 0)).collect(),
            heard: Heard::default(),
            stats: Arc::clone(&stats),
            caches: Vec::new(),
            now_ns: 1_000 * MS,
            queries: 0,
            holds: vec![None; models],
        };
        world.add_models(output, caches);
        let plan = ApplicationPlan {
            slo_ns: SLO_NS,
            pool: Pool::new(ROWS, 64, Box::new(HeapRows::new(ROWS, 64))),
            links_max: models.max(1),
            has_policy: true,
            stats: Arc::new(ApplicationStats::new("a")),
        };
        let (id, application) = (world.application, Box::new(Application::new(plan)));
        world.change(Change::AddApplication { id, application });
        world.link((0..models).collect(), Some(setup.learner(&stats)));
        world
    }

    fn add_models(&mut self, output: TensorSpec, caches: bool) {
        for (model, replica) in self.models.clone().into_iter().zip(self.replicas.clone()) {
            let stats = Arc::new(ModelStats::new("m", "1", 1, &[]));
            let of_replica = Arc::clone(&stats.replicas[0]);
            let room = Room::new(ROWS as usize);
            let cache = caches.then(|| CachePlan {
                bytes_max: CACHE_BYTES_MIN,
                input_bytes: 4,
                ttl_ns: None,
                pays_parts: CACHE_PAYS_PARTS,
                seed: 1,
                stats: Arc::default(),
            });
            self.caches.extend(cache.iter().map(|plan| Arc::clone(&plan.stats)));
            let batch_timeout_ns = 1_000 * MS;
            let plan = ModelPlan {
                depth: 1,
                batch_timeout_ns,
                forming: Forming::default(),
                room,
                cache,
                hedge: None,
                stats,
            };
            let plan = Box::new(Model::new(plan));
            self.change(Change::AddModel { id: model, model: plan });
            let plan = ReplicaPlan {
                core: None,
                model,
                ordinal: 0,
                depth: 1,
                items_max: ROWS,
                limit: LimitPlan::Fixed { max: ROWS },
                stats: of_replica,
            };
            let plan = Box::new(Replica::new(plan));
            self.change(Change::AddReplica { id: replica, replica: plan });
            self.core.replica_up(self.now_ns, replica, output, 1, ROWS);
        }
    }

    fn link(&mut self, models: Vec<usize>, learner: Option<Box<Learner>>) {
        let models = models.into_iter().map(|place| Link { model: self.models[place], pool: 0 });
        let links = Links { models: models.collect(), learner, ..Links::default() };
        let (application, links) = (self.application, Box::new(links));
        self.change(Change::Link { application, links, rooms: Vec::<NewRoom>::new() });
    }

    fn change(&mut self, change: Change) {
        let changed = self.core.change(self.now_ns, 0, change, &mut self.heard);
        assert!(changed.is_some());
    }

    fn ask_with(&mut self, asking: &Asking<'_>) -> u64 {
        self.ask_of(self.queries.to_le_bytes()[0], asking)
    }

    /// A query of an input.
    fn ask_of(&mut self, input: u8, asking: &Asking<'_>) -> u64 {
        let application = self.application;
        let row = self.core.reserve(application).expect("a row is free");
        self.core.row_mut(application, row, 4).fill(input);
        let mut budget_bytes = usize::MAX;
        assert!(self.core.commit(application, row, 4, &mut budget_bytes));
        self.queries += 1;
        let admission = Admission {
            application,
            row,
            bytes: 4,
            arrived_ns: self.now_ns,
            timeout_ns: None,
            reply_to: self.queries,
        };
        self.core.admit_with(self.now_ns, &admission, asking, &mut self.heard);
        self.queries
    }

    fn ask(&mut self) -> u64 {
        self.ask_with(&Asking::default())
    }

    /// A model takes what waits for it. Says how many rows that is.
    fn take(&mut self, model: usize) -> usize {
        let mut rows = Vec::new();
        let replica = self.replicas[model];
        let plan = self.core.next_batch(self.now_ns, replica, &mut rows, &mut self.heard);
        let count = rows.len();
        if plan.is_some() {
            self.core.sent(self.now_ns, replica, 0);
            self.holds[model] = Some(rows);
        }
        count
    }

    fn give(&mut self, model: usize, item: Item<'_>) {
        self.holds[model].take().expect("it holds a batch");
        let results = BatchResults::Items(Same(item));
        let (now_ns, replica) = (self.now_ns, self.replicas[model]);
        self.core.complete(now_ns, now_ns, replica, 0, &results, &mut self.heard);
    }

    /// A model says the same of all that it holds.
    fn say(&mut self, model: usize, output: &[u8]) {
        self.give(model, Item::Output(OutputBytes::borrowed(output)));
    }

    /// It takes what waits and says a number of it.
    fn answer(&mut self, model: usize, number: f32) {
        assert!(self.take(model) > 0, "model {model} is asked");
        self.say(model, &number.to_le_bytes());
    }

    fn advance(&mut self, ns: u64) {
        self.now_ns += ns;
        self.core.tick(self.now_ns, &mut self.heard);
    }

    fn expire(&mut self) {
        self.core.expire_decisions(self.now_ns, &mut self.heard);
    }

    /// Those of the models for which something waits.
    fn asked(&self) -> Vec<usize> {
        (0..self.models.len()).filter(|model| self.core.has_waiting(self.models[*model])).collect()
    }

    fn told(&self, query: u64) -> &Told {
        &self.heard.told[&query]
    }

    fn number(&self, query: u64) -> f32 {
        let output = self.told(query).output.clone().expect("a prediction");
        f32::from_le_bytes(output.try_into().unwrap())
    }

    /// Nothing is left of any query.
    fn assert_empty(&self) {
        let view = self.core.view();
        assert_eq!((view.kept_bytes, view.applications[0].1.rows_in_use), (0, 0));
        assert_eq!(self.heard.told.len() as u64, self.queries);
        assert_eq!(self.asked(), [0_usize; 0]);
    }
}

fn whole(place: usize) -> u32 {
    u32::try_from(place).unwrap()
}
