//! `engine/API.md`, run: each section's examples against a server with the configuration that the
//! page begins with, and with what the section adds to it.

use std::os::unix::fs::symlink;

use cutter_tests::binary;
use cutter_tests::documents::{Document, Shell};
use cutter_tests::server::Plan;

const PATH: &str = "engine/API.md";
const QUERY: &str = "127.0.0.1:1337";
const ADMIN: &str = "127.0.0.1:1338";
const PROGRAMS: [&str; 4] = ["sum", "echo", "fragile", "slow"];

/// The sections that have examples, each run by the test of its name.
const PLAYED: [&str; 9] = [
    "A prediction",
    "Updates",
    "Inputs",
    "Outputs",
    "Strings",
    "Defaults",
    "Errors",
    "Connections",
    "The admin address",
];

/// Runs a section's examples on a server that nobody else asks anything.
#[track_caller]
fn play(heading: &str) {
    assert!(PLAYED.contains(&heading), "{heading} is not in the list");
    let document = Document::read(PATH);
    let section = document.section(heading);
    let config = [&document.blocks("toml")[..1], &section.blocks("toml")].concat().join("\n");
    let config = config.replace(QUERY, "127.0.0.1:0").replace(ADMIN, "127.0.0.1:0");
    // What is learned here is nobody's.
    let plan = Plan::whole(&config).with("state = \"none\"");
    for program in PROGRAMS {
        symlink(binary(program), plan.folder().join(program)).unwrap();
    }
    let server = plan.start_ready();
    let session = section.session();
    assert!(!session.is_empty(), "{heading} has no examples");
    let shell = Shell::new(server.folder());
    shell.with(QUERY, server.query).with(ADMIN, server.admin).play(&session);
}

#[test]
fn every_section_with_examples_is_played() {
    let document = Document::read(PATH);
    let mut headings = document.headings();
    headings.retain(|heading| !document.section(heading).session().is_empty());
    assert_eq!(headings, PLAYED);
    let sections = PLAYED.map(|heading| document.section(heading).session().len());
    assert_eq!(sections.iter().sum::<usize>(), document.session().len());
}

#[test]
fn predictions_are_asked_for_as_the_page_says() {
    play("A prediction");
}

#[test]
fn updates_are_told_as_the_page_says() {
    play("Updates");
}

#[test]
fn inputs_are_what_the_page_says() {
    play("Inputs");
}

#[test]
fn outputs_are_what_the_page_says() {
    play("Outputs");
}

#[test]
fn strings_are_what_the_page_says() {
    play("Strings");
}

#[test]
fn defaults_have_the_reasons_that_the_page_says() {
    play("Defaults");
}

#[test]
fn errors_are_what_the_page_says() {
    play("Errors");
}

#[test]
fn connections_are_used_as_the_page_says() {
    play("Connections");
}

#[test]
fn the_admin_address_answers_what_the_page_says() {
    play("The admin address");
}
