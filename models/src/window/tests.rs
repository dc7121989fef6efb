//! Starts that must be found, and waits that must not be proposed.

use std::convert::Infallible;

use proptest::prelude::*;

use super::*;
use crate::forecast::{Outlook, Sample, Series};

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// Busy (level 2) in the first half of every 60 s, quiet (0.2) in the second; now is 15 s into a
/// busy half.
fn cyclic() -> Forecast {
    let level = |t: f64| if (t / 60.0).rem_euclid(1.0) < 0.5 { 2.0 } else { 0.2 };
    let samples = (0..100).map(|k| {
        let ago = 3.0 * f64::from(k) + 0.5;
        Sample {
            at: Timestamp::from_micros(NOW.as_micros() - (ago * 1e6) as u64),
            window: Span::from_seconds(2),
            value: level(15.0 - ago - 1.0) + 0.01 * f64::from(k % 3),
        }
    });
    let series = Series::new(samples, NOW).unwrap();
    Forecast::new(&series, Outlook { horizon: Span::from_seconds(200), period: None }).unwrap()
}

fn search(deadline_seconds: u64) -> Search {
    Search {
        now: NOW,
        deadline: NOW + Span::from_seconds(deadline_seconds),
        confidence: Share::clamped(0.8),
        price_per_second: 0.0,
    }
}

/// 4 s of copying, more with the level; does not converge from 1.5 on.
#[expect(clippy::unnecessary_wraps, reason = "the shape that a predictor has")]
fn cost(level: f64, bandwidth: f64) -> Result<StartCost, Infallible> {
    let seconds = 400.0 / bandwidth * (1.0 + 2.0 * level);
    Ok(StartCost {
        cost: seconds,
        converges: Share::clamped(if level < 1.5 { 1.0 } else { 0.3 }),
        takes: Span::from_seconds_f64(seconds),
    })
}

#[test]
fn it_waits_for_the_quiet_half() {
    let link = Forecast::constant(100.0, NOW);
    let window = cheapest(&cyclic(), &link, search(180), cost).unwrap();
    let wait = window.wait.as_seconds_f64();
    assert!((11.0..42.0).contains(&wait), "{window:?}");
    assert!(window.level < 0.6 && window.level_now > 1.4, "{window:?}");
    assert!(window.converges > window.converges_now);
    assert!(window.evaluations <= 200 && window.why.starts_with("start in"), "{window:?}");
}

#[test]
fn waiting_that_costs_more_than_it_brings_is_not_proposed() {
    let link = Forecast::constant(100.0, NOW);
    let surely =
        |level, bandwidth| cost(level, bandwidth).map(|c| StartCost { converges: Share::ONE, ..c });
    let dear = Search { price_per_second: 5.0, ..search(180) };
    let window = cheapest(&cyclic(), &link, dear, surely).unwrap();
    assert_eq!((window.start, window.saving), (NOW, 0.0), "{window:?}");
    let free = cheapest(&cyclic(), &link, search(180), surely).unwrap();
    assert!(free.start > NOW && free.saving > 5.0, "{free:?}");
}

#[test]
fn a_near_deadline_and_a_flat_level_mean_now() {
    let link = Forecast::constant(100.0, NOW);
    let window = cheapest(&cyclic(), &link, search(6), cost).unwrap();
    assert_eq!(window.start, NOW);
    assert!(window.why.contains("deadline"), "{}", window.why);
    let flat = cheapest(&Forecast::constant(1.0, NOW), &link, search(180), cost).unwrap();
    assert_eq!(flat.start, NOW);
    assert!(flat.evaluations < 10, "{flat:?}");
}

#[test]
fn errors_of_the_predictor_come_through() {
    let link = Forecast::constant(100.0, NOW);
    let found = cheapest(&cyclic(), &link, search(100), |_, _| Err("no answer"));
    assert_eq!(found.unwrap_err(), "no answer");
}

proptest! {
    #[test]
    fn never_after_the_deadline_nor_more_than_200_evaluations(
        values in prop::collection::vec(0.0..1e6f64, 6..60),
        links in prop::collection::vec(0.0..1e12f64, 6..60),
        deadline in 0u64..100_000,
    ) {
        let forecast = |values: &[f64]| {
            let samples = values.iter().enumerate().map(|(k, value)| Sample {
                at: Timestamp::from_micros(NOW.as_micros() - k as u64 * 7_000_000),
                window: Span::from_seconds(2),
                value: *value,
            });
            let outlook = Outlook { horizon: Span::from_seconds(600), period: None };
            Forecast::new(&Series::new(samples, NOW).unwrap(), outlook).unwrap()
        };
        let (level, link) = (forecast(&values), forecast(&links));
        let mut asked = 0;
        let window = cheapest(&level, &link, search(deadline), |level, link| {
            asked += 1;
            cost(level, link.max(1e-3))
        }).unwrap();
        prop_assert!(asked <= 200 && window.evaluations == asked);
        prop_assert!(window.start == NOW || window.start <= NOW + Span::from_seconds(deadline));
        prop_assert!(window.saving >= 0.0 && window.cost.is_finite());
    }
}
