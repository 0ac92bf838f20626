//! `cargo bench -p cutter-benches --bench json`: parsing alone. The body of a query with 784
//! floats, by our reader and by two JSON crates, each timed by itself; and what other ways to write
//! numbers cost.

use std::hint::black_box;
use std::io;
use std::time::Instant;

use cutter_bench_support::ROUNDS;
use cutter_bench_support::containers::input;
use cutter_bench_support::cores::Cores;
use cutter_bench_support::inputs::{FLOATS, ROW_BYTES, bodies, bodies_as};
use cutter_bench_support::measurement::{Exchanges, Measurement, Round, Rounds, elapsed_ns};
use cutter_bench_support::options::Options;
use cutter_bench_support::processes::limit_time;
use cutter_bench_support::report::{p50, print_note, print_ratio, print_table, write_json};
use cutter_tools::floor::cores::pin;
use cutter_wire::json::{Rows, read_predict};
use serde::Deserialize;

const PARSES: Exchanges = Exchanges { warm_up: 2_000, recorded: 20_000 };

/// A way to write numbers: its name, and what it makes of so many millionths.
type Form = (&'static str, fn(u32) -> String);

/// How clients write numbers, of millionths: many put a space before each, and Python writes a
/// float as the double that it becomes.
const FORMS: [Form; 5] = [
    ("spaced", |millionths| format!(" 0.{millionths:06}")),
    ("signed", |millionths| {
        format!("{}0.{millionths:06}", if millionths % 2 == 0 { "-" } else { "" })
    }),
    ("pixels", |millionths| (millionths % 256).to_string()),
    ("doubles", |millionths| (f64::from(millionths) / 3e6).to_string()),
    ("exponents", |millionths| format!("{millionths:e}")),
];

/// What the two crates read, as anyone would write it.
#[derive(Deserialize)]
struct Query {
    input: Vec<f32>,
}

/// One row, used again and again.
struct OneRow {
    cells: Box<[u8; ROW_BYTES]>,
    bytes: usize,
}

impl Rows for OneRow {
    fn next_row(&mut self) -> &mut [u8] {
        self.row()
    }

    fn row(&mut self) -> &mut [u8] {
        &mut self.cells[..]
    }

    fn commit(&mut self, bytes: usize) {
        self.bytes = bytes;
    }
}

fn main() -> io::Result<()> {
    let options = Options::read();
    pin(Cores::choose()?.engine)?;
    limit_time();
    let bodies = bodies();
    let forms = FORMS.map(|(name, number)| (name, bodies_as(number)));
    let spec = input();
    let mut row = OneRow { cells: Box::new([0; ROW_BYTES]), bytes: 0 };
    let [mut cutter, mut serde_json, mut sonic_rs] =
        ["cutter", "serde_json", "sonic_rs"].map(Rounds::new);
    let mut others = FORMS.map(|(name, _)| Rounds::new(&format!("cutter_{name}")));
    let mut read = |body: &[u8]| {
        read_predict(body, &spec, 1, &mut row).expect("a good body");
        assert_eq!(black_box(&mut row).bytes, ROW_BYTES);
    };
    for _ in 0..ROUNDS {
        cutter.add(time(&bodies, &mut read));
        for (rounds, (_, bodies)) in others.iter_mut().zip(&forms) {
            rounds.add(time(bodies, &mut read));
        }
        serde_json.add(time(&bodies, |body| {
            let query: Query = serde_json::from_slice(body).expect("a good body");
            assert_eq!(black_box(query).input.len(), FLOATS);
        }));
        sonic_rs.add(time(&bodies, |body| {
            let query: Query = sonic_rs::from_slice(body).expect("a good body");
            assert_eq!(black_box(query).input.len(), FLOATS);
        }));
    }
    let all = [cutter, serde_json, sonic_rs].into_iter().chain(others);
    let each_ns = |of: Measurement| {
        let number_ns = of.p50_ns as f64 / FLOATS as f64;
        of.with("number_ns", number_ns)
    };
    let measurements: Vec<Measurement> = all.map(Rounds::finish).map(each_ns).collect();
    let title = format!("{FLOATS} floats of 6 decimals, {} bytes of JSON, read", bodies[0].len());
    print_table(&title, &measurements, &["number_ns"]);
    print_note("aim for cutter's p50: ≤ 7 µs");
    print_ratio(&measurements, ("serde_json", "cutter"), ("p50", p50), "");
    print_ratio(&measurements, ("sonic_rs", "cutter"), ("p50", p50), "");
    write_json(&options, &measurements)
}

fn time(bodies: &[Vec<u8>], mut parse: impl FnMut(&[u8])) -> Round {
    let mut latencies_ns = Vec::with_capacity(PARSES.recorded);
    let mut begin = Instant::now();
    for (number, body) in (0..PARSES.total()).zip(bodies.iter().cycle()) {
        if number == PARSES.warm_up {
            begin = Instant::now();
        }
        let start = Instant::now();
        parse(black_box(body));
        let latency_ns = elapsed_ns(start);
        if number >= PARSES.warm_up {
            latencies_ns.push(latency_ns);
        }
    }
    Round { latencies_ns, elapsed: begin.elapsed() }
}
