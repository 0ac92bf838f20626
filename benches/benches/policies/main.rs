//! `cargo bench -p cutter-benches --bench policies`: the paper's Figure 8, simulated. Five models,
//! 20,000 queries, each answered and then judged; the best model fails from query 5,000 on and
//! heals at 10,000. What each policy gets right, beside each model by itself, and what it costs.
//!
//! - `accuracy`: of all answers, over all seeds; `failing`: while the best model fails.
//! - `first_1000`, `next_1000`: of the first 1,000 answers, which is the price of learning, and of
//!   the next 1,000, which is what was learned.
//! - `recovery`, `healing`: queries until it is right about as often as the best model that there
//!   is, from the failure and from the healing on; empty if it never is.
//! - `cost_ns`: one selection and one observation, as a mean; beside it, as quantiles, of 32 each.

mod contest;
mod world;

use std::io;

use contest::{Course, time};
use cutter_bench_support::ROUNDS;
use cutter_bench_support::cores::Cores;
use cutter_bench_support::measurement::{Measurement, Rounds, median};
use cutter_bench_support::options::Options;
use cutter_bench_support::processes::limit_time;
use cutter_bench_support::report::{print_note, print_table, write_json};
use cutter_core::policy::{
    BetaThompson, EpsilonGreedy, Exp3, Exp4, GaussianThompson, LinUcb, Policy, PolicyError, Static,
    Ucb1, Vote,
};
use cutter_tools::floor::cores::pin;
use world::{ACCURACIES, BEST, FAILS, HEALS, MODELS, QUERIES, Question, questions};

const SEEDS: u64 = 20;

type Named = (String, Box<dyn Policy>);

fn main() -> io::Result<()> {
    let options = Options::read();
    pin(Cores::choose()?.engine)?;
    limit_time();
    let worlds: Vec<Vec<Question>> = (0..SEEDS).map(questions).collect();
    let policies = policies().map_err(io::Error::other)?;
    let measurements: Vec<Measurement> =
        policies.iter().map(|(name, policy)| measure(name, &**policy, &worlds)).collect();
    let title = format!(
        "{MODELS} models, {QUERIES} queries, the best fails from {FAILS} to {HEALS}; {SEEDS} seeds"
    );
    let columns =
        ["cost_ns", "accuracy", "first_1000", "next_1000", "failing", "recovery", "healing"];
    print_table(&title, &measurements, &columns);
    let best = |is_model: bool| {
        let of = measurements.iter().filter(|of| of.name.starts_with("model_") == is_model);
        let accuracy = |of: &&Measurement| of.figure("accuracy").unwrap_or_default();
        let best = of.max_by(|a, b| accuracy(a).total_cmp(&accuracy(b)));
        best.map_or(String::new(), |best| format!("{} {:.4}", best.name, accuracy(&best)))
    };
    print_note(&format!("best policy: {}; best model by itself: {}", best(false), best(true)));
    print_note("aim: exp3_share and exp4 above every model by itself, recovery within 500 queries");
    print_note("Clipper's Exp3, measured (η 0.1): 0.74 at first, 0.90 at the 1,000th query");
    write_json(&options, &measurements)
}

/// Each policy as somebody would take it for models that may fail; and each model by itself.
fn policies() -> Result<Vec<Named>, PolicyError> {
    // What was measured of the models before; the vote does not know that one will fail.
    let weights = std::array::from_fn(|model| ACCURACIES.get(model).copied().unwrap_or_default());
    let policies: [(&str, Box<dyn Policy>); 12] = [
        ("exp3", Box::new(Exp3::new(0.1, 0.0, 0.0)?)),
        ("exp3_share", Box::new(Exp3::new(0.1, 0.01, 1e-5)?)),
        ("exp3_ix", Box::new(Exp3::ix(0.1, 0.0, 1e-5)?)),
        ("exp4", Box::new(Exp4::new(0.3, 0.001)?)),
        ("epsilon_greedy", Box::new(EpsilonGreedy::new(0.05, 0.998)?)),
        ("thompson_beta", Box::new(BetaThompson::new(0.998, 0.0)?)),
        ("thompson_gaussian", Box::new(GaussianThompson::new(0.25, 0.998, 0.0)?)),
        ("ucb1", Box::new(Ucb1::new(1.0)?)),
        ("ucb1_discounted", Box::new(Ucb1::new(0.998)?)),
        ("lin_ucb", Box::new(LinUcb::new(1, 0.5, 0.02)?)),
        ("majority", Box::new(Vote::majority())),
        ("weighted", Box::new(Vote::weighted(weights)?)),
    ];
    let policies = policies.into_iter().map(|(name, policy)| (name.to_owned(), policy));
    let models = (0..MODELS).map(|model| {
        let name = if model == BEST { "model_best".to_owned() } else { format!("model_{model}") };
        (name, Box::new(Static { model }) as Box<dyn Policy>)
    });
    Ok(policies.chain(models).collect())
}

fn measure(name: &str, policy: &dyn Policy, worlds: &[Vec<Question>]) -> Measurement {
    let course = Course::of(policy, worlds);
    let mut rounds = Rounds::new(name);
    let timed = (0..ROUNDS).map(|_| {
        let round = time(policy, &worlds[0]);
        let cost_ns = round.elapsed.as_secs_f64() * 1e9 / round.latencies_ns.len() as f64;
        rounds.add(round);
        cost_ns
    });
    let cost_ns = median(timed.collect::<Vec<_>>().into_iter());
    let queries = |count: Option<usize>| count.map_or(f64::NAN, |count| count as f64);
    rounds
        .finish()
        .with("cost_ns", cost_ns)
        .with("accuracy", course.accuracy(0..QUERIES))
        .with("first_1000", course.accuracy(0..1_000))
        .with("next_1000", course.accuracy(1_000..2_000))
        .with("failing", course.accuracy(FAILS..HEALS))
        .with("recovery", queries(course.recovery()))
        .with("healing", queries(course.healing()))
}
