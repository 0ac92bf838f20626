//! Changes of a running server: what comes, is linked elsewhere, and goes.
//!
//! ```text
//!   add model           noted ▸ engine: model, replicas ▸ its containers start
//!   add application     rows ▸ engine: application, which asks nobody yet
//!   link                inputs agree ▸ replicas map the rows ▸ engine: all links at once
//!   switch arm          noted ▸ engine, which asks it no more, or again
//!   batching            noted ▸ engine, whose next batches are formed in this way
//!   remove application  engine drains ▸ replicas unmap the rows ▸ engine removes ▸ freed
//!   remove model        nobody is linked ▸ engine drains ▸ replicas end ▸ engine removes ▸ freed
//! ```
//!
//! One after another, each to its end, in the order in which they were asked for: so what a plan
//! saw of the registry is still so when it is carried out. Queries go on meanwhile, and none is
//! lost: those of a removed application are answered first, by their objective at the latest. What
//! is refused has changed nothing.

use std::rc::Rc;

use cutter_core::contexts::Series;
use cutter_core::ids::ModelId;
use cutter_core::{Change, Retired};
use cutter_machine::clock::monotonic_ns;
use cutter_protocol::engine::PoolChange;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::greet::takes;
use super::plan::{self, ChangeError};
use super::registry::{Registry, Slot, State};
use super::shared::{Phase, Shared};
use super::slot;
use crate::config;
use crate::messages::ToEngine;

/// Asks a running server for changes. Each call waits until its change is done, which is when all
/// before it are, too: not for tasks of an asynchronous runtime.
///
/// A model is named as in a configuration: `name`, or `name:version` where there are several.
#[derive(Clone, Debug)]
pub struct Changes {
    requests: UnboundedSender<Request>,
}

impl Changes {
    /// Adds a model version and starts its replicas, without waiting for them. Nothing asks it yet.
    ///
    /// # Errors
    /// The version is there, or there is no room for so many replicas; or the server is ending.
    pub fn add_model(&self, settings: config::Model) -> Result<(), ChangeError> {
        self.ask(What::AddModel(Box::new(settings)))
    }

    /// Adds an application that can be linked to so many models, and is linked to none: it answers
    /// its queries with the default output, and so until it is linked. Takes its memory.
    ///
    /// # Errors
    /// The name is taken, or there is no room or no memory for it; or the server is ending.
    pub fn add_application(
        &self,
        settings: config::Application,
        links_max: usize,
    ) -> Result<(), ChangeError> {
        self.ask(What::AddApplication { settings: Box::new(settings), links_max })
    }

    /// Links an application to these models, in the order of its preference, and to no others. So a
    /// switch to another version and the way back are the same step. Queries that wait for a model
    /// still get its answer.
    ///
    /// # Errors
    /// One of them is not there or is named twice, they are too many, or a model takes other inputs
    /// than the application sends; or the server is ending.
    pub fn link(&self, application: &str, models: &[&str]) -> Result<(), ChangeError> {
        let models = models.iter().map(|model| (*model).to_owned()).collect();
        self.ask(What::Link { application: application.to_owned(), models })
    }

    /// Removes an application when its last query is answered. New ones find nothing at its path.
    ///
    /// # Errors
    /// It is not there; or the server is ending.
    pub fn remove_application(&self, name: &str) -> Result<(), ChangeError> {
        self.ask(What::RemoveApplication(name.to_owned()))
    }

    /// Removes a model version and ends its replicas.
    ///
    /// # Errors
    /// It is not there, or an application is linked to it; or the server is ending.
    pub fn remove_model(&self, name: &str) -> Result<(), ChangeError> {
        self.ask(What::RemoveModel(name.to_owned()))
    }

    /// Takes a model out of what an application's policy chooses from, or back in: from the next
    /// query on. That stays so until other models are linked. A call for a task, which waits.
    pub(super) async fn switch_arm(
        &self,
        application: String,
        model: String,
        on: bool,
    ) -> Result<(), ChangeError> {
        let is_done = self.request(What::SwitchArm { application, model, on })?;
        is_done.await.unwrap_or(Err(ChangeError::Ending))
    }

    /// Changes how batches of a model are formed, from the next one on; the limits of its replicas
    /// are then found anew. A call for a task, which waits.
    pub(super) async fn batching(
        &self,
        model: String,
        wanted: Batching,
    ) -> Result<(), ChangeError> {
        let is_done = self.request(What::Batching { model, wanted })?;
        is_done.await.unwrap_or(Err(ChangeError::Ending))
    }

    fn ask(&self, what: What) -> Result<(), ChangeError> {
        self.request(what)?.blocking_recv().unwrap_or(Err(ChangeError::Ending))
    }

    fn request(&self, what: What) -> Result<IsDone, ChangeError> {
        let (done, is_done) = oneshot::channel();
        self.requests.send(Request { what, done }).map_err(|_| ChangeError::Ending)?;
        Ok(is_done)
    }
}

/// What becomes of a request.
type IsDone = oneshot::Receiver<Result<(), ChangeError>>;

/// How batches are to be formed; what is left out stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Batching {
    pub policy: Option<config::BatchPolicy>,
    pub max: Option<u32>,
    pub wait_ns: Option<u64>,
    pub defer: Option<bool>,
}

impl Batching {
    fn apply(self, batch: &mut config::Batch) {
        batch.policy = self.policy.unwrap_or(batch.policy);
        batch.max = self.max.unwrap_or(batch.max);
        batch.wait_ns = self.wait_ns.unwrap_or(batch.wait_ns);
        batch.defer = self.defer.unwrap_or(batch.defer);
    }
}

/// Something that is to be changed.
#[derive(Debug)]
pub struct Request {
    what: What,
    done: oneshot::Sender<Result<(), ChangeError>>,
}

#[derive(Debug)]
enum What {
    AddModel(Box<config::Model>),
    AddApplication { settings: Box<config::Application>, links_max: usize },
    Link { application: String, models: Vec<String> },
    SwitchArm { application: String, model: String, on: bool },
    Batching { model: String, wanted: Batching },
    RemoveApplication(String),
    RemoveModel(String),
}

/// The way to ask the control thread for changes.
pub fn channel() -> (Changes, UnboundedReceiver<Request>) {
    let (requests, receiver) = unbounded_channel();
    (Changes { requests }, receiver)
}

/// Keeps replicas going, those that are there and those that come, and makes changes until the
/// server ends. Then waits for the replicas.
pub(super) async fn run(shared: Rc<Shared>, mut requests: UnboundedReceiver<Request>) {
    let mut replicas = JoinSet::new();
    let slots = shared.registry().slots();
    slots.into_iter().for_each(|slot| start(&shared, slot, &mut replicas));
    let mut has_ended = false;
    while !has_ended {
        tokio::select! {
            biased;
            () = shared.reached(Phase::Ending) => has_ended = true,
            Some(ended) = replicas.join_next() => look_at(ended),
            Some(Request { what, done }) = requests.recv() => {
                let result = tokio::select! {
                    result = make(&shared, what, &mut replicas) => result,
                    () = shared.reached(Phase::Ending) => Err(ChangeError::Ending),
                };
                // Whoever asked may wait no more.
                let _ = done.send(result);
            }
        }
    }
    drop(requests);
    while let Some(ended) = replicas.join_next().await {
        look_at(ended);
    }
}

fn look_at(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!("a task of the control thread failed: {error}");
    }
}

/// Starts the container of a replica, or lets it come by hand.
fn start(shared: &Rc<Shared>, slot: Slot, replicas: &mut JoinSet<()>) {
    match shared.model(slot).command.clone() {
        Some(command) => {
            replicas.spawn_local(slot::run(Rc::clone(shared), slot, command));
        }
        None => shared.set(slot, State::NotConnected),
    }
}

async fn make(
    shared: &Rc<Shared>,
    what: What,
    replicas: &mut JoinSet<()>,
) -> Result<(), ChangeError> {
    if shared.phase() >= Phase::Draining {
        return Err(ChangeError::Ending);
    }
    match what {
        What::AddModel(settings) => {
            let added = plan::add_model(&mut shared.registry(), &settings, monotonic_ns());
            let (model, steps) = added?;
            for step in steps {
                shared.change(step).await?;
            }
            let slots = shared.registry().slots_of(model);
            slots.into_iter().for_each(|slot| start(shared, slot, replicas));
            Ok(())
        }
        What::AddApplication { settings, links_max } => {
            let added = plan::add_application(&mut shared.registry(), &settings, links_max);
            let (_, step) = added?;
            shared.change(step).await.map(drop)
        }
        What::Link { application, models } => link(shared, &application, &models).await,
        What::SwitchArm { application, model, on } => switch_arm(shared, &application, &model, on),
        What::Batching { model, wanted } => {
            let planned = plan::batch(&mut shared.registry(), &model, |batch| wanted.apply(batch));
            shared.change(planned?).await?;
            tracing::info!(model, ?wanted, "an operator changed how batches are formed");
            Ok(())
        }
        What::RemoveApplication(name) => remove_application(shared, &name).await,
        What::RemoveModel(name) => remove_model(shared, &name).await,
    }
}

async fn link(shared: &Rc<Shared>, name: &str, models: &[String]) -> Result<(), ChangeError> {
    let planned = {
        let mut registry = shared.registry();
        let application = plan::application(&registry, name)?;
        let models = models.iter().map(|model| plan::model(&registry, model));
        let models = models.collect::<Result<Vec<_>, _>>()?;
        let input = registry.applications[application].settings.input;
        for model in &models {
            let others = shared.inputs_of(*model);
            if let Some(other) = others.into_iter().find(|other| !takes(other, &input)) {
                return Err(ChangeError::Input {
                    model: registry.models[*model].settings.label(),
                    takes: Box::new(other),
                    application: name.to_owned(),
                    sends: Box::new(input),
                });
            }
        }
        plan::link(&mut registry, application, &models)?
    };
    for (model, pool) in planned.maps {
        shared.change_pool(model, PoolChange::Map { pool }).await;
    }
    let retired = shared.change(planned.step).await?;
    leave(&shared.registry(), retired, planned.ended);
    Ok(())
}

/// What is not stored yet of what was learned is stored, and the series then forgotten. Not before
/// the engine thread has given up who learned: what that asks the store of a series that is
/// forgotten would begin anew.
fn leave(registry: &Registry, mut retired: Retired, ended: Option<Series>) {
    let Some(store) = &registry.run.store else { return };
    if let Some(learner) = retired.learner() {
        learner.leave(|series, key, state| store.save(series, key, state));
    }
    if let Some(series) = ended {
        store.forget(series);
    }
}

fn switch_arm(shared: &Shared, name: &str, model: &str, on: bool) -> Result<(), ChangeError> {
    let mut registry = shared.registry();
    let application = plan::application(&registry, name)?;
    let arm = plan::arm(&registry, application, model)?;
    let entry = &mut registry.applications[application];
    let off = entry.arms_off;
    entry.arms_off = if on { off.without(arm) } else { off.with(arm) };
    shared.send_to_engine(ToEngine::SwitchArm { application, arm, on });
    tracing::info!(application = name, model, on, "an operator switched a model");
    Ok(())
}

async fn remove_application(shared: &Rc<Shared>, name: &str) -> Result<(), ChangeError> {
    let application = plan::application(&shared.registry(), name)?;
    shared.change(Change::DrainApplication(application).into()).await?;
    let readers = plan::unlink(&mut shared.registry(), application);
    for (model, pool) in readers {
        shared.change_pool(model, PoolChange::Unmap { pool }).await;
    }
    let retired = shared.change(Change::RemoveApplication(application).into()).await?;
    let mut registry = shared.registry();
    let removed = registry.applications.remove(application);
    leave(&registry, retired, removed.and_then(|entry| entry.series));
    Ok(())
}

async fn remove_model(shared: &Rc<Shared>, name: &str) -> Result<(), ChangeError> {
    let model = unlinked(&shared.registry(), name)?;
    shared.change(Change::DrainModel(model).into()).await?;
    let slots = shared.registry().slots_of(model);
    for slot in &slots {
        if shared.registry().state(*slot) == State::NotConnected {
            shared.set(*slot, State::Ended);
        } else {
            shared.leave(slot.replica);
        }
    }
    shared.all_left(&slots).await;
    for slot in slots {
        shared.change(Change::RemoveReplica(slot.replica).into()).await?;
        shared.registry().remove_replica(slot.replica);
    }
    shared.change(Change::RemoveModel(model).into()).await?;
    shared.registry().models.remove(model);
    shared.forget_model(model);
    Ok(())
}

/// The model with this name, if no application is linked to it.
fn unlinked(registry: &Registry, name: &str) -> Result<ModelId, ChangeError> {
    let model = plan::model(registry, name)?;
    let mut linked = registry.applications.iter();
    match linked.find(|(_, entry)| entry.links.contains(&model)) {
        None => Ok(model),
        Some((_, entry)) => Err(ChangeError::Linked {
            name: registry.models[model].settings.label(),
            application: entry.settings.name.clone(),
        }),
    }
}
