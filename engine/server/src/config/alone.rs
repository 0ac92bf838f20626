//! A policy by itself, as a command line names it: by its name and its parameters, which are those
//! of `[application.policy]`, with the same defaults and bounds.

use toml::Value;

use super::error::{OneOf, Problem};
use super::keys;
use super::policies::Policies;
use super::report::{Report, problem_of_toml, shown};
use super::resolve::policy::plan::{self, Written};
use super::settings::Plan;

/// How messages call it.
const OF: &str = "the policy";
const NAME: &str = "name";

impl Plan {
    /// A built-in policy for so many models. A parameter is a line of its table: `eta = 0.1`.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(name: &str, parameters: &[String], models: usize) -> Result<Self, Box<Problem>> {
        let mut lines = vec![format!("{NAME} = {}", Value::from(name))];
        lines.extend_from_slice(parameters);
        let text = lines.join("\n");
        let of_toml = |error| problem_of_toml(&error, &text).1;
        let given: toml::Table = text.parse().map_err(of_toml)?;
        let empty = keys::Policy::default();
        let keys: Vec<&str> = plan::parameters(&empty).map(|(key, _)| key).collect();
        if let Some(key) = given.keys().find(|key| *key != NAME && !keys.contains(&key.as_str())) {
            let expected = OneOf::new(key, &keys);
            return Err(Box::new(Problem::UnknownKey { key: shown(key), expected }));
        }
        let file: keys::Policy = toml::from_str(&text).map_err(of_toml)?;
        let written = Written { file: &file, of: OF, at: 0, models, is_whole: true };
        let mut report = Report::new(&text);
        let (_, plan) = plan::resolve(&written, &Policies::default(), &mut report);
        report.into_first().map_or(Ok(plan), |problem| Err(Box::new(problem)))
    }
}
