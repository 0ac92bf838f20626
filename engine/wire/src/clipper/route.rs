//! Which application a request is for, and what is asked of it.
//!
//! `/{application}/predict` and `/{application}/update`, with or without a final slash, and
//! percent-decoded once where they have escapes. The directory is asked for the name once, when the
//! head is there ([`routed`]); what the request asks of the application that was found is looked at
//! when it is whole ([`check_request`]), without a name.

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

/// What is asked of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// A prediction.
    Predict,
    /// To learn from what became of one.
    Update,
}

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routed<Id> {
    pub application: Id,
    pub verb: Verb,
}

/// The application that a path names, and what is asked of it.
pub fn routed<D: Directory>(path: &str, directory: &D) -> Option<Routed<D::Id>> {
    let (name, verb) = parts_of(path).ok()??;
    directory.find(&name).map(|application| Routed { application, verb })
}

/// What a request asks for, if that is to be had. `found` is what [`routed`] says of its path.
pub fn check_request<D: Directory>(
    head: &Head<'_>,
    found: Option<Routed<D::Id>>,
    directory: &D,
) -> Result<Routed<D::Id>, Problem> {
    let Some(routed) = found else {
        return Err(unknown(head.path, directory));
    };
    match head.method {
        Method::Post if head.is_encoded => Err(Problem::Encoded),
        Method::Post => Ok(routed),
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
    match parts_of(path) {
        Err(BadEscape) => Problem::Escape { path: path.to_owned() },
        Ok(None) => Problem::UnknownPath { path: path.to_owned() },
        Ok(Some((name, _))) => {
            let known = directory.names();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let found = String::from_utf8_lossy(&name).into_owned();
            Problem::UnknownApplication { found, known }
        }
    }
}

/// The name in a path that has the form of ours, percent-decoded, and what is asked.
type Parts<'a> = (Cow<'a, [u8]>, Verb);

fn parts_of(path: &str) -> Result<Option<Parts<'_>>, BadEscape> {
    if path.contains('%') {
        return decoded_parts_of(path);
    }
    Ok(plain_parts_of(path).map(|(name, verb)| (Cow::Borrowed(name.as_bytes()), verb)))
}

fn plain_parts_of(path: &str) -> Option<(&str, Verb)> {
    let path = path.strip_prefix('/')?;
    let (name, verb) = path.strip_suffix('/').unwrap_or(path).split_once('/')?;
    Verb::named(verb.as_bytes()).map(|verb| (name, verb))
}

/// The same as [`plain_parts_of`] where there is nothing to decode, and at some cost.
fn decoded_parts_of(path: &str) -> Result<Option<Parts<'_>>, BadEscape> {
    let segments = path.split('/').map(decode_path_segment);
    let mut segments = segments.collect::<Result<Vec<_>, BadEscape>>()?;
    if segments.len() == 4 && segments[3].is_empty() {
        segments.pop();
    }
    match &mut segments[..] {
        [start, name, verb] if start.is_empty() => {
            Ok(Verb::named(verb).map(|verb| (std::mem::take(name), verb)))
        }
        _ => Ok(None),
    }
}

impl Verb {
    fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"predict" => Some(Self::Predict),
            b"update" => Some(Self::Update),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::http::{RequestReader, Routes, Status, Step};

    struct Names<'a>(&'a [&'a str], Cell<usize>);

    impl<'a> Names<'a> {
        /// Which are asked for by name no times yet.
        fn new(names: &'a [&'a str]) -> Self {
            Self(names, Cell::default())
        }
    }

    impl Directory for Names<'_> {
        type Id = usize;

        fn find(&self, name: &[u8]) -> Option<usize> {
            self.1.set(self.1.get() + 1);
            self.0.iter().position(|known| known.as_bytes() == name)
        }

        fn names(&self) -> Vec<&str> {
            self.0.to_vec()
        }
    }

    impl Routes for Names<'_> {
        type Route = Option<Routed<usize>>;

        fn find(&self, path: &str) -> Option<Routed<usize>> {
            super::routed(path, self)
        }

        fn is_current(&self, _: Option<Routed<usize>>) -> bool {
            true
        }

        fn body_bytes_max(&self, _: Option<Routed<usize>>) -> usize {
            1
        }
    }

    fn predict(application: usize) -> Routed<usize> {
        Routed { application, verb: Verb::Predict }
    }

    fn update(application: usize) -> Routed<usize> {
        Routed { application, verb: Verb::Update }
    }

    /// What a request with this line, these fields and no body is routed to.
    fn routed(line: &str, fields: &str) -> Result<Routed<usize>, Problem> {
        let stream = format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut reader = RequestReader::new();
        let names = Names::new(&["f4", "st"]);
        match reader.read(stream.as_bytes(), &names) {
            Step::Request { head, route, .. } => check_request(&head, route, &names),
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
            assert_eq!(routed(&format!("POST {path}"), ""), Ok(predict(1)), "{path}");
        }
        let at = |path| super::routed(path, &Names::new(&["f4", "st"]));
        assert_eq!([at("/%73t/predict"), at("/%73/predict")], [Some(predict(1)), None]);
    }

    #[test]
    fn what_is_asked_of_it_stands_behind_its_name() {
        for path in ["/f4/update", "/f4/update/", "/f%34/update?predict", "/%66%34/%75pdate/"] {
            assert_eq!(routed(&format!("POST {path}"), ""), Ok(update(0)), "{path}");
        }
        for path in ["/f4/updates", "/f4/predict/update", "/update/f4", "/f4/Update", "/f4"] {
            let unknown = Problem::UnknownPath { path: path.to_owned() };
            assert_eq!(routed(&format!("POST {path}"), ""), Err(unknown));
        }
    }

    #[test]
    fn a_directory_is_asked_for_a_name_once_whether_it_is_known_or_not() {
        for path in
            ["/st/predict", "/nobody/predict", "/%73t/predict", "/%73/update/", "/st/update"]
        {
            for body in ["", "x"] {
                let names = Names::new(&["f4", "st"]);
                let mut reader = RequestReader::new();
                let length = body.len();
                let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}");
                let request = format!("{head}\r\n\r\n{body}");
                for _ in 0..3 {
                    let Step::Request { head, route, .. } = reader.read(request.as_bytes(), &names)
                    else {
                        panic!("{request}");
                    };
                    assert_eq!(check_request(&head, route, &names).ok(), route);
                }
                assert_eq!(names.1.get(), 1, "{request}");
            }
        }
    }

    #[test]
    fn a_path_without_escapes_is_read_as_it_is_decoded() {
        let parts = ["/", "a", "predict", "update", "*"];
        for length in 0..7 {
            for number in 0..5_usize.pow(length) {
                let part = |at| parts[number / 5_usize.pow(at) % 5];
                let path: String = (0..length).map(part).collect();
                let decoded = decoded_parts_of(&path).unwrap();
                let plain = plain_parts_of(&path)
                    .map(|(name, verb)| (Cow::Borrowed(name.as_bytes()), verb));
                assert_eq!(plain, decoded, "{path}");
            }
        }
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
        assert_eq!(refused("identity"), Ok(predict(1)));
        assert_eq!(Problem::Method.accept_encoding(), None);
    }
}
