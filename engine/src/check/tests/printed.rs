use super::{EXAMPLE, config};
use crate::config::{Facts, FixedLimit, Model, ReplicaBytes, print};

fn printed(text: &str, facts: &Facts<'_>) -> String {
    let mut out = String::new();
    print(&config(text), facts, &mut out).expect("a string takes everything");
    out
}

fn known_outputs(model: &Model) -> ReplicaBytes {
    let outputs = Some(u64::from(model.batch.max()) * 64);
    ReplicaBytes { control: 8192, completions: 4096, outputs }
}

fn unknown_outputs(_: &Model) -> ReplicaBytes {
    ReplicaBytes { control: 8192, completions: 4096, outputs: None }
}

#[test]
fn the_example_is_printed_with_every_limit_and_its_shared_memory() {
    let limits = [FixedLimit::new("connections", 1024, ""), FixedLimit::new("head", 8192, "bytes")];
    let facts = Facts { replica_bytes: known_outputs, limits: &limits };
    assert_eq!(
        printed(EXAMPLE, &facts),
        r#"server
  query           127.0.0.1:1337
  query           unix:/srv/cutter.sock
  admin           127.0.0.1:1338
  socket          none: containers are started by their command
  cpu             0
  wait            adaptive

application digits
  input           float32[784]
  slo             20 ms
  default output  "-1"
  models          softmax
  rows            4096, one every 3136 bytes
  input pool      12845056 bytes (12.3 MiB)

model softmax
  version         1
  command         /srv/softmax weights.bin
  directory       /srv
  applications    digits
  input           float32[784]
  tightest slo    20 ms
  replicas        1
  cpus            1
  wait            adaptive
  batch           aimd, max 1024
  batch timeout   1 s
  control         8192 bytes (8.0 KiB) per replica
  completions     4096 bytes (4.0 KiB) per replica
  outputs         65536 bytes (64.0 KiB) per replica

limits
  applications                64
  models                      64
  query addresses             8
  replicas of all models      256
  one item                    67108864 bytes
  default output              4096 bytes
  connections                 1024
  head                        8192 bytes

shared memory
  input pools     12845056 bytes (12.3 MiB)
  replicas        77824 bytes (76.0 KiB)
  total           12922880 bytes (12.3 MiB)
"#
    );
}

#[test]
fn absent_things_are_printed_as_such() {
    let text = r#"
[server]
socket = "containers.sock"
[[application]]
name = "texts"
input = { type = "strings" }
slo_us = 2500
default_output = "say \"no\"\n"
[[model]]
name = "by-hand"
replicas = 3
batch = { policy = "fixed", max = 1 }
wait = "block"
batch_timeout_us = 1001
[[model]]
name = "pinned"
command = ["python3", "model 1.py", "", "--fast"]
replicas = 3
cpus = [2, 4]
"#;
    let facts = Facts { replica_bytes: unknown_outputs, limits: &[] };
    assert_eq!(
        printed(text, &facts),
        r#"server
  query           127.0.0.1:1337
  admin           127.0.0.1:1338
  socket          unix:/srv/containers.sock
  cpu             not pinned
  wait            adaptive

application texts
  input           string of at most 65536 bytes
  slo             2500 us
  default output  "say \"no\"\n"
  models          none
  rows            1024, one every 65536 bytes
  input pool      67108864 bytes (64.0 MiB)

model by-hand
  version         1
  command         none: started by hand, connects through the socket
  directory       /srv
  applications    none
  input           none
  tightest slo    none
  replicas        3
  cpus            not pinned
  wait            block
  batch           fixed, max 1
  batch timeout   1001 us
  control         8192 bytes (8.0 KiB) per replica
  completions     4096 bytes (4.0 KiB) per replica
  outputs         known when a container has declared its output

model pinned
  version         1
  command         python3 "model 1.py" "" --fast
  directory       /srv
  applications    none
  input           none
  tightest slo    none
  replicas        3
  cpus            2, 4, 2
  wait            adaptive
  batch           aimd, max 1024
  batch timeout   1 s
  control         8192 bytes (8.0 KiB) per replica
  completions     4096 bytes (4.0 KiB) per replica
  outputs         known when a container has declared its output

limits
  applications                64
  models                      64
  query addresses             8
  replicas of all models      256
  one item                    67108864 bytes
  default output              4096 bytes

shared memory
  input pools     67108864 bytes (64.0 MiB)
  replicas        73728 bytes (72.0 KiB), and outputs as containers declare them
  total           67182592 bytes (64.1 MiB), and outputs as containers declare them
"#
    );
}
