//! `[[model]]`: names, commands, replicas, cores, batches, and what the linked applications ask.

use std::path::{Path, PathBuf};

use cutter_core::limits::BATCH_MAX;
use cutter_protocol::limits::POOLS_MAX;
use toml::Spanned;

use super::check;
use super::links::Known;
use crate::config::error::{Notice, Problem};
use crate::config::file::{self, Table, Text};
use crate::config::report::{Report, shown};
use crate::config::settings::{Application, BatchPolicy, Command, Model};
use crate::limits::{
    BATCH_MAX_DEFAULT, BATCH_TIMEOUT_DEFAULT_SLOS, BATCH_TIMEOUT_DEFAULT_US_MIN,
    BATCH_TIMEOUT_US_MAX, BATCH_TIMEOUT_US_MIN, COMMAND_WORDS_MAX, CPU_MAX, CPUS_MAX,
    LOAD_TIMEOUT_US_MAX, REPLICAS_MAX, REPLICAS_TOTAL_MAX,
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
    tables: &[Spanned<Table<file::Model>>],
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
    file: &'a file::Model,
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
        let replicas = file.replicas.as_ref();
        let replicas = check::integer("replicas", of, replicas, 1..=REPLICAS_MAX, report);
        Model {
            name,
            version: self.version(report),
            command: self.command(&directory, is_runnable, report),
            directory,
            replicas: replicas.unwrap_or(1),
            cpus: self.cpus(report),
            batch: self.batch(&applications, report),
            wait: check::wait(of, file.wait.as_ref(), report),
            batch_timeout_ns: self.batch_timeout_ns(slo_ns_loosest, report),
            load_timeout_us: self.load_timeout_us(report),
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

    fn name(&self, tables: &[Spanned<Table<file::Model>>], report: &mut Report<'_>) -> String {
        let Some(name) = &self.file.name else {
            let (of, expected) = (self.of.clone(), "a name, as in `name = \"softmax\"`");
            report.problem(self.at, Problem::Missing { key: "name", of, expected });
            return String::new();
        };
        check::label("name", &self.of, name, false, report);
        let known = self.surroundings.known;
        let first = known.first_of_same(self.index);
        if let Some(first) = first.and_then(|first| tables[first].get_ref().0.name.as_ref()) {
            let first_line = report.line(first.span().start);
            let (model, version) = (shown(name.get_ref()), shown(known.version(self.index)));
            let problem = Problem::DuplicateVersion { model, version, first_line };
            report.problem(name.span().start, problem);
        }
        name.get_ref().clone()
    }

    fn version(&self, report: &mut Report<'_>) -> String {
        if let Some(version) = &self.file.version {
            check::label("version", &self.of, version, true, report);
        }
        self.surroundings.known.version(self.index).to_owned()
    }

    fn directory(&self, report: &mut Report<'_>) -> PathBuf {
        let base = self.surroundings.base;
        let Some(directory) = &self.file.directory else { return base.to_owned() };
        if self.file.command.is_none() {
            self.no_effect("directory", directory.span().start, report);
        }
        if directory.get_ref().is_empty() {
            self.bad_text("directory", directory, "the path of a folder", report);
        }
        check::has_no_zero_byte("directory", &self.of, directory, report);
        joined(base, directory.get_ref())
    }

    fn command(
        &self,
        directory: &Path,
        is_runnable: &dyn Fn(&Command) -> bool,
        report: &mut Report<'_>,
    ) -> Option<Command> {
        let Some(list) = &self.file.command else {
            if !self.surroundings.has_socket {
                report.problem(self.at, Problem::NoWayIn { of: self.of.clone() });
            }
            return None;
        };
        check::count("command", &self.of, list, 1..=COMMAND_WORDS_MAX, report)?;
        let words = &list.get_ref().0;
        let (program, args) = words.split_first()?;
        for word in words {
            check::has_no_zero_byte("command", &self.of, word, report);
        }
        if program.get_ref().is_empty() {
            self.bad_text("command", program, "a program before its arguments", report);
            return None;
        }
        let args = args.iter().map(|arg| arg.get_ref().clone()).collect();
        let command = if program.get_ref().contains('/') {
            Command { program: joined(directory, program.get_ref()), args }
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
        let Some(list) = &self.file.cpus else { return Vec::new() };
        if self.file.command.is_none() {
            self.no_effect("cpus", list.span().start, report);
        }
        let cpus = check::integers("cpus", &self.of, list, 1..=CPUS_MAX, 0..=CPU_MAX, report);
        let cpus: Vec<usize> = cpus.into_iter().flatten().map(|cpu| cpu as usize).collect();
        let engine = self.surroundings.engine_cpu.filter(|engine| cpus.contains(engine));
        if let Some(cpu) = engine {
            let of = self.of.clone();
            report.notice(list.span().start, Notice::EngineCore { of, cpu });
        }
        cpus
    }

    fn batch(&self, applications: &[usize], report: &mut Report<'_>) -> BatchPolicy {
        let Some(Table(batch)) = &self.file.batch else {
            return BatchPolicy::Aimd { max: BATCH_MAX_DEFAULT };
        };
        let of = format!("the batches of {}", self.of);
        let configured = check::integer("max", &of, batch.max.as_ref(), 1..=BATCH_MAX, report);
        let max = configured.unwrap_or(BATCH_MAX_DEFAULT);
        let policies = [BatchPolicy::Aimd { max }, BatchPolicy::Fixed { max }];
        let words = policies.map(|policy| (policy.name(), policy));
        if let (Some(max), Some(value)) = (configured, &batch.max) {
            self.warn_of_few_rows(max, value.span().start, applications, report);
        }
        check::word("policy", &of, batch.policy.as_ref(), &words, report).unwrap_or(policies[0])
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
        let configured = self.file.batch_timeout_us.as_ref();
        let range = BATCH_TIMEOUT_US_MIN..=BATCH_TIMEOUT_US_MAX;
        let configured = check::integer("batch_timeout_us", &self.of, configured, range, report);
        match configured {
            Some(us) => u64::from(us) * 1_000,
            None => {
                let slos = slo_ns_loosest.unwrap_or(0) * u64::from(BATCH_TIMEOUT_DEFAULT_SLOS);
                slos.max(u64::from(BATCH_TIMEOUT_DEFAULT_US_MIN) * 1_000)
            }
        }
    }

    /// 0 is no limit, and so is none.
    fn load_timeout_us(&self, report: &mut Report<'_>) -> Option<u64> {
        let configured = self.file.load_timeout_us.as_ref();
        let range = 0..=LOAD_TIMEOUT_US_MAX;
        let us = check::integer("load_timeout_us", &self.of, configured, range, report);
        us.filter(|us| *us > 0).map(u64::from)
    }

    fn no_effect(&self, key: &'static str, at: usize, report: &mut Report<'_>) {
        report.notice(at, Notice::NoEffect { key, of: self.of.clone() });
    }

    fn bad_text(
        &self,
        key: &'static str,
        text: &Text,
        expected: &'static str,
        report: &mut Report<'_>,
    ) {
        let (of, found) = (self.of.clone(), shown(text.get_ref()));
        let problem = Problem::BadText { key, of, found, expected: expected.to_owned() };
        report.problem(text.span().start, problem);
    }
}

/// Joined without the `.` that people write in front.
fn joined(base: &Path, path: &str) -> PathBuf {
    base.join(path).components().collect()
}
