//! Figures as a reader thinks of them: the exact value, and the same in a unit that fits.

use std::fmt::{self, Display};

use cutter_limits::{Limit, Value};

/// A value with its unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figure {
    value: Value,
    unit: &'static str,
}

impl Figure {
    pub fn of_limit(limit: &Limit) -> Self {
        Self { value: limit.value, unit: limit.unit }
    }

    pub fn whole(value: u64, unit: &'static str) -> Self {
        Self { value: Value::Whole(value.into()), unit }
    }
}

impl Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = match self.value {
            Value::Whole(value) => u64::try_from(value).ok(),
            Value::Real(_) => None,
        };
        match (whole, self.unit) {
            (Some(bytes), "bytes") => Bytes(bytes).fmt(f),
            (Some(ns), "ns") if ns >= 1_000 => write!(f, "{ns} ns ({})", Time(ns)),
            (Some(us), "us") if us >= 1_000 => {
                write!(f, "{us} us ({})", Time(us.saturating_mul(1_000)))
            }
            _ => write!(f, "{} {}", self.value, self.unit),
        }
    }
}

/// A time in the largest unit that shows it without a fraction.
pub(super) struct Time(pub u64);

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];
        let fitting = units.into_iter().find(|(_, ns)| self.0 >= *ns && self.0.is_multiple_of(*ns));
        let (unit, ns) = fitting.unwrap_or(("ns", 1));
        write!(f, "{} {unit}", self.0 / ns)
    }
}

/// Exact bytes, and the same in the unit that a reader thinks in.
pub(super) struct Bytes(pub u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        write!(f, "{} bytes", self.0)?;
        let Some((unit, size)) = units.into_iter().find(|(_, size)| self.0 >= *size) else {
            return Ok(());
        };
        let tenths = (u128::from(self.0) * 10 + u128::from(size) / 2) / u128::from(size);
        write!(f, " ({}.{} {unit})", tenths / 10, tenths % 10)
    }
}
