//! The crates of the workspace as their manifests and modules say them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use crate::sources::{Source, sources};
use crate::words::{Name, is_name, names, production, words};

/// What the root of a program is called, which its library does not know.
const PROGRAM: &str = "main";
/// Names that lead to names, before it is a circle.
const STEPS_MAX: usize = 8;

/// A package of the workspace.
pub struct Crate {
    /// As code names it: `cutter_core`.
    pub name: String,
    /// As manifests name it: `cutter-core`.
    pub package: String,
    /// From the root, with a slash.
    pub folder: String,
    /// The packages of the workspace that it depends on, and those that only its tests do.
    pub depends_on: Vec<String>,
    pub tests_depend_on: Vec<String>,
    /// What its product is made of: one tree of modules for the library and for each program.
    pub trees: Vec<Tree>,
}

/// The modules under one root, by their paths: `cutter_core::batching::aimd`, `main::cli`.
pub struct Tree(pub BTreeMap<String, Module>);

/// One file of a tree.
pub struct Module {
    pub file: String,
    pub names: Vec<Name>,
    /// The words of what is no test.
    pub words: Vec<String>,
}

/// Every crate of the workspace, read once.
pub fn crates() -> &'static [Crate] {
    static CRATES: LazyLock<Vec<Crate>> = LazyLock::new(read_all);
    &CRATES
}

fn read_all() -> Vec<Crate> {
    let sources = sources();
    let manifests = sources.iter().filter(|source| source.path.ends_with("/Cargo.toml"));
    let crates: Vec<Crate> = manifests.map(|manifest| read(manifest, &sources)).collect();
    assert!(crates.len() > 10, "the manifests are not where they should be");
    crates
}

/// Reads a crate, of whose sources some may be others'.
pub fn read(manifest: &Source, sources: &[Source]) -> Crate {
    let folder = manifest.path.strip_suffix("Cargo.toml").unwrap().to_owned();
    let named = |section| value(&manifest.text, section, "name");
    let package = named("[package]").expect("a package has a name");
    let name = named("[lib]").unwrap_or_else(|| package.replace('-', "_"));
    let programs = [folder.as_str(), "src/bin/"].concat();
    let is_root = |path: &str| {
        let within = path.strip_prefix(&folder);
        let is_program = path.strip_prefix(&programs).is_some_and(|path| {
            path.ends_with("/main.rs") || (path.ends_with(".rs") && !path.contains('/'))
        });
        is_program || within.is_some_and(|path| ["src/lib.rs", "src/main.rs"].contains(&path))
    };
    let roots = sources.iter().filter(|source| is_root(&source.path));
    let root_name =
        |root: &Source| if root.path.ends_with("/lib.rs") { name.as_str() } else { PROGRAM };
    let trees = roots.map(|root| grow(root_name(root), root, sources)).collect();
    let sections = |sections: &[&str]| {
        sections.iter().flat_map(|section| dependencies(&manifest.text, section)).collect()
    };
    let depends_on = sections(&["[dependencies]", "[build-dependencies]"]);
    let tests_depend_on = sections(&["[dev-dependencies]"]);
    Crate { name, package, folder, depends_on, tests_depend_on, trees }
}

/// The lines of a section of a manifest.
fn section<'a>(manifest: &'a str, header: &str) -> impl Iterator<Item = &'a str> {
    let header = header.to_owned();
    let lines = manifest.lines().skip_while(move |line| *line != header).skip(1);
    lines.take_while(|line| !line.starts_with('['))
}

fn value(manifest: &str, header: &str, key: &str) -> Option<String> {
    let mut lines = section(manifest, header).filter_map(|line| line.split_once(" = "));
    lines.find(|(name, _)| *name == key).map(|(_, value)| value.trim_matches('"').to_owned())
}

/// The packages with a path that a section names: those of the workspace.
fn dependencies(manifest: &str, header: &str) -> Vec<String> {
    let lines = section(manifest, header).filter(|line| line.contains("path = "));
    lines.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_owned()).collect()
}

/// Whether a path is that of a room, or leads into it.
pub fn is_within(path: &str, room: &str) -> bool {
    path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Reads the modules under a root.
pub fn grow(name: &str, root: &Source, sources: &[Source]) -> Tree {
    let mut tree = BTreeMap::new();
    let folder = parent(&root.path);
    let mut open = vec![(name.to_owned(), root, folder)];
    while let Some((path, source, folder)) = open.pop() {
        let all = words(&source.text);
        let words = production(&all);
        for [_, child, _] in words
            .array_windows()
            .filter(|[word, name, end]| *word == "mod" && is_name(name) && *end == ";")
        {
            let files = [format!("{folder}{child}.rs"), format!("{folder}{child}/mod.rs")];
            let file = sources.iter().find(|source| files.contains(&source.path));
            if let Some(file) = file {
                let folder = format!("{folder}{child}/");
                open.push((format!("{path}::{child}"), file, folder));
            }
        }
        let names = names(&words);
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        tree.insert(path, Module { file: source.path.clone(), names, words });
    }
    Tree(tree)
}

fn parent(path: &str) -> String {
    let folder = Path::new(path).parent().unwrap().to_str().unwrap();
    format!("{folder}/")
}

impl Tree {
    /// A name that a module says, from the name of a crate on; `None`, if it is of no crate of the
    /// workspace or of no path that is known.
    pub fn absolute(&self, at: &str, parts: &[String]) -> Option<String> {
        self.absolute_within(at, parts, STEPS_MAX)
    }

    fn absolute_within(&self, at: &str, parts: &[String], steps: usize) -> Option<String> {
        let (first, rest) = parts.split_first()?;
        let join = |path: &str, rest: &[String]| [&[path.to_owned()], rest].concat().join("::");
        if first == "crate" {
            return Some(join(at.split("::").next()?, rest));
        }
        if first == "self" {
            return self.absolute_or_itself(at, rest, steps);
        }
        if first == "super" {
            return self.absolute_or_itself(at.rsplit_once("::")?.0, rest, steps);
        }
        if first.starts_with("cutter_") {
            return Some(parts.join("::"));
        }
        if self.0.contains_key(&join(at, std::slice::from_ref(first))) {
            return Some(join(at, parts));
        }
        let bound = self.bound(at, first)?;
        let bound = self.absolute_within(at, bound, steps.checked_sub(1)?)?;
        Some(join(&bound, rest))
    }

    /// What follows `self` or `super`.
    fn absolute_or_itself(&self, at: &str, rest: &[String], steps: usize) -> Option<String> {
        if rest.first().is_some_and(|first| first == "super") {
            return self.absolute_within(at, rest, steps);
        }
        Some([&[at.to_owned()], rest].concat().join("::"))
    }

    /// What a `use` of a module calls by a name.
    fn bound(&self, at: &str, name: &str) -> Option<&Vec<String>> {
        let names = &self.0.get(at)?.names;
        let bound = names.iter().find(|named| named.used_as.as_deref() == Some(name))?;
        (bound.parts != [name]).then_some(&bound.parts)
    }

    /// The module that defines what an absolute path names: through what others hand on.
    pub fn home(&self, path: &str) -> Option<&str> {
        self.home_within(path, STEPS_MAX)
    }

    fn home_within(&self, path: &str, steps: usize) -> Option<&str> {
        let parts: Vec<&str> = path.split("::").collect();
        let depth =
            (1..=parts.len()).rev().find(|end| self.0.contains_key(&parts[..*end].join("::")))?;
        let (module, _) = self.0.get_key_value(&parts[..depth].join("::"))?;
        let handed = parts.get(depth).and_then(|item| self.bound(module, item));
        let handed = handed.and_then(|bound| self.absolute(module, bound));
        match handed {
            Some(handed) => self.home_within(&handed, steps.checked_sub(1)?),
            None => Some(module),
        }
    }
}

#[test]
fn manifests_are_read() {
    let text = "[package]\nname = \"a-b\"\n\n[lib]\nname = \"c\"\n\n\
                [dependencies]\nd.workspace = true\n\
                e = { path = \"../e\" }\n\n[dev-dependencies]\nf = { path = \"../f\" }\n";
    let manifest = Source { path: "a/Cargo.toml".to_owned(), text: text.to_owned() };
    let root = Source { path: "a/src/lib.rs".to_owned(), text: "mod g;".to_owned() };
    let module = Source { path: "a/src/g/mod.rs".to_owned(), text: "use crate::H;".to_owned() };
    let read = read(&manifest, &[root, module]);
    assert_eq!((read.name.as_str(), read.package.as_str()), ("c", "a-b"));
    assert_eq!(
        (read.depends_on.as_slice(), read.tests_depend_on.as_slice()),
        (&["e".to_owned()][..], &["f".to_owned()][..])
    );
    let modules: Vec<&String> = read.trees[0].0.keys().collect();
    assert_eq!(modules, ["c", "c::g"]);
}

#[test]
fn names_lead_home() {
    let root = "mod a; mod b; pub use a::A; use b::B;";
    let files = [
        ("src/lib.rs", root),
        ("src/a.rs", "use super::{B, b::C}; pub struct A;"),
        ("src/b.rs", "use crate::a; fn f() { a::g() }"),
    ];
    let sources = files.map(|(path, text)| Source { path: path.to_owned(), text: text.to_owned() });
    let tree = grow("c", &sources[0], &sources);
    let homes = |at: &str| -> Vec<Option<&str>> {
        let names = &tree.0[at].names;
        names.iter().map(|name| tree.home(&tree.absolute(at, &name.parts)?)).collect()
    };
    assert_eq!(homes("c"), [Some("c::a"), Some("c::b")]);
    assert_eq!(homes("c::a"), [Some("c::b"), Some("c::b")]);
    assert_eq!(homes("c::b"), [Some("c::a"), Some("c::a")]);
}
