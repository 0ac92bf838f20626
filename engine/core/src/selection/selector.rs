//! What was decided for each open query of an application, by row.
//!
//! ```text
//!   row            0              1
//!   open         [ decided ]    [ decided ]
//!   said         [ s s s ]      [ s s s ]       one for each model that can be linked
//!   propensities [ p p p ]      [ p p p ]
//! ```

use super::learner::Learner;
use crate::contexts::ContextKey;
use crate::feedback::{Lesson, Said, Vector};
use crate::policy::{Models, PerModel};

/// What was decided for an open query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    /// The links under which it was decided. Under others, its models are not those that the
    /// learner knows.
    pub links_number: u32,
    pub servable: Models,
    pub asked: Models,
    /// The model whose output is answered, whatever the others say.
    pub baseline: Option<usize>,
    /// Its client wants to know what each model said.
    pub explain: bool,
    /// What is to be learned of it: then nobody waits for an answer.
    pub lesson: Option<Lesson>,
    pub context: ContextKey,
    /// What is known of the query, for policies that look at it: so many of these numbers.
    pub vector: Vector,
}

impl Open {
    const VACANT: Self = Self {
        links_number: 0,
        servable: Models::NONE,
        asked: Models::NONE,
        baseline: None,
        explain: false,
        lesson: None,
        context: ContextKey::APPLICATION,
        vector: Vector::NONE,
    };
}

/// The decisions of an application that has a policy.
#[derive(Debug)]
pub(crate) struct Selector {
    open: Box<[Open]>,
    said: Box<[Said]>,
    propensities: Box<[f64]>,
    width: usize,
    links_number: u32,
    /// Nothing while no model is linked.
    pub learner: Option<Box<Learner>>,
}

impl Selector {
    /// For so many rows, and so many models that can be linked.
    pub fn new(rows: u32, width: usize) -> Self {
        let rows = rows as usize;
        Self {
            open: vec![Open::VACANT; rows].into(),
            said: vec![Said::Nothing; rows * width].into(),
            propensities: vec![0.0; rows * width].into(),
            width,
            links_number: 0,
            learner: None,
        }
    }

    /// The bytes of its tables.
    pub const fn table_bytes(rows: u32, width: usize) -> usize {
        let of_each = size_of::<Said>() + size_of::<f64>();
        rows as usize * (size_of::<Open>() + width * of_each)
    }

    /// Other models are linked. Gives back who chose among those before.
    pub fn relink(&mut self, learner: Option<Box<Learner>>) -> Option<Box<Learner>> {
        self.links_number = self.links_number.wrapping_add(1);
        std::mem::replace(&mut self.learner, learner)
    }

    /// A query is opened.
    pub fn begin(&mut self, row: u32, open: Open, chosen: &PerModel) {
        let links_number = self.links_number;
        self.open[row as usize] = Open { links_number, ..open };
        let first = row as usize * self.width;
        self.said[first..first + self.width].fill(Said::Nothing);
        self.propensities[first..first + self.width].copy_from_slice(&chosen[..self.width]);
    }

    /// A query is opened for which nothing is decided.
    pub fn begin_undecided(&mut self, row: u32) {
        let links_number = self.links_number.wrapping_sub(1);
        self.open[row as usize] = Open { links_number, ..Open::VACANT };
    }

    pub fn open(&self, row: u32) -> &Open {
        &self.open[row as usize]
    }

    /// A model has said something.
    pub fn note(&mut self, row: u32, arm: u8, said: Said) {
        self.said[row as usize * self.width + usize::from(arm)] = said;
    }

    /// Who learns of a query, and what is known of it: unless other models are linked by now.
    pub fn learner_of(&mut self, row: u32) -> Option<(&mut Learner, Decision<'_>)> {
        let open = &self.open[row as usize];
        let first = row as usize * self.width;
        let learner = self.learner.as_deref_mut()?;
        let models = learner.models();
        let decision = Decision {
            open,
            said: &self.said[first..first + models],
            propensities: &self.propensities[first..first + models],
        };
        (open.links_number == self.links_number).then_some((learner, decision))
    }
}

/// What was decided for a query, and what came of it so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decision<'a> {
    pub open: &'a Open,
    /// One for each linked model.
    pub said: &'a [Said],
    pub propensities: &'a [f64],
}

impl Open {
    /// By what a learner has chosen.
    pub fn of(servable: Models, asked: Models, context: ContextKey) -> Self {
        Self { servable, asked, context, ..Self::VACANT }
    }
}
