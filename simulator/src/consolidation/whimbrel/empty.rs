//! Which hosts are emptied, so that they can be switched off.
//!
//! All guests of a host find a place on hosts that run, or none moves; and what is saved has to pay
//! for the moves. Never here: hosts whose guests have moved a short time ago.

use super::{super::decision::Step, Outlook, ledger::Ledger};

/// How long a guest is left in peace, in decisions: an hour.
const PEACE_DECISIONS: u32 = 12;

/// What a move has to save, in watt-hours, within [`PAYBACK_HOURS`].
const MOVE_WATT_HOURS: f64 = 4.0;

/// How far ahead savings count. Longer, and demand has changed.
const PAYBACK_HOURS: f64 = 2.0;

/// Hosts in a row that cannot be emptied before fuller ones are not tried.
const FAILURES_MAX: u32 = 8;

/// Empties hosts, those first that take most power for what they compute, then those with the
/// least to do; none that takes in a guest of `steps`.
pub(super) fn empty(outlook: &Outlook<'_>, ledger: &mut Ledger<'_>, steps: &mut Vec<Step>) {
    let now = ledger.now;
    let mut takes = vec![false; now.hosts.len()];
    for step in &*steps {
        takes[step.to as usize] = true;
    }
    for kind in ledger.thrift.clone().into_iter().rev() {
        let emptiable = |host: &u32| {
            let guests = &now.hosts[*host as usize].guests;
            let sum = ledger.of(*host);
            let at_peace = |guest: &u32| outlook.rested(*guest) >= PEACE_DECISIONS;
            sum.kind == kind && !sum.closed && !guests.is_empty() && guests.iter().all(at_peace)
        };
        let mut hosts: Vec<u32> = now.awake.iter().copied().filter(emptiable).collect();
        hosts.sort_by(|a, b| ledger.of(*a).mean.total_cmp(&ledger.of(*b).mean));
        let mut failures = 0;
        for host in hosts {
            if failures >= FAILURES_MAX {
                break;
            }
            if takes[host as usize] {
                continue;
            }
            let Some(moves) = emptied(outlook, ledger, host) else {
                failures += 1;
                continue;
            };
            failures = 0;
            for step in &moves {
                takes[step.to as usize] = true;
            }
            steps.extend(moves);
        }
    }
}

/// Moves that empty `host`, where they pay.
fn emptied(outlook: &Outlook<'_>, ledger: &mut Ledger<'_>, host: u32) -> Option<Vec<Step>> {
    let now = ledger.now;
    let mut guests = now.hosts[host as usize].guests.clone();
    let mean = |guest: u32| outlook.expected.of(guest).mean;
    guests.sort_by(|a, b| mean(*b).total_cmp(&mean(*a)));
    let mut saved_watts = ledger.watts(&ledger.of(host));
    ledger.close(host, true);
    let mut before = Vec::with_capacity(guests.len());
    let mut steps = Vec::with_capacity(guests.len());
    for guest in guests.iter().copied() {
        let expected = outlook.expected.of(guest);
        let Some(to) = ledger.fitting(expected, now.guests.of(guest).mips) else { break };
        let target = ledger.of(to);
        let sum = target.with(expected);
        saved_watts -= ledger.watts(&sum) - ledger.watts(&target);
        before.push((to, target));
        ledger.set(to, sum);
        steps.push(Step { guest, to });
    }
    let pays = saved_watts * PAYBACK_HOURS >= MOVE_WATT_HOURS * guests.len() as f64;
    if steps.len() == guests.len() && pays {
        return Some(steps);
    }
    for (to, sum) in before.into_iter().rev() {
        ledger.set(to, sum);
    }
    ledger.close(host, false);
    None
}
