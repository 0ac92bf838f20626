//! Figure 7: what an ensemble of the five models errs, beside each of them; and what it errs, and
//! how often it speaks, where at least four or all five agree.
//!
//! Two policies are served over the same models: a vote, and Exp4, which learns whom to trust. So
//! that it is asked of no image that it has learned from, it learns from one half of the images
//! for the context `first`, and is asked of the other half; and the other way for `second`.

use std::collections::BTreeMap;
use std::io;

use cutter_bench_support::cores::Cores;
use cutter_bench_support::finding::{Aim, Finding, percent, rounded, share};
use serde_json::{Value, json};

use super::asked::{Asked, held_out};
use super::client::Answer;
use super::stage::{MODELS, Programs, Script, Stage};

const SLO_US: u64 = 1_000_000;

/// One image.
#[derive(Debug)]
struct Judged {
    label: i64,
    answer: Answer,
}

pub fn find(cores: Cores, programs: &Programs) -> io::Result<Finding> {
    let asked = held_out()?;
    let mut script = Script::new(cores, "adaptive")
        .application("vote", &MODELS, SLO_US, "name = \"vote\"")
        .application("exp4", &MODELS, SLO_US, "name = \"exp4\"");
    for model in MODELS {
        script = script.model(model, &programs.of_model(model), "");
    }
    let stage = Stage::start(&script)?;
    stage.wait_for("vote", MODELS.len(), &asked[0])?;
    let vote = judge(&stage, "vote", &asked, "")?;
    let (first, second) = asked.split_at(asked.len() / 2);
    let mut exp4 = Vec::new();
    for (context, learned, judged) in [("first", first, second), ("second", second, first)] {
        let more = format!(",\"context\":\"{context}\"");
        learn(&stage, learned, &more)?;
        exp4.extend(judge(&stage, "exp4", judged, &more)?);
    }
    stage.end()?;
    Ok(finding(&vote, &exp4))
}

fn judge(stage: &Stage, application: &str, of: &[Asked], more: &str) -> io::Result<Vec<Judged>> {
    let mut client = stage.client()?;
    let more = format!("{more},\"explain\":true");
    let judged = of.iter().map(|asked| {
        let answer = client.ask(&asked.query(application, &more))?;
        Ok(Judged { label: asked.label, answer })
    });
    judged.collect()
}

fn learn(stage: &Stage, of: &[Asked], more: &str) -> io::Result<()> {
    let mut client = stage.client()?;
    for asked in of {
        let answer: Answer = client.ask(&asked.query("exp4", more))?;
        let _: Value = client.ask(&asked.lesson("exp4", answer.query_id, more))?;
    }
    Ok(())
}

impl Judged {
    fn is_wrong(&self) -> bool {
        self.answer.output != self.label
    }

    /// Whether so many of the models agree with the answer.
    fn agree(&self, models: usize) -> bool {
        self.answer.confidence * MODELS.len() as f64 > models as f64 - 0.5
    }
}

fn errs<'a>(of: impl IntoIterator<Item = &'a Judged>) -> f64 {
    share(of.into_iter().map(Judged::is_wrong))
}

/// The share of images where so many models agree, what is wrong of those, and of the others.
fn at_agreement(of: &[Judged], models: usize) -> [f64; 3] {
    let sure = || of.iter().filter(|judged| judged.agree(models));
    let others = of.iter().filter(|judged| !judged.agree(models));
    [sure().count() as f64 / of.len() as f64, errs(sure()), errs(others)]
}

fn finding(vote: &[Judged], exp4: &[Judged]) -> Finding {
    let alone = MODELS.map(|model| {
        share(vote.iter().map(|judged| judged.answer.said(model) != Some(judged.label)))
    });
    let best_single = alone.into_iter().fold(1.0, f64::min);
    let ensembles = [("vote", vote), ("exp4", exp4)];
    let row = |(name, of): (&str, &[Judged])| -> Vec<String> {
        let agreed = [4, 5].map(|models| at_agreement(of, models).map(percent));
        let cells = agreed.into_iter().flatten();
        [name.to_owned(), percent(errs(of))].into_iter().chain(cells).collect()
    };
    let alone_row = |(model, error): (&str, f64)| vec![model.to_owned(), percent(error)];
    let mut rows: Vec<Vec<String>> = MODELS.into_iter().zip(alone).map(alone_row).collect();
    rows.extend(ensembles.map(row));
    let paper = [
        ["paper, CIFAR", "8.45 %", "80.35 %", "6.10 %", "18.07 %", "40.5 %", "2.35 %", "12.6 %"],
        ["paper, ImageNet", "5.86 %", "95.7 %", "4.69 %", "31.8 %", "84.4 %", "3.27 %", "19.8 %"],
    ];
    rows.extend(paper.map(|row| row.map(str::to_owned).to_vec()));
    let record = |of: &[Judged]| {
        let agreed = |models: usize| {
            let [coverage, error, rest] = at_agreement(of, models).map(rounded);
            json!({ "coverage": coverage, "error": error, "rest_error": rest })
        };
        json!({ "error": rounded(errs(of)), "agree_4": agreed(4), "agree_5": agreed(5) })
    };
    let errors: BTreeMap<_, _> = MODELS.into_iter().zip(alone.map(rounded)).collect();
    let (four, five) = (at_agreement(vote, 4), at_agreement(vote, 5));
    Finding {
        title: format!("Figure 7: the error of ensembles, {} digits", vote.len()),
        records: vec![json!({
            "name": "fig7", "vote": record(vote), "exp4": record(exp4),
            "best_single_error": rounded(best_single),
            "models": errors,
        })],
        head: vec!["", "error", "4 agree", "error", "rest", "5 agree", "error", "rest"],
        rows,
        aims: vec![
            Aim::new(
                five[1] < four[1] && four[1] < errs(vote),
                "the more models agree, the less is wrong".to_owned(),
            ),
            Aim::new(
                errs(exp4).min(errs(vote)) <= best_single,
                format!(
                    "an ensemble is at least as good as the best model, {}",
                    percent(best_single)
                ),
            ),
        ],
        notes: vec![
            "the paper's best models erred 9.15 % and 6.18 %, hardly less than its second best; \
             here the best is 3 times as good as the second, so that a vote of equals can only \
             lose, and what there is to be learned is to follow it"
                .to_owned(),
        ],
        charts: Vec::new(),
    }
}
