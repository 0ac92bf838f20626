//! An engine: what the engine thread decides with, and what its clients see, without a thread.
//!
//! Made of a configuration, all memory included: applications with their rows, model versions with
//! the room for what waits, replicas that are yet to come up. The same changes that add and link
//! things later make what is there at the start.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use cutter_core::limits::{APPLICATIONS_MAX, MODELS_MAX, REPLICAS_TOTAL_MAX};
use cutter_core::rows::Pool;
use cutter_core::slab::Slab;
use cutter_core::stats::EngineStats;
use cutter_core::{
    Answer, Application, ApplicationPlan, Change, Core, Id, LimitPlan, Link, Links, Model,
    ModelPlan, NewRoom, Replica, ReplicaPlan, Room, Sink,
};
use cutter_protocol::limits::DEPTH_DEFAULT;
use cutter_protocol::segment::SegmentError;
use cutter_protocol::violation::Violation;

use crate::config::{self, BatchPolicy, Config};
use crate::pool;
use crate::port::http::{Face, Frontend, PortLimits};

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("cannot take the input pool of application {application}: {source}")]
    Pool {
        application: String,
        #[source]
        source: SegmentError,
    },
    #[error("asked to end while it was starting")]
    Ended,
}

/// By what the engine knows the things of a configuration, in its order.
#[derive(Clone, Debug)]
pub struct Ids {
    pub applications: Vec<Id<Application>>,
    pub models: Vec<Id<Model>>,
    /// Those of the first model first.
    pub replicas: Vec<Id<Replica>>,
}

/// An engine without a thread.
#[derive(Debug)]
pub struct Engine {
    pub core: Core,
    pub frontend: Frontend,
    pub stats: Arc<EngineStats>,
    pub ids: Ids,
    /// By application: the descriptor of its rows, for containers.
    pub pools: Vec<OwnedFd>,
}

impl Engine {
    /// Takes all memory that a configuration asks for. Each pool is made resident at once, which
    /// may take a while: it is asked in between whether the start goes on.
    pub fn new(
        config: &Config,
        limits: PortLimits,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Self, EngineError> {
        let stats = Arc::new(new_stats(config));
        let frontend = Frontend::new(limits, Arc::clone(&stats));
        let ids = Ids::of(config);
        let pools = Vec::with_capacity(config.applications.len());
        let mut engine = Self { core: Core::new(), frontend, stats, ids, pools };
        (0..config.models.len()).for_each(|model| engine.add_model(config, model));
        for application in 0..config.applications.len() {
            if is_over() {
                return Err(EngineError::Ended);
            }
            engine.add_application(config, application)?;
        }
        Ok(engine)
    }

    fn add_model(&mut self, config: &Config, model: usize) {
        let (settings, stats) = (&config.models[model], &self.stats.models[model]);
        let plan = ModelPlan {
            depth: DEPTH_DEFAULT,
            batch_timeout_ns: settings.batch_timeout_ns,
            room: Room::new(0),
            stats: Arc::clone(stats),
        };
        let replicas = (0..settings.replicas).zip(&stats.replicas).map(|(ordinal, stats)| {
            let plan = ReplicaPlan {
                model: self.ids.models[model],
                ordinal,
                depth: DEPTH_DEFAULT,
                limit: match settings.batch {
                    BatchPolicy::Aimd { max } => LimitPlan::Aimd { max },
                    BatchPolicy::Fixed { max } => LimitPlan::Fixed { max },
                },
                stats: Arc::clone(stats),
            };
            Box::new(Replica::new(plan))
        });
        let replicas: Vec<Box<Replica>> = replicas.collect();
        let id = self.ids.models[model];
        self.change(Change::AddModel { id, model: Box::new(Model::new(plan)) }, None);
        let first = config.first_replica(model);
        for (index, replica) in replicas.into_iter().enumerate() {
            let id = self.ids.replicas[first + index];
            self.change(Change::AddReplica { id, replica }, None);
        }
    }

    fn add_application(&mut self, config: &Config, application: usize) -> Result<(), EngineError> {
        let settings = &config.applications[application];
        let (rows, at_start) = (settings.rows, settings.rows_at_start);
        let created = pool::create(rows, settings.row_stride(), at_start);
        let (pool, descriptor) = created
            .map_err(|source| EngineError::Pool { application: settings.name.clone(), source })?;
        self.pools.push(descriptor);
        let id = self.ids.applications[application];
        let stats = Arc::clone(&self.stats.applications[application]);
        let made = made_of(settings, pool, Arc::clone(&stats));
        let change = Change::AddApplication { id, application: Box::new(made) };
        let face = face_of(config, settings, stats);
        self.change(change, Some(Box::new(face)));
        let link = |model: &usize| {
            let linked = config.models[*model].applications.iter();
            let pool = linked.take_while(|other| **other != application).count();
            let pool = u32::try_from(pool).expect("bounded by POOLS_MAX");
            Link { model: self.ids.models[*model], pool }
        };
        let models: Vec<Link> = settings.models.iter().map(link).collect();
        // The first of a model's applications brings the room for all.
        let rooms = settings
            .models
            .iter()
            .filter(|model| config.models[**model].applications.first() == Some(&application));
        let rooms = rooms.map(|model| {
            let linked = config.models[*model].applications.iter();
            let rows = linked.map(|application| config.applications[*application].rows as usize);
            let room = Box::new(Room::new(rows.sum()));
            NewRoom { model: self.ids.models[*model], room }
        });
        let links = Box::new(Links { models, ..Links::default() });
        let change = Change::Link { application: id, links, rooms: rooms.collect() };
        self.change(change, None);
        Ok(())
    }

    /// A change at the start, which is done at once.
    fn change(&mut self, change: Change, face: Option<Box<Face>>) {
        self.frontend.change(&change, face);
        let changed = self.core.change(0, 0, change, &mut NoAnswers);
        assert!(changed.is_some(), "nothing is under way yet");
    }
}

impl Ids {
    fn of(config: &Config) -> Self {
        fn ids<T>(room: usize, count: usize) -> Vec<Id<T>> {
            let mut given: Slab<(), T> = Slab::new(room);
            let ids = (0..count).map(|_| given.insert(()));
            ids.map(|id| id.expect("the configuration keeps to the limits")).collect()
        }
        let replicas = config.models.iter().map(|model| model.replicas as usize).sum();
        Self {
            applications: ids(APPLICATIONS_MAX, config.applications.len()),
            models: ids(MODELS_MAX, config.models.len()),
            replicas: ids(REPLICAS_TOTAL_MAX as usize, replicas),
        }
    }
}

fn made_of(
    settings: &config::Application,
    pool: Pool,
    stats: Arc<cutter_core::stats::ApplicationStats>,
) -> Application {
    let links_max = settings.models.len().max(1);
    Application::new(ApplicationPlan { slo_ns: settings.slo_ns, pool, links_max, stats })
}

fn face_of(
    config: &Config,
    settings: &config::Application,
    stats: Arc<cutter_core::stats::ApplicationStats>,
) -> Face {
    let model = settings.models.first().map(|model| &config.models[*model]);
    let model = model.map(|model| (model.name.clone(), model.version.clone()));
    let (name, default) = (settings.name.clone(), &settings.default_output);
    let mut face = Face::new(name, settings.input, settings.slo_ns, default, model, stats);
    (face.rows, face.json_output) = (settings.rows, settings.json_output);
    face
}

/// Counters and histograms for everything that a configuration names.
pub fn new_stats(config: &Config) -> EngineStats {
    let applications: Vec<&str> = config.applications.iter().map(|a| a.name.as_str()).collect();
    let models: Vec<(&str, &str, usize)> = config
        .models
        .iter()
        .map(|model| (model.name.as_str(), model.version.as_str(), model.replicas as usize))
        .collect();
    EngineStats::new(&applications, &models, Violation::KINDS)
}

/// Nobody is asked anything yet.
struct NoAnswers;

impl Sink for NoAnswers {
    fn answer(&mut self, _: &Answer<'_>) {
        unreachable!("no query is there before the engine runs")
    }
}
