//! A server with a policy of one's own: `my-cutter CONFIG` serves as `cutter serve` does, and its
//! configurations may name the policy `softmax`.
//!
//! To have another: copy this folder, write another [`Policy`] in place of [`Softmax`], register
//! it under its name, and leave `main` as it is. Servers store what a policy has learned: its
//! [`FORMAT`] has four letters of its own, and a version that goes up when its words mean
//! something else. With this in `cutter.toml`
//!
//! ```toml
//! [server]
//! query = ["127.0.0.1:1337"]
//! admin = "127.0.0.1:1338"
//!
//! [[application]]
//! name = "sums"
//! input = { type = "floats", shape = [4] }
//! slo_us = 1_000_000
//! models = ["sum:1", "sum:2"]
//!
//! [application.policy]
//! name = "softmax"
//! parameters = { temperature = 0.2, discount = 0.99 }
//! outputs = "value"
//! loss = "absolute"
//! range = 10
//!
//! [[model]]
//! name = "sum"
//! version = "1"
//! command = ["target/debug/sum"]
//!
//! [[model]]
//! name = "sum"
//! version = "2"
//! command = ["target/debug/sum"]
//! ```
//!
//! it is run, and asked, so:
//!
//! ```console
//! $ cargo build -p cutter-examples --bin sum
//! $ cargo run -p cutter-policy-example -- cutter.toml &
//! $ curl -d '{"input": [1, 2, 3, 4]}' 127.0.0.1:1337/sums/predict
//! ```

use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use cutter_core::policy::{Ask, Choice, Feedback, Format, Policy, PolicyError, State};
use cutter_server::config::Config;
use cutter_server::control::Signals;
use cutter_server::policies::{Policies, PolicyParameters};
use cutter_server::server::{Host, Server, StartError, raise_descriptor_limit};

#[cfg(test)]
mod tests;

/// Who reads a state, and what its words are: for each model how often it was seen, and what it
/// has earned, where what is older counts for less.
const FORMAT: Format = Format { policy: *b"soft", version: 1 };
const WORDS: usize = 2;

/// One model is asked, with a probability in proportion to `exp(mean reward / temperature)`
/// (Sutton and Barto, "Reinforcement learning", 1998, section 2.3). One that was not seen yet
/// counts as perfect.
#[derive(Debug)]
struct Softmax {
    temperature: f64,
    discount: f64,
}

impl Softmax {
    fn make(parameters: &PolicyParameters) -> Result<Box<dyn Policy>, String> {
        let mut softmax = Self { temperature: 0.1, discount: 0.99 };
        for (name, number) in parameters.iter() {
            let (parameter, least, most) = match name {
                "temperature" => (&mut softmax.temperature, 0.01, 10.0),
                "discount" => (&mut softmax.discount, 0.5, 1.0),
                _ => return Err(format!("`{name}` is neither `temperature` nor `discount`")),
            };
            if !(least..=most).contains(&number) {
                return Err(format!("`{name}` is {number}; give a number from {least} to {most}"));
            }
            *parameter = number;
        }
        Ok(Box::new(softmax))
    }
}

impl Policy for Softmax {
    fn init(&self, models: usize) -> State {
        State::new(FORMAT, models, std::iter::repeat_n(0.0, WORDS * models))
    }

    fn is_sound(&self, state: &State) -> bool {
        let (pairs, _) = state.words().as_chunks::<WORDS>();
        pairs.iter().all(|[count, rewards]| (0.0..=*count).contains(rewards))
    }

    fn choose(&self, state: &State, ask: &Ask<'_>) -> Result<Choice, PolicyError> {
        let (pairs, _) = state.words().as_chunks::<WORDS>();
        let mean = |model: usize| {
            let [count, rewards] = pairs[model];
            if count > 0.0 { rewards / count } else { 1.0 }
        };
        // Beside the best, so that not all of them round to nothing.
        let best = ask.servable.iter().map(mean).fold(0.0, f64::max);
        let weight = |model: usize| ((mean(model) - best) / self.temperature).exp();
        let sum: f64 = ask.servable.iter().map(weight).sum();
        Ok(Choice::One(std::array::from_fn(|model| {
            if ask.servable.contains(model) { weight(model) / sum } else { 0.0 }
        })))
    }

    fn observe(&self, state: &mut State, feedback: &Feedback<'_>) -> Result<(), PolicyError> {
        state.words_mut().iter_mut().for_each(|word| *word *= self.discount);
        let (pairs, _) = state.words_mut().as_chunks_mut::<WORDS>();
        for seen in feedback.seen() {
            let [count, rewards] = &mut pairs[seen.model];
            *count += 1.0;
            *rewards += 1.0 - seen.loss;
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("my-cutter: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: my-cutter CONFIG")?;
    // Before anything is made that an end would leave behind.
    let signals = Signals::install()?;
    let mut policies = Policies::default();
    policies.register("softmax", Softmax::make);
    let (config, warnings) = Config::load_with(Path::new(&path), &policies)?;
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    raise_descriptor_limit();
    let host = Host { signals: Some(signals), ..Host::default() };
    let server = match Server::start(config, host) {
        Err(StartError::Ended) => return Ok(()),
        started => started?,
    };
    let mut addresses = String::new();
    server.addresses().iter().try_for_each(|address| write!(addresses, " {address}"))?;
    tracing::info!("taking queries on{addresses}, admin on {}", server.admin());
    Ok(server.join()?)
}
