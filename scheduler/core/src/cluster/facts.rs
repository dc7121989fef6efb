//! What hosts offer and domains need beside memory and CPU.
//!
//! What is not known is absent, and what is absent forbids nothing: a host that does not say which
//! networks it has may take any domain.
//!
//! Never here: sums over the domains of a host.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use crate::units::Bytes;

/// What a host offers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Offers {
    /// CPU models that it can show to guests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_models: Option<BTreeSet<String>>,
    /// Networks (bridges, VLANs) that it is connected to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub networks: Option<BTreeSet<String>>,
    /// Storage pools that it reaches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pools: Option<BTreeSet<String>>,
    /// Memory in huge pages that all its guests together may have, by size of the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub huge_pages: Option<BTreeMap<Bytes, Bytes>>,
    /// Its NUMA nodes; empty where unknown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub numa: Vec<NumaNode>,
}

/// A NUMA node of a host, as far as guests that need one may use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumaNode {
    /// Its memory.
    pub memory: Bytes,
    /// vCPUs that may be bound to it.
    pub cpus: u32,
}

/// What a domain needs of its host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Needs {
    /// The CPU model that it was started with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_model: Option<String>,
    /// Networks that it is connected to.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub networks: BTreeSet<String>,
    /// Storage pools that its disks are in.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub pools: BTreeSet<String>,
    /// Memory that must come from huge pages, by size of the page.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub huge_pages: BTreeMap<Bytes, Bytes>,
    /// Memory and vCPUs that must come from one NUMA node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_node: Option<NumaNode>,
}

/// What a host lacks for a domain, even if no other domain were on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// It cannot show the domain's CPU model.
    CpuModel,
    /// It is not connected to one of the domain's networks.
    Network,
    /// It does not reach one of the domain's storage pools.
    Pool,
    /// It has too few huge pages.
    HugePages,
    /// None of its NUMA nodes is large enough.
    Numa,
}

impl Lack {
    /// The name that messages call it by, as they call rules by theirs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CpuModel => "cpu model",
            Self::Network => "network",
            Self::Pool => "storage pool",
            Self::HugePages => "huge pages",
            Self::Numa => "numa",
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Offers {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is missing here for a domain with `needs`, if anything.
    pub fn lacks(&self, needs: &Needs) -> Option<Lack> {
        let all_in = |offered: &Option<BTreeSet<String>>, needed: &BTreeSet<String>| {
            offered.as_ref().is_none_or(|offered| needed.is_subset(offered))
        };
        let model = needs.cpu_model.as_ref().zip(self.cpu_models.as_ref());
        let pages = self.huge_pages.as_ref();
        let enough = |(size, bytes): (&Bytes, &Bytes)| {
            pages.is_none_or(|pages| pages.get(size).is_some_and(|offered| offered >= bytes))
        };
        let node = needs.one_node.filter(|_| !self.numa.is_empty());
        if model.is_some_and(|(model, offered)| !offered.contains(model)) {
            Some(Lack::CpuModel)
        } else if !all_in(&self.networks, &needs.networks) {
            Some(Lack::Network)
        } else if !all_in(&self.pools, &needs.pools) {
            Some(Lack::Pool)
        } else if !needs.huge_pages.iter().all(enough) {
            Some(Lack::HugePages)
        } else if node.is_some_and(|node| !self.numa.iter().any(|own| own.holds(node))) {
            Some(Lack::Numa)
        } else {
            None
        }
    }
}

impl Needs {
    /// Whether nothing is needed, or known to be.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl NumaNode {
    /// Whether it has room for `other`.
    pub fn holds(self, other: Self) -> bool {
        self.memory >= other.memory && self.cpus >= other.cpus
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_forbids_nothing() {
        let needs = Needs {
            cpu_model: Some("EPYC".to_owned()),
            networks: BTreeSet::from(["prod".to_owned()]),
            pools: BTreeSet::from(["rbd".to_owned()]),
            huge_pages: BTreeMap::from([(Bytes::mib(2), Bytes::mib(512))]),
            one_node: Some(NumaNode { memory: Bytes::mib(512), cpus: 4 }),
        };
        let mut offers = Offers::default();
        assert_eq!(offers.lacks(&needs), None);
        offers.numa = vec![NumaNode { memory: Bytes::mib(1024), cpus: 2 }];
        assert_eq!(offers.lacks(&needs), Some(Lack::Numa));
        offers.huge_pages = Some(BTreeMap::from([(Bytes::mib(1024), Bytes::mib(4096))]));
        assert_eq!(offers.lacks(&needs), Some(Lack::HugePages));
        offers.pools = Some(BTreeSet::new());
        assert_eq!(offers.lacks(&needs), Some(Lack::Pool));
        offers.networks = Some(BTreeSet::from(["test".to_owned()]));
        assert_eq!(offers.lacks(&needs), Some(Lack::Network));
        offers.cpu_models = Some(BTreeSet::from(["Opteron".to_owned()]));
        assert_eq!(offers.lacks(&needs), Some(Lack::CpuModel));
        assert_eq!(offers.lacks(&Needs::default()), None);
    }

    #[test]
    fn files_keep_sizes_as_text() {
        let offers = Offers {
            huge_pages: Some(BTreeMap::from([(Bytes::mib(2), Bytes::mib(512))])),
            ..Offers::default()
        };
        let text = serde_json::to_string(&offers).unwrap();
        assert_eq!(text, "{\"huge_pages\":{\"2 MiB\":\"512 MiB\"}}");
        assert_eq!(serde_json::from_str::<Offers>(&text).unwrap(), offers);
    }
}
