//! How fast guests dirty their memory, by the CPU that they use: a model for guests of which nothing
//! but their CPU is known, and its calibration to what was recorded.
//!
//! A guest dirties `unique(t) = W (1 - exp(-r t / W))` of distinct memory within `t`: at rate `r`
//! first, and never more than its working set `W` (pages that are drawn at random with
//! replacement). Rates differ between guests: `ln r = ln a + b ln c + s z`, with the CPU `c` in cores
//! that the guest uses on average, and `z` its own deviation. Working sets are a share of its memory.
//!
//! In our recordings CPU tells little: between guests it explains 3.5 % of the variance of
//! `ln r`, and within one guest, over time, nothing (its CPU goes on computing as well as on
//! writing). So the deviation is most of the model: draw it once for a guest and keep it, and do
//! not move a guest's rate with its CPU from one moment to the next.
//!
//! Never here: reading recordings, or a prediction for a guest that was measured.

use std::collections::BTreeMap;

use whimbrel_core::units::{Bytes, BytesPerSecond, MilliCores, Span};

/// Rates by CPU, and working sets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DirtyModel {
    /// Rate of the median guest that uses one core.
    pub at_one_core: BytesPerSecond,
    /// Power of the CPU in the rate: 0 where it does not count, 1 where the rate is its multiple.
    pub elasticity: f64,
    /// Standard deviation of the logarithm of the rate between guests that use as much.
    pub spread: f64,
    /// Share of guests that dirty nothing.
    pub idle_share: f64,
    /// Working set as a share of the memory: that of the tenth, the middle and the ninetieth
    /// guest of a hundred.
    pub working_set_shares: [f64; 3],
}

/// Calibrated to the 84 guests of `datasets/campaign`; the test
/// `the_model_is_what_the_recording_gives` repeats it.
pub const RECORDED: DirtyModel = DirtyModel {
    at_one_core: BytesPerSecond::new(25_200_000),
    elasticity: 0.50,
    spread: 1.71,
    idle_share: 0.036,
    working_set_shares: [0.004, 0.088, 0.629],
};

/// Rates and working sets of a guest that was measured, and the CPU that it used.
#[derive(Debug, Clone, PartialEq)]
pub struct DirtyObservation {
    /// The guest's memory.
    pub memory: Bytes,
    /// CPU that it used on average.
    pub cpu: MilliCores,
    /// Distinct memory that it dirtied on average, by the length of the window.
    pub unique: BTreeMap<Span, Bytes>,
}

impl DirtyModel {
    /// The rate of a guest that uses `cpu` on average and deviates by `deviation`, a number of the
    /// normal distribution with variance 1.
    pub fn rate(&self, cpu: MilliCores, deviation: f64) -> BytesPerSecond {
        let cores = cpu.as_cores_f64();
        let deviation = if deviation.is_finite() { deviation.clamp(-6.0, 6.0) } else { 0.0 };
        let factor = cores.powf(self.elasticity) * (self.spread * deviation).exp();
        BytesPerSecond::new((self.at_one_core.as_f64() * factor).round() as u64)
    }

    /// The working set of a guest with `memory`, larger than that of `share` of all guests.
    pub fn working_set(&self, memory: Bytes, share: f64) -> Bytes {
        let [low, middle, high] = self.working_set_shares;
        let part = match share {
            share if share < 0.1 => low * share.max(0.0) / 0.1,
            share if share < 0.5 => low + (share - 0.1) / 0.4 * (middle - low),
            share => middle + (share.min(1.0) - 0.5) / 0.4 * (high - middle),
        };
        // NaN is no number below 1: the guest's whole memory then.
        let part = if part < 1.0 { part.max(0.0) } else { 1.0 };
        Bytes::new((memory.as_f64() * part).round() as u64)
    }

    /// The model of which `guests` are most likely; `None` where fewer than three dirty anything, or
    /// all use as much CPU.
    pub fn calibrated(guests: &[DirtyObservation]) -> Option<Self> {
        let mut points = Vec::new();
        let mut shares = Vec::new();
        for guest in guests {
            let fitted = fit(&guest.unique).filter(|_| guest.cpu > MilliCores::ZERO);
            let Some((rate, set)) = fitted else { continue };
            points.push((guest.cpu.as_cores_f64().ln(), rate.ln()));
            shares.push((set / guest.memory.as_f64().max(1.0)).min(1.0));
        }
        let count = points.len() as f64;
        if points.len() < 3 {
            return None;
        }
        let mean_x = points.iter().map(|point| point.0).sum::<f64>() / count;
        let mean_y = points.iter().map(|point| point.1).sum::<f64>() / count;
        let square = |number: f64| number * number;
        let xx: f64 = points.iter().map(|point| square(point.0 - mean_x)).sum();
        let xy: f64 = points.iter().map(|point| (point.0 - mean_x) * (point.1 - mean_y)).sum();
        if xx <= 0.0 {
            return None;
        }
        let elasticity = xy / xx;
        let base = mean_y - elasticity * mean_x;
        let left: f64 = points.iter().map(|p| square(p.1 - base - elasticity * p.0)).sum();
        shares.sort_by(f64::total_cmp);
        let quantile = |part: f64| {
            shares.get((part * count) as usize).or(shares.last()).copied().unwrap_or(0.0)
        };
        Some(Self {
            at_one_core: BytesPerSecond::new(base.exp().round() as u64),
            elasticity,
            spread: (left / count).sqrt(),
            idle_share: 1.0 - count / guests.len() as f64,
            working_set_shares: [quantile(0.1), quantile(0.5), quantile(0.9)],
        })
    }
}

/// Distinct memory that is dirtied in `window` at `rate` first, within `working_set`.
pub fn unique(rate: BytesPerSecond, working_set: Bytes, window: Span) -> Bytes {
    if working_set == Bytes::ZERO {
        return Bytes::ZERO;
    }
    let whole = working_set.as_f64();
    let part = -(-rate.as_f64() * window.as_seconds_f64() / whole).exp_m1();
    Bytes::new((whole * part).round() as u64)
}

/// Rate in bytes a second and working set in bytes that come nearest to what was measured, in
/// logarithms; `None` for a guest that dirties nothing.
fn fit(measured: &BTreeMap<Span, Bytes>) -> Option<(f64, f64)> {
    /// A window is told to a MiB: smaller differences are none.
    const GRAIN: f64 = 1_048_576.0;
    if measured.values().all(|unique| *unique == Bytes::ZERO) {
        return None;
    }
    let of = |step: i32, from: f64| from * 2_f64.powf(f64::from(step) / 8.0);
    let miss = |rate: f64, set: f64| -> f64 {
        let one = |(window, unique): (&Span, &Bytes)| {
            let expected = -set * (-rate * window.as_seconds_f64() / set).exp_m1();
            ((expected + GRAIN) / (unique.as_f64() + GRAIN)).ln().powi(2)
        };
        measured.iter().map(one).sum()
    };
    let mut best = (f64::INFINITY, 0.0, 0.0);
    for rate in (0..140).map(|step| of(step, 16_384.0)) {
        for set in (0..90).map(|step| of(step, 262_144.0)) {
            let found = miss(rate, set);
            if found < best.0 {
                best = (found, rate, set);
            }
        }
    }
    Some((best.1, best.2))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::reader::TelemetryReader;

    /// A guest's memory, the CPU of each reading, and the readings by their window.
    type Readings = (Bytes, Vec<u64>, BTreeMap<Span, Vec<u64>>);

    /// Guests of the campaign: what was read of them before each migration, with their CPU then.
    fn recorded() -> Vec<DirtyObservation> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("campaign");
        let mut of: BTreeMap<String, Readings> = BTreeMap::new();
        for record in TelemetryReader::open(&dir).unwrap().migrations().unwrap() {
            let Some(cpu) = record.cpu_used else { continue };
            let guest = of.entry(record.vm.to_string()).or_default();
            guest.0 = record.memory;
            for reading in &record.dirty_before {
                guest.1.push(cpu.get());
                guest.2.entry(reading.window).or_default().push(reading.unique.get());
            }
        }
        let mean = |all: &[u64]| all.iter().sum::<u64>() / all.len() as u64;
        of.into_values()
            .map(|(memory, cpu, unique)| DirtyObservation {
                memory,
                cpu: MilliCores::new(mean(&cpu)),
                unique: unique.iter().map(|(w, all)| (*w, Bytes::new(mean(all)))).collect(),
            })
            .collect()
    }

    #[test]
    fn the_model_is_what_the_recording_gives() {
        let guests = recorded();
        assert_eq!(guests.len(), 84);
        let model = DirtyModel::calibrated(&guests).unwrap();
        println!("{model:?}");
        let near = |found: f64, stated: f64, off: f64| {
            assert!((found - stated).abs() <= off * stated, "{found} is stated as {stated}");
        };
        near(model.at_one_core.as_f64(), RECORDED.at_one_core.as_f64(), 0.01);
        near(model.elasticity, RECORDED.elasticity, 0.01);
        near(model.spread, RECORDED.spread, 0.01);
        near(model.idle_share, RECORDED.idle_share, 0.01);
        for (found, stated) in model.working_set_shares.iter().zip(RECORDED.working_set_shares) {
            near(*found, stated, 0.02);
        }
    }

    /// How far two logarithms go together, from -1 to 1.
    fn together(points: &[(f64, f64)]) -> f64 {
        let count = points.len() as f64;
        let mean_x = points.iter().map(|point| point.0).sum::<f64>() / count;
        let mean_y = points.iter().map(|point| point.1).sum::<f64>() / count;
        let sum = |of: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>();
        let both = sum(&|p| (p.0 - mean_x) * (p.1 - mean_y));
        both / (sum(&|p| (p.0 - mean_x).powi(2)) * sum(&|p| (p.1 - mean_y).powi(2))).sqrt()
    }

    #[test]
    fn cpu_tells_little_between_guests_and_nothing_within_one() {
        let between: Vec<(f64, f64)> = recorded()
            .iter()
            .filter_map(|guest| Some((guest.cpu.as_cores_f64().ln(), fit(&guest.unique)?.0.ln())))
            .collect();
        let explained = together(&between).powi(2);
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("campaign");
        let mut of: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        for record in TelemetryReader::open(&dir).unwrap().migrations().unwrap() {
            let fresh = |age| age <= Span::from_seconds(25);
            let near = record.dirty_before.iter().filter(|reading| {
                reading.window == Span::from_seconds(2)
                    && fresh(record.at.since(reading.measured_at))
            });
            let unique: Vec<f64> = near.map(|reading| reading.unique.as_f64()).collect();
            let mean = unique.iter().sum::<f64>() / unique.len() as f64;
            if let Some(cpu) = record.cpu_used.filter(|cpu| cpu.get() > 0 && mean > 0.0) {
                let point = (cpu.as_cores_f64().ln(), mean.ln());
                of.entry(record.vm.to_string()).or_default().push(point);
            }
        }
        of.retain(|_, points| points.len() >= 4);
        let within: Vec<(f64, f64)> = of
            .values()
            .flat_map(|points| {
                let count = points.len() as f64;
                let x = points.iter().map(|point| point.0).sum::<f64>() / count;
                let y = points.iter().map(|point| point.1).sum::<f64>() / count;
                points.iter().map(move |point| (point.0 - x, point.1 - y))
            })
            .collect();
        println!("between: {explained:.3} of the variance; within: {:.3}", together(&within));
        assert!((0.02..0.06).contains(&explained), "{explained}");
        assert!(within.len() > 500 && together(&within).abs() < 0.15);
    }

    #[test]
    fn a_calibration_finds_what_it_was_made_from() {
        let made = DirtyModel { elasticity: 0.8, spread: 0.4, ..RECORDED };
        let windows = [1, 2, 4, 8].map(Span::from_seconds);
        let guests: Vec<DirtyObservation> = (0..60_u32)
            .map(|n| {
                let (cpu, memory) = (MilliCores::new(u64::from(20 + n * 15)), Bytes::mib(512));
                let rate = made.rate(cpu, f64::from(n % 3) * 1.2247 - 1.2247);
                let set = made.working_set(memory, 0.9);
                let unique = windows.map(|window| (window, unique(rate, set, window)));
                DirtyObservation { memory, cpu, unique: unique.into() }
            })
            .collect();
        let found = DirtyModel::calibrated(&guests).unwrap();
        assert!((found.elasticity - 0.8).abs() < 0.05, "{found:?}");
        assert!((found.spread - 0.4).abs() < 0.08, "{found:?}");
        assert!((found.at_one_core.as_f64() / made.at_one_core.as_f64() - 1.0).abs() < 0.1);
        assert_eq!(DirtyModel::calibrated(&guests[..2]), None);
    }

    #[test]
    fn working_sets_have_the_quantiles_and_only_the_least_is_none() {
        let memory = Bytes::new(1_000_000);
        let sets = [0.0, 0.05, 0.1, 0.5, 0.9, 1.0].map(|share| RECORDED.working_set(memory, share));
        let expected = [0, 2_000, 4_000, 88_000, 629_000, 764_250].map(Bytes::new);
        assert_eq!(sets, expected);
    }

    proptest! {
        #[test]
        fn more_time_and_more_rate_dirty_no_less(
            rate in 0_u64..1 << 40, set in 0_u64..1 << 44, micros in 0_u64..1 << 40,
        ) {
            let (rate, set) = (BytesPerSecond::new(rate), Bytes::new(set));
            let window = Span::from_micros(micros);
            let dirtied = unique(rate, set, window);
            prop_assert!(dirtied <= set);
            prop_assert!(dirtied <= unique(rate, set, window + window));
            prop_assert!(dirtied <= unique(rate + rate, set, window));
        }

        #[test]
        fn any_number_gives_a_rate_and_a_set(cpu: u32, deviation: f64, share: f64, memory: u32) {
            let rate = RECORDED.rate(MilliCores::new(cpu.into()), deviation);
            prop_assert!(cpu > 0 || rate == BytesPerSecond::ZERO);
            let memory = Bytes::new(memory.into());
            prop_assert!(RECORDED.working_set(memory, share) <= memory);
        }
    }
}
