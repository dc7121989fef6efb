//! What a run is worth to who asked for it.

use whimbrel_core::settings::Mode;

use super::Case;
use crate::experiment::run::{Outcome, Row};

/// Costs closer than this part are equal, as for the choice.
const EQUAL: f64 = 0.02;

/// What a run came to by its case's priorities.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Score {
    /// What it weighs.
    pub(super) cost: f64,
    /// Whether it kept every limit.
    pub(super) kept: bool,
}

/// How one run compares with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Against {
    Better,
    Equal,
    Worse,
}

impl Score {
    /// The scores of one case's runs, in their order. One that did not arrive has to be done again:
    /// it costs what the best of the case costs on top, or its own cost where none arrived.
    pub(super) fn of_case(rows: &[&Row<Case>]) -> Vec<Self> {
        let costs: Vec<f64> = rows.iter().map(|row| cost(&row.case, &row.outcome)).collect();
        let arrived = rows.iter().zip(&costs).filter(|(row, _)| row.outcome.arrived);
        let best = arrived.map(|(_, cost)| *cost).min_by(f64::total_cmp);
        let score = |(row, once): (&&Row<Case>, &f64)| {
            let again = if row.outcome.arrived { 0.0 } else { best.unwrap_or(*once) };
            Self { cost: once + again, kept: keeps(row) }
        };
        rows.iter().zip(&costs).map(score).collect()
    }

    /// Who keeps the limits is better than who does not; then who costs less.
    pub(super) fn against(&self, other: &Self) -> Against {
        if self.kept != other.kept {
            return if self.kept { Against::Better } else { Against::Worse };
        }
        let close = (self.cost - other.cost).abs() <= EQUAL * self.cost.max(other.cost);
        match (close, self.cost < other.cost) {
            (true, _) => Against::Equal,
            (_, true) => Against::Better,
            (_, false) => Against::Worse,
        }
    }

    /// Its place among `all`, from 1: equal ones share the mean of their places.
    pub(super) fn rank(&self, all: &[Self]) -> f64 {
        let ahead = all.iter().filter(|other| self.against(other) == Against::Worse).count();
        let equal = all.iter().filter(|other| self.against(other) == Against::Equal).count();
        1.0 + ahead as f64 + equal.saturating_sub(1) as f64 / 2.0
    }
}

/// The weights of `choose` on what was measured: downtime, total time, the guest's lost work and
/// bytes.
fn cost(case: &Case, outcome: &Outcome) -> f64 {
    let lost = outcome.lost_guest_seconds.unwrap_or(0.0);
    case.priorities.weights.cost(outcome.downtime, outcome.total, outcome.sent, lost)
}

/// Whether it arrived, in time, stood still no longer than it may, and never as it must not.
fn keeps(row: &Row<Case>) -> bool {
    let Row { case, outcome, .. } = row;
    let within = |limit: Option<_>, value| limit.is_none_or(|limit| value <= limit);
    outcome.arrived
        && within(case.priorities.deadline, outcome.total)
        && within(case.priorities.downtime_max, outcome.downtime)
        && (case.post_copy || row.settings.mode != Mode::PostCopy)
}

#[cfg(test)]
mod tests {
    use whimbrel_core::units::{Bytes, Span};
    use whimbrel_models::choose::{Preset, Weights};

    use super::*;
    use crate::experiment::{
        choosing::{Wish, draw},
        run::Arm,
        table::tests::row,
    };

    fn ran(seconds: f64) -> Row<Case> {
        let mut case = draw(1, 1).unwrap().remove(0).runs.remove(0).case;
        case.wish = Wish::Downtime;
        case.priorities = Preset::Balanced.priorities();
        row(case, Arm::PreCopy, seconds)
    }

    fn score(row: &Row<Case>) -> Score {
        Score::of_case(&[row])[0]
    }

    #[test]
    fn figures_weigh_what_the_priorities_say() {
        let mut row = ran(8.0);
        row.outcome.sent = Bytes::mib(512);
        row.outcome.lost_guest_seconds = Some(2.0);
        // 100 ms at 60, 8 s at 1, 2 s at 5, half a GiB at 1.
        assert!((score(&row).cost - (6.0 + 8.0 + 10.0 + 0.5)).abs() < 1e-9);
        row.case.priorities.weights = Weights { gib: 0.0, ..Weights::default() };
        assert!((score(&row).cost - 24.0).abs() < 1e-9);
    }

    #[test]
    fn who_does_not_arrive_pays_for_the_best_as_well() {
        let (quick, slow, mut lost) = (ran(4.0), ran(9.0), ran(1.0));
        lost.outcome.arrived = false;
        let once = |row| score(row).cost;
        let scores = Score::of_case(&[&quick, &lost, &slow]);
        let costs: Vec<f64> = scores.iter().map(|score| score.cost).collect();
        assert!((costs[0] - once(&quick)).abs() < 1e-9 && (costs[2] - once(&slow)).abs() < 1e-9);
        assert!(costs[1] > costs[0] + 1.0 && costs[1] < costs[0] + costs[2]);
        let alone = Score::of_case(&[&lost]);
        assert!((alone[0].cost - 2.0 * (costs[1] - costs[0])).abs() < 1e-9);
    }

    #[test]
    fn limits_are_kept_or_not() {
        let mut row = ran(8.0);
        assert!(score(&row).kept);
        row.case.priorities.deadline = Some(Span::from_seconds(7));
        assert!(!score(&row).kept);
        row.case.priorities.deadline = Some(Span::from_seconds(8));
        row.case.priorities.downtime_max = Some(Span::from_millis(99));
        assert!(!score(&row).kept);
        row.case.priorities.downtime_max = None;
        row.settings.mode = Mode::PostCopy;
        row.case.post_copy = false;
        assert!(!score(&row).kept);
        row.case.post_copy = true;
        assert!(score(&row).kept);
    }

    #[test]
    fn ranks_put_limits_before_costs() {
        let made = |cost, kept| Score { cost, kept };
        let all = [made(5.0, false), made(20.0, true), made(9.0, true), made(9.1, true)];
        let ranks = all.map(|one| one.rank(&all));
        assert_eq!(ranks.map(|rank| (rank * 2.0) as u32), [8, 6, 3, 3]);
        assert_eq!(all[2].against(&all[3]), Against::Equal);
    }
}
