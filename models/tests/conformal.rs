//! Conformal bands: what must hold for every input, and coverage of guests that were held out.

use proptest::{collection::vec, prelude::*};
use whimbrel_core::predict::Quantiles;
use whimbrel_models::conformal::{Class, Conformal, OUTER_SCORES_MIN, Score};

mod numbers;

use numbers::Numbers;

/// Standard normal quantiles at the levels of [`Quantiles`].
const Z: [f64; 7] = [-1.96, -1.645, -0.6745, 0.0, 0.6745, 1.645, 1.96];

const CLASSES: [Class; 3] = [Class::ConvergingPreCopy, Class::Other, Class::LittleTelemetry];

fn band(middle: f64, spread: f64) -> Quantiles<f64> {
    Quantiles::from_array(Z.map(|z| middle * (z * spread).exp()))
}

/// Migrations of `guests`, each with an error of its own; the spread grows with a feature that the
/// predictor sees, but it claims `claimed` times the true spread.
fn migrations(guests: usize, each: usize, claimed: f64, numbers: &mut Numbers) -> Vec<Score> {
    let mut scores = Vec::new();
    for guest in 0..guests {
        let own = 0.05 * numbers.normal();
        for _ in 0..each {
            let spread = 0.05 + 0.25 * numbers.uniform();
            let median = 10.0 * (1.0 + 9.0 * numbers.uniform());
            let actual = median * (own + spread * numbers.normal()).exp();
            let class = CLASSES[guest % CLASSES.len()];
            let predicted = band(median, claimed * spread);
            scores.push(Score { class, predicted, actual, weight: 1.0 });
        }
    }
    scores
}

fn coverage(conformal: &Conformal, held_out: &[Score]) -> [f64; 3] {
    let inside = |of: fn(&Quantiles<f64>) -> (f64, f64)| {
        let hits = held_out.iter().filter(|score| {
            let (low, high) = of(&conformal.apply(score.class, score.predicted));
            (low..=high).contains(&score.actual)
        });
        hits.count() as f64 / held_out.len() as f64
    };
    [inside(|q| (q.p25, q.p75)), inside(|q| (q.p05, q.p95)), inside(|q| (q.p025, q.p975))]
}

#[test]
fn bands_hold_for_guests_that_were_held_out() {
    for (seed, claimed) in [(1, 0.4), (2, 1.0), (3, 2.5)] {
        let mut numbers = Numbers(seed);
        let learnt = Conformal::fit(&migrations(150, 8, claimed, &mut numbers));
        let [half, ninety, ninety_five] =
            coverage(&learnt, &migrations(600, 8, claimed, &mut numbers));
        println!("spread claimed x {claimed}: {half:.3} {ninety:.3} {ninety_five:.3}");
        assert!((0.46..=0.55).contains(&half), "50 % band, x {claimed}: {half}");
        assert!((0.88..=0.92).contains(&ninety), "90 % band, x {claimed}: {ninety}");
        assert!((0.93..=0.97).contains(&ninety_five), "95 % band, x {claimed}: {ninety_five}");
    }
}

#[test]
fn without_it_a_wrong_spread_misses() {
    let held_out = migrations(600, 8, 0.4, &mut Numbers(4));
    let [_, _, ninety_five] = coverage(&Conformal::default(), &held_out);
    assert!(ninety_five < 0.7, "{ninety_five}");
}

#[test]
fn classes_with_enough_scores_have_bands_of_their_own() {
    let mut numbers = Numbers(5);
    let mut scores = Vec::new();
    for (class, spread, count) in [
        (Class::ConvergingPreCopy, 0.05, 200),
        (Class::Other, 0.5, 200),
        (Class::LittleTelemetry, 0.5, 20),
    ] {
        for _ in 0..count {
            let actual = (spread * numbers.normal()).exp();
            scores.push(Score { class, predicted: band(1.0, 0.1), actual, weight: 1.0 });
        }
    }
    let learnt = Conformal::fit(&scores);
    let width = |class| {
        let found = learnt.apply(class, band(1.0, 0.1));
        (found.p95 / found.p05).ln()
    };
    assert!((0.13..0.22).contains(&width(Class::ConvergingPreCopy)));
    assert!((1.3..2.1).contains(&width(Class::Other)));
    assert_eq!(learnt.scores(Class::Other), 200);
    assert_eq!(learnt.scores(Class::LittleTelemetry), 420, "too few: pooled");
}

#[test]
fn older_scores_count_less() {
    let at = |actual: f64, weight| Score {
        class: Class::Other,
        predicted: band(1.0, 0.1),
        actual,
        weight,
    };
    let old: Vec<Score> = (0..100).map(|i| at(1.0 + 0.02 * f64::from(i), 0.02)).collect();
    let new: Vec<Score> = (0..100).map(|i| at(1.0 + 0.001 * f64::from(i), 1.0)).collect();
    let both = [old.clone(), new].concat();
    let equal: Vec<Score> = both.iter().map(|s| Score { weight: 1.0, ..*s }).collect();
    let p95 = |scores: &[Score]| Conformal::fit(scores).apply(Class::Other, band(1.0, 0.1)).p95;
    assert!(p95(&both) < 1.2, "{}", p95(&both));
    assert!(p95(&equal) > 2.5, "{}", p95(&equal));
}

#[test]
fn few_scores_never_draw_the_outer_tails_in() {
    let exact = Score { class: Class::Other, predicted: band(1.0, 0.3), actual: 1.0, weight: 1.0 };
    let before = exact.predicted;
    let few = Conformal::fit(&[exact; 10]).apply(Class::Other, before);
    assert!(few.p975 >= before.p975 && few.p025 <= before.p025, "{few:?}");
    let many = Conformal::fit(&[exact; OUTER_SCORES_MIN]).apply(Class::Other, before);
    assert!(many.p975 < before.p975, "{many:?}");
}

#[test]
fn scores_that_say_nothing_are_left_out() {
    let score =
        |actual, weight| Score { class: Class::Other, predicted: band(1.0, 0.1), actual, weight };
    let bad = [score(f64::NAN, 1.0), score(0.0, 1.0), score(1.0, 0.0), score(1.0, f64::NAN)];
    assert_eq!(Conformal::fit(&bad), Conformal::default());
    let zeros = Quantiles::from_array([0.0; 7]);
    assert_eq!(Conformal::default().apply(Class::Other, zeros), zeros);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bands_stay_ordered_around_their_median(
        raw in vec((0usize..3, 0.001f64..1e6, 0.0f64..3.0, -5.0f64..5.0, 0.01f64..1.0), 0..200),
        (middle, spread) in (0.001f64..1e9, 0.0f64..3.0),
    ) {
        let scores: Vec<Score> = raw
            .into_iter()
            .map(|(class, median, spread, off, weight)| Score {
                class: CLASSES[class],
                predicted: band(median, spread),
                actual: median * off.exp(),
                weight,
            })
            .collect();
        let learnt = Conformal::fit(&scores);
        for class in CLASSES {
            let found = learnt.apply(class, band(middle, spread));
            let values = found.to_array();
            prop_assert!(values.windows(2).all(|pair| pair[0] <= pair[1]), "{values:?}");
            prop_assert!(values.iter().all(|value| value.is_finite()), "{values:?}");
            prop_assert_eq!(found.p50.to_bits(), middle.to_bits());
        }
        let text = serde_json::to_string(&learnt).unwrap();
        prop_assert_eq!(serde_json::from_str::<Conformal>(&text).unwrap(), learnt);
    }

    #[test]
    fn scores_further_off_never_narrow_a_band(
        offs in vec(-1.0f64..1.0, 80..160), more in 1.0f64..3.0, spread in 0.01f64..1.0,
    ) {
        let fit = |factor: f64| {
            let scores: Vec<Score> = offs
                .iter()
                .map(|off| Score {
                    class: Class::Other,
                    predicted: band(1.0, spread),
                    actual: (off * factor).exp(),
                    weight: 1.0,
                })
                .collect();
            Conformal::fit(&scores).apply(Class::Other, band(1.0, spread))
        };
        let (near, far) = (fit(1.0), fit(more));
        prop_assert!(far.p95 >= near.p95 - 1e-9 && far.p05 <= near.p05 + 1e-9);
    }
}
