//! What is said about values that cannot be.

use cutter_core::limits::LINKS_MAX;

use super::{check, errors};

/// The same for lines of one application that is otherwise right.
fn check_application(table: &[(&str, &str)]) {
    for (lines, expected) in table {
        let text = format!("[[application]]\nname = \"a\"\n{lines}");
        assert_eq!(errors(&text), *expected, "{lines}");
    }
}

/// The same for lines of one model that is otherwise right but for its command.
fn check_model(table: &[(&str, &str)]) {
    for (lines, expected) in table {
        let text = format!("[[model]]\nname = \"m\"\n{lines}");
        assert_eq!(errors(&text), *expected, "{lines}");
    }
}

#[test]
fn server_values_that_cannot_be_are_refused() {
    check(&[
        ("[server]\ncpu = -1", "c:2:7: `cpu` of [server] is -1; expected 0 to 1023"),
        ("[server]\ncpu = 1024", "c:2:7: `cpu` of [server] is 1024; expected 0 to 1023"),
        (
            "[server]\ncpu = 99999999999999999999",
            "c:2:7: `cpu` of [server] is 99999999999999999999; expected 0 to 1023",
        ),
        (
            "[server]\nwait = \"adptive\"",
            "c:2:8: `wait` of [server] is \"adptive\"; expected one of: spin, yield, \
             adaptive, block; did you mean \"adaptive\"?",
        ),
        (
            "[server]\nwait = \"\"",
            "c:2:8: `wait` of [server] is \"\"; expected one of: spin, yield, adaptive, \
             block",
        ),
        (
            "[server]\nwait = \"SPIN\"",
            "c:2:8: `wait` of [server] is \"SPIN\"; expected one of: spin, yield, \
             adaptive, block; did you mean \"spin\"?",
        ),
        ("[server]\nquery = []", "c:2:9: `query` of [server] has 0 items; expected 1 to 8"),
        (
            "[server]\nquery = [\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\"]",
            "c:2:9: `query` of [server] has 9 items; expected 1 to 8",
        ),
        (
            "[server]\nquery = [\"localhost:1337\", \"127.0.0.1\",\n  \":1337\", \"unix:\"]",
            "c:2:10: `query` of [server] is \"localhost:1337\"; expected an IP address \
             with a port, such as \"127.0.0.1:1337\", or \"unix:PATH\"\n\
             c:2:28: `query` of [server] is \"127.0.0.1\"; expected an IP address with a \
             port, such as \"127.0.0.1:1337\", or \"unix:PATH\"\n\
             c:3:3: `query` of [server] is \":1337\"; expected an IP address with a port, \
             such as \"127.0.0.1:1337\", or \"unix:PATH\"\n\
             c:3:12: `query` of [server] is \"unix:\"; expected the path of a Unix socket",
        ),
        (
            "[server]\nquery = [\"unix:a/\"]",
            "c:2:10: `query` of [server] is \"unix:a/\"; expected the path of a Unix socket",
        ),
        (
            "[server]\nquery = [\"unix:a\\u0000b\"]",
            "c:2:10: `query` of [server] holds a zero byte at 6; neither a path nor an \
             argument may",
        ),
        (
            "[server]\nquery = [\"127.0.0.1:1\",\n\"127.0.0.1:1\"]",
            "c:3:1: address \"127.0.0.1:1\" is taken already on line 2; expected each \
             address once",
        ),
        (
            "[server]\nquery = [\"unix:a\",\n\"unix:./a\"]",
            "c:3:1: address \"unix:/srv/a\" is taken already on line 2; expected each \
             address once",
        ),
        (
            "[server]\nquery = [\"127.0.0.1:1\"]\nadmin = \"127.0.0.1:1\"",
            "c:3:9: address \"127.0.0.1:1\" is taken already on line 2; expected each \
             address once",
        ),
        (
            "[server]\nquery = [\"unix:a\"]\nsocket = \"a\"",
            "c:3:10: address \"unix:/srv/a\" is taken already on line 2; expected each \
             address once",
        ),
        (
            "[server]\nadmin = \"unix:a\"",
            "c:2:9: `admin` of [server] is \"unix:a\"; expected an IP address with a port, \
             such as \"127.0.0.1:1338\"",
        ),
        (
            "[server]\nadmin = \"\"",
            "c:2:9: `admin` of [server] is \"\"; expected an IP address with a port, such \
             as \"127.0.0.1:1338\"",
        ),
        (
            "[server]\nsocket = \"\"",
            "c:2:10: `socket` of [server] is \"\"; expected the path of a Unix socket",
        ),
        (
            "[server]\nquery = [\"127.0.0.1:1338\"]",
            "c:2:10: address \"127.0.0.1:1338\" is what `admin` is by default; expected \
             another address here or a `admin` of its own",
        ),
        (
            "[server]\nadmin = \"127.0.0.1:1337\"",
            "c:2:9: address \"127.0.0.1:1337\" is what `query` is by default; expected \
             another address here or a `query` of its own",
        ),
        (
            &format!("[server]\nsocket = \"{}\"", "x".repeat(103)),
            &format!(
                "c:2:10: `socket` of [server] is \"{}…\", which as an absolute path has 108 bytes; \
 a Unix socket's path has at most 107: choose a shorter folder",
                "x".repeat(80)
            ),
        ),
    ]);
}

#[test]
fn names_that_cannot_be_are_refused() {
    let input = "input = { type = \"s\" }";
    let application = |name: &str| format!("[[application]]\nname = \"{name}\"\n{input}");
    let table = [
        (
            "",
            "c:2:8: `name` of application \"\" is \"\"; expected 1 to 63 lower-case \
             letters and digits, with `-` or `_` between them",
        ),
        (
            "Digits",
            "c:2:8: `name` of application \"Digits\" is \"Digits\"; expected 1 to 63 \
             lower-case letters and digits, with `-` or `_` between them",
        ),
        (
            "a b",
            "c:2:8: `name` of application \"a b\" is \"a b\"; expected 1 to 63 lower-case \
             letters and digits, with `-` or `_` between them",
        ),
        (
            "-a",
            "c:2:8: `name` of application \"-a\" is \"-a\"; expected 1 to 63 lower-case \
             letters and digits, with `-` or `_` between them",
        ),
        (
            "a_",
            "c:2:8: `name` of application \"a_\" is \"a_\"; expected 1 to 63 lower-case \
             letters and digits, with `-` or `_` between them",
        ),
        (
            "a.b",
            "c:2:8: `name` of application \"a.b\" is \"a.b\"; expected 1 to 63 lower-case \
             letters and digits, with `-` or `_` between them",
        ),
        (
            "ä",
            "c:2:8: `name` of application \"ä\" is \"ä\"; expected 1 to 63 lower-case \
             letters and digits, with `-` or `_` between them",
        ),
        (
            "a\\nb",
            "c:2:8: `name` of application \"a\\n\
             b\" is \"a\\n\
             b\"; expected 1 to 63 lower-case letters and digits, with `-` or `_` between \
             them",
        ),
        (
            "admin",
            "c:2:8: an application cannot be called \"admin\": the server uses that name \
             itself",
        ),
        (
            "metrics",
            "c:2:8: an application cannot be called \"metrics\": the server uses that name \
             itself",
        ),
        (
            "healthz",
            "c:2:8: an application cannot be called \"healthz\": the server uses that name \
             itself",
        ),
        (
            "readyz",
            "c:2:8: an application cannot be called \"readyz\": the server uses that name \
             itself",
        ),
        (
            "v2",
            "c:2:8: an application cannot be called \"v2\": the server uses that name \
             itself",
        ),
    ];
    for (name, expected) in table {
        assert_eq!(errors(&application(name)), expected, "{name}");
    }
    check(&[
        (
            "[[model]]\nname = \"M\"\ncommand = [\"m\"]\nversion = \"\"",
            "c:2:8: `name` of model \"M\" is \"M\"; expected 1 to 63 lower-case letters \
             and digits, with `-` or `_` between them\n\
             c:4:11: `version` of model \"M\" is \"\"; expected 1 to 63 lower-case letters \
             and digits, with `-`, `_` or `.` between them",
        ),
        (
            "[[model]]\nname = \"m\"\ncommand = [\"m\"]\nversion = \".1\"",
            "c:4:11: `version` of model \"m\" is \".1\"; expected 1 to 63 lower-case \
             letters and digits, with `-`, `_` or `.` between them",
        ),
        (
            "[[application]]",
            "c:1:1: application 1 has no `name`; expected a name, as in `name = \
             \"digits\"`\n\
             c:1:1: application 1 has no `input`; expected an input, as in `input = { type \
             = \"floats\", shape = [784] }`",
        ),
        (
            "[[model]]",
            "c:1:1: model 1 has no `name`; expected a name, as in `name = \"softmax\"`\n\
             c:1:1: model 1 has no `command` and [server] has no `socket`, so no container \
             could ever serve it; expected a `command` that starts it or a `socket` where \
             it connects",
        ),
    ]);
}

#[test]
fn a_second_thing_of_the_same_name_is_refused_with_the_line_of_the_first() {
    let application = "[[application]]\nname = \"a\"\ninput = { type = \"s\" }\n";
    let unversioned = "[[model]]\nname = \"m\"\ncommand = [\"m\"]\n";
    let model = |version: &str| format!("{unversioned}version = \"{version}\"\n");
    check(&[
        (
            &application.repeat(3),
            "c:5:8: a second application is called \"a\", as on line 2; names must be unique\n\
             c:8:8: a second application is called \"a\", as on line 2; names must be unique",
        ),
        (
            &format!("{}{}{}", model("2"), model("3"), model("2")),
            "c:10:8: a second model \"m\" has version \"2\", as on line 2; expected another \
             `name` or another `version`",
        ),
        (
            &format!("{}{unversioned}{unversioned}", model("1")),
            "c:6:8: a second model \"m\" has version \"1\", as on line 2; expected another \
             `name` or another `version`\n\
             c:9:8: a second model \"m\" has version \"1\", as on line 2; expected another \
             `name` or another `version`",
        ),
    ]);
}

#[test]
fn inputs_that_cannot_be_are_refused() {
    check_application(&[
        (
            "",
            "c:1:1: application \"a\" has no `input`; expected an input, as in `input = { \
             type = \"floats\", shape = [784] }`",
        ),
        (
            "input = {}",
            "c:3:9: the input of application \"a\" has no `type`; expected one of: bytes, \
             integers, floats, doubles, strings",
        ),
        (
            "input = { type = \"flots\", shape = [1] }",
            "c:3:18: `type` of the input of application \"a\" is \"flots\"; expected one \
             of: bytes, integers, floats, doubles, strings; did you mean \"floats\"?",
        ),
        (
            "input = { type = \"tensor\", shape = [0] }",
            "c:3:18: `type` of the input of application \"a\" is \"tensor\"; expected one \
             of: bytes, integers, floats, doubles, strings\n\
             c:3:37: `shape` of the input of application \"a\" is 0; expected 1 to \
             4294967295",
        ),
        (
            "input = { type = \"floats\" }",
            "c:3:9: the input of application \"a\" has neither `shape` nor `max_bytes`; \
             expected one of them, such as `shape = [784]`",
        ),
        (
            "input = { type = \"f\", shape = [1], max_bytes = 4 }",
            "c:3:31: the input of application \"a\" has both `shape` and `max_bytes`; \
             expected `shape` for inputs of one size or `max_bytes` for inputs of any size \
             up to a bound",
        ),
        (
            "input = { type = \"strings\", shape = [1] }",
            "c:3:37: the input of application \"a\" has a `shape`, but strings have no \
             shape; expected `max_bytes`",
        ),
        (
            "input = { type = \"f\", shape = [] }",
            "c:3:31: `shape` of the input of application \"a\" has 0 items; expected 1 to 8",
        ),
        (
            "input = { type = \"f\", shape = [1, 1, 1, 1, 1, 1, 1, 1, 1] }",
            "c:3:31: `shape` of the input of application \"a\" has 9 items; expected 1 to 8",
        ),
        (
            "input = { type = \"f\", shape = [0, 2,\n-3, 4294967296] }",
            "c:3:32: `shape` of the input of application \"a\" is 0; expected 1 to \
             4294967295\n\
             c:4:1: `shape` of the input of application \"a\" is -3; expected 1 to \
             4294967295\n\
             c:4:5: `shape` of the input of application \"a\" is 4294967296; expected 1 to \
             4294967295",
        ),
        (
            "input = { type = \"f\", shape = [16777217] }",
            "c:3:31: `shape` of the input of application \"a\" is [16777217], which makes \
             items of 67108868 bytes; an item can have 67108864",
        ),
        (
            "input = { type = \"f\", shape = [65536, 65536] }",
            "c:3:31: `shape` of the input of application \"a\" is [65536, 65536], which \
             makes a shape of more elements than fit in 32 bits",
        ),
        (
            "input = { type = \"d\", shape = [4294967295, 4294967295, 4294967295, 4294967295] }",
            "c:3:31: `shape` of the input of application \"a\" is [4294967295, 4294967295, \
             4294967295, 4294967295], which makes a shape of more elements than fit in 32 bits",
        ),
        (
            "input = { type = \"b\", max_bytes = 0 }",
            "c:3:35: `max_bytes` of the input of application \"a\" is 0; expected 1 to \
             67108864",
        ),
        (
            "input = { type = \"b\", max_bytes = 67108865 }",
            "c:3:35: `max_bytes` of the input of application \"a\" is 67108865; expected 1 \
             to 67108864",
        ),
        (
            "input = { type = \"d\", max_bytes = 12 }",
            "c:3:35: `max_bytes` of the input of application \"a\" is 12; expected a \
             multiple of 8, an element's bytes",
        ),
    ]);
}

#[test]
fn application_values_that_cannot_be_are_refused() {
    let input = "input = { type = \"b\", max_bytes = 67108864 }";
    let long = format!("{input}\ndefault_output = \"{}\"", "x".repeat(4097));
    check_application(&[
        (
            &format!("{input}\nslo_us = 99"),
            "c:4:10: `slo_us` of application \"a\" is 99; expected 100 to 60000000",
        ),
        (
            &format!("{input}\nslo_us = 60000001"),
            "c:4:10: `slo_us` of application \"a\" is 60000001; expected 100 to 60000000",
        ),
        (
            &format!("{input}\nrows = 15"),
            "c:4:8: `rows` of application \"a\" is 15; expected 16 to 4096",
        ),
        (
            &format!("{input}\nrows = 4097"),
            "c:4:8: `rows` of application \"a\" is 4097; expected 16 to 4096",
        ),
        (
            &format!("{input}\nrows = 65"),
            "c:4:8: `rows` of application \"a\" is 65, which with rows of 67108864 bytes \
             makes a pool of 4362076160 bytes; expected at most 64 rows (4294967296 bytes)",
        ),
        (
            &long,
            "c:4:18: `default_output` of application \"a\" has 4097 bytes; expected at \
             most 4096",
        ),
        (
            &format!("{input}\nmodels = [{}]", "\"m\",".repeat(LINKS_MAX + 1)),
            &format!(
                "c:4:10: `models` of application \"a\" has {} items; expected 0 to {LINKS_MAX}",
                LINKS_MAX + 1
            ),
        ),
        (
            &format!("{input}\nmodels = [\"m\"]"),
            "c:4:11: unknown model \"m\" (application \"a\"); expected the name of a \
             [[model]], but there is none",
        ),
    ]);
}

#[test]
fn model_values_that_cannot_be_are_refused() {
    let command = "command = [\"m\"]";
    check_model(&[
        (
            "",
            "c:1:1: model \"m\" has no `command` and [server] has no `socket`, so no \
             container could ever serve it; expected a `command` that starts it or a \
             `socket` where it connects",
        ),
        ("command = []", "c:3:11: `command` of model \"m\" has 0 items; expected 1 to 256"),
        (
            "command = [\"\"]",
            "c:3:12: `command` of model \"m\" is \"\"; expected a program before its \
             arguments",
        ),
        (
            "command = [\"m\",\n\"a\\u0000\"]",
            "c:4:1: `command` of model \"m\" holds a zero byte at 1; neither a path nor an \
             argument may",
        ),
        (
            &format!("{command}\ndirectory = \"\""),
            "c:4:13: `directory` of model \"m\" is \"\"; expected the path of a folder",
        ),
        (
            &format!("{command}\ndirectory = \"a\\u0000\""),
            "c:4:13: `directory` of model \"m\" holds a zero byte at 1; neither a path nor \
             an argument may",
        ),
        (
            &format!("{command}\nreplicas = 0"),
            "c:4:12: `replicas` of model \"m\" is 0; expected 1 to 64",
        ),
        (
            &format!("{command}\nreplicas = 65"),
            "c:4:12: `replicas` of model \"m\" is 65; expected 1 to 64",
        ),
        (
            &format!("{command}\ncpus = []"),
            "c:4:8: `cpus` of model \"m\" has 0 items; expected 1 to 64",
        ),
        (
            &format!("{command}\ncpus = [-1,\n1023, 1024]"),
            "c:4:9: `cpus` of model \"m\" is -1; expected 0 to 1023\n\
             c:5:7: `cpus` of model \"m\" is 1024; expected 0 to 1023",
        ),
        (
            &format!("{command}\nwait = \"sleep\""),
            "c:4:8: `wait` of model \"m\" is \"sleep\"; expected one of: spin, yield, \
             adaptive, block",
        ),
        (
            &format!("{command}\nbatch = {{ policy = \"aimb\", max = 0 }}"),
            "c:4:20: `policy` of the batches of model \"m\" is \"aimb\"; expected one of: \
             aimd, quantile, fixed; did you mean \"aimd\"?\n\
             c:4:34: `max` of the batches of model \"m\" is 0; expected 1 to 4096",
        ),
        (
            &format!("{command}\nbatch = {{ max = 4097 }}"),
            "c:4:17: `max` of the batches of model \"m\" is 4097; expected 1 to 4096",
        ),
        (
            &format!("{command}\nbatch = {{ wait_us = 1000001, cost = \"byte\" }}"),
            "c:4:21: `wait_us` of the batches of model \"m\" is 1000001; expected 0 to 1000000\n\
             c:4:37: `cost` of the batches of model \"m\" is \"byte\"; expected one of: \
             rows, bytes; did you mean \"bytes\"?",
        ),
        (
            &format!("{command}\nbatch = {{ max_cost_bytes = 1 }}"),
            "c:4:28: `max_cost_bytes` of the batches of model \"m\" is only for \
             `cost = \"bytes\"`; leave it out, or set that",
        ),
        (
            &format!("{command}\nbatch_timeout_us = 999"),
            "c:4:20: `batch_timeout_us` of model \"m\" is 999; expected 1000 to 600000000",
        ),
        (
            &format!("{command}\nbatch_timeout_us = 600000001"),
            "c:4:20: `batch_timeout_us` of model \"m\" is 600000001; expected 1000 to \
             600000000",
        ),
    ]);
}
