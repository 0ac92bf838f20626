//! Asks an application, and tells it at once what was right.

use cutter_machine::clock::monotonic_ns;
use cutter_tools::digits::{DIGITS_FILE, Digit, Digits, DigitsError, Row};
use serde::Deserialize;

use super::LearningError;
use super::connection::Connection;

/// The next image stands so far behind the last one: neighbours were written by the same hand, and
/// are as hard as each other. It has no divisor in common with the number of images.
const STRIDE: usize = 187;

/// All held-out images, each once.
pub fn questions() -> Result<Vec<Question>, DigitsError> {
    let digits: Vec<Digit<'_>> = Digits::from_bytes(DIGITS_FILE)?.held_out().collect();
    let order = (0..digits.len()).map(|place| place * STRIDE % digits.len());
    Ok(order.map(|place| Question::of(digits[place])).collect())
}

/// An image, as it is asked, and the digit that was written.
#[derive(Clone, Debug)]
pub struct Question {
    body: String,
    pub label: i64,
}

impl Question {
    fn of(digit: Digit<'_>) -> Self {
        let row: Row = digit.row();
        let numbers = row.map(|number| number.to_string()).join(",");
        let body = format!("{{\"explain\":true,\"input\":[{numbers}]}}");
        Self { body, label: i64::from(digit.label()) }
    }
}

/// What the server says to a question.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Answer {
    pub query_id: u64,
    pub output: i64,
    pub default: bool,
    #[serde(default)]
    pub reason: Option<String>,
    #[serde(default)]
    pub confidence: f64,
    /// The models that were asked.
    #[serde(default)]
    pub models: Vec<Said>,
    /// From the question to the whole answer, as seen here.
    #[serde(skip)]
    pub latency_ns: u64,
}

/// What a model said, and what that counted for.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Said {
    pub model: String,
    pub weight: f64,
    /// Absent: nothing, until the answer had to go.
    pub output: Option<i64>,
}

impl Answer {
    /// What was said by the model.
    pub fn of(&self, model: &str) -> Option<&Said> {
        self.models.iter().find(|said| said.model == model)
    }

    /// The class for which the models have the most weight together.
    pub fn vote(&self) -> Option<i64> {
        let weight_of = |class: i64| -> f64 {
            let same = self.models.iter().filter(|said| said.output == Some(class));
            same.map(|said| said.weight).sum()
        };
        let classes = self.models.iter().filter_map(|said| said.output);
        classes.max_by(|a, b| weight_of(*a).total_cmp(&weight_of(*b)))
    }
}

/// What the server says to a label.
#[derive(Deserialize)]
struct Told {
    status: String,
}

/// Asks, and tells the label of what was answered.
pub fn ask_and_tell(
    connection: &mut Connection,
    application: &str,
    question: &Question,
) -> Result<Answer, LearningError> {
    let asked_ns = monotonic_ns();
    let mut answer: Answer = connection.post(application, "predict", &question.body)?;
    answer.latency_ns = monotonic_ns() - asked_ns;
    let (query_id, label) = (answer.query_id, question.label);
    let update = format!("{{\"query_id\":{query_id},\"label\":{label}}}");
    let told: Told = connection.post(application, "update", &update)?;
    if told.status != "learned" {
        return Err(LearningError::NotLearned { status: told.status });
    }
    Ok(answer)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// An answer of the models, each with its weight and what it said.
    pub fn answer(models: &[(&str, f64, Option<i64>)]) -> Answer {
        let said = |(model, weight, output): &(&str, f64, Option<i64>)| Said {
            model: (*model).to_owned(),
            weight: *weight,
            output: *output,
        };
        Answer { models: models.iter().map(said).collect(), ..Answer::default() }
    }

    #[test]
    fn every_held_out_image_is_asked_once() {
        let mut bodies: Vec<_> = questions().unwrap().into_iter().map(|one| one.body).collect();
        assert_eq!(bodies.len(), 500);
        bodies.sort();
        bodies.dedup();
        assert_eq!(bodies.len(), 500);
        let body: serde_json::Value = serde_json::from_str(&bodies[0]).unwrap();
        assert_eq!(body["input"].as_array().map(Vec::len), Some(784));
    }

    #[test]
    fn an_answer_is_read_with_what_its_models_said() {
        let text = r#"{"query_id":7,"output":-1,"default":true,"reason":"unsure",
            "default_explanation":"Too few models agree","confidence":0.4,"models":[
            {"model":"a","version":"1","weight":0.0,"after_us":null,"output":null},
            {"model":"b","version":"1","weight":0.69,"after_us":567,"output":3}]}"#;
        let answer: Answer = serde_json::from_str(text).unwrap();
        assert_eq!((answer.query_id, answer.output, answer.default), (7, -1, true));
        assert_eq!(
            (answer.of("a").unwrap().output, answer.of("b").unwrap().output),
            (None, Some(3))
        );
        assert!(answer.of("c").is_none());
        assert_eq!(answer.vote(), Some(3));
    }

    #[test]
    fn the_vote_is_what_has_the_most_weight_together() {
        let all = [("a", 0.4, Some(1)), ("b", 0.3, Some(2)), ("c", 0.3, Some(2)), ("d", 0.9, None)];
        assert_eq!(answer(&all).vote(), Some(2));
        assert_eq!(answer(&[]).vote(), None);
    }
}
