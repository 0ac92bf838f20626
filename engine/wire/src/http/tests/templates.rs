//! The fast path may only say what the full parser says.

use proptest::prelude::*;

use super::streams::{damage, request, stream};
use super::*;
use crate::http::head::{Facts, parse_head};
use crate::http::scan::HeadScanner;
use crate::http::template::Template;
use crate::limits::TEMPLATE_BYTES_MAX;

fn full_parse(bytes: &[u8]) -> Result<Option<Facts>, HttpError> {
    let head_bytes = HeadScanner::default().scan(bytes)?;
    head_bytes.map(|head_bytes| parse_head(&bytes[..head_bytes])).transpose()
}

/// A template of the head that `bytes` begin with; empty when there is none.
fn template_of(bytes: &[u8]) -> Template<()> {
    let mut template = Template::default();
    let facts = full_parse(bytes).ok().flatten();
    facts.iter().for_each(|facts| template.remember(&bytes[..facts.head_bytes], facts, ()));
    template
}

/// What a template says of the head that `bytes` begin with.
fn recognised(template: &Template<()>, bytes: &[u8]) -> Option<Facts> {
    template.recognise(bytes).map(|(facts, ())| facts)
}

fn post(length: &str) -> Vec<u8> {
    let head = "POST /digits/predict HTTP/1.1\r\nHost: a\r\nContent-Length: ";
    format!("{head}{length} \r\nAccept: */*\r\n\r\nbody").into_bytes()
}

#[test]
fn a_head_that_differs_in_its_length_alone_is_recognised() {
    let template = template_of(&post("6831"));
    for length in ["6831", "0", "7", "6830", "12345", "0007", "18446744073709551615"] {
        let recognised = recognised(&template, &post(length));
        assert!(recognised.is_some(), "{length}");
        assert_eq!(full_parse(&post(length)), Ok(recognised));
    }
}

#[test]
fn a_head_without_a_length_is_recognised() {
    let get = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET";
    assert_eq!(full_parse(get), Ok(recognised(&template_of(get), get)));
    assert!(recognised(&template_of(get), get).is_some());
}

#[test]
fn a_body_behind_a_head_like_that_of_none_is_encoded_all_the_same() {
    let post = |body: &str| {
        let (start, length) = ("POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip", body.len());
        format!("{start}\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let stream = [post(""), post("abc"), post("")].concat();
    let is_encoded =
        |outcome: &Outcome| matches!(outcome, Outcome::Request { is_encoded: true, .. });
    let encoded: Vec<bool> = outcomes_of([stream.as_bytes()]).iter().map(is_encoded).collect();
    assert_eq!(encoded, [false, true, false, false]);
}

#[test]
fn what_is_not_surely_equal_is_left_to_the_full_parser() {
    let template = template_of(&post("6831"));
    for length in ["", "+1", "1 2", "1,2", "0x1", "18446744073709551616", "000000000000000000001"] {
        assert_eq!(recognised(&template, &post(length)), None, "{length}");
    }
    let whole = post("6831");
    let head_bytes = whole.len() - b"body".len();
    for end in 0..head_bytes {
        assert_eq!(recognised(&template, &whole[..end]), None, "the first {end} bytes");
    }
}

#[test]
fn a_long_head_is_not_remembered() {
    let head = |bytes: usize| {
        let start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
        format!("{start}{}\r\n\r\n", "x".repeat(bytes - start.len() - 4)).into_bytes()
    };
    let (fits, long) = (head(TEMPLATE_BYTES_MAX), head(TEMPLATE_BYTES_MAX + 1));
    assert!(template_of(&fits).recognise(&fits).is_some());
    assert!(template_of(&long).recognise(&long).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_recognised_head_is_what_the_full_parser_says(
        known in request(),
        damages in proptest::collection::vec(damage(), 0..3),
    ) {
        let mut next = known.clone();
        damages.iter().for_each(|damage| damage.apply(&mut next));
        // Leading empty lines are the reader's; the template sees what is behind them.
        let (known, next) = (known.trim_ascii_start(), next.trim_ascii_start());
        let recognised = recognised(&template_of(known), next);
        prop_assert!(
            recognised.is_none() || full_parse(next) == Ok(recognised),
            "{recognised:?} for {:?}", String::from_utf8_lossy(next)
        );
    }

    #[test]
    fn a_length_put_in_place_of_another_is_read_as_the_full_parser_reads_it(
        known in 0u64..100_000,
        next in "[0-9]{0,22}|[0-9 ,x+-]{1,5}",
    ) {
        let recognised = recognised(&template_of(&post(&known.to_string())), &post(&next));
        prop_assert!(recognised.is_none() || full_parse(&post(&next)) == Ok(recognised));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_reader_that_remembers_reads_what_one_that_forgets_reads(stream in stream()) {
        let remembering = outcomes_of([&stream[..]]);
        let forgetting = outcomes_with([&stream[..]], RequestReader::forget_template);
        prop_assert_eq!(remembering, forgetting);
    }
}
