//! When to begin: guests with a cyclic load, each asked for at drawn phases of their cycle.
//!
//! For each request three migrations at the same phase: at once, when Whimbrel says, and at a drawn
//! moment before the deadline. The cap is a drawn part of what the guest was read to dirty at its
//! peak, so that the peak is hard and the trough is easy whatever the emulator makes of the load.

use std::{collections::BTreeMap, sync::Arc, thread};

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    cluster::DirtyReading,
    ids::OrderId,
    settings::MigrationSettings,
    units::{BytesPerSecond, Span, Timestamp},
};
use whimbrel_lab::{GuestSpec, Load, Order, Shape};
use whimbrel_models::ReplayPredictor;

use super::{
    driver::{Place, Trials},
    live::{Live, Preparation, Prepared},
    run::{Arm, Row, Run, Subject},
    statistics::quantile,
};
use crate::{campaign::error::CampaignError, draw::Draw};

mod advise;
pub mod report;

use advise::{Question, advise};

/// The file with its rows.
pub const ROWS_FILE: &str = "timing.jsonl";

/// Requests of each guest.
const PAIRS_PER_GUEST: u32 = 4;

/// Guests alive at a time.
const ALIVE: usize = 9;

/// How long a migration may take.
const LIMIT: Span = Span::from_seconds(45);

/// Periods for which a guest is watched before its first request, and rests between runs.
const WATCHED_PERIODS: f64 = 5.0;
const REST_PERIODS: f64 = 1.0;

/// Periods from a request to its deadline.
const DEADLINE_PERIODS: f64 = 1.5;

/// How late after its phase a request may come.
const LATE: f64 = 0.6;

/// Slowest cap, in MiB/s.
const CAP_LEAST: f64 = 4.0;

/// The part of short readings that lie below the peak of a cyclic load.
const PEAK: f64 = 0.8;

/// Downtime limits, in milliseconds.
const DOWNTIME_LIMITS: [u64; 4] = [100, 150, 200, 300];

/// A request: the same for each of its three runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// Its number, from 0.
    pub number: u32,
    /// Length of the guest's cycle.
    pub period: Span,
    /// Where in the cycle it is asked for. Range 0..1.
    pub phase: f64,
    /// When the arm that waits by chance begins, as a part of the time to the deadline. Range 0..1.
    pub chance: f64,
    /// QEMU's limit.
    pub downtime_limit: Span,
    /// The cap as a part of what the guest dirties at its peak.
    pub cap_share: f64,
}

impl Pair {
    /// From the request to the deadline.
    pub fn deadline(&self) -> Span {
        times(self.period, DEADLINE_PERIODS)
    }
}

fn times(span: Span, factor: f64) -> Span {
    Span::from_seconds_f64(span.as_seconds_f64() * factor)
}

/// The guests of `pairs` requests by `seed`.
///
/// # Errors
/// [`CampaignError::Name`], which no drawn name gives.
pub fn draw(seed: u64, pairs: u32) -> Result<Vec<Subject<Pair>>, CampaignError> {
    let mut draw = Draw::new(seed);
    let guests = pairs.div_ceil(PAIRS_PER_GUEST);
    (0..guests).map(|guest| subject(&mut draw, guest, pairs)).collect()
}

fn subject(draw: &mut Draw, guest: u32, pairs: u32) -> Result<Subject<Pair>, CampaignError> {
    let seconds = draw.between(30, 80);
    let period = Span::from_seconds(seconds.into());
    let spec = spec(draw, guest, seconds);
    let downtime_limit = Span::from_millis(draw.of(&DOWNTIME_LIMITS));
    let cap_share = 0.75 + 0.3 * draw.share();
    let first = guest * PAIRS_PER_GUEST;
    let mut runs = Vec::new();
    // Drawn whether asked for or not, so that more pairs change nothing in the first ones.
    for number in first..first + PAIRS_PER_GUEST {
        let (phase, chance) = (draw.share(), draw.share());
        let pair = Pair { number, period, phase, chance, downtime_limit, cap_share };
        let mut arms = [Arm::AtOnce, Arm::Told, Arm::Random];
        draw.shuffle(&mut arms);
        for arm in arms.into_iter().filter(|_| number < pairs) {
            let id = OrderId::new(&format!("{}-{number:02}-{}", spec.name, arm.word()))?;
            runs.push(Run { id, arm, case: pair.clone() });
        }
    }
    Ok(Subject { spec, runs })
}

fn spec(draw: &mut Draw, guest: u32, seconds: u32) -> GuestSpec {
    let working_set_mib = draw.between(48, 64);
    let rate = 1024 * draw.between(6, 14);
    let amplitude_kib_per_second = rate / 100 * draw.between(80, 100);
    let period_milliseconds = seconds * 1000;
    let shape = if guest.is_multiple_of(2) {
        Shape::Sine { amplitude_kib_per_second, period_milliseconds }
    } else {
        Shape::Square { amplitude_kib_per_second, period_milliseconds }
    };
    let load = Load {
        rate_kib_per_second: Some(rate),
        working_set_mib: Some(working_set_mib),
        shape: Some(shape),
        touch_bytes: Some(draw.of(&[8, 16, 32])),
        order: Some(draw.of(&[Order::Sequential, Order::Random])),
        ..Load::default()
    };
    GuestSpec { memory_mib: working_set_mib + 32, load, ..GuestSpec::mini(format!("t{guest:02}")) }
}

/// The experiment.
pub struct Timing {
    subjects: Vec<Subject<Pair>>,
    predictor: Arc<ReplayPredictor>,
    /// By the guest's place, from its first run on.
    caps: BTreeMap<usize, BytesPerSecond>,
}

impl Timing {
    /// With `subjects`, of whose runs `rows` are done.
    pub fn new(
        subjects: Vec<Subject<Pair>>,
        predictor: Arc<ReplayPredictor>,
        rows: &[Row<Pair>],
    ) -> Self {
        let place = |id: &OrderId| {
            subjects.iter().position(|subject| subject.runs.iter().any(|run| run.id == *id))
        };
        let cap = |row: &Row<Pair>| Some((place(&row.id)?, row.settings.bandwidth_limit?));
        let caps = rows.iter().filter_map(cap).collect();
        Self { subjects, predictor, caps }
    }
}

impl Trials for Timing {
    type Case = Pair;

    fn subjects(&self) -> &[Subject<Pair>] {
        &self.subjects
    }

    fn alive(&self) -> usize {
        ALIVE
    }

    fn limit(&self) -> Span {
        LIMIT
    }

    fn is_due(
        &self,
        guest: &Live<Pair>,
        run: &Run<Pair>,
        since: Timestamp,
        now: Timestamp,
    ) -> bool {
        let Pair { period, phase, .. } = run.case;
        let watched =
            guest.readings.first().map_or(Span::ZERO, |first| now.since(first.measured_at));
        let Some(shape) = guest.told.as_ref().and_then(|told| told.shape_millis(now)) else {
            return false;
        };
        watched >= times(period, WATCHED_PERIODS)
            && now.since(since) >= times(period, REST_PERIODS)
            && after_phase(shape, period, phase) < LATE
    }

    fn prepare(&mut self, guest: &Live<Pair>, run: &Run<Pair>, place: &Place<'_>) -> Preparation {
        let pair = &run.case;
        let cap = self.caps.entry(guest.index);
        let cap = *cap.or_insert_with(|| cap_of(&guest.readings, pair.cap_share));
        let settings = MigrationSettings {
            bandwidth_limit: Some(cap),
            downtime_limit: pair.downtime_limit,
            ..MigrationSettings::default()
        };
        let path = place.unshaped;
        let ready = |start, predicted, why| Prepared {
            start,
            settings: settings.clone(),
            path,
            timers: None,
            before: None,
            predicted,
            why,
        };
        let now = place.now;
        let prepared = match run.arm {
            Arm::Random => ready(now + times(pair.deadline(), pair.chance), None, String::new()),
            _ => ready(now, None, String::new()),
        };
        if run.arm != Arm::Told {
            return thread::spawn(move || Ok(prepared));
        }
        let question = Question {
            domain: place.domain.clone(),
            readings: guest.readings.clone(),
            settings,
            path,
            qemu: place.qemu,
            now,
            horizon: pair.deadline(),
        };
        let predictor = Arc::clone(&self.predictor);
        thread::spawn(move || {
            let advice = advise(&predictor, &question);
            let (start, predicted, why) = (advice.start, advice.predicted, advice.why);
            Ok(Prepared { start, predicted, why, ..prepared })
        })
    }
}

/// Seconds since a load, whose shape is `shape_millis` old, was last at `phase`.
fn after_phase(shape_millis: u64, period: Span, phase: f64) -> f64 {
    let period = period.as_seconds_f64().max(1.0);
    let position = (shape_millis as f64 / 1000.0 / period - phase).rem_euclid(1.0);
    position * period
}

/// A cap of `share` of what short windows read at the peak, in whole MiB/s, which is libvirt's unit.
fn cap_of(readings: &[DirtyReading], share: f64) -> BytesPerSecond {
    let short = readings.iter().filter(|r| r.window <= Span::from_seconds(2));
    let rates: Vec<f64> = short
        .map(|r| r.unique.as_f64() / r.window.as_seconds_f64().max(0.1) / f64::from(1 << 20))
        .collect();
    let cap = (quantile(&rates, PEAK) * share).round().max(CAP_LEAST);
    BytesPerSecond::mib(cap as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use whimbrel_core::units::Bytes;

    use super::*;

    #[test]
    fn every_pair_has_three_runs_at_one_phase() {
        for seed in 0..10 {
            let subjects = draw(seed, 10).unwrap();
            let runs: Vec<_> = subjects.iter().flat_map(|subject| &subject.runs).collect();
            let ids: BTreeSet<_> = runs.iter().map(|run| &run.id).collect();
            assert_eq!((runs.len(), ids.len()), (30, 30));
            for three in runs.chunks(3) {
                let arms: BTreeSet<_> = three.iter().map(|run| run.arm).collect();
                assert_eq!(arms.len(), 3);
                assert!(three.iter().all(|run| run.case == three[0].case));
                assert!((0.0..1.0).contains(&three[0].case.phase));
            }
            let more = draw(seed, 36).unwrap();
            assert_eq!(more[0], subjects[0]);
            assert_eq!(more.iter().map(|subject| subject.runs.len()).sum::<usize>(), 108);
        }
        assert_eq!(draw(1, 8).unwrap(), draw(1, 8).unwrap());
        assert_ne!(draw(1, 8).unwrap(), draw(2, 8).unwrap());
    }

    #[test]
    fn a_phase_comes_once_a_period() {
        let period = Span::from_seconds(40);
        let after = |seconds: u64| after_phase(seconds * 1000, period, 0.25);
        assert!((after(10)).abs() < 1e-9 && (after(50)).abs() < 1e-9);
        assert!((after(12) - 2.0).abs() < 1e-9 && (after(9) - 39.0).abs() < 1e-9);
    }

    #[test]
    fn the_cap_follows_the_peak_of_short_readings() {
        let reading = |seconds, mib| DirtyReading {
            window: Span::from_seconds(seconds),
            unique: Bytes::mib(mib),
            measured_at: Timestamp::from_micros(1),
        };
        let mut readings = vec![reading(8, 400); 9];
        readings.extend([reading(1, 2), reading(2, 4), reading(1, 20), reading(2, 40)]);
        assert_eq!(cap_of(&readings, 0.8), BytesPerSecond::mib(16));
        assert_eq!(cap_of(&[], 0.8), BytesPerSecond::mib(4));
    }
}
