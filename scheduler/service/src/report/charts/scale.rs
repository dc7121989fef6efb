//! Axes: where a value stands between 0 and 1, and which values get a tick.
//!
//! Never yields an empty range: whatever the values are, two ends differ.

use std::ops::Range;

/// What an axis measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantity {
    /// Time in seconds.
    Seconds,
    /// Size in bytes.
    Bytes,
    /// Anything else, without a unit.
    Number,
}

/// An axis from its low to its high end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    quantity: Quantity,
    low: f64,
    high: f64,
    logarithmic: bool,
}

/// Values that span more than this factor are shown on a logarithmic axis.
const LOGARITHMIC_FROM: f64 = 8.0;
const KIB: f64 = 1024.0;
/// Steps of time from 10 s on that people count in; seconds.
const STEPS_SECONDS: [f64; 14] = [
    10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14400.0, 21600.0,
    43200.0,
];
/// Ladders that are tried; the last is sparse enough for any axis that a page has.
const LADDERS: i32 = 30;
/// Ticks of a linear axis at most.
const RUNGS_MAX: usize = 12;
/// Characters between the texts of two ticks at least.
const TICK_GAP: f64 = 1.5;

impl Scale {
    /// A linear axis from 0 that holds `values` with a little room above.
    pub(crate) fn from_zero(quantity: Quantity, values: impl IntoIterator<Item = f64>) -> Self {
        let high = values.into_iter().filter(|v| v.is_finite()).fold(0.0, f64::max);
        let high = if high > 0.0 { high * 1.06 } else { 1.0 };
        Self { quantity, low: 0.0, high, logarithmic: false }
    }

    /// A logarithmic axis that holds the positive ones of `values`; linear where they are close
    /// together or one is zero.
    pub(crate) fn spanning(quantity: Quantity, values: &[f64]) -> Self {
        let positive = || values.iter().copied().filter(|v| v.is_finite() && *v > 0.0);
        let low = positive().fold(f64::INFINITY, f64::min);
        let high = positive().fold(0.0, f64::max);
        let all_positive = values.iter().all(|v| *v > 0.0);
        if all_positive && low.is_finite() && high / low >= LOGARITHMIC_FROM {
            let room = (high / low).powf(0.05);
            Self { quantity, low: low / room, high: high * room, logarithmic: true }
        } else {
            Self::from_zero(quantity, values.iter().copied())
        }
    }

    /// Low and high end.
    pub(crate) fn ends(&self) -> Range<f64> {
        self.low..self.high
    }

    /// Where `value` stands: 0 at the low end, 1 at the high end, clamped to them.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let part = if self.logarithmic {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Ticks by rising value, with their texts: as many as stand apart where `room` characters
    /// fit beside each other along the axis.
    pub(crate) fn ticks(&self, room: f64) -> Vec<(f64, String)> {
        let labelled = |values: Vec<f64>| -> Vec<(f64, String)> {
            let inside: Vec<_> =
                values.into_iter().filter(|v| (self.low..=self.high).contains(v)).collect();
            let unit = if self.logarithmic { 1.0 } else { self.quantity.common_unit(&inside) };
            inside.into_iter().map(|v| (v, self.quantity.text(v, unit))).collect()
        };
        self.ladders()
            .into_iter()
            .map(labelled)
            .find(|ticks| self.stand_apart(ticks, room))
            .unwrap_or_else(|| labelled(vec![self.low]))
    }

    fn stand_apart(&self, ticks: &[(f64, String)], room: f64) -> bool {
        let longest = ticks.iter().map(|(_, text)| text.chars().count()).max().unwrap_or(0);
        ticks.windows(2).all(|pair| match pair {
            [(a, _), (b, _)] => {
                (self.place(*b) - self.place(*a)) * room >= longest as f64 + TICK_GAP
            }
            _ => true,
        })
    }

    /// Ever sparser ladders of round values that cover the axis.
    fn ladders(&self) -> Vec<Vec<f64>> {
        if self.logarithmic {
            return self.quantity.log_ladders(self.low, self.high);
        }
        let rungs = |step: f64| (0..=RUNGS_MAX).map(|k| k as f64 * step).collect();
        self.quantity.steps(self.high / RUNGS_MAX as f64).into_iter().map(rungs).collect()
    }
}

impl Quantity {
    /// Round steps by rising size, the first not below `least`.
    fn steps(self, least: f64) -> Vec<f64> {
        let least = least.max(1e-6);
        match self {
            Self::Bytes => {
                let first = least.max(1.0).log2().ceil() as i32;
                (first..first + LADDERS).map(|e| 2f64.powi(e)).collect()
            }
            Self::Number => {
                let decade = least.log10().floor() as i32;
                let tens = (decade..decade + LADDERS)
                    .flat_map(|e| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(e)));
                tens.filter(|step| *step >= least).collect()
            }
            Self::Seconds => {
                let decade = least.log10().floor() as i32;
                let tens = (decade..decade + LADDERS)
                    .flat_map(|e| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(e)));
                let mut steps: Vec<_> = tens.filter(|s| *s < 10.0).collect();
                steps.extend(STEPS_SECONDS);
                steps.extend((0..LADDERS).map(|e| 86400.0 * 2f64.powi(e)));
                steps.retain(|s| *s >= least);
                steps
            }
        }
    }

    /// The largest unit of which all `values` are multiples; in the quantity's base unit.
    fn common_unit(self, values: &[f64]) -> f64 {
        let fits = |unit: &f64| values.iter().all(|v| v % unit == 0.0);
        match self {
            Self::Bytes | Self::Number => 1.0,
            Self::Seconds => [3600.0, 60.0].into_iter().find(fits).unwrap_or(1.0),
        }
    }

    /// Ever sparser ladders of round values that cover `low..=high` evenly in their logarithm.
    fn log_ladders(self, low: f64, high: f64) -> Vec<Vec<f64>> {
        match self {
            Self::Bytes => {
                let (first, last) = (low.log2().floor() as i32, high.log2().ceil() as i32);
                let ladder = |step: i32| {
                    let from = first.div_euclid(step) * step;
                    (from..=last).step_by(step as usize).map(|e| 2f64.powi(e)).collect()
                };
                (1..=LADDERS).map(ladder).collect()
            }
            Self::Seconds | Self::Number => {
                let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
                let ladder = |multiples: &[f64], step: i32| -> Vec<f64> {
                    let decades = (first..=last).step_by(step as usize).map(|e| 10f64.powi(e));
                    decades.flat_map(|d| multiples.iter().map(move |m| m * d)).collect()
                };
                let dense = [&[1.0, 2.0, 5.0][..], &[1.0, 3.0]].map(|m| ladder(m, 1));
                dense.into_iter().chain((1..=LADDERS).map(|step| ladder(&[1.0], step))).collect()
            }
        }
    }

    /// A tick's text, exact for round values; times of a second and more in `unit` seconds.
    fn text(self, value: f64, unit: f64) -> String {
        let (amount, unit) = match self {
            Self::Bytes => match value {
                v if v >= KIB.powi(4) => (v / KIB.powi(4), "TiB"),
                v if v >= KIB.powi(3) => (v / KIB.powi(3), "GiB"),
                v if v >= KIB.powi(2) => (v / KIB.powi(2), "MiB"),
                v if v >= KIB => (v / KIB, "KiB"),
                v => (v, "B"),
            },
            Self::Seconds => match value {
                v if unit >= 3600.0 => (v / 3600.0, "h"),
                v if unit >= 60.0 => (v / 60.0, "min"),
                v if v >= 0.9995 || v == 0.0 => (v, "s"),
                v if v >= 0.000_999 => (v * 1e3, "ms"),
                v => (v * 1e6, "µs"),
            },
            Self::Number => (value, ""),
        };
        let decimals = if self == Self::Number { 6 } else { 2 };
        let text = format!("{amount:.decimals$}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        if unit.is_empty() { text.to_owned() } else { format!("{text} {unit}") }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(scale: &Scale, room: f64) -> Vec<String> {
        scale.ticks(room).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round() {
        let scale = Scale::from_zero(Quantity::Seconds, [88.0]);
        assert_eq!(texts(&scale, 40.0), ["0 s", "20 s", "40 s", "60 s", "80 s"]);
        let scale = Scale::from_zero(Quantity::Seconds, [7000.0]);
        assert_eq!(texts(&scale, 40.0), ["0 min", "30 min", "60 min", "90 min", "120 min"]);
        let scale = Scale::spanning(Quantity::Bytes, &[3e6, 40e9]);
        assert_eq!(texts(&scale, 40.0), ["16 MiB", "256 MiB", "4 GiB"]);
        let scale = Scale::spanning(Quantity::Seconds, &[0.02, 3.0]);
        assert_eq!(texts(&scale, 40.0), ["30 ms", "100 ms", "300 ms", "1 s", "3 s"]);
        let scale = Scale::from_zero(Quantity::Number, [1.1]);
        assert_eq!(texts(&scale, 40.0), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        let scale = Scale::from_zero(Quantity::Number, [0.02]);
        assert_eq!(texts(&scale, 40.0), ["0", "0.005", "0.01", "0.015", "0.02"]);
    }

    #[test]
    fn one_value_none_and_zero_have_an_axis() {
        for values in [&[][..], &[0.0], &[5.0], &[0.0, 0.0], &[0.0, 1e12], &[f64::NAN]] {
            for quantity in [Quantity::Seconds, Quantity::Bytes, Quantity::Number] {
                let scale = Scale::spanning(quantity, values);
                assert!(scale.high > scale.low, "{values:?}");
                assert!(!scale.ticks(40.0).is_empty(), "{values:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn places_keep_order_and_stay_inside(
            mut values in proptest::collection::vec(1e-6..1e15f64, 1..20),
            room in 20.0..200.0f64,
        ) {
            values.sort_by(f64::total_cmp);
            for quantity in [Quantity::Seconds, Quantity::Bytes, Quantity::Number] {
                let scale = Scale::spanning(quantity, &values);
                let places: Vec<_> = values.iter().map(|v| scale.place(*v)).collect();
                prop_assert!(places.is_sorted());
                prop_assert!(places.iter().all(|p| (0.0..=1.0).contains(p)));
                let ticks = scale.ticks(room);
                prop_assert!(!ticks.is_empty() && ticks.len() as f64 <= room / 4.0);
            }
        }
    }
}
