//! Feedback: what is learned, of which decision, and what of it is told to whom.
//!
//! - A decision is found by the id of its query, or by its input: the latest for that input.
//! - For an input of which no decision waits, the models are asked again, with as much patience as
//!   [`EVALUATION_NS`] gives, so that queries come first; what their caches know is not asked
//!   again. Nobody is answered; what they say is learned from.
//! - What a context's decisions teach, its own state learns, and the application's too: contexts
//!   that are not known yet begin with that.
//! - A decision is learned from once. Repeating an update changes nothing.

use super::choose::ask_all;
use super::conclude::told_of;
use super::judge::Judged;
use super::learner::{Learner, LearnerPlan, Mode};
use super::selector::{Decision, Open};
use crate::Core;
use crate::answer::Sink;
use crate::application::Application;
use crate::contexts::ContextKey;
use crate::feedback::{
    self, Decided, Ending, Found, Learned, Lesson, Losses, Said, Unrewarded, Vector,
};
use crate::ids::ApplicationId;
use crate::limits::{DECISIONS_EXPIRED_AT_ONCE, EVALUATION_NS, LINKS_MAX};
use crate::policy::{Feedback, Policy, Seen, State};
use crate::query::NewQuery;
use crate::stats::millionths;

/// What feedback is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The query with this id.
    Query(u64),
    /// The input in this row, which is reserved and holds so many bytes. It is given back.
    Input { row: u32, bytes: u32 },
}

/// Feedback.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    pub application: ApplicationId,
    pub target: Target,
    pub lesson: Lesson,
    /// The context that learns of an input of which no decision waits, and what describes it, for
    /// policies that look at that.
    pub key: &'a [u8],
    pub vector: Vector,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Updated {
    Learned,
    /// The models are asked again; it will be learned from when they have answered.
    Evaluating,
    Withdrawn,
    Late,
    Duplicate,
    Unknown,
    /// Nothing is changed: the application has no policy.
    NoPolicy,
    /// The same: the reward is not in the range that was declared, which is this.
    Reward,
    /// The same: the label is not of the kind of what was said.
    Label,
    /// The same: no model can be asked again now.
    NotReady,
    /// The same: the models would have to be asked again, and the numbers are not there that the
    /// policy looks at.
    NoVector,
}

impl Core {
    /// Learns, or says why not.
    pub fn update(&mut self, now_ns: u64, update: &Update<'_>, sink: &mut impl Sink) -> Updated {
        let Update { application, target, lesson, .. } = *update;
        let updated = self.update_found(now_ns, update, sink);
        if let (Target::Input { row, .. }, Some(_)) = (target, updated) {
            self.cancel(application, row, 0);
        }
        let updated = updated.unwrap_or_else(|| self.evaluate(now_ns, update, lesson, sink));
        let learner = self.learner_mut(application);
        if let Some(counted) = learner.map(|learner| &learner.plan.stats.feedback) {
            match updated {
                Updated::Learned => counted.learned.increment(),
                Updated::Withdrawn => counted.withdrawn.increment(),
                Updated::Late => counted.late.increment(),
                Updated::Duplicate => counted.duplicate.increment(),
                Updated::Unknown => counted.unknown.increment(),
                Updated::Reward | Updated::Label | Updated::NotReady | Updated::NoVector => {
                    counted.unusable.increment()
                }
                Updated::Evaluating | Updated::NoPolicy => {}
            }
        }
        updated
    }

    /// Takes out, or back in, a model of an application, by its place among those linked. Says
    /// whether there is such a model and a policy.
    pub fn switch_arm(&mut self, application: ApplicationId, arm: usize, on: bool) -> bool {
        let learner = self.learner_mut(application).filter(|learner| arm < learner.models());
        learner.map(|learner| learner.switch(arm, on)).is_some()
    }

    /// Decisions whose time for feedback is over are ended. To be called now and then.
    pub fn expire_decisions(&mut self, now_ns: u64, sink: &mut impl Sink) {
        self.learners().for_each(|(application, learner)| {
            learner.expire(now_ns, application, sink);
        });
    }

    fn learner_mut(&mut self, application: ApplicationId) -> Option<&mut Learner> {
        let selector = self.applications.get_mut(application)?.selector.as_mut()?;
        selector.learner.as_deref_mut()
    }

    /// Of a decision that is known. `None`: there is none, and its input can be evaluated again.
    fn update_found(
        &mut self,
        now_ns: u64,
        update: &Update<'_>,
        sink: &mut impl Sink,
    ) -> Option<Updated> {
        let Update { application, target, lesson, .. } = *update;
        let Some(Application { selector, pool, .. }) =
            self.applications.get_mut(application).map(|application| &mut **application)
        else {
            return Some(Updated::NoPolicy);
        };
        let learner = selector.as_mut().and_then(|selector| selector.learner.as_deref_mut());
        let Some(learner) = learner else { return Some(Updated::NoPolicy) };
        if let Lesson::Reward(reward) = lesson
            && !learner.plan.admits(reward)
        {
            return Some(Updated::Reward);
        }
        learner.expire(now_ns, application, sink);
        let found = match target {
            Target::Query(id) => learner.decisions.find_by_id(id),
            Target::Input { row, bytes } => learner
                .decisions
                .find_by_input(learner.plan.hash_of(pool.row_mut(row, bytes as usize))),
        };
        let place = match found {
            Found::Waiting(place) => place,
            Found::Duplicate => return Some(Updated::Duplicate),
            Found::Withdrawn => return Some(Updated::Duplicate),
            Found::Late | Found::Unknown if matches!(target, Target::Input { .. }) => return None,
            Found::Late => return Some(Updated::Late),
            Found::Unknown => return Some(Updated::Unknown),
        };
        if lesson == Lesson::Withdrawn {
            learner.decisions.finish(place, Ending::Withdrawn);
            return Some(Updated::Withdrawn);
        }
        let decision = learner.decisions.decision(place);
        let judged = learner.plan.judge(&decision, &lesson);
        if judged.is_other_kind {
            return Some(Updated::Label);
        }
        let key = ContextKey::new(decision.context).unwrap_or(ContextKey::APPLICATION);
        let counted = &learner.plan.stats.feedback;
        counted.join_delay.record(now_ns.saturating_sub(decision.answered_ns));
        count_judged(&learner.plan, &decision, &judged);
        let (of, models) = ((application, decision.query_id), learner.models());
        tell_learned(now_ns, of, models, &judged, sink);
        learner.decisions.finish(place, Ending::Learned);
        learner.teach(now_ns, &key, judged.losses);
        Some(Updated::Learned)
    }

    /// Asks all models again of an input, to learn from what they say.
    fn evaluate(
        &mut self,
        now_ns: u64,
        update: &Update<'_>,
        lesson: Lesson,
        sink: &mut impl Sink,
    ) -> Updated {
        let Update { application, target, key, .. } = *update;
        let Target::Input { row, bytes } = target else { return Updated::Unknown };
        // Without a label nothing can be said of what they say.
        if !matches!(lesson, Lesson::Label(_)) {
            self.cancel(application, row, 0);
            return Updated::Unknown;
        }
        if self.learner_mut(application).is_some_and(|learner| !learner.admits(&update.vector)) {
            self.cancel(application, row, 0);
            return Updated::NoVector;
        }
        // Nobody waits for an answer that takes its time to be handed over.
        let deadline_ns = now_ns.saturating_add(EVALUATION_NS);
        let due_ns = deadline_ns;
        let asked = self.servable(now_ns, application, due_ns);
        if asked.is_empty() {
            self.cancel(application, row, 0);
            return Updated::NotReady;
        }
        let id = self.next_query_id();
        let Application { selector, queries, links, .. } = &mut *self.applications[application];
        let query = NewQuery { id, reply_to: 0, arrived_ns: now_ns, deadline_ns, due_ns, bytes };
        queries.open(row, query);
        ask_all(queries, links, row, asked, now_ns);
        if let Some(selector) = selector
            && let Some(learner) = &selector.learner
        {
            let mut open = Open::of(asked, asked, learner.key_of(key));
            (open.lesson, open.vector) = (Some(lesson), update.vector);
            selector.begin(row, open, &asked.certain());
        }
        self.ask(now_ns, application, row, sink);
        let query = self.applications[application].queries.get(row);
        let is_open = query.is_open && query.id == id;
        if is_open { Updated::Evaluating } else { Updated::Learned }
    }

    /// All have said of an input what they say: it is learned.
    pub(crate) fn end_evaluation(
        &mut self,
        now_ns: u64,
        application: ApplicationId,
        row: u32,
        sink: &mut impl Sink,
    ) {
        let Application { selector, queries, .. } = &mut *self.applications[application];
        let decided = selector.as_mut().and_then(|selector| selector.learner_of(row));
        if let Some((learner, Decision { open, said, propensities })) = decided
            && let Some(lesson) = open.lesson
        {
            let query = queries.get(row);
            let decision = feedback::Decision {
                query_id: query.id,
                input: 0,
                arrived_ns: query.arrived_ns,
                answered_ns: now_ns,
                context: open.context.bytes(),
                servable: open.servable,
                asked: open.asked,
                propensities,
                said,
                answer: Said::Nothing,
                vector: learner.vector_of(&open.vector),
            };
            let judged = learner.plan.judge(&decision, &lesson);
            let key = open.context;
            learner.plan.stats.feedback.evaluated.increment();
            let brought = open.vector.numbers().unwrap_or_default();
            let told = told_of(application, &decision, brought);
            sink.decided(&Decided { is_evaluation: true, ..told });
            tell_learned(now_ns, (application, query.id), learner.models(), &judged, sink);
            learner.teach(now_ns, &key, judged.losses);
        }
        self.close(application, row);
    }
}

impl Learner {
    /// A decision waits for feedback from now on.
    pub(super) fn note(
        &mut self,
        now_ns: u64,
        application: ApplicationId,
        decision: &feedback::Decision<'_>,
        sink: &mut impl Sink,
    ) {
        let Self { plan, decisions, .. } = self;
        let mut silent = None;
        decisions.record(decision, |expired| silent = Some(plan.silence(expired)));
        if let Some(silent) = silent {
            self.end_silent(now_ns, application, &silent, sink);
        }
        self.expire(now_ns, application, sink);
    }

    /// Ends some of the decisions whose time for feedback is over.
    fn expire(&mut self, now_ns: u64, application: ApplicationId, sink: &mut impl Sink) {
        for _ in 0..DECISIONS_EXPIRED_AT_ONCE {
            let Self { plan, decisions, .. } = self;
            let Some(expired) = decisions.take_expired(now_ns) else { return };
            let silent = plan.silence(&expired);
            self.end_silent(now_ns, application, &silent, sink);
        }
    }

    fn end_silent(
        &mut self,
        now_ns: u64,
        application: ApplicationId,
        silent: &Silent,
        sink: &mut impl Sink,
    ) {
        self.plan.stats.feedback.expired.increment();
        if !silent.judged.losses.known().is_empty() {
            let of = (application, silent.query_id);
            tell_learned(now_ns, of, self.models(), &silent.judged, sink);
        }
        self.teach(now_ns, &silent.key, silent.judged.losses);
    }

    /// The state of a context, and that of the application, learn.
    fn teach(&mut self, now_ns: u64, key: &ContextKey, losses: Losses) {
        if losses.known().is_empty() || matches!(self.plan.mode, Mode::LogOnly { .. }) {
            return;
        }
        for arm in losses.known().iter() {
            let loss = losses.get(arm).unwrap_or_default();
            let counted = &self.plan.stats.arms[arm];
            counted.learned.increment();
            counted.losses.add(millionths(loss));
            counted.squared_losses.add(millionths(loss * loss));
        }
        let Self { plan, contexts, .. } = self;
        let mut keys = [Some(*key), Some(ContextKey::APPLICATION)];
        if *key == ContextKey::APPLICATION {
            keys[1] = None;
        }
        for key in keys.into_iter().flatten() {
            let learn = |state: &mut State, losses: Losses| observe(&*plan.policy, state, &losses);
            // What is lost for want of room is counted there.
            let _ = contexts.observe(&key, losses, now_ns, learn);
        }
    }
}

/// A decision that got no feedback.
struct Silent {
    query_id: u64,
    /// Whose state learns.
    key: ContextKey,
    judged: Judged,
}

/// What cannot be learned, a context without its numbers, leaves the state as it was.
pub(super) fn observe(policy: &dyn Policy, state: &mut State, losses: &Losses) {
    let mut place = [Seen { model: 0, loss: 0.0, propensity: 1.0 }; LINKS_MAX];
    let seen = losses.seen(&mut place);
    let feedback = Feedback::new(state, seen, losses.vector.numbers());
    let _ = feedback.and_then(|feedback| policy.observe(state, &feedback));
}

impl LearnerPlan {
    /// What is learned of a decision that got no feedback, and by whose state.
    fn silence(&self, decision: &feedback::Decision<'_>) -> Silent {
        let key = ContextKey::new(decision.context).unwrap_or(ContextKey::APPLICATION);
        let judged = match self.unrewarded {
            Unrewarded::LeaveOut => Judged::nothing(decision),
            Unrewarded::DefaultLoss(loss) => self.judge_silence(decision, loss),
        };
        Silent { query_id: decision.query_id, key, judged }
    }
}

fn count_judged(plan: &LearnerPlan, decision: &feedback::Decision<'_>, judged: &Judged) {
    let stats = &plan.stats;
    stats.judged.increment();
    stats.earned.add(judged.answer_loss.map_or(0, |loss| millionths(1.0 - loss)));
    let Some(chosen) = plan.chosen_beside(decision) else { return };
    let Some(loss) = judged.losses.get(chosen) else { return };
    stats.beside_judged.increment();
    stats.beside_earned.add(millionths(1.0 - loss));
    let agrees = decision.said[chosen].agrees(decision.answer, plan.tolerance);
    stats.beside_agreed.add(u64::from(agrees));
}

fn tell_learned(
    told_ns: u64,
    (application, query_id): (ApplicationId, u64),
    models: usize,
    judged: &Judged,
    sink: &mut impl Sink,
) {
    let losses: [Option<f64>; LINKS_MAX] = std::array::from_fn(|arm| judged.losses.get(arm));
    let (losses, answer_loss) = (&losses[..models], judged.answer_loss);
    sink.learned(&Learned { application, query_id, told_ns, losses, answer_loss });
}
