//! How updates are answered: what became of each.

use std::io::Write;

use crate::http::Status;

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learning {
    /// The policy has learned from it.
    Learned,
    /// The answer will never be learned from: it was not shown.
    Withdrawn,
    /// No prediction for this input is known any more. The models are asked again, and then it is
    /// learned.
    Evaluating,
    /// The time in which that answer waits for updates is over. Nothing is learned.
    Late,
    /// That answer was learned from before, or withdrawn. Nothing is learned.
    Duplicate,
    /// No answer has this id.
    Unknown,
    /// The label is not of the kind of what the models say. Nothing is learned.
    OtherLabel,
    /// The models would have to be asked again, and the numbers did not come that the policy looks
    /// at. Nothing is learned.
    NoContext,
    /// There is no room to ask the models again. Nothing is learned.
    Overloaded,
    /// The same: no model can be asked now.
    NotReady,
}

/// What became of an update, and of which answer it was one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Updated {
    pub learning: Learning,
    /// If there is one.
    pub query_id: Option<u64>,
}

impl Learning {
    /// In the order in which they are counted.
    pub const ALL: [Self; 10] = [
        Self::Learned,
        Self::Withdrawn,
        Self::Evaluating,
        Self::Late,
        Self::Duplicate,
        Self::Unknown,
        Self::OtherLabel,
        Self::NoContext,
        Self::Overloaded,
        Self::NotReady,
    ];

    /// The word for programs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Learned => "learned",
            Self::Withdrawn => "withdrawn",
            Self::Evaluating => "evaluating",
            Self::Late => "late",
            Self::Duplicate => "duplicate",
            Self::Unknown => "unknown",
            Self::OtherLabel => "other_label",
            Self::NoContext => "no_context",
            Self::Overloaded => "overloaded",
            Self::NotReady => "not_ready",
        }
    }

    /// How a single update is answered. Several are answered with 200, whatever became of each.
    pub const fn status(self) -> Status {
        match self {
            Self::Learned | Self::Withdrawn => Status::Ok,
            Self::Evaluating | Self::Late => Status::Accepted,
            Self::Duplicate => Status::Conflict,
            Self::Unknown => Status::NotFound,
            Self::OtherLabel | Self::NoContext => Status::BadRequest,
            Self::Overloaded | Self::NotReady => Status::ServiceUnavailable,
        }
    }
}

/// Writes the answer to one update.
pub fn write_updated(out: &mut Vec<u8>, updated: &Updated) {
    let Updated { learning, query_id } = updated;
    write_all(out, format_args!("{{\"status\":\"{}\"", learning.word()));
    if let Some(query_id) = query_id {
        write_all(out, format_args!(",\"query_id\":{query_id}"));
    }
    out.push(b'}');
}

/// Writes the answer to several updates, in their order, and how many came to what.
pub fn write_updates(out: &mut Vec<u8>, updates: &[Updated]) {
    out.extend_from_slice(b"{\"updates\":[");
    for (place, updated) in updates.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write_updated(out, updated);
    }
    out.push(b']');
    for learning in Learning::ALL {
        let count = updates.iter().filter(|updated| updated.learning == learning).count();
        write_all(out, format_args!(",\"{}\":{count}", learning.word()));
    }
    out.push(b'}');
}

fn write_all(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a Vec cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_update_is_answered_with_its_status_and_its_id() {
        let learned = Updated { learning: Learning::Learned, query_id: Some(7) };
        let text = written(|out| write_updated(out, &learned));
        assert_eq!(text, r#"{"status":"learned","query_id":7}"#);
        let evaluating = Updated { learning: Learning::Evaluating, query_id: None };
        let text = written(|out| write_updated(out, &evaluating));
        assert_eq!(text, r#"{"status":"evaluating"}"#);
    }

    #[test]
    fn what_became_of_an_update_has_a_code_of_http() {
        let codes = Learning::ALL.map(|learning| learning.status().code());
        assert_eq!(codes, [200, 200, 202, 202, 409, 404, 400, 400, 503, 503]);
    }

    #[test]
    fn several_are_answered_in_order_and_counted() {
        let updates = [(Learning::Late, 1), (Learning::Learned, 2), (Learning::Late, 3)]
            .map(|(learning, id)| Updated { learning, query_id: Some(id) });
        let text = written(|out| write_updates(out, &updates));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!({
            "updates": [
                {"status": "late", "query_id": 1},
                {"status": "learned", "query_id": 2},
                {"status": "late", "query_id": 3},
            ],
            "learned": 1, "withdrawn": 0, "evaluating": 0, "late": 2, "duplicate": 0, "unknown": 0,
            "other_label": 0, "no_context": 0, "overloaded": 0, "not_ready": 0,
        });
        assert_eq!(value, expected);
    }
}
