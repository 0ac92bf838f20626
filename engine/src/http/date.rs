//! The `Date` field of an answer, from a count of seconds.

/// Bytes of a date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
pub const DATE_BYTES: usize = 29;

const DAY_S: u64 = 86_400;
/// Four digits is what the format has room for: 9999-12-31 23:59:59.
const LATEST_UNIX_S: u64 = 253_402_300_799;

const WEEKDAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// The instant in the one format that RFC 9110 5.6.7 lets a server send. Later than the year 9999
/// is shown as its last second.
pub fn http_date(unix_s: u64) -> [u8; DATE_BYTES] {
    let unix_s = unix_s.min(LATEST_UNIX_S);
    let (days, second_of_day) = (unix_s / DAY_S, unix_s % DAY_S);
    let (year, month, day) = civil_date(days);
    let mut date = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    date[0..3].copy_from_slice(pick(&WEEKDAYS, days % 7));
    put_two(&mut date, 5, day);
    date[8..11].copy_from_slice(pick(&MONTHS, month));
    put_two(&mut date, 12, year / 100);
    put_two(&mut date, 14, year % 100);
    put_two(&mut date, 17, second_of_day / 3600);
    put_two(&mut date, 20, second_of_day / 60 % 60);
    put_two(&mut date, 23, second_of_day % 60);
    date
}

/// Year, month from 0, day from 1, of a number of days since 1970-01-01.
///
/// Years are counted from March, so that the leap day is a year's last and every month but the last
/// has a fixed place. 400 years, the calendar's period, have 146,097 days.
fn civil_date(days: u64) -> (u64, u64, u64) {
    const DAYS_0000_03_01_TO_1970: u64 = 719_468;
    const PERIOD_DAYS: u64 = 146_097;
    let shifted = days + DAYS_0000_03_01_TO_1970;
    let (period, day_of_period) = (shifted / PERIOD_DAYS, shifted % PERIOD_DAYS);
    // Leave out the leap days that went before: one in 1,460 days, but for 36,524, and for 146,096.
    let leap_days = day_of_period / 1_460 - day_of_period / 36_524 + day_of_period / 146_096;
    let year_of_period = (day_of_period - leap_days) / 365;
    let days_before_year = year_of_period * 365 + year_of_period / 4 - year_of_period / 100;
    let day_of_year = day_of_period - days_before_year;
    // From March, months have 31 30 31 30 31 days over and over: 153 days in five of them.
    let month_from_march = (day_of_year * 5 + 2) / 153;
    let day = day_of_year - (month_from_march * 153 + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = period * 400 + year_of_period + u64::from(month_from_march >= 10);
    (year, month, day)
}

fn pick<'a>(names: &[&'a [u8; 3]], index: u64) -> &'a [u8; 3] {
    names[usize::try_from(index).expect("an index below 12")]
}

fn put_two(date: &mut [u8; DATE_BYTES], at: usize, value: u64) {
    let digit = |value: u64| b'0' + u8::try_from(value % 10).expect("a digit");
    date[at] = digit(value / 10);
    date[at + 1] = digit(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(unix_s: u64) -> String {
        String::from_utf8(http_date(unix_s).to_vec()).unwrap()
    }

    #[test]
    fn known_instants_are_written_as_they_should_be() {
        assert_eq!(text(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(text(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(text(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(text(4_107_542_399), "Sun, 28 Feb 2100 23:59:59 GMT");
        assert_eq!(text(4_107_542_400), "Mon, 01 Mar 2100 00:00:00 GMT");
        assert_eq!(text(u64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn every_day_until_the_year_9999_follows_the_one_before() {
        let is_leap = |year: u64| {
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
        };
        let days_of = |year: u64, month: u64| {
            [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
                [usize::try_from(month).unwrap()]
        };
        let calendar = (1970..=9999u64).flat_map(|year| {
            (0..12).flat_map(move |month| {
                (1..=days_of(year, month)).map(move |day| (year, month, day))
            })
        });
        for (days, date) in (0u64..).zip(calendar) {
            assert_eq!(civil_date(days), date);
        }
    }
}
