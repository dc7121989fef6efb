//! What is drawn has the published shape, and the same seed draws the same.

use proptest::prelude::*;

use super::*;
use crate::{
    manifest::locate,
    public::{TraceOptions, TraceRow, open_trace},
};

fn trace(seed: u64, guests: u32, hours: u64) -> SyntheticTrace {
    let lasts = Span::from_micros(hours * HOUR_MICROS);
    SyntheticTrace { seed, guests, lasts, interval: Span::from_seconds(300), stay: false }
}

/// Shares of sizes, quantiles of lives (0.3, 0.5, 0.7, 0.9) in seconds, and guests that arrive at one
/// moment.
fn shape(lives: &[Life]) -> (Vec<f64>, Vec<f64>, f64) {
    let count = lives.len() as f64;
    let shares = [(1, 1792), (2, 3584), (4, 7168), (8, 14_336), (8, 57_344), (1, 768)]
        .map(|(cores, mib)| Size { cpu: MilliCores::cores(cores), memory: Bytes::mib(mib) })
        .map(|size| lives.iter().filter(|life| life.size == size).count() as f64 / count);
    let mut stays: Vec<f64> =
        lives.iter().filter_map(|life| life.stays).map(Span::as_seconds_f64).collect();
    stays.sort_by(f64::total_cmp);
    let quantiles = [0.3, 0.5, 0.7, 0.9].map(|q| stays[(q * stays.len() as f64) as usize]);
    let moments = lives.chunk_by(|one, next| one.begins == next.begins).count();
    (shares.to_vec(), quantiles.to_vec(), count / moments as f64)
}

fn near(drawn: &[f64], published: &[f64], off: f64) {
    for (drawn, published) in drawn.iter().zip(published) {
        assert!((drawn - published).abs() <= off * published, "{drawn} for {published}");
    }
}

#[test]
fn guests_have_the_published_shape() {
    let lives: Vec<Life> = trace(1, 657_000, 9 * 24).lives().collect();
    let (shares, stays, batch) = shape(&lives);
    // Guests of a batch are alike: their shares scatter as those of some 6,000 guests.
    for (share, published) in shares.iter().zip([0.568, 0.195, 0.101, 0.095, 0.025, 0.016]) {
        assert!((share - published).abs() < 0.02, "{share} for {published}");
    }
    near(&stays, &[900.0, 1500.0, 4200.0, 33_600.0], 0.10);
    near(&[batch], &[4.92], 0.08);
    assert_eq!(lives.len(), 657_000);
    assert!(lives.is_sorted_by_key(|life| life.begins));
    let night =
        lives.iter().filter(|l| (6..8).contains(&(l.begins.as_micros() / HOUR_MICROS % 24)));
    let day =
        lives.iter().filter(|l| (18..20).contains(&(l.begins.as_micros() / HOUR_MICROS % 24)));
    assert!(day.count() > 2 * night.count());
}

#[test]
fn the_published_machines_have_that_shape_too() {
    let Some(path) = locate("azure-v1-arrivals") else {
        println!("SKIPPED: azure-v1-arrivals is not below WHIMBREL_PUBLIC_DATA");
        return;
    };
    let rows = open_trace("azure-v1-arrivals", &path, &TraceOptions::default()).unwrap();
    let lives: Vec<Life> = rows
        .filter_map(|row| match row.unwrap() {
            TraceRow::Life(life) => Some(life),
            TraceRow::Use(_) => None,
        })
        .collect();
    let (shares, stays, _) = shape(&lives);
    near(&shares, &[0.568, 0.195, 0.101, 0.095, 0.025, 0.016], 0.02);
    near(&stays, &[900.0, 1500.0, 4200.0, 33_600.0], 0.01);
}

#[test]
fn most_guests_use_little() {
    let trace = trace(2, 7_300, 24);
    let means: Vec<f64> = trace
        .lives()
        .filter(|life| life.stays.is_none_or(|stays| stays >= Span::from_seconds(3600)))
        .map(|life| {
            let used: Vec<f64> = trace.samples(&life).map(|s| s.cpu.get() as f64).collect();
            used.iter().sum::<f64>() / used.len() as f64 / life.size.cpu.get() as f64
        })
        .collect();
    let below = means.iter().filter(|mean| **mean < 0.2).count() as f64 / means.len() as f64;
    assert!((0.55..0.65).contains(&below), "{below} of the guests use less than a fifth");
}

#[test]
fn the_same_seed_draws_the_same_and_another_does_not() {
    let first: Vec<Life> = trace(3, 500, 2).lives().collect();
    assert_eq!(first, trace(3, 500, 2).lives().collect::<Vec<_>>());
    assert_ne!(first, trace(4, 500, 2).lives().collect::<Vec<_>>());
    let used: Vec<UseSample> = trace(3, 500, 2).samples(&first[0]).collect();
    assert_eq!(used, trace(3, 500, 2).samples(&first[0]).collect::<Vec<_>>());
    let longer = Life { stays: None, ..first[0] };
    let more: Vec<UseSample> = trace(3, 500, 2).samples(&longer).collect();
    assert_eq!(used, more[..used.len()], "use does not depend on how long a guest stays");
}

#[test]
fn guests_that_stay_are_there_from_begin_to_end() {
    let trace = SyntheticTrace { stay: true, ..trace(5, 40, 2) };
    for life in trace.lives() {
        assert_eq!((life.begins, life.stays), (Span::ZERO, None));
        assert_eq!(trace.samples(&life).count(), 24);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn use_stays_within_the_guest(
        seed: u64, guests in 0_u32..2000, micros in 0_u64..8_000_000_000, stay: bool,
    ) {
        let lasts = Span::from_micros(micros);
        let trace = SyntheticTrace { seed, guests, lasts, interval: Span::ZERO, stay };
        let expected = if micros == 0 { 0 } else { guests as usize };
        prop_assert_eq!(trace.lives().count(), expected);
        for life in trace.lives().take(20) {
            prop_assert!(life.begins < lasts && life.stays != Some(Span::ZERO));
            let mut before = None;
            for sample in trace.samples(&life).take(200) {
                prop_assert!(sample.cpu <= life.size.cpu && before < Some(sample.at));
                before = Some(sample.at);
            }
        }
    }

    #[test]
    fn waves_are_waves(at in -1.0..1.0_f64) {
        prop_assert!(wave(at).abs() <= 1.0 + 1e-9);
        prop_assert!((wave(at) + wave(at + 0.5)).abs() < 1e-9);
    }
}
