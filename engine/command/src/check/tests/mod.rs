//! What is printed, and what a machine is warned of.

mod printed;
mod warned;

use cutter_server::config::{Config, parse};

fn config(text: &str) -> Config {
    parse(text).expect("the text is right").0
}
