//! What is said about texts that are not TOML or not of the schema, and how it is said.

use super::{check, errors, with};

#[test]
fn the_place_and_the_reason_of_broken_toml_are_told() {
    check(&[
        ("x", "c:1:2: not valid TOML: key with no value, expected `=`"),
        (
            "[server]\ncpu =",
            "c:2:6: not valid TOML: string values must be quoted, expected literal string",
        ),
        ("[server]\nadmin = 127.0.0.1:1338", "c:2:14: not valid TOML: invalid float"),
        (
            "[server]\nwait = adaptive",
            "c:2:8: not valid TOML: string values must be quoted, expected literal string",
        ),
        ("[server]\ncpu = 01", "c:2:7: not valid TOML: unexpected leading zero"),
        ("[server\ncpu = 1", "c:1:8: not valid TOML: unclosed table, expected `]`"),
        ("[server]\r\ncpu = 1\r\ncpu = 2", "c:3:1: not valid TOML: duplicate key \"cpu\""),
        ("[server]\n[server]", "c:2:2: not valid TOML: duplicate key \"server\""),
        (
            "[server]\n\"a\\nb\" = 1\n\"a\\nb\" = 1",
            "c:3:1: not valid TOML: duplicate key \"\\\"a\\\\n\
             b\\\"\"",
        ),
        ("[[model]]\ncommand = [\"a\",", "c:2:16: not valid TOML: unclosed array, expected `]`"),
        ("[server]\nadmin = \"a", "c:2:11: not valid TOML: invalid basic string, expected `\"`"),
        ("\u{feff}x", "c:1:2: not valid TOML: key with no value, expected `=`"),
        ("# ä\n[\"ä\"] x", "c:2:7: not valid TOML: unexpected key or value, expected newline, `#`"),
    ]);
}

#[test]
fn unknown_keys_are_refused_with_the_known_ones_and_the_nearest() {
    check(&[
        (
            "[servr]",
            "c:1:2: unknown key \"servr\"; expected one of: server, application, model; \
             did you mean \"server\"?",
        ),
        (
            "[clients]",
            "c:1:2: unknown key \"clients\"; expected one of: server, application, model",
        ),
        (
            "[server]\nprot = 1",
            "c:2:1: unknown key \"prot\"; expected one of: query, admin, cpu, wait, socket, \
             state, decision_log",
        ),
        (
            "[server]\nquerry = []",
            "c:2:1: unknown key \"querry\"; expected one of: query, admin, cpu, wait, \
             socket, state, decision_log; did you mean \"query\"?",
        ),
        ("  \"ä\" = 1", "c:1:3: unknown key \"ä\"; expected one of: server, application, model"),
        (
            "\u{feff}port = 1",
            "c:1:1: unknown key \"port\"; expected one of: server, application, model",
        ),
        (
            "\"a`, expected `b\" = 1",
            "c:1:1: unknown key \"a`, expected `b\"; expected one of: server, application, \
             model",
        ),
        (
            "[[application]]\nslo_ms = 20",
            "c:2:1: unknown key \"slo_ms\"; expected one of: name, input, slo_us, \
             default_output, models, policy, rows, json_output; did you mean \"slo_us\"?",
        ),
        (
            "[[application]]\ninput = { typ = \"f\" }",
            "c:2:11: unknown key \"typ\"; expected one of: type, shape, max_bytes; did you \
             mean \"type\"?",
        ),
        (
            "[[application]]\n[application.input]\nsize = 1",
            "c:3:1: unknown key \"size\"; expected one of: type, shape, max_bytes",
        ),
        (
            "[[model]]\nreplica = 1",
            "c:2:1: unknown key \"replica\"; expected one of: name, version, command, \
             directory, replicas, cpus, batch, batch_timeout_us, load_timeout_us, wait, \
             deterministic, cache; did you \
             mean \"replicas\"?",
        ),
        (
            "[[model]]\nbatch = { maximum = 1 }",
            "c:2:11: unknown key \"maximum\"; expected one of: policy, max, \
             wait_us, defer, cost, max_cost_bytes",
        ),
        (
            "[[model]]\nenv = {}",
            "c:2:1: unknown key \"env\"; expected one of: name, version, command, \
             directory, replicas, cpus, batch, batch_timeout_us, load_timeout_us, wait, \
             deterministic, cache",
        ),
    ]);
}

#[test]
fn values_of_a_wrong_type_are_refused_with_what_was_expected() {
    check(&[
        ("server = 3", "c:1:10: found integer `3`; expected a table"),
        (
            "server = [[\"127.0.0.1:1\"], \"127.0.0.1:2\", 1, \"spin\", \"s\"]",
            "c:1:10: found a list; expected a table",
        ),
        ("[[server]]", "c:1:1: found a list; expected a table"),
        (
            "[application]\nname = \"a\"",
            "c:1:1: found a table; expected a list of tables (a header in double brackets)",
        ),
        (
            "model = 1",
            "c:1:9: found integer `1`; expected a list of tables (a header in double \
             brackets)",
        ),
        (
            "[server]\nquery = \"127.0.0.1:1337\"",
            "c:2:9: found string \"127.0.0.1:1337\"; expected a list of strings",
        ),
        ("[server]\nquery = [1337]", "c:2:10: found integer `1337`; expected a string"),
        ("[server]\nadmin = 1338", "c:2:9: found integer `1338`; expected a string"),
        ("[server]\ncpu = \"0\"", "c:2:7: found string \"0\"; expected an integer"),
        ("[server]\ncpu = 0.5", "c:2:7: found floating point `0.5`; expected an integer"),
        ("[server]\ncpu = [0]", "c:2:7: found a list; expected an integer"),
        ("[server]\nwait = true", "c:2:8: found boolean `true`; expected a string"),
        (
            "[[application]]\njson_output = \"json\"",
            "c:2:15: found string \"json\"; expected a boolean",
        ),
        ("[server]\nwait.for = 1", "c:2:1: found a table; expected a string"),
        ("[[application]]\ninput = \"floats\"", "c:2:9: found string \"floats\"; expected a table"),
        (
            "[[application]]\ninput = [\"floats\", [784], 10]",
            "c:2:9: found a list; expected a table",
        ),
        (
            "[[application]]\ninput = { type = \"f\", shape = 784 }",
            "c:2:31: found integer `784`; expected a list of integers",
        ),
        (
            "[[application]]\ninput = { type = \"f\", shape = [\"784\"] }",
            "c:2:32: found string \"784\"; expected an integer",
        ),
        (
            "[[application]]\nmodels = \"m\"",
            "c:2:10: found string \"m\"; expected a list of strings",
        ),
        ("[[model]]\nversion = 1", "c:2:11: found integer `1`; expected a string"),
        (
            "[[model]]\ncommand = \"./softmax weights.bin\"",
            "c:2:11: found string \"./softmax weights.bin\"; expected a list of strings",
        ),
        ("[[model]]\ncpus = 1", "c:2:8: found integer `1`; expected a list of integers"),
        ("[[model]]\nbatch = 1", "c:2:9: found integer `1`; expected a table"),
        ("[[model]]\nbatch = [\"aimd\", 1024]", "c:2:9: found a list; expected a table"),
        (
            "[[model]]\nbatch = \"a\\u0001\\nb\"",
            "c:2:9: found string \"a\\u{1}\\n\
             b\"; expected a table",
        ),
    ]);
}

#[test]
fn all_that_is_wrong_is_told_at_once_in_the_order_of_the_file() {
    let text = with("cpu = -1\nwait = \"spn\"", "slo_us = 1\nrows = 1", "replicas = 0\ncpus = []");
    assert_eq!(
        errors(&text),
        "c:2:7: `cpu` of [server] is -1; expected 0 to 1023\n\
             c:3:8: `wait` of [server] is \"spn\"; expected one of: spin, yield, adaptive, \
             block; did you mean \"spin\"?\n\
             c:9:10: `slo_us` of application \"a\" is 1; expected 100 to 60000000\n\
             c:10:8: `rows` of application \"a\" is 1; expected 16 to 4096\n\
             c:14:12: `replicas` of model \"m\" is 0; expected 1 to 64\n\
             c:15:8: `cpus` of model \"m\" has 0 items; expected 1 to 64"
    );
}

#[test]
fn one_mistake_does_not_cause_another() {
    check(&[
        (
            "[server]\nsocket = \"\"\n[[model]]\nname = \"m\"",
            "c:2:10: `socket` of [server] is \"\"; expected the path of a Unix socket",
        ),
        (
            "[[application]]\nname = \"A\"\ninput = { type = \"s\" }\nmodels = [\"M\"]\n\
             [[model]]\nname = \"M\"\ncommand = [\"m\"]",
            "c:2:8: `name` of application \"A\" is \"A\"; expected 1 to 63 lower-case \
             letters and digits, with `-` or `_` between them\n\
             c:6:8: `name` of model \"M\" is \"M\"; expected 1 to 63 lower-case letters \
             and digits, with `-` or `_` between them",
        ),
    ]);
}

#[test]
fn long_texts_are_shortened_and_control_characters_are_shown_as_escapes() {
    let long = "ä".repeat(100);
    check(&[
        (
            &format!("[server]\nadmin = \"{long}\""),
            &format!(
                "c:2:9: `admin` of [server] is \"{}…\"; expected an IP address with a port, such \
 as \"127.0.0.1:1338\"",
                "ä".repeat(80)
            ),
        ),
        (
            "[server]\nadmin = \"a\\u001b[31m\\n\"",
            "c:2:9: `admin` of [server] is \"a\\u{1b}[31m\\n\
             \"; expected an IP address with a port, such as \"127.0.0.1:1338\"",
        ),
    ]);
}
