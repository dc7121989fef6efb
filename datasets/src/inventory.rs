//! How large hosts are, where telemetry cannot say: `inventory.toml` beside the data.
//!
//! ```toml
//! [hosts.h1]
//! cpu = "8 cores"
//! memory = "16 GiB"
//! ```
//!
//! Samples carry the memory of the machine and nothing of its CPUs; and hosts that share one
//! machine, as in a laboratory, all report the machine's memory. What stands here wins.

use std::{collections::BTreeMap, fs, io, path::Path};

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    Host, Snapshot,
    ids::HostId,
    units::{Bytes, MilliCores},
};

use crate::error::DatasetError;

/// Name of the file in the store's directory.
pub const INVENTORY_FILE: &str = "inventory.toml";

/// Capacities by host. Hosts that are listed belong to the cluster even without a sample.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// What each host offers.
    #[serde(default)]
    pub hosts: BTreeMap<HostId, HostCapacity>,
}

/// What a host offers to guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HostCapacity {
    /// CPU that guests may use; `None` leaves it unknown.
    pub cpu: Option<MilliCores>,
    /// Memory that guests may use; `None` leaves it to the samples.
    pub memory: Option<Bytes>,
}

impl Inventory {
    /// What the hosts of `snapshot` that have answered offer.
    pub fn of(snapshot: &Snapshot) -> Self {
        let capacity =
            |host: &Host| HostCapacity { cpu: Some(host.cpu), memory: Some(host.memory) };
        let answered = snapshot.hosts.iter().filter(|(_, host)| host.memory > Bytes::ZERO);
        Self { hosts: answered.map(|(id, host)| (id.clone(), capacity(host))).collect() }
    }

    /// Writes the inventory into the store in `dir`, in place of the one that is there.
    ///
    /// # Errors
    /// [`DatasetError::Io`] when it cannot be written.
    pub fn write(&self, dir: &Path) -> Result<(), DatasetError> {
        let path = dir.join(INVENTORY_FILE);
        let text = toml::to_string(self).map_err(|error| DatasetError::Inventory {
            path: DatasetError::shown(&path),
            message: error.to_string(),
        })?;
        fs::write(&path, text).map_err(DatasetError::io(&path, "cannot write"))
    }

    /// Reads the inventory of the store in `dir`; an absent file is an empty inventory.
    ///
    /// # Errors
    /// [`DatasetError::Inventory`] when it is there and not well-formed, [`DatasetError::Io`]
    /// when it cannot be read.
    pub fn read(dir: &Path) -> Result<Self, DatasetError> {
        let path = dir.join(INVENTORY_FILE);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            read => read.map_err(DatasetError::io(&path, "cannot read"))?,
        };
        toml::from_str(&text).map_err(|error| DatasetError::Inventory {
            path: DatasetError::shown(&path),
            message: error.to_string().trim_end().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Inventory, DatasetError> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(INVENTORY_FILE), text).unwrap();
        Inventory::read(dir.path())
    }

    #[test]
    fn capacities_are_read_with_their_units() {
        let inventory = read("[hosts.h1]\ncpu = \"8 cores\"\nmemory = \"16 GiB\"\n[hosts.h2]\n");
        let hosts = inventory.unwrap().hosts;
        let h1 = hosts[&HostId::new("h1").unwrap()];
        assert_eq!(h1.cpu, Some(MilliCores::cores(8)));
        assert_eq!(h1.memory, Some(Bytes::mib(16 << 10)));
        assert_eq!(hosts[&HostId::new("h2").unwrap()], HostCapacity::default());
    }

    #[test]
    fn an_absent_file_is_empty_and_a_wrong_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Inventory::read(dir.path()), Ok(Inventory::default()));
        for wrong in ["[hosts.h1]\ncpus = 8", "[hosts.h1]\ncpu = 8", "[hosts.\"a b\"]", "["] {
            let message = read(wrong).unwrap_err().to_string();
            assert!(message.contains(INVENTORY_FILE) && message.contains("hint:"), "{message}");
        }
    }
}
