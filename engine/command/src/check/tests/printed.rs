use cutter_server::limits::sums;

use super::config;
use crate::check::{TABLES, print, resolved};

const EXAMPLE: &str = r#"[server]
query = ["127.0.0.1:1337", "unix:cutter.sock"]
admin = "127.0.0.1:1338"
cpu = 0

[[application]]
name = "digits"
input = { type = "floats", shape = [784] }
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

fn printed(text: &str) -> String {
    let mut out = String::new();
    resolved::print(&config(text), &mut out).expect("a string takes everything");
    out
}

fn whole(text: &str, warnings: &[&str]) -> String {
    let mut out = String::new();
    print(&config(text), warnings, &mut out).expect("a string takes everything");
    out
}

#[test]
fn the_example_is_printed_resolved() {
    assert_eq!(
        printed(EXAMPLE),
        r#"server
  query           127.0.0.1:1337
  query           unix:/cutter.sock
  admin           127.0.0.1:1338
  socket          none: containers are started by their command
  cpu             0
  wait            adaptive
  state           in the state directory of the platform
  decision log    none

application digits
  input           float32[784]
  slo             20 ms
  default output  "-1"
  models          softmax
  policy          none: the first model is asked
  rows            4096, one every 3136 bytes
  input pool      12845056 bytes (12.3 MiB)
  taken at start  all of it
  request body    at most 45064192 bytes (43.0 MiB)
  string outputs  strings

model softmax
  version         1
  command         /softmax weights.bin
  directory       /
  applications    digits
  input           float32[784]
  tightest slo    20 ms
  replicas        1
  cpus            1
  wait            adaptive
  batch           aimd, max 1024
  batch timeout   1 s
  load timeout    none
  cache           none
  control         33280 bytes (32.5 KiB) per replica
  completions     29056 bytes (28.4 KiB) per replica
  outputs         at most 201326592 bytes (192.0 MiB) per replica, as a container declares
"#
    );
}

#[test]
fn policies_caches_and_what_is_kept_are_printed_in_a_line_each() {
    let text = r#"
[server]
state = "none"
[server.decision_log]
directory = "decisions"
sample = 0.25
[[application]]
name = "a"
input = { type = "strings" }
models = ["m", "n", "o"]
[application.policy]
name = "exp3"
mode = "apprentice"
baseline = "n"
substitute = "last"
caps = { m = 0.5 }
off = ["o"]
hedge = true
[[application]]
name = "b"
input = { type = "strings" }
models = ["m", "n"]
policy = { name = "vote", unsure_below = 0.6, contexts = 0, feedback_window = 100 }
[[model]]
name = "m"
command = ["m"]
cache = { bytes = 1048576, ttl_us = 2500 }
[[model]]
name = "n"
command = ["n"]
cache = {}
[[model]]
name = "o"
command = ["o"]
"#;
    let printed = printed(text);
    let kept = ["state", "decision log", "policy", "cache"];
    let lines = printed.lines().map(str::trim_start);
    let found: Vec<&str> =
        lines.filter(|line| kept.iter().any(|key| line.starts_with(&format!("{key}  ")))).collect();
    let expected = [
        "state           none: what is learned is gone with the server",
        "decision log    /decisions, 16 files of 67108864 bytes (64.0 MiB), a share of 0.25",
        "policy          exp3, apprentice beside n, substitute last, feedback within 60 s for \
         65536 decisions, 10000 contexts, o off, m at most 0.5, hedged up to 0.05",
        "policy          vote, online, unsure below 0.6, substitute nothing, feedback within 60 s \
         for 100 decisions, 0 contexts",
        "cache           1048576 bytes (1.0 MiB), outputs for 2500 us",
        "cache           67108864 bytes (64.0 MiB)",
        "cache           none",
    ];
    assert_eq!(found, expected);
}

#[test]
fn absent_things_are_printed_as_such() {
    let text = r#"
[server]
socket = "containers.sock"
[[application]]
name = "texts"
input = { type = "strings", max_bytes = 6291456 }
slo_us = 2500
default_output = "say \"no\"\n"
json_output = true
[[model]]
name = "by-hand"
replicas = 3
batch.policy = "fixed"
batch.max = 1
batch.wait_us = 2000
batch.defer = true
batch.exclusive = true
batch.cost = "bytes"
batch.max_cost_bytes = 4096
wait = "block"
batch_timeout_us = 1001
load_timeout_us = 90000000
[[model]]
name = "pinned"
command = ["python3", "model 1.py", "", "--fast"]
replicas = 3
cpus = [2, 4]
"#;
    assert_eq!(
        printed(text),
        r#"server
  query           127.0.0.1:1337
  admin           127.0.0.1:1338
  socket          unix:/containers.sock
  cpu             not pinned
  wait            adaptive
  state           in the state directory of the platform
  decision log    none

application texts
  input           string of at most 6291456 bytes
  slo             2500 us
  default output  "say \"no\"\n"
  models          none
  policy          none: the first model is asked
  rows            170, one every 6291456 bytes
  input pool      1069547520 bytes (1020.0 MiB)
  taken at start  10 rows, 62914560 bytes (60.0 MiB); the others when they are first used
  request body    at most 67108864 bytes (64.0 MiB)
  string outputs  a string that is JSON is embedded as JSON

model by-hand
  version         1
  command         none: started by hand, connects through the socket
  directory       /
  applications    none
  input           none
  tightest slo    none
  replicas        3
  cpus            not pinned
  wait            block
  batch           fixed, max 1, waits for 2 ms, deferred, alone, by bytes, max 4096 bytes (4.0 KiB)
  batch timeout   1001 us
  load timeout    90 s
  cache           none
  control         768 bytes per replica
  completions     12928 bytes (12.6 KiB) per replica
  outputs         at most 201326592 bytes (192.0 MiB) per replica, as a container declares

model pinned
  version         1
  command         python3 "model 1.py" "" --fast
  directory       /
  applications    none
  input           none
  tightest slo    none
  replicas        3
  cpus            2, 4, 2
  wait            adaptive
  batch           aimd, max 1024
  batch timeout   1 s
  load timeout    none
  cache           none
  control         33280 bytes (32.5 KiB) per replica
  completions     29056 bytes (28.4 KiB) per replica
  outputs         at most 201326592 bytes (192.0 MiB) per replica, as a container declares
"#
    );
}

#[test]
fn every_limit_of_every_table_is_printed_with_its_unit_and_its_note() {
    let text = whole(EXAMPLE, &[]);
    let limits: Vec<_> = TABLES.iter().flat_map(|table| table.iter()).collect();
    assert!(limits.len() > 128);
    for limit in limits {
        let begin = format!("  {} ", limit.name);
        let is_line = |line: &&str| line.starts_with(&begin) && line.ends_with(limit.note);
        let line = text.lines().find(is_line).unwrap_or_else(|| panic!("{limit} is missing"));
        let figure = format!(" {} {}", limit.value, limit.unit);
        assert!(line.contains(&figure), "{line:?} should hold {figure:?}");
    }
    for line in [
        "\nlimits: HTTP\n  HEAD_BYTES_MAX                    16384 bytes (16.0 KiB)",
        "\n  KEEP_ALIVE_IDLE_NS                75000000000 ns (75 s)",
        "\n  SLO_US_DEFAULT                    20000 us (20 ms)",
        "\n  SERVICE_GAIN                      0.0625 of the difference",
    ] {
        assert!(text.contains(line), "{line:?} is missing in {text}");
    }
}

#[test]
fn every_sum_is_printed_with_its_holders() {
    let text = whole(EXAMPLE, &[]);
    for sum in sums::all(&config(EXAMPLE)) {
        let head = format!("\nsum: {} = {} {}", sum.resource, sum.total(), sum.unit);
        assert!(text.contains(&head), "{head:?} is missing in {text}");
    }
    let bytes_in = "\nsum: bytes in = 939524096 bytes (896.0 MiB)\n  \
                    shares of connections                   4096 x 65536 = 268435456\n  \
                    beyond the shares                       1 x 536870912 = 536870912\n";
    assert!(text.contains(bytes_in), "{text}");
}

#[test]
fn warnings_are_counted_at_the_end() {
    assert!(whole(EXAMPLE, &[]).ends_with("\n\nno warnings\n"));
    assert!(whole(EXAMPLE, &["a"]).ends_with("\n\n1 warning\n  a\n"));
    assert!(whole(EXAMPLE, &["a", "b"]).ends_with("\n\n2 warnings\n  a\n  b\n"));
}

#[test]
fn a_model_is_printed_with_its_version_where_its_name_has_several() {
    let text = "[[application]]\nname = \"a\"\ninput = { type = \"strings\" }\n\
                models = [\"m:2\", \"n\", \"m:1\"]\n\
                [[model]]\nname = \"m\"\ncommand = [\"m\"]\n\
                [[model]]\nname = \"m\"\nversion = \"2\"\ncommand = [\"m\"]\n\
                [[model]]\nname = \"n\"\nversion = \"5\"\ncommand = [\"n\"]\n";
    let text = whole(text, &[]);
    for line in [
        "\n  models          m:2, n, m:1\n",
        "\nmodel m\n  version         1\n",
        "\nmodel m\n  version         2\n",
        "\nmodel n\n  version         5\n",
        "\n  replicas of m:2 ",
        "\n  replicas of n ",
    ] {
        assert!(text.contains(line), "{line:?} is missing in {text}");
    }
}
