//! A model whose service time is known, under an SLO: one cell of a table of goodputs.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use cutter_tools::goodput::{Scene, SceneError, ServiceLine};

/// A batch of `b` rows takes `beta + alpha × b` on each of `replicas`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    pub alpha_us: u32,
    pub beta_us: u32,
    pub replicas: u32,
    pub slo_us: u32,
}

impl Cell {
    /// What there is to be had of it, with all of the SLO for the model.
    pub fn scene(self) -> Result<Scene, SceneError> {
        let ns = |us: u32| f64::from(us) * 1e3;
        let line = ServiceLine { fixed_ns: ns(self.beta_us), per_row_ns: ns(self.alpha_us) };
        Scene::new(line, u64::from(self.slo_us) * 1_000, 0, self.replicas)
    }

    /// Whether its replicas wait for the time to pass instead of using a core, since there may be
    /// more of them than cores.
    pub fn waits(self) -> bool {
        self.replicas > 1
    }
}

impl Display for Cell {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let time = |us: u32| {
            if us.is_multiple_of(1_000) { format!("{}ms", us / 1_000) } else { format!("{us}us") }
        };
        let (alpha, beta) = (time(self.alpha_us), time(self.beta_us));
        write!(f, "alpha={alpha},beta={beta},n={}", self.replicas)
    }
}

/// What text names, at least in part: `beta=4ms,n=1` names each cell with these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Only {
    alpha_us: Option<u32>,
    beta_us: Option<u32>,
    replicas: Option<u32>,
}

impl Only {
    pub fn names(&self, cell: Cell) -> bool {
        let is = |wanted: Option<u32>, value: u32| wanted.is_none_or(|wanted| wanted == value);
        is(self.alpha_us, cell.alpha_us)
            && is(self.beta_us, cell.beta_us)
            && is(self.replicas, cell.replicas)
    }
}

impl FromStr for Only {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused =
            || format!("{text:?} names no cell; write alpha=100us,beta=4ms,n=1, or a part of that");
        let mut only = Self::default();
        for part in text.split(',') {
            let (name, value) = part.split_once('=').ok_or_else(refused)?;
            let place = match name {
                "alpha" => &mut only.alpha_us,
                "beta" => &mut only.beta_us,
                "n" => &mut only.replicas,
                _ => return Err(refused()),
            };
            let value = if name == "n" { value.parse().ok() } else { time_us(value) };
            *place = Some(value.ok_or_else(refused)?);
        }
        Ok(only)
    }
}

fn time_us(text: &str) -> Option<u32> {
    let (number, factor) = match text.strip_suffix("ms") {
        Some(number) => (number, 1_000),
        None => (text.strip_suffix("us")?, 1),
    };
    number.parse::<u32>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELL: Cell = Cell { alpha_us: 100, beta_us: 4_000, replicas: 1, slo_us: 20_000 };

    #[test]
    fn a_cell_is_named_by_what_it_is_written_as_or_a_part_of_that() {
        assert_eq!(CELL.to_string(), "alpha=100us,beta=4ms,n=1");
        for text in [&CELL.to_string(), "beta=4ms", "n=1,alpha=100us", "beta=4000us"] {
            assert!(text.parse::<Only>().unwrap().names(CELL), "{text}");
        }
        for text in ["beta=1ms", "n=4", "alpha=1ms,beta=4ms"] {
            assert!(!text.parse::<Only>().unwrap().names(CELL), "{text}");
        }
        for text in ["", "beta", "beta=4", "gamma=1us", "n=x", "beta=-1ms", "beta=9999999ms"] {
            assert!(text.parse::<Only>().unwrap_err().contains("names no cell"), "{text}");
        }
    }

    #[test]
    fn a_cell_has_its_bound() {
        let (bound_qps, _) = cutter_tools::goodput::fluid_optimum(&CELL.scene().unwrap());
        assert!((bound_qps - 6_000.0).abs() < 1.0, "{bound_qps}");
        assert!(!CELL.waits() && Cell { replicas: 4, ..CELL }.waits());
    }
}
