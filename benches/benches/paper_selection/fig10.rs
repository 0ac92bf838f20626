//! Figure 10: 168 users whose cameras are held in four ways, so that digits come turned by 0, 90,
//! 180 or 270 degrees; and four models, each trained for one of the four. Whoever learns of each
//! user which to trust is soon right; whoever learns of all together cannot be.
//!
//! The four are one network, `mlp-large`. A network that was trained on turned images is that with
//! the weights of its pixels turned, exactly, and so each is served from a file whose weights this
//! bench has turned. The users are real sub-populations in that one model is best for each, and
//! made up in that nobody's handwriting differs.
//!
//! All users go along in step: each is asked some questions that nobody judges, which is what is
//! measured, and then tells what was right of a few more; and so on.

use std::io;
use std::path::Path;

use cutter_bench_support::cores::Cores;
use cutter_bench_support::finding::{Aim, Chart, Finding, percent, rounded};
use cutter_tools::digits::INPUTS;
use serde_json::{Value, json};

use super::asked::{Asked, held_out, order};
use super::client::{Answer, Client};
use super::stage::{Programs, Script, Stage, digits_file};

/// Ways to hold a camera.
const TURNS: usize = 4;
const MODELS: [&str; TURNS] = ["upright", "quarter", "half", "three-quarters"];
const USERS: usize = 168;
const SIDE: usize = 28;
const SLO_US: u64 = 1_000_000;
/// Feedbacks of each user before each measurement.
const FEEDBACKS: [usize; 5] = [0, 1, 2, 4, 8];
/// Questions of each user in a measurement.
const QUESTIONS: usize = 6;
const SEED: u64 = 10;
/// Few words have to do: each counts for much, and no model is ever written off.
const POLICY: &str = "name = \"exp4\"\neta = 1\nshare = 0.05\n";
const PAPER: [&str; 5] = ["36.2 %", "31.2 %", "", "30.4 %", "30.0 %"];

pub fn find(cores: Cores, programs: &Programs) -> io::Result<Finding> {
    let folder = tempfile::tempdir()?;
    let mut script = Script::new(cores, "adaptive")
        .application("personal", &MODELS, SLO_US, &format!("{POLICY}contexts = 1000"))
        .application("global", &MODELS, SLO_US, &format!("{POLICY}contexts = 0"));
    for (turns, model) in MODELS.into_iter().enumerate() {
        let file = folder.path().join(format!("{model}.bin"));
        turn_model(&digits_file("mlp-large.bin"), &file, turns)?;
        script = script.model(model, &programs.command("mlp", &file, &[]), "");
    }
    let stage = Stage::start(&script)?;
    let asked = held_out()?;
    stage.wait_for("personal", MODELS.len(), &asked[0])?;
    let turned: Vec<Vec<Asked>> = (0..TURNS).map(|turns| turned(&asked, turns)).collect();
    let personal = errors(&stage, "personal", &turned)?;
    let global = errors(&stage, "global", &turned)?;
    stage.end()?;
    Ok(finding(&personal, &global))
}

/// The error over all users, after so many feedbacks of each.
fn errors(
    stage: &Stage,
    application: &str,
    turned: &[Vec<Asked>],
) -> io::Result<[f64; FEEDBACKS.len()]> {
    let mut client = stage.client()?;
    let mut errors = [0.0; FEEDBACKS.len()];
    let mut told = 0;
    // Users take their images from one deck, so that none is asked what it has told.
    let most = FEEDBACKS[FEEDBACKS.len() - 1] + FEEDBACKS.len() * QUESTIONS;
    let decks: Vec<Vec<usize>> =
        (0..USERS).map(|user| order(turned[0].len(), most, SEED + user as u64)).collect();
    let mut next = [0; USERS];
    for (measured, feedbacks) in FEEDBACKS.into_iter().enumerate() {
        for step in told..feedbacks + 1 {
            let measures = step == feedbacks;
            for user in 0..USERS {
                let images = &turned[user % TURNS];
                for _ in 0..if measures { QUESTIONS } else { 1 } {
                    let asked = &images[decks[user][next[user]]];
                    next[user] += 1;
                    let wrong = ask(&mut client, application, user, asked, !measures)?;
                    errors[measured] += f64::from(u8::from(wrong && measures));
                }
            }
        }
        told = feedbacks;
    }
    Ok(errors.map(|wrong| wrong / (USERS * QUESTIONS) as f64))
}

/// Asks for a user, and says whether the answer was wrong; tells what was right, or not.
fn ask(
    client: &mut Client,
    application: &str,
    user: usize,
    asked: &Asked,
    tells: bool,
) -> io::Result<bool> {
    let more = format!(",\"uid\":{user}");
    let answer: Answer = client.ask(&asked.query(application, &more))?;
    if tells {
        let _: Value = client.ask(&asked.lesson(application, answer.query_id, &more))?;
    }
    Ok(answer.output != asked.label)
}

/// Where a pixel lies after so many quarter turns.
fn turn(pixel: usize, turns: usize) -> usize {
    (0..turns).fold(pixel, |at, _| (at % SIDE) * SIDE + (SIDE - 1 - at / SIDE))
}

fn turned(asked: &[Asked], turns: usize) -> Vec<Asked> {
    let turned = |of: &Asked| {
        let mut row = of.row;
        (0..INPUTS).for_each(|pixel| row[turn(pixel, turns)] = of.row[pixel]);
        Asked { label: of.label, row }
    };
    asked.iter().map(turned).collect()
}

/// Writes a network for turned images: magic and units, 12 bytes, and then for each unit a weight
/// of one byte for each pixel; the rest stays.
fn turn_model(from: &Path, to: &Path, turns: usize) -> io::Result<()> {
    let mut file = std::fs::read(from)?;
    let units = file.first_chunk::<12>().map(|head| &head[8..]).map(<[u8; 4]>::try_from);
    let Some(Ok(units)) = units else { return Err(io::Error::other("a file of a network")) };
    let weights = u32::from_le_bytes(units) as usize * INPUTS;
    for unit in file[12..12 + weights].chunks_exact_mut(INPUTS) {
        let upright = unit.to_vec();
        (0..INPUTS).for_each(|pixel| unit[turn(pixel, turns)] = upright[pixel]);
    }
    std::fs::write(to, file)
}

fn finding(personal: &[f64; FEEDBACKS.len()], global: &[f64; FEEDBACKS.len()]) -> Finding {
    let rows = (0..FEEDBACKS.len()).map(|at| {
        let ours = [personal[at], global[at]].map(percent);
        std::iter::once(FEEDBACKS[at].to_string())
            .chain(ours)
            .chain([PAPER[at].to_owned()])
            .collect()
    });
    let last = FEEDBACKS.len() - 1;
    let curve = |errors: &[f64]| {
        let points = FEEDBACKS.iter().zip(errors);
        points.map(|(feedbacks, error)| (*feedbacks as f64, *error)).collect()
    };
    Finding {
        title: format!("Figure 10: {USERS} users, images turned in {TURNS} ways, one model each"),
        records: vec![json!({
            "name": "fig10", "feedbacks": FEEDBACKS,
            "personal_error": personal.map(rounded), "global_error": global.map(rounded),
        })],
        head: vec!["feedbacks", "of each user", "of all", "paper"],
        rows: rows.collect(),
        aims: vec![Aim::new(
            personal[last] < global[last],
            format!(
                "after {} feedbacks of each user: {} wrong, and {} if all are one",
                FEEDBACKS[last],
                percent(personal[last]),
                percent(global[last])
            ),
        )],
        notes: vec![
            "made of one network whose weights were turned, and of images that were turned as \
             much: real sub-populations, but no dialects; paper: TIMIT, one model for all 36.2 %, \
             the dialect that a user reports 32.1 %"
                .to_owned(),
        ],
        charts: vec![Chart {
            title: "Errors by what each user has told",
            x: "feedbacks of each user",
            y: "error",
            curves: vec![
                ("learned of each user".to_owned(), curve(personal)),
                ("learned of all".to_owned(), curve(global)),
            ],
            across: Vec::new(),
        }],
    }
}
