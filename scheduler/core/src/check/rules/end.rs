//! Which rules a placement breaks.
//!
//! Never here: what a single arrival breaks.

use std::collections::{BTreeMap, BTreeSet};

use super::Rules;
use crate::{
    ids::{HostId, VmId},
    policy::{Per, RuleKind},
};

impl<'a> Rules<'a> {
    /// Rules that `place` breaks, hard ones and preferences alike, each with whether it is hard.
    pub(in crate::check) fn broken_at_end(
        &self,
        place: &BTreeMap<&VmId, &HostId>,
    ) -> BTreeMap<&'a str, bool> {
        let at: Vec<Option<usize>> = self
            .roster
            .vms
            .iter()
            .map(|vm| place.get(vm).and_then(|host| self.roster.host(host)))
            .collect();
        let mut guests = vec![0_usize; self.roster.hosts.len()];
        place.values().filter_map(|host| self.roster.host(host)).for_each(|host| guests[host] += 1);
        let mut broken = BTreeMap::new();
        for (index, rule) in self.policy.rules.iter().enumerate() {
            if self.is_broken(index, &at, &guests) {
                // Two rules of one name are told apart by nobody; the hard one counts.
                *broken.entry(rule.name.as_str()).or_default() |= rule.is_hard();
            }
        }
        broken
    }

    fn is_broken(&self, rule: usize, at: &[Option<usize>], guests: &[usize]) -> bool {
        let meant = &self.roster.meant[rule];
        let named = |host: &usize| meant.hosts.binary_search(host).is_ok();
        let here = || meant.vms.iter().filter_map(|&vm| at[vm]);
        let by_place = |per: &Per| {
            let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
            here().for_each(|host| *counts.entry(self.place(per, host)).or_default() += 1);
            counts
        };
        match &self.policy.rules[rule].kind {
            RuleKind::Pin => !here().all(|host| named(&host)),
            RuleKind::Exclude => here().any(|host| named(&host)),
            RuleKind::AntiAffinity { per, most } => {
                by_place(per).values().any(|count| *count > *most as usize)
            }
            RuleKind::Affinity { per } => by_place(per).len() > 1,
            RuleKind::HostsMax { most } => {
                here().filter(named).collect::<BTreeSet<_>>().len() > *most as usize
            }
            RuleKind::Exclusive => {
                by_place(&Per::Host).iter().any(|(host, own)| guests[*host] > *own)
            }
            RuleKind::Disruption(_) => false,
        }
    }
}
