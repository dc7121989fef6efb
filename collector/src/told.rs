//! What people tell about hosts and domains: tags for rules, and what libvirt's statistics do not
//! say.
//!
//! Put beside what was read; never instead of it.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::{
    HostId, Snapshot, VmId,
    cluster::{Needs, Offers},
};

/// What is told of hosts and domains by name. Names that are not seen mean nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Of hosts: tags, and what they offer beside memory and CPU.
    pub hosts: BTreeMap<HostId, (BTreeSet<String>, Offers)>,
    /// Of domains: tags, and what they need beside memory and CPU.
    pub domains: BTreeMap<VmId, (BTreeSet<String>, Needs)>,
}

impl Told {
    /// Adds to `snapshot` what is told.
    pub fn add_to(&self, snapshot: &mut Snapshot) {
        for (id, (tags, offers)) in &self.hosts {
            if let Some(host) = snapshot.hosts.get_mut(id) {
                host.tags.extend(tags.iter().cloned());
                host.offers = offers.clone();
            }
        }
        for domain in &mut snapshot.domains {
            if let Some((tags, needs)) = self.domains.get(&domain.vm) {
                domain.tags.extend(tags.iter().cloned());
                domain.needs = needs.clone();
            }
        }
    }
}
