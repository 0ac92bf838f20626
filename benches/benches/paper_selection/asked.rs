//! What is asked: the digits that no model has seen, each with its class.

use std::io;

use cutter_bench_support::served::request;
use cutter_core::policy::Random;
use cutter_tools::digits::{DIGITS_FILE, Digits, Row};

/// An image and its class.
#[derive(Clone, Debug)]
pub struct Asked {
    pub label: i64,
    pub row: Row,
}

impl Asked {
    /// A query of an application; `more` stands beside its input.
    pub fn query(&self, application: &str, more: &str) -> Vec<u8> {
        let body = format!("{{\"input\":{}{more}}}", json(&self.row));
        request(&format!("/{application}/predict"), body.as_bytes())
    }

    /// The update that tells the class of an image whose answer had this id.
    pub fn lesson(&self, application: &str, query_id: u64, more: &str) -> Vec<u8> {
        let body = format!("{{\"query_id\":{query_id},\"label\":{}{more}}}", self.label);
        request(&format!("/{application}/update"), body.as_bytes())
    }

    /// Updates that tell the classes of images by their inputs.
    pub fn lessons(of: &[Self], application: &str) -> Vec<u8> {
        let lesson =
            |asked: &Self| format!("{{\"input\":{},\"label\":{}}}", json(&asked.row), asked.label);
        let lessons: Vec<String> = of.iter().map(lesson).collect();
        let body = format!("{{\"updates\":[{}]}}", lessons.join(","));
        request(&format!("/{application}/update"), body.as_bytes())
    }
}

/// All that were held out, in the order of the data set.
pub fn held_out() -> io::Result<Vec<Asked>> {
    let digits = Digits::from_bytes(DIGITS_FILE).map_err(io::Error::other)?;
    let asked = |digit: cutter_tools::digits::Digit<'_>| Asked {
        label: i64::from(digit.label()),
        row: digit.row(),
    };
    Ok(digits.held_out().map(asked).collect())
}

/// Places of `of` things, as often as it takes for `count`: all of them, mixed, again and again.
pub fn order(of: usize, count: usize, seed: u64) -> Vec<usize> {
    let mut random = Random::new(seed);
    let mut order = Vec::with_capacity(count + of);
    while order.len() < count {
        let first = order.len();
        order.extend(0..of);
        for place in (1..of).rev() {
            order.swap(first + place, first + below(place + 1, &mut random));
        }
    }
    order.truncate(count);
    order
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number below `n`")]
fn below(n: usize, random: &mut Random) -> usize {
    (random.uniform() * n as f64) as usize
}

fn json(row: &Row) -> String {
    let numbers: Vec<String> = row.iter().map(f32::to_string).collect();
    format!("[{}]", numbers.join(","))
}
