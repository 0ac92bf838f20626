//! Policies that a program brings along, beside those of the core.
//!
//! A program that embeds the server registers its policy under a name, and hands all of them to
//! [`Config::from_toml_with`](crate::config::Config::from_toml_with). In the file it is then named
//! as any other, and gets its parameters from `parameters`:
//!
//! ```
//! use std::path::Path;
//!
//! use cutter_core::policy::{Exp3, Policy};
//! use cutter_server::config::Config;
//! use cutter_server::policies::{Policies, PolicyParameters};
//!
//! /// Exp3 that is told how many answers it has to learn from.
//! fn hasty(parameters: &PolicyParameters) -> Result<Box<dyn Policy>, String> {
//!     let answers = parameters.get("answers").ok_or("`answers` is missing; give a number")?;
//!     let eta = (parameters.models() as f64 / answers).sqrt();
//!     Ok(Box::new(Exp3::new(eta, 0.05, 0.0).map_err(|error| error.to_string())?))
//! }
//!
//! let mut policies = Policies::default();
//! policies.register("hasty", hasty);
//! let text = r#"
//!     [[application]]
//!     name = "sums"
//!     input = { type = "floats", shape = [4] }
//!     models = ["sum", "other"]
//!     policy = { name = "hasty", parameters = { answers = 1000 } }
//!     [[model]]
//!     name = "sum"
//!     command = ["sum"]
//!     [[model]]
//!     name = "other"
//!     command = ["other"]
//! "#;
//! let (config, _) = Config::from_toml_with(text, Path::new("."), "embedded", &policies)?;
//! let policy = config.applications[0].policy.as_ref().unwrap().plan.build()?;
//! assert_eq!(policy.init(2).models(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Runs on the main thread, while a configuration is read, and where an application is made; never
//! on the way of a query. What a function refuses is told with the line of the policy's name.

use std::collections::BTreeMap;

use cutter_core::policy::Policy;

/// Makes a policy, or says what it needs and did not get. It gives the same for the same.
pub type MakePolicy = fn(&PolicyParameters) -> Result<Box<dyn Policy>, String>;

/// Policies by their names.
#[derive(Clone, Debug, Default)]
pub struct Policies(BTreeMap<String, MakePolicy>);

impl Policies {
    /// One more. It takes the place of another one of that name, a built-in one too.
    pub fn register(&mut self, name: &str, make: MakePolicy) {
        self.0.insert(name.to_owned(), make);
    }

    pub(crate) fn get(&self, name: &str) -> Option<MakePolicy> {
        self.0.get(name).copied()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// What a policy is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyParameters {
    models: usize,
    numbers: BTreeMap<String, f64>,
}

impl PolicyParameters {
    pub(crate) fn new(models: usize, numbers: BTreeMap<String, f64>) -> Self {
        Self { models, numbers }
    }

    /// How many models it is to choose from, at the start.
    pub fn models(&self) -> usize {
        self.models
    }

    /// A number of `parameters`. It is finite.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.numbers.get(name).copied()
    }

    /// All of them, for who refuses those that it does not know.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.numbers.iter().map(|(name, number)| (name.as_str(), *number))
    }
}
