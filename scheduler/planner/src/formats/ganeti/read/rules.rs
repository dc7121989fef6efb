//! What Ganeti says by groups, disks and tags, as rules.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::{ids::VmId, policy::Rule};

use super::Cluster;

impl Cluster<'_> {
    /// Exclusion tags keep instances apart; disks that are not shared and groups of nodes pin them.
    pub(super) fn rules(&self, prefixes: &BTreeSet<&str>) -> Vec<Rule> {
        let mut apart: BTreeMap<&str, Vec<VmId>> = BTreeMap::new();
        let mut rules = Vec::new();
        for (vm, (tags, disks)) in &self.kept {
            for tag in tags {
                if tag.match_indices(':').any(|(at, _)| prefixes.contains(&tag[..at])) {
                    apart.entry(tag).or_default().push(vm.clone());
                }
            }
            if !disks.is_empty() {
                let name = format!("disks of {vm}");
                rules.push(Rule::pin(&name, vec![vm.clone()], disks.clone()));
            }
        }
        rules.extend(apart.into_iter().map(|(tag, vms)| Rule::anti_affinity(tag, vms)));
        if self.groups.len() > 1 {
            rules.extend(self.groups.iter().map(|(uuid, group)| {
                let name = format!("group {}", group.name);
                Rule::pin(&name, self.members(uuid), group.hosts.clone())
            }));
        }
        rules
    }

    /// Instances on the nodes of a group.
    fn members(&self, uuid: &str) -> Vec<VmId> {
        let group = |vm: &&crate::formats::plain::PlainVm| {
            vm.host
                .as_ref()
                .and_then(|host| self.nodes.get(host))
                .is_some_and(|(own, _)| *own == uuid)
        };
        self.vms.iter().filter(group).map(|vm| vm.name.clone()).collect()
    }
}
