//! What control does in a world: it makes things, names them, links them, and takes them away.
//!
//! ```text
//!   retire ▸ link others elsewhere ▸ drain … acknowledged ▸ remove ▸ (a while) ▸ return
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ApplicationSetup, Event, ModelSetup, Returning, Setup, World};
use crate::ids::{ApplicationId, ModelId, OfApplication, OfModel, OfReplica};
use crate::rows::{HeapRows, Pool};
use crate::slab::Slab;
use crate::{
    Application, ApplicationPlan, Asked, Change, Changed, Death, HedgePlan, Link, Links, Model,
    ModelPlan, NewRoom, Replica, ReplicaPlan, Retired, Room,
};

const ROW_BYTES: usize = 64;
pub(super) const BLANK_BYTES: u32 = 4;

/// What is done when a change is acknowledged.
#[derive(Clone, Copy, Debug)]
enum Next {
    Nothing,
    RemoveApplication(usize),
    RemoveModel(usize),
    RemoveReplica(usize),
}

#[derive(Debug)]
pub(super) struct Control {
    setups: Vec<(ApplicationSetup, Option<ApplicationId>)>,
    /// Of each model also the rows that it has room for.
    models: Vec<(ModelSetup, Option<ModelId>, usize)>,
    /// Those that are on their way out: nothing new is linked to them.
    retiring_models: Vec<bool>,
    retiring_applications: Vec<bool>,
    back_after_ns: BTreeMap<u64, u64>,
    application_ids: Slab<(), OfApplication>,
    model_ids: Slab<(), OfModel>,
    replica_ids: Slab<(), OfReplica>,
    next_number: u64,
    under_way: BTreeMap<u64, Next>,
    pub changes_done: u64,
}

impl Control {
    pub fn new(setup: &Setup) -> Self {
        Self {
            setups: setup.applications.iter().map(|setup| (setup.clone(), None)).collect(),
            models: setup.models.iter().map(|setup| (setup.clone(), None, 0)).collect(),
            retiring_models: vec![false; setup.models.len()],
            retiring_applications: vec![false; setup.applications.len()],
            back_after_ns: BTreeMap::new(),
            // With little room, so that places are used again.
            application_ids: Slab::new(setup.applications.len() + 1),
            model_ids: Slab::new(setup.models.len() + 1),
            replica_ids: Slab::new(setup.machines.len() + 1),
            next_number: 1,
            under_way: BTreeMap::new(),
            changes_done: 0,
        }
    }

    pub fn application_id(&self, application: usize) -> Option<ApplicationId> {
        self.setups[application].1
    }

    pub fn model_id(&self, model: usize) -> Option<ModelId> {
        self.models[model].1
    }

    /// The row of an application that no query gets.
    pub fn blank_row(&self, application: usize) -> u32 {
        self.setups[application].0.rows
    }

    pub fn slo_ns(&self, application: usize) -> u64 {
        self.setups[application].0.slo_ns
    }

    pub fn input_bytes(&self, application: usize) -> u32 {
        self.setups[application].0.input_bytes
    }

    /// An application that takes queries, and the models that it asks.
    pub fn asked(&self, application: usize) -> Option<(ApplicationId, Vec<usize>)> {
        let (setup, id) = &self.setups[application];
        let id = id.filter(|_| !self.retiring_applications[application])?;
        let most = if setup.asked == Asked::First { 1 } else { usize::MAX };
        Some((id, setup.models.iter().copied().take(most).collect()))
    }

    pub fn check_all_done(&self) {
        assert!(self.under_way.is_empty(), "never acknowledged: {:?}", self.under_way);
    }
}

impl World {
    /// How many changes were acknowledged.
    pub fn changes_done(&self) -> u64 {
        self.control.changes_done
    }

    pub(super) fn add_everything(&mut self) {
        (0..self.control.models.len()).for_each(|model| self.add_model(model));
        (0..self.control.setups.len()).for_each(|application| self.add_application(application));
        (0..self.machines.len()).for_each(|replica| self.add_replica(replica));
    }

    pub(super) fn relink(&mut self, application: usize, models: &[usize], asked: Asked) {
        if self.control.application_id(application).is_none() {
            return;
        }
        let is_there = |model: &&usize| {
            self.control.model_id(**model).is_some() && !self.control.retiring_models[**model]
        };
        let mut models: Vec<usize> = models.iter().filter(is_there).copied().collect();
        models.dedup();
        let (setup, _) = &mut self.control.setups[application];
        (setup.models, setup.asked) = (models, asked);
        self.link(application);
    }

    pub(super) fn retire_application(&mut self, application: usize, back_after_ns: u64) {
        let Some(id) = self.control.application_id(application) else { return };
        if std::mem::replace(&mut self.control.retiring_applications[application], true) {
            return;
        }
        let next = Next::RemoveApplication(application);
        self.change(Change::DrainApplication(id), next, Some(back_after_ns));
    }

    pub(super) fn retire_model(&mut self, model: usize, back_after_ns: u64) {
        let Some(id) = self.control.model_id(model) else { return };
        if std::mem::replace(&mut self.control.retiring_models[model], true) {
            return;
        }
        for application in 0..self.control.setups.len() {
            let (setup, _) = &mut self.control.setups[application];
            let is_linked = setup.models.contains(&model);
            setup.models.retain(|other| *other != model);
            if is_linked && self.control.application_id(application).is_some() {
                self.link(application);
            }
        }
        self.change(Change::DrainModel(id), Next::RemoveModel(model), Some(back_after_ns));
    }

    pub(super) fn retire_replica(&mut self, replica: usize, back_after_ns: u64) {
        let machine = &mut self.machines[replica];
        let goes_anyhow = machine.is_retiring || self.control.retiring_models[machine.model];
        let Some(id) = machine.id.filter(|_| !goes_anyhow) else { return };
        machine.is_retiring = true;
        self.change(Change::DrainReplica(id), Next::RemoveReplica(replica), Some(back_after_ns));
    }

    pub(super) fn comes_back(&mut self, what: Returning) {
        match what {
            Returning::Application(application) => self.add_application(application),
            Returning::Model(model) => self.add_model(model),
            Returning::Replica(replica) => self.add_replica(replica),
        }
    }

    /// Takes the acknowledgements, and goes on.
    pub(super) fn hear_changes(&mut self) {
        while let Some(changed) = self.core.take_changed() {
            self.changed(changed);
        }
    }

    fn change(&mut self, change: Change, next: Next, back_after_ns: Option<u64>) {
        let number = self.control.next_number;
        self.control.next_number += 1;
        self.control.under_way.insert(number, next);
        self.control.back_after_ns.extend(back_after_ns.map(|after_ns| (number, after_ns)));
        let changed = self.core.change(self.now_ns, number, change, &mut self.oracle);
        if let Some(changed) = changed {
            self.changed(changed);
        }
    }

    fn changed(&mut self, changed: Changed) {
        let Changed { number, retired } = changed;
        let next = self.control.under_way.remove(&number).expect("acknowledged once");
        self.control.changes_done += 1;
        let back_ns = self.control.back_after_ns.remove(&number).map(|after| self.now_ns + after);
        match next {
            Next::Nothing => {}
            Next::RemoveApplication(application) => {
                let id = self.control.setups[application].1.take().expect("it was there");
                self.change(Change::RemoveApplication(id), Next::Nothing, None);
                self.control.application_ids.remove(id);
                self.control.retiring_applications[application] = false;
                self.come_back_at(back_ns, Returning::Application(application));
            }
            Next::RemoveModel(model) => {
                let own = |machine: &super::Machine| machine.model == model;
                let replicas = 0..self.machines.len();
                for replica in
                    replicas.filter(|replica| own(&self.machines[*replica])).collect::<Vec<_>>()
                {
                    self.remove_replica(replica);
                }
                let id = self.control.models[model].1.take().expect("it was there");
                self.change(Change::RemoveModel(id), Next::Nothing, None);
                self.control.model_ids.remove(id);
                self.control.retiring_models[model] = false;
                self.come_back_at(back_ns, Returning::Model(model));
            }
            Next::RemoveReplica(replica) => {
                self.remove_replica(replica);
                self.come_back_at(back_ns, Returning::Replica(replica));
            }
        }
        match retired {
            Retired::Nothing | Retired::Links(..) | Retired::Limits(_) => {}
            Retired::Application(application) => assert!(application.is_idle()),
            Retired::Model(model) => assert_eq!(model.waiting(), 0),
            Retired::Replica(replica) => assert_eq!(replica.in_flight(), 0),
        }
    }

    fn come_back_at(&mut self, back_ns: Option<u64>, what: Returning) {
        if let Some(back_ns) = back_ns {
            self.schedule(back_ns, Event::Return(what));
        }
    }

    fn remove_replica(&mut self, replica: usize) {
        // A process that is asked to end has nothing in flight any more.
        self.machines[replica].expected = false;
        self.lose(replica, Death::Stopped);
        let machine = &mut self.machines[replica];
        let Some(id) = machine.id.take() else { return };
        machine.is_retiring = false;
        self.change(Change::RemoveReplica(id), Next::Nothing, None);
        self.control.replica_ids.remove(id);
    }

    fn add_application(&mut self, application: usize) {
        let id = self.control.application_ids.insert(()).expect("there is room");
        let (setup, known) = &mut self.control.setups[application];
        assert!(known.replace(id).is_none());
        let memory = Box::new(HeapRows::new(setup.rows + 1, ROW_BYTES));
        let plan = ApplicationPlan {
            slo_ns: setup.slo_ns,
            pool: Pool::new(setup.rows, ROW_BYTES, memory).with_blank(BLANK_BYTES),
            links_max: self.control.models.len().max(1),
            has_policy: false,
            stats: Arc::clone(&self.stats.applications[application]),
        };
        let plan = Box::new(Application::new(plan));
        self.change(Change::AddApplication { id, application: plan }, Next::Nothing, None);
        let (setup, _) = self.control.setups[application].clone();
        self.relink(application, &setup.models, setup.asked);
    }

    fn add_model(&mut self, model: usize) {
        let id = self.control.model_ids.insert(()).expect("there is room");
        let (setup, known, rows) = &mut self.control.models[model];
        assert!(known.replace(id).is_none());
        *rows = 0;
        let plan = ModelPlan {
            cache: None,
            hedge: setup.hedge.map(|share| HedgePlan { share }),
            depth: setup.depth,
            batch_timeout_ns: setup.batch_timeout_ns,
            forming: setup.forming,
            room: Room::new(0),
            stats: Arc::clone(&self.stats.models[model]),
        };
        let plan = Box::new(Model::new(plan));
        self.change(Change::AddModel { id, model: plan }, Next::Nothing, None);
        let replicas = 0..self.machines.len();
        let own: Vec<usize> = replicas.filter(|r| self.machines[*r].model == model).collect();
        if self.control.next_number > self.control.models.len() as u64 * 2 {
            own.into_iter().for_each(|replica| self.add_replica(replica));
        }
    }

    fn add_replica(&mut self, replica: usize) {
        let model = self.machines[replica].model;
        let Some(model_id) = self.control.model_id(model) else { return };
        if self.machines[replica].id.is_some() || self.control.retiring_models[model] {
            return;
        }
        let id = self.control.replica_ids.insert(()).expect("there is room");
        let (setup, ..) = &self.control.models[model];
        let first = self.machines.iter().position(|machine| machine.model == model);
        let ordinal = replica - first.expect("this is one");
        let plan = ReplicaPlan {
            core: setup.core,
            model: model_id,
            ordinal: u32::try_from(ordinal).expect("few"),
            depth: setup.depth,
            items_max: self.machines[replica].plan.items_max,
            limit: setup.limit,
            stats: Arc::clone(&self.stats.models[model].replicas[ordinal]),
        };
        let machine = &mut self.machines[replica];
        machine.id = Some(id);
        let comes_up = machine.life > 0 || machine.lives_lost > 0;
        machine.expected = true;
        let plan = Box::new(Replica::new(plan));
        self.change(Change::AddReplica { id, replica: plan }, Next::Nothing, None);
        if comes_up {
            self.schedule(self.now_ns, Event::Up { replica });
        }
    }

    /// Links an application to what it is to ask, with the room that this takes.
    fn link(&mut self, application: usize) {
        let (setup, id) = &self.control.setups[application];
        let id = id.expect("it is there");
        let pool = u32::try_from(application).expect("few");
        let link = |model: &usize| Link { model: self.model(*model), pool };
        let models = setup.models.iter().map(link).collect();
        let links = Links { models, asked: setup.asked, learner: None };
        let mut rooms = Vec::new();
        for model in setup.models.clone() {
            let applications = self.control.setups.iter();
            let linked = applications.filter(|(setup, _)| setup.models.contains(&model));
            let rows = linked.map(|(setup, _)| setup.rows as usize).sum::<usize>();
            let (_, id, known) = &mut self.control.models[model];
            if rows > *known {
                *known = rows;
                let room = Box::new(Room::new(rows));
                rooms.push(NewRoom { model: id.expect("it is there"), room });
            }
        }
        let change = Change::Link { application: id, links: Box::new(links), rooms };
        self.change(change, Next::Nothing, None);
    }
}
