//! What is read, what is refused, and in which words.

mod alone;
mod anything;
mod defaults;
mod documented;
mod held;
mod limits;
mod links;
mod load;
mod policies;
mod refused_policies;
mod refused_text;
mod refused_values;
mod warnings;

use std::path::Path;

use super::{Config, Warning};

/// A whole configuration, as in the README.
const EXAMPLE: &str = r#"[server]
query = ["127.0.0.1:1337", "unix:cutter.sock"]
admin = "127.0.0.1:1338"
cpu = 0                       # the engine thread's core
wait = "adaptive"             # spin, yield, adaptive, block

[[application]]
name = "digits"
input = { type = "floats", shape = [784] }   # bytes, integers, floats, doubles, strings
slo_us = 20000
default_output = "-1"
models = ["softmax"]

[[model]]
name = "softmax"
version = "1"
command = ["./softmax", "weights.bin"]
replicas = 1
cpus = [1]
batch = { policy = "aimd", max = 1024 }
"#;

/// The least that makes one application and one model.
const LEAST: &str = r#"
[[application]]
name = "a"
input = { type = "strings" }
models = ["m"]
[[model]]
name = "m"
command = ["m"]
"#;

fn read(text: &str) -> (Config, Vec<Warning>) {
    Config::from_toml(text, Path::new("/srv"), "cutter.toml").expect("the text is right")
}

fn config(text: &str) -> Config {
    read(text).0
}

fn errors(text: &str) -> String {
    let errors = Config::from_toml(text, Path::new("/srv"), "c").expect_err("the text is wrong");
    errors.to_string()
}

fn warnings(text: &str) -> String {
    let warnings = read(text).1;
    let lines: Vec<String> = warnings.iter().map(Warning::to_string).collect();
    lines.join("\n")
}

/// Two models, and an application that asks them by a policy of which these are the lines, from
/// line 12 on.
fn policy(lines: &str) -> String {
    let model = |name: &str| format!("[[model]]\nname = \"{name}\"\ncommand = [\"m\"]\n");
    let application = "[[application]]\nname = \"a\"\ninput = { type = \"s\" }";
    let models = "models = [\"m\", \"n\"]\n[application.policy]";
    format!("{}{}{application}\n{models}\n{lines}\n", model("m"), model("n"))
}

/// [`LEAST`] with lines of `[server]`, of the application and of the model.
fn with(server: &str, application: &str, model: &str) -> String {
    let (applications, models) = LEAST.split_once("[[model]]").expect("LEAST has a model");
    format!("[server]\n{server}\n{applications}{application}\n[[model]]{models}{model}\n")
}

/// Each text with its errors, one line each.
fn check(table: &[(&str, &str)]) {
    for (text, expected) in table {
        assert_eq!(errors(text), *expected, "{text}");
    }
}
