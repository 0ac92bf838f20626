use super::errors;

const DOCUMENT: &str = include_str!("../../../../CONFIGURATION.md");

/// The keys that a table takes, as the error about a strange one lists them.
fn keys(strange: &str) -> Vec<String> {
    let errors = errors(strange);
    let (_, names) = errors.split_once("expected one of: ").expect("the key is strange");
    names.split(", ").map(str::to_owned).collect()
}

/// The keys in the first column of the tables of a section of the document.
fn documented(heading: &str) -> Vec<String> {
    let (_, section) = DOCUMENT.split_once(heading).expect("the section is there");
    let section = section.split("\n#").next().unwrap_or_default();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `"));
    cells.filter_map(|line| Some(line.split_once('`')?.0.to_owned())).collect()
}

#[test]
fn the_document_has_every_key_of_the_schema_and_no_other() {
    let table = [
        ("## `[server]`", "[server]\nzzzzzzzz = 1"),
        ("## `[[application]]`", "[[application]]\nzzzzzzzz = 1"),
        ("### `input`", "[[application]]\ninput = { zzzzzzzz = 1 }"),
        ("## `[[model]]`", "[[model]]\nzzzzzzzz = 1"),
        ("### `batch`", "[[model]]\nbatch = { zzzzzzzz = 1 }"),
    ];
    for (heading, strange) in table {
        let (mut documented, mut keys) = (documented(heading), keys(strange));
        documented.sort_unstable();
        keys.sort_unstable();
        assert_eq!(documented, keys, "{heading}");
    }
}
