//! An application's arms, as `top` and `inspect` show them: names and figures of each. Pure.

use cutter_admin_api::Stats;
use cutter_admin_api::selection::{Arm, Reward, Selection};
use cutter_admin_api::stats::{Application, Cache};

/// What stands where there is no figure.
pub(crate) const NONE: &str = "–";

/// The arms of an application, with what their models are called.
pub(crate) fn arms<'a>(
    stats: &'a Stats,
    selection: &'a Selection,
) -> impl Iterator<Item = (String, &'a Arm)> {
    selection.arms.iter().map(|arm| {
        let model = stats.models.get(arm.model);
        let name = model.map(|model| format!("{}:{}", model.model, model.version));
        (name.unwrap_or_else(|| NONE.to_owned()), arm)
    })
}

/// The applications that have a policy.
pub(crate) fn choosing(stats: &Stats) -> impl Iterator<Item = (&Application, &Selection)> {
    stats.applications.iter().filter_map(|app| Some((app, app.selection.as_ref()?)))
}

/// A share of 0 to 1: `87.5 %`.
pub(crate) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| NONE.to_owned(), |share| format!("{:.1} %", share * 100.0))
}

/// A mean and its 95 % interval: `0.912 (0.901 to 0.923)`.
pub(crate) fn reward(reward: Option<&Reward>) -> String {
    let Some(Reward { mean, interval }) = reward else { return NONE.to_owned() };
    let interval = interval.map(|(low, high)| format!(" ({low:.3} to {high:.3})"));
    format!("{mean:.3}{}", interval.unwrap_or_default())
}

/// The share of a model's calls that its cache spared; nothing before the first call.
pub(crate) fn spared(cache: &Cache) -> Option<f64> {
    let spared = cache.hits + cache.joined;
    let calls = spared + cache.misses + cache.bypassed;
    (calls > 0).then(|| spared as f64 / calls as f64)
}

/// The same of the model of an arm that has a cache: `40.0 %`, and whether it is off.
pub(crate) fn cached(stats: &Stats, arm: &Arm) -> Option<String> {
    let cache = stats.models.get(arm.model)?.cache.as_ref()?;
    let off = if cache.off { ", off" } else { "" };
    Some(percent(spared(cache)) + off)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_rewards_have_as_many_digits_as_they_are_known_to() {
        assert_eq!([None, Some(0.0), Some(0.8754)].map(percent), ["–", "0.0 %", "87.5 %"]);
        let known = Reward { mean: 0.9118, interval: Some((0.9006, 0.923)) };
        let once = Reward { mean: 1.0, interval: None };
        let told = [None, Some(&once), Some(&known)].map(reward);
        assert_eq!(told, ["–", "1.000", "0.912 (0.901 to 0.923)"]);
    }
}
