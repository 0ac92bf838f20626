//! Tests of the whole layer: bytes in, requests and errors out.

mod accepted;
mod answers;
mod pieces;
mod refused;
mod routes;
mod streams;
mod templates;

use super::*;

/// The body limit of these tests.
const BODY_BYTES_MAX: usize = 1000;

/// One place for all requests, whose bodies have at most so many bytes.
struct BodiesTo(usize);

impl Routes for BodiesTo {
    type Route = ();

    fn find(&self, _: &str) {}

    fn is_current(&self, (): ()) -> bool {
        true
    }

    fn body_bytes_max(&self, (): ()) -> usize {
        self.0
    }
}

/// What a stream of bytes came to, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Request {
        method: Method,
        path: String,
        query: String,
        headers: Vec<(Vec<u8>, Vec<u8>)>,
        keep_alive: bool,
        http_1_0: bool,
        expect_continue: bool,
        is_encoded: bool,
        body: Vec<u8>,
    },
    Bad(HttpError),
    /// All bytes are used up and the connection is open.
    Waiting(Phase),
}

/// Plays the engine: keeps what was not consumed, reads until there is nothing more to be had.
fn outcomes_of<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<Outcome> {
    outcomes_with(pieces, |_| {})
}

/// The same, with a word to the reader before each of its steps.
fn outcomes_with<'p>(
    pieces: impl IntoIterator<Item = &'p [u8]>,
    mut before_step: impl FnMut(&mut RequestReader<()>),
) -> Vec<Outcome> {
    let mut reader = RequestReader::new();
    let mut kept = Vec::new();
    let mut outcomes = Vec::new();
    for piece in pieces {
        kept.extend_from_slice(piece);
        loop {
            before_step(&mut reader);
            let consumed = match reader.read(&kept, &BodiesTo(BODY_BYTES_MAX)) {
                Step::NeedMore { consumed, .. } => {
                    kept.drain(..consumed);
                    break;
                }
                Step::Continue100 { consumed } => consumed,
                Step::Request { head, body, consumed, .. } => {
                    outcomes.push(request_outcome(&head, body));
                    consumed
                }
                Step::Bad(error) => {
                    outcomes.push(Outcome::Bad(error));
                    return outcomes;
                }
            };
            kept.drain(..consumed);
        }
    }
    outcomes.push(Outcome::Waiting(reader.phase()));
    outcomes
}

fn request_outcome(head: &Head<'_>, body: &[u8]) -> Outcome {
    Outcome::Request {
        method: head.method,
        path: head.path.to_owned(),
        query: head.query.to_owned(),
        headers: head.headers().map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
        keep_alive: head.keep_alive,
        http_1_0: head.http_1_0,
        expect_continue: head.expect_continue,
        is_encoded: head.is_encoded,
        body: body.to_vec(),
    }
}
