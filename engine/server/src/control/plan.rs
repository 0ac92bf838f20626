//! From what is wanted to the changes that make it so.
//!
//! Pure but for the memory that it takes: the registry notes what is to be, and out come the
//! changes for the engine thread, in their order. The start of a server is the same as what comes
//! later, with all changes done at once.

use std::sync::Arc;

use cutter_core::cache::CachePlan;
use cutter_core::contexts::Series;
use cutter_core::ids::{ApplicationId, ModelId};
use cutter_core::limits::{
    APPLICATIONS_MAX, CACHE_PAYS_PARTS, LINKS_MAX, MODELS_MAX, REPLICAS_TOTAL_MAX,
};
use cutter_core::policy::Models;
use cutter_core::stats::{ApplicationStats, ModelStats};
use cutter_core::{
    Application, ApplicationPlan, Change, Cost, Forming, HedgePlan, LimitPlan, Link, Links, Model,
    ModelPlan, NewRoom, Replica, ReplicaPlan, Room,
};
use cutter_protocol::limits::{DEPTH_DEFAULT, POOLS_MAX};
use cutter_protocol::segment::SegmentError;
use cutter_protocol::violation::Violation;
use cutter_tensor::TensorSpec;

use super::learning::{self, Made};
use super::registry::{ApplicationEntry, ModelEntry, Registry};
use crate::config::{self, BatchCost, BatchPolicy, Problem};
use crate::decision_log::LogHeader;
use crate::limits::CACHE_INPUT_BYTES;
use crate::pool;
use crate::port::PolicyView;
use crate::port::http::Endpoint;

/// Why something is not done. Each is one line: what, why, what to do.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("there is an application {name} already; remove it first")]
    ApplicationThere { name: String },
    #[error("there is a model {name} of version {version} already; give another version")]
    ModelThere { name: String, version: String },
    #[error("there is no application {name}; there are: {known}")]
    NoApplication { name: String, known: String },
    #[error("there is no model {name}; there are: {known}")]
    NoModel { name: String, known: String },
    #[error("there are several versions of model {name}; name one of them: {known}")]
    WhichVersion { name: String, known: String },
    #[error("model {name} is linked to application {application}; link that elsewhere first")]
    Linked { name: String, application: String },
    #[error("a server has at most {APPLICATIONS_MAX} applications; remove one first")]
    Applications,
    #[error(
        "a server has at most {MODELS_MAX} model versions with {REPLICAS_TOTAL_MAX} replicas; \
         remove one first"
    )]
    Models,
    #[error(
        "application {application} was made for {most} models at most, and {asked} are named; add \
         it anew for more (at most {LINKS_MAX})"
    )]
    Links { application: String, asked: usize, most: usize },
    #[error(
        "application {application} is to ask up to {asked} models; give a number from 1 to \
         {LINKS_MAX}"
    )]
    LinksMax { application: String, asked: usize },
    #[error(transparent)]
    Settings(#[from] Box<Problem>),
    #[error("model {name} is named twice")]
    Twice { name: String },
    #[error(
        "the replicas of model {name} can read the rows of {POOLS_MAX} applications, and have \
         those of {applications}; remove one of these"
    )]
    Pools { name: String, applications: String },
    #[error("cannot take the input pool of application {application}: {source}")]
    Pool {
        application: String,
        #[source]
        source: SegmentError,
    },
    #[error(
        "model {model} takes {takes}, but application {application} sends {sends}; link it to \
         another model"
    )]
    Input { model: String, takes: Box<TensorSpec>, application: String, sends: Box<TensorSpec> },
    #[error(
        "the policy of application {application} is for {made_for} models, and {named} are named; \
         name as many, or none"
    )]
    PolicyModels { application: String, made_for: usize, named: usize },
    #[error("the policy of application {application} cannot be made: {why}")]
    Policy { application: String, why: String },
    #[error("application {application} asks no model {name}; it asks: {known}")]
    NoArm { application: String, name: String, known: String },
    #[error(
        "`max` is {asked}, but model {name} was made for batches of 1 to {most}; for larger ones \
         add it anew"
    )]
    BatchMax { name: String, asked: u32, most: u32 },
    #[error("application {application} has no policy, or no models: nothing is chosen there")]
    NoPolicy { application: String },
    #[error("the server is ending")]
    Ending,
}

/// A step for the engine thread.
#[derive(Debug)]
pub struct Step {
    pub change: Change,
    pub endpoint: Option<Box<Endpoint>>,
    /// What the decision log is to know of an application that is linked and has a policy.
    pub header: Option<Box<LogHeader>>,
}

impl From<Change> for Step {
    fn from(change: Change) -> Self {
        Self { change, endpoint: None, header: None }
    }
}

/// How an application is linked.
#[derive(Debug)]
pub struct LinkPlan {
    pub step: Step,
    /// Whose rows the replicas of a model are to read that could not before: which model, and at
    /// which place of their pool tables.
    pub maps: Vec<(ModelId, u32)>,
    /// What the application has learned so far of other models, and learns no more when the engine
    /// thread has linked these.
    pub ended: Option<Series>,
}

/// Adds a model version with its replicas, which are yet to be started.
pub fn add_model(
    registry: &mut Registry,
    settings: &config::Model,
    now_ns: u64,
) -> Result<(ModelId, Vec<Step>), ChangeError> {
    settings.check()?;
    let config::Model { name, version, replicas, batch, .. } = settings;
    let has_version = |model: &ModelId| registry.models[*model].settings.version == *version;
    if registry.models_named(name).iter().any(has_version) {
        let (name, version) = (name.clone(), version.clone());
        return Err(ChangeError::ModelThere { name, version });
    }
    let stats = ModelStats::new(name, version, *replicas as usize, Violation::KINDS);
    let stats = Arc::new(stats);
    let added = registry.add_model(Arc::new(settings.clone()), Arc::clone(&stats), now_ns);
    let id = added.ok_or(ChangeError::Models)?;
    let cache = settings.cache.map(|cache| cache_plan(settings, cache));
    registry.models[id].cache = cache.as_ref().map(|plan| Arc::clone(&plan.stats));
    let plan = ModelPlan {
        cache,
        hedge: settings.hedge_share.map(|share| HedgePlan { share }),
        depth: DEPTH_DEFAULT,
        batch_timeout_ns: settings.batch_timeout_ns,
        forming: forming(batch),
        room: Room::new(0),
        stats: Arc::clone(&stats),
    };
    let mut steps = vec![Change::AddModel { id, model: Box::new(Model::new(plan)) }.into()];
    for slot in registry.slots_of(id) {
        let plan = ReplicaPlan {
            model: id,
            ordinal: slot.ordinal,
            depth: DEPTH_DEFAULT,
            core: core_of(settings, slot.ordinal),
            items_max: batch.max,
            limit: limit_plan(batch),
            stats: Arc::clone(&stats.replicas[slot.ordinal as usize]),
        };
        let replica = Box::new(Replica::new(plan));
        steps.push(Change::AddReplica { id: slot.replica, replica }.into());
    }
    Ok((id, steps))
}

/// Forms the batches of a model in another way from now on.
pub fn batch(
    registry: &mut Registry,
    name: &str,
    change: impl FnOnce(&mut config::Batch),
) -> Result<Step, ChangeError> {
    let id = model(registry, name)?;
    let entry = &mut registry.models[id];
    let mut settings = config::Model::clone(&entry.settings);
    change(&mut settings.batch);
    let (asked, most) = (settings.batch.max, entry.batch_max);
    if !(1..=most).contains(&asked) {
        return Err(ChangeError::BatchMax { name: name.to_owned(), asked, most });
    }
    entry.settings = Arc::new(settings);
    let batch = &entry.settings.batch;
    let limits = entry.replicas.iter().map(|replica| (*replica, limit_plan(batch).make()));
    let (limits, forming) = (limits.collect(), forming(batch));
    Ok(Change::Batching { model: id, forming, limits }.into())
}

/// The core that a replica must have for itself.
fn core_of(settings: &config::Model, replica: u32) -> Option<u32> {
    let core = settings.cpu_of_replica(replica).filter(|_| settings.batch.exclusive)?;
    u32::try_from(core).ok()
}

/// What the policy counts, and up to how much.
fn limit_plan(batch: &config::Batch) -> LimitPlan {
    let max = match batch.cost {
        BatchCost::Rows => batch.max,
        BatchCost::Bytes { max } => max,
    };
    match batch.policy {
        BatchPolicy::Aimd => LimitPlan::Aimd { max },
        BatchPolicy::Quantile => LimitPlan::Quantile { max },
        BatchPolicy::Fixed => LimitPlan::Fixed { max },
    }
}

fn forming(batch: &config::Batch) -> Forming {
    let cost = match batch.cost {
        BatchCost::Rows => Cost::Rows,
        BatchCost::Bytes { .. } => Cost::Bytes,
    };
    Forming { wait_ns: batch.wait_ns, defer: batch.defer, cost }
}

fn cache_plan(settings: &config::Model, cache: config::Cache) -> CachePlan {
    CachePlan {
        bytes_max: usize::try_from(cache.bytes).unwrap_or(usize::MAX),
        input_bytes: settings.input.map_or(CACHE_INPUT_BYTES, |input| input.bytes_max()),
        ttl_ns: cache.ttl_ns,
        pays_parts: CACHE_PAYS_PARTS,
        seed: learning::secret(),
        stats: Arc::default(),
    }
}

/// Adds an application, which asks nobody yet but can ask so many models. Takes its memory.
pub fn add_application(
    registry: &mut Registry,
    settings: &config::Application,
    links_max: usize,
) -> Result<(ApplicationId, Step), ChangeError> {
    settings.check()?;
    let name = || settings.name.clone();
    if registry.application_named(&settings.name).is_some() {
        return Err(ChangeError::ApplicationThere { name: name() });
    }
    if !(1..=LINKS_MAX).contains(&links_max) {
        return Err(ChangeError::LinksMax { application: name(), asked: links_max });
    }
    let created = pool::create(settings.rows, settings.row_stride(), settings.rows_at_start);
    let (pool, descriptor) =
        created.map_err(|source| ChangeError::Pool { application: name(), source })?;
    let stats = Arc::new(ApplicationStats::new(&settings.name));
    let entry = ApplicationEntry {
        settings: settings.clone(),
        stats: Arc::clone(&stats),
        rows: descriptor,
        links: Vec::new(),
        links_max,
        selection: None,
        series: None,
        arms_off: Models::NONE,
    };
    let id = registry.applications.insert(entry).map_err(|_| ChangeError::Applications)?;
    // Zeros are an input of every type, and so is nothing where inputs have lengths of their own.
    let blank_bytes = settings.input.bytes_exact().unwrap_or(0);
    let pool = pool.with_blank(u32::try_from(blank_bytes).expect("bounded by ITEM_BYTES_MAX"));
    let (slo_ns, has_policy) = (settings.slo_ns, settings.policy.is_some());
    let plan = ApplicationPlan { slo_ns, pool, links_max, has_policy, stats };
    let change = Change::AddApplication { id, application: Box::new(Application::new(plan)) };
    let endpoint = endpoint(registry, id);
    Ok((id, Step { change, endpoint: Some(endpoint), header: None }))
}

/// Links an application to these models and to no others.
pub fn link(
    registry: &mut Registry,
    application: ApplicationId,
    models: &[ModelId],
) -> Result<LinkPlan, ChangeError> {
    let entry = &registry.applications[application];
    if models.len() > entry.links_max {
        let (asked, most) = (models.len(), entry.links_max);
        return Err(ChangeError::Links { application: entry.settings.name.clone(), asked, most });
    }
    let places = places(registry, application, models)?;
    let learner = learner(registry, application, models)?;
    // From here on it is done.
    let rows = registry.applications[application].settings.rows as usize;
    let (mut links, mut maps, mut rooms) = (Vec::new(), Vec::new(), Vec::new());
    for (model, place) in models.iter().copied().zip(places) {
        let others = registry
            .applications
            .iter()
            .filter(|(id, other)| *id != application && other.links.contains(&model));
        let needed = rows + others.map(|(_, other)| other.settings.rows as usize).sum::<usize>();
        let entry = &mut registry.models[model];
        let pool = u32::try_from(place).expect("below POOLS_MAX");
        links.push(Link { model, pool });
        if entry.pools[place].replace(application).is_none() {
            maps.push((model, pool));
        }
        if needed > entry.room_rows {
            entry.room_rows = needed;
            rooms.push(NewRoom { model, room: Box::new(Room::new(needed)) });
        }
    }
    let entry = &mut registry.applications[application];
    entry.links = models.to_vec();
    let mut links = Box::new(Links { models: links, ..Links::default() });
    let (mut header, mut ended) = (None, None);
    if let Some(made) = learner {
        ended = std::mem::replace(&mut entry.series, made.series);
        entry.selection = Some(made.stats);
        entry.arms_off = made.off;
        (links.learner, header) = (Some(made.learner), Some(made.header));
    }
    let change = Change::Link { application, links, rooms };
    let endpoint = Some(endpoint(registry, application));
    Ok(LinkPlan { step: Step { change, endpoint, header }, maps, ended })
}

/// Who is to choose among these models, if the application has a policy and they are others than
/// before: for the same ones, the one that there is goes on.
fn learner(
    registry: &mut Registry,
    application: ApplicationId,
    models: &[ModelId],
) -> Result<Option<Made>, ChangeError> {
    let entry = &registry.applications[application];
    let Some(policy) = entry.settings.policy.as_ref() else { return Ok(None) };
    if models.is_empty() || entry.links == models {
        return Ok(None);
    }
    let name = || entry.settings.name.clone();
    let made_for = policy.arms.caps.len();
    if made_for != models.len() {
        let named = models.len();
        return Err(ChangeError::PolicyModels { application: name(), made_for, named });
    }
    let labels = models.iter().map(|model| registry.models[*model].settings.label()).collect();
    let made = learning::make(&entry.settings, policy, labels, &mut registry.run);
    made.map(Some).map_err(|why| ChangeError::Policy { application: name(), why })
}

/// Links an application to nobody. Says whose replicas have its rows, and at which place.
pub fn unlink(registry: &mut Registry, application: ApplicationId) -> Vec<(ModelId, u32)> {
    registry.applications[application].links.clear();
    let mut readers = Vec::new();
    for (model, entry) in registry.models.iter_mut() {
        for (place, pool) in (0..).zip(&mut entry.pools) {
            if *pool == Some(application) {
                *pool = None;
                readers.push((model, place));
            }
        }
    }
    readers
}

/// The application with this name.
pub fn application(registry: &Registry, name: &str) -> Result<ApplicationId, ChangeError> {
    registry.application_named(name).ok_or_else(|| {
        let known = registry.applications.iter().map(|(_, entry)| entry.settings.name.clone());
        ChangeError::NoApplication { name: name.to_owned(), known: listed(known) }
    })
}

/// The place of a model among those that an application's policy chooses from. Its name is enough
/// where no other version of it is among them.
pub fn arm(
    registry: &Registry,
    application: ApplicationId,
    name: &str,
) -> Result<usize, ChangeError> {
    let entry = &registry.applications[application];
    let application = || entry.settings.name.clone();
    if entry.chooser().is_none() {
        return Err(ChangeError::NoPolicy { application: application() });
    }
    let linked = || entry.links.iter().map(|model| &registry.models[*model].settings);
    let exact = linked().position(|settings| settings.label() == name);
    let mut named = linked().enumerate().filter(|(_, settings)| settings.name == name);
    let only = named.next().filter(|_| named.next().is_none()).map(|(place, _)| place);
    exact.or(only).ok_or_else(|| {
        let known = listed(linked().map(|settings| settings.label()));
        ChangeError::NoArm { application: application(), name: name.to_owned(), known }
    })
}

/// The model that is named, with its version where there are several.
pub fn model(registry: &Registry, name: &str) -> Result<ModelId, ChangeError> {
    let label = |id: &ModelId| registry.models[*id].settings.label();
    if let Some((bare, _)) = name.split_once(':') {
        let versions = registry.models_named(bare);
        if let Some(found) = versions.into_iter().find(|id| label(id) == name) {
            return Ok(found);
        }
    }
    match registry.models_named(name).as_slice() {
        [only] => Ok(*only),
        [] => {
            let known = registry.models.iter().map(|(id, _)| label(&id));
            Err(ChangeError::NoModel { name: name.to_owned(), known: listed(known) })
        }
        several => {
            let known = listed(several.iter().map(label));
            Err(ChangeError::WhichVersion { name: name.to_owned(), known })
        }
    }
}

fn listed(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Where the replicas of each model have the rows of an application, or are to have them.
fn places(
    registry: &Registry,
    application: ApplicationId,
    models: &[ModelId],
) -> Result<Vec<usize>, ChangeError> {
    let place = |(index, model): (usize, &ModelId)| {
        let ModelEntry { settings, pools, .. } = &registry.models[*model];
        if models[..index].contains(model) {
            return Err(ChangeError::Twice { name: settings.label() });
        }
        let known = pools.iter().position(|pool| *pool == Some(application));
        known.or_else(|| pools.iter().position(Option::is_none)).ok_or_else(|| {
            let readers = pools.iter().flatten().filter_map(|id| registry.applications.get(*id));
            let readers: Vec<&str> = readers.map(|it| it.settings.name.as_str()).collect();
            ChangeError::Pools { name: settings.label(), applications: readers.join(", ") }
        })
    };
    models.iter().enumerate().map(place).collect()
}

/// What clients see of an application as it is linked now.
fn endpoint(registry: &Registry, application: ApplicationId) -> Box<Endpoint> {
    let ApplicationEntry { settings, stats, links, .. } = &registry.applications[application];
    let linked = links.iter().map(|model| &registry.models[*model].settings);
    let models = linked.map(|model| (model.name.clone(), model.version.clone())).collect();
    let (name, default) = (settings.name.clone(), &settings.default_output);
    let (slo_ns, stats) = (settings.slo_ns, Arc::clone(stats));
    let mut endpoint = Endpoint::new(name, settings.input, slo_ns, default, models, stats);
    (endpoint.rows, endpoint.json_output) = (settings.rows, settings.json_output);
    endpoint.policy = policy_view(settings);
    let mut linked = links.iter().map(|model| &*registry.models[*model].settings);
    if settings.remembers_bodies(&mut linked) {
        endpoint.remember_bodies(learning::secret());
    }
    Box::new(endpoint)
}

/// What the clients of an application can say to its policy, if it has one.
pub fn policy_view(settings: &config::Application) -> Option<PolicyView> {
    settings.policy.as_ref().map(|policy| PolicyView {
        numbers: policy.plan.numbers(),
        is_exact: matches!(policy.plan, config::Plan::BuiltIn(_)),
        rewards: (policy.judging.rewards.low, policy.judging.rewards.high),
    })
}
