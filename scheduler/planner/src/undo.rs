//! From a plan that was executed in whole or part: a goal that takes it back, or that goes on with
//! it from what is there now.
//!
//! Looks where every VM of the plan is today and trusts nothing else: not the plan's file beyond
//! its digest, not what an execution says that it has done. What comes out is a goal; the plan for
//! it is made, checked and simulated as any other. VMs that somebody else has moved since are left
//! alone and named.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use thiserror::Error;
use whimbrel_core::{
    cluster::Snapshot,
    ids::{HostId, VmId},
    plan::{Goal, Plan, PlanError},
};

/// Where a VM of a plan is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Found {
    /// Where the plan takes it.
    Arrived,
    /// Where the plan took it from: its move has not begun or has failed.
    NotMoved,
    /// Where the plan lets it wait on its way.
    OnTheWay {
        /// The host.
        host: HostId,
    },
    /// Somewhere else: others have moved it since.
    Elsewhere {
        /// The host.
        host: HostId,
    },
    /// A domain of this name is there, with another UUID.
    OtherMachine,
    /// Nowhere in the snapshot.
    Gone,
}

/// How the plan stands with one VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The VM.
    pub vm: VmId,
    /// Where it was when the plan was made.
    pub from: HostId,
    /// Where the plan leaves it.
    pub to: HostId,
    /// Where it is now.
    pub found: Found,
}

/// A goal from a plan, with what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Turned {
    /// What to plan for now.
    pub goal: Goal,
    /// Every VM that the plan moves, in the order of names.
    pub standing: Vec<Standing>,
}

/// Why a plan cannot be taken back or gone on with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UndoFailure {
    /// Its file is not to be trusted.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// It speaks of other machines.
    #[error(
        "the plan is of another cluster: none of its {vms} domains is in the snapshot \
         (hint: check the plan's file and the cluster that is looked at)"
    )]
    OtherCluster {
        /// Domains that it moves.
        vms: usize,
    },
    /// A host of the plan does not exist here.
    #[error(
        "the plan speaks of host {host}, which is not in the snapshot \
         (hint: hosts are {known}; add the host, or move {vm} by hand)"
    )]
    UnknownHost {
        /// The host.
        host: HostId,
        /// A VM that was there.
        vm: VmId,
        /// Hosts that exist, separated by commas.
        known: String,
    },
}

/// The goal that takes back what `plan` has moved: every VM that is still where the plan put it
/// goes to where it was. Others stay.
///
/// # Errors
/// [`UndoFailure`] for an edited plan, one of another cluster, or a host that is gone.
pub fn reverse(plan: &Plan, snapshot: &Snapshot) -> Result<Turned, UndoFailure> {
    let standing = standing(plan, snapshot)?;
    let mut places = BTreeMap::new();
    for one in &standing {
        if matches!(one.found, Found::Arrived | Found::OnTheWay { .. }) {
            known(snapshot, &one.vm, &one.from)?;
            places.insert(one.vm.clone(), one.from.clone());
        }
    }
    Ok(Turned { goal: Goal::Restore { places }, standing })
}

/// The goal of `plan` again, to be planned for from what is there now.
///
/// # Errors
/// [`UndoFailure`] for an edited plan, one of another cluster, or a host that is gone.
pub fn resume(plan: &Plan, snapshot: &Snapshot) -> Result<Turned, UndoFailure> {
    let standing = standing(plan, snapshot)?;
    if let Goal::Restore { places } = &plan.goal {
        for (vm, host) in places {
            known(snapshot, vm, host)?;
        }
    }
    Ok(Turned { goal: plan.goal.clone(), standing })
}

/// Where every VM of `plan` is now.
fn standing(plan: &Plan, snapshot: &Snapshot) -> Result<Vec<Standing>, UndoFailure> {
    plan.verify()?;
    let here: BTreeMap<_, _> = snapshot
        .domains
        .iter()
        .filter(|domain| domain.state.lives_here())
        .map(|domain| (&domain.vm, domain))
        .collect();
    let mut ways: BTreeMap<&VmId, Vec<_>> = BTreeMap::new();
    for (_, one) in plan.moves() {
        ways.entry(&one.vm).or_default().push(one);
    }
    let standing: Vec<Standing> = ways
        .into_iter()
        .filter_map(|(vm, way)| {
            let (first, last) = (way.first()?, way.last()?);
            let found = match here.get(vm) {
                None => Found::Gone,
                Some(domain) if domain.uuid != first.uuid => Found::OtherMachine,
                Some(domain) if domain.host == last.to => Found::Arrived,
                Some(domain) if domain.host == first.from => Found::NotMoved,
                Some(domain) if way.iter().any(|one| one.to == domain.host) => {
                    Found::OnTheWay { host: domain.host.clone() }
                }
                Some(domain) => Found::Elsewhere { host: domain.host.clone() },
            };
            Some(Standing { vm: vm.clone(), from: first.from.clone(), to: last.to.clone(), found })
        })
        .collect();
    let strange = |one: &Standing| matches!(one.found, Found::Gone | Found::OtherMachine);
    if !standing.is_empty() && standing.iter().all(strange) {
        return Err(UndoFailure::OtherCluster { vms: standing.len() });
    }
    Ok(standing)
}

fn known(snapshot: &Snapshot, vm: &VmId, host: &HostId) -> Result<(), UndoFailure> {
    if snapshot.hosts.contains_key(host) {
        return Ok(());
    }
    let known = snapshot.hosts.keys().map(HostId::as_str).collect::<Vec<_>>().join(", ");
    Err(UndoFailure::UnknownHost { host: host.clone(), vm: vm.clone(), known })
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vm, from, to, found } = self;
        match found {
            Found::Arrived => write!(f, "{vm} is on {to}, where the plan takes it"),
            Found::NotMoved => write!(f, "{vm} is still on {from}"),
            Found::OnTheWay { host } => write!(f, "{vm} is on {host}, on its way to {to}"),
            Found::Elsewhere { host } => {
                write!(f, "{vm} is on {host}, where this plan never takes it: it is left alone")
            }
            Found::OtherMachine => write!(f, "{vm} is another machine now: it is left alone"),
            Found::Gone => write!(f, "{vm} is not in the snapshot"),
        }
    }
}
