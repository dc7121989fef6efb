//! The unique-dirty curve U(t): distinct memory that a guest dirties within t from a clean start.
//!
//! U is a sum of classes of memory. A *random* class of n bytes written with the mean interval p
//! has been touched by n (1 - exp(-t/p)) after t; a *sweep* class, rewritten in order once every
//! p, by n min(t/p, 1). Both start at 0, never fall, are concave and saturate at n, and so is
//! their sum. Random classes alone cannot follow a guest that walks through its memory (a copying
//! collector, a stream over an array): their curve bends too early and calls stalls that never
//! come.
//!
//! Never extrapolates without bound: a curve has a ceiling, the memory that the guest may write.
//!
//! Beside it: points of U from dirty readings ([`fit`]), from what was seen of past migrations
//! ([`samples`]) and from similar guests ([`prior`]); together the [`evidence`] that the
//! curve is fitted to; how its level moves ([`level`]).

pub(crate) mod draws;
mod drift;
pub mod evidence;
pub mod fit;
pub mod level;
mod mixture;
mod nnls;
mod pages;
pub mod points;
pub mod prior;
pub mod readings;
pub mod samples;
mod shapes;
pub(crate) mod sources;
pub(crate) mod trace;

use serde::{Deserialize, Serialize};
use whimbrel_core::units::{Bytes, BytesPerSecond, Span};

/// How the pages of a class are chosen for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Each page independently of the others.
    Random,
    /// One after the other, from the start again after the last.
    Sweep,
}

/// Memory that is written in one way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// Its size in bytes. Finite, above 0.
    pub size_bytes: f64,
    /// Mean time between two writes to one page, in seconds. Finite, above 0.
    pub period_seconds: f64,
    /// How pages are chosen.
    pub access: Access,
}

impl Class {
    /// The part of the class that is touched within `seconds`, 0..=1.
    pub(crate) fn touched(&self, seconds: f64) -> f64 {
        touched(self.access, seconds / self.period_seconds)
    }
}

/// The part of a class that is touched within `turns` of its period, 0..=1.
pub(crate) fn touched(access: Access, turns: f64) -> f64 {
    match access {
        Access::Random => -(-turns).exp_m1(),
        Access::Sweep => turns.min(1.0),
    }
}

/// A unique-dirty curve.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirtyCurve {
    /// From the slowest period to the fastest.
    classes: Vec<Class>,
}

impl DirtyCurve {
    /// A guest that writes nothing.
    pub fn still() -> Self {
        Self::default()
    }

    /// A guest that rewrites `working_set` in order at a constant `rate`.
    pub fn sweep(rate: BytesPerSecond, working_set: Bytes) -> Self {
        Self::bounded(
            vec![Class {
                size_bytes: working_set.as_f64(),
                period_seconds: working_set.as_f64() / rate.as_f64(),
                access: Access::Sweep,
            }],
            working_set,
        )
    }

    /// The sum of `classes`, held under `ceiling`. Classes whose size or period is not above 0
    /// and finite are left out.
    ///
    /// A sum that is larger is stopped where it meets the ceiling: every class keeps its rate and
    /// ends with what it has touched by then. Sweeps are not changed before that moment.
    pub fn bounded(mut classes: Vec<Class>, ceiling: Bytes) -> Self {
        let usable = |x: f64| x.is_finite() && x > 0.0;
        classes.retain(|c| usable(c.size_bytes) && usable(c.period_seconds));
        classes.sort_by(|a, b| b.period_seconds.total_cmp(&a.period_seconds));
        let mut curve = Self { classes };
        if let Some(end) = curve.reaches(ceiling.as_f64()) {
            for class in &mut curve.classes {
                let touched = class.touched(end);
                class.size_bytes *= touched;
                class.period_seconds *= touched;
            }
            curve.classes.retain(|c| usable(c.size_bytes) && usable(c.period_seconds));
        }
        curve
    }

    /// When U reaches `bytes`, in seconds, to one part in a million and not later; `None` where
    /// it stays below.
    fn reaches(&self, bytes: f64) -> Option<f64> {
        let total: f64 = self.classes.iter().map(|c| c.size_bytes).sum();
        if total <= bytes {
            return None;
        }
        let rate: f64 = self.classes.iter().map(|c| c.size_bytes / c.period_seconds).sum();
        // U stays under its tangent at 0, so this is too early.
        let mut early = bytes / rate;
        let mut late = early;
        while self.unique_bytes(late) < bytes && late < f64::MAX / 4.0 {
            late *= 2.0;
        }
        while late > early * (1.0 + 1e-6) {
            let middle = f64::midpoint(early, late);
            if self.unique_bytes(middle) <= bytes {
                early = middle;
            } else {
                late = middle;
            }
        }
        Some(early)
    }

    /// Distinct memory dirtied within `span`.
    pub fn unique(&self, span: Span) -> Bytes {
        Bytes::new(self.unique_bytes(span.as_seconds_f64()).round() as u64)
    }

    /// The same in bytes and seconds, for arithmetic.
    pub(crate) fn unique_bytes(&self, seconds: f64) -> f64 {
        self.classes.iter().map(|c| c.size_bytes * c.touched(seconds)).sum()
    }

    /// The slope U'(0): what the guest dirties a second when nothing is dirty yet.
    pub fn rate_at_zero(&self) -> BytesPerSecond {
        let rate: f64 = self.classes.iter().map(|c| c.size_bytes / c.period_seconds).sum();
        BytesPerSecond::new(rate.round() as u64)
    }

    /// What U approaches: the writable working set.
    pub fn saturation(&self) -> Bytes {
        Bytes::new(self.classes.iter().map(|c| c.size_bytes).sum::<f64>().round() as u64)
    }

    /// Its classes, from the slowest to the fastest.
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn class() -> impl Strategy<Value = Class> {
        (1e3..1e11f64, 1e-2..1e4f64, any::<bool>()).prop_map(|(size_bytes, period_seconds, r)| {
            let access = if r { Access::Random } else { Access::Sweep };
            Class { size_bytes, period_seconds, access }
        })
    }

    proptest! {
        #[test]
        fn starts_at_zero_never_falls_and_keeps_under_its_ceiling(
            classes in prop::collection::vec(class(), 0..6),
            ceiling in 1u64..1 << 36,
            millis in prop::collection::vec(0u64..10_000_000, 2..20),
        ) {
            let curve = DirtyCurve::bounded(classes, Bytes::new(ceiling));
            prop_assert_eq!(curve.unique(Span::ZERO), Bytes::ZERO);
            let mut millis = millis;
            millis.sort_unstable();
            let values: Vec<_> = millis.iter().map(|m| curve.unique(Span::from_millis(*m))).collect();
            prop_assert!(values.is_sorted());
            prop_assert!(values.iter().all(|v| v.get() <= ceiling));
        }

        #[test]
        fn concave(classes in prop::collection::vec(class(), 1..6), at in 0.0..1e3f64, gap in 0.0..1e3f64) {
            let curve = DirtyCurve::bounded(classes, Bytes::mib(1 << 20));
            let middle = curve.unique_bytes(at + gap);
            let chord = f64::midpoint(curve.unique_bytes(at), curve.unique_bytes(at + 2.0 * gap));
            prop_assert!(middle >= chord * (1.0 - 1e-9));
        }
    }

    #[test]
    fn sweeps_are_not_changed_below_the_ceiling() {
        let class = |size_bytes, period_seconds| Class {
            size_bytes,
            period_seconds,
            access: Access::Sweep,
        };
        let classes = vec![class(1e9, 10.0), class(3e9, 100.0), class(1e12, 1e3)];
        let free = DirtyCurve::bounded(classes.clone(), Bytes::mib(1 << 30));
        let bounded = DirtyCurve::bounded(classes, Bytes::new(20_000_000_000));
        for t in [0.1, 1.0, 5.0, 15.0, 18.0] {
            let ratio = bounded.unique_bytes(t) / free.unique_bytes(t);
            assert!((ratio - 1.0).abs() < 1e-5, "{ratio} at {t} s");
        }
        assert!((bounded.unique_bytes(1e5) / 2e10 - 1.0).abs() < 1e-5);
    }

    #[test]
    fn the_ceiling_keeps_the_rate() {
        let curve = DirtyCurve::bounded(
            vec![Class { size_bytes: 1e12, period_seconds: 1e4, access: Access::Sweep }],
            Bytes::new(1_000_000_000),
        );
        assert_eq!(curve.rate_at_zero(), BytesPerSecond::new(100_000_000));
        assert_eq!(curve.unique(Span::from_seconds(5)), Bytes::new(500_000_000));
        let end = curve.unique(Span::from_seconds(50)).as_f64();
        assert!((0.999e9..=1e9).contains(&end), "{end}");
    }

    #[test]
    fn a_sweep_of_nothing_is_still() {
        assert_eq!(DirtyCurve::sweep(BytesPerSecond::ZERO, Bytes::mib(1)), DirtyCurve::still());
    }
}
