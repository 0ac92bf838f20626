//! The network may cut a stream anywhere: what comes out must not depend on it.

use proptest::prelude::*;
use proptest::sample::Index;

use super::streams::{TABLE, encode, stream};
use super::*;

#[test]
fn every_table_stream_means_the_same_when_cut_at_any_one_position() {
    for stream in TABLE {
        let whole = outcomes_of([stream.as_bytes()]);
        for at in 0..=stream.len() {
            let (left, right) = stream.as_bytes().split_at(at);
            assert_eq!(outcomes_of([left, right]), whole, "{stream:?} cut at {at}");
        }
    }
}

#[test]
fn every_table_stream_means_the_same_byte_by_byte() {
    for stream in TABLE {
        let whole = outcomes_of([stream.as_bytes()]);
        assert_eq!(outcomes_of(stream.as_bytes().chunks(1)), whole, "{stream:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_stream_means_the_same_however_it_is_cut(
        stream in stream(),
        cuts in proptest::collection::vec(any::<Index>(), 0..8),
    ) {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        at.extend([0, stream.len()]);
        at.sort_unstable();
        let pieces = at.windows(2).map(|ends| &stream[ends[0]..ends[1]]);
        prop_assert_eq!(outcomes_of(pieces), outcomes_of([&stream[..]]));
        prop_assert_eq!(outcomes_of(stream.chunks(1)), outcomes_of([&stream[..]]));
    }

    #[test]
    fn any_bytes_at_all_mean_the_same_however_they_are_cut(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        at in any::<Index>(),
    ) {
        let (left, right) = bytes.split_at(at.index(bytes.len() + 1));
        prop_assert_eq!(outcomes_of([left, right]), outcomes_of([&bytes[..]]));
    }

    #[test]
    fn a_chunked_body_is_the_body_that_was_chunked(
        body in proptest::collection::vec(any::<u8>(), 0..BODY_BYTES_MAX),
        chunk in 1usize..300,
        piece in 1usize..300,
    ) {
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut stream = head.to_vec();
        stream.extend_from_slice(&encode(&body, chunk, ";e", "T: t\r\n"));
        let outcomes = outcomes_of(stream.chunks(piece));
        prop_assert!(
            matches!(&outcomes[..], [Outcome::Request { body: read, .. }, _] if *read == body),
            "{outcomes:?}"
        );
    }
}

#[test]
fn the_head_of_a_growing_body_is_not_parsed_again() {
    let head = b"POST /digits HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
    let mut reader = RequestReader::new();
    let first = reader.read(head, &BodiesTo(BODY_BYTES_MAX));
    assert!(matches!(first, Step::NeedMore { consumed: 0, wanted } if wanted == head.len() + 4));
    // A parser that came back would now find another length.
    let changed = b"POST /digits HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nbody";
    let second = reader.read(changed, &BodiesTo(BODY_BYTES_MAX));
    assert!(matches!(second, Step::Request { body: b"body", .. }));
}

#[test]
fn a_whole_body_is_given_out_where_it_lies() {
    let stream = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
    let mut reader = RequestReader::new();
    let Step::Request { body, consumed, .. } = reader.read(stream, &BodiesTo(BODY_BYTES_MAX))
    else {
        panic!("a whole request was not read");
    };
    assert_eq!(body.as_ptr_range().end, stream.as_ptr_range().end);
    assert_eq!(consumed, stream.len());
}

#[test]
fn an_unfinished_request_says_what_it_waits_for() {
    let waiting = |stream: &str| outcomes_of([stream.as_bytes()]);
    assert_eq!(waiting(""), [Outcome::Waiting(Phase::Idle)]);
    assert_eq!(waiting("\r\n"), [Outcome::Waiting(Phase::Idle)]);
    assert_eq!(waiting("G"), [Outcome::Waiting(Phase::Head)]);
    assert_eq!(waiting("GET / HTTP/1.1\r\nHost: a\r\n\r"), [Outcome::Waiting(Phase::Head)]);
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1";
    assert_eq!(waiting(post), [Outcome::Waiting(Phase::Body)]);
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    assert_eq!(waiting(chunked), [Outcome::Waiting(Phase::Body)]);
}
