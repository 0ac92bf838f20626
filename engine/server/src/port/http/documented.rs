//! The limits that `API.md` tells are those that hold.

use cutter_tensor::limits::RANK_MAX;
use cutter_wire::limits::*;

use crate::limits::*;

const PAGE: &str = include_str!("../../../../API.md");
const S: u64 = 1_000_000_000;

/// The value that the page gives for a limit.
fn told(limit: &str) -> &'static str {
    let start = format!("| {limit} | ");
    let row = PAGE.lines().find_map(|line| line.strip_prefix(&start));
    let row = row.unwrap_or_else(|| panic!("no limit {limit:?}"));
    row.split(" | ").next().unwrap_or_default()
}

/// Each limit on the page, and its value.
fn limits() -> Vec<(&'static str, String)> {
    vec![
        ("Connections of clients", CONNECTIONS_MAX.to_string()),
        (
            "Requests of a connection that wait for their answers",
            PIPELINED_REQUESTS_MAX.to_string(),
        ),
        ("Bytes of a request's head", HEAD_BYTES_MAX.to_string()),
        ("Header fields", HEADERS_MAX.to_string()),
        ("Bytes of a request's target", TARGET_BYTES_MAX.to_string()),
        ("Bytes of a request's line", REQUEST_LINE_BYTES_MAX.to_string()),
        ("Empty lines before a request's line", LEADING_EMPTY_LINES_MAX.to_string()),
        ("Seconds from the first byte of a head to its last", (HEAD_TIME_NS / S).to_string()),
        (
            "Bytes of a body",
            format!(
                "{BODY_BYTES_MIN} to {BODY_BYTES_MAX}, by the application: {INPUT_BATCH_MAX} \
                 inputs written at length"
            ),
        ),
        ("Bytes of a body to no application", UNROUTED_BODY_BYTES_MAX.to_string()),
        ("Bytes per second of a body, at least", BODY_RATE_BYTES_PER_S.to_string()),
        (
            "Bytes of requests that are not read yet, of each connection",
            CONNECTION_IN_SHARE_BYTES.to_string(),
        ),
        ("The same beyond that, of all connections together", IN_POOL_BYTES_MAX.to_string()),
        (
            "Bytes of answers that are not read yet, of each connection",
            CONNECTION_OUT_SHARE_BYTES.to_string(),
        ),
        ("The same beyond that, of one connection", CONNECTION_OUT_BYTES_MAX.to_string()),
        ("The same beyond the shares, of all connections together", OUT_POOL_BYTES_MAX.to_string()),
        ("Bytes owed beyond which no further request is read", OWED_PAUSE_BYTES.to_string()),
        ("Bytes per second at which answers are read, at least", SEND_RATE_BYTES_PER_S.to_string()),
        ("Digits of a chunk's size", CHUNK_SIZE_DIGITS_MAX.to_string()),
        ("Bytes of a chunk's extensions", CHUNK_EXTENSION_BYTES_MAX.to_string()),
        ("Bytes of all extensions of a body", CHUNK_EXTENSIONS_BYTES_MAX.to_string()),
        ("Bytes of a body's trailers", TRAILERS_BYTES_MAX.to_string()),
        ("Inputs of a request", INPUT_BATCH_MAX.to_string()),
        ("Updates of a request", INPUT_BATCH_MAX.to_string()),
        ("Bytes of the key of a context", CONTEXT_KEY_BYTES_MAX.to_string()),
        ("Numbers of a context vector", CONTEXT_NUMBERS_MAX.to_string()),
        ("Bytes that a context, label or reward is written with", JSON_VALUE_BYTES_MAX.to_string()),
        ("Bytes of an input", "its `shape`, or its `max_bytes`".to_owned()),
        ("Dimensions of an input", RANK_MAX.to_string()),
        ("Arrays and objects in each other, in a body", JSON_DEPTH_MAX.to_string()),
        ("Seconds that an idle connection is kept", (KEEP_ALIVE_IDLE_NS / S).to_string()),
        ("Connections to the admin address", ADMIN_CONNECTIONS_MAX.to_string()),
        ("Seconds of an admin connection", (ADMIN_CONNECTION_NS / S).to_string()),
        ("Bytes of an admin request", ADMIN_REQUEST_BYTES_MAX.to_string()),
    ]
}

#[test]
fn the_limits_on_the_page_are_those_that_hold() {
    for (limit, value) in limits() {
        assert_eq!(told(limit), value, "{limit}");
    }
}

#[test]
fn every_limit_on_the_page_is_looked_at() {
    let (_, section) = PAGE.split_once("\n## Limits\n").unwrap();
    let rows = section.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with('|'));
    let told: Vec<&str> = rows.skip(2).filter_map(|row| row.split('|').nth(1)).collect();
    let looked_at: Vec<String> = limits().iter().map(|(limit, _)| format!(" {limit} ")).collect();
    assert_eq!(told, looked_at);
}

#[test]
fn what_the_page_says_in_words_holds() {
    for text in [
        format!("An array of 1 to {INPUT_BATCH_MAX} inputs."),
        format!("A string of up to {CONTEXT_KEY_BYTES_MAX} bytes"),
        format!("an array of 1 to {CONTEXT_NUMBERS_MAX} numbers"),
        format!("leaves it idle for {} s", KEEP_ALIVE_IDLE_NS / S),
        format!("When {PIPELINED_REQUESTS_MAX} of a\n  connection are owed an answer"),
        format!("A head has {} s from its first byte", HEAD_TIME_NS / S),
        format!(
            "at {BODY_RATE_BYTES_PER_S} bytes per second or more, of which it\n  may be {} s \
             behind",
            BODY_GRACE_NS / S
        ),
        format!("cannot be predicted in {} s", DRAIN_NS_MAX / S),
    ] {
        assert!(PAGE.contains(&text), "the page does not say {text:?}");
    }
}
