//! From the entries of `models` of an `[[application]]` to models.
//!
//! An entry is `name` or `name:version`; neither part may hold a colon. A name alone is enough
//! where it has one version. The order of the list is kept: the first is the one that is asked.

use cutter_tensor::TensorSpec;
use toml::Spanned;

use super::check;
use crate::config::error::{Notice, OneOf, Problem};
use crate::config::keys::{self, VERSION_DEFAULT};
use crate::config::kinds::{Key, Texts};
use crate::config::report::{Report, shown};
use crate::config::settings;
use crate::config::value::{Table, Text};

/// The models as they are written, right or wrong, for links to be found.
#[derive(Debug)]
pub(super) struct Known<'a> {
    /// In the order of the file; `None` where there is no name.
    models: Vec<Option<Written<'a>>>,
}

/// A version of a model. Two that are equal are a mistake, which is told at the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Written<'a> {
    name: &'a str,
    version: &'a str,
}

impl<'a> Known<'a> {
    pub fn new(tables: &'a [Spanned<Table<keys::Model>>]) -> Self {
        let written = |table: &'a Spanned<Table<keys::Model>>| {
            let table = &table.get_ref().0;
            let version = table.version().value;
            let version = version.map_or(VERSION_DEFAULT, |version| version.get_ref());
            table.name().value.map(|name| Written { name: name.get_ref(), version })
        };
        Self { models: tables.iter().map(written).collect() }
    }

    /// An earlier model of the same name and version.
    pub fn first_of_same(&self, index: usize) -> Option<usize> {
        let this = self.models[index].as_ref()?;
        self.models[..index].iter().position(|other| other.as_ref() == Some(this))
    }

    pub fn version(&self, index: usize) -> &'a str {
        self.models[index].map_or(VERSION_DEFAULT, |model| model.version)
    }

    /// How messages call a model: with its version where its name has several.
    pub fn label(&self, index: usize) -> Option<String> {
        let Written { name, version } = self.models[index]?;
        let names_several = self.versions(name).len() > 1;
        Some(if names_several { settings::label(name, version) } else { name.to_owned() })
    }

    /// Whether an entry of `models` that is right names this one so.
    pub fn is_called(&self, index: usize, text: &str) -> bool {
        let label = self.label(index);
        let written = self.models[index].map(|model| settings::label(model.name, model.version));
        [label, written].iter().flatten().any(|name| name == text)
    }

    /// The index of what an entry of `models` names; `None` when that is not one version.
    fn find(&self, entry: &Text, of: &str, report: &mut Report<'_>) -> Option<usize> {
        let text = entry.get_ref().as_str();
        // A name that holds a colon is told where it stands.
        let (name, asked) = match text.split_once(':') {
            Some((name, version)) if self.versions(text).is_empty() => (name, Some(version)),
            _ => (text, None),
        };
        let (of, model, versions) = (of.to_owned(), shown(name), self.versions(name));
        let problem = match (versions.as_slice(), asked) {
            ([], _) => {
                let expected = OneOf::new(name, &self.names());
                Problem::UnknownModel { found: model, of, expected }
            }
            ([(only, _)], None) => return Some(*only),
            (several, None) => {
                let labels = several.iter().map(|(_, version)| settings::label(name, version));
                let expected = OneOf { names: labels.collect(), near: None };
                Problem::SeveralVersions { model, of, expected }
            }
            (versions, Some(asked)) => {
                if let Some((index, _)) = versions.iter().find(|(_, version)| *version == asked) {
                    return Some(*index);
                }
                let texts: Vec<&str> = versions.iter().map(|(_, version)| *version).collect();
                let expected = OneOf::new(asked, &texts);
                Problem::UnknownVersion { model, of, found: shown(asked), expected }
            }
        };
        report.problem(entry.span().start, problem);
        None
    }

    /// Each version of a name once, with its index.
    fn versions(&self, name: &str) -> Vec<(usize, &'a str)> {
        let models = self.models.iter().enumerate();
        let of_name = models
            .filter_map(|(index, model)| model.map(|model| (index, model)))
            .filter(|(index, model)| model.name == name && self.first_of_same(*index).is_none());
        of_name.map(|(index, model)| (index, model.version)).collect()
    }

    /// Each name once.
    fn names(&self) -> Vec<&'a str> {
        let mut names: Vec<&str> = Vec::new();
        for model in self.models.iter().flatten() {
            if !names.contains(&model.name) {
                names.push(model.name);
            }
        }
        names
    }
}

/// The models of an application.
#[derive(Debug)]
pub(super) struct Linked {
    /// In the order of its list.
    pub models: Vec<usize>,
    /// Whether every entry of the list is right.
    pub is_whole: bool,
}

/// What the applications seen so far link to.
#[derive(Debug)]
pub(super) struct Links<'a> {
    known: &'a Known<'a>,
    /// Per model, the first input that it is linked with.
    inputs: Vec<Option<FirstInput>>,
}

#[derive(Clone, Debug)]
struct FirstInput {
    input: TensorSpec,
    application: String,
    at: usize,
}

/// The application whose links are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Linking<'a> {
    pub of: &'a str,
    pub name: &'a str,
    /// `None` when it is missing or wrong.
    pub input: Option<TensorSpec>,
    /// Where its table begins.
    pub at: usize,
}

impl<'a> Links<'a> {
    pub fn new(known: &'a Known<'a>) -> Self {
        Self { known, inputs: vec![None; known.models.len()] }
    }

    /// The models of an application.
    pub fn resolve(
        &mut self,
        key: &Key<'_, Texts>,
        linking: &Linking<'_>,
        report: &mut Report<'_>,
    ) -> Linked {
        let of = linking.of;
        if key.value.is_none_or(|list| list.get_ref().0.is_empty()) {
            report.notice(linking.at, Notice::NoModel { of: of.to_owned() });
        }
        let mut models = Vec::new();
        let written = key.value.map_or(0, |list| list.get_ref().0.len());
        for entry in check::texts(key, of, report).unwrap_or_default() {
            let Some(model) = self.known.find(entry, of, report) else { continue };
            let at = entry.span().start;
            if models.contains(&model) {
                let found = shown(&self.known.label(model).unwrap_or_default());
                report.problem(at, Problem::DuplicateLink { found, of: of.to_owned() });
            } else {
                self.compare_inputs(model, linking, at, report);
                models.push(model);
            }
        }
        Linked { is_whole: models.len() == written, models }
    }

    fn compare_inputs(
        &mut self,
        model: usize,
        linking: &Linking<'_>,
        at: usize,
        report: &mut Report<'_>,
    ) {
        let Some(input) = linking.input else { return };
        match &self.inputs[model] {
            None => {
                let application = linking.name.to_owned();
                self.inputs[model] = Some(FirstInput { input, application, at });
            }
            Some(first) if first.input == input => {}
            Some(first) => report.problem(
                at,
                Problem::InputsDiffer {
                    model: shown(&self.known.label(model).unwrap_or_default()),
                    of: linking.of.to_owned(),
                    second: input,
                    first: first.input,
                    first_application: shown(&first.application),
                    first_line: report.line(first.at),
                },
            ),
        }
    }
}
