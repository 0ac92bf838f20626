//! The route of a request: found once, or not at all; and never an old one.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::limits::TEMPLATE_BYTES_MAX;

/// Sends each path to where its bytes and the number of changes say, and counts how often it is
/// asked.
#[derive(Default)]
struct Counting {
    changes: Cell<usize>,
    lookups: Cell<usize>,
}

/// Bytes of the path, and the changes that there had been.
type Route = (usize, usize);

impl Counting {
    fn change(&self) {
        self.changes.set(self.changes.get() + 1);
    }

    /// Lookups since the last call.
    fn take_lookups(&self) -> usize {
        self.lookups.take()
    }

    fn expected(&self, path: &str) -> Route {
        (path.len(), self.changes.get())
    }
}

impl Routes for Counting {
    type Route = Route;

    fn find(&self, path: &str) -> Route {
        self.lookups.set(self.lookups.get() + 1);
        self.expected(path)
    }

    fn is_current(&self, (_, changes): Route) -> bool {
        changes == self.changes.get()
    }

    fn body_bytes_max(&self, (_, changes): Route) -> usize {
        assert_eq!(changes, self.changes.get(), "the limit of a route that is not current");
        BODY_BYTES_MAX
    }
}

fn head(path: &str, framing: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n")
}

fn post(path: &str, body: &str) -> String {
    head(path, &format!("Content-Length: {}", body.len())) + body
}

/// Reads a whole request, whose bytes are all there, and says where it goes.
fn route_of(reader: &mut RequestReader<Route>, routes: &Counting, request: &str) -> Route {
    let Step::Request { head, route, consumed, .. } = reader.read(request.as_bytes(), routes)
    else {
        panic!("{request:?} is not a whole request");
    };
    assert_eq!((route, consumed), (routes.expected(head.path), request.len()));
    route
}

#[test]
fn a_repeated_head_is_given_its_route_without_a_lookup() {
    let (mut reader, routes) = (RequestReader::new(), Counting::default());
    route_of(&mut reader, &routes, &post("/digits", "first"));
    assert_eq!(routes.take_lookups(), 1);
    for body in ["again", "of another length", ""] {
        route_of(&mut reader, &routes, &post("/digits", body));
    }
    assert_eq!(routes.take_lookups(), 0);
}

#[test]
fn a_head_for_another_path_is_looked_up() {
    let (mut reader, routes) = (RequestReader::new(), Counting::default());
    for path in ["/a", "/bc", "/a", "/bc?q"] {
        route_of(&mut reader, &routes, &post(path, "x"));
        assert_eq!(routes.take_lookups(), 1, "{path}");
    }
}

#[test]
fn a_head_too_long_to_be_remembered_is_looked_up_each_time() {
    let (mut reader, routes) = (RequestReader::new(), Counting::default());
    let long = post("/a", "x").replace("Host", &format!("X: {:0TEMPLATE_BYTES_MAX$}\r\nHost", 0));
    for request in [&long, &long, &post("/bc", "x")] {
        route_of(&mut reader, &routes, request);
        assert_eq!(routes.take_lookups(), 1);
    }
}

#[test]
fn a_request_that_comes_in_pieces_is_looked_up_once() {
    let chunked = head("/a", "Transfer-Encoding: chunked") + "2\r\nhi\r\n0\r\n\r\n";
    for request in [post("/a", "hello"), chunked, post("/a", "")] {
        let (mut reader, routes) = (RequestReader::new(), Counting::default());
        let (mut start, mut end) = (0, 0);
        while start < request.len() {
            end += 1;
            match reader.read(&request.as_bytes()[start..end], &routes) {
                Step::NeedMore { consumed, .. } => start += consumed,
                Step::Request { consumed, .. } => start += consumed,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(routes.take_lookups(), 1, "{request:?}");
    }
}

#[test]
fn after_a_change_a_repeated_head_is_looked_up_once_more() {
    let (mut reader, routes) = (RequestReader::new(), Counting::default());
    let request = post("/a", "x");
    let before = route_of(&mut reader, &routes, &request);
    routes.change();
    routes.take_lookups();
    let after = route_of(&mut reader, &routes, &request);
    assert_ne!(after, before);
    route_of(&mut reader, &routes, &request);
    assert_eq!(routes.take_lookups(), 1);
}

#[test]
fn a_change_before_the_end_of_a_body_is_seen() {
    for framing in ["Content-Length: 12", "Transfer-Encoding: chunked"] {
        let (mut reader, routes) = (RequestReader::new(), Counting::default());
        let mut bytes = head("/a", framing);
        let Step::NeedMore { consumed, .. } = reader.read(bytes.as_bytes(), &routes) else {
            panic!("there is no body yet");
        };
        bytes.drain(..consumed);
        routes.change();
        bytes.push_str("2\r\nhi\r\n0\r\n\r\n");
        assert_eq!(route_of(&mut reader, &routes, &bytes), (2, 1));
    }
}

proptest! {
    /// Whatever changes between the pieces of requests, each goes where it would be sent now.
    #[test]
    fn a_route_given_out_is_what_would_be_found_now(
        steps in proptest::collection::vec(
            ("/[ab]{1,2}", "x{0,3}", any::<Index>(), any::<[bool; 2]>()),
            1..40,
        ),
    ) {
        let (mut reader, routes) = (RequestReader::new(), Counting::default());
        for (path, body, cut, [before, amid]) in steps {
            (0..usize::from(before)).for_each(|_| routes.change());
            let request = post(&path, &body);
            let part = &request[..cut.index(request.len())];
            let Step::NeedMore { consumed, .. } = reader.read(part.as_bytes(), &routes) else {
                panic!("a part of a request is no request");
            };
            (0..usize::from(amid)).for_each(|_| routes.change());
            route_of(&mut reader, &routes, &request[consumed..]);
        }
    }
}
