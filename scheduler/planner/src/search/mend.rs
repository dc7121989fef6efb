//! Moves that mend rules and meet preferences, for which cold hosts are not the place to look.
//!
//! One VM at a time where that helps; of VMs that are in too many places, all of one place at once,
//! to where others of them are. Keeps what makes the objective better.

use std::collections::BTreeSet;

use super::{draft::Draft, seed::GAIN_MIN_SECONDS};

/// VMs times hosts that are looked at in one go.
const LOOKS_MAX: usize = 2_000_000;

/// VMs of one place that move together at most.
const TOGETHER_MAX: u32 = 32;

/// Mends what can be mended; what that gains.
pub(super) fn mend(draft: &mut Draft<'_>) -> f64 {
    empty_places(draft) + singles(draft)
}

/// VMs that break a rule where they are, or are there against a preference.
fn singles(draft: &mut Draft<'_>) -> f64 {
    let view = draft.context.view;
    let mut misplaced: BTreeSet<usize> = BTreeSet::new();
    for (group, times) in draft.now.breaches(view) {
        misplaced.extend(group.vms.iter().filter(|_| times > 0));
    }
    let off = |vm: &usize| {
        let at = draft.now.place[*vm];
        view.ban(*vm, at).is_some() || view.unwelcome(*vm, at) > 0.0
    };
    misplaced.extend((0..view.vms.len()).filter(off));
    let hosts = view.hosts.len();
    let best = |draft: &Draft<'_>, vm: usize| {
        draft.best_of(vm, 0..hosts).filter(|(change, _)| *change < -GAIN_MIN_SECONDS)
    };
    let singles = misplaced.into_iter().filter(|&vm| draft.single(vm));
    let looked = singles.take(LOOKS_MAX / hosts.max(1));
    let mut order: Vec<(f64, usize)> =
        looked.filter_map(|vm| best(draft, vm).map(|(change, _)| (change, vm))).collect();
    // Where not all can be mended, those are that gain most.
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut gained = 0.0;
    for (_, vm) in order {
        if let Some((change, host)) = best(draft, vm) {
            draft.shift(vm, host);
            gained -= change;
        }
    }
    gained
}

/// Empties places of groups that are in too many of them, those with the fewest VMs first.
fn empty_places(draft: &mut Draft<'_>) -> f64 {
    let view = draft.context.view;
    let mut gained = 0.0;
    let mut looks = 0;
    for (index, group) in view.capped.iter().enumerate() {
        let used = draft.now.tally().used(index);
        if used.len() <= group.most as usize {
            continue;
        }
        let mut places: Vec<(u32, usize)> =
            used.iter().map(|(place, vms)| (*vms, *place)).collect();
        places.sort_unstable();
        let in_use: BTreeSet<usize> = places.iter().map(|one| one.1).collect();
        for (count, place) in places {
            if count > TOGETHER_MAX || looks > LOOKS_MAX {
                break;
            }
            let targets: Vec<usize> = (0..view.hosts.len())
                .filter(|&host| {
                    group.place(host).is_none_or(|at| at != place && in_use.contains(&at))
                })
                .collect();
            looks += targets.len() * count as usize;
            let here = |vm: &&usize| group.place(draft.now.place[**vm]) == Some(place);
            let leaving: Vec<usize> = group.vms.iter().filter(here).copied().collect();
            gained += all_or_none(draft, &leaving, &targets);
        }
    }
    gained
}

/// Moves all of `vms` to `targets`, each where it costs least, if that pays.
fn all_or_none(draft: &mut Draft<'_>, vms: &[usize], targets: &[usize]) -> f64 {
    let (mut sum, mut came) = (0.0, Vec::new());
    for &vm in vms {
        let from = draft.now.place[vm];
        let best = draft.single(vm).then(|| draft.best_of(vm, targets.iter().copied())).flatten();
        let Some((change, host)) = best else {
            sum = f64::INFINITY;
            break;
        };
        draft.shift(vm, host);
        sum += change;
        came.push((vm, from));
    }
    if sum < -GAIN_MIN_SECONDS {
        return -sum;
    }
    draft.take_back(&came);
    0.0
}
