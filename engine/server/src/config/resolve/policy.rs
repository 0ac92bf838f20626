//! `[application.policy]`: which policy, and what it may do.
//!
//! Models are named as in `models` of the application, and are positions in that list from here on.
//! Where that list has a mistake, it is told there, and names that are not found are not told here.

mod arms;
mod judging;
mod learning;
pub(in crate::config) mod plan;

use toml::Spanned;

use super::check;
use super::links::{Known, Linked};
use crate::config::error::{Notice, OneOf, Problem};
use crate::config::keys;
use crate::config::policies::Policies;
use crate::config::report::{Report, shown};
use crate::config::settings::Policy;
use crate::config::value::{Table, Text};
use crate::limits::HEDGE_SHARE_DEFAULT;
use plan::Written;

/// `None` when there is no model to choose.
pub(super) fn resolve(
    table: &Spanned<Table<keys::Policy>>,
    of: String,
    linked: &Linked,
    known: &Known<'_>,
    policies: &Policies,
    report: &mut Report<'_>,
) -> Option<Policy> {
    let at = table.span().start;
    let entry = Entry { file: &table.get_ref().0, of, at, linked, known };
    match linked.models[..] {
        [] => {
            if linked.is_whole {
                report.problem(at, Problem::NothingToChoose { of: entry.of });
            }
            return None;
        }
        [only] if linked.is_whole => {
            let model = shown(&known.label(only).unwrap_or_default());
            report.notice(at, Notice::OneModel { of: entry.of.clone(), model });
        }
        _ => {}
    }
    let (name, plan) = plan::resolve(&entry.written(), policies, report);
    let asks_all = plan.asks_all();
    let arms = arms::resolve(&entry, asks_all, report);
    let ensemble = judging::ensemble(&entry, asks_all, report);
    let judging = judging::resolve(&entry, report);
    let learning = learning::resolve(&entry, &arms, report);
    let hedge_share = entry.hedge_share(report);
    Some(Policy { name, plan, ensemble, judging, learning, arms, hedge_share })
}

/// One table on its way to a [`Policy`].
struct Entry<'a> {
    file: &'a keys::Policy,
    of: String,
    at: usize,
    /// At least one model.
    linked: &'a Linked,
    known: &'a Known<'a>,
}

impl Entry<'_> {
    fn written(&self) -> Written<'_> {
        let Self { file, of, at, linked, .. } = self;
        let Linked { models, is_whole } = linked;
        Written { file, of, at: *at, models: models.len(), is_whole: *is_whole }
    }

    /// The position of a model that a key names.
    fn model(&self, key: &'static str, text: &Text, report: &mut Report<'_>) -> Option<usize> {
        let found = text.get_ref().as_str();
        let models = &self.linked.models;
        let position = models.iter().position(|model| self.known.is_called(*model, found));
        if position.is_none() && self.linked.is_whole {
            let labels: Vec<String> = (0..models.len()).map(|model| self.label(model)).collect();
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            let expected = OneOf::new(found, &labels);
            let (of, found) = (self.of.clone(), shown(found));
            let problem = Problem::UnlinkedModel { key, of, found, expected };
            report.problem(text.span().start, problem);
        }
        position
    }

    /// How messages call the model at a position.
    fn label(&self, position: usize) -> String {
        self.known.label(self.linked.models[position]).unwrap_or_default()
    }

    /// Says that a key is of no use beside the others.
    fn misplaced(
        &self,
        key: &'static str,
        at: usize,
        only_for: &'static str,
        report: &mut Report<'_>,
    ) {
        report.problem(at, Problem::Misplaced { key, of: self.of.clone(), only_for });
    }

    fn hedge_share(&self, report: &mut Report<'_>) -> Option<f64> {
        let key = self.file.hedge_share();
        let share = check::decimal(&key, &self.of, report);
        let is_hedged = self.file.hedge().value.copied().unwrap_or_default();
        if let (false, Some(written)) = (is_hedged, key.value) {
            report.notice(written.span().start, Notice::NotHedged { of: self.of.clone() });
        }
        is_hedged.then(|| share.unwrap_or(HEDGE_SHARE_DEFAULT))
    }
}
