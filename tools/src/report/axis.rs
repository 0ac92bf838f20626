//! Axes: from a value to a place between 0 and 1, and round numbers to read it by.

/// Ticks of a linear axis, about.
const TICKS: f64 = 6.0;
/// Decades of a logarithmic axis up to which 2 and 5 are labelled as well.
const DECADES_WITH_STEPS: f64 = 2.6;
/// Decades up to which each has its label.
const DECADES_EACH: f64 = 9.0;
/// The greatest share of its values above which an axis of times is logarithmic.
const SPREAD_OF_LINEAR: f64 = 20.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Linear,
    Log,
}

#[derive(Clone, Debug)]
pub struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    /// Where a number stands, and what it says.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From `low` to `high` exactly.
    #[must_use]
    pub fn linear(low: f64, high: f64, label: fn(f64) -> String) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        let step = round_step((high - low) / TICKS);
        let (first, last) = ((low / step).ceil(), (high / step + 1e-9).floor());
        let numbers = (0..=100).map(|i| first + f64::from(i)).take_while(|number| *number <= last);
        let ticks = numbers.map(|number| (number * step, label(number * step))).collect();
        Self { scale: Scale::Linear, low, high, ticks }
    }

    /// From 0 to a round number that is not exceeded.
    #[must_use]
    pub fn from_zero(high: f64, label: fn(f64) -> String) -> Self {
        let high = if high > 0.0 && high.is_finite() { high } else { 1.0 };
        let step = round_step(high / TICKS);
        Self::linear(0.0, (high / step - 1e-9).ceil() * step, label)
    }

    /// From and to 1, 2 or 5 of a decade. Values that are not positive have no place.
    #[must_use]
    pub fn log(low: f64, high: f64, label: fn(f64) -> String) -> Self {
        let low = if low > 0.0 && low.is_finite() { low } else { 1.0 };
        let high = if high >= low && high.is_finite() { high } else { low };
        let (low, mut high) = (round_down(low), round_up(high));
        if high / low < 4.0 {
            high = round_up(low * 4.0);
        }
        let decades = (high / low).log10();
        let every = (decades / DECADES_EACH).ceil().max(1.0);
        let digits: &[f64] = if decades <= DECADES_WITH_STEPS { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let first = low.log10().floor();
        let powers = (0..=400).map(|i| first + f64::from(i) * every);
        let numbers = powers.take_while(|power| *power <= high.log10() + 1e-9);
        let numbers = numbers.flat_map(|power| digits.iter().map(move |d| d * 10_f64.powf(power)));
        let is_inside = |number: &f64| *number >= low * 0.999 && *number <= high * 1.001;
        let ticks = numbers.filter(is_inside).map(|number| (number, label(number))).collect();
        Self { scale: Scale::Log, low, high, ticks }
    }

    /// Logarithmic, with these ends and no ticks.
    #[must_use]
    pub fn log_exact(low: f64, high: f64) -> Self {
        Self { scale: Scale::Log, low, high, ticks: Vec::new() }
    }

    /// For times, all of them: logarithmic when they differ much, else from 0.
    #[must_use]
    pub fn of_times(values: impl Iterator<Item = f64> + Clone, label: fn(f64) -> String) -> Self {
        let (low, high) = range(values.filter(|value| *value > 0.0));
        if high / low > SPREAD_OF_LINEAR {
            Self::log(low, high, label)
        } else {
            Self::from_zero(high, label)
        }
    }

    /// Puts other numbers at the axis.
    #[must_use]
    pub fn with_ticks(mut self, ticks: Vec<(f64, String)>) -> Self {
        self.ticks = ticks;
        self
    }

    /// The place of a value: 0 at the low end, 1 at the high one, and not beyond.
    #[must_use]
    pub fn place(&self, value: f64) -> f64 {
        let place = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log if value <= 0.0 => 0.0,
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        place.clamp(0.0, 1.0)
    }

    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        let slack = (self.high - self.low) * 1e-9;
        (self.low - slack..=self.high + slack).contains(&value)
    }
}

/// The least and the greatest of what is finite; (1, 1) of nothing.
pub fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = values.filter(|value| value.is_finite());
    let both = finite.fold(None, |both: Option<(f64, f64)>, value| {
        let (low, high) = both.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    });
    both.unwrap_or((1.0, 1.0))
}

/// The next of 1, 2 and 5 times a power of ten.
fn round_step(step: f64) -> f64 {
    round_up(step.max(f64::MIN_POSITIVE * 1e10))
}

fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let digits = [1.0, 2.0, 5.0, 10.0].into_iter();
    digits.map(|digit| digit * power).find(|round| *round >= value * (1.0 - 1e-9)).unwrap_or(value)
}

fn round_down(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let digits = [5.0, 2.0, 1.0].into_iter();
    digits.map(|digit| digit * power).find(|round| *round <= value * (1.0 + 1e-9)).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::numbers::{number_tick, time_tick};
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn a_linear_axis_counts_in_round_steps() {
        let axis = Axis::from_zero(93.0, number_tick);
        assert_eq!(labels(&axis), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!([0.0, 50.0, 100.0, 200.0].map(|value| axis.place(value)), [0.0, 0.5, 1.0, 1.0]);
    }

    #[test]
    fn a_logarithmic_axis_counts_in_decades() {
        let axis = Axis::log(3e3, 4e8, time_tick);
        assert_eq!(labels(&axis), ["10 µs", "100 µs", "1 ms", "10 ms", "100 ms"]);
        let near = Axis::log(3e3, 4e4, time_tick);
        assert_eq!(labels(&near), ["2 µs", "5 µs", "10 µs", "20 µs", "50 µs"]);
        assert_eq!((near.place(0.0), near.place(-1.0)), (0.0, 0.0));
    }

    #[test]
    fn times_that_differ_much_are_drawn_on_a_logarithmic_axis() {
        let scales = [vec![1e3, 1e6], vec![5e5, 1e6], vec![]]
            .map(|times| Axis::of_times(times.into_iter(), time_tick).scale);
        assert_eq!(scales, [Scale::Log, Scale::Linear, Scale::Linear]);
    }

    proptest! {
        #[test]
        fn every_axis_has_ticks_and_places_within_it(
            a in prop_oneof![Just(0.0), Just(f64::NAN), Just(f64::INFINITY), 1e-3..1e15],
            b in prop_oneof![Just(0.0), Just(f64::NAN), 1e-3..1e15],
            value in 0.0..1e15,
        ) {
            for axis in [Axis::log(a, b, number_tick), Axis::from_zero(b, number_tick)] {
                prop_assert!((1..=30).contains(&axis.ticks.len()), "{axis:?}");
                prop_assert!((0.0..=1.0).contains(&axis.place(value)), "{axis:?}");
                prop_assert!(axis.ticks.iter().all(|(tick, _)| axis.holds(*tick)), "{axis:?}");
            }
        }

        #[test]
        fn what_an_axis_was_made_for_lies_on_it(low in 1e-3..1e12_f64, times in 1.0..1e9_f64) {
            let axis = Axis::log(low, low * times, number_tick);
            prop_assert!(axis.holds(low) && axis.holds(low * times), "{axis:?}");
            prop_assert!(Axis::from_zero(low, number_tick).holds(low));
        }
    }
}
