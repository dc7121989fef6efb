//! What lies between the hosts' interfaces of a named cluster.
//!
//! Never here: which links a stream crosses (`routes`).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use whimbrel_core::{ids::HostId, units::BytesPerSecond};

use super::routes::Between;

/// Racks and the migration network. The default has neither: interfaces alone hold migrations.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backbone {
    /// Racks by name. A host that is in none reaches every other without an uplink; one that is in
    /// several is in the first of them.
    pub racks: BTreeMap<String, Rack>,
    /// What all migrations together may take of their network, payload; none for no limit.
    pub migration_network: Option<BytesPerSecond>,
}

/// Hosts that share an uplink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rack {
    /// Its hosts. Names that the cluster does not have mean nothing.
    pub hosts: BTreeSet<HostId>,
    /// What its uplink carries in each direction, payload.
    pub uplink: BytesPerSecond,
}

impl Backbone {
    /// The same for numbered hosts.
    pub(crate) fn between<'a>(&self, hosts: impl Iterator<Item = &'a HostId>) -> Between {
        let rack_of = |host: &HostId| {
            let place = self.racks.values().position(|rack| rack.hosts.contains(host));
            place.map(|rack| rack as u32)
        };
        Between {
            rack_of: hosts.map(rack_of).collect(),
            uplinks: self.racks.values().map(|rack| rack.uplink.as_f64()).collect(),
            total: self.migration_network.map(BytesPerSecond::as_f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_numbered_and_racks_found_by_name() {
        let host = |name: &str| HostId::new(name).unwrap();
        let rack = |hosts: [&str; 2], mib| Rack {
            hosts: hosts.into_iter().map(host).collect(),
            uplink: BytesPerSecond::mib(mib),
        };
        let racks = [("left", rack(["h1", "h3"], 10)), ("right", rack(["h2", "gone"], 20))];
        let backbone = Backbone {
            racks: racks.into_iter().map(|(name, rack)| (name.to_owned(), rack)).collect(),
            migration_network: None,
        };
        let hosts = ["h1", "h2", "h3", "h4"].map(host);
        let between = backbone.between(hosts.iter());
        assert_eq!(between.rack_of, [Some(0), Some(1), Some(0), None]);
        assert_eq!(between.uplinks, [10.0 * 1_048_576.0, 20.0 * 1_048_576.0]);
        assert_eq!(between.total, None);
    }
}
