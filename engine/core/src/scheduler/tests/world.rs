//! The simulator: arrivals, containers and their faults, in the order of simulated time.
//!
//! It stands where the engine's loop stands: it hands the scheduler what happens, submits the
//! batches that it forms, and calls `tick` exactly when `next_tick_ns` says. Nothing is random
//! here.

use std::collections::BTreeMap;
use std::sync::Arc;

use cutter_tensor::{ElementType, TensorSpec};

use super::fleet::{BROKEN_MESSAGE, Input, Machine, MachinePlan, Outputs, Service, batch_message};
use super::oracle::{Given, Oracle};
use crate::scheduler::{
    Admission, ApplicationPlan, Availability, BatchResults, Death, ModelPlan, PolicyPlan, RowRef,
    Scheduler,
};
use crate::stats::{EngineStats, Reason};

pub const US: u64 = 1_000;
pub const MS: u64 = 1_000_000;
/// Simulated time does not begin at zero, as real time does not.
pub const START_NS: u64 = 1_000 * MS;

/// Something that happens.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    Arrive {
        application: usize,
        input: Input,
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

/// What the world is made of. Models have their machines one after another.
#[derive(Clone, Debug)]
pub struct Setup {
    pub applications: Vec<ApplicationPlan>,
    pub models: Vec<ModelPlan>,
    pub machines: Vec<MachinePlan>,
}

impl Setup {
    /// One application (20 ms), one model, one replica (1 ms a batch, depth 2).
    pub fn simple() -> Self {
        let service = Service { fixed_ns: MS, per_item_ns: 0 };
        Self {
            applications: vec![ApplicationPlan { slo_ns: 20 * MS, rows: 64, model: Some(0) }],
            models: vec![ModelPlan {
                replicas: 1,
                depth: 2,
                policy: PolicyPlan::Fixed { max: 16 },
                batch_timeout_ns: 50 * MS,
            }],
            machines: vec![MachinePlan { service, items_max: 64, restart_ns: Some(5 * MS) }],
        }
    }

    /// The same with more replicas.
    pub fn replicas(count: usize) -> Self {
        let mut setup = Self::simple();
        setup.models[0].replicas = u32::try_from(count).expect("few");
        setup.machines = vec![setup.machines[0]; count];
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

#[derive(Debug)]
pub struct World {
    pub scheduler: Scheduler,
    pub oracle: Oracle,
    pub machines: Vec<Machine>,
    pub stats: Arc<EngineStats>,
    /// The most rows that were in use at once.
    pub rows_in_use_max: u32,
    applications: Vec<ApplicationPlan>,
    now_ns: u64,
    /// By time, and by number at the same time.
    events: BTreeMap<(u64, u64), Event>,
    next_event: u64,
    rows: Vec<RowRef>,
}

impl World {
    fn new(setup: &Setup) -> Self {
        let names = vec!["application"; setup.applications.len()];
        let models: Vec<(&str, &str, usize)> =
            setup.models.iter().map(|plan| ("model", "1", plan.replicas as usize)).collect();
        let stats = Arc::new(EngineStats::new(&names, &models, &[]));
        let scheduler = Scheduler::new(&setup.applications, &setup.models, Arc::clone(&stats));
        let slots = setup
            .models
            .iter()
            .enumerate()
            .flat_map(|(model, plan)| (0..plan.replicas).map(move |_| (model, plan.depth)));
        let machines: Vec<Machine> = slots
            .zip(&setup.machines)
            .map(|((model, depth), plan)| Machine::new(model, depth, *plan))
            .collect();
        assert_eq!(machines.len(), setup.machines.len());
        let oracle = Oracle::new(setup.models.len(), START_NS);
        Self {
            scheduler,
            oracle,
            machines,
            stats,
            rows_in_use_max: 0,
            applications: setup.applications.clone(),
            now_ns: START_NS,
            events: BTreeMap::new(),
            next_event: 0,
            rows: Vec::new(),
        }
    }

    /// Plans an event at this time after the start.
    pub fn at(&mut self, after_ns: u64, event: Event) {
        self.schedule(START_NS + after_ns, event);
    }

    /// Plans one arrival for application 0.
    pub fn query_at(&mut self, after_ns: u64, input: Input) {
        self.at(after_ns, Event::Arrive { application: 0, input });
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
        assert!(self.scheduler.is_idle());
        assert!(self.machines.iter().all(|machine| machine.tickets.is_empty()));
        assert_eq!(self.rows_in_use(), 0, "rows are held for nothing");
        self.check_counts();
    }

    pub fn rows_in_use(&self) -> u32 {
        self.scheduler.applications.iter().map(|state| state.queries.rows_in_use()).sum()
    }

    pub fn limit(&self, replica: usize) -> u32 {
        self.scheduler.replicas[replica].limit.limit()
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
        self.next_event_ns().into_iter().chain(self.scheduler.next_tick_ns()).min()
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
        self.rows_in_use_max = self.rows_in_use_max.max(self.rows_in_use());
    }

    fn tick(&mut self) {
        self.scheduler.tick(self.now_ns, &mut self.oracle);
        while let Some(kill) = self.scheduler.take_kill() {
            let model = &self.scheduler.models[self.machines[kill.replica].model];
            assert!(kill.running_ns > model.batch_timeout_ns);
            self.lose(kill.replica, Death::Crash);
        }
        let next_ns = self.scheduler.next_tick_ns();
        assert!(next_ns.is_none_or(|next_ns| next_ns > self.now_ns), "a tick left work undone");
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive { application, input } => self.arrive(application, input),
            Event::Abandon { number } => self.abandon(number),
            Event::Up { replica } => self.up(replica),
            Event::Lost { replica, death } => self.lose(replica, death),
            Event::Hang { replica } => self.machines[replica].hung = self.machines[replica].up,
            Event::Pace { replica, percent } => self.machines[replica].pace_percent = percent,
            Event::Break { replica, broken } => self.machines[replica].broken = broken,
            Event::Availability { model, availability } => {
                let sink = &mut self.oracle;
                self.scheduler.set_availability(self.now_ns, model, availability, sink);
            }
            Event::Done { replica, life } => self.done(replica, life),
            Event::Killed { replica, life } => {
                if self.machines[replica].life == life {
                    self.lose(replica, Death::Crash);
                }
            }
        }
    }

    fn arrive(&mut self, application: usize, input: Input) {
        let ApplicationPlan { slo_ns, model, .. } = self.applications[application];
        let now_ns = self.now_ns;
        let number = self.oracle.arrived(application, model, input, now_ns, now_ns + slo_ns);
        let reply_to = number as u64;
        let Some(row) = self.scheduler.reserve(application) else {
            self.scheduler.refuse(application, reply_to, now_ns, now_ns, &mut self.oracle);
            return;
        };
        self.oracle.written(number, row);
        let admission = Admission { application, row, bytes: 4, arrived_ns: now_ns, reply_to };
        self.scheduler.admit(now_ns, &admission, &mut self.oracle);
    }

    fn abandon(&mut self, number: usize) {
        if let Some((application, row)) = self.oracle.abandoned(number) {
            self.scheduler.abandon(application, row);
        }
    }

    fn up(&mut self, replica: usize) {
        let machine = &mut self.machines[replica];
        if machine.up {
            return;
        }
        machine.begin_life();
        let (depth, items_max) = (machine.depth, machine.plan.items_max);
        let output = TensorSpec::at_most(ElementType::Bytes, 8);
        self.scheduler.replica_up(self.now_ns, replica, output, depth, items_max);
    }

    /// An incarnation ends, and control does what it does then: a restart, or no hope any more.
    fn lose(&mut self, replica: usize, death: Death) {
        let machine = &mut self.machines[replica];
        if !machine.up {
            return;
        }
        let (model, restart_ns) = (machine.model, machine.plan.restart_ns);
        let held = machine.end_life();
        for ticket in &held {
            self.oracle.lost(&ticket.queries, death);
        }
        self.scheduler.replica_lost(self.now_ns, replica, death, &mut self.oracle);
        for ticket in &held {
            self.oracle.check_lives(&ticket.queries);
        }
        if let Some(restart_ns) = restart_ns {
            self.schedule(self.now_ns + restart_ns, Event::Up { replica });
        }
        let mut siblings = self.machines.iter().filter(|machine| machine.model == model);
        if !siblings.any(|machine| machine.expected) {
            let (sink, down) = (&mut self.oracle, Availability::Down);
            self.scheduler.set_availability(self.now_ns, model, down, sink);
        }
    }

    fn done(&mut self, replica: usize, life: u64) {
        let machine = &mut self.machines[replica];
        if machine.life != life || machine.hung {
            return;
        }
        let ticket = machine.tickets.pop_front().expect("a batch runs");
        self.oracle.landed(&ticket.queries);
        let input_of = |number: &usize| self.oracle.queries[*number].input;
        let outputs = ticket.queries.iter().map(|n| (input_of(n), (*n as u64).to_le_bytes()));
        let outputs = Outputs(outputs.collect());
        let guilty = ticket.queries.iter().find(|number| input_of(number) == Input::FailsBatch);
        let broken = self.machines[replica].broken.then(|| BROKEN_MESSAGE.to_vec());
        let message = broken.or(guilty.map(|number| batch_message(*number)));
        if let Some(message) = &message {
            self.oracle.failed(&ticket.queries, message);
        }
        let results = match &message {
            Some(message) => BatchResults::Failed(message),
            None => BatchResults::Items(outputs),
        };
        self.scheduler.complete(
            self.now_ns,
            self.now_ns,
            replica,
            ticket.slot,
            &results,
            &mut self.oracle,
        );
        self.begin(replica);
    }

    /// The machine begins with the first of its tickets.
    fn begin(&mut self, replica: usize) {
        let machine = &self.machines[replica];
        let Some(ticket) = machine.tickets.front() else { return };
        let has = |input| ticket.queries.iter().any(|n| self.oracle.queries[*n].input == input);
        let (life, service_ns) = (machine.life, machine.service_ns(ticket.queries.len()));
        if has(Input::Kills) {
            self.schedule(self.now_ns + service_ns / 2, Event::Killed { replica, life });
        } else if !has(Input::Hangs) {
            self.schedule(self.now_ns + service_ns, Event::Done { replica, life });
        }
    }

    /// Sends what waits, to the least occupied replicas first, as `Replicas::serve` does.
    fn serve(&mut self) {
        for model in 0..self.scheduler.models() {
            let depth = self.scheduler.models[model].depth;
            for in_flight in 0..depth {
                for replica in self.scheduler.replicas_of(model) {
                    if self.scheduler.in_flight(replica) == Some(in_flight) {
                        self.send(replica);
                    }
                }
            }
        }
        for (replica, machine) in self.machines.iter().enumerate() {
            let held = machine.up.then_some(machine.tickets.len());
            assert_eq!(self.scheduler.in_flight(replica).map(|count| count as usize), held);
        }
    }

    fn send(&mut self, replica: usize) {
        let (limit, model) = (self.limit(replica), self.machines[replica].model);
        let sink = &mut self.oracle;
        let plan = self.scheduler.next_batch(self.now_ns, replica, &mut self.rows, sink);
        let Some(plan) = plan else { return };
        let machine = &mut self.machines[replica];
        let most = limit.min(machine.plan.items_max) as usize;
        assert!((1..=most).contains(&self.rows.len()), "{} rows of {most}", self.rows.len());
        let queries: Vec<usize> = self
            .rows
            .iter()
            .map(|row| {
                let mut linked = (0..self.applications.len())
                    .filter(|application| self.applications[*application].model == Some(model));
                let application = linked.nth(row.pool as usize).expect("a pool of the model");
                self.oracle.in_row(application, row.row)
            })
            .collect();
        assert_eq!(plan.deadline_ns, self.oracle.queries[queries[0]].deadline_ns);
        self.oracle.sent(replica, model, machine.tickets.len(), &queries);
        let slot = machine.take(queries);
        self.scheduler.sent(self.now_ns, replica, slot);
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
