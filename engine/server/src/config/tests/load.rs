use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::EXAMPLE;
use crate::config::{Config, Listen};

/// The text of the errors of a file with these bytes, without its folder.
fn errors_of_file(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cutter.toml");
    fs::write(&path, bytes).expect("the file is written");
    let errors = Config::load(&path).expect_err("the file is wrong").to_string();
    errors.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn a_file_is_read_and_its_folder_is_where_paths_begin() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cutter.toml");
    let program = folder.path().join("softmax");
    fs::write(&path, EXAMPLE).expect("the file is written");
    fs::write(&program, "").expect("the program is written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is executable");
    let (config, warnings) = Config::load(&path).expect("the file is right");
    assert_eq!(warnings, []);
    assert_eq!(config.server.query[1], Listen::Unix(folder.path().join("cutter.sock")));
    assert_eq!(config.models[0].directory, folder.path());
    assert_eq!(config.models[0].command.as_ref().expect("a command").program, program);
}

#[test]
fn a_command_that_cannot_be_run_is_a_warning() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cutter.toml");
    let not_executable = folder.path().join("plain");
    fs::write(&not_executable, "").expect("the program is written");
    fs::set_permissions(&not_executable, fs::Permissions::from_mode(0o644)).expect("it is plain");
    let table = [
        ("./missing", Some(folder.path().join("missing"))),
        ("./plain", Some(not_executable)),
        ("cutter-no-such-program", Some("cutter-no-such-program".into())),
        ("sh", None),
        ("/bin/sh", None),
    ];
    for (program, named) in table {
        let text = "[[application]]\nname = \"a\"\ninput = { type = \"b\" }\nmodels = [\"m\"]\n\
            [[model]]\nname = \"m\"\ncommand = [\"PROGRAM\"]";
        fs::write(&path, text.replace("PROGRAM", program)).expect("the file is written");
        let (_, warnings) = Config::load(&path).expect("the file is right");
        let found: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        let expected = named.map(|named| {
            let (path, named) = (path.display(), named.display());
            format!(
                "{path}:7:11: warning: the command of model \"m\" is \"{named}\", which is not an \
                 executable file now"
            )
        });
        assert_eq!(found, Vec::from_iter(expected), "{program}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named_with_the_reason() {
    let errors = Config::load(Path::new("/no/such/cutter.toml")).expect_err("there is no file");
    assert_eq!(
        errors.to_string(),
        "/no/such/cutter.toml: cannot be read: No such file or directory (os error 2)"
    );
    assert_eq!(errors.as_slice()[0].place, None);
}

#[test]
fn a_path_that_is_empty_is_an_error() {
    let errors = Config::load(Path::new("")).expect_err("there is no file");
    assert!(errors.to_string().contains("cannot be read"), "{errors}");
}

#[test]
fn an_endless_file_is_refused() {
    let errors = Config::load(Path::new("/dev/zero")).expect_err("that is no configuration");
    assert_eq!(
        errors.to_string(),
        "/dev/zero: is larger than 1048576 bytes; a configuration is expected to be small"
    );
}

#[test]
fn a_file_at_the_limit_is_read_and_one_byte_more_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cutter.toml");
    fs::write(&path, "#".repeat(1 << 20)).expect("the file is written");
    assert!(Config::load(&path).is_ok());
    assert_eq!(
        errors_of_file(&[b'#'; (1 << 20) + 1]),
        "cutter.toml: is larger than 1048576 bytes; a configuration is expected to be small"
    );
}

#[test]
fn bytes_that_are_not_utf_8_are_shown_with_their_place() {
    assert_eq!(
        errors_of_file("[server]\nadmin = \"ä".as_bytes()),
        "cutter.toml:2:11: not valid TOML: invalid basic string, expected `\"`"
    );
    assert_eq!(
        errors_of_file(b"[server]\n# \xc3\xa4 \xff"),
        "cutter.toml:2:5: not UTF-8 from here on; expected a text file in UTF-8"
    );
}
