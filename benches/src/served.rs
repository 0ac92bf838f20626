//! What the benches over HTTP have served: one application of 784 floats, `bench`, and its model.

use std::path::Path;

use crate::cores::Cores;

/// The application's promise; far above what a query takes, so that none is answered late.
const SLO_US: u64 = 1_000_000;

/// A configuration with free ports. The model runs on the clients' core.
pub fn configuration(model: &Path, cores: Cores, wait: &str, query: &str) -> String {
    let Cores { engine, other } = cores;
    let model = model.display();
    format!(
        r#"
[server]
query = ["{query}"]
admin = "127.0.0.1:0"
cpu = {engine}
wait = "{wait}"

[[application]]
name = "bench"
input = {{ type = "floats", shape = [784] }}
slo_us = {SLO_US}
default_output = "-1"
models = ["model"]

[[model]]
name = "model"
command = ["{model}"]
cpus = [{other}]
wait = "{wait}"
"#
    )
}

/// A query over HTTP with this body.
pub fn request(body: &[u8]) -> Vec<u8> {
    let bytes = body.len();
    let mut request = format!(
        "POST /bench/predict HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/json\r\nContent-Length: {bytes}\r\n\r\n"
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}
