//! `[[model]]`: names, commands, replicas, cores, batches, and what the linked applications ask.

use std::path::{Path, PathBuf};

use cutter_protocol::limits::POOLS_MAX;
use toml::Spanned;

use super::check;
use super::links::Known;
use crate::config::error::{Notice, Problem};
use crate::config::keys::{self, REPLICAS_DEFAULT};
use crate::config::kinds::{Form, Key};
use crate::config::report::{Report, shown};
use crate::config::settings::{Application, Batch, BatchCost, Cache, Command, Model};
use crate::config::value::Table;
use crate::limits::{
    BATCH_MAX_DEFAULT, BATCH_TIMEOUT_DEFAULT_SLOS, BATCH_TIMEOUT_DEFAULT_US_MIN,
    CACHE_BYTES_DEFAULT, REPLICAS_TOTAL_MAX,
};

/// What a model is resolved against.
pub(super) struct Surroundings<'a> {
    pub base: &'a Path,
    pub engine_cpu: Option<usize>,
    /// Whether containers that are started by hand can connect.
    pub has_socket: bool,
    pub applications: &'a [Application],
    pub known: &'a Known<'a>,
}

pub(super) fn resolve_all(
    tables: &[Spanned<Table<keys::Model>>],
    surroundings: &Surroundings<'_>,
    is_runnable: &dyn Fn(&Command) -> bool,
    report: &mut Report<'_>,
) -> Vec<Model> {
    let mut models: Vec<Model> = Vec::new();
    let mut replicas_total = 0;
    for (index, table) in tables.iter().enumerate() {
        let (at, file) = (table.span().start, &table.get_ref().0);
        let entry = Entry {
            file,
            of: check::owner("model", surroundings.known.label(index).as_deref(), index),
            at,
            index,
            surroundings,
        };
        let name = entry.name(tables, report);
        let model = entry.resolve(name, is_runnable, report);
        let fitted_before = replicas_total <= REPLICAS_TOTAL_MAX;
        replicas_total += model.replicas;
        if fitted_before && replicas_total > REPLICAS_TOTAL_MAX {
            let (what, max) = ("replicas of all models so far", REPLICAS_TOTAL_MAX as usize);
            let found = replicas_total as usize;
            report.problem(at, Problem::TooMany { what, found, max });
        }
        let linked = model.applications.len();
        if linked > POOLS_MAX {
            let (what, max) = ("applications that name one model", POOLS_MAX);
            report.problem(at, Problem::TooMany { what, found: linked, max });
        }
        models.push(model);
    }
    models
}

/// One table on its way to a [`Model`].
struct Entry<'a> {
    file: &'a keys::Model,
    of: String,
    at: usize,
    index: usize,
    surroundings: &'a Surroundings<'a>,
}

impl Entry<'_> {
    fn resolve(
        &self,
        name: String,
        is_runnable: &dyn Fn(&Command) -> bool,
        report: &mut Report<'_>,
    ) -> Model {
        let (file, of) = (self.file, &self.of);
        let applications = self.linked_applications();
        if applications.is_empty() {
            report.notice(self.at, Notice::NotLinked { of: of.clone() });
        }
        let linked = || applications.iter().map(|index| &self.surroundings.applications[*index]);
        let (input, slo_ns) = (
            linked().map(|application| application.input).next(),
            linked().map(|application| application.slo_ns).min(),
        );
        let slo_ns_loosest = linked().map(|application| application.slo_ns).max();
        let directory = self.directory(report);
        let replicas = check::number(&file.replicas(), of, report);
        Model {
            name,
            version: self.version(report),
            command: self.command(&directory, is_runnable, report),
            directory,
            replicas: replicas.unwrap_or(REPLICAS_DEFAULT),
            cpus: self.cpus(report),
            batch: self.batch(&applications, report),
            wait: check::word(&file.wait(), of, report).unwrap_or_default(),
            batch_timeout_ns: self.batch_timeout_ns(slo_ns_loosest, report),
            load_timeout_us: self.load_timeout_us(report),
            deterministic: self.is_deterministic(),
            cache: self.cache(report),
            hedge_share: linked()
                .filter_map(|application| application.policy.as_ref()?.hedge_share)
                .reduce(f64::max),
            input,
            slo_ns,
            applications,
        }
    }

    fn linked_applications(&self) -> Vec<usize> {
        let applications = self.surroundings.applications.iter().enumerate();
        let linked = applications.filter(|(_, other)| other.models.contains(&self.index));
        linked.map(|(index, _)| index).collect()
    }

    fn name(&self, tables: &[Spanned<Table<keys::Model>>], report: &mut Report<'_>) -> String {
        let key = self.file.name();
        let expected = "a name, as in `name = \"softmax\"`";
        let Some(name) = check::required(&key, &self.of, self.at, expected, report) else {
            return String::new();
        };
        check::name(&key, &self.of, report);
        let known = self.surroundings.known;
        let first = known.first_of_same(self.index);
        if let Some(first) = first.and_then(|first| tables[first].get_ref().0.name().value) {
            let first_line = report.line(first.span().start);
            let (model, version) = (shown(name.get_ref()), shown(known.version(self.index)));
            let problem = Problem::DuplicateVersion { model, version, first_line };
            report.problem(name.span().start, problem);
        }
        name.get_ref().clone()
    }

    fn version(&self, report: &mut Report<'_>) -> String {
        check::name(&self.file.version(), &self.of, report);
        self.surroundings.known.version(self.index).to_owned()
    }

    fn directory(&self, report: &mut Report<'_>) -> PathBuf {
        let base = self.surroundings.base;
        let Key { name, kind: Form(form), value } = self.file.directory();
        let Some(directory) = value else { return base.to_owned() };
        self.warn_of_no_effect(name, directory.span().start, report);
        check::path(name, form, &self.of, directory, base, report)
    }

    fn command(
        &self,
        directory: &Path,
        is_runnable: &dyn Fn(&Command) -> bool,
        report: &mut Report<'_>,
    ) -> Option<Command> {
        let key = self.file.command();
        let Some(list) = key.value else {
            if !self.surroundings.has_socket {
                report.problem(self.at, Problem::NoWayIn { of: self.of.clone() });
            }
            return None;
        };
        let words = check::texts(&key, &self.of, report)?;
        let (program, args) = words.split_first()?;
        for word in words {
            check::has_no_zero_byte(key.name, &self.of, word, report);
        }
        if program.get_ref().is_empty() {
            let expected = "a program before its arguments";
            check::bad_text(key.name, &self.of, program, expected, report);
            return None;
        }
        let args = args.iter().map(|arg| arg.get_ref().clone()).collect();
        let command = if program.get_ref().contains('/') {
            Command { program: check::joined(directory, program.get_ref()), args }
        } else {
            Command { program: PathBuf::from(program.get_ref()), args }
        };
        if !is_runnable(&command) {
            let (of, program) = (self.of.clone(), shown(&command.program.to_string_lossy()));
            report.notice(list.span().start, Notice::CommandNotFound { of, program });
        }
        Some(command)
    }

    fn cpus(&self, report: &mut Report<'_>) -> Vec<usize> {
        let key = self.file.cpus();
        let Some(list) = key.value else { return Vec::new() };
        self.warn_of_no_effect(key.name, list.span().start, report);
        let cpus = check::numbers(&key, &self.of, report);
        let cpus: Vec<usize> = cpus.into_iter().flatten().map(|cpu| cpu as usize).collect();
        let engine = self.surroundings.engine_cpu.filter(|engine| cpus.contains(engine));
        if let Some(cpu) = engine {
            let of = self.of.clone();
            report.notice(list.span().start, Notice::EngineCore { of, cpu });
        }
        cpus
    }

    fn batch(&self, applications: &[usize], report: &mut Report<'_>) -> Batch {
        let Some(batch) = self.file.batch().value else { return Batch::default() };
        let Table(batch) = batch.get_ref();
        let of = format!("the batches of {}", self.of);
        let key = batch.max();
        let max = check::number(&key, &of, report);
        if let (Some(max), Some(value)) = (max, key.value) {
            self.warn_of_few_rows(max, value.span().start, applications, report);
        }
        let wait_us = check::number(&batch.wait_us(), &of, report);
        Batch {
            policy: check::word(&batch.policy(), &of, report).unwrap_or_default(),
            max: max.unwrap_or(BATCH_MAX_DEFAULT),
            wait_ns: u64::from(wait_us.unwrap_or(0)) * 1_000,
            defer: batch.defer().value.copied().unwrap_or_default(),
            exclusive: self.is_exclusive(batch, report),
            cost: batch_cost(batch, of, report),
        }
    }

    fn is_exclusive(&self, batch: &keys::Batch, report: &mut Report<'_>) -> bool {
        let key = batch.exclusive();
        let Some(is_exclusive) = key.value.copied() else { return false };
        if is_exclusive && self.file.cpus().value.is_none() {
            let (key, of) = (key.name, format!("the batches of {}", self.of));
            report.notice(self.at, Notice::NoCpus { key, of });
        }
        is_exclusive
    }

    /// Says once that a configured batch can never be filled from any of the linked applications.
    fn warn_of_few_rows(
        &self,
        max: u32,
        at: usize,
        applications: &[usize],
        report: &mut Report<'_>,
    ) {
        let linked = applications.iter().map(|index| &self.surroundings.applications[*index]);
        let Some(most) = linked.max_by_key(|application| application.rows) else { return };
        if max > most.rows {
            let (of, rows) = (self.of.clone(), most.rows);
            let application = format!("application {:?}", shown(&most.name));
            report.notice(at, Notice::BatchLargerThanPool { of, max, application, rows });
        }
    }

    /// The loosest objective counts: no replica is killed while somebody may want its work.
    fn batch_timeout_ns(&self, slo_ns_loosest: Option<u64>, report: &mut Report<'_>) -> u64 {
        match check::number(&self.file.batch_timeout_us(), &self.of, report) {
            Some(us) => u64::from(us) * 1_000,
            None => {
                let slos = slo_ns_loosest.unwrap_or(0) * u64::from(BATCH_TIMEOUT_DEFAULT_SLOS);
                slos.max(u64::from(BATCH_TIMEOUT_DEFAULT_US_MIN) * 1_000)
            }
        }
    }

    /// 0 is no limit, and so is none.
    fn load_timeout_us(&self, report: &mut Report<'_>) -> Option<u64> {
        let us = check::number(&self.file.load_timeout_us(), &self.of, report);
        us.filter(|us| *us > 0).map(u64::from)
    }

    fn is_deterministic(&self) -> bool {
        self.file.deterministic().value.copied().unwrap_or(true)
    }

    fn cache(&self, report: &mut Report<'_>) -> Option<Cache> {
        let cache = self.file.cache().value?;
        if !self.is_deterministic() {
            let problem = Problem::CacheOfRandom { of: self.of.clone() };
            report.problem(cache.span().start, problem);
        }
        let Table(cache) = cache.get_ref();
        let of = format!("the cache of {}", self.of);
        let bytes = check::large(&cache.bytes(), &of, report).unwrap_or(CACHE_BYTES_DEFAULT);
        let ttl_us = check::large(&cache.ttl_us(), &of, report);
        Some(Cache { bytes, ttl_ns: ttl_us.map(|us| us * 1_000) })
    }

    /// Says that a key is of use to who starts the containers, if nobody does.
    fn warn_of_no_effect(&self, key: &'static str, at: usize, report: &mut Report<'_>) {
        if self.file.command().value.is_none() {
            report.notice(at, Notice::NoEffect { key, of: self.of.clone() });
        }
    }
}

fn batch_cost(batch: &keys::Batch, of: String, report: &mut Report<'_>) -> BatchCost {
    let cost = check::word(&batch.cost(), &of, report).unwrap_or_default();
    let key = batch.max_cost_bytes();
    let max = check::number(&key, &of, report);
    match (cost, key.value) {
        (BatchCost::Bytes { max: most }, _) => BatchCost::Bytes { max: max.unwrap_or(most) },
        (BatchCost::Rows, None) => BatchCost::Rows,
        (BatchCost::Rows, Some(value)) => {
            let only_for = "`cost = \"bytes\"`";
            let problem = Problem::Misplaced { key: key.name, of, only_for };
            report.problem(value.span().start, problem);
            BatchCost::Rows
        }
    }
}
