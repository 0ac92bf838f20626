//! The decisions of one application, in their order, each with what was learned of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use cutter_core::feedback::Said;
use cutter_core::ids::ApplicationId;
use cutter_core::policy::Models;
use cutter_server::decision_log::{
    self, Decision, FileHeader, Lesson, LogHeader, ReadError, Record, is_log,
};

use super::EvaluateError;

/// A decision of which something was told that a policy can learn.
#[derive(Clone, Debug, PartialEq)]
pub struct Usable {
    /// Nobody asked: the models were, of an input that somebody told of.
    pub is_evaluation: bool,
    pub query_id: u64,
    /// When the query arrived, by the wall clock: ns since 1970.
    pub arrived_ns: i128,
    /// When it was told what was right.
    pub told_ns: i128,
    pub context: Box<[u8]>,
    pub servable: Models,
    /// A baseline is asked even where it is not servable.
    pub asked: Models,
    /// Of each model, with which probability it was asked.
    pub propensities: Box<[f64]>,
    pub said: Box<[Said]>,
    /// Of each model that was asked, where it is known.
    pub losses: Box<[Option<f64>]>,
    /// The loss of what was answered, if that was a prediction.
    pub answer_loss: Option<f64>,
    /// The probability with which it was logged.
    pub pass_probability: f64,
    /// The context vector that the query brought.
    pub vector: Box<[f64]>,
}

/// How many decisions cannot be used, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    pub of_other_models: u64,
    pub without_propensities: u64,
    pub of_unknown_servable_set: u64,
    pub without_feedback: u64,
}

/// What is read of a log.
#[derive(Debug)]
pub struct Log {
    /// The last one of the application: the policy and models that it has now.
    pub header: LogHeader,
    pub decisions: u64,
    /// All that teach something, in the order in which the queries arrived.
    pub usable: Vec<Usable>,
    pub left_out: LeftOut,
    /// What was found of damage.
    pub notes: Vec<String>,
}

/// What a log has of an application.
#[derive(Debug, Default)]
struct Collected {
    header: LogHeader,
    decisions: Vec<(Decision, Vec<String>, FileHeader)>,
    /// The first lesson of each query.
    lessons: BTreeMap<u64, (Lesson, FileHeader)>,
}

impl Usable {
    /// The losses that are known.
    pub fn known(&self) -> impl Iterator<Item = (usize, f64)> {
        let loss = |model: usize| self.losses[model].map(|loss| (model, loss));
        self.asked.iter().filter_map(loss)
    }

    /// The models of which it is evaluated.
    pub fn asked_of_servable(&self) -> Models {
        self.asked.within(self.servable)
    }

    /// Whether all is known of it that an evaluation needs. A model that said nothing has no loss,
    /// and one that a reward says nothing of: what others lost is learned all the same.
    pub fn is_judged(&self) -> bool {
        !self.is_evaluation
            && self.asked_of_servable().iter().all(|model| self.losses[model].is_some())
    }
}

impl Log {
    /// The decisions that are evaluated.
    pub fn judged(&self) -> impl Iterator<Item = &Usable> + Clone {
        self.usable.iter().filter(|usable| usable.is_judged())
    }

    /// Reads the decisions of an application; of the only one, if none is named.
    pub fn read(path: &Path, application: Option<&str>) -> Result<Self, EvaluateError> {
        let mut notes = Vec::new();
        let mut of = BTreeMap::new();
        let is_folder = path.is_dir();
        let paths = if is_folder { files(path)? } else { vec![path.to_owned()] };
        for path in paths {
            match decision_log::read(&path) {
                // A run that was killed as it began a file left nothing in it.
                Err(unwritten @ ReadError::Unwritten(_)) => notes.push(unwritten.to_string()),
                records => collect(&path, records?, &mut of, &mut notes),
            }
        }
        of.retain(|_, collected| !collected.decisions.is_empty());
        let known = of.keys().cloned().collect::<Vec<_>>().join(", ");
        let collected = match (application, of.len()) {
            (_, 0) => return Err(EvaluateError::Empty(path.to_owned())),
            (None, 1) => of.pop_first().map(|(_, only)| only),
            (None, _) => return Err(EvaluateError::Several { known }),
            (Some(name), _) => of.remove(name),
        };
        let name = application.unwrap_or_default().to_owned();
        let collected = collected.ok_or(EvaluateError::Application { name, known })?;
        Ok(Self { notes, ..collected.join() })
    }
}

/// The files of a log in a folder, in their order.
fn files(folder: &Path) -> Result<Vec<PathBuf>, EvaluateError> {
    let failed = |source| EvaluateError::Folder { path: folder.to_owned(), source };
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<PathBuf> = paths.collect::<Result<_, _>>().map_err(failed)?;
    paths.retain(|path| is_log(path));
    paths.sort();
    if paths.is_empty() { Err(EvaluateError::NoLog(folder.to_owned())) } else { Ok(paths) }
}

fn collect<R: std::io::Read>(
    path: &Path,
    records: decision_log::Records<R>,
    of: &mut BTreeMap<String, Collected>,
    notes: &mut Vec<String>,
) {
    let file = records.file();
    let mut names: BTreeMap<ApplicationId, LogHeader> = BTreeMap::new();
    for record in records {
        match record {
            Ok(Record::Application(id, header)) => {
                of.entry(header.name.clone()).or_default().header = header.clone();
                names.insert(id, header);
            }
            Ok(Record::Decision(decision)) => {
                if let Some(LogHeader { name, models, .. }) = names.get(&decision.application) {
                    let collected = of.entry(name.clone()).or_default();
                    collected.decisions.push((decision, models.clone(), file));
                }
            }
            Ok(Record::Lesson(lesson)) => {
                if let Some(header) = names.get(&lesson.application) {
                    let collected = of.entry(header.name.clone()).or_default();
                    collected.lessons.entry(lesson.query_id).or_insert((lesson, file));
                }
            }
            Err(damage) => notes.push(format!("{}: {damage}", path.display())),
        }
    }
}

impl Collected {
    /// Puts decisions and lessons together, in the order in which the queries arrived.
    fn join(mut self) -> Log {
        let mut left_out = LeftOut::default();
        let (mut decisions, mut usable) = (0, Vec::new());
        for (decision, models, file) in self.decisions {
            let lesson = self.lessons.remove(&decision.query_id);
            let is_of_these = models == self.header.models;
            let is_query = !decision.is_evaluation;
            decisions += u64::from(is_query);
            match usable_of(decision, lesson, is_of_these.then_some(models.len()), file) {
                Ok(decision) => {
                    left_out.without_feedback += u64::from(is_query && !decision.is_judged());
                    usable.push(decision);
                }
                Err(reason) => *reason(&mut left_out) += u64::from(is_query),
            }
        }
        // Files of several runs lie behind one another; within a run a later answer may be that
        // of an earlier query.
        usable.sort_by_key(|usable: &Usable| (usable.arrived_ns, usable.query_id));
        Log { header: self.header, decisions, usable, left_out, notes: Vec::new() }
    }
}

type Reason = fn(&mut LeftOut) -> &mut u64;

fn usable_of(
    decision: Decision,
    lesson: Option<(Lesson, FileHeader)>,
    models: Option<usize>,
    file: FileHeader,
) -> Result<Usable, Reason> {
    let Some(models) = models else { return Err(|out| &mut out.of_other_models) };
    let is_linked = |set: Models| set == set.within(Models::first(models));
    let Decision { servable, asked, propensities, said, .. } = decision;
    if servable.is_empty() || !is_linked(servable) || !is_linked(asked) {
        return Err(|out| &mut out.of_unknown_servable_set);
    }
    let is_probability = |model: usize| (0.0..=1.0).contains(&propensities[model]);
    let can_be = |model: usize| is_probability(model) && propensities[model] > 0.0;
    let are_there = propensities.len() == models && servable.iter().all(is_probability);
    let is_asked = !asked.within(servable).is_empty();
    if !are_there || !is_asked || !asked.iter().all(can_be) {
        return Err(|out| &mut out.without_propensities);
    }
    // Beyond the servable ones a baseline is asked, and that for certain.
    if asked.iter().any(|model| !servable.contains(model) && propensities[model] < 1.0) {
        return Err(|out| &mut out.of_unknown_servable_set);
    }
    if said.len() != models {
        return Err(|out| &mut out.of_other_models);
    }
    let teaches = |losses: &[Option<f64>]| {
        let are_losses = losses.iter().flatten().all(|loss| (0.0..=1.0).contains(loss));
        let is_known = |model: usize| losses[model].is_some();
        losses.len() == models && are_losses && asked.iter().any(is_known)
    };
    let lesson = lesson.filter(|(lesson, _)| teaches(&lesson.losses));
    let Some((lesson, told_in)) = lesson else {
        return Err(|out| &mut out.without_feedback);
    };
    Ok(Usable {
        is_evaluation: decision.is_evaluation,
        query_id: decision.query_id,
        arrived_ns: wall_ns(decision.arrived_ns, file),
        told_ns: wall_ns(lesson.told_ns, told_in),
        context: decision.context,
        servable,
        asked,
        propensities,
        said,
        losses: lesson.losses,
        answer_loss: lesson.answer_loss,
        pass_probability: file.pass_probability,
        vector: decision.vector,
    })
}

fn wall_ns(engine_ns: u64, file: FileHeader) -> i128 {
    i128::from(engine_ns) + i128::from(file.wall_offset_ns)
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons = [
            (self.without_feedback, "without feedback for each model that was asked"),
            (self.without_propensities, "without the propensities of the servable models"),
            (self.of_unknown_servable_set, "whose servable set is unknown"),
            (self.of_other_models, "of other models than are linked now"),
        ];
        let told = reasons.iter().filter(|(count, _)| *count > 0);
        let told: Vec<String> = told.map(|(count, why)| format!("{count} {why}")).collect();
        if told.is_empty() { f.write_str("none") } else { f.write_str(&told.join(", ")) }
    }
}
