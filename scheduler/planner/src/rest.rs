//! Rest after a move: for how long balance leaves a VM alone, and what it is expected to want.
//!
//! Every migration of the last day counts, whoever asked for it and however it ended: the guest
//! felt it. After the first a VM rests for the policy's cool-down, and twice as long with each
//! further one of that day, up to a maximum, so that a VM that is moved again and again comes to
//! rest. Only balance for the sake of load heeds it: a drain, or a rule that its place breaks,
//! moves a resting VM.
//!
//! Never here: which VM is worth a move.

use std::collections::BTreeMap;

use whimbrel_core::{
    HostId,
    outlook::Outlook,
    policy::Balance,
    units::{Span, Timestamp},
};

use crate::{
    scope::{Context, scattered_now},
    view::View,
};

/// Moves before this are forgotten.
const REMEMBERED: Span = Span::from_seconds(86_400);

/// Gives every VM of `view` what `outlook` says of it: the CPU to plan for, its rest, and where an
/// earlier plan takes it.
pub(crate) fn look_ahead(view: &mut View<'_>, outlook: &Outlook, now: Timestamp) {
    let balance = &view.policy.balance;
    let hosts: BTreeMap<&HostId, usize> = view.hosts.iter().map(|host| host.id).zip(0..).collect();
    for (index, vm) in view.vms.iter_mut().enumerate() {
        let name = &vm.domain.vm;
        if let Some(demand) = outlook.demands.get(name) {
            // More than all of its vCPUs it cannot use.
            vm.demand_cores = demand.cpu.as_cores_f64().min(f64::from(vm.domain.vcpus));
        }
        let planned = outlook.planned.get(name).and_then(|host| hosts.get(host).copied());
        view.planned.extend(planned.filter(|host| *host != vm.home).map(|host| (index, host)));
        let moves = outlook.moves.get(name).map(Vec::as_slice).unwrap_or_default();
        vm.rests_until = until(balance, moves, now).filter(|until| *until > now);
    }
}

/// The end of the rest after `moves`; `None` where there was no move in the last day.
fn until(balance: &Balance, moves: &[Timestamp], now: Timestamp) -> Option<Timestamp> {
    let recent = || moves.iter().filter(|at| now.since(**at) < REMEMBERED);
    let further = u32::try_from(recent().count().checked_sub(1)?).unwrap_or(u32::MAX);
    let doubled = 1_u64.checked_shl(further).unwrap_or(u64::MAX);
    let rest = balance.cooldown.as_micros().saturating_mul(doubled);
    let rest = Span::from_micros(rest.min(balance.cooldown_max.as_micros()));
    // A clock that was set back must not make a rest longer than it is.
    recent().max().map(|last| (*last).min(now) + rest)
}

/// Until when balance leaves `vm` where it is; `None` where it may move it.
pub(crate) fn resting(context: &Context<'_>, vm: usize) -> Option<Timestamp> {
    let view = context.view;
    let one = &view.vms[vm];
    let until = one.rests_until?;
    let mends = view.ban(vm, one.home).is_some()
        || context.start.clash(view, vm, one.home).is_some()
        || one.together.iter().any(|&group| scattered_now(view, &view.together[group]));
    (!mends).then_some(until)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest_after(minutes_ago: &[u64]) -> Option<u64> {
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        let balance = Balance {
            cooldown: Span::from_seconds(3600),
            cooldown_max: Span::from_seconds(5 * 3600),
            ..Balance::default()
        };
        let moves: Vec<Timestamp> = minutes_ago
            .iter()
            .map(|minutes| Timestamp::from_micros(now.as_micros() - minutes * 60_000_000))
            .collect();
        until(&balance, &moves, now).map(|until| until.since(now).as_micros() / 60_000_000)
    }

    #[test]
    fn each_further_move_of_a_day_doubles_the_rest_up_to_the_maximum() {
        assert_eq!(rest_after(&[]), None);
        assert_eq!(rest_after(&[10]), Some(50));
        assert_eq!(rest_after(&[70]), Some(0));
        assert_eq!(rest_after(&[300, 10]), Some(110));
        assert_eq!(rest_after(&[10, 900, 300]), Some(230));
        assert_eq!(rest_after(&[10; 9]), Some(290));
        assert_eq!(rest_after(&[10; 200]), Some(290));
        assert_eq!(rest_after(&[10, 24 * 60]), Some(50), "a day ago is forgotten");
    }
}
