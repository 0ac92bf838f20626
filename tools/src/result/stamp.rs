//! What every result file begins with: when, by what, on which machine.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Environment, Finding, Floors, ResultFile, SCHEMA, Tool};
use crate::environment;

/// When a measurement began, and what the machine was like.
#[derive(Clone, Debug)]
pub struct Stamp {
    started_at: String,
    environment: Environment,
}

impl Stamp {
    /// Reads the clock and the machine.
    pub fn take() -> Self {
        Self { started_at: rfc3339(SystemTime::now()), environment: environment::read() }
    }

    /// Adds what the machine was found to be able to do.
    #[must_use]
    pub fn with_floors(mut self, floors: Floors) -> Self {
        self.environment.floors = Some(floors);
        self
    }

    /// A result file of this process.
    pub fn file(&self, finding: Finding) -> ResultFile {
        ResultFile {
            schema: SCHEMA.to_owned(),
            tool: Tool {
                name: "cutter-bench".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            started_at: self.started_at.clone(),
            command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
            environment: self.environment.clone(),
            finding,
        }
    }
}

/// `2026-01-31T08:15:00Z`, by the civil calendar (H. Hinnant, "chrono-compatible low-level date
/// algorithms", `civil_from_days`).
fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let era_day = days % 146_097;
    let era_year = (era_day - era_day / 1_460 + era_day / 36_524 - era_day / 146_096) / 365;
    let year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
    let month = (5 * year_day + 2) / 153;
    let day = year_day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era_year + days / 146_097 * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_written_by_the_calendar() {
        let at = |seconds| rfc3339(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_798_761_600), "2027-01-01T00:00:00Z");
    }
}
