//! What the goal `even` has to weigh to make the same sum small as Ganeti's hbal does.
//!
//! hbal 3.0 adds up standard deviations over the nodes: of the free memory with weight 0.5 and
//! again 0.5 with instances that are yet to come (here there are none, so 1 together), likewise of
//! vCPUs by CPUs, and with weight 1 each of what its file of dynamic use says of CPU, memory, disk
//! and network (src/Ganeti/HTools/Cluster/MetricsComponents.hs). On shared storage without
//! secondary nodes its other components are 0, but for groups to keep apart, which are rules here.

use std::{collections::BTreeMap, error::Error};

use serde_json::Value;
use whimbrel_core::{
    VmId,
    policy::{Even, EvenLoad},
};

/// What `peers/ganeti.py` calls a full host, in MB/s.
const DISK_MB_PER_SECOND: f64 = 1000.0;
const NETWORK_MB_PER_SECOND: f64 = 1250.0;

/// hbal's weights, for the instance that `text` is the plain form of.
pub(crate) fn as_hbal(text: &str) -> Result<Even, Box<dyn Error>> {
    let plain: Value = serde_json::from_str(text)?;
    let list = |key: &str| plain[key].as_array().cloned().unwrap_or_default();
    let of = |one: &Value, key: &str| one[key].as_f64().unwrap_or(0.0);
    let (mut whole, mut system) = (0.0, 0.0);
    for host in list("hosts") {
        whole += of(&host, "memory_mib");
        system += of(&host, "system_memory_mib");
    }
    let load = |name: &str, key: &str, capacity: f64| -> Result<EvenLoad, Box<dyn Error>> {
        let mut used: BTreeMap<VmId, f64> = BTreeMap::new();
        for vm in list("vms") {
            used.insert(vm["name"].as_str().unwrap_or_default().parse()?, of(&vm, key));
        }
        Ok(EvenLoad { name: name.to_owned(), weight: 1.0, capacity, used })
    };
    Ok(Even {
        cpu: 1.0,
        // Ours is a part of what guests may have, hbal's of the whole machine.
        memory: 2.0 * (whole - system) / whole,
        vcpus: 1.0,
        loads: vec![
            load("disk", "disk_mb_per_second", DISK_MB_PER_SECOND)?,
            load("network", "network_mb_per_second", NETWORK_MB_PER_SECOND)?,
        ],
        ..Even::default()
    })
}
