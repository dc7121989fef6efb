//! Whether the VMs of failed hosts would find a place on the others, by placing them.
//!
//! After a failure the VMs of the failed hosts are placed one by one, largest first, on one of the
//! hosts that take them: the roomiest before the failure, the one that keeps least room, the first
//! by name, or the roomiest at that moment. Of the four the one that leaves fewest without a place
//! counts. A place that is found is proof; that none is found is no proof that there is none, so
//! what is said here errs to the safe side. One failure: every host in turn. Two, beside these:
//! every pair among the [`PAIRS_OF`] fullest hosts, and every other host with the fullest. Three:
//! these pairs, each with the fullest host beside it.
//!
//! Never moves anything and never judges the CPU: a VM that restarts may be slow, not absent.

use std::cmp::Reverse;

use whimbrel_core::plan::Exposed;

use crate::view::{Occupancy, View};

/// Fullest hosts of which every pair is taken to fail.
const PAIRS_OF: usize = 24;

/// Which of the hosts that take a VM gets it.
#[derive(Debug, Clone, Copy)]
enum Pick {
    RoomiestBefore,
    Tightest,
    First,
    Roomiest,
}

const PICKS: [Pick; 4] = [Pick::RoomiestBefore, Pick::Tightest, Pick::First, Pick::Roomiest];

/// A failure after which VMs have no place.
#[derive(Debug, Clone)]
pub(crate) struct Exposure {
    /// The hosts that fail.
    pub(crate) failed: Vec<usize>,
    /// Their VMs without a place.
    pub(crate) vms: Vec<usize>,
}

/// Every failure of `limits.host_failures` hosts after which some VM has no place, where hosts in
/// `off` take nobody.
pub(crate) fn exposures(view: &View<'_>, now: &Occupancy, off: &[bool]) -> Vec<Exposure> {
    let failures = view.policy.limits.host_failures as usize;
    if failures == 0 {
        return Vec::new();
    }
    let mut trial = Trial::new(view, now, off);
    let sets = failed_sets(&trial, failures);
    sets.into_iter()
        .filter_map(|failed| {
            let vms = trial.stranded(&failed);
            (!vms.is_empty()).then_some(Exposure { failed, vms })
        })
        .collect()
}

/// How well the reserve is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// Over all failures that are tried.
    pub(crate) all: Exposed,
    /// VMs without a place after the failure of single hosts.
    single: usize,
}

impl Standing {
    /// With VMs where `now` has them and hosts in `off` taking nobody.
    pub(crate) fn of(view: &View<'_>, now: &Occupancy, off: &[bool]) -> Self {
        let exposures = exposures(view, now, off);
        let vms = |one: &Exposure| one.vms.len();
        let figure = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let all = Exposed {
            cases: figure(exposures.len()),
            vms: figure(exposures.iter().map(vms).sum()),
        };
        let single = exposures.iter().filter(|one| one.failed.len() == 1).map(vms).sum();
        Self { all, single }
    }

    /// Whether no more VMs are without a place than in `before`.
    pub(crate) fn no_worse(self, before: Self) -> bool {
        self.all.vms <= before.all.vms && self.single <= before.single
    }
}

/// The same as figures.
pub(crate) fn exposed(view: &View<'_>, now: &Occupancy, off: &[bool]) -> Exposed {
    Standing::of(view, now, off).all
}

/// What is without a place, in bytes and added up over all failures: 0 where the reserve holds.
pub(crate) fn shortfall(view: &View<'_>, now: &Occupancy, off: &[bool]) -> u128 {
    let all = exposures(view, now, off);
    all.iter().flat_map(|one| &one.vms).map(|&vm| u128::from(view.vms[vm].memory())).sum()
}

/// Hosts that are taken to fail together.
fn failed_sets(trial: &Trial<'_>, failures: usize) -> Vec<Vec<usize>> {
    let mut hosts: Vec<usize> = (0..trial.guests.len()).filter(|&host| trial.fails(host)).collect();
    let mut sets: Vec<Vec<usize>> = hosts.iter().map(|&host| vec![host]).collect();
    if failures == 1 {
        return sets;
    }
    hosts.sort_by_key(|&host| (Reverse(trial.now.used(host).0), host));
    for (rank, &first) in hosts.iter().enumerate() {
        let partners = if rank == 0 { hosts.len() } else { PAIRS_OF.min(hosts.len()) };
        for &second in hosts.iter().take(partners).skip(rank + 1) {
            let mut set = vec![first, second];
            let others = hosts.iter().filter(|host| **host != first && **host != second);
            set.extend(others.take(failures - 2));
            sets.push(set);
        }
    }
    sets
}

/// The cluster while failures are tried, one after the other.
struct Trial<'a> {
    view: &'a View<'a>,
    now: Occupancy,
    /// VMs of each host, the largest first.
    guests: Vec<Vec<usize>>,
    /// Hosts that take VMs, the roomiest first.
    targets: Vec<usize>,
    /// Hosts that take nobody and do not fail.
    off: &'a [bool],
}

impl<'a> Trial<'a> {
    fn new(view: &'a View<'a>, now: &Occupancy, off: &'a [bool]) -> Self {
        let mut guests = vec![Vec::new(); view.hosts.len()];
        for (vm, &host) in now.place.iter().enumerate() {
            guests[host].push(vm);
        }
        for here in &mut guests {
            here.sort_by_key(|&vm| {
                (Reverse(view.vms[vm].memory()), Reverse(view.vms[vm].vcpus()), vm)
            });
        }
        let free = |host: usize| view.hosts[host].memory_limit.saturating_sub(now.used(host).0);
        let asleep = |host: usize| off.get(host).copied().unwrap_or(false);
        let mut targets: Vec<usize> =
            (0..view.hosts.len()).filter(|&host| view.up(host) && !asleep(host)).collect();
        targets.sort_by_key(|&host| (Reverse(free(host)), host));
        Self { view, now: now.clone(), guests, targets, off }
    }

    /// Whether there is anything on `host` that its failure would stop.
    fn fails(&self, host: usize) -> bool {
        !self.guests[host].is_empty() && !self.off.get(host).copied().unwrap_or(false)
    }

    /// VMs of `failed` that find no place.
    fn stranded(&mut self, failed: &[usize]) -> Vec<usize> {
        let mut least = self.restart(failed, PICKS[0]);
        for pick in &PICKS[1..] {
            if least.is_empty() {
                break;
            }
            let stranded = self.restart(failed, *pick);
            if stranded.len() < least.len() {
                least = stranded;
            }
        }
        least
    }

    fn restart(&mut self, failed: &[usize], pick: Pick) -> Vec<usize> {
        let mut vms: Vec<usize> =
            failed.iter().flat_map(|&host| self.guests[host].iter().copied()).collect();
        if failed.len() > 1 {
            let size = |vm: usize| (self.view.vms[vm].memory(), self.view.vms[vm].vcpus());
            vms.sort_by_key(|&vm| (Reverse(size(vm)), vm));
        }
        let (mut stranded, mut placed) = (Vec::new(), Vec::new());
        for vm in vms {
            match self.pick(pick, failed, vm) {
                Some(host) => {
                    placed.push((vm, self.now.place[vm]));
                    self.now.shift(self.view, vm, host);
                }
                None => stranded.push(vm),
            }
        }
        for (vm, host) in placed.into_iter().rev() {
            self.now.shift(self.view, vm, host);
        }
        stranded
    }

    fn pick(&self, pick: Pick, failed: &[usize], vm: usize) -> Option<usize> {
        let takes = |host: &usize| !failed.contains(host) && self.now.takes(self.view, vm, *host);
        let mut open = self.targets.iter().copied().filter(takes);
        let free =
            |host: usize| self.view.hosts[host].memory_limit.saturating_sub(self.now.used(host).0);
        match pick {
            Pick::RoomiestBefore => open.next(),
            Pick::Tightest => open.min_by_key(|&host| (free(host), host)),
            Pick::First => open.min(),
            Pick::Roomiest => open.min_by_key(|&host| (Reverse(free(host)), host)),
        }
    }
}
