//! Simulated replicas: containers that serve one batch after another in simulated time.

use std::collections::VecDeque;

use cutter_tensor::{Item, OutputBytes};

use crate::ItemResults;
use crate::ids::ReplicaId;
use crate::policy::Random;

/// What a query's input does to the container that reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    Good,
    /// This item alone fails.
    FailsItem,
    /// The whole batch fails.
    FailsBatch,
    /// The container dies halfway.
    Kills,
    /// The container never comes back.
    Hangs,
}

pub const ITEM_MESSAGE: &[u8] = b"this item failed";
/// What a machine says that fails whatever it is given.
pub const BROKEN_MESSAGE: &[u8] = b"this machine is broken";

/// What a batch says that fails because of this query.
pub fn batch_message(number: usize) -> Vec<u8> {
    format!("the batch failed because of {number}").into_bytes()
}

/// The output of a model for a query, by their numbers.
pub fn output_of(number: usize, model: usize) -> [u8; 8] {
    ((model as u64) << 48 | number as u64).to_le_bytes()
}

/// The query and the model of an output.
pub fn read_output(output: &[u8]) -> (usize, usize) {
    let output = u64::from_le_bytes(output.try_into().expect("eight bytes"));
    let whole = |value: u64| usize::try_from(value).expect("small");
    (whole(output & ((1 << 48) - 1)), whole(output >> 48))
}

/// How long a container takes for a batch.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    pub fixed_ns: u64,
    pub per_item_ns: u64,
}

impl Service {
    pub fn of(self, items: usize) -> u64 {
        self.fixed_ns + self.per_item_ns * items as u64
    }

    /// The most items that take no longer than this.
    pub fn items_within(self, bound_ns: u64) -> u64 {
        bound_ns.saturating_sub(self.fixed_ns) / self.per_item_ns
    }
}

/// A replica slot and what becomes of it.
#[derive(Clone, Copy, Debug)]
pub struct MachinePlan {
    pub service: Service,
    pub items_max: u32,
    /// From the loss of an incarnation until the next is ready; `None`: there is no next.
    pub restart_ns: Option<u64>,
    /// It may be warmed up; this is what an input of zeros does to it.
    pub warms_up: Option<Input>,
}

/// A batch that the machine holds.
#[derive(Debug)]
pub struct Ticket {
    pub slot: u32,
    /// Queries by number.
    pub queries: Vec<usize>,
    /// The rows of a probe, which has no queries.
    pub probed: usize,
}

impl Ticket {
    pub fn items(&self) -> usize {
        self.queries.len() + self.probed
    }
}

/// One simulated replica. The first of its tickets is the batch that runs.
#[derive(Debug)]
pub struct Machine {
    /// By what the core knows it; nothing while it is not there.
    pub id: Option<ReplicaId>,
    pub model: usize,
    pub depth: u32,
    pub plan: MachinePlan,
    /// Counts incarnations, so that what an earlier one had going on is void.
    pub life: u64,
    pub up: bool,
    pub hung: bool,
    /// The core warms it up.
    pub warming: bool,
    /// An incarnation is still to come, or is up.
    pub expected: bool,
    /// It is on its way out.
    pub is_retiring: bool,
    /// Every batch fails.
    pub broken: bool,
    /// Each batch takes this share of its service time.
    pub pace_percent: u64,
    /// What each byte of a batch's inputs adds.
    pub per_byte_ns: u64,
    /// One of these, at random, is added to each batch.
    pub delays_ns: Vec<u64>,
    random: Random,
    pub tickets: VecDeque<Ticket>,
    pub lives_lost: u32,
}

impl Machine {
    pub fn new(model: usize, depth: u32, plan: MachinePlan) -> Self {
        Self {
            id: None,
            model,
            depth,
            plan,
            life: 0,
            up: false,
            hung: false,
            warming: false,
            expected: true,
            is_retiring: false,
            broken: false,
            pace_percent: 100,
            per_byte_ns: 0,
            delays_ns: Vec::new(),
            random: Random::new(7),
            tickets: VecDeque::new(),
            lives_lost: 0,
        }
    }

    /// Takes a batch under the lowest free slot, as the engine's end of a ring does.
    pub fn take(&mut self, queries: Vec<usize>, probed: usize) -> u32 {
        let is_free = |slot: &u32| self.tickets.iter().all(|ticket| ticket.slot != *slot);
        let slot = (0..self.depth).find(is_free).expect("no more batches than the depth");
        self.tickets.push_back(Ticket { slot, queries, probed });
        slot
    }

    pub fn begin_life(&mut self) {
        assert!(!self.up && self.tickets.is_empty());
        (self.up, self.hung, self.expected) = (true, false, true);
        self.warming = self.plan.warms_up.is_some();
    }

    /// Ends the incarnation; gives what it held.
    pub fn end_life(&mut self) -> VecDeque<Ticket> {
        self.life += 1;
        self.lives_lost += 1;
        (self.up, self.hung, self.broken, self.pace_percent) = (false, false, false, 100);
        self.warming = false;
        self.expected = self.plan.restart_ns.is_some();
        std::mem::take(&mut self.tickets)
    }

    pub fn service_ns(&mut self, items: usize, bytes: u64) -> u64 {
        let usual_ns = self.plan.service.of(items) + self.per_byte_ns * bytes;
        usual_ns * self.pace_percent / 100 + self.delay_ns()
    }

    /// How much later than usual the next batch is.
    fn delay_ns(&mut self) -> u64 {
        if self.delays_ns.is_empty() {
            return 0;
        }
        let place = self.random.uniform() * self.delays_ns.len() as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place")]
        self.delays_ns[place as usize]
    }
}

/// The results of a simulated batch: each item's output is the number of its query.
#[derive(Debug)]
pub struct Outputs(pub Vec<(Input, [u8; 8])>);

impl ItemResults for Outputs {
    fn get(&self, item: usize) -> Item<'_> {
        match &self.0[item] {
            (Input::FailsItem, _) => Item::Failed(ITEM_MESSAGE),
            (_, output) => Item::Output(OutputBytes::borrowed(output)),
        }
    }
}
