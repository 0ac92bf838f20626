//! Which room may name which: the house as it is meant, held against the manifests and the code.

use std::collections::BTreeSet;

use crate::crates::{Crate, crates, is_within, read};
use crate::sources::Source;
use crate::words::worded;

/// Where nothing is held against: what attacks, measures or tests the others.
const ANYTHING: &[&str] = &["*"];

/// A crate, the tests of a crate (`cutter_c::tests`), or a folder of one.
struct Room {
    name: &'static str,
    /// Crates, for a crate and its tests; for a folder, what else of its own crate.
    may_name: &'static [&'static str],
    because: &'static str,
}

const fn room(
    name: &'static str,
    may_name: &'static [&'static str],
    because: &'static str,
) -> Room {
    Room { name, may_name, because }
}

/// Every arrow that there may be. What is not here is not meant: an arrow against the table is
/// turned round, or the thing that both ends want is moved to below them.
const ROOMS: &[Room] = &[
    room("cutter_limits", &[], "it is below everything"),
    room("cutter_tensor", &["cutter_limits"], "tensors are what all sides agree on"),
    room(
        "cutter_protocol",
        &["cutter_limits", "cutter_tensor"],
        "shared memory carries tensors, and knows neither engine nor SDK",
    ),
    room(
        "cutter_container",
        &["cutter_protocol", "cutter_tensor"],
        "a model is built without a line of the engine",
    ),
    room("cutter_c", &["cutter_container"], "the SDK for C is the one for Rust, in C's words"),
    room(
        "cutter_c::tests",
        &["cutter_protocol", "cutter_tensor"],
        "they play the engine at the other end",
    ),
    room("cutter_examples", &["cutter_c"], "examples use what users use"),
    room(
        "cutter_examples::tests",
        &["cutter_protocol", "cutter_tensor"],
        "they play the engine at the other end",
    ),
    room("cutter_machine", &["cutter_limits"], "the machine is below engine and tools"),
    room(
        "cutter_core",
        &["cutter_limits", "cutter_lines", "cutter_tensor"],
        "the life of a query is pure: no ring, no bytes of a protocol, no clock",
    ),
    room(
        "cutter_wire",
        &["cutter_limits", "cutter_tensor"],
        "bytes are read and written without knowing who asks, and what comes of it",
    ),
    room("cutter_lines", &[], "memory as it is written, whoever keeps what in it"),
    room("cutter_admin_api", &[], "who reads the admin port needs nothing of the engine"),
    room(
        "cutter_server",
        &[
            "cutter_admin_api",
            "cutter_core",
            "cutter_limits",
            "cutter_machine",
            "cutter_protocol",
            "cutter_tensor",
            "cutter_wire",
        ],
        "it is where the pure rooms meet the machine, and below commands and tools",
    ),
    room(
        "cutter_tools",
        &["cutter_admin_api", "cutter_machine"],
        "a server is measured from outside, by what its ports say",
    ),
    room(
        "cutter_command",
        &[
            "cutter_core",
            "cutter_limits",
            "cutter_machine",
            "cutter_protocol",
            "cutter_server",
            "cutter_tensor",
            "cutter_tools",
            "cutter_wire",
        ],
        "`check` lists every limit and `demo` loads the server, but nothing serves a model here",
    ),
    room(
        "cutter_policy_example",
        &["cutter_core", "cutter_server"],
        "a policy of one's own needs the trait, and a server that runs it",
    ),
    room("cutter_tests", ANYTHING, "tests"),
    room("cutter_fuzz", ANYTHING, "tests"),
    room("cutter_benches::tests", ANYTHING, "measures each room beside what the machine can do"),
    room("cutter_benches", &[], "it has only what it measures with"),
    room("cutter_bench_support", ANYTHING, "what these measurements have in common"),
    room("cutter_core::ids", &[], "a name of a thing knows no thing"),
    room("cutter_core::slab", &["cutter_core::ids"], "a place for things of any kind"),
    room("cutter_core::rows", &[], "places in a pool, whoever has them"),
    room("cutter_core::stats", &["cutter_core::limits"], "counts what it is told"),
    room(
        "cutter_core::batching",
        &["cutter_core::limits"],
        "queues, limits and estimates are algorithms, below whatever has a queue",
    ),
    room(
        "cutter_core::policy",
        &["cutter_core::limits"],
        "a policy sees models as numbers: it knows no query, no output's bytes and no clock",
    ),
    room(
        "cutter_server::config",
        &["cutter_server::limits"],
        "what is to be served is said without those who serve it",
    ),
    room(
        "cutter_server::port",
        &["cutter_server::decision_log::LogWriter", "cutter_server::limits"],
        "a port is bytes in and bytes out, and tells a log; who waits for them is above it",
    ),
    room(
        "cutter_server::store",
        &["cutter_server::limits"],
        "states are kept without knowing who learns",
    ),
    room(
        "cutter_server::decision_log",
        &["cutter_server::limits"],
        "decisions are written without knowing who decides",
    ),
    room(
        "cutter_server::carrier",
        &["cutter_server::limits"],
        "batches are carried without knowing whose queries are in them",
    ),
    room(
        "cutter_server::control",
        &[
            "cutter_server::carrier",
            "cutter_server::config",
            "cutter_server::counted",
            "cutter_server::decision_log::LogCounts",
            "cutter_server::decision_log::LogHeader",
            "cutter_server::inspection",
            "cutter_server::limits",
            "cutter_server::messages",
            "cutter_server::pool",
            "cutter_server::port::http::Endpoint",
            "cutter_server::port::PolicyView",
            "cutter_server::printable",
            "cutter_server::reactor::listener::SocketFile",
            "cutter_server::reactor::listener::remove_stale",
            "cutter_server::store::StoreCounts",
            "cutter_server::store::StoreThread",
        ],
        "control sees of the engine thread what that shows of itself, and talks by messages",
    ),
    room(
        "cutter_server::reactor",
        &[
            "cutter_server::carrier",
            "cutter_server::config::Listen",
            "cutter_server::decision_log::LogWriter",
            "cutter_server::inspection",
            "cutter_server::limits",
            "cutter_server::messages",
            "cutter_server::port",
            "cutter_server::store::StoreClient",
        ],
        "the loop takes what it is given: no names, no paths, no TOML, but where to listen",
    ),
];

/// What a room names, and where.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Arrow {
    room: String,
    target: String,
    file: String,
}

/// Each arrow from a room: a crate's by its manifest and its code, a folder's by its code.
fn arrows(crates: &[Crate], rooms: &[Room]) -> BTreeSet<Arrow> {
    let mut arrows = BTreeSet::new();
    for from in crates {
        let manifest = format!("{}Cargo.toml", from.folder);
        let tests = format!("{}::tests", from.name);
        for (room, packages) in [(&from.name, &from.depends_on), (&tests, &from.tests_depend_on)] {
            arrows.extend(packages.iter().map(|package| Arrow {
                room: room.clone(),
                target: library(crates, package),
                file: manifest.clone(),
            }));
        }
        for (path, file, target) in absolute_names(from) {
            let to = target.split("::").next().unwrap_or_default();
            if to != from.name {
                let (room, target) = (from.name.clone(), to.to_owned());
                arrows.insert(Arrow { room, target, file: file.to_owned() });
                continue;
            }
            let is_folder = |room: &&Room| room.name != from.name && is_within(path, room.name);
            for room in rooms.iter().filter(is_folder) {
                if !is_within(&target, room.name) {
                    let (room, target) = (room.name.to_owned(), target.clone());
                    arrows.insert(Arrow { room, target, file: file.to_owned() });
                }
            }
        }
    }
    arrows
}

/// Each name of the workspace that a crate's product says: its module, its file, the name.
fn absolute_names(from: &Crate) -> impl Iterator<Item = (&str, &str, String)> {
    from.trees.iter().flat_map(|tree| {
        tree.0.iter().flat_map(|(path, module)| {
            let names = module.names.iter().filter_map(|name| tree.absolute(path, &name.parts));
            let names = names.filter(|name| name.starts_with("cutter_"));
            names.map(|name| (path.as_str(), module.file.as_str(), name))
        })
    })
}

/// What code calls a package of the workspace.
fn library(crates: &[Crate], package: &str) -> String {
    let found = crates.iter().find(|found| found.package == package);
    found.map_or_else(|| package.replace('-', "_"), |found| found.name.clone())
}

/// What is wrong with the arrows, and with the table.
fn faults(crates: &[Crate], rooms: &[Room]) -> Vec<String> {
    let arrows = arrows(crates, rooms);
    let mut faults = Vec::new();
    for Arrow { room: name, target, file } in &arrows {
        let room = rooms.iter().find(|room| room.name == name);
        let may_name = room.map_or(&[][..], |room| room.may_name);
        if may_name != ANYTHING && !may_name.iter().any(|allowed| is_within(target, allowed)) {
            let because = room.map_or("it is not in the table", |room| room.because);
            faults.push(format!("{file}: {name} may not name {target}: {because}"));
        }
    }
    for Room { name, may_name, .. } in rooms.iter().filter(|room| room.may_name != ANYTHING) {
        let is_used = |allowed: &str| {
            arrows.iter().any(|arrow| arrow.room == *name && is_within(&arrow.target, allowed))
        };
        let unused = may_name.iter().filter(|allowed| !is_used(allowed));
        faults.extend(unused.map(|unused| format!("{name} does not name {unused}")));
    }
    faults
}

#[test]
fn every_arrow_is_one_that_is_meant_and_every_one_that_is_meant_is_there() {
    assert_eq!(faults(crates(), ROOMS), [""; 0]);
}

#[test]
fn every_crate_has_its_line_in_the_table() {
    let has_line = |of: &Crate| ROOMS.iter().any(|room| room.name == of.name);
    let without: Vec<String> =
        crates().iter().filter(|of| !has_line(of)).map(|of| of.name.clone()).collect();
    assert_eq!(without, [""; 0]);
}

/// What a manifest has and no code names is built for nothing. Of tests nothing is said: they take
/// in files of others by their paths, and with them what those name.
#[test]
fn what_a_manifest_depends_on_is_named_by_the_code() {
    let crates = crates();
    let mut unnamed = Vec::new();
    for from in crates {
        let is_own = |path: &str| {
            let longest = crates.iter().filter(|of| path.starts_with(&of.folder));
            longest.max_by_key(|of| of.folder.len()).is_some_and(|of| of.folder == from.folder)
        };
        let own = worded().iter().filter(|file| is_own(file.path));
        let named: BTreeSet<&str> = own.flat_map(|file| &file.words).copied().collect();
        let packages = from.depends_on.iter();
        let unused = packages.filter(|package| !named.contains(library(crates, package).as_str()));
        unnamed.extend(unused.map(|package| format!("{}Cargo.toml: {package}", from.folder)));
    }
    assert_eq!(unnamed, [""; 0]);
}

#[test]
fn an_arrow_that_is_not_meant_is_told() {
    let manifest = "[package]\nname = \"cutter-a\"\n[dependencies]\n\
                    cutter-b = { path = \"../b\" }\n";
    let files = [
        ("a/Cargo.toml", manifest),
        ("a/src/lib.rs", "pub mod above; pub mod below;"),
        ("a/src/above.rs", "use crate::below; use cutter_c::C;"),
        ("a/src/below.rs", "use super::above::{Meant, NotMeant};"),
    ];
    let sources = files.map(|(path, text)| Source { path: path.to_owned(), text: text.to_owned() });
    let crates = [read(&sources[0], &sources)];
    let table = [
        room("cutter_a", &["cutter_c", "cutter_d"], "a"),
        room("cutter_a::above", &["cutter_a::below"], "b"),
        room("cutter_a::below", &["cutter_a::above::Meant"], "c"),
    ];
    let expected = [
        "a/Cargo.toml: cutter_a may not name cutter_b: a",
        "a/src/below.rs: cutter_a::below may not name cutter_a::above::NotMeant: c",
        "cutter_a does not name cutter_d",
    ];
    assert_eq!(faults(&crates, &table), expected);
}
