//! Changes: how applications, model versions and replicas come, are linked, and go, while queries
//! run.
//!
//! Control decides, and names everything; the engine thread carries out. What comes is made by
//! control with all of its memory, and moved in; what goes is moved back, to be freed there. So a
//! change takes no memory here, and waits for nothing.
//!
//! ```text
//!   add ▸ link ▸ … ▸ link elsewhere ▸ drain ▸ remove
//!          └── replaces all links of an application at once: a switch of versions and its
//!              rollback are the same step
//! ```
//!
//! Each change is acknowledged by its number, once: at once, or, for a drain, when nothing is under
//! way any more. What control asks for is in order, since it alone asks: that a thing is there,
//! that nothing is linked to a model which is drained, that only what is drained is removed. These
//! are assertions, not errors.

use crate::Core;
use crate::answer::Sink;
use crate::application::{Application, Links};
use crate::batching::{BatchLimit, Forming};
use crate::deadlines::NEVER_NS;
use crate::ids::{ApplicationId, ModelId, ReplicaId};
use crate::model::{Model, Room};
use crate::replica::Replica;
use crate::selection::Learner;

/// One step.
#[derive(Debug)]
pub enum Change {
    AddApplication {
        id: ApplicationId,
        application: Box<Application>,
    },
    AddModel {
        id: ModelId,
        model: Box<Model>,
    },
    /// Its model is there. It has no incarnation yet.
    AddReplica {
        id: ReplicaId,
        replica: Box<Replica>,
    },
    /// From now on the queries of an application ask these models, which are there, each once.
    /// Calls that wait at others go on. A model that gets more rows than it has room for gets a new
    /// room.
    Link {
        application: ApplicationId,
        links: Box<Links>,
        rooms: Vec<NewRoom>,
    },
    /// No query is admitted any more. Acknowledged when all are closed and all rows are free.
    DrainApplication(ApplicationId),
    /// Nothing is linked to it. Acknowledged when no call waits and no batch is in flight.
    DrainModel(ModelId),
    /// It is sent nothing any more. Acknowledged when no batch is in flight.
    DrainReplica(ReplicaId),
    /// It is drained.
    RemoveApplication(ApplicationId),
    /// It is drained and has no replicas.
    RemoveModel(ModelId),
    /// It has no incarnation.
    RemoveReplica(ReplicaId),
    /// Batches of a model are formed in another way, and the limits of its replicas are found anew.
    Batching {
        model: ModelId,
        forming: Forming,
        limits: Vec<(ReplicaId, BatchLimit)>,
    },
}

/// More room for what waits at a model.
#[derive(Debug)]
pub struct NewRoom {
    pub model: ModelId,
    pub room: Box<Room>,
}

/// What a change has taken out, to be freed where that may take its time.
#[derive(Debug)]
pub enum Retired {
    Nothing,
    Application(Box<Application>),
    Model(Box<Model>),
    Replica(Box<Replica>),
    Links(Box<Links>, Vec<NewRoom>),
    Limits(Vec<(ReplicaId, BatchLimit)>),
}

impl Retired {
    /// Who has learned, and does not any more.
    pub fn learner(&mut self) -> Option<&mut Learner> {
        match self {
            Self::Links(links, _) => links.learner.as_deref_mut(),
            Self::Application(application) => application.selector.as_mut()?.learner.as_deref_mut(),
            Self::Nothing | Self::Model(_) | Self::Replica(_) | Self::Limits(_) => None,
        }
    }
}

/// A change is done.
#[derive(Debug)]
pub struct Changed {
    pub number: u64,
    pub retired: Retired,
}

/// A drain under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drain {
    number: u64,
    what: Drained,
}

#[derive(Clone, Copy, Debug)]
enum Drained {
    Application(ApplicationId),
    Model(ModelId),
    Replica(ReplicaId),
}

impl Core {
    /// Carries out a change. `None`: it is a drain, and [`Core::take_changed`] will tell when it is
    /// done.
    pub fn change(
        &mut self,
        now_ns: u64,
        number: u64,
        change: Change,
        sink: &mut impl Sink,
    ) -> Option<Changed> {
        let retired = match change {
            Change::AddApplication { id, application } => {
                self.applications.put(id, application);
                Retired::Nothing
            }
            Change::AddModel { id, model } => {
                self.models.put(id, model);
                self.model_list.push(id);
                Retired::Nothing
            }
            Change::AddReplica { id, replica } => {
                let model = &mut self.models[replica.model];
                model.replicas.push(id);
                self.replicas.put(id, replica);
                self.objectives_changed();
                Retired::Nothing
            }
            Change::Link { application, links, rooms } => self.link(application, links, rooms),
            Change::DrainApplication(id) => {
                self.applications[id].is_draining = true;
                return self.drain(number, Drained::Application(id));
            }
            Change::DrainModel(id) => {
                for (_, state) in self.applications.iter() {
                    let is_linked = state.links.models.iter().any(|link| link.model == id);
                    assert!(!is_linked, "a linked model is drained");
                }
                return self.drain(number, Drained::Model(id));
            }
            Change::DrainReplica(id) => {
                self.replicas[id].is_draining = true;
                return self.drain(number, Drained::Replica(id));
            }
            Change::RemoveApplication(id) => self.remove_application(id),
            Change::RemoveModel(id) => self.remove_model(id),
            Change::RemoveReplica(id) => self.remove_replica(now_ns, id, sink),
            Change::Batching { model, forming, limits } => self.batch(model, forming, limits),
        };
        Some(Changed { number, retired })
    }

    /// A drain that is done; of several the one that was asked for first.
    pub fn take_changed(&mut self) -> Option<Changed> {
        let done = self.drains.iter().position(|drain| self.is_drained(drain.what))?;
        let Drain { number, .. } = self.drains.remove(done);
        Some(Changed { number, retired: Retired::Nothing })
    }

    fn drain(&mut self, number: u64, what: Drained) -> Option<Changed> {
        if self.is_drained(what) {
            return Some(Changed { number, retired: Retired::Nothing });
        }
        self.drains.push(Drain { number, what });
        None
    }

    fn is_drained(&self, what: Drained) -> bool {
        match what {
            Drained::Application(id) => self.applications[id].is_idle(),
            Drained::Model(id) => {
                let model = &self.models[id];
                let is_free = |replica: &ReplicaId| self.replicas[*replica].in_flight() == 0;
                model.waiting() == 0 && model.replicas.iter().all(is_free)
            }
            Drained::Replica(id) => self.replicas[id].in_flight() == 0,
        }
    }

    fn link(
        &mut self,
        application: ApplicationId,
        links: Box<Links>,
        mut rooms: Vec<NewRoom>,
    ) -> Retired {
        let state = &mut *self.applications[application];
        assert!(links.models.len() <= state.queries.width(), "more links than calls of a query");
        for (index, link) in links.models.iter().enumerate() {
            assert!(self.models.get(link.model).is_some(), "a link to a model that is not there");
            let before = &links.models[..index];
            assert!(before.iter().all(|other| other.model != link.model), "a model linked twice");
        }
        for NewRoom { model, room } in &mut rooms {
            let model = &mut self.models[*model];
            room.queue.take_over(&mut model.room.queue);
            room.apart.take_over(&mut model.room.apart);
            std::mem::swap(&mut model.room, room);
        }
        let mut before = std::mem::replace(&mut state.links, links);
        if let Some(selector) = &mut state.selector {
            let after = &mut state.links;
            let same = before.models.iter().map(|link| link.model);
            if same.eq(after.models.iter().map(|link| link.model)) {
                // What is known of these models stays.
                std::mem::swap(&mut before.learner, &mut after.learner);
            } else {
                before.learner = selector.relink(after.learner.take());
            }
        }
        self.objectives_changed();
        Retired::Links(before, rooms)
    }

    fn batch(
        &mut self,
        model: ModelId,
        forming: Forming,
        mut limits: Vec<(ReplicaId, BatchLimit)>,
    ) -> Retired {
        self.models[model].forming = forming;
        for (replica, limit) in &mut limits {
            std::mem::swap(&mut self.replicas[*replica].limit, limit);
        }
        self.objectives_changed();
        Retired::Limits(limits)
    }

    /// Links, or replicas, are others now: so is what a batch may take. It is rare, and a walk over
    /// everything.
    fn objectives_changed(&mut self) {
        for (_, model) in self.models.iter_mut() {
            (model.tightest_slo_ns, model.loosest_slo_ns) = (u64::MAX, 1);
        }
        for (_, state) in self.applications.iter() {
            for link in &state.links.models {
                let model = &mut self.models[link.model];
                model.tightest_slo_ns = model.tightest_slo_ns.min(state.slo_ns);
                model.loosest_slo_ns = model.loosest_slo_ns.max(state.slo_ns);
            }
        }
        self.cores_changed();
        for (_, replica) in self.replicas.iter_mut() {
            let model = &self.models[replica.model];
            replica.set_cost(model.forming.cost);
            replica.limit.set_objective(model.objective());
            replica.estimate.set_horizon_ns(model.loosest_slo_ns);
        }
    }

    fn remove_application(&mut self, id: ApplicationId) -> Retired {
        assert!(self.applications[id].is_idle(), "an application is removed that is not drained");
        self.deadlines.set(Self::owner_of_application(id), NEVER_NS);
        let Some(application) = self.applications.remove(id) else { return Retired::Nothing };
        self.objectives_changed();
        Retired::Application(application)
    }

    fn remove_model(&mut self, id: ModelId) -> Retired {
        assert!(self.is_drained(Drained::Model(id)), "a model is removed that is not drained");
        assert!(self.models[id].replicas.is_empty(), "a model is removed before its replicas");
        self.failure_news.retain(|model| *model != id);
        self.model_list.retain(|model| *model != id);
        let Some(model) = self.models.remove(id) else { return Retired::Nothing };
        // It is freed by another thread.
        model.cache.iter().for_each(|cache| cache.settle());
        Retired::Model(model)
    }

    fn remove_replica(&mut self, now_ns: u64, id: ReplicaId, sink: &mut impl Sink) -> Retired {
        assert!(self.replicas[id].incarnation.is_none(), "a replica is removed that lives");
        self.deadlines.set(Self::owner_of_replica(id), NEVER_NS);
        let Some(replica) = self.replicas.remove(id) else { return Retired::Nothing };
        let model = replica.model;
        self.models[model].replicas.retain(|other| *other != id);
        if self.models[model].replicas.is_empty() {
            // Nobody is left to answer; who waits is told at once.
            self.set_availability(now_ns, model, crate::Availability::Down, sink);
        }
        self.objectives_changed();
        Retired::Replica(replica)
    }
}
