//! Drains in the simulator and on real hosts, as tables.

use super::compare::{Compared, Moved};
use crate::experiment::{
    statistics::median,
    table::{as_seconds, markdown, percent, seconds},
};

/// Errors of simulated drains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Errors {
    /// Of the time from the first begin to the last end: the largest of the medians over the
    /// drains with the same number of migrations at a time.
    pub makespan_worst: f64,
    /// Of the single migrations' times, their bytes and their downtimes: medians.
    pub total_time: f64,
    /// Bytes.
    pub transferred: f64,
    /// Downtime.
    pub downtime: f64,
}

/// The errors of `drains` that others had taught; `None` of none.
pub fn errors(drains: &[Compared]) -> Option<Errors> {
    let drains: Vec<&Compared> = drains.iter().filter(|drain| drain.taught_by > 0).collect();
    let moves = || drains.iter().flat_map(|drain| &drain.moves);
    let of = |error: fn(&Moved) -> f64| median(&moves().map(error).collect::<Vec<_>>());
    let worst = numbers(&drains).into_iter().map(|at_once| {
        let with = drains.iter().filter(|drain| drain.at_once == at_once);
        median(&with.map(|drain| drain.makespan.error()).collect::<Vec<_>>())
    });
    Some(Errors {
        makespan_worst: worst.max_by(f64::total_cmp)?,
        total_time: of(|one| one.total_time.error()),
        transferred: of(|one| one.transferred.error()),
        downtime: of(|one| one.downtime.error()),
    })
}

/// Median time of the drains as the planner chose, over that of the best fixed number; `None` where
/// one of them was not tried.
pub fn chosen_over_best_fixed(drains: &[Compared]) -> Option<f64> {
    let whole = || drains.iter().filter(|drain| drain.taught_by > 0 && drain.failed == 0);
    let time = |of: &dyn Fn(&&Compared) -> bool| {
        let times: Vec<f64> =
            whole().filter(of).map(|drain| as_seconds(drain.makespan.measured)).collect();
        (!times.is_empty()).then(|| median(&times))
    };
    let fixed: Vec<&Compared> = whole().filter(|drain| !drain.chosen).collect();
    let numbers = numbers(&fixed).into_iter();
    let best = numbers.filter_map(|number| time(&|one| !one.chosen && one.at_once == number));
    Some(time(&|one| one.chosen)? / best.min_by(f64::total_cmp)?)
}

fn numbers(drains: &[&Compared]) -> Vec<u32> {
    let mut numbers: Vec<u32> = drains.iter().map(|drain| drain.at_once).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// A table of drains and a line on single migrations.
pub fn report(drains: &[Compared]) -> String {
    let heads = [
        "at a time",
        "drain",
        "taught by",
        "simulated",
        "measured",
        "off by",
        "a migration off by",
        "failed",
    ];
    let mut sorted: Vec<&Compared> = drains.iter().collect();
    sorted.sort_by_key(|drain| (drain.at_once, &drain.name));
    let row = |drain: &&Compared| {
        let times: Vec<f64> = drain.moves.iter().map(|one| one.total_time.error()).collect();
        vec![
            format!("{}{}", drain.at_once, if drain.chosen { ", chosen" } else { "" }),
            drain.name.clone(),
            format!("{} moves", drain.taught_by),
            seconds(as_seconds(drain.makespan.simulated)),
            seconds(as_seconds(drain.makespan.measured)),
            percent(drain.makespan.error()),
            percent(median(&times)),
            drain.failed.to_string(),
        ]
    };
    let rows: Vec<_> = sorted.iter().map(row).collect();
    let mut text = format!("{} drains of one host\n\n{}", drains.len(), markdown(&heads, &rows));
    if let Some(errors) = errors(drains) {
        let (time, bytes) = (percent(errors.total_time), percent(errors.transferred));
        let downtime = percent(errors.downtime);
        text += "\nmedian errors of single migrations, of drains that others had taught: ";
        text += &["time ", &time, ", bytes ", &bytes, ", downtime ", &downtime, "\n"].concat();
    }
    if let Some(ratio) = chosen_over_best_fixed(drains) {
        text += "measured time as the planner chooses, over the best fixed number's: ";
        text += &[&format!("{ratio:.2}"), " (medians)\n"].concat();
    }
    text
}

#[cfg(test)]
mod tests {
    use whimbrel_core::{
        ids::VmId,
        units::{Bytes, Span},
    };

    use super::*;
    use crate::experiment::drains::compare::Pair;

    fn drain(at_once: u32, simulated: u64, measured: u64) -> Compared {
        let pair = Pair {
            simulated: Span::from_seconds(simulated),
            measured: Span::from_seconds(measured),
        };
        Compared {
            name: format!("a-{at_once}"),
            at_once,
            chosen: false,
            taught_by: 8,
            makespan: pair,
            moves: vec![Moved {
                vm: VmId::new("d0").unwrap(),
                total_time: pair,
                transferred: Pair { simulated: Bytes::mib(9), measured: Bytes::mib(10) },
                downtime: pair,
            }],
            failed: 0,
        }
    }

    #[test]
    fn the_worst_number_at_a_time_counts() {
        let drains = [drain(1, 10, 10), drain(2, 12, 10), drain(4, 9, 10)];
        let errors = errors(&drains).unwrap();
        assert!((errors.makespan_worst - 0.2).abs() < 1e-9);
        assert!((errors.transferred - 0.1).abs() < 1e-9);
        assert_eq!(chosen_over_best_fixed(&drains), None);
        let chosen = Compared { chosen: true, ..drain(8, 9, 8) };
        let ratio = chosen_over_best_fixed(&[&drains[..], &[chosen]].concat()).unwrap();
        assert!((ratio - 0.8).abs() < 1e-9);
        let text = report(&drains);
        assert!(
            text.contains("| 2 | a-2 | 8 moves | 12.0 s | 10.0 s | 20 % | 20 % | 0 |"),
            "{text}"
        );
        let untaught = Compared { taught_by: 0, ..drain(4, 90, 10) };
        assert_eq!(super::errors(&[untaught]), None, "nothing was known of its guests");
        assert_eq!(super::errors(&[]), None);
    }
}
