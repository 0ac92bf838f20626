//! What the demo serves: its configuration.
//!
//! ```text
//!  digits ──────────────────────────▶ softmax            the first act
//!  exp3, exp4, thompson, stragglers ─▶ linear, mlp-small, neighbours, forest, mlp-large
//! ```

use std::fmt::Write;
use std::io;
use std::path::Path;

use cutter_server::config::Config;

use super::DemoError;
use super::container::Programs;
use super::cores::Cores;
use super::limits::{LEARNING_ROWS, LEARNING_SLO_US, SLO_US, UNSURE_BELOW};
use super::models::{ARMS, Handed, Model, SOFTMAX};

/// The application of the first act.
pub const APPLICATION: &str = "digits";

/// That of the stragglers' act: as sure as `exp4`, or it says so.
pub const STRAGGLERS: &str = "stragglers";

/// Applications that are named after their policy, and its parameters.
///
/// The defaults of `exp3` and `thompson` are for changes every few thousand queries; here there is
/// one every thousand, and so what is old has to fade sooner. `exp4` hears of all models each time,
/// and is soon enough as it is.
pub const POLICIES: [(&str, &str); 3] = [
    ("exp3", "eta = 0.2\nshare = 0.001\n"),
    ("exp4", ""),
    ("thompson", "discount = 0.995\nfloor = 0.02\n"),
];

/// A model with its file, for as long as the server may start it.
#[derive(Debug)]
pub struct Loaded {
    model: Model,
    file: Handed,
}

/// All models of the demo.
pub fn load() -> io::Result<Vec<Loaded>> {
    let models = [SOFTMAX].into_iter().chain(ARMS);
    models.map(|model| Ok(Loaded { model, file: Handed::new(model.file)? })).collect()
}

/// What is served.
pub fn configure(
    programs: &Programs,
    models: &[Loaded],
    cores: &Cores,
) -> Result<Config, DemoError> {
    let text = text(programs, models, cores)?;
    let (config, _warnings) = Config::from_toml(&text, Path::new("/"), "the demo's configuration")?;
    Ok(config)
}

fn text(programs: &Programs, models: &[Loaded], cores: &Cores) -> Result<String, DemoError> {
    let cpu = cores.engine.map(|core| format!("cpu = {core}\n")).unwrap_or_default();
    let cpus = cores.model.map(|core| format!("cpus = [{core}]\n")).unwrap_or_default();
    let softmax = quoted(SOFTMAX.name);
    let mut text = format!(
        "[server]\nquery = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"\nstate = \"none\"\n{cpu}"
    );
    text += &application(APPLICATION, SLO_US, &format!("models = [{softmax}]\n"));
    let arms = ARMS.map(|model| quoted(model.name)).join(", ");
    let several = |policy: &str, parameters: &str| {
        let policy = quoted(policy);
        format!(
            "rows = {LEARNING_ROWS}\nmodels = [{arms}]\n\
             [application.policy]\nname = {policy}\n{parameters}"
        )
    };
    for (policy, parameters) in POLICIES {
        text += &application(policy, LEARNING_SLO_US, &several(policy, parameters));
    }
    let unsure = format!("unsure_below = {UNSURE_BELOW:?}\n");
    text += &application(STRAGGLERS, SLO_US, &several("exp4", &unsure));
    for Loaded { model, file } in models {
        let program = &programs[model.program];
        let program = program.to_str().ok_or_else(|| DemoError::Path(program.clone()))?;
        let [name, program, file] = [model.name, program, &file.path()].map(quoted);
        let written = write!(text, "[[model]]\nname = {name}\ncommand = [{program}, {file}]\n");
        written.expect("a String takes what is written");
        // Several on few cores would keep each other waiting if they spun.
        text += if model.name == SOFTMAX.name { &cpus } else { "wait = \"block\"\n" };
    }
    Ok(text)
}

fn application(name: &str, slo_us: u64, rest: &str) -> String {
    let name = quoted(name);
    format!(
        "[[application]]\nname = {name}\ninput = {{ type = \"floats\", shape = [784] }}\n\
         slo_us = {slo_us}\ndefault_output = \"-1\"\n{rest}"
    )
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::models::PROGRAMS;
    use super::*;

    const CORES: Cores = Cores { engine: Some(3), model: Some(5), client: Some(5) };

    fn programs(folder: &str) -> Programs {
        PROGRAMS.map(|name| (name, Path::new(folder).join(name))).into()
    }

    #[test]
    fn the_configuration_is_sound_whatever_the_paths_are() {
        let programs = programs("/a \"b\"\\/so\nft");
        let models = load().unwrap();
        let config = configure(&programs, &models, &CORES).unwrap();
        let model = &config.models[0];
        let command = model.command.as_ref().unwrap();
        let file = models[0].file.path();
        assert_eq!((&command.program, &*command.args), (&programs["softmax"], &[file][..]));
        assert_eq!((config.server.cpu, &*model.cpus), (Some(3), &[5][..]));
        assert_eq!(config.applications[0].slo_ns, 20_000_000);
        assert_eq!((config.models.len(), config.applications.len()), (6, 5));
    }

    #[test]
    fn where_there_is_one_core_nothing_is_pinned() {
        let cores = Cores { engine: None, model: None, client: None };
        let config = configure(&programs("/"), &load().unwrap(), &cores).unwrap();
        assert_eq!((config.server.cpu, config.models[0].cpus.len()), (None, 0));
    }
}
