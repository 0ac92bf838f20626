//! The hand in which everything is written: how long, how wide, what stands where.

use crate::crates::crates;
use crate::sources::{Source, is_product, lines, product, rust, sources};

const LINES_MAX: usize = 600;
const COLUMNS_MAX: usize = 100;
const FUNCTION_LINES_MAX: usize = 70;
/// How far above an access the comment about its partner may begin.
const COMMENT_LINES_MAX: usize = 3;

/// Where `unsafe` may be: shared memory, io_uring, the C library's allocator, lines of memory, what
/// runs between fork and exec, the C ABI; and benches and tests, which attack or imitate those.
const UNSAFE: [&str; 8] = [
    "container-sdk/protocol/",
    "container-sdk/c/",
    "engine/lines/",
    "engine/machine/src/memory.rs",
    "engine/machine/src/uring/",
    "engine/server/src/control/spawn.rs",
    "benches/",
    "tests/",
];

/// Rooms into which time is passed: the same code runs in worlds whose clock is a number.
const PURE: [&str; 7] = [
    "container-sdk/tensor/",
    "engine/admin-api/",
    "engine/core/",
    "engine/lines/",
    "engine/wire/",
    "engine/server/src/config/",
    "engine/server/src/port/",
];

/// Where memory is shared between threads or processes, and the two files that only give each
/// order of an access its name.
const SHARED: [&str; 2] = ["container-sdk/protocol/src/", "engine/"];
const ORDERS: [&str; 2] =
    ["container-sdk/protocol/src/words.rs", "container-sdk/protocol/src/testing.rs"];

/// Where conditions are written with `if`, and `match` is left for what has names.
const CONDITIONS: [&str; 8] = [
    "benches/",
    "container-sdk/",
    "engine/admin-api/",
    "engine/command/",
    "engine/machine/",
    "engine/wire/",
    "tests/src/",
    "tools/",
];

/// The limits of the crates that a server is made of.
const TABLES: [&str; 7] = [
    "container-sdk/protocol/src/limits.rs",
    "container-sdk/tensor/src/limits.rs",
    "engine/command/src/limits.rs",
    "engine/core/src/limits.rs",
    "engine/machine/src/limits.rs",
    "engine/server/src/limits.rs",
    "engine/wire/src/limits.rs",
];

#[test]
fn no_file_is_longer_than_six_hundred_lines() {
    let long = |source: &&Source| source.text.lines().count() > LINES_MAX;
    let long: Vec<String> = rust().iter().filter(long).map(|source| source.path.clone()).collect();
    assert_eq!(long, [""; 0]);
}

/// The first line of each function, and how many lines it has. Its end is the first line that is
/// as far to the left as its beginning and ends it: formatted code has no other.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let is_function = |line: &str| {
        let line = line.trim_start();
        let line = line
            .strip_prefix("pub(")
            .and_then(|rest| rest.split_once(") "))
            .map_or(line, |(_, rest)| rest);
        let words = line.split(['(', '<']).next().unwrap_or_default();
        let mut words = words.split(' ').rev().skip(1);
        let is_qualifier =
            |word: &str| ["pub", "async", "const", "unsafe", "extern", "\"C\""].contains(&word);
        words.next() == Some("fn") && words.all(is_qualifier)
    };
    let length = |start: usize| {
        let first = lines[start];
        let ends = |line: &&str| indent(line) == indent(first) && line.ends_with(['}', ';']);
        lines[start..].iter().position(ends).map_or(0, |last| last + 1)
    };
    let starts = (0..lines.len()).filter(|start| is_function(lines[*start]));
    starts.map(|start| (start + 1, length(start))).collect()
}

#[test]
fn no_function_is_longer_than_seventy_lines() {
    let mut sources = rust();
    sources.retain(is_product);
    let (mut counted, mut long) = (0, Vec::new());
    for source in &sources {
        let functions = functions(product(source));
        counted += functions.len();
        let beyond = functions.iter().filter(|(_, lines)| *lines > FUNCTION_LINES_MAX);
        long.extend(beyond.map(|(at, lines)| format!("{}:{at}: {lines} lines", source.path)));
    }
    assert!(counted > 1_000, "only {counted} functions are seen");
    assert_eq!(long, [""; 0]);
}

#[test]
fn lines_of_functions_are_counted() {
    let text = "fn one() {}\n\npub(crate) const fn two(\n    a: u8,\n) -> u8 {\n    let b = {\n\
                \x20       a\n    };\n    b\n}\n\ntrait T {\n    fn three(&self);\n\
                \x20   fn four<A>(&self) {\n    }\n}\nlet function = fn_of(1);\n";
    assert_eq!(functions(text), [(1, 1), (3, 8), (13, 1), (14, 2)]);
}

#[test]
fn pure_rooms_do_not_look_at_a_clock() {
    let mut sources = rust();
    sources.retain(|source| PURE.iter().any(|room| source.path.starts_with(room)));
    assert!(sources.len() > 50, "the pure rooms are not where they should be");
    let clocks = ["Instant::now", "SystemTime::now", "monotonic_ns", "CLOCK_", "ClockId::"];
    let looks = |line: &str| clocks.iter().any(|clock| line.contains(clock));
    assert_eq!(lines(&sources, looks), [""; 0]);
}

/// An order says nothing by itself: each access says with which other one it is paired, or why it
/// needs none.
#[test]
fn every_atomic_access_has_a_comment_about_its_order() {
    let mut sources = rust();
    sources.retain(|source| {
        let is_shared = SHARED.iter().any(|room| source.path.starts_with(room));
        is_shared && is_product(source) && !ORDERS.contains(&source.path.as_str())
    });
    let accesses = [".load_acquire(", ".store_release(", ".fence(", "Relaxed)", "Acquire)"];
    let more = ["Relaxed,", "Release)", "Release,", "AcqRel", "SeqCst"];
    let is_comment = |line: &&str| line.trim_start().starts_with("//");
    let is_access = |line: &str| {
        let is_code = !is_comment(&line) && !line.trim_start().starts_with("use ");
        is_code && accesses.iter().chain(&more).any(|access| line.contains(access))
    };
    let mut without = Vec::new();
    for source in &sources {
        let lines: Vec<&str> = product(source).lines().collect();
        for at in (0..lines.len()).filter(|at| is_access(lines[*at])) {
            let above = &lines[at.saturating_sub(COMMENT_LINES_MAX)..at];
            if !above.iter().any(is_comment) {
                without.push(format!("{}:{}: {}", source.path, at + 1, lines[at].trim()));
            }
        }
    }
    assert_eq!(without, [""; 0]);
}

#[test]
fn no_line_is_wider_than_a_hundred_columns() {
    assert_eq!(lines(&rust(), |line| line.chars().count() > COLUMNS_MAX), [""; 0]);
}

#[test]
fn no_line_ends_in_white_space() {
    let code = |source: &Source| {
        [".rs", ".toml", ".md", ".c", ".h", ".hpp", ".cpp", ".py", ".sh"]
            .iter()
            .any(|ending| source.path.ends_with(ending))
    };
    let mut sources = sources();
    sources.retain(code);
    assert_eq!(lines(&sources, |line| line.ends_with([' ', '\t'])), [""; 0]);
}

#[test]
fn conditions_are_written_with_if() {
    let mut sources = rust();
    sources.retain(|source| CONDITIONS.iter().any(|room| source.path.starts_with(room)));
    let is_arm =
        |line: &str| ["true =>", "false =>"].iter().any(|arm| line.trim().starts_with(arm));
    assert_eq!(lines(&sources, is_arm), [""; 0]);
}

#[test]
fn unsafe_code_stays_in_its_rooms() {
    let mut sources = rust();
    sources.retain(|source| !UNSAFE.iter().any(|room| source.path.starts_with(room)));
    let forms =
        ["{", "fn ", "impl ", "impl<", "extern ", "trait "].map(|form| ["unsafe ", form].concat());
    let is_code = |line: &str| !line.trim_start().starts_with("//");
    let is_unsafe = |line: &str| is_code(line) && forms.iter().any(|form| line.contains(form));
    assert_eq!(lines(&sources, is_unsafe), [""; 0]);
}

/// A constant beside the table would be in no list of limits.
#[test]
fn every_limit_stands_in_a_table() {
    let mut sources = rust();
    sources.retain(|source| TABLES.contains(&source.path.as_str()));
    assert_eq!(sources.len(), TABLES.len());
    let without = sources.iter().filter(|source| !source.text.contains("cutter_limits::limits! {"));
    assert_eq!(without.map(|source| source.path.clone()).collect::<Vec<_>>(), [""; 0]);
    let is_constant = |line: &str| line.contains("const ") && !line.starts_with("const _: () =");
    assert_eq!(lines(&sources, is_constant), [""; 0]);
}

#[test]
fn nothing_is_left_to_be_done() {
    let called = ["to", "do!"].concat();
    let marks = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"]].map(|mark| mark.concat());
    let is_left = |line: &str| {
        let mut words = line.split(|char: char| !char.is_alphanumeric());
        line.contains(&called) || words.any(|word| marks.iter().any(|mark| mark == word))
    };
    assert_eq!(lines(&sources(), is_left), [""; 0]);
}

#[test]
fn no_registry_is_addressed_by_its_name() {
    let hosts = [
        ["crates", ".io/"],
        ["pypi", ".org"],
        ["python", "hosted.org"],
        ["npm", "js.org"],
        ["proxy.", "golang.org"],
        ["deb.", "debian.org"],
        ["archive.", "ubuntu.com"],
        // What a registry's client keeps on a machine is no part of the tree either.
        ["registry", "/src/"],
        [".cargo/", "registry"],
        ["registry", "/cache/"],
        ["site-", "packages"],
    ];
    let hosts = hosts.map(|host| host.concat());
    let sources = sources();
    assert_eq!(lines(&sources, |line| hosts.iter().any(|host| line.contains(host))), [""; 0]);
}

#[test]
fn every_crate_has_the_lints_of_the_workspace() {
    let mut manifests = sources();
    manifests.retain(|source| source.path.ends_with("/Cargo.toml"));
    assert!(manifests.len() >= 6);
    let inherits = |source: &&Source| source.text.contains("[lints]\nworkspace = true");
    let without = manifests.iter().filter(|source| !inherits(source));
    assert_eq!(without.map(|source| source.path.clone()).collect::<Vec<_>>(), [""; 0]);
}

/// Lines of a text that begin an example in a doc comment: a block that is not called text.
fn examples(text: &str) -> Vec<usize> {
    let fence = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("//!").or_else(|| line.strip_prefix("///"))?;
        line.trim_start().strip_prefix("```").map(str::to_owned)
    };
    let lines = text.lines().enumerate();
    let fences = lines.filter_map(|(at, line)| fence(line).map(|kind| (at + 1, kind)));
    let begin = fences.step_by(2);
    begin.filter(|(_, kind)| kind != "text").map(|(at, _)| at).collect()
}

/// Building them costs time, which is spared where there are none.
#[test]
fn where_examples_are_not_run_there_are_none() {
    let (sources, mut without) = (sources(), Vec::new());
    for of in crates() {
        let manifest = format!("{}Cargo.toml", of.folder);
        let manifest = sources.iter().find(|source| source.path == manifest).unwrap();
        if manifest.text.contains("doctest = false") {
            let folder = format!("{}src/", of.folder);
            for source in sources.iter().filter(|source| source.path.starts_with(&folder)) {
                let examples = examples(&source.text);
                without.extend(examples.iter().map(|at| format!("{}:{at}", source.path)));
            }
        }
    }
    assert_eq!(without, [""; 0]);
}

#[test]
fn examples_are_told_from_pictures() {
    let text = "//! ```text\n//! a -> b\n//! ```\n\n    /// ```\n    /// c();\n    /// ```\n\
                /// ```no_run\n/// d();\n/// ```\n";
    assert_eq!(examples(text), [5, 8]);
}
