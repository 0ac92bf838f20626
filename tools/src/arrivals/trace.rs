//! Traces: one due time per line, in seconds from the start, with up to nine decimals.
//!
//! Digits are read as whole numbers of ns: a time of any length is exact, which it would not be as
//! a floating-point number.

use std::sync::Arc;

use super::NS_PER_SECOND;
use crate::limits::{SECONDS_MAX, TRACE_LINES_MAX};

const DECIMALS_MAX: usize = 9;
/// How much of a bad line an error shows.
const SHOWN_CHARS_MAX: usize = 40;

/// Why a file is no trace. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    #[error(
        "line {line} of the trace, {text:?}, is no time; write seconds from the start with up to \
         {DECIMALS_MAX} decimals, such as 0.0125"
    )]
    Number { line: usize, text: String },
    #[error(
        "line {line} of the trace, {text:?}, comes before the line above it; sort the times in \
         ascending order"
    )]
    Order { line: usize, text: String },
    #[error(
        "line {line} of the trace, {text:?}, is later than {SECONDS_MAX} s, the longest run; cut \
         the trace, or let it begin at 0"
    )]
    Late { line: usize, text: String },
    #[error("line {line} of the trace is one time too many; {TRACE_LINES_MAX} is the limit")]
    TooMany { line: usize },
    #[error("the trace has no times; write one per line, in seconds from the start")]
    Empty,
}

/// Reads a trace. Empty lines are skipped, and what follows a `#`.
pub fn parse_trace(text: &[u8]) -> Result<Arc<[u64]>, TraceError> {
    let mut due_ns = Vec::new();
    let mut last_ns = 0;
    for (index, whole) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = index + 1;
        let content = whole.split(|&byte| byte == b'#').next().unwrap_or_default().trim_ascii();
        if content.is_empty() {
            continue;
        }
        let shown = || String::from_utf8_lossy(content).chars().take(SHOWN_CHARS_MAX).collect();
        let number = || TraceError::Number { line, text: shown() };
        let ns = time_ns(content).ok_or_else(number)?;
        if ns > SECONDS_MAX * NS_PER_SECOND {
            return Err(TraceError::Late { line, text: shown() });
        }
        if ns < last_ns {
            return Err(TraceError::Order { line, text: shown() });
        }
        if due_ns.len() == TRACE_LINES_MAX {
            return Err(TraceError::TooMany { line });
        }
        due_ns.push(ns);
        last_ns = ns;
    }
    if due_ns.is_empty() { Err(TraceError::Empty) } else { Ok(due_ns.into()) }
}

/// `12`, `12.5` or `.5`; saturates where no trace may reach.
fn time_ns(text: &[u8]) -> Option<u64> {
    let point = text.iter().position(|&byte| byte == b'.');
    let (whole, decimals) = point.map_or((text, &[][..]), |at| (&text[..at], &text[at + 1..]));
    let is_empty = whole.is_empty() && decimals.is_empty();
    if is_empty || decimals.len() > DECIMALS_MAX {
        return None;
    }
    let zeros = DECIMALS_MAX - decimals.len();
    let mut ns = 0_u64;
    for &byte in whole.iter().chain(decimals).chain(std::iter::repeat_n(&b'0', zeros)) {
        if !byte.is_ascii_digit() {
            return None;
        }
        ns = ns.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
    }
    Some(ns)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(text: &str) -> TraceError {
        parse_trace(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn times_are_exact_to_the_ns() {
        let text =
            b"# from the log\n0\n.5\r\n 1. \n\n3.000000001 # late\n3.000000001\n3599.999999999";
        let expected =
            [0, 500_000_000, 1_000_000_000, 3_000_000_001, 3_000_000_001, 3_599_999_999_999];
        assert_eq!(parse_trace(text).unwrap()[..], expected);
    }

    #[test]
    fn errors_name_the_line_and_what_it_says() {
        for text in
            ["-1", "1e3", "1.0000000001", ".", "1.2.3", "now", "0x1", "1,5", "NaN", "\u{fe}"]
        {
            let found = error(&format!("0.5\n\n{text}\n7\n"));
            assert_eq!(found, TraceError::Number { line: 3, text: text.into() });
            assert!(found.to_string().contains("line 3"), "{found}");
        }
        assert_eq!(error("1\n0.5\n"), TraceError::Order { line: 2, text: "0.5".into() });
        assert_eq!(error("3600.1"), TraceError::Late { line: 1, text: "3600.1".into() });
        assert!(matches!(error(&"9".repeat(60)), TraceError::Late { line: 1, .. }));
        assert_eq!(error("# nothing\n\n"), TraceError::Empty);
        let long = error(&"x".repeat(1_000));
        assert_eq!(long, TraceError::Number { line: 1, text: "x".repeat(SHOWN_CHARS_MAX) });
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            mut times in prop::collection::vec(0..3_600_000_000_000_u64, 1..50),
        ) {
            times.sort_unstable();
            let line = |ns: &u64| format!("{}.{:09}\n", ns / NS_PER_SECOND, ns % NS_PER_SECOND);
            let text: String = times.iter().map(line).collect();
            prop_assert_eq!(&parse_trace(text.as_bytes()).unwrap()[..], &times[..]);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_trace(&bytes);
        }
    }
}
