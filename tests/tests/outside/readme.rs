//! `README.md`, followed by somebody who types what it says: the program in C is compiled against
//! an SDK that was installed as it says, served with its configuration, and asked what it asks.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use cutter_tests::binaries::workspace;
use cutter_tests::binary;
use cutter_tests::command::run;
use cutter_tests::documents::{Document, Exchange, Shell};
use cutter_tests::server::Plan;
use cutter_tests::tools::tool;

/// What is left out: it would build everything once more, for the release.
const NOT_TYPED: [&str; 1] = ["cargo build --release"];
const SERVE: &str = "target/release/cutter serve --config cutter.toml";
/// How soon an answer is to be there.
const SLO: &str = "slo_us = 20000";

/// The file that a block's first line names, as in `// sum.c: …` or `# cutter.toml`.
fn named(block: &str) -> &str {
    let line = block.lines().next().unwrap();
    line.split([' ', ':']).nth(1).unwrap()
}

/// The commands before and behind the one that serves.
fn around_serving(session: &[Exchange]) -> (&[Exchange], &[Exchange]) {
    let is_serve = |exchange: &Exchange| exchange.command == SERVE;
    let at = session.iter().position(is_serve).expect("the README serves");
    (&session[..at], &session[at + 1..])
}

#[test]
fn the_model_in_c_is_built_served_and_asked_as_it_is_written() {
    tool("pkg-config");
    let readme = Document::read("README.md");
    let (model, serving) = (readme.section("A model in C"), readme.section("A configuration"));
    let (source, config) = (model.block("c"), serving.block("toml"));
    assert_eq!((named(source), named(config)), ("sum.c", "cutter.toml"));
    let config = config.replace(":1337", ":0").replace(":1338", ":0");
    // The machine may be busy: what is told here is what is answered, not how soon.
    assert!(config.contains(SLO));
    let config = config.replace(SLO, "slo_us = 10000000");

    let plan = Plan::whole(&config);
    let folder = plan.folder().to_owned();
    fs::write(folder.join("sum.c"), source).unwrap();
    fs::write(folder.join("cutter.toml"), &config).unwrap();
    // The folder looks like a clone in which the release was built.
    symlink(workspace().join("container-sdk"), folder.join("container-sdk")).unwrap();
    fs::create_dir_all(folder.join("target/release")).unwrap();
    symlink(binary("cutter"), folder.join("target/release/cutter")).unwrap();

    let home = format!("{}/home/", folder.display());
    Shell::new(&folder).with("~/", &home).play(&model.session());
    let mut session = serving.session();
    session.retain(|exchange| !NOT_TYPED.contains(&exchange.command.as_str()));
    let (before, behind) = around_serving(&session);
    Shell::new(&folder).play(before);
    let server = plan.start_ready();
    let shell = Shell::new(&folder).with("127.0.0.1:1337", server.query);
    assert!(behind.len() >= 3, "the README asks for predictions");
    shell.with("127.0.0.1:1338", server.admin).play(behind);

    // Nobody is there to serve for: the program says so, and why.
    let alone = run(Command::new(folder.join("sum")).env_remove("CUTTER_SOCKET"));
    assert_eq!((alone.code(), alone.stdout.as_str()), (1, ""));
    assert!(alone.stderr.starts_with("sum: ") && alone.stderr.len() > 20, "{}", alone.stderr);
}
