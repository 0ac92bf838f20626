//! An engine in a program's own process, asked without a socket: `embedded CONTAINER`, for example
//! `cargo run -p cutter-server --example embedded -- target/debug/sum`.

#![allow(clippy::print_stdout, reason = "it shows what it was answered")]

use std::error::Error;
use std::path::Path;

use cutter_server::asker::Reply;
use cutter_server::config::Config;
use cutter_server::server::{Host, Server};

const CONFIG: &str = r#"
    [[application]]
    name = "sums"
    input = { type = "floats", shape = [4] }
    slo_us = 1_000_000
    models = ["sum"]
    [[model]]
    name = "sum"
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let container = std::env::args().nth(1).ok_or("usage: embedded CONTAINER")?;
    let text = format!("{CONFIG}command = [\"{container}\"]\n[server]\nadmin = \"127.0.0.1:0\"\n");
    let (mut config, _) = Config::from_toml(&text, Path::new("."), "embedded")?;
    config.server.query.clear(); // Nobody else is to ask.
    let mut server = Server::start(config, Host::default())?;
    let mut sums = server.asker("sums")?;
    let input = [1.0f32, 2.0, 3.0, 4.0].map(f32::to_ne_bytes);
    match sums.ask(input.as_flattened())? {
        Reply::Prediction { output, .. } => println!("{}", f32::from_ne_bytes(output.try_into()?)),
        Reply::Default { reason, detail, .. } => println!("{}: {detail}", reason.as_str()),
    }
    server.stop();
    Ok(server.join()?)
}
