//! The status board: what every replica slot is doing, for `/readyz` and for the engine thread,
//! which must know of each model whether its queries have anything to wait for.
//!
//! Writer: the control thread. It is read there, too, by the admin handlers; the lock around it is
//! theirs, since the HTTP stack wants its state to be `Send`, and is never waited for. Pure: time
//! is passed in.

use cutter_admin_api::readyz::{self, Readiness};
use cutter_core::Availability;

use super::Slot;
use super::health::{Counts, Health};
use crate::config::Config;

/// What a replica slot is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// About to be started.
    Starting,
    /// A process that does not serve yet: it loads its model, or is in its handshake. Expected for
    /// a while, since it may be quick.
    Loading { pid: u32, is_expected: bool },
    /// Ready for batches.
    Up { pid: u32 },
    /// Waiting to be started again.
    BackingOff { until_ns: u64 },
    /// A container started by hand is awaited.
    NotConnected,
    /// The server is ending.
    Ended,
}

impl State {
    /// Its name in answers.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Loading { .. } => "loading",
            Self::Up { .. } => "up",
            Self::BackingOff { .. } => "backing_off",
            Self::NotConnected => "not_connected",
            Self::Ended => "ended",
        }
    }

    const fn pid(self) -> Option<u32> {
        match self {
            Self::Loading { pid, .. } | Self::Up { pid } => Some(pid),
            Self::Starting | Self::BackingOff { .. } | Self::NotConnected | Self::Ended => None,
        }
    }

    /// Whether it is ready or may be so in time for a query that arrives now.
    const fn is_expected(self) -> bool {
        matches!(self, Self::Starting | Self::Up { .. } | Self::Loading { is_expected: true, .. })
    }
}

#[derive(Debug)]
pub(super) struct Board {
    models: Vec<ModelEntry>,
    applications_without_model: Vec<String>,
    draining: bool,
    engine_ended: bool,
    /// The engine thread runs, but not on its core.
    engine_unpinned: Option<String>,
}

#[derive(Debug)]
struct ModelEntry {
    name: String,
    version: String,
    /// What the engine thread was told last.
    told: Availability,
    slots: Vec<SlotEntry>,
    health: Health,
    /// What the model said of the last batch that failed.
    last_error: Option<String>,
}

#[derive(Clone, Debug)]
struct SlotEntry {
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

impl Board {
    /// Every slot starts as one that is being started, which is what the engine thread assumes.
    pub(super) fn new(config: &Config, now_ns: u64) -> Self {
        let slot = SlotEntry {
            state: State::Starting,
            since_ns: now_ns,
            incarnation: 0,
            last_error: None,
            is_repeating: false,
            unpinned: None,
        };
        let model = |model: &crate::config::Model| ModelEntry {
            name: model.name.clone(),
            version: model.version.clone(),
            told: Availability::Expected,
            slots: vec![slot.clone(); model.replicas as usize],
            health: Health::default(),
            last_error: None,
        };
        let alone = config.applications.iter().filter(|application| application.models.is_empty());
        Self {
            models: config.models.iter().map(model).collect(),
            applications_without_model: alone.map(|application| application.name.clone()).collect(),
            draining: false,
            engine_ended: false,
            engine_unpinned: None,
        }
    }

    /// Notes a slot's state. Says what is to be told to the engine thread, when that changes.
    pub(super) fn set(&mut self, slot: Slot, state: State, now_ns: u64) -> Option<Availability> {
        let entry = self.entry(slot);
        if entry.state.name() != state.name() {
            entry.since_ns = now_ns;
        }
        entry.state = state;
        if matches!(state, State::Up { .. }) {
            entry.is_repeating = false;
        }
        let model = &mut self.models[slot.model];
        let expected = model.slots.iter().any(|slot| slot.state.is_expected());
        let now = if expected { Availability::Expected } else { Availability::Down };
        let changed = now != model.told;
        model.told = now;
        changed.then_some(now)
    }

    pub(super) fn state(&self, slot: Slot) -> State {
        self.models[slot.model].slots[slot.ordinal as usize].state
    }

    /// The number of a slot's next incarnation: 1 is the first.
    pub(super) fn next_incarnation(&mut self, slot: Slot) -> u64 {
        let entry = self.entry(slot);
        entry.incarnation += 1;
        entry.incarnation
    }

    /// Notes why a life ended, or did not begin. Says whether that is news: a replica that fails
    /// again and again for the same cause is told once.
    pub(super) fn note_error(&mut self, slot: Slot, text: &str) -> bool {
        let entry = self.entry(slot);
        let is_old = entry.is_repeating && entry.last_error.as_deref() == Some(text);
        entry.is_repeating = true;
        entry.last_error = Some(text.to_owned());
        !is_old
    }

    /// Notes whether a replica runs where it was to be put. Says whether a failure is news.
    pub(super) fn note_unpinned(&mut self, slot: Slot, text: Option<String>) -> bool {
        let entry = self.entry(slot);
        let is_news = text.is_some() && entry.unpinned != text;
        entry.unpinned = text;
        is_news
    }

    /// Notes why the engine thread does not run where it was to be put.
    pub(super) fn note_engine_unpinned(&mut self, text: Option<String>) {
        self.engine_unpinned = text;
    }

    /// Notes what a model said of a batch that failed.
    pub(super) fn note_model_failed(&mut self, model: usize, text: &str) {
        self.models[model].last_error = Some(text.to_owned());
    }

    /// Takes a model's counts. Says so when it has begun to fail, or is well again: which of the
    /// two, and the last batches.
    pub(super) fn look_at_model(&mut self, model: usize, now: Counts) -> Option<(bool, Counts)> {
        let health = &mut self.models[model].health;
        let was_failing = health.is_failing();
        health.look(now);
        let is_failing = health.is_failing();
        Some((is_failing, health.recent()?)).filter(|_| is_failing != was_failing)
    }

    /// The part of a model's last batches that failed, and what it said of the last one.
    pub(super) fn failures(&self, model: usize) -> (f64, Option<&str>) {
        let entry = &self.models[model];
        let share = entry.health.recent().map_or(0.0, Counts::failed_share);
        (share, entry.last_error.as_deref())
    }

    pub(super) fn begin_drain(&mut self) {
        self.draining = true;
    }

    pub(super) fn note_engine_ended(&mut self) {
        self.engine_ended = true;
    }

    pub(super) fn is_engine_running(&self) -> bool {
        !self.engine_ended
    }

    /// What a replica slot is doing, in a word, and how often it was started again.
    pub(super) fn replica(&self, model: usize, ordinal: usize) -> (&'static str, u64) {
        let slot = &self.models[model].slots[ordinal];
        (slot.state.name(), slot.restarts())
    }

    /// What `/readyz` answers.
    pub(super) fn readiness(&self, now_ns: u64) -> Readiness {
        let models: Vec<readyz::Model> = self.models.iter().map(|m| m.said(now_ns)).collect();
        let mut reasons: Vec<String> = models
            .iter()
            .filter(|model| !model.ready)
            .map(|model| format!("no replica of model {} is up", model.name))
            .collect();
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
        let applications_without_model = self.applications_without_model.clone();
        Readiness { status: status.to_owned(), reasons, models, applications_without_model }
    }

    /// What is not as it was meant to be, though queries are answered.
    fn degradations(&self) -> Vec<String> {
        let engine = self.engine_unpinned.iter();
        let engine = engine.map(|why| format!("the engine thread is not pinned: {why}"));
        let models = self.models.iter().flat_map(|model| {
            let recent = model.health.recent().filter(|_| model.health.is_failing());
            let failing = recent.map(|Counts { batches, failed }| {
                let name = &model.name;
                format!("model {name} fails: {failed} of its last {batches} batches")
            });
            let slots = model.slots.iter().enumerate();
            let unpinned = slots.filter_map(|(ordinal, slot)| {
                let why = slot.unpinned.as_ref()?;
                Some(format!("replica {ordinal} of model {} is not pinned: {why}", model.name))
            });
            failing.into_iter().chain(unpinned)
        });
        engine.chain(models).collect()
    }

    fn entry(&mut self, slot: Slot) -> &mut SlotEntry {
        &mut self.models[slot.model].slots[slot.ordinal as usize]
    }
}

impl ModelEntry {
    fn said(&self, now_ns: u64) -> readyz::Model {
        let replicas = self.slots.iter().enumerate();
        readyz::Model {
            name: self.name.clone(),
            version: self.version.clone(),
            ready: self.slots.iter().any(|slot| matches!(slot.state, State::Up { .. })),
            last_error: self.last_error.clone(),
            replicas: replicas.map(|(ordinal, slot)| slot.said(ordinal, now_ns)).collect(),
        }
    }
}

impl SlotEntry {
    fn restarts(&self) -> u64 {
        self.incarnation.saturating_sub(1)
    }

    fn said(&self, replica: usize, now_ns: u64) -> readyz::Replica {
        let ms_until = |until_ns: u64| until_ns.saturating_sub(now_ns) / 1_000_000;
        readyz::Replica {
            replica,
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

    use super::super::slots;
    use super::*;

    const MS: u64 = 1_000_000;

    fn board(models: &str) -> (Board, Vec<Slot>) {
        let text = format!("[[application]]\nname = \"alone\"\ninput.type = \"strings\"\n{models}");
        let (config, _) = Config::from_toml(&text, Path::new("/srv"), "c").unwrap();
        (Board::new(&config, 0), slots(&config))
    }

    fn said(board: &Board, now_ns: u64) -> Value {
        serde_json::to_value(board.readiness(now_ns)).unwrap()
    }

    const TWO: &str = "[[model]]\nname = \"m\"\ncommand = [\"m\"]\nreplicas = 2\n";

    #[test]
    fn a_model_is_down_only_when_none_of_its_replicas_is_expected() {
        let (mut board, slots) = board(TWO);
        let back = State::BackingOff { until_ns: 5 };
        let starting = State::Starting;
        assert_eq!(board.set(slots[0], back, 0), None);
        assert_eq!(board.set(slots[1], State::Up { pid: 1 }, 0), None);
        assert_eq!(board.set(slots[1], back, 0), Some(Availability::Down));
        assert_eq!(board.set(slots[0], State::Ended, 0), None);
        assert_eq!(board.set(slots[1], starting, 0), Some(Availability::Expected));
        assert_eq!(board.set(slots[1], State::Up { pid: 2 }, 0), None);
    }

    #[test]
    fn one_replica_up_makes_its_model_ready() {
        let (mut board, slots) = board(TWO);
        assert!(!board.readiness(0).is_ready());
        assert_eq!(board.next_incarnation(slots[1]), 1);
        board.set(slots[0], State::BackingOff { until_ns: 30 * MS }, 10 * MS);
        board.note_error(slots[0], "it is not there");
        board.set(slots[1], State::Up { pid: 7 }, 10 * MS);
        assert!(board.readiness(0).is_ready());
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
        assert_eq!(said(&board, 15 * MS), expected);
    }

    #[test]
    fn what_is_missing_is_named() {
        let (mut board, _) = board(TWO);
        assert_eq!(said(&board, 0)["reasons"], json!(["no replica of model m is up"]));
        board.note_engine_ended();
        assert_eq!(said(&board, 0)["reasons"][0], "the engine thread has ended");
        assert!(!board.is_engine_running());
    }

    #[test]
    fn a_draining_server_is_not_ready() {
        let (mut board, slots) = board(TWO);
        board.set(slots[0], State::Up { pid: 7 }, 0);
        board.begin_drain();
        assert!(!board.readiness(0).is_ready());
        assert_eq!(said(&board, 0)["status"], "draining");
    }

    #[test]
    fn an_error_is_news_once_and_again_after_a_life_that_was_up() {
        let (mut board, slots) = board(TWO);
        assert!(board.note_error(slots[0], "a"));
        assert!(!board.note_error(slots[0], "a"));
        assert!(board.note_error(slots[0], "b"));
        board.set(slots[0], State::Up { pid: 7 }, 0);
        assert!(board.note_error(slots[0], "b"));
        assert!(board.note_error(slots[1], "b"));
    }

    #[test]
    fn a_pin_that_did_not_take_is_shown_until_one_does() {
        let (mut board, slots) = board(TWO);
        assert!(board.note_unpinned(slots[0], Some("refused".to_owned())));
        assert!(!board.note_unpinned(slots[0], Some("refused".to_owned())));
        assert_eq!(said(&board, 0)["models"][0]["replicas"][0]["not_pinned"], "refused");
        assert!(!board.note_unpinned(slots[0], None));
        assert_eq!(said(&board, 0)["models"][0]["replicas"][0]["not_pinned"], Value::Null);
    }

    #[test]
    fn a_state_that_goes_on_keeps_its_time() {
        let (mut board, slots) = board(TWO);
        let loading = |is_expected| State::Loading { pid: 7, is_expected };
        board.set(slots[0], loading(true), 10 * MS);
        board.set(slots[0], loading(false), 12 * MS);
        let shown = &said(&board, 15 * MS)["models"][0]["replicas"][0];
        assert_eq!((&shown["state"], &shown["for_ms"]), (&json!("loading"), &json!(5)));
    }

    #[test]
    fn a_model_that_only_loads_is_awaited_for_a_while() {
        let (mut board, slots) = board("[[model]]\nname = \"m\"\ncommand = [\"m\"]\n");
        let loading = |is_expected| State::Loading { pid: 7, is_expected };
        assert_eq!(board.set(slots[0], loading(true), 0), None);
        assert_eq!(board.set(slots[0], loading(false), 0), Some(Availability::Down));
        assert_eq!(said(&board, 0)["status"], "not_ready");
        assert_eq!(board.set(slots[0], State::Up { pid: 7 }, 0), Some(Availability::Expected));
    }

    #[test]
    fn a_model_that_fails_is_ready_and_degraded_with_what_it_said() {
        let (mut board, slots) = board(TWO);
        board.set(slots[0], State::Up { pid: 7 }, 0);
        board.note_model_failed(0, "7 is not a probability");
        let failing = board.look_at_model(0, Counts { batches: 4, failed: 4 });
        assert_eq!(failing, Some((true, Counts { batches: 4, failed: 4 })));
        assert!(board.readiness(0).is_ready());
        let shown = said(&board, 0);
        assert_eq!(shown["status"], "degraded");
        assert_eq!(shown["reasons"], json!(["model m fails: 4 of its last 4 batches"]));
        assert_eq!(shown["models"][0]["last_error"], "7 is not a probability");
        assert_eq!(board.failures(0), (1.0, Some("7 is not a probability")));
        let again = board.look_at_model(0, Counts { batches: 14, failed: 4 });
        assert_eq!(again, Some((false, Counts { batches: 14, failed: 4 })));
        assert_eq!(said(&board, 0)["status"], "ready");
    }

    #[test]
    fn whoever_is_not_on_its_core_degrades_the_server() {
        let (mut board, slots) = board(TWO);
        for slot in &slots {
            board.set(*slot, State::Up { pid: 7 }, 0);
        }
        board.note_engine_unpinned(Some("core 99 is not there".to_owned()));
        board.note_unpinned(slots[1], Some("core 7 is not there".to_owned()));
        let reasons = json!([
            "the engine thread is not pinned: core 99 is not there",
            "replica 1 of model m is not pinned: core 7 is not there",
        ]);
        let shown = said(&board, 0);
        assert_eq!((&shown["status"], &shown["reasons"]), (&json!("degraded"), &reasons));
    }
}
