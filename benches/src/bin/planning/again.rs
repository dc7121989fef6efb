//! The same cluster five minutes later: how much of a plan changes when every demand has changed a
//! little.

use std::collections::BTreeMap;

use whimbrel_core::{
    HostId, Outlook, Plan, VmId,
    units::{MilliCores, Span},
};
use whimbrel_planner::{PlanFailure, input::Input};

/// Seeds of the changes; figures are means over them.
const SEEDS: u64 = 5;

/// Time between the two plans.
const LATER: Span = Span::from_seconds(300);

/// Moves that both of two plans have, as a part of those that one of them has; 1 is no change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    /// Guests and targets.
    pub(crate) moves: f64,
    /// Guests alone.
    pub(crate) guests: f64,
    /// What the second plan leaves of contention and moves, in parts of what it leaves when
    /// nothing is known of the first.
    pub(crate) value: f64,
}

/// `input` and its plan `first` against it with demands changed by up to `part`; the second
/// planner knows the first plan where `told`.
///
/// # Errors
/// [`PlanFailure`] where the changed cluster cannot be planned for.
pub(crate) fn kept(
    input: &Input,
    first: &Plan,
    part: f64,
    told: bool,
) -> Result<Kept, PlanFailure> {
    let mut sum = Kept { moves: 0.0, guests: 0.0, value: 0.0 };
    for seed in 0..SEEDS {
        let mut draw = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut snapshot = input.snapshot.clone();
        snapshot.taken_at = input.now + LATER;
        for used in snapshot.domains.iter_mut().filter_map(|domain| domain.cpu_used.as_mut()) {
            let by = 1.0 + part * (2.0 * next(&mut draw) - 1.0);
            *used = MilliCores::new((used.get() as f64 * by).round() as u64);
        }
        let known = Outlook { planned: targets(first), ..Outlook::default() };
        let unknown = Outlook::default();
        let solve = |outlook: &Outlook| {
            let now = snapshot.taken_at;
            let (snapshot, outlook) = (snapshot.clone(), outlook.clone());
            Input { snapshot, outlook, now, ..input.clone() }.replay().outcome
        };
        let second = solve(if told { &known } else { &unknown })?;
        let anew = if told { solve(&unknown)? } else { second.clone() };
        let (before, after) = (targets(first), targets(&second));
        let same = before.iter().filter(|(vm, host)| after.get(*vm) == Some(*host)).count();
        let guests = before.keys().filter(|vm| after.contains_key(*vm)).count();
        let of = |both: usize| {
            let either = before.len() + after.len() - both;
            if either == 0 { 1.0 } else { both as f64 / either as f64 }
        };
        sum.moves += of(same) / SEEDS as f64;
        sum.guests += of(guests) / SEEDS as f64;
        sum.value += value(&second, input) / value(&anew, input) / SEEDS as f64;
    }
    Ok(sum)
}

fn targets(plan: &Plan) -> BTreeMap<VmId, HostId> {
    plan.moves().map(|(_, one)| (one.vm.clone(), one.to.clone())).collect()
}

fn value(plan: &Plan, input: &Input) -> f64 {
    let after = |name: &str| {
        let found = plan.report.terms.iter().find(|term| term.name == name);
        found.map_or(0.0, |term| term.after)
    };
    after("contention_guest_seconds")
        + input.policy.balance.gain_factor * after("migration_guest_seconds")
}

/// One of 0..1: splitmix64 (Steele et al., OOPSLA 2014).
fn next(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) as f64 / u64::MAX as f64
}
