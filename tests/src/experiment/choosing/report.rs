//! What came of the cases, arm by arm and wish by wish.

use std::collections::BTreeMap;

use super::{
    ARMS, Case, Wish,
    score::{Against, Score},
};
use crate::experiment::{
    run::{Arm, Row},
    statistics::{bootstrap, geometric_mean, mean, median},
    table::{as_mib, as_seconds, markdown, mib, millis, percent, seconds},
};

/// A case of which every arm is done.
struct Whole<'a> {
    wish: Wish,
    rows: BTreeMap<Arm, &'a Row<Case>>,
    scores: BTreeMap<Arm, Score>,
}

fn whole(rows: &[Row<Case>]) -> Vec<Whole<'_>> {
    let mut cases: BTreeMap<u32, BTreeMap<Arm, &Row<Case>>> = BTreeMap::new();
    for row in rows {
        cases.entry(row.case.number).or_default().insert(row.arm, row);
    }
    let all = cases.into_values().filter(|rows| ARMS.iter().all(|arm| rows.contains_key(arm)));
    all.filter_map(|rows| {
        let wish = rows.values().next()?.case.wish;
        let of_case: Vec<&Row<Case>> = rows.values().copied().collect();
        let scores = rows.keys().copied().zip(Score::of_case(&of_case)).collect();
        Some(Whole { wish, rows, scores })
    })
    .collect()
}

/// The tables, for cases of which every arm is done.
pub fn report(rows: &[Row<Case>]) -> String {
    let cases = whole(rows);
    let heads = [
        "settings by",
        "cost against the best",
        "95 %",
        "rank of 5",
        "limits kept",
        "arrived",
        "whimbrel better / equal / worse",
        "time, median",
        "downtime, median",
        "sent, median",
        "guest lost, mean",
    ];
    let arms = ARMS.map(|arm| arm_line(arm, &cases));
    let wishes = [Wish::Deadline, Wish::Downtime, Wish::Traffic, Wish::Gentle];
    let count = |wish| cases.iter().filter(|case| case.wish == wish).count();
    let named: Vec<String> =
        wishes.iter().map(|wish| format!("{} ({})", wish.word(), count(*wish))).collect();
    let wish_heads: Vec<&str> =
        ["cost, mean"].into_iter().chain(named.iter().map(String::as_str)).collect();
    let costs = ARMS.map(|arm| wish_line(arm, &wishes, &cases));
    format!(
        "{} cases, each in five ways\n\n{}\n{}\n",
        cases.len(),
        markdown(&heads, &arms),
        markdown(&wish_heads, &costs)
    )
}

fn arm_line(arm: Arm, cases: &[Whole<'_>]) -> Vec<String> {
    let all = |case: &Whole<'_>| case.scores.values().copied().collect::<Vec<Score>>();
    let scores: Vec<Score> =
        cases.iter().filter_map(|case| case.scores.get(&arm).copied()).collect();
    let outcomes: Vec<_> =
        cases.iter().filter_map(|case| Some(&case.rows.get(&arm)?.outcome)).collect();
    let ratio = |case: &Whole<'_>| {
        let best = all(case).iter().map(|score| score.cost).fold(f64::INFINITY, f64::min);
        Some(case.scores.get(&arm)?.cost / best.max(1e-9))
    };
    let ratios: Vec<f64> = cases.iter().filter_map(ratio).collect();
    let interval = bootstrap(&ratios, geometric_mean);
    let ranks: Vec<f64> =
        cases.iter().filter_map(|c| Some(c.scores.get(&arm)?.rank(&all(c)))).collect();
    let part = |count: usize| percent(count as f64 / cases.len().max(1) as f64);
    let arrived = || outcomes.iter().filter(|outcome| outcome.arrived);
    let of = |figure: fn(&crate::experiment::run::Outcome) -> f64| {
        outcomes.iter().map(|outcome| figure(outcome)).collect::<Vec<f64>>()
    };
    let downtimes: Vec<f64> = arrived().map(|outcome| as_seconds(outcome.downtime)).collect();
    vec![
        arm.word().to_owned(),
        format!("{:.2}", interval.value),
        format!("{:.2} to {:.2}", interval.low, interval.high),
        format!("{:.1}", mean(&ranks)),
        part(scores.iter().filter(|score| score.kept).count()),
        part(arrived().count()),
        wins(arm, cases),
        seconds(median(&of(|outcome| as_seconds(outcome.total)))),
        millis(median(&downtimes)),
        mib(median(&of(|outcome| as_mib(outcome.sent)))),
        seconds(mean(&of(|outcome| outcome.lost_guest_seconds.unwrap_or(0.0)))),
    ]
}

/// How often Whimbrel is better than `arm`, as good, and worse.
fn wins(arm: Arm, cases: &[Whole<'_>]) -> String {
    if arm == Arm::Whimbrel {
        return "-".to_owned();
    }
    let against =
        |case: &Whole<'_>| Some(case.scores.get(&Arm::Whimbrel)?.against(case.scores.get(&arm)?));
    let count = |wanted| cases.iter().filter(|case| against(case) == Some(wanted)).count();
    let (better, equal) = (count(Against::Better), count(Against::Equal));
    format!("{better} / {equal} / {}", count(Against::Worse))
}

fn wish_line(arm: Arm, wishes: &[Wish], cases: &[Whole<'_>]) -> Vec<String> {
    let mut cells = vec![arm.word().to_owned()];
    for wish in wishes {
        let of_wish = cases.iter().filter(|case| case.wish == *wish);
        let costs: Vec<f64> =
            of_wish.filter_map(|case| Some(case.scores.get(&arm)?.cost)).collect();
        cells.push(if costs.is_empty() { "-".to_owned() } else { format!("{:.1}", mean(&costs)) });
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{choosing::draw, table::tests::row};

    #[test]
    fn whole_cases_are_compared() {
        let subjects = draw(1, 3).unwrap();
        let seconds = |arm| if arm == Arm::Whimbrel { 4.0 } else { 8.0 };
        let runs = subjects.iter().flat_map(|subject| &subject.runs);
        let made = |run: &crate::experiment::run::Run<Case>| {
            let mut case = run.case.clone();
            case.priorities = whimbrel_models::Priorities::default();
            row(case, run.arm, seconds(run.arm))
        };
        let mut rows: Vec<Row<Case>> = runs.map(made).collect();
        let text = report(&rows);
        assert!(text.starts_with("3 cases"), "{text}");
        // 60 a second of downtime: 6 + 4 against 6 + 8, and hardly any bytes.
        assert!(
            text.contains("| whimbrel | 1.00 | 1.00 to 1.00 | 1.0 | 100 % | 100 % | - | 4.0 s"),
            "{text}"
        );
        assert!(
            text.contains(
                "| timers | 1.40 | 1.40 to 1.40 | 3.5 | 100 % | 100 % | 3 / 0 / 0 | 8.0 s"
            ),
            "{text}"
        );
        rows.pop();
        assert!(report(&rows).starts_with("2 cases"));
        assert!(report(&[]).starts_with("0 cases"));
    }
}
