//! What there is: every application, model version and replica, by the ids that the engine thread
//! knows them by, and what each replica is doing.
//!
//! It answers `/readyz`, and says of each model whether its queries have anything to wait for.
//!
//! Writer: the control thread. It is read there, too, by the admin handlers; the lock around it is
//! theirs, since the HTTP stack wants its state to be `Send`, and is never waited for. Pure: time
//! is passed in.

mod counted;
mod state;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use cutter_admin_api::readyz::{self, Readiness};
use cutter_core::Availability;
use cutter_core::cache::CacheStats;
use cutter_core::contexts::Series;
use cutter_core::ids::{ApplicationId, ModelId, OfApplication, OfModel, OfReplica, ReplicaId};
use cutter_core::limits::{APPLICATIONS_MAX, MODELS_MAX, REPLICAS_TOTAL_MAX};
use cutter_core::policy::Models;
use cutter_core::slab::Slab;
use cutter_core::stats::{ApplicationStats, ModelStats, SelectionStats};
use cutter_protocol::limits::POOLS_MAX;

pub use state::State;

use super::health::{Counts, Health};
use super::learning::Run;
use crate::config;

/// One replica, as its task names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    pub replica: ReplicaId,
    pub model: ModelId,
    /// Its place among the replicas of its model.
    pub ordinal: u32,
}

/// An application.
#[derive(Debug)]
pub struct ApplicationEntry {
    pub settings: config::Application,
    pub stats: Arc<ApplicationStats>,
    /// The memory of its rows, for containers.
    pub rows: OwnedFd,
    /// The models that it may ask, in order.
    pub links: Vec<ModelId>,
    /// The most models that it can ask.
    pub links_max: usize,
    /// Of one with a policy that is linked to models.
    pub selection: Option<Arc<SelectionStats>>,
    pub series: Option<Series>,
    /// The models, by their places among the links, that the policy may not choose.
    pub arms_off: Models,
}

/// A model version.
#[derive(Debug)]
pub struct ModelEntry {
    /// As it was configured, but for how batches are formed: that is as it is now.
    pub settings: Arc<config::Model>,
    /// The most queries of a batch for which there is memory.
    pub batch_max: u32,
    pub stats: Arc<ModelStats>,
    /// Of one that has a cache.
    pub cache: Option<Arc<CacheStats>>,
    pub replicas: Vec<ReplicaId>,
    /// Whose rows its replicas can read, by the place in their pool tables.
    pub pools: [Option<ApplicationId>; POOLS_MAX],
    /// The rows for which the engine thread has room in its queue.
    pub room_rows: usize,
    /// What the engine thread was told last.
    availability: Availability,
    health: Health,
    /// What the model said of the last batch that failed.
    last_error: Option<String>,
}

/// A replica.
#[derive(Clone, Debug)]
pub struct ReplicaEntry {
    model: ModelId,
    ordinal: u32,
    state: State,
    since_ns: u64,
    incarnation: u64,
    /// Why the last attempt or incarnation ended. It stays when another one is up.
    last_error: Option<String>,
    /// Whether `last_error` is of the life before this one, with none that was up in between.
    is_repeating: bool,
    /// The replica runs, but not on its core.
    unpinned: Option<String>,
}

/// Everything that there is.
#[derive(Debug)]
pub struct Registry {
    pub applications: Slab<ApplicationEntry, OfApplication>,
    pub models: Slab<ModelEntry, OfModel>,
    replicas: Slab<ReplicaEntry, OfReplica>,
    /// What learners have in common.
    pub run: Run,
    draining: bool,
    engine_ended: bool,
    /// The engine thread runs, but not on its core.
    engine_unpinned: Option<String>,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// Nothing is there.
    pub fn new() -> Self {
        Self::of(Run::default())
    }

    /// The same in this run.
    pub fn of(run: Run) -> Self {
        Self {
            applications: Slab::new(APPLICATIONS_MAX),
            models: Slab::new(MODELS_MAX),
            replicas: Slab::new(REPLICAS_TOTAL_MAX as usize),
            run,
            draining: false,
            engine_ended: false,
            engine_unpinned: None,
        }
    }

    /// Takes a model version in, with its replicas: each starts as one that is being started, which
    /// is what the engine thread assumes. `None`: there are as many as there can be.
    pub fn add_model(
        &mut self,
        settings: Arc<config::Model>,
        stats: Arc<ModelStats>,
        now_ns: u64,
    ) -> Option<ModelId> {
        if self.replicas.room() - self.replicas.len() < settings.replicas as usize {
            return None;
        }
        let count = settings.replicas;
        let entry = ModelEntry {
            batch_max: settings.batch.max,
            settings,
            stats,
            cache: None,
            replicas: Vec::with_capacity(count as usize),
            pools: [None; POOLS_MAX],
            room_rows: 0,
            availability: Availability::Expected,
            health: Health::default(),
            last_error: None,
        };
        let model = self.models.insert(entry).ok()?;
        for ordinal in 0..count {
            let entry = ReplicaEntry {
                model,
                ordinal,
                state: State::Starting,
                since_ns: now_ns,
                incarnation: 0,
                last_error: None,
                is_repeating: false,
                unpinned: None,
            };
            let replica = self.replicas.insert(entry).expect("there is room, as was just seen");
            self.models[model].replicas.push(replica);
        }
        Some(model)
    }

    /// A replica is gone for good.
    pub fn remove_replica(&mut self, replica: ReplicaId) {
        if let Some(entry) = self.replicas.remove(replica) {
            self.models[entry.model].replicas.retain(|other| *other != replica);
        }
    }

    /// The replicas of a model.
    pub fn slots_of(&self, model: ModelId) -> Vec<Slot> {
        let replicas = self.models.get(model).map_or(&[][..], |entry| &entry.replicas);
        let slot = |replica: &ReplicaId| {
            let ordinal = self.replicas[*replica].ordinal;
            Slot { replica: *replica, model, ordinal }
        };
        replicas.iter().map(slot).collect()
    }

    /// All replicas, in the order of the models.
    pub fn slots(&self) -> Vec<Slot> {
        self.models.iter().flat_map(|(model, _)| self.slots_of(model)).collect()
    }

    /// The application with this name.
    pub fn application_named(&self, name: &str) -> Option<ApplicationId> {
        let mut known = self.applications.iter();
        known.find(|(_, entry)| entry.settings.name == name).map(|(id, _)| id)
    }

    /// All versions of the model with this name.
    pub fn models_named(&self, name: &str) -> Vec<ModelId> {
        let named = self.models.iter().filter(|(_, entry)| entry.settings.name == name);
        named.map(|(id, _)| id).collect()
    }

    /// What a model is called: by its version, too, where its name has several.
    pub fn label(&self, model: ModelId) -> String {
        let settings = &self.models[model].settings;
        let has_others = self.models_named(&settings.name).len() > 1;
        if has_others { settings.label() } else { settings.name.clone() }
    }

    /// Notes a slot's state. Says what is to be told to the engine thread, when that changes.
    pub fn set(&mut self, slot: Slot, state: State, now_ns: u64) -> Option<Availability> {
        let entry = self.entry(slot);
        if entry.state.name() != state.name() {
            entry.since_ns = now_ns;
        }
        entry.state = state;
        if matches!(state, State::Up { .. }) {
            entry.is_repeating = false;
        }
        let replicas = self.models[slot.model].replicas.iter();
        let mut states = replicas.map(|replica| self.replicas[*replica].state);
        let expected = states.any(State::is_expected);
        let model = &mut self.models[slot.model];
        let now = if expected { Availability::Expected } else { Availability::Down };
        let changed = now != model.availability;
        model.availability = now;
        changed.then_some(now)
    }

    pub fn state(&self, slot: Slot) -> State {
        self.replicas[slot.replica].state
    }

    /// The number of a slot's next incarnation: 1 is the first.
    pub fn next_incarnation(&mut self, slot: Slot) -> u64 {
        let entry = self.entry(slot);
        entry.incarnation += 1;
        entry.incarnation
    }

    /// Notes why a life ended, or did not begin. Says whether that is news: a replica that fails
    /// again and again for the same cause is told once.
    pub fn note_error(&mut self, slot: Slot, text: &str) -> bool {
        let entry = self.entry(slot);
        let is_old = entry.is_repeating && entry.last_error.as_deref() == Some(text);
        entry.is_repeating = true;
        entry.last_error = Some(text.to_owned());
        !is_old
    }

    /// Notes whether a replica runs where it was to be put. Says whether a failure is news.
    pub fn note_unpinned(&mut self, slot: Slot, text: Option<String>) -> bool {
        let entry = self.entry(slot);
        let is_news = text.is_some() && entry.unpinned != text;
        entry.unpinned = text;
        is_news
    }

    /// Notes why the engine thread does not run where it was to be put.
    pub fn note_engine_unpinned(&mut self, text: Option<String>) {
        self.engine_unpinned = text;
    }

    /// Notes what a model said of a batch that failed.
    pub fn note_model_failed(&mut self, model: ModelId, text: &str) {
        self.models[model].last_error = Some(text.to_owned());
    }

    /// Takes a model's counts. Says so when it has begun to fail, or is well again: which of the
    /// two, and the last batches.
    pub(super) fn look_at_model(&mut self, model: ModelId, now: Counts) -> Option<(bool, Counts)> {
        let health = &mut self.models[model].health;
        let was_failing = health.is_failing();
        health.look(now);
        let is_failing = health.is_failing();
        Some((is_failing, health.recent()?)).filter(|_| is_failing != was_failing)
    }

    /// The part of a model's last batches that failed, and what it said of the last one.
    pub fn failures(&self, model: ModelId) -> (f64, Option<&str>) {
        let entry = &self.models[model];
        let share = entry.health.recent().map_or(0.0, Counts::failed_share);
        (share, entry.last_error.as_deref())
    }

    pub fn begin_drain(&mut self) {
        self.draining = true;
    }

    pub fn note_engine_ended(&mut self) {
        self.engine_ended = true;
    }

    pub fn is_engine_running(&self) -> bool {
        !self.engine_ended
    }

    /// What a replica is doing, in a word, and how often it was started again.
    pub fn replica(&self, replica: ReplicaId) -> (&'static str, u64) {
        let entry = &self.replicas[replica];
        (entry.state.name(), entry.restarts())
    }

    /// What `/readyz` answers.
    pub fn readiness(&self, now_ns: u64) -> Readiness {
        let models = self.models.iter().map(|(_, model)| self.said(model, now_ns));
        let models: Vec<readyz::Model> = models.collect();
        let down = self.models.iter().zip(&models).filter(|(_, said)| !said.ready);
        let down = down.map(|((id, _), _)| format!("no replica of model {} is up", self.label(id)));
        let mut reasons: Vec<String> = down.collect();
        if self.engine_ended {
            reasons.insert(0, "the engine thread has ended".to_owned());
        }
        let is_ready = reasons.is_empty();
        reasons.extend(self.degradations());
        let status = match (self.draining, is_ready, reasons.is_empty()) {
            (true, ..) => readyz::DRAINING,
            (false, false, _) => readyz::NOT_READY,
            (false, true, false) => readyz::DEGRADED,
            (false, true, true) => readyz::READY,
        };
        let alone = self.applications.iter().filter(|(_, entry)| entry.links.is_empty());
        let applications_without_model =
            alone.map(|(_, entry)| entry.settings.name.clone()).collect();
        Readiness { status: status.to_owned(), reasons, models, applications_without_model }
    }

    /// What is not as it was meant to be, though queries are answered.
    fn degradations(&self) -> Vec<String> {
        let engine = self.engine_unpinned.iter();
        let engine = engine.map(|why| format!("the engine thread is not pinned: {why}"));
        let models = self.models.iter().flat_map(|(id, model)| {
            let name = self.label(id);
            let recent = model.health.recent().filter(|_| model.health.is_failing());
            let failing = recent.map(|Counts { batches, failed }| {
                format!("model {name} fails: {failed} of its last {batches} batches")
            });
            let replicas = model.replicas.iter().map(|replica| &self.replicas[*replica]);
            let unpinned = replicas.filter_map(move |replica| {
                let (why, ordinal) = (replica.unpinned.as_ref()?, replica.ordinal);
                Some(format!("replica {ordinal} of model {name} is not pinned: {why}"))
            });
            failing.into_iter().chain(unpinned)
        });
        engine.chain(models).collect()
    }

    fn entry(&mut self, slot: Slot) -> &mut ReplicaEntry {
        &mut self.replicas[slot.replica]
    }

    fn said(&self, model: &ModelEntry, now_ns: u64) -> readyz::Model {
        let replicas = || model.replicas.iter().map(|replica| &self.replicas[*replica]);
        readyz::Model {
            name: model.settings.name.clone(),
            version: model.settings.version.clone(),
            ready: replicas().any(|replica| matches!(replica.state, State::Up { .. })),
            last_error: model.last_error.clone(),
            replicas: replicas().map(|replica| replica.said(now_ns)).collect(),
        }
    }
}

impl ReplicaEntry {
    fn restarts(&self) -> u64 {
        self.incarnation.saturating_sub(1)
    }

    fn said(&self, now_ns: u64) -> readyz::Replica {
        let ms_until = |until_ns: u64| until_ns.saturating_sub(now_ns) / 1_000_000;
        readyz::Replica {
            replica: self.ordinal as usize,
            state: self.state.name().to_owned(),
            for_ms: now_ns.saturating_sub(self.since_ns) / 1_000_000,
            pid: self.state.pid(),
            incarnation: self.incarnation,
            restarts: self.restarts(),
            retry_in_ms: match self.state {
                State::BackingOff { until_ns } => Some(ms_until(until_ns)),
                _ => None,
            },
            last_error: self.last_error.clone(),
            not_pinned: self.unpinned.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;
    use crate::config::Config;
    use crate::engine::Engine;
    use crate::port::http::PortLimits;

    const MS: u64 = 1_000_000;

    fn registry(models: &str) -> (Registry, Vec<Slot>) {
        let text = format!(
            "[[application]]\nname = \"alone\"\ninput.type = \"strings\"\nrows = 16\n{models}"
        );
        let (config, _) = Config::from_toml(&text, Path::new("/srv"), "c").unwrap();
        let made = Engine::new(&config, PortLimits::default(), 0, &|| false).unwrap();
        let slots = made.registry.slots();
        (made.registry, slots)
    }

    fn said(registry: &Registry, now_ns: u64) -> Value {
        serde_json::to_value(registry.readiness(now_ns)).unwrap()
    }

    const TWO: &str = "[[model]]\nname = \"m\"\ncommand = [\"m\"]\nreplicas = 2\n";

    #[test]
    fn a_model_is_down_only_when_none_of_its_replicas_is_expected() {
        let (mut registry, slots) = registry(TWO);
        let back = State::BackingOff { until_ns: 5 };
        let starting = State::Starting;
        assert_eq!(registry.set(slots[0], back, 0), None);
        assert_eq!(registry.set(slots[1], State::Up { pid: 1 }, 0), None);
        assert_eq!(registry.set(slots[1], back, 0), Some(Availability::Down));
        assert_eq!(registry.set(slots[0], State::Ended, 0), None);
        assert_eq!(registry.set(slots[1], starting, 0), Some(Availability::Expected));
        assert_eq!(registry.set(slots[1], State::Up { pid: 2 }, 0), None);
    }

    #[test]
    fn one_replica_up_makes_its_model_ready() {
        let (mut registry, slots) = registry(TWO);
        assert!(!registry.readiness(0).is_ready());
        assert_eq!(registry.next_incarnation(slots[1]), 1);
        registry.set(slots[0], State::BackingOff { until_ns: 30 * MS }, 10 * MS);
        registry.note_error(slots[0], "it is not there");
        registry.set(slots[1], State::Up { pid: 7 }, 10 * MS);
        assert!(registry.readiness(0).is_ready());
        let expected = json!({
            "status": "ready",
            "models": [{ "name": "m", "version": "1", "ready": true, "replicas": [
                { "replica": 0, "state": "backing_off", "for_ms": 5, "incarnation": 0,
                  "restarts": 0, "retry_in_ms": 15, "last_error": "it is not there" },
                { "replica": 1, "state": "up", "for_ms": 5, "pid": 7, "incarnation": 1,
                  "restarts": 0 },
            ]}],
            "applications_without_model": ["alone"],
        });
        assert_eq!(said(&registry, 15 * MS), expected);
    }

    #[test]
    fn what_is_missing_is_named() {
        let (mut registry, _) = registry(TWO);
        assert_eq!(said(&registry, 0)["reasons"], json!(["no replica of model m is up"]));
        registry.note_engine_ended();
        assert_eq!(said(&registry, 0)["reasons"][0], "the engine thread has ended");
        assert!(!registry.is_engine_running());
    }

    #[test]
    fn a_draining_server_is_not_ready() {
        let (mut registry, slots) = registry(TWO);
        registry.set(slots[0], State::Up { pid: 7 }, 0);
        registry.begin_drain();
        assert!(!registry.readiness(0).is_ready());
        assert_eq!(said(&registry, 0)["status"], "draining");
    }

    #[test]
    fn an_error_is_news_once_and_again_after_a_life_that_was_up() {
        let (mut registry, slots) = registry(TWO);
        assert!(registry.note_error(slots[0], "a"));
        assert!(!registry.note_error(slots[0], "a"));
        assert!(registry.note_error(slots[0], "b"));
        registry.set(slots[0], State::Up { pid: 7 }, 0);
        assert!(registry.note_error(slots[0], "b"));
        assert!(registry.note_error(slots[1], "b"));
    }

    #[test]
    fn a_pin_that_did_not_take_is_shown_until_one_does() {
        let (mut registry, slots) = registry(TWO);
        assert!(registry.note_unpinned(slots[0], Some("refused".to_owned())));
        assert!(!registry.note_unpinned(slots[0], Some("refused".to_owned())));
        assert_eq!(said(&registry, 0)["models"][0]["replicas"][0]["not_pinned"], "refused");
        assert!(!registry.note_unpinned(slots[0], None));
        assert_eq!(said(&registry, 0)["models"][0]["replicas"][0]["not_pinned"], Value::Null);
    }

    #[test]
    fn a_state_that_goes_on_keeps_its_time() {
        let (mut registry, slots) = registry(TWO);
        let loading = |is_expected| State::Loading { pid: 7, is_expected };
        registry.set(slots[0], loading(true), 10 * MS);
        registry.set(slots[0], loading(false), 12 * MS);
        let shown = &said(&registry, 15 * MS)["models"][0]["replicas"][0];
        assert_eq!((&shown["state"], &shown["for_ms"]), (&json!("loading"), &json!(5)));
    }

    #[test]
    fn a_model_that_only_loads_is_awaited_for_a_while() {
        let (mut registry, slots) = registry("[[model]]\nname = \"m\"\ncommand = [\"m\"]\n");
        let loading = |is_expected| State::Loading { pid: 7, is_expected };
        assert_eq!(registry.set(slots[0], loading(true), 0), None);
        assert_eq!(registry.set(slots[0], loading(false), 0), Some(Availability::Down));
        assert_eq!(said(&registry, 0)["status"], "not_ready");
        assert_eq!(registry.set(slots[0], State::Up { pid: 7 }, 0), Some(Availability::Expected));
    }

    #[test]
    fn a_model_that_fails_is_ready_and_degraded_with_what_it_said() {
        let (mut registry, slots) = registry(TWO);
        registry.set(slots[0], State::Up { pid: 7 }, 0);
        registry.note_model_failed(slots[0].model, "7 is not a probability");
        let failing = registry.look_at_model(slots[0].model, Counts { batches: 4, failed: 4 });
        assert_eq!(failing, Some((true, Counts { batches: 4, failed: 4 })));
        assert!(registry.readiness(0).is_ready());
        let shown = said(&registry, 0);
        assert_eq!(shown["status"], "degraded");
        assert_eq!(shown["reasons"], json!(["model m fails: 4 of its last 4 batches"]));
        assert_eq!(shown["models"][0]["last_error"], "7 is not a probability");
        assert_eq!(registry.failures(slots[0].model), (1.0, Some("7 is not a probability")));
        let again = registry.look_at_model(slots[0].model, Counts { batches: 14, failed: 4 });
        assert_eq!(again, Some((false, Counts { batches: 14, failed: 4 })));
        assert_eq!(said(&registry, 0)["status"], "ready");
    }

    #[test]
    fn whoever_is_not_on_its_core_degrades_the_server() {
        let (mut registry, slots) = registry(TWO);
        for slot in &slots {
            registry.set(*slot, State::Up { pid: 7 }, 0);
        }
        registry.note_engine_unpinned(Some("core 99 is not there".to_owned()));
        registry.note_unpinned(slots[1], Some("core 7 is not there".to_owned()));
        let reasons = json!([
            "the engine thread is not pinned: core 99 is not there",
            "replica 1 of model m is not pinned: core 7 is not there",
        ]);
        let shown = said(&registry, 0);
        assert_eq!((&shown["status"], &shown["reasons"]), (&json!("degraded"), &reasons));
    }
}
