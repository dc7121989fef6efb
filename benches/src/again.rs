//! The same cluster five minutes later: how much of a plan changes when every demand has changed a
//! little.

use std::{collections::BTreeMap, error::Error};

use whimbrel_core::{
    HostId, Outlook, Plan, Snapshot, VmId,
    units::{MilliCores, Span},
};

use crate::draw::Draw;

/// Seeds of the changes; figures are means over them.
const SEEDS: u64 = 5;

/// Time between the two plans.
const LATER: Span = Span::from_seconds(300);

/// Moves that both of two plans have, as a part of those that one of them has; 1 is no change.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// Guests and targets.
    pub moves: f64,
    /// Guests alone.
    pub guests: f64,
    /// What the second plan leaves of contention and moves, in parts of what it leaves when
    /// nothing is known of the first.
    pub value: f64,
}

/// The plan `first` for `snapshot` against plans with demands changed by up to `part`; the second
/// planner knows the first plan where `told`. `plan` makes a plan of a snapshot, which is as old as
/// it says, with what is known besides; a move must gain `gain_factor` times its cost.
///
/// # Errors
/// Where the changed cluster cannot be planned for.
pub fn kept<E: Into<Box<dyn Error>>>(
    (snapshot, first): (&Snapshot, &Plan),
    (part, told): (f64, bool),
    gain_factor: f64,
    plan: impl Fn(Snapshot, Outlook) -> Result<Plan, E>,
) -> Result<Kept, Box<dyn Error>> {
    let mut sum = Kept { moves: 0.0, guests: 0.0, value: 0.0 };
    for seed in 0..SEEDS {
        let later = changed(snapshot, part, seed);
        let solve = |outlook| plan(later.clone(), outlook).map_err(Into::<Box<dyn Error>>::into);
        let known = Outlook { planned: targets(first), ..Outlook::default() };
        let anew = solve(Outlook::default())?;
        let second = if told { solve(known)? } else { anew.clone() };
        let (before, after) = (targets(first), targets(&second));
        let same = before.iter().filter(|(vm, host)| after.get(*vm) == Some(*host)).count();
        let guests = before.keys().filter(|vm| after.contains_key(*vm)).count();
        let of = |both: usize| {
            let either = before.len() + after.len() - both;
            if either == 0 { 1.0 } else { both as f64 / either as f64 }
        };
        sum.moves += of(same) / SEEDS as f64;
        sum.guests += of(guests) / SEEDS as f64;
        sum.value += value(&second, gain_factor) / value(&anew, gain_factor) / SEEDS as f64;
    }
    Ok(sum)
}

/// `snapshot` a while later, with every demand changed by up to `part`.
fn changed(snapshot: &Snapshot, part: f64, seed: u64) -> Snapshot {
    let mut draw = Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut later = snapshot.clone();
    later.taken_at = snapshot.taken_at + LATER;
    for used in later.domains.iter_mut().filter_map(|domain| domain.cpu_used.as_mut()) {
        let by = 1.0 + part * (2.0 * draw.part() - 1.0);
        *used = MilliCores::new((used.get() as f64 * by).round() as u64);
    }
    later
}

fn targets(plan: &Plan) -> BTreeMap<VmId, HostId> {
    plan.moves().map(|(_, one)| (one.vm.clone(), one.to.clone())).collect()
}

fn value(plan: &Plan, gain_factor: f64) -> f64 {
    let after = |name: &str| {
        let found = plan.report.terms.iter().find(|term| term.name == name);
        found.map_or(0.0, |term| term.after)
    };
    after("contention_guest_seconds") + gain_factor * after("migration_guest_seconds")
}
