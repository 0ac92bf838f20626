//! Settings that a program has made are held to the bounds that a file is held to.
//!
//! What [`Config::from_toml`](super::Config::from_toml) gives holds every limit. A program can fill
//! in the same plain values itself, and hand them to a server as it starts or while it runs. Here
//! they meet the bounds of the same keys, and the first that is beyond is told in the same words,
//! before anything is taken or changed. Times are held in ns and told in µs, rounded up.
//!
//! Only what the server relies on is looked at: not whether a command can be found, and not what
//! is merely of no use. What belongs to several settings, such as names that are taken, the
//! registry refuses.

use std::ops::RangeInclusive;

use cutter_core::feedback::{Loss, Reading};
use cutter_tensor::{ElementType, Extent, TensorSpec};

use super::error::Problem;
use super::keys;
use super::kinds::{BoundedText, Decimal, Decimals, Key, Large, Name, Number, Numbers};
use super::report::shown;
use super::resolve::check::{count_within, name_expected, owner, pool_within};
use super::settings::{
    Application, Arms, BatchCost, Config, DecisionLog, Judging, Mode, Model, Policy, Substitute,
};

/// The first thing that is wrong.
type Checked = Result<(), Box<Problem>>;

impl Config {
    /// Whether all of it holds every limit.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn check(&self) -> Result<(), Box<Problem>> {
        let of = Of("[server]".to_owned());
        let keys = keys::Server::default();
        // A program may want none: it asks by itself.
        let most = *keys.query().kind.0.end();
        of.count(&(0..=most), keys.query().name, self.server.query.len())?;
        if let Some(cpu) = self.server.cpu {
            of.number(&keys.cpu(), cpu as u64)?;
        }
        self.server.decision_log.as_ref().map_or(Ok(()), DecisionLog::check)?;
        for application in &self.applications {
            application.check()?;
            let Some(model) = application.models.iter().find(|it| **it >= self.models.len()) else {
                continue;
            };
            let (found, of) = (model.to_string(), owner("application", Some(&application.name), 0));
            let expected = format!("the position of one of {} models", self.models.len());
            let key = "models";
            return Err(Box::new(Problem::BadText { key, of, found, expected }));
        }
        self.models.iter().try_for_each(Model::check)
    }
}

impl DecisionLog {
    fn check(&self) -> Checked {
        let (of, keys) = (Of("the decision log".to_owned()), keys::DecisionLog::default());
        of.large(&keys.file_bytes(), self.file_bytes)?;
        of.number(&keys.files(), self.files.into())?;
        of.decimal(&keys.sample(), self.sample)
    }
}

impl Application {
    /// Whether it holds every limit.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn check(&self) -> Result<(), Box<Problem>> {
        let of = Of(owner("application", Some(&self.name), 0));
        let keys = keys::Application::default();
        of.name(&keys.name(), &self.name)?;
        if keys::RESERVED_NAMES.contains(&self.name.as_str()) {
            return Err(Box::new(Problem::ReservedName { found: self.name.clone() }));
        }
        of.input(&self.input)?;
        of.micros(&keys.slo_us(), self.slo_ns)?;
        of.text(&keys.default_output(), &self.default_output)?;
        of.count(&keys.models().kind.0, keys.models().name, self.models.len())?;
        // A program may want fewer than a file may: rows are memory, and 1 works.
        let Key { name: key, kind: Number(rows), .. } = keys.rows();
        of.between(key, self.rows.into(), (1, (*rows.end()).into()))?;
        pool_within(&of.0, self.rows, self.row_stride())?;
        of.between("rows_at_start", self.rows_at_start.into(), (1, self.rows.into()))?;
        self.policy.as_ref().map_or(Ok(()), |policy| policy.check(&of))
    }
}

impl Policy {
    fn check(&self, of: &Of) -> Checked {
        let (of, keys) = (Of(format!("the policy of {}", of.0)), keys::Policy::default());
        let ensemble = &self.ensemble;
        of.decimal(&keys.tolerance(), ensemble.tolerance)?;
        of.decimal(&keys.unsure_below(), ensemble.unsure_below)?;
        if ensemble.substitute == Substitute::Mean && ensemble.reading == Reading::Class {
            let only_for = "outputs that are values or scores when it is the mean";
            let key = keys.substitute().name;
            return Err(Box::new(Problem::Misplaced { key, of: of.0, only_for }));
        }
        self.judging.check(&of)?;
        self.arms.check(&of, self.learning.mode)?;
        of.micros_large(&keys.feedback_wait_us(), self.learning.feedback_wait_ns)?;
        of.number(&keys.feedback_window(), self.learning.feedback_window.into())?;
        of.number(&keys.contexts(), self.learning.contexts.into())?;
        self.hedge_share.map_or(Ok(()), |share| of.decimal(&keys.hedge_share(), share))
    }
}

impl Judging {
    fn check(&self, of: &Of) -> Checked {
        let keys = keys::Policy::default();
        if let Loss::Absolute { range } | Loss::Squared { range } = self.loss {
            of.decimal(&keys.range(), range)?;
        }
        let (low, high) = (self.rewards.low, self.rewards.high);
        of.decimals(&keys.reward_range(), &[low, high])?;
        if low >= high {
            return Err(Box::new(Problem::RewardsReversed { of: of.0.clone(), low, high }));
        }
        let key = keys.unrewarded().name;
        self.unrewarded.map_or(Ok(()), |reward| of.real(key, reward, (low, high)))
    }
}

impl Arms {
    fn check(&self, of: &Of, mode: Mode) -> Checked {
        let (keys, models) = (keys::Policy::default(), self.caps.len());
        let (key, most) = (keys.caps().name, keys.caps().kind.0);
        of.count(&(1..=most), key, models)?;
        self.caps.iter().try_for_each(|cap| of.real(key, *cap, (0.0, 1.0)))?;
        let on = (0..models).filter(|model| !self.off.contains(*model));
        if on.clone().next().is_none() {
            return Err(Box::new(Problem::AllOff { of: of.0.clone() }));
        }
        let left: f64 = on.map(|model| self.caps[model]).sum();
        if left < Self::least_left(models) {
            return Err(Box::new(Problem::CapsTooLow { of: of.0.clone(), left }));
        }
        let Some(baseline) = mode.baseline() else { return Ok(()) };
        of.between(keys.baseline().name, baseline as u64, (0, models as u64 - 1))?;
        if self.off.contains(baseline) {
            let (of, model) = (of.0.clone(), baseline.to_string());
            return Err(Box::new(Problem::BaselineOff { of, model }));
        }
        Ok(())
    }
}

impl Model {
    /// Whether it holds every limit.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn check(&self) -> Result<(), Box<Problem>> {
        let of = Of(owner("model", Some(&self.name), 0));
        let keys = keys::Model::default();
        of.name(&keys.name(), &self.name)?;
        of.name(&keys.version(), &self.version)?;
        if let Some(command) = &self.command {
            of.count(&keys.command().kind.0, keys.command().name, 1 + command.args.len())?;
        }
        of.number(&keys.replicas(), self.replicas.into())?;
        of.numbers(&keys.cpus(), &self.cpus)?;
        of.micros(&keys.batch_timeout_us(), self.batch_timeout_ns)?;
        of.number(&keys.load_timeout_us(), self.load_timeout_us.unwrap_or(0))?;
        self.input.map_or(Ok(()), |input| of.input(&input))?;
        if let Some(share) = self.hedge_share {
            of.decimal(&keys::Policy::default().hedge_share(), share)?;
        }
        self.check_batch(&Of(format!("the batches of {}", of.0)))?;
        self.check_cache(of)
    }

    fn check_batch(&self, of: &Of) -> Checked {
        let (batch, keys) = (&self.batch, keys::Batch::default());
        of.number(&keys.max(), batch.max.into())?;
        of.micros(&keys.wait_us(), batch.wait_ns)?;
        match batch.cost {
            BatchCost::Rows => Ok(()),
            BatchCost::Bytes { max } => of.number(&keys.max_cost_bytes(), max.into()),
        }
    }

    fn check_cache(&self, of: Of) -> Checked {
        let Some(cache) = self.cache else { return Ok(()) };
        if !self.deterministic {
            return Err(Box::new(Problem::CacheOfRandom { of: of.0 }));
        }
        let (of, keys) = (Of(format!("the cache of {}", of.0)), keys::Cache::default());
        of.large(&keys.bytes(), cache.bytes)?;
        cache.ttl_ns.map_or(Ok(()), |ttl_ns| of.micros_large(&keys.ttl_us(), ttl_ns))
    }
}

/// Whose settings they are, in words.
struct Of(String);

impl Of {
    fn number(&self, key: &Key<'_, Number>, found: u64) -> Checked {
        self.between(key.name, found, ((*key.kind.0.start()).into(), (*key.kind.0.end()).into()))
    }

    fn large(&self, key: &Key<'_, Large>, found: u64) -> Checked {
        self.between(key.name, found, (*key.kind.0.start(), *key.kind.0.end()))
    }

    /// Held in ns, and a key in µs.
    fn micros(&self, key: &Key<'_, Number>, found_ns: u64) -> Checked {
        self.number(key, found_ns.div_ceil(1_000))
    }

    fn micros_large(&self, key: &Key<'_, Large>, found_ns: u64) -> Checked {
        self.large(key, found_ns.div_ceil(1_000))
    }

    fn between(&self, key: &'static str, found: u64, (min, max): (u64, u64)) -> Checked {
        if (min..=max).contains(&found) {
            return Ok(());
        }
        let (of, found) = (self.0.clone(), found.into());
        Err(Box::new(Problem::OutOfRange { key, of, found, min, max }))
    }

    fn decimal(&self, key: &Key<'_, Decimal>, found: f64) -> Checked {
        self.real(key.name, found, (key.kind.0, key.kind.1))
    }

    fn decimals(&self, key: &Key<'_, Decimals>, found: &[f64]) -> Checked {
        self.count(&key.kind.0, key.name, found.len())?;
        found.iter().try_for_each(|it| self.real(key.name, *it, (key.kind.1, key.kind.2)))
    }

    /// NaN is between no numbers.
    fn real(&self, key: &'static str, found: f64, (min, max): (f64, f64)) -> Checked {
        if (min..=max).contains(&found) {
            return Ok(());
        }
        let (of, key) = (self.0.clone(), key.to_owned());
        Err(Box::new(Problem::NumberOutOfRange { key, of, found, min, max }))
    }

    /// None of them is as good as no list.
    fn numbers(&self, key: &Key<'_, Numbers>, found: &[usize]) -> Checked {
        let Numbers(counts, range) = &key.kind;
        self.count(&(0..=*counts.end()), key.name, found.len())?;
        let range = ((*range.start()).into(), (*range.end()).into());
        found.iter().try_for_each(|it| self.between(key.name, *it as u64, range))
    }

    fn count(&self, counts: &RangeInclusive<usize>, key: &'static str, found: usize) -> Checked {
        count_within(key, &self.0, found, counts)
    }

    fn name(&self, key: &Key<'_, Name>, found: &str) -> Checked {
        let Some(expected) = name_expected(&key.kind, found) else { return Ok(()) };
        let (key, of, found) = (key.name, self.0.clone(), shown(found));
        Err(Box::new(Problem::BadText { key, of, found, expected }))
    }

    fn text(&self, key: &Key<'_, BoundedText>, found: &str) -> Checked {
        let (found, max) = (found.len(), key.kind.0);
        if found <= max {
            return Ok(());
        }
        Err(Box::new(Problem::TooLong { key: key.name, of: self.0.clone(), found, max }))
    }

    fn input(&self, input: &TensorSpec) -> Checked {
        let of = format!("the input of {}", self.0);
        let problem = match input.extent {
            Extent::Exact(_) if input.element == ElementType::String => {
                Problem::ShapeOfStrings { of }
            }
            Extent::Exact(shape) => {
                let Err(why) = input.check() else { return Ok(()) };
                Problem::InputTooLarge { of, shape: shape.dims().to_vec(), why }
            }
            Extent::AtMost { bytes: found } => {
                let keys = keys::Input::default();
                let (of, element) = (Self(of), input.element.bytes());
                of.number(&keys.max_bytes(), found.into())?;
                if (found as usize).is_multiple_of(element) {
                    return Ok(());
                }
                Problem::PartOfElement { of: of.0, found, element }
            }
        };
        Err(Box::new(problem))
    }
}
