//! The part of the page about an application with a policy: a line of it, and one of each arm.
//!
//! What is shown is since the models were linked, but for weights, which are those of now.

use cutter_admin_api::Stats;
use cutter_admin_api::selection::{Arm, Selection};
use ratatui::text::{Line, Span};

use super::page::{Figure, INDENT, Ink, time_or_none};
use crate::admin::arms::{NONE, arms, cached, percent, reward};
use crate::admin::words::{figure, left};
use crate::limits::TOP_SAMPLES_BEYOND;

impl Ink {
    pub(super) fn selection(self, stats: &Stats, selection: &Selection) -> Vec<Line<'static>> {
        let mut lines = self.flow(INDENT, self.policy(selection));
        let arms: Vec<(String, &Arm)> = arms(stats, selection).collect();
        let widest = arms.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, arm) in arms {
            lines.extend(self.flow(INDENT, self.arm(&left(&name, widest), stats, arm)));
        }
        lines
    }

    fn policy(self, selection: &Selection) -> Vec<Figure> {
        let Selection { policy, mode, feedback, .. } = selection;
        let join_delay = feedback.join_delay.supported_quantile(0.5, TOP_SAMPLES_BEYOND);
        let mut figures = vec![
            self.named("policy", format!("{policy}, {mode}")),
            self.named("right and in time", percent(selection.effective_accuracy)),
            self.named("regret", selection.regret.map_or_else(|| NONE.to_owned(), signed)),
            self.named("feedback", percent(feedback.share)),
            self.named("after", time_or_none(join_delay)),
        ];
        if selection.combined > 0 {
            figures.push(self.named("confidence", percent(selection.confidence)));
        }
        if let Some(apprentice) = &selection.apprentice {
            figures.push(self.named("would have agreed", percent(apprentice.agreement)));
            figures.push(self.named("would have earned", percent(apprentice.earned)));
        }
        figures
    }

    fn arm(self, name: &str, stats: &Stats, arm: &Arm) -> Vec<Figure> {
        let mut figures = vec![
            self.named("arm", name.to_owned()),
            self.named("weight", format!("{:.3}", arm.weight)),
            self.named("share", percent(arm.share)),
            self.named("reward", reward(arm.reward.as_ref())),
        ];
        if arm.agreed > 0 {
            figures.push(self.named("agrees", percent(arm.agreement)));
        }
        figures.extend(cached(stats, arm).map(|share| self.named("cached", share)));
        if !arm.enabled {
            figures.push(self.warned("taken out".to_owned()));
        }
        let late = [("stragglers", arm.stragglers), ("predicted late", arm.predicted_late)];
        for (name, count) in late.into_iter().filter(|(_, count)| *count > 0) {
            figures.push(self.warned(format!("{name} {}", figure(count as f64))));
        }
        figures
    }

    fn warned(self, text: String) -> Figure {
        vec![Span::styled(text, self.bad())]
    }
}

/// A figure that may be below 0.
fn signed(value: f64) -> String {
    let sign = if value < 0.0 { "−" } else { "" };
    format!("{sign}{}", figure(value.abs()))
}
