//! The `Date` field of an answer, from a count of seconds.

use std::io::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use httpdate::HttpDate;

/// Bytes of a date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
pub const DATE_BYTES: usize = 29;

/// Four digits is what the format has room for: 9999-12-31 23:59:59.
const LATEST_UNIX_S: u64 = 253_402_300_799;

/// The instant in the one format that RFC 9110 5.6.7 lets a server send. Later than the year 9999
/// is shown as its last second.
pub fn http_date(unix_s: u64) -> [u8; DATE_BYTES] {
    let instant = UNIX_EPOCH + Duration::from_secs(unix_s.min(LATEST_UNIX_S));
    let mut text = [0; DATE_BYTES];
    let written = write!(&mut text[..], "{}", HttpDate::from(instant));
    written.expect("a date of the one format has its one length");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants_are_written_as_they_should_be() {
        for (unix_s, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (LATEST_UNIX_S, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (LATEST_UNIX_S + 1, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(String::from_utf8_lossy(&http_date(unix_s)), text);
        }
    }
}
