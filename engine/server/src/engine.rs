//! An engine: what the engine thread decides with, and what its clients see, without a thread.
//!
//! Made of a configuration, all memory included: applications with their rows, model versions with
//! the room for what waits, replicas that are yet to come up. It is made by the changes by which
//! things come later, too.

use std::sync::Arc;

use cutter_core::ids::{ApplicationId, ModelId, ReplicaId};
use cutter_core::stats::EngineStats;
use cutter_core::{Answer, Change, Core, Sink};

use crate::config::Config;
use crate::control::learning::Run;
use crate::control::plan::{self, ChangeError, Step};
use crate::control::registry::Registry;
use crate::decision_log::LogHeader;
use crate::port::http::{Frontend, PortLimits};

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Change(#[from] ChangeError),
    #[error("asked to end while it was starting")]
    Ended,
}

/// By what the engine knows the things of a configuration, in its order.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    pub applications: Vec<ApplicationId>,
    pub models: Vec<ModelId>,
    /// Those of the first model first.
    pub replicas: Vec<ReplicaId>,
}

/// An engine without a thread.
#[derive(Debug)]
pub struct Engine {
    pub core: Core,
    pub frontend: Frontend,
    pub stats: Arc<EngineStats>,
    /// What there is, for control.
    pub registry: Registry,
    pub ids: Ids,
    /// What the decision log is to know.
    pub headers: Vec<(ApplicationId, Box<LogHeader>)>,
}

impl Engine {
    /// Takes all memory that a configuration asks for. Each pool is made resident at once, which
    /// may take a while: it is asked in between whether the start goes on. `now_ns` is when its
    /// replicas begin to be awaited.
    pub fn new(
        config: &Config,
        limits: PortLimits,
        now_ns: u64,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Self, EngineError> {
        Self::of(Run::default(), config, limits, now_ns, is_over)
    }

    /// The same in this run of a server.
    pub fn of(
        run: Run,
        config: &Config,
        limits: PortLimits,
        now_ns: u64,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Self, EngineError> {
        let stats = Arc::new(EngineStats::new());
        let mut engine = Self {
            core: Core::starting_at(run.first_query_id),
            frontend: Frontend::new(limits, Arc::clone(&stats)),
            stats,
            registry: Registry::of(run),
            ids: Ids::default(),
            headers: Vec::new(),
        };
        for settings in &config.models {
            let (model, steps) = plan::add_model(&mut engine.registry, settings, now_ns)?;
            steps.into_iter().for_each(|step| engine.take(step));
            engine.ids.models.push(model);
            let slots = engine.registry.slots_of(model);
            engine.ids.replicas.extend(slots.iter().map(|slot| slot.replica));
        }
        for settings in &config.applications {
            if is_over() {
                return Err(EngineError::Ended);
            }
            let links_max = settings.models.len().max(1);
            let added = plan::add_application(&mut engine.registry, settings, links_max);
            let (application, step) = added?;
            engine.take(step);
            engine.ids.applications.push(application);
            let models: Vec<ModelId> =
                settings.models.iter().map(|model| engine.ids.models[*model]).collect();
            let linked = plan::link(&mut engine.registry, application, &models)?;
            engine.take(linked.step);
        }
        Ok(engine)
    }

    /// A change at the start, which is done at once.
    fn take(&mut self, step: Step) {
        let Step { change, endpoint, header } = step;
        if let (Change::Link { application, .. }, Some(header)) = (&change, header) {
            self.headers.push((*application, header));
        }
        self.frontend.change(&change, endpoint);
        let changed = self.core.change(0, 0, change, &mut NoAnswers);
        assert!(changed.is_some(), "nothing is under way yet");
    }
}

/// Nobody is asked anything yet.
struct NoAnswers;

impl Sink for NoAnswers {
    fn answer(&mut self, _: &Answer<'_>) {
        unreachable!("no query is there before the engine runs")
    }
}
