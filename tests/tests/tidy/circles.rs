//! Files of one crate that name each other, straight or through others.

use std::collections::{BTreeMap, BTreeSet};

use crate::crates::{Tree, crates, grow, is_within};
use crate::sources::Source;

/// From each module, the modules whose things it names, and which things.
type Arrows<'a> = BTreeMap<&'a str, BTreeMap<&'a str, BTreeSet<String>>>;

/// A name that is only handed on (`pub use`) is no arrow: whoever names it names its home. Nor is
/// one between a module and a room above it: a parent that defines what its children share and puts
/// them together is one thing with them, cut into files.
fn arrows(tree: &Tree) -> Arrows<'_> {
    let mut arrows = Arrows::new();
    for (path, module) in &tree.0 {
        for name in module.names.iter().filter(|name| !name.is_handed_on) {
            let home = tree.absolute(path, &name.parts).and_then(|name| tree.home(&name));
            if let Some(home) = home.filter(|home| !is_within(home, path) && !is_within(path, home))
            {
                let thing = name.parts.last().cloned().unwrap_or_default();
                arrows.entry(path).or_default().entry(home).or_default().insert(thing);
            }
        }
    }
    arrows
}

/// All that can be reached from a module.
fn reached<'a>(arrows: &Arrows<'a>, from: &'a str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        let next = arrows.get(at).into_iter().flat_map(BTreeMap::keys);
        open.extend(next.filter(|next| reached.insert(**next)));
    }
    reached
}

/// Each arrow that lies on a circle, with the things that make it.
fn on_circles(tree: &Tree) -> Vec<String> {
    let arrows = arrows(tree);
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        arrows.keys().map(|from| (*from, reached(&arrows, from))).collect();
    let comes_back = |from: &str, to: &str| reached.get(to).is_some_and(|all| all.contains(from));
    let mut told = Vec::new();
    for (from, targets) in &arrows {
        for (to, things) in targets.iter().filter(|(to, _)| comes_back(from, to)) {
            let things: Vec<&str> = things.iter().map(String::as_str).collect();
            told.push(format!("{from} > {to}: {}", things.join(", ")));
        }
    }
    told
}

#[test]
fn no_files_of_a_crate_name_each_other_in_a_circle() {
    for of in crates() {
        let told: Vec<String> = of.trees.iter().flat_map(on_circles).collect();
        assert!(told.is_empty(), "{}: {told:#?}", of.name);
    }
}

#[test]
fn a_circle_is_told_by_what_makes_it() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c; pub use c::C; use a::A; pub struct Root;"),
        ("a.rs", "use super::{Root, b::B}; pub struct A;"),
        ("b.rs", "use crate::C; pub struct B;"),
        ("c.rs", "use crate::a::A; pub struct C;"),
    ];
    let sources =
        files.map(|(path, text)| Source { path: format!("src/{path}"), text: text.to_owned() });
    let told = on_circles(&grow("d", &sources[0], &sources));
    assert_eq!(told, ["d::a > d::b: B", "d::b > d::c: C", "d::c > d::a: A"]);
}
