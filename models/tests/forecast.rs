//! Properties of forecasts: ordered, not negative, finite and the same every time, whatever the
//! series looks like; the right method where one is right by construction.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use proptest::prelude::*;
use whimbrel_core::units::{Span, Timestamp};
use whimbrel_models::forecast::{Forecast, ForecastError, Method, Outlook, Sample, Series};

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn outlook(seconds: u64) -> Outlook {
    Outlook { horizon: Span::from_seconds(seconds), period: None }
}

/// One value every five minutes, the last one now.
fn five_minutes(values: &[f64]) -> Series {
    let count = values.len();
    let samples = values.iter().enumerate().map(|(at, value)| Sample {
        at: Timestamp::from_micros(NOW.as_micros() - (count - 1 - at) as u64 * 300_000_000),
        window: Span::ZERO,
        value: *value,
    });
    Series::new(samples, NOW).unwrap()
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => 0.0..100.0f64,
        2 => Just(0.0),
        1 => Just(1e18),
        1 => Just(f64::NAN),
        1 => Just(-3.0),
        1 => Just(f64::INFINITY),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, rng_seed: proptest::test_runner::RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn ordered_not_negative_finite_and_repeatable(
        samples in prop::collection::vec((0u64..4_000_000_000, 0u64..9_000_000, any_value()), 0..80),
        horizon in 1u64..100_000,
        jump in prop::option::of(1u64..1_000_000_000_000_000),
    ) {
        let samples: Vec<Sample> = samples
            .into_iter()
            .enumerate()
            .map(|(k, (ago, window, value))| {
                // A clock that jumped leaves half of the series far in the past.
                let ago = ago + jump.filter(|_| k % 2 == 0).unwrap_or(0);
                let at = Timestamp::from_micros(NOW.as_micros().saturating_sub(ago));
                Sample { at, window: Span::from_micros(window), value }
            })
            .collect();
        let made = || Series::new(samples.clone(), NOW)
            .and_then(|series| Forecast::new(&series, outlook(horizon)));
        match made() {
            Err(error) => prop_assert!(matches!(error, ForecastError::TooFew { .. }), "{error}"),
            Ok(forecast) => {
                for seconds in [0, 1, horizon / 2, horizon, horizon * 10] {
                    let from = NOW + Span::from_seconds(seconds);
                    for span in [0, 5, 500] {
                        let band = forecast.over(from, Span::from_seconds(span)).to_array();
                        prop_assert!(band.iter().all(|v| v.is_finite() && *v >= 0.0), "{band:?}");
                        prop_assert!(band.is_sorted(), "{band:?}");
                    }
                }
                prop_assert!(forecast.losses.iter().all(|l| l.loss.is_finite()));
                prop_assert_eq!(&forecast, &made().unwrap());
            }
        }
    }
}

#[test]
fn a_day_is_continued_by_a_seasonal_method() {
    let day = |at: f64| 50.0 + 30.0 * (at / 288.0 * std::f64::consts::TAU).sin();
    let noise = |at: u32| f64::from(at.wrapping_mul(2_654_435_761) >> 16) / 65_536.0;
    let values: Vec<f64> = (0..288 * 4).map(|at| day(f64::from(at)) + 4.0 * noise(at)).collect();
    let forecast = Forecast::new(&five_minutes(&values), outlook(12 * 3600)).unwrap();
    let seasonal = [Method::SeasonalNaive, Method::Mstl, Method::Wave, Method::Profile]
        .contains(&forecast.method);
    assert!(seasonal, "{:?}", forecast.losses);
    for (at, band) in forecast.steps(Span::from_seconds(1800)) {
        let steps = at.since(NOW).as_seconds_f64() / 300.0;
        let actual = day(288.0 * 4.0 - 1.0 + steps) + 2.0;
        assert!((band.p50 - actual).abs() < 6.0, "{} for {actual} after {steps} steps", band.p50);
    }
}

#[test]
fn a_constant_stays_and_says_so() {
    let forecast = Forecast::new(&five_minutes(&[40.0; 12]), outlook(3600)).unwrap();
    let band = forecast.at(NOW + Span::from_seconds(1800));
    assert_eq!(band.p50.to_bits(), 40f64.to_bits());
    assert!(band.p05 < 35.0 && band.p95 > 45.0, "{band:?}");
    assert!(forecast.caveats.iter().any(|c| c.contains("never changed")));
    assert_eq!(forecast.loss(), None);
}

#[test]
fn thin_ground_is_wide_and_named() {
    let values = [10.0, 14.0, 9.0, 12.0, 11.0, 13.0, 10.0, 12.0];
    let forecast = Forecast::new(&five_minutes(&values), outlook(24 * 3600)).unwrap();
    assert!(
        forecast.caveats.iter().any(|c| c.contains("8 samples only")),
        "{:?}",
        forecast.caveats
    );
    assert!(forecast.caveats.iter().any(|c| c.contains("ahead only")), "{:?}", forecast.caveats);
    let near = forecast.at(NOW + Span::from_seconds(300));
    let far = forecast.at(NOW + Span::from_seconds(24 * 3600));
    assert!(far.p95 - far.p05 > near.p95 - near.p05, "{near:?} and {far:?}");
}

#[test]
fn a_horizon_of_nothing_or_a_year_is_refused() {
    let series = five_minutes(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    for seconds in [0, 366 * 86_400] {
        let error = Forecast::new(&series, outlook(seconds)).unwrap_err();
        assert!(matches!(error, ForecastError::Horizon(_)) && error.to_string().contains("hint:"));
    }
}
