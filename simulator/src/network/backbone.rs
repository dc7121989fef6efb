//! What lies between the hosts' interfaces of a named cluster.
//!
//! Never here: which links a stream crosses (`routes`).

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;
use whimbrel_core::{ids::HostId, units::BytesPerSecond};

use super::routes::Between;

/// Racks and the migration network. The default has neither: interfaces alone hold migrations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Backbone {
    /// Racks by name. A host that is in several is in the first of them that has an uplink.
    pub racks: BTreeMap<HostId, Rack>,
    /// What all migrations together may take of their network, payload; none for no limit. Range:
    /// 1 KiB/s or more.
    pub migration_network: Option<BytesPerSecond>,
}

/// Hosts that stand together.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rack {
    /// Its hosts. Names that the cluster does not have mean nothing to the network.
    pub hosts: Vec<HostId>,
    /// What leaves the rack may take together, and what comes to it, payload; none for no limit.
    /// Range: 1 KiB/s or more.
    pub uplink: Option<BytesPerSecond>,
}

/// Least that a link carries: whoever gives less has left out the prefix of a unit.
const LEAST: BytesPerSecond = BytesPerSecond::new(1024);

/// A link that carries too little to be one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{link} carries {carries}, the least is {LEAST} (hint: give what it carries in each direction, \
     such as \"10 Gbit/s\"; what is cut off is a fault)"
)]
pub struct BackboneError {
    /// Which link.
    pub link: String,
    /// What it is said to carry.
    pub carries: BytesPerSecond,
}

impl Backbone {
    /// Whether every link carries enough to be one.
    ///
    /// # Errors
    /// [`BackboneError`] for the first one that does not.
    pub fn check_ranges(&self) -> Result<(), BackboneError> {
        let uplinks = self.racks.iter().map(|(name, rack)| (Some(name), rack.uplink));
        let mut links = uplinks.chain([(None, self.migration_network)]);
        let thin = links.find_map(|(rack, carries)| Some((rack, carries.filter(|c| *c < LEAST)?)));
        thin.map_or(Ok(()), |(rack, carries)| {
            let uplink = |rack| format!("the uplink of rack {rack}");
            let link = rack.map_or("the migration network".to_owned(), uplink);
            Err(BackboneError { link, carries })
        })
    }

    /// The same for numbered hosts.
    pub(crate) fn between<'a>(&self, hosts: impl Iterator<Item = &'a HostId>) -> Between {
        let mut racks: BTreeMap<&HostId, u32> = BTreeMap::new();
        let mut uplinks = Vec::new();
        for rack in self.racks.values() {
            let Some(uplink) = rack.uplink else { continue };
            for host in &rack.hosts {
                racks.entry(host).or_insert(uplinks.len() as u32);
            }
            uplinks.push(uplink.as_f64());
        }
        Between {
            rack_of: hosts.map(|host| racks.get(host).copied()).collect(),
            uplinks,
            total: self.migration_network.map(BytesPerSecond::as_f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> HostId {
        HostId::new(name).unwrap()
    }

    fn backbone<const N: usize>(racks: [(&str, [&str; 2], Option<u64>); N]) -> Backbone {
        let rack = |(name, hosts, uplink): (&str, [&str; 2], Option<u64>)| {
            let hosts = hosts.into_iter().map(host).collect();
            (host(name), Rack { hosts, uplink: uplink.map(BytesPerSecond::new) })
        };
        Backbone { racks: racks.into_iter().map(rack).collect(), migration_network: None }
    }

    #[test]
    fn hosts_are_numbered_and_racks_found_by_name() {
        let backbone = backbone([
            ("left", ["h1", "h3"], Some(10_000)),
            ("open", ["h4", "h5"], None),
            ("right", ["h2", "gone"], Some(20_000)),
        ]);
        assert_eq!(backbone.check_ranges(), Ok(()));
        let hosts = ["h1", "h2", "h3", "h4"].map(host);
        let between = backbone.between(hosts.iter());
        assert_eq!(between.rack_of, [Some(0), Some(1), Some(0), None]);
        assert_eq!(between.uplinks, [10_000.0, 20_000.0]);
        assert_eq!(between.total, None);
    }

    #[test]
    fn a_link_that_carries_next_to_nothing_is_named() {
        let said = |backbone: Backbone| backbone.check_ranges().unwrap_err().to_string();
        let uplink = said(backbone([("left", ["h1", "h2"], Some(1023))]));
        assert!(uplink.contains("rack left") && uplink.contains("hint"), "{uplink}");
        let network = Some(BytesPerSecond::ZERO);
        let network = said(Backbone { migration_network: network, ..Backbone::default() });
        assert!(network.contains("migration network") && network.contains("1 KiB/s"), "{network}");
    }
}
