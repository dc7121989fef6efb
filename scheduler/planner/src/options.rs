//! Where each VM could go at all, and why not elsewhere.
//!
//! Looks at one VM and one host at a time, whatever else moves; whether moves fit together is for
//! the search and the ordering.

use whimbrel_core::{
    cluster::HostState,
    plan::Reason,
    predict::PredictError,
    units::{Share, Span},
};

use crate::{
    costs::{Costs, Price},
    validate::state_name,
    view::{Group, View},
};

/// What one host says to one VM.
pub(crate) struct Offer<'a> {
    pub(crate) host: usize,
    /// The price in guest-seconds, or why not.
    pub(crate) answer: Result<f64, Refusal<'a>>,
}

/// Why a host does not take a VM.
pub(crate) enum Refusal<'a> {
    NotUp(HostState),
    Rule(&'a str),
    /// It is too small for it, even empty.
    Full,
    Stalls {
        converges: Share,
        downtime_limit_needed: Option<Span>,
    },
    Unknown(PredictError),
}

/// What every host but its own says to `vm`.
pub(crate) fn offers<'a>(view: &View<'a>, costs: &Costs<'_>, vm: usize) -> Vec<Offer<'a>> {
    (0..view.hosts.len())
        .filter(|&host| host != view.vms[vm].home)
        .map(|host| Offer { host, answer: answer(view, costs, vm, host) })
        .collect()
}

/// What `vm` costs to move to `host`, in guest-seconds; `None` where it could not go there even if
/// the host were empty.
pub(crate) fn price(view: &View<'_>, costs: &Costs<'_>, vm: usize, host: usize) -> Option<f64> {
    refused(view, vm, host).is_none().then(|| costs.seconds_to(vm, host)).flatten()
}

fn answer<'a>(
    view: &View<'a>,
    costs: &Costs<'_>,
    vm: usize,
    host: usize,
) -> Result<f64, Refusal<'a>> {
    if let Some(refusal) = refused(view, vm, host) {
        return Err(refusal);
    }
    match costs.price(vm, view.vms[vm].home, host) {
        Price::Seconds(seconds) => Ok(seconds),
        Price::Stalls { converges, downtime_limit_needed } => {
            Err(Refusal::Stalls { converges, downtime_limit_needed })
        }
        Price::Unknown(error) => Err(Refusal::Unknown(error)),
    }
}

/// What speaks against `host` before anybody asks for the price.
fn refused<'a>(view: &View<'a>, vm: usize, host: usize) -> Option<Refusal<'a>> {
    if !view.up(host) {
        return Some(Refusal::NotUp(view.hosts[host].host.state));
    }
    if let Some(rule) = view.ban(vm, host).or_else(|| arriving(view, vm, host)) {
        return Some(Refusal::Rule(rule));
    }
    let (limits, one) = (&view.hosts[host], &view.vms[vm]);
    let too_big = one.memory() > limits.memory_limit || one.vcpus() as f64 > limits.vcpu_limit;
    too_big.then_some(Refusal::Full)
}

/// The anti-affinity rule with a machine that is arriving on `host` by another migration.
fn arriving<'a>(view: &View<'a>, vm: usize, host: usize) -> Option<&'a str> {
    let groups = view.vms[vm].apart.iter().map(|&group| &view.apart[group]);
    let full = |group: &&Group<'_>| {
        let there = group.arriving.iter().filter(|at| group.place(**at) == group.place(host));
        group.hard && there.count() >= group.most as usize
    };
    groups.into_iter().find(full).map(|group| group.name)
}

/// One reason for a VM that no host takes: a stall before a missing prediction, either before a
/// rule, because that is the order in which an operator can help.
pub(crate) fn summary(offers: &[Offer<'_>]) -> Reason {
    let refusals = || offers.iter().filter_map(|offer| offer.answer.as_ref().err());
    let converges = refusals()
        .filter_map(|refusal| match refusal {
            Refusal::Stalls { converges, .. } => Some(converges.get()),
            _ => None,
        })
        .reduce(f64::max);
    if let Some(converges) = converges {
        return Reason::WouldStall { converges };
    }
    refusals()
        .find_map(|refusal| match refusal {
            Refusal::Unknown(error) => Some(Reason::Unpredictable { why: error.to_string() }),
            _ => None,
        })
        .or_else(|| {
            refusals().find_map(|refusal| match refusal {
                Refusal::Rule(rule) => Some(Reason::HeldByRule { rule: (*rule).to_owned() }),
                _ => None,
            })
        })
        .unwrap_or(Reason::NoRoom)
}

/// Every host with its refusal, for people.
pub(crate) fn listed(view: &View<'_>, offers: &[Offer<'_>]) -> String {
    let said = |offer: &Offer<'_>| {
        let host = view.hosts[offer.host].id;
        let what = match offer.answer.as_ref().err()? {
            Refusal::NotUp(state) => state_name(*state).to_owned(),
            Refusal::Rule(rule) => format!("rule {rule:?}"),
            Refusal::Full => "no room".to_owned(),
            Refusal::Stalls { converges, .. } => format!("converges with {converges} only"),
            Refusal::Unknown(_) => "no prediction".to_owned(),
        };
        Some(format!("{host}: {what}"))
    };
    offers.iter().filter_map(said).collect::<Vec<_>>().join(", ")
}
