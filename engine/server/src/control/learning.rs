//! What an application's policy is made of: from settings to a learner, with all of its memory, and
//! the place where what it learns outlives the server.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use cutter_core::contexts::Series;
use cutter_core::feedback::Unrewarded;
use cutter_core::limits::LINKS_MAX;
use cutter_core::policy::Models;
use cutter_core::selection::{Learner, LearnerPlan, Mode, Substitute};
use cutter_core::stats::SelectionStats;

use crate::config::{self, Policy};
use crate::decision_log::{LogCounts, LogHeader};
use crate::store::StoreThread;

/// What learners of one run of a server have in common.
#[derive(Debug)]
pub struct Run {
    /// The id of the first query. Another run has later ones.
    pub first_query_id: u64,
    /// Where what is learned outlives the server.
    pub store: Option<StoreThread>,
    /// What is counted of the log of decisions.
    pub decision_log: Option<Arc<LogCounts>>,
}

impl Default for Run {
    /// The first that there ever was, and nothing of it stays.
    fn default() -> Self {
        Self { first_query_id: 1, store: None, decision_log: None }
    }
}

/// A learner for an application, and what control keeps of it.
#[derive(Debug)]
pub(super) struct Made {
    pub learner: Box<Learner>,
    pub stats: Arc<SelectionStats>,
    pub series: Option<Series>,
    pub header: Box<LogHeader>,
    /// The models that it may not choose.
    pub off: Models,
}

/// Makes what is to choose among models with these labels, in the order in which the settings have
/// them. `Err`: in words, why it cannot be made.
pub(super) fn make(
    settings: &config::Application,
    policy: &Policy,
    labels: Vec<String>,
    run: &mut Run,
) -> Result<Made, String> {
    let models = labels.len();
    let chooser = policy.plan.build_for(models)?;
    let stats = Arc::new(SelectionStats::new(models));
    let header = header(settings, policy, labels, run.first_query_id);
    let series = match &mut run.store {
        None => None,
        Some(store) => {
            let label = format!("{} {} {:?}", policy.name, header.policy_version, header.models);
            Some(store.register(&settings.name, &label, policy.plan.build()?, models))
        }
    };
    let plan = LearnerPlan {
        policy: chooser,
        models,
        numbers: policy.plan.numbers(),
        reading: policy.ensemble.reading,
        tolerance: policy.ensemble.tolerance,
        substitute: match policy.ensemble.substitute {
            config::Substitute::Nothing => Substitute::Nothing,
            config::Substitute::Mean => Substitute::Mean,
            config::Substitute::Last => Substitute::Last,
        },
        unsure_below: policy.ensemble.unsure_below,
        loss: policy.judging.loss,
        rewards: (policy.judging.rewards.low, policy.judging.rewards.high),
        default_teaches: policy.judging.default_teaches,
        mode: mode(policy.learning.mode),
        caps: std::array::from_fn(|arm| policy.arms.caps.get(arm).copied().unwrap_or(1.0)),
        on: (0..models).filter(|arm| !policy.arms.off.contains(*arm)).collect::<Models>(),
        seed: if policy.learning.seed == 0 { run.first_query_id } else { policy.learning.seed },
        contexts: policy.learning.contexts,
        series,
        hash_seed: secret(),
        window: policy.learning.feedback_window as usize,
        feedback_wait_ns: policy.learning.feedback_wait_ns,
        unrewarded: unrewarded(&policy.judging),
        first_query_id: run.first_query_id,
        stats: Arc::clone(&stats),
    };
    let (learner, header) = (Box::new(Learner::new(plan)), Box::new(header));
    Ok(Made { learner, stats, series, header, off: policy.arms.off })
}

/// A number that nobody outside knows.
pub(super) fn secret() -> u64 {
    RandomState::new().hash_one(0_u8)
}

fn header(
    settings: &config::Application,
    policy: &Policy,
    models: Vec<String>,
    epoch: u64,
) -> LogHeader {
    let parameters = policy.plan.parameters();
    let name = settings.name.clone();
    let policy_version = POLICY_VERSION.to_owned();
    LogHeader { name, models, policy: policy.name.clone(), policy_version, parameters, epoch }
}

/// Of the policies of this program.
const POLICY_VERSION: &str = env!("CARGO_PKG_VERSION");

fn mode(mode: config::Mode) -> Mode {
    let narrow = |baseline: usize| u8::try_from(baseline).expect("at most LINKS_MAX");
    const { assert!(LINKS_MAX <= u8::MAX as usize) };
    match mode {
        config::Mode::Online => Mode::Online,
        config::Mode::Apprentice { baseline } => Mode::Apprentice { baseline: narrow(baseline) },
        config::Mode::LogOnly { baseline } => Mode::LogOnly { baseline: narrow(baseline) },
    }
}

fn unrewarded(judging: &config::Judging) -> Unrewarded {
    let config::Rewards { low, high } = judging.rewards;
    let loss = judging.unrewarded.map(|reward| (high - reward) / (high - low));
    loss.map_or(Unrewarded::LeaveOut, Unrewarded::DefaultLoss)
}
