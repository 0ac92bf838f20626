use std::path::Path;

use cutter_server::limits::sums;

use super::config;
use crate::check::{DescriptorLimit, Folder, Machine, warnings};

/// A machine that lacks nothing.
fn machine() -> Machine {
    Machine {
        cores: vec![0, 1],
        descriptors: DescriptorLimit { soft: Some(1024), hard: Some(1 << 20) },
        memory_available_bytes: Some(64 << 30),
        locked_bytes_max: None,
        folder: |_| Folder::Writable,
    }
}

fn warned(text: &str, machine: &Machine) -> Vec<String> {
    warnings(&config(text), machine).iter().map(ToString::to_string).collect()
}

const MODEL: &str = "[[model]]\nname = \"m\"\ncommand = [\"m\"]\n";

#[test]
fn a_machine_that_has_everything_is_not_warned_of() {
    let text = format!("[server]\ncpu = 0\n{MODEL}cpus = [1]\nreplicas = 2\n");
    assert_eq!(warned(&text, &machine()), [""; 0]);
}

#[test]
fn cores_that_are_not_there_are_told_once_each() {
    let text = format!("[server]\ncpu = 99\n{MODEL}cpus = [7, 0, 7]\nreplicas = 3\n");
    let expected = [
        "core 99 of the engine is not among the cores that this process may use ([0, 1]), so it \
         will run unpinned; choose one of them, or leave `cpu` out",
        "core 7 of model m is not among the cores that this process may use ([0, 1]), so it will \
         run unpinned; choose one of them, or leave `cpus` out",
    ];
    assert_eq!(warned(&text, &machine()), expected);
    // Nothing is said of cores where they are not known, and of those that no replica gets.
    assert_eq!(warned(&text, &Machine { cores: Vec::new(), ..machine() }), [""; 0]);
    assert_eq!(warned(&format!("{MODEL}cpus = [0, 7]\n"), &machine()), [""; 0]);
}

#[test]
fn folders_that_are_not_there_or_not_writable_are_told() {
    let folder = |path: &Path| match path.to_str() {
        Some("/none") => Folder::Missing,
        Some("/read") => Folder::NotWritable,
        Some("/file") => Folder::NotAFolder,
        _ => Folder::Writable,
    };
    let machine = Machine { folder, ..machine() };
    let server = "[server]\nquery = [\"unix:/none/q\", \"unix:/ok/q\", \"unix:/read/q\"]\n\
                  socket = \"/file/s\"\n";
    let expected = [
        "the folder /none of `query` is not there, so the socket cannot be made; create it",
        "the folder /read of `query` is not writable, so the socket cannot be made; change its \
         mode",
        "the folder /file of `socket` is no folder, so the socket cannot be made; correct the path",
    ];
    assert_eq!(warned(server, &machine), expected);
    let model = |directory: &str| format!("{MODEL}directory = \"{directory}\"\n");
    assert_eq!(
        warned(&model("none"), &machine),
        ["the folder /none of model m is not there, so no replica can start; create it"]
    );
    assert_eq!(
        warned(&model("file"), &machine),
        ["the folder /file of model m is no folder, so no replica can start; correct `directory`"]
    );
    // A model need not write where it stands.
    assert_eq!(warned(&model("read"), &machine), [""; 0]);
}

#[test]
fn too_few_descriptors_are_told_with_the_sum() {
    let needed = sums::descriptors(&config(MODEL)).total();
    let with = |hard| Machine {
        descriptors: DescriptorLimit { soft: Some(1024), hard: Some(hard) },
        ..machine()
    };
    assert_eq!(warned(MODEL, &with(needed)), [""; 0]);
    let told = warned(MODEL, &with(needed - 1));
    let begin = format!("up to {needed} descriptors may be needed, and this process may have ");
    assert!(told.len() == 1 && told[0].starts_with(&begin), "{told:?}");
    let none = DescriptorLimit { soft: None, hard: None };
    assert_eq!(warned(MODEL, &Machine { descriptors: none, ..machine() }), [""; 0]);
}

#[test]
fn too_little_memory_is_told_at_start_and_when_all_is_full() {
    let (at_start, when_full) = {
        let config = config(MODEL);
        (sums::memory_at_start(&config).total(), sums::memory_when_full(&config).total())
    };
    let with = |available| Machine { memory_available_bytes: available, ..machine() };
    assert_eq!(warned(MODEL, &with(None)), [""; 0]);
    assert_eq!(warned(MODEL, &with(Some(when_full))), [""; 0]);
    let told = warned(MODEL, &with(Some(when_full - 1)));
    let due = format!("full they take {when_full} bytes of memory");
    assert!(told.len() == 1 && told[0].contains(&due), "{told:?}");
    let told = warned(MODEL, &with(Some(at_start - 1)));
    let due = format!("{at_start} bytes of memory are taken at start");
    assert!(told.len() == 1 && told[0].starts_with(&due), "{told:?}");
}

#[test]
fn memory_that_cannot_be_locked_is_told() {
    let needed = sums::memory_locked(&config(MODEL)).total();
    let with = |max| Machine { locked_bytes_max: Some(max), ..machine() };
    assert_eq!(warned(MODEL, &with(needed)), [""; 0]);
    let told = warned(MODEL, &with(needed - 1));
    assert!(told.len() == 1 && told[0].contains("may lock"), "{told:?}");
}

#[test]
fn an_input_that_no_body_can_carry_is_told() {
    let input = |numbers: u32| {
        format!("[[application]]\nname = \"a\"\ninput = {{ type = \"f\", shape = [{numbers}] }}\n")
    };
    assert_eq!(warned(&input(1 << 20), &machine()), [""; 0]);
    let told = warned(&input(16 << 20), &machine());
    assert!(told.len() == 1 && told[0].contains("application a takes up to 536870920 bytes"));
}

#[test]
fn a_model_is_told_with_its_version_where_its_name_has_several() {
    let text = format!("{MODEL}{MODEL}version = \"2\"\ndirectory = \"none\"\n");
    let folder =
        |path: &Path| if path.ends_with("none") { Folder::Missing } else { Folder::Writable };
    assert_eq!(
        warned(&text, &Machine { folder, ..machine() }),
        ["the folder /none of model m:2 is not there, so no replica can start; create it"]
    );
}
