//! The simulator: arrivals, containers and their faults, and changes, in the order of simulated
//! time.
//!
//! It stands where the engine's loop and control stand: it hands the core what happens, submits the
//! batches that it forms, and calls `tick` exactly when `next_tick_ns` says. Nothing is random
//! here. What comes and goes is in [`control`], incarnations are in [`lives`], and how they are
//! warmed up in [`probes`].

mod control;
mod lives;
mod probes;

use std::collections::BTreeMap;
use std::sync::Arc;

use cutter_tensor::RowRef;

use super::fleet::{
    BROKEN_MESSAGE, Input, Machine, MachinePlan, Outputs, Service, batch_message, output_of,
};
use super::oracle::{Given, Oracle};
use crate::batching::Forming;
use crate::ids::{ApplicationId, ModelId, ReplicaId};
use crate::stats::{ApplicationStats, ModelStats, Reason};
use crate::{
    Admission, Asked, Availability, BatchResults, Core, Death, HandedOver, LimitPlan, Warmed,
};
use control::Control;

pub const US: u64 = 1_000;
pub const MS: u64 = 1_000_000;
/// Simulated time does not begin at zero, as real time does not.
pub const START_NS: u64 = 1_000 * MS;

/// Something that happens.
#[derive(Clone, Debug)]
pub enum Event {
    Arrive {
        application: usize,
        input: Input,
        /// A deadline of its own, after its arrival.
        timeout_ns: Option<u64>,
    },
    /// The client of this query, if it still waits for its answer, goes away.
    Abandon {
        number: usize,
    },
    Up {
        replica: usize,
    },
    Lost {
        replica: usize,
        death: Death,
    },
    Hang {
        replica: usize,
    },
    Pace {
        replica: usize,
        percent: u64,
    },
    /// From now on every batch there fails, or none that should not.
    Break {
        replica: usize,
        broken: bool,
    },
    Availability {
        model: usize,
        availability: Availability,
    },
    /// From now on an application asks these models, those of them that are there.
    Relink {
        application: usize,
        models: Vec<usize>,
        asked: Asked,
    },
    /// It goes as soon as nothing of it is under way, and comes back after a while.
    RetireApplication {
        application: usize,
        back_after_ns: u64,
    },
    RetireModel {
        model: usize,
        back_after_ns: u64,
    },
    RetireReplica {
        replica: usize,
        back_after_ns: u64,
    },
    Return(Returning),
    /// The kernel has an answer.
    HandedOver(HandedOver),
    /// The batch that runs in this incarnation is done.
    Done {
        replica: usize,
        life: u64,
    },
    /// The batch that runs in this incarnation kills it.
    Killed {
        replica: usize,
        life: u64,
    },
}

/// What comes back.
#[derive(Clone, Copy, Debug)]
pub enum Returning {
    Application(usize),
    Model(usize),
    Replica(usize),
}

/// An application of a world.
#[derive(Clone, Debug)]
pub struct ApplicationSetup {
    pub slo_ns: u64,
    pub rows: u32,
    /// Those that it asks at first.
    pub models: Vec<usize>,
    pub asked: Asked,
    /// How long its inputs are.
    pub input_bytes: u32,
}

impl ApplicationSetup {
    /// One that asks one model, or none.
    pub fn of(slo_ns: u64, rows: u32, model: Option<usize>) -> Self {
        let models = model.into_iter().collect();
        Self { slo_ns, rows, models, asked: Asked::First, input_bytes: 4 }
    }
}

/// A model version of a world.
#[derive(Clone, Debug)]
pub struct ModelSetup {
    pub replicas: u32,
    pub depth: u32,
    pub limit: LimitPlan,
    pub batch_timeout_ns: u64,
    pub forming: Forming,
    /// The core that its replicas must have for themselves.
    pub core: Option<u32>,
    /// The largest share of calls that are sent twice.
    pub hedge: Option<f64>,
}

/// What the world is made of. Models have their machines one after another.
#[derive(Clone, Debug)]
pub struct Setup {
    pub applications: Vec<ApplicationSetup>,
    pub models: Vec<ModelSetup>,
    pub machines: Vec<MachinePlan>,
    /// What handing over an answer takes; nobody tells, if it is nothing.
    pub reply_ns: u64,
}

impl Setup {
    /// One application (20 ms), one model, one replica (1 ms a batch, depth 2).
    pub fn simple() -> Self {
        let service = Service { fixed_ns: MS, per_item_ns: 0 };
        Self {
            applications: vec![ApplicationSetup::of(20 * MS, 64, Some(0))],
            models: vec![ModelSetup {
                replicas: 1,
                depth: 2,
                limit: LimitPlan::Fixed { max: 16 },
                batch_timeout_ns: 50 * MS,
                forming: Forming::default(),
                core: None,
                hedge: None,
            }],
            machines: vec![MachinePlan {
                service,
                items_max: 64,
                restart_ns: Some(5 * MS),
                warms_up: None,
            }],
            reply_ns: 0,
        }
    }

    /// The same with more replicas.
    pub fn replicas(count: usize) -> Self {
        let mut setup = Self::simple();
        setup.models[0].replicas = u32::try_from(count).expect("few");
        setup.machines = vec![setup.machines[0]; count];
        setup
    }

    /// The same with more models of one replica each, all of which are asked.
    pub fn models(count: usize) -> Self {
        let mut setup = Self::simple();
        setup.models = vec![setup.models[0].clone(); count];
        setup.machines = vec![setup.machines[0]; count];
        setup.applications[0].models = (0..count).collect();
        setup.applications[0].asked = Asked::All;
        setup
    }

    pub fn build(&self) -> World {
        World::new(self)
    }

    /// Built, and all replicas up from the start.
    pub fn build_up(&self) -> World {
        let mut world = self.build();
        (0..self.machines.len()).for_each(|replica| world.at(0, Event::Up { replica }));
        world.run_until(0);
        world
    }
}

/// What the core counts.
#[derive(Debug)]
pub struct Counted {
    pub applications: Vec<Arc<ApplicationStats>>,
    pub models: Vec<Arc<ModelStats>>,
}

#[derive(Debug)]
pub struct World {
    pub core: Core,
    pub oracle: Oracle,
    pub machines: Vec<Machine>,
    pub stats: Arc<Counted>,
    /// The most rows that were in use at once.
    pub rows_in_use_max: u32,
    /// The rows of all probes sent so far, and the warm-ups that are over.
    pub probes: Vec<usize>,
    pub warmed: Vec<Warmed>,
    control: Control,
    reply_ns: u64,
    now_ns: u64,
    /// By time, and by number at the same time.
    events: BTreeMap<(u64, u64), Event>,
    next_event: u64,
    rows: Vec<RowRef>,
}

impl World {
    fn new(setup: &Setup) -> Self {
        let model = |plan: &ModelSetup| ModelStats::new("m", "1", plan.replicas as usize, &[]);
        let stats = Arc::new(Counted {
            applications: setup
                .applications
                .iter()
                .map(|_| ApplicationStats::new("a"))
                .map(Arc::new)
                .collect(),
            models: setup.models.iter().map(model).map(Arc::new).collect(),
        });
        let slots = setup.models.iter().enumerate();
        let slots =
            slots.flat_map(|(model, plan)| (0..plan.replicas).map(move |_| (model, plan.depth)));
        let machines: Vec<Machine> = slots
            .zip(&setup.machines)
            .map(|((model, depth), plan)| Machine::new(model, depth, *plan))
            .collect();
        assert_eq!(machines.len(), setup.machines.len());
        let hedges = setup.models.iter().map(|model| model.hedge);
        let mut world = Self {
            core: Core::new(),
            oracle: Oracle::new(hedges.collect(), START_NS),
            machines,
            stats,
            rows_in_use_max: 0,
            probes: Vec::new(),
            warmed: Vec::new(),
            control: Control::new(setup),
            reply_ns: setup.reply_ns,
            now_ns: START_NS,
            events: BTreeMap::new(),
            next_event: 0,
            rows: Vec::new(),
        };
        world.add_everything();
        world
    }

    /// Plans an event at this time after the start.
    pub fn at(&mut self, after_ns: u64, event: Event) {
        self.schedule(START_NS + after_ns, event);
    }

    /// Plans one arrival for application 0.
    pub fn query_at(&mut self, after_ns: u64, input: Input) {
        self.at(after_ns, Event::Arrive { application: 0, input, timeout_ns: None });
    }

    /// Plans this many arrivals for application 0 at once.
    pub fn queries_at(&mut self, after_ns: u64, count: usize) {
        (0..count).for_each(|_| self.query_at(after_ns, Input::Good));
    }

    /// Lets everything happen up to and including this time after the start.
    pub fn run_until(&mut self, after_ns: u64) {
        let end_ns = START_NS + after_ns;
        while self.next_ns().is_some_and(|next_ns| next_ns <= end_ns) {
            self.step();
        }
        self.set_now(end_ns.max(self.now_ns));
    }

    /// Lets everything happen, and checks that all came to a good end.
    pub fn finish(&mut self) {
        while self.next_ns().is_some() {
            self.step();
        }
        self.oracle.check_all_answered();
        assert!(self.core.is_idle());
        assert!(self.machines.iter().all(|machine| machine.tickets.is_empty()));
        assert_eq!(self.rows_in_use(), 0, "rows are held for nothing");
        let mut models = self.core.models.iter();
        assert!(models.all(|(_, model)| model.bytes_in_queue == 0), "bytes wait and no call");
        assert_eq!(self.core.kept_bytes, 0, "outputs are kept for nobody");
        self.control.check_all_done();
        self.check_counts();
    }

    pub fn rows_in_use(&self) -> u32 {
        self.core.applications.iter().map(|(_, state)| state.pool.in_use()).sum()
    }

    /// By what the core knows a model, which is there.
    pub fn model(&self, model: usize) -> ModelId {
        self.control.model_id(model).expect("a model that is there")
    }

    pub fn application(&self, application: usize) -> ApplicationId {
        self.control.application_id(application).expect("an application that is there")
    }

    pub fn replica(&self, replica: usize) -> ReplicaId {
        self.machines[replica].id.expect("a replica that is there")
    }

    pub fn limit(&self, replica: usize) -> u32 {
        self.core.replicas[self.replica(replica)].limit.limit()
    }

    /// When a query was answered, after the start, and with what.
    pub fn answer(&self, number: usize) -> (u64, Given) {
        (self.oracle.answered_ns(number) - START_NS, self.oracle.given(number).clone())
    }

    /// The sizes of all batches sent so far.
    pub fn batch_sizes(&self) -> Vec<usize> {
        self.oracle.batches.iter().map(|sent| sent.queries.len()).collect()
    }

    fn schedule(&mut self, at_ns: u64, event: Event) {
        self.events.insert((at_ns, self.next_event), event);
        self.next_event += 1;
    }

    fn set_now(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
        self.oracle.now_ns = now_ns;
    }

    fn next_event_ns(&self) -> Option<u64> {
        self.events.first_key_value().map(|((at_ns, _), _)| *at_ns)
    }

    fn next_ns(&self) -> Option<u64> {
        self.next_event_ns().into_iter().chain(self.core.next_tick_ns()).min()
    }

    /// The next thing that happens. What comes from outside at the same instant goes first.
    fn step(&mut self) {
        let next_ns = self.next_ns().expect("something is to come");
        assert!(next_ns >= self.now_ns, "something should have happened before");
        self.set_now(next_ns);
        if self.next_event_ns() == Some(next_ns) {
            let (_, event) = self.events.pop_first().expect("it was just seen");
            self.happen(event);
        } else {
            self.tick();
        }
        self.serve();
        self.hear_changes();
        self.reply();
        self.rows_in_use_max = self.rows_in_use_max.max(self.rows_in_use());
    }

    fn tick(&mut self) {
        self.core.tick(self.now_ns, &mut self.oracle);
        while let Some(kill) = self.core.take_kill() {
            let is_meant = |machine: &Machine| machine.id == Some(kill.replica);
            let replica = self.machines.iter().position(is_meant).expect("one that is there");
            let model = self.model(self.machines[replica].model);
            assert!(kill.running_ns > self.core.models[model].batch_timeout_ns);
            self.lose(replica, Death::Crash);
        }
        let next_ns = self.core.next_tick_ns();
        assert!(next_ns.is_none_or(|next_ns| next_ns > self.now_ns), "a tick left work undone");
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive { application, input, timeout_ns } => {
                self.arrive(application, input, timeout_ns);
            }
            Event::Abandon { number } => self.abandon(number),
            Event::Up { replica } => self.up(replica),
            Event::Lost { replica, death } => self.lose(replica, death),
            Event::Hang { replica } => self.machines[replica].hung = self.machines[replica].up,
            Event::Pace { replica, percent } => self.machines[replica].pace_percent = percent,
            Event::Break { replica, broken } => self.machines[replica].broken = broken,
            Event::Availability { model, availability } => {
                if let Some(model) = self.control.model_id(model) {
                    let sink = &mut self.oracle;
                    self.core.set_availability(self.now_ns, model, availability, sink);
                }
            }
            Event::Relink { application, models, asked } => {
                self.relink(application, &models, asked);
            }
            Event::RetireApplication { application, back_after_ns } => {
                self.retire_application(application, back_after_ns);
            }
            Event::RetireModel { model, back_after_ns } => self.retire_model(model, back_after_ns),
            Event::RetireReplica { replica, back_after_ns } => {
                self.retire_replica(replica, back_after_ns);
            }
            Event::Return(what) => self.comes_back(what),
            Event::HandedOver(answered) => self.core.handed_over(&answered, self.now_ns),
            Event::Done { replica, life } => self.done(replica, life),
            Event::Killed { replica, life } => {
                if self.machines[replica].life == life {
                    self.lose(replica, Death::Crash);
                }
            }
        }
    }

    /// What was decided goes to the kernel.
    fn reply(&mut self) {
        for answered in std::mem::take(&mut self.oracle.replied) {
            if self.reply_ns > 0 {
                self.schedule(self.now_ns + self.reply_ns, Event::HandedOver(answered));
            }
        }
    }

    fn arrive(&mut self, application: usize, input: Input, timeout_ns: Option<u64>) {
        let Some((id, models)) = self.control.asked(application) else { return };
        let now_ns = self.now_ns;
        let deadline_ns = now_ns + timeout_ns.unwrap_or(self.control.slo_ns(application));
        let who = (application, id);
        let due_ns = self.core.applications[id].lead.due_ns(now_ns, deadline_ns);
        let times_ns = (deadline_ns, due_ns);
        let number = self.oracle.arrived(who, &models, input, now_ns, times_ns);
        let reply_to = number as u64;
        let row = self.core.reserve(id);
        let mut admission = Admission {
            application: id,
            row: 0,
            bytes: self.control.input_bytes(application),
            arrived_ns: now_ns,
            timeout_ns,
            reply_to,
        };
        let Some(row) = row else {
            self.core.refuse(now_ns, &admission, &mut self.oracle);
            return;
        };
        self.oracle.written(number, row);
        admission.row = row;
        self.core.admit(now_ns, &admission, &mut self.oracle);
    }

    fn abandon(&mut self, number: usize) {
        if let Some((application, row)) = self.oracle.abandoned(number) {
            self.core.abandon(application, row);
        }
    }

    fn done(&mut self, replica: usize, life: u64) {
        let machine = &mut self.machines[replica];
        if machine.life != life || machine.hung {
            return;
        }
        let (model, id) = (machine.model, machine.id.expect("a batch runs there"));
        let ticket = machine.tickets.pop_front().expect("a batch runs");
        if ticket.probed > 0 {
            return self.probed(replica, id, &ticket);
        }
        self.oracle.landed(replica, model, &ticket.queries);
        let inputs = ticket.queries.iter().map(|number| (*number, self.input_at(*number, model)));
        let inputs: Vec<(usize, Input)> = inputs.collect();
        let guilty = inputs.iter().find(|(_, input)| *input == Input::FailsBatch);
        let broken = self.machines[replica].broken.then(|| BROKEN_MESSAGE.to_vec());
        let message = broken.or(guilty.map(|(number, _)| batch_message(*number)));
        if let Some(message) = &message {
            self.oracle.failed(model, &ticket.queries, message);
        } else {
            let good = inputs.iter().filter(|(_, input)| *input != Input::FailsItem);
            good.for_each(|(number, _)| self.oracle.brought(model, *number));
        }
        let outputs = inputs.iter().map(|(number, input)| (*input, output_of(*number, model)));
        let results = match &message {
            Some(message) => BatchResults::Failed(message),
            None => BatchResults::Items(Outputs(outputs.collect())),
        };
        let (now_ns, sink) = (self.now_ns, &mut self.oracle);
        self.core.complete(now_ns, now_ns, id, ticket.slot, &results, sink);
        self.begin(replica);
    }

    /// Sends what waits, to the least occupied replicas first, as the carrier does.
    fn serve(&mut self) {
        self.hear_warmed();
        for model in self.core.models().to_vec() {
            if !self.core.has_waiting(model) {
                continue;
            }
            for in_flight in 0..self.core.depth(model) {
                for replica in 0..self.machines.len() {
                    let Some(id) = self.machines[replica].id else { continue };
                    let is_of_model = self.core.model_of(id) == Some(model);
                    if is_of_model && self.core.in_flight(id) == Some(in_flight) {
                        self.send(replica, id);
                    }
                }
            }
        }
        for machine in &self.machines {
            let Some(id) = machine.id else { continue };
            let held = machine.up.then_some(machine.tickets.len());
            assert_eq!(self.core.in_flight(id).map(|count| count as usize), held);
        }
        self.hear_warmed();
        self.check_warming();
    }

    fn send(&mut self, replica: usize, id: ReplicaId) {
        let (limit, model) = (self.limit(replica), self.machines[replica].model);
        let sink = &mut self.oracle;
        let plan = self.core.next_batch(self.now_ns, id, &mut self.rows, sink);
        let Some(plan) = plan else { return };
        if self.is_probe() {
            return self.send_probe(replica, id);
        }
        let machine = &mut self.machines[replica];
        assert!(!machine.warming, "a query for a replica that is warmed up");
        assert!(!machine.is_retiring, "a batch for a replica that is drained");
        let most = limit.min(machine.plan.items_max) as usize;
        assert!((1..=most).contains(&self.rows.len()), "{} rows of {most}", self.rows.len());
        // Pools have the numbers of their applications.
        let in_row = |row: &RowRef| self.oracle.in_row(row.pool as usize, row.row);
        let queries: Vec<usize> = self.rows.iter().map(in_row).collect();
        assert_eq!(plan.deadline_ns, self.oracle.queries[queries[0]].due_ns);
        self.oracle.sent(replica, model, machine.tickets.len(), &queries);
        let slot = machine.take(queries, 0);
        self.core.sent(self.now_ns, id, slot);
        if self.machines[replica].tickets.len() == 1 {
            self.begin(replica);
        }
    }

    /// Every query was counted once, under what became of it.
    fn check_counts(&self) {
        for (application, stats) in self.stats.applications.iter().enumerate() {
            let own = || self.oracle.queries.iter().filter(|q| q.application == application);
            assert_eq!(stats.queries.get(), own().count() as u64);
            let counted = |given: &dyn Fn(&Given) -> bool| {
                own().filter(|query| query.answer.as_ref().is_some_and(|(_, g)| given(g))).count()
            };
            let cancelled = own().filter(|query| query.abandoned).count() as u64;
            assert_eq!(stats.cancelled.get(), cancelled);
            let predictions = counted(&|given| *given == Given::Prediction) as u64;
            assert_eq!(stats.predictions.get(), predictions);
            for reason in Reason::ALL {
                let defaults =
                    counted(&|given| matches!(given, Given::Default(r, _) if *r == reason));
                assert_eq!(stats.defaults(reason).get(), defaults as u64, "{reason:?}");
            }
        }
    }
}
