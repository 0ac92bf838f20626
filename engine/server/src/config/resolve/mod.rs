//! From the file as it was written to a [`Config`] in which every limit holds.
//!
//! All findings go to the report; a value that is wrong is replaced by its default, so that one
//! mistake neither hides the next nor causes it. The caller throws the result away if there is any
//! problem.

mod application;
pub(super) mod check;
mod links;
mod model;
pub(super) mod policy;
mod server;

use std::path::Path;

use super::error::{Notice, Problem};
use super::keys::File;
use super::report::Report;
use super::settings::{Command, Config};
use crate::config::policies::Policies;
use crate::limits::{APPLICATIONS_MAX, MODELS_MAX};
use links::Known;

/// What is not in the text.
pub(super) struct Given<'a> {
    /// Where relative paths begin.
    pub base: &'a Path,
    pub is_runnable: &'a dyn Fn(&Command) -> bool,
    /// Policies that the program has brought along.
    pub policies: &'a Policies,
}

pub(super) fn resolve(file: &File, given: &Given<'_>, report: &mut Report<'_>) -> Config {
    let &Given { base, is_runnable, policies } = given;
    // Too many of a kind are not looked at one by one: the number of findings stays bounded.
    let applications = &file.application.0[..file.application.0.len().min(APPLICATIONS_MAX)];
    let models = &file.model.0[..file.model.0.len().min(MODELS_MAX)];
    if let Some(first_beyond) = file.application.0.get(APPLICATIONS_MAX) {
        let found = file.application.0.len();
        let problem = Problem::TooMany { what: "applications", found, max: APPLICATIONS_MAX };
        report.problem(first_beyond.span().start, problem);
    }
    if let Some(first_beyond) = file.model.0.get(MODELS_MAX) {
        let found = file.model.0.len();
        let problem = Problem::TooMany { what: "models", found, max: MODELS_MAX };
        report.problem(first_beyond.span().start, problem);
    }
    if applications.is_empty() {
        report.notice(0, Notice::NoApplication);
    }
    let no_server_table = Default::default();
    let server_file = file.server.as_ref().map_or(&no_server_table, |table| &table.0);
    let server = server::resolve(server_file, base, report);
    let known = Known::new(models);
    let applications = application::resolve_all(applications, &known, policies, report);
    let surroundings = model::Surroundings {
        base,
        engine_cpu: server.cpu,
        has_socket: server_file.socket().value.is_some(),
        applications: &applications,
        known: &known,
    };
    let models = model::resolve_all(models, &surroundings, is_runnable, report);
    Config { server, applications, models }
}
