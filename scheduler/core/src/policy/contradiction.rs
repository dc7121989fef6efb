//! Rules that cannot hold together, found and named before any solver is asked: "infeasible"
//! explains nothing.

use thiserror::Error;

use crate::{
    ids::{HostId, VmId},
    units::Bytes,
};

mod chains;
mod find;

/// Why a policy cannot be met on a given cluster, whatever the placement.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Contradiction {
    /// One wants two VMs together, the other apart.
    #[error(
        "rules {together:?} and {apart:?} contradict each other: one keeps {first} and {second} \
         together, the other apart (hint: drop one of the two rules)"
    )]
    TogetherAndApart {
        /// The affinity rule.
        together: String,
        /// The anti-affinity rule.
        apart: String,
        /// One VM.
        first: VmId,
        /// The other.
        second: VmId,
    },
    /// Two rules leave a VM no host.
    #[error(
        "rules {first:?} and {second:?} contradict each other: together they leave {vm} no host \
         (hint: give them a host in common)"
    )]
    NoHostLeft {
        /// One rule.
        first: String,
        /// The other.
        second: String,
        /// The VM.
        vm: VmId,
    },
    /// Several rules leave a VM no host, although any two of them would.
    #[error(
        "rules {rules} contradict each other: together they leave {vm} no host \
         (hint: give them a host in common)"
    )]
    NoHostLeftByAll {
        /// The rules, quoted, separated by commas.
        rules: String,
        /// The VM.
        vm: VmId,
    },
    /// More VMs to keep apart than places.
    #[error(
        "rule {rule:?} keeps {vms} domains apart, {most} in one place at most, but there are \
         {places} (hint: split the rule, raise `most` or add hosts)"
    )]
    TooFewHosts {
        /// The rule.
        rule: String,
        /// Domains that it names.
        vms: usize,
        /// How many of them one place may have.
        most: u32,
        /// Places in the snapshot, counted: `3 hosts`.
        places: String,
    },
    /// One keeps more VMs apart than the other leaves them hosts.
    #[error(
        "rules {apart:?} and {bound:?} contradict each other: one keeps {vms} domains apart, {most} \
         in one place at most, the other leaves them {places} (hint: give {bound:?} more of them)"
    )]
    ApartOnTooFew {
        /// The anti-affinity rule.
        apart: String,
        /// The rule about hosts.
        bound: String,
        /// Domains that both name.
        vms: usize,
        /// How many of them one place may have.
        most: u32,
        /// Places that the second leaves them, counted: `1 hosts`.
        places: String,
    },
    /// VMs to keep together have no host in common.
    #[error(
        "rules {together:?} and {bounds} contradict each other: one keeps domains together, the \
         others leave them no host in common (hint: give them a host in common)"
    )]
    TogetherNowhere {
        /// The affinity rule.
        together: String,
        /// The rules about hosts, quoted, separated by commas.
        bounds: String,
    },
    /// Several rules chain two VMs together that another keeps apart.
    #[error(
        "rules {chain} and {apart:?} contradict each other: a chain of the first keeps {first} and \
         {second} together, the last apart (hint: drop one of them)"
    )]
    ChainedAndApart {
        /// The affinity rules, quoted, separated by commas.
        chain: String,
        /// The anti-affinity rule.
        apart: String,
        /// One VM.
        first: VmId,
        /// The other.
        second: VmId,
    },
    /// VMs to keep together are larger than every host.
    #[error(
        "rules {rules} keep {vms} domains of {} on one host, the largest, {host}, has {} \
         (hint: drop one of the rules or take domains out of them)", memory.human(), limit.human()
    )]
    TogetherTooBig {
        /// The affinity rules, quoted, separated by commas.
        rules: String,
        /// Domains that they keep together.
        vms: usize,
        /// Memory of these.
        memory: Bytes,
        /// The largest host.
        host: HostId,
        /// Its memory.
        limit: Bytes,
    },
    /// A rule names a host that does not exist.
    #[error(
        "rule {rule:?} names host {host}, which is not in the snapshot (hint: hosts are {known})"
    )]
    UnknownHost {
        /// The rule.
        rule: String,
        /// The absent host.
        host: HostId,
        /// Hosts that exist.
        known: String,
    },
    /// A tag expression means no host, so that its rule would mean nothing or everything.
    #[error(
        "rule {rule:?}: no host in the snapshot is tagged {tagged} (hint: tags of hosts are {known})"
    )]
    NoHostTagged {
        /// The rule.
        rule: String,
        /// The expression.
        tagged: String,
        /// Tags that hosts have.
        known: String,
    },
    /// No host says in which place it is.
    #[error(
        "rule {rule:?}: no host in the snapshot has a tag {key}=... (hint: tags of hosts are {known})"
    )]
    NoPlaces {
        /// The rule.
        rule: String,
        /// The key that its places are named by.
        key: String,
        /// Tags that hosts have.
        known: String,
    },
    /// One wants two VMs together, the other keeps everybody away from one of them.
    #[error(
        "rules {together:?} and {alone:?} contradict each other: one keeps {inside} and {outside} \
         together, the other lets nobody but its own beside {inside} \
         (hint: add {outside} to {alone:?} or drop one of the two rules)"
    )]
    TogetherAndAlone {
        /// The affinity rule.
        together: String,
        /// The exclusive rule.
        alone: String,
        /// A VM of both.
        inside: VmId,
        /// A VM of the affinity rule only.
        outside: VmId,
    },
    /// More than can be judged in bounded time.
    #[error(
        "the rules name domains {named} times, the limit is {limit} \
         (hint: merge rules, or select fewer domains by narrower tags)"
    )]
    TooMuch {
        /// Domains of all rules, added up.
        named: usize,
        /// The most that is accepted.
        limit: usize,
    },
}
