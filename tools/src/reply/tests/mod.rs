mod framing;
mod judging;

use super::*;

/// A reply that outlives its framer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    status: u16,
    keep_alive: bool,
    inference_header_length: Option<usize>,
    body: Vec<u8>,
}

impl Told {
    fn new(status: u16, keep_alive: bool, body: &[u8]) -> Self {
        Self { status, keep_alive, inference_header_length: None, body: body.to_vec() }
    }
}

impl From<Reply<'_>> for Told {
    fn from(reply: Reply<'_>) -> Self {
        let Reply { status, keep_alive, inference_header_length, body } = reply;
        Self { status, keep_alive, inference_header_length, body: body.to_vec() }
    }
}

/// The answers in `pieces`, until one is refused or the connection is closed after the last.
fn frame(is_to_head: bool, pieces: &[&[u8]]) -> (Vec<Told>, Option<ReplyError>) {
    let mut framer = Framer::new(is_to_head);
    let mut told = Vec::new();
    let result = frame_into(&mut framer, pieces, &mut told);
    (told, result.err())
}

fn frame_into(
    framer: &mut Framer,
    pieces: &[&[u8]],
    told: &mut Vec<Told>,
) -> Result<(), ReplyError> {
    for piece in pieces {
        let mut bytes = *piece;
        while let Some(reply) = framer.next(&mut bytes)? {
            told.push(reply.into());
        }
        assert!(bytes.is_empty(), "bytes were left");
    }
    told.extend(framer.end()?.map(Told::from));
    assert!(framer.is_empty());
    Ok(())
}
