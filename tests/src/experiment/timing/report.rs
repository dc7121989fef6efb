//! What came of the requests, arm by arm and request by request.

use std::collections::BTreeMap;

use super::Pair;
use crate::experiment::{
    run::{Arm, Outcome, Row},
    statistics::{bootstrap, mean, median},
    table::{as_mib, as_seconds, markdown, mib, millis, percent, percent_of, seconds, seconds_of},
};

const ARMS: [Arm; 3] = [Arm::AtOnce, Arm::Random, Arm::Told];

/// Figures that differ by less than this part are of one kind: a start that was told to be now differs
/// from one at once by nothing else.
const CLEAR: f64 = 0.05;

/// A figure of a run.
type Figure = fn(&Outcome) -> f64;

fn time(outcome: &Outcome) -> f64 {
    as_seconds(outcome.total)
}

fn bytes(outcome: &Outcome) -> f64 {
    as_mib(outcome.sent)
}

/// The requests of which every arm is done.
fn whole(rows: &[Row<Pair>]) -> Vec<BTreeMap<Arm, &Row<Pair>>> {
    let mut pairs: BTreeMap<u32, BTreeMap<Arm, &Row<Pair>>> = BTreeMap::new();
    for row in rows {
        pairs.entry(row.case.number).or_default().insert(row.arm, row);
    }
    pairs.into_values().filter(|pair| ARMS.iter().all(|arm| pair.contains_key(arm))).collect()
}

/// The tables, for requests of which every arm is done.
pub fn report(rows: &[Row<Pair>]) -> String {
    let pairs = whole(rows);
    let heads = [
        "begins",
        "runs",
        "time, median",
        "mean",
        "sent, median",
        "mean",
        "downtime, median",
        "waited, median",
        "not done in 45 s",
    ];
    let arms = ARMS.map(|arm| arm_line(arm, &pairs));
    let savings = [Arm::AtOnce, Arm::Random].map(|arm| saving_line(arm, &pairs));
    let saving_heads = [
        "told against",
        "time saved",
        "median of a request",
        "requests with less",
        "bytes saved",
        "requests with fewer",
    ];
    format!(
        "{} requests, each in three ways\n\n{}\n{}\n95 % intervals by bootstrap over requests; less and more by 5 % at least\n",
        pairs.len(),
        markdown(&heads, &arms),
        markdown(&saving_heads, &savings)
    )
}

fn arm_line(arm: Arm, pairs: &[BTreeMap<Arm, &Row<Pair>>]) -> Vec<String> {
    let rows: Vec<&Row<Pair>> = pairs.iter().filter_map(|pair| pair.get(&arm).copied()).collect();
    let all = |of: Figure| rows.iter().map(|row| of(&row.outcome)).collect::<Vec<f64>>();
    let arrived = rows.iter().filter(|row| row.outcome.arrived);
    let downtimes: Vec<f64> = arrived.clone().map(|row| as_seconds(row.outcome.downtime)).collect();
    let waited: Vec<f64> = rows.iter().map(|row| as_seconds(row.waited)).collect();
    vec![
        arm.word().to_owned(),
        rows.len().to_string(),
        seconds(median(&all(time))),
        seconds(mean(&all(time))),
        mib(median(&all(bytes))),
        mib(mean(&all(bytes))),
        millis(median(&downtimes)),
        seconds(median(&waited)),
        format!("{} ({})", rows.len() - arrived.count(), {
            let lost = rows.iter().filter(|row| !row.outcome.arrived).count();
            percent(lost as f64 / rows.len().max(1) as f64)
        }),
    ]
}

fn saving_line(other: Arm, pairs: &[BTreeMap<Arm, &Row<Pair>>]) -> Vec<String> {
    let of = |figure: Figure| -> Vec<(f64, f64)> {
        let both = |pair: &BTreeMap<Arm, &Row<Pair>>| {
            Some((figure(&pair.get(&Arm::Told)?.outcome), figure(&pair.get(&other)?.outcome)))
        };
        pairs.iter().filter_map(both).collect()
    };
    let (times, sent) = (of(time), of(bytes));
    vec![
        other.word().to_owned(),
        percent_of(bootstrap(&times, saved_share)),
        seconds_of(bootstrap(&times, median_saving)),
        better(&times),
        percent_of(bootstrap(&sent, saved_share)),
        better(&sent),
    ]
}

/// Part of what the other arm took altogether that is saved.
fn saved_share(pairs: &[(f64, f64)]) -> f64 {
    let other: f64 = pairs.iter().map(|(_, other)| other).sum();
    let own: f64 = pairs.iter().map(|(own, _)| own).sum();
    if other > 0.0 { 1.0 - own / other } else { 0.0 }
}

fn median_saving(pairs: &[(f64, f64)]) -> f64 {
    median(&pairs.iter().map(|(own, other)| other - own).collect::<Vec<_>>())
}

/// How many requests are clearly better, with the interval of their share, and how many worse.
fn better(pairs: &[(f64, f64)]) -> String {
    let share = |pairs: &[(f64, f64)], is: fn(f64, f64) -> bool| {
        let count = pairs.iter().filter(|(own, other)| is(*own, *other)).count();
        count as f64 / pairs.len().max(1) as f64
    };
    let clearly_less = |a: f64, b: f64| a < b * (1.0 - CLEAR);
    let fewer = bootstrap(pairs, |pairs| share(pairs, clearly_less));
    let more = share(pairs, |own, other| other < own * (1.0 - CLEAR));
    format!("{}, {} more", percent_of(fewer), percent(more))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{table::tests::row, timing::draw};

    fn rows() -> Vec<Row<Pair>> {
        let subjects = draw(1, 4).unwrap();
        let runs = subjects.iter().flat_map(|subject| &subject.runs);
        let seconds = |arm| match arm {
            Arm::Told => 5.0,
            Arm::AtOnce => 20.0,
            _ => 10.0,
        };
        runs.map(|run| row(run.case.clone(), run.arm, seconds(run.arm))).collect()
    }

    #[test]
    fn savings_are_those_of_whole_requests() {
        let mut rows = rows();
        let text = report(&rows);
        assert!(text.starts_with("4 requests"), "{text}");
        assert!(
            text.contains(
                "| told | 4 | 5.0 s | 5.0 s | 5 MiB | 5 MiB | 100 ms | 3.0 s | 0 (0 %) |"
            ),
            "{text}"
        );
        assert!(
            text.contains(
                "| at-once | 75 % (75 to 75) | 15.0 s (15.0 to 15.0) | 100 % (100 to 100), 0 % more | 75 %"
            ),
            "{text}"
        );
        assert!(text.contains("| random | 50 % (50 to 50) | 5.0 s"), "{text}");
        rows.pop();
        assert!(report(&rows).starts_with("3 requests"));
        assert!(report(&[]).starts_with("0 requests"));
    }
}
