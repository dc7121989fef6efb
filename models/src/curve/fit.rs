//! From all that is known of a guest's writes to a unique-dirty curve, with the uncertainty.
//!
//! Dirty readings give the level of now, coarsely; past migrations give the shape, finely and
//! down to a tenth of a second; similar guests stand in where both are missing. They are brought
//! to one level first, each moved by how sure the others are (the gain of a Kalman filter), and
//! the mixture goes through all points. Draws then choose among mixtures through points that the
//! errors allow as well, and vary the level by its sampling error, its phases and its age.
//!
//! Never invents a level in silence: [`CurveFit::basis`] says what it rests on, and without any
//! evidence there is no fit but [`FitError::NoReadings`].

use thiserror::Error;
use whimbrel_core::units::{Bytes, Span, Timestamp};

use super::{
    Class, DirtyCurve,
    draws::Draws,
    evidence::{Basis, Evidence, Past},
    level::{Levels, Phase},
    readings::{Read, usable},
    shapes::{reach, shapes},
    sources::{Measured, join, spread},
};

/// Why evidence gives no curve.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum FitError {
    /// There is none.
    #[error("no dirty reading (hint: let the collector measure windows of 1, 2, 4 and 8 s)")]
    NoReadings,
    /// A window without length.
    #[error("a dirty reading has a window of 0 s (hint: measure at least 1 ms)")]
    EmptyWindow,
    /// More dirty than there is.
    #[error(
        "{unique} dirtied within {window}, but the domain has {memory} \
         (hint: was its balloon changed? measure again)"
    )]
    MoreThanMemory {
        /// What the reading says.
        unique: Bytes,
        /// Its window.
        window: Span,
        /// The domain's memory.
        memory: Bytes,
    },
}

/// A fitted curve and its uncertainty.
#[derive(Debug, Clone)]
pub struct CurveFit {
    /// The most likely classes, without a ceiling.
    classes: Vec<Class>,
    /// Others that the errors allow as well.
    shapes: Vec<Vec<Class>>,
    levels: Levels,
    /// Standard error of the level, of its logarithm.
    level_error: f64,
    /// What the age of the evidence adds to the spread of the level.
    aged: f64,
    reach: (f64, f64),
    newest: Timestamp,
    basis: Basis,
    changed_at: Option<Timestamp>,
}

impl CurveFit {
    /// Fits the curve of a guest to `evidence`.
    ///
    /// # Errors
    /// [`FitError`] when there is no evidence, or when readings are all that there is and none of
    /// them can be.
    pub fn new(evidence: &Evidence<'_>) -> Result<Self, FitError> {
        let reads = usable(evidence.readings, evidence.memory);
        let past = evidence.past.filter(|past| !past.points.is_empty());
        let reads = match reads {
            Err(fault) if past.is_none() => return Err(fault),
            reads => reads.unwrap_or_default(),
        };
        let measured = Measured::new(&reads, evidence);
        let joined = join(measured.as_ref(), past, evidence).ok_or(FitError::NoReadings)?;
        let newest = newest(&reads, past);
        let age = newest.map_or(Span::ZERO, |newest| evidence.now.since(newest));
        let levels = match (&measured, past, evidence.likely) {
            (Some(measured), ..) => measured.levels.clone(),
            (None, Some(past), _) => Levels::steady(spread(past.level_spread)),
            (None, None, likely) => {
                Levels::steady(likely.map_or(1.0, |likely| spread(likely.spread)))
            }
        };
        let reach = reach(&joined.points);
        let (classes, shapes) = shapes(&joined.points, evidence.memory);
        Ok(Self {
            classes,
            shapes,
            levels,
            level_error: joined.level_error,
            aged: evidence.wander.after(age),
            reach,
            newest: newest.unwrap_or_default(),
            basis: joined.basis,
            changed_at: measured.and_then(|measured| measured.changed_at),
        })
    }

    /// The most likely curve under `ceiling`, at the level that runs now.
    pub fn curve(&self, ceiling: Bytes) -> DirtyCurve {
        DirtyCurve::bounded(self.classes.clone(), ceiling)
    }

    /// One curve that the evidence allows as well, at a level that the migration may meet.
    pub(crate) fn draw(&self, draws: &mut Draws, ceiling: Bytes) -> DirtyCurve {
        let place = (draws.uniform() * self.shapes.len() as f64) as usize;
        let mut classes = self.shapes.get(place).unwrap_or(&self.classes).clone();
        let read = draws.factor(self.level_error);
        let load = self.levels.draw(draws, self.aged);
        // A wrong reading is wrong about all of U; a busier guest writes faster and touches more.
        let part = load.sqrt();
        for class in &mut classes {
            class.size_bytes *= read * part;
            class.period_seconds /= part;
        }
        DirtyCurve::bounded(classes, ceiling)
    }

    /// When the newest reading or migration ended; the beginning of time where a guess is all.
    pub fn newest(&self) -> Timestamp {
        self.newest
    }

    /// What it rests on.
    pub fn basis(&self) -> Basis {
        self.basis
    }

    /// When readings show that the level changed; older ones give the shape only.
    pub fn changed_at(&self) -> Option<Timestamp> {
        self.changed_at
    }

    /// The phases of the guest's load, the one that runs first; one when none are told apart.
    pub fn phases(&self) -> Vec<Phase> {
        self.levels.phases()
    }

    /// Spread of the level that a migration meets, without phases: a standard deviation of its
    /// logarithm.
    pub fn level_spread(&self) -> f64 {
        self.level_error.hypot(self.levels.spread).hypot(self.aged)
    }

    /// The shortest and the longest window that was seen, in seconds.
    pub(crate) fn reach_seconds(&self) -> (f64, f64) {
        self.reach
    }
}

fn newest(reads: &[Read], past: Option<&Past>) -> Option<Timestamp> {
    let of_past = || past.and_then(|past| past.points.iter().map(|p| p.measured_at).max());
    reads.iter().map(|read| read.at).max().or_else(of_past)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use whimbrel_core::cluster::DirtyReading;

    use super::*;
    use crate::curve::{Access, points::CurvePoint, readings::merged};

    const MEMORY: Bytes = Bytes::mib(64 * 1024);

    fn reading(window_seconds: u64, unique: Bytes) -> DirtyReading {
        let window = Span::from_seconds(window_seconds);
        DirtyReading { window, unique, measured_at: Timestamp::default() }
    }

    fn fit(readings: &[DirtyReading]) -> CurveFit {
        CurveFit::new(&Evidence::of_readings(readings, MEMORY)).unwrap()
    }

    fn read_from(curve: &DirtyCurve) -> Vec<DirtyReading> {
        // QEMU cuts to whole MiB/s.
        let read = |s: u64| curve.unique(Span::from_seconds(s)).get() / (s << 20) * s;
        [1, 2, 4, 8, 16, 32].map(|s| reading(s, Bytes::mib(read(s)))).to_vec()
    }

    #[test]
    fn a_sweep_is_found_again() {
        let truth =
            DirtyCurve::sweep(whimbrel_core::units::BytesPerSecond::mib(500), Bytes::mib(5000));
        let found = fit(&read_from(&truth)).curve(MEMORY);
        for millis in [100, 500, 3000, 7000, 16_000, 100_000] {
            let span = Span::from_millis(millis);
            let ratio = found.unique(span).as_f64() / truth.unique(span).as_f64();
            assert!((0.9..1.1).contains(&ratio), "{ratio} at {span}");
        }
    }

    #[test]
    fn one_window_goes_on_rising_to_the_ceiling() {
        let curve = fit(&[reading(1, Bytes::mib(100))]).curve(Bytes::mib(4096));
        let at = |seconds| curve.unique(Span::from_seconds(seconds)).as_f64() / 1_048_576.0;
        assert!((95.0..105.0).contains(&at(1)), "{}", at(1));
        assert!((700.0..1050.0).contains(&at(10)), "{}", at(10));
        assert!((2000.0..4096.1).contains(&at(60)), "{}", at(60));
    }

    #[test]
    fn draws_scatter_about_the_curve_as_the_errors_say() {
        let readings: Vec<_> = [1, 2, 4].map(|s| reading(s, Bytes::mib(400 * s))).to_vec();
        let fit = fit(&readings);
        let mut draws = Draws::new(1);
        let mut at_2: Vec<f64> = (0..400)
            .map(|_| fit.draw(&mut draws, MEMORY).unique_bytes(2.0) / 1_048_576.0)
            .collect();
        at_2.sort_by(f64::total_cmp);
        assert!((770.0..830.0).contains(&at_2[200]), "{}", at_2[200]);
        // Sampling 3 to 4 %, and 5 % that are assumed of the level.
        let spread = (at_2[336] - at_2[64]) / 2.0;
        assert!((30.0..80.0).contains(&spread), "{spread}");
    }

    #[test]
    fn past_migrations_give_the_shape_and_fresh_readings_the_level() {
        let truth = DirtyCurve::bounded(
            vec![Class { size_bytes: 2e8, period_seconds: 0.5, access: Access::Random }],
            MEMORY,
        );
        let point = |millis: u64| {
            let window = Span::from_millis(millis);
            let unique = truth.unique(window);
            let error = Bytes::new(unique.get() / 20);
            CurvePoint { window, unique, error, measured_at: Timestamp::default() }
        };
        let past = Past {
            points: [100, 200, 400, 800, 1600, 3200].map(point).to_vec(),
            level_spread: 0.3,
            reading_ratio: 1.0,
            reading_ratio_spread: 0.1,
        };
        let readings: Vec<_> = read_from(&truth)
            .iter()
            .map(|r| DirtyReading { unique: r.unique + r.unique, ..*r })
            .collect();
        let evidence = Evidence { past: Some(&past), ..Evidence::of_readings(&readings, MEMORY) };
        let fit = CurveFit::new(&evidence).unwrap();
        assert_eq!(fit.basis(), Basis::ReadingsAndPast);
        let ratio = fit.curve(MEMORY).unique_bytes(0.2) / truth.unique_bytes(0.2);
        assert!((1.5..2.1).contains(&ratio), "{ratio}");
        assert!((fit.reach_seconds().0 - 0.1).abs() < 1e-9);
    }

    #[test]
    fn nothing_known_is_refused_and_zeros_are_not_a_still_guest() {
        let none = CurveFit::new(&Evidence::of_readings(&[], MEMORY));
        assert_eq!(none.unwrap_err(), FitError::NoReadings);
        let zeros: Vec<_> = [1, 2, 4, 8].map(|s| reading(s, Bytes::ZERO)).to_vec();
        let at_10 = fit(&zeros).curve(MEMORY).unique_bytes(10.0) / 1_048_576.0;
        assert!((2.0..10.0).contains(&at_10), "{at_10}");
    }

    proptest! {
        /// A mixture is reproduced within three standard errors of its readings (no closer on
        /// purpose, for what is closer is noise) or within 6 %, where several sweeps end between
        /// the periods that the fit knows.
        #[test]
        fn mixtures_are_reproduced_at_their_readings(
            sizes in prop::collection::vec(1e8..2e10f64, 1..4),
            periods in prop::collection::vec(0.2..100.0f64, 3),
            random in any::<bool>(),
        ) {
            let access = if random { Access::Random } else { Access::Sweep };
            let classes = sizes
                .iter()
                .zip(&periods)
                .map(|(s, p)| Class { size_bytes: *s, period_seconds: *p, access })
                .collect();
            let truth = DirtyCurve::bounded(classes, MEMORY);
            let readings = read_from(&truth);
            let found = fit(&readings).curve(MEMORY);
            for point in merged(&usable(&readings, MEMORY).unwrap(), 0.0) {
                let off = found.unique_bytes(point.window_seconds) - point.unique_bytes;
                let allowed = (3.5 * point.error_bytes).max(0.07 * point.unique_bytes);
                prop_assert!(off.abs() < allowed, "{off} at {point:?}");
            }
        }

        #[test]
        fn any_evidence_gives_bounded_rising_curves_or_a_refusal(
            raw in prop::collection::vec((0u64..100_000, 0u64..1 << 37, any::<u32>()), 0..12),
            old in prop::collection::vec((any::<u32>(), any::<u64>(), any::<u64>()), 0..6),
            spread in prop::num::f64::ANY,
            seed in any::<u64>(),
        ) {
            let readings: Vec<_> = raw
                .iter()
                .map(|(millis, bytes, at)| DirtyReading {
                    window: Span::from_millis(*millis),
                    unique: Bytes::new(*bytes),
                    measured_at: Timestamp::from_micros(u64::from(*at)),
                })
                .collect();
            let points = old.iter().map(|(window, unique, error)| CurvePoint {
                window: Span::from_micros(u64::from(*window)),
                unique: Bytes::new(*unique),
                error: Bytes::new(*error),
                measured_at: Timestamp::default(),
            });
            let past = Past {
                points: points.collect(),
                level_spread: spread,
                reading_ratio: spread,
                reading_ratio_spread: 0.1,
            };
            let past = if old.len() % 2 == 0 { Some(&past) } else { None };
            let evidence = Evidence { past, ..Evidence::of_readings(&readings, MEMORY) };
            if let Ok(fit) = CurveFit::new(&evidence) {
                let drawn = fit.draw(&mut Draws::new(seed), MEMORY);
                prop_assert_eq!(&drawn, &fit.draw(&mut Draws::new(seed), MEMORY));
                for curve in [fit.curve(MEMORY), drawn] {
                    let values: Vec<f64> =
                        (0..40).map(|k| curve.unique_bytes(f64::from(k) * 0.7)).collect();
                    prop_assert!(values.is_sorted());
                    prop_assert!(values.iter().all(|v| *v <= MEMORY.as_f64() * (1.0 + 1e-9)));
                }
            }
        }
    }
}
