//! The end of a query that a policy has decided: what was said, what is answered, what is noted.

use cutter_tensor::{OutputBytes, TensorSpec};

use super::ensemble::{Ensemble, Heard, Member, Spoken, Verdict, combine};
use super::learner::{Learner, LearnerPlan, Substitute};
use super::means::Means;
use super::selector::Decision;
use crate::Core;
use crate::answer::{Outcome, Sink, tell};
use crate::application::Application;
use crate::call::{Call, CallRef};
use crate::feedback::{self, Decided, Said, numbers};
use crate::ids::{ApplicationId, ModelId};
use crate::limits::LINKS_MAX;
use crate::query::{Kept, Queries};
use crate::stats::{Reason, millionths};

const UNREADABLE: &[u8] = b"its output cannot be read as the `outputs` of the application's \
    policy say; set those to what the model gives";

impl Core {
    /// A call of a query that a policy has decided has brought an output.
    pub(crate) fn hear(
        &mut self,
        now_ns: u64,
        call: CallRef,
        output: OutputBytes<'_>,
        spec: &TensorSpec,
        sink: &mut impl Sink,
    ) {
        let CallRef { application, row, link } = call;
        let Application { selector, queries, .. } = &mut *self.applications[application];
        let arm = queries.call(row, link).arm;
        let outcome = Outcome::Prediction { output, spec };
        let is_evaluation = selector.as_ref().is_some_and(|it| it.open(row).lesson.is_some());
        let Some((learner, Decision { open, .. })) =
            selector.as_mut().and_then(|selector| selector.learner_of(row))
        else {
            // Its models are not linked any more: any of them is as good as another. Of an
            // evaluation nothing is learned then, and nobody waits for an answer.
            if is_evaluation {
                return self.finish_call(now_ns, call, (Reason::Late, &[]), sink);
            }
            return self.answer(now_ns, application, row, outcome, sink);
        };
        let Some(said) = learner.plan.reading.read(output.bytes(), spec) else {
            return self.fail_call(now_ns, call, Reason::ModelError, UNREADABLE, sink);
        };
        learner.plan.stats.arms[usize::from(arm)].came.increment();
        if learner.plan.substitute == Substitute::Mean
            && let Some(said) = numbers(spec.element, output.bytes())
        {
            learner.means.observe(arm.into(), said);
        }
        if is_evaluation {
            selector.as_mut().into_iter().for_each(|selector| selector.note(row, arm, said));
            return self.finish_call(now_ns, call, (Reason::Late, &[]), sink);
        }
        let explains = open.explain;
        let decides =
            open.baseline.map_or(open.asked.len() == 1, |baseline| baseline == usize::from(arm));
        if let Some(selector) = selector {
            selector.note(row, arm, said);
        }
        if decides && !explains {
            self.note_decision(now_ns, (application, row), said, None, sink);
            return self.answer(now_ns, application, row, outcome, sink);
        }
        let Some(pending) = self.keep_output(now_ns, call, output, spec) else {
            return self.fail_call(now_ns, call, Reason::Overloaded, &[], sink);
        };
        if decides || pending == 0 {
            self.conclude(now_ns, application, row, (Reason::Late, &[]), sink);
        }
    }

    /// Answers a query of what is there; if that is nothing, with the default output, for this
    /// reason.
    pub(crate) fn conclude(
        &mut self,
        now_ns: u64,
        application: ApplicationId,
        row: u32,
        (reason, detail): (Reason, &[u8]),
        sink: &mut impl Sink,
    ) {
        let Application { selector, queries, stats, pool, .. } =
            &mut *self.applications[application];
        let decided = selector.as_mut().and_then(|selector| selector.learner_of(row));
        let Some((learner, decision)) = decided else {
            return self.answer_with_first(now_ns, application, row, (reason, detail), sink);
        };
        let open = decision.open;
        if open.lesson.is_some() {
            return self.end_evaluation(now_ns, application, row, sink);
        }
        let Learner { plan, contexts, means, .. } = learner;
        let input: &[u8] = pool.row_mut(row, queries.get(row).bytes as usize);
        let models = &self.models;
        let before = |model: ModelId| models[model].cache.as_ref()?.fetch(now_ns, input);
        let substitutes = Substitutes { plan, means, before: &before };
        let heard = heard(&substitutes, &decision, queries, row);
        let heard = &heard[..plan.models];
        let came = heard.iter().any(|heard| matches!(heard, Heard::Came(_)));
        let (_, state) = contexts.state(&open.context);
        let verdict = combine(plan, state, heard, &mut self.scratch).filter(|_| came);
        let Some(verdict) = verdict else {
            return self.answer_default(now_ns, application, row, reason, detail, sink);
        };
        let several = open.asked.len() > 1 && open.baseline.is_none();
        let confidence = several.then_some(verdict.confidence);
        if several {
            count_vote(plan, &decision, &verdict);
        }
        let is_unsure = confidence.is_some_and(|confidence| confidence < plan.unsure_below);
        let mut members = [Member::SILENT; LINKS_MAX];
        let mut count = 0;
        for call in queries.calls(row).iter().filter(|_| open.explain) {
            members[count] = member(usize::from(call.arm), heard, &verdict);
            count += 1;
        }
        let ensemble = Ensemble { confidence, members: &members[..count] };
        let outcome = if is_unsure {
            Outcome::Default { reason: Reason::Unsure, detail: &[] }
        } else {
            Outcome::Prediction { output: verdict.output, spec: verdict.spec }
        };
        let said = if is_unsure { Said::Nothing } else { verdict.said };
        let query = queries.get(row);
        tell(stats, &query.answer(application, now_ns, outcome, Some(&ensemble)), sink);
        self.note_decision(now_ns, (application, row), said, confidence, sink);
        self.close(application, row);
    }

    /// A query that a policy has decided is answered, so.
    pub(crate) fn note_decision(
        &mut self,
        now_ns: u64,
        (application, row): (ApplicationId, u32),
        answer: Said,
        confidence: Option<f64>,
        sink: &mut impl Sink,
    ) {
        let Application { selector, queries, pool, .. } = &mut *self.applications[application];
        let decided = selector.as_mut().and_then(|selector| selector.learner_of(row));
        let Some((learner, Decision { open, said, propensities })) = decided else { return };
        let query = queries.get(row);
        let input = pool.row_mut(row, query.bytes as usize);
        for call in queries.calls(row).iter().filter(|call| call.is_pending) {
            learner.plan.stats.arms[usize::from(call.arm)].stragglers.increment();
        }
        let noted = feedback::Decision {
            query_id: query.id,
            input: learner.plan.hash_of(input),
            arrived_ns: query.arrived_ns,
            answered_ns: now_ns,
            context: open.context.bytes(),
            servable: open.servable,
            asked: open.asked,
            propensities,
            said,
            answer,
            vector: learner.vector_of(&open.vector),
        };
        learner.note(now_ns, application, &noted, sink);
        let brought = open.vector.numbers().unwrap_or_default();
        sink.decided(&Decided { confidence, ..told_of(application, &noted, brought) });
    }

    /// A call of a query that is answered already has brought an output: that is what its model
    /// says of the input all the same, if anybody tells what was right.
    pub(crate) fn hear_late(&mut self, call: CallRef, output: OutputBytes<'_>, spec: &TensorSpec) {
        let CallRef { application, row, link } = call;
        let Application { selector, queries, .. } = &mut *self.applications[application];
        let arm = queries.call(row, link).arm;
        let query_id = queries.get(row).id;
        let decided = selector.as_mut().and_then(|selector| selector.learner_of(row));
        let Some((learner, _)) = decided else { return };
        if let Some(said) = learner.plan.reading.read(output.bytes(), spec) {
            learner.decisions.note_said(query_id, arm.into(), said);
        }
    }
}

/// What may stand for a model that has said nothing.
struct Substitutes<'a, F> {
    plan: &'a LearnerPlan,
    means: &'a Means,
    /// What a model has said of the input before, if that is known.
    before: &'a F,
}

impl<'a, F: Fn(ModelId) -> Option<(&'a [u8], &'a TensorSpec)>> Substitutes<'a, F> {
    fn of(&self, call: &Call) -> Heard<'a> {
        match self.plan.substitute {
            Substitute::Nothing => Heard::Nothing,
            Substitute::Mean => {
                self.means.of(usize::from(call.arm)).map_or(Heard::Nothing, Heard::Mean)
            }
            Substitute::Last => self.before_of(call).unwrap_or(Heard::Nothing),
        }
    }

    fn before_of(&self, call: &Call) -> Option<Heard<'a>> {
        let (bytes, spec) = (self.before)(call.model)?;
        let said = self.plan.reading.read(bytes, spec)?;
        let output = OutputBytes::borrowed(bytes);
        Some(Heard::Before(Spoken { output, spec, said, at_ns: call.admitted_ns }))
    }
}

/// What was heard of each linked model; of a baseline alone, where there is one.
fn heard<'a>(
    substitutes: &Substitutes<'a, impl Fn(ModelId) -> Option<(&'a [u8], &'a TensorSpec)>>,
    decision: &Decision<'_>,
    queries: &'a Queries,
    row: u32,
) -> [Heard<'a>; LINKS_MAX] {
    let mut heard = [Heard::Nothing; LINKS_MAX];
    for (link, call) in queries.calls(row).iter().enumerate() {
        let arm = usize::from(call.arm);
        if decision.open.baseline.is_some_and(|baseline| baseline != arm) {
            continue;
        }
        heard[arm] = if let Some(Kept { output, spec, at_ns }) = queries.kept(row, link) {
            let (output, said, at_ns) = (output.output(), decision.said[arm], *at_ns);
            Heard::Came(Spoken { output, spec, said, at_ns })
        } else {
            substitutes.of(call)
        };
    }
    heard
}

fn member<'a>(arm: usize, heard: &[Heard<'a>], verdict: &Verdict<'_>) -> Member<'a> {
    let weight = verdict.weights[arm];
    let spoken = if let Heard::Came(spoken) = heard[arm] { Some(spoken) } else { None };
    let came_ns = spoken.map(|spoken| spoken.at_ns);
    Member { arm, output: spoken.map(|spoken| (spoken.output, spoken.spec)), came_ns, weight }
}

/// Several models were asked, and this is what they came to.
fn count_vote(plan: &LearnerPlan, decision: &Decision<'_>, verdict: &Verdict<'_>) {
    let stats = &plan.stats;
    stats.combined.increment();
    stats.confidence.add(millionths(verdict.confidence));
    for arm in decision.open.asked.iter() {
        let agrees = decision.said[arm].agrees(verdict.said, plan.tolerance);
        stats.arms[arm].agreed.add(u64::from(agrees));
        stats.arms[arm].weight.set(millionths(verdict.weights[arm]));
    }
}

/// What is told of a decision whose query brought this vector.
pub(super) fn told_of<'a>(
    application: ApplicationId,
    noted: &feedback::Decision<'a>,
    vector: &'a [f64],
) -> Decided<'a> {
    Decided {
        application,
        is_evaluation: false,
        query_id: noted.query_id,
        arrived_ns: noted.arrived_ns,
        answered_ns: noted.answered_ns,
        context: noted.context,
        servable: noted.servable,
        asked: noted.asked,
        propensities: noted.propensities,
        said: noted.said,
        answer: noted.answer,
        confidence: None,
        vector,
    }
}
