//! Which application a request is for.
//!
//! `/{application}/predict`, with or without a final slash, and percent-decoded once where it has
//! escapes. No application's name has a percent sign, so that most paths are compared as they are.

use std::borrow::Cow;

use super::Problem;
use crate::http::{BadEscape, Head, Method, decode_path_segment};

/// Who knows the applications.
pub trait Directory {
    /// What an application is known by.
    type Id: Copy;

    /// The application with this name.
    fn find(&self, name: &[u8]) -> Option<Self::Id>;

    /// The names of all of them, to be told to who asks for another.
    fn names(&self) -> Vec<&str>;
}

/// The application that a path names.
#[inline]
pub fn application_at<D: Directory>(path: &str, directory: &D) -> Option<D::Id> {
    named_in(path)
        .and_then(|name| directory.find(name.as_bytes()))
        .or_else(|| directory.find(&decoded_name_in(path).ok()??))
}

/// The application that a request is for, if it asks for a prediction.
pub fn route<D: Directory>(head: &Head<'_>, directory: &D) -> Result<D::Id, Problem> {
    let Some(application) = application_at(head.path, directory) else {
        return Err(unknown(head.path, directory));
    };
    match head.method {
        Method::Post if head.is_encoded => Err(Problem::Encoded),
        Method::Post => Ok(application),
        Method::Options => Err(Problem::Options),
        Method::Get | Method::Head | Method::Other => Err(Problem::Method),
    }
}

/// Whether the version that a body asks for, if any, is that of the application's model, of which
/// name and version are given.
pub fn check_version(asked: Option<&str>, model: Option<(&str, &str)>) -> Result<(), Problem> {
    match (asked, model) {
        (None, _) => Ok(()),
        (Some(asked), Some((_, current))) if asked == current => Ok(()),
        (Some(asked), Some((model, current))) => Err(Problem::Version {
            asked: asked.to_owned(),
            model: model.to_owned(),
            current: current.to_owned(),
        }),
        (Some(asked), None) => Err(Problem::VersionOfNothing { asked: asked.to_owned() }),
    }
}

/// What is wrong with a path that names no application.
#[cold]
fn unknown(path: &str, directory: &impl Directory) -> Problem {
    // Only OPTIONS can ask for the server as a whole.
    if path == "*" {
        return Problem::Options;
    }
    match decoded_name_in(path) {
        Err(BadEscape) => Problem::Escape { path: path.to_owned() },
        Ok(None) => Problem::UnknownPath { path: path.to_owned() },
        Ok(Some(name)) => {
            let known = directory.names();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let found = String::from_utf8_lossy(&name).into_owned();
            Problem::UnknownApplication { found, known }
        }
    }
}

fn named_in(path: &str) -> Option<&str> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    path.strip_suffix("/predict").filter(|name| !name.contains('/'))
}

/// The same for any path, percent-decoded.
fn decoded_name_in(path: &str) -> Result<Option<Cow<'_, [u8]>>, BadEscape> {
    let segments = path.split('/').map(decode_path_segment);
    let mut segments = segments.collect::<Result<Vec<_>, BadEscape>>()?;
    if segments.len() == 4 && segments[3].is_empty() {
        segments.pop();
    }
    match &mut segments[..] {
        [start, name, predict] if start.is_empty() && predict[..] == b"predict"[..] => {
            Ok(Some(std::mem::take(name)))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{RequestReader, Status, Step};

    struct Names<'a>(&'a [&'a str]);

    impl Directory for Names<'_> {
        type Id = usize;

        fn find(&self, name: &[u8]) -> Option<usize> {
            self.0.iter().position(|known| known.as_bytes() == name)
        }

        fn names(&self) -> Vec<&str> {
            self.0.to_vec()
        }
    }

    /// What a request with this line, these fields and no body is routed to.
    fn routed(line: &str, fields: &str) -> Result<usize, Problem> {
        let stream = format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut reader = RequestReader::new();
        match reader.read(stream.as_bytes(), |_, _| 0) {
            Step::Request { head, .. } => route(&head, &Names(&["f4", "st"])),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn an_application_is_found_by_its_path_however_that_is_escaped() {
        for path in [
            "/st/predict",
            "/st/predict/",
            "/st/predict?f4",
            "/%73t/predict",
            "/%73%74/%70redict/",
            "/st/predic%74",
            "http://a/s%74/predict",
        ] {
            assert_eq!(routed(&format!("POST {path}"), ""), Ok(1), "{path}");
        }
        let at = |path| application_at(path, &Names(&["f4", "st"]));
        assert_eq!([at("/%73t/predict"), at("/%73/predict")], [Some(1), None]);
    }

    #[test]
    fn what_an_escape_stands_for_is_no_separator_and_is_not_decoded_again() {
        let unknown = |path: &str| match routed(&format!("POST {path}"), "") {
            Err(Problem::UnknownApplication { found, .. }) => found,
            other => panic!("{path}: {other:?}"),
        };
        assert_eq!(unknown("/st%2Fpredict/predict"), "st/predict");
        assert_eq!(unknown("/%2573t/predict"), "%73t");
        assert_eq!(unknown("/st%00/predict"), "st\0");
        assert_eq!(unknown("/%ff/predict"), "\u{fffd}");
        for path in ["/st%2Fpredict", "/st/predict%2F", "/a/%73t/predict", "/st/predict//", "/"] {
            let routed = routed(&format!("POST {path}"), "");
            assert_eq!(routed, Err(Problem::UnknownPath { path: path.to_owned() }));
        }
    }

    #[test]
    fn a_bad_escape_is_refused_wherever_it_stands() {
        for path in ["/%/predict", "/s%7/predict", "/%7gt/predict", "/a/b/c%", "/%%373t/predict"] {
            let refused = routed(&format!("POST {path}"), "").unwrap_err();
            assert_eq!(refused, Problem::Escape { path: path.to_owned() });
            assert_eq!(refused.status(), Status::BadRequest);
        }
    }

    #[test]
    fn methods_are_told_and_only_post_is_answered() {
        for target in ["*", "/st/predict", "/%73t/predict"] {
            let told = routed(&format!("OPTIONS {target}"), "").unwrap_err();
            assert_eq!((told.status(), told.allow()), (Status::NoContent, Some("POST")));
        }
        for method in ["GET", "HEAD", "PUT", "post"] {
            let refused = routed(&format!("{method} /st/predict"), "").unwrap_err();
            assert_eq!(
                (refused.status(), refused.allow()),
                (Status::MethodNotAllowed, Some("POST"))
            );
        }
        let nowhere = routed("OPTIONS /nobody/predict", "").unwrap_err();
        assert_eq!((nowhere.status(), nowhere.allow()), (Status::NotFound, None));
    }

    #[test]
    fn an_encoded_body_is_refused_with_what_is_possible() {
        let chunked = "Transfer-Encoding: chunked\r\n";
        let refused = |coding: &str| {
            let fields = format!("Content-Encoding: {coding}\r\n{chunked}\r\n0\r\n");
            routed("POST /st/predict", &fields)
        };
        let encoded = refused("gzip").unwrap_err();
        assert_eq!(encoded.status(), Status::UnsupportedMediaType);
        assert_eq!(encoded.accept_encoding(), Some("identity"));
        assert_eq!(refused("identity"), Ok(1));
        assert_eq!(Problem::Method.accept_encoding(), None);
    }
}
