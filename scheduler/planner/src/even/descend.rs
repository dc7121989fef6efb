//! Descent: whatever single move or exchange of two makes the placement better is made, until
//! none does.

use super::evening::Evening;

/// A change must gain this much to be made: rounding is not a gain.
const GAIN_LEAST: f64 = 1e-9;

/// Passes after which the descent ends, at the bottom or not.
const PASSES_MAX: usize = 50;

/// Changes that are looked at in all passes together: about two seconds.
const LOOKS_MAX: usize = 50_000_000;

/// Pairs of VMs up to which exchanges are all tried; above, only moves are.
const PAIRS_MAX: usize = 5_000_000;

/// Moves and exchanges `vms` while that helps.
pub(super) fn descend(now: &mut Evening<'_>, vms: &[usize]) {
    let pairs = vms.len().saturating_mul(vms.len()) / 2;
    let exchanges = pairs <= PAIRS_MAX;
    let looks = vms.len() * now.resources.hosts.len() + if exchanges { pairs } else { 0 };
    for _ in 0..(LOOKS_MAX / looks.max(1)).clamp(1, PASSES_MAX) {
        let mut better = false;
        for &vm in vms {
            better |= best_move(now, vm).is_some();
        }
        if exchanges {
            for (index, &vm) in vms.iter().enumerate() {
                for &other in &vms[index + 1..] {
                    let differ = now.at(vm).0 != now.at(other).0;
                    better |= differ
                        && now.change_of_exchange(vm, other) < -GAIN_LEAST
                        && now.exchange(vm, other);
                }
            }
        }
        if !better {
            break;
        }
    }
    // Whatever was not reached: no move stays that is not worth its price.
    while vms.iter().filter(|&&vm| returns(now, vm)).count() > 0 {}
}

/// Sends `vm` home if that helps.
fn returns(now: &mut Evening<'_>, vm: usize) -> bool {
    let (at, home) = now.at(vm);
    at != home && now.change(vm, home) < -GAIN_LEAST && now.shift(vm, home)
}

/// Makes the best possible move of `vm`, if one helps.
fn best_move(now: &mut Evening<'_>, vm: usize) -> Option<usize> {
    let mut changes: Vec<(f64, usize)> = now
        .resources
        .hosts
        .iter()
        .map(|&host| (now.change(vm, host), host))
        .filter(|&(change, host)| change < -GAIN_LEAST && host != now.at(vm).0)
        .collect();
    changes.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    changes.into_iter().map(|(_, host)| host).find(|&host| now.shift(vm, host))
}
