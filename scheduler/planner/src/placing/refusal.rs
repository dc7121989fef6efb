//! Why no host takes a machine: how many hosts for which reason, and which came nearest.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use whimbrel_core::{ids::HostId, units::Bytes};

use super::trial::{Item, Refusal, Trial};

/// Hosts that are named because they came nearest.
const NEAREST: usize = 3;

/// Why hosts refused a machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Refused {
    /// Hosts for each reason, most first.
    pub reasons: Vec<Counted>,
    /// Hosts that only size kept away, the least missing first; three at most.
    pub nearest: Vec<Miss>,
}

/// Hosts with one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// The reason in words.
    pub reason: String,
    /// Hosts.
    pub hosts: usize,
}

/// A host that was too small by a little.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Miss {
    /// The host.
    pub host: HostId,
    /// Memory that it lacks.
    pub memory_short: Bytes,
    /// vCPUs that it lacks.
    pub vcpus_short: u64,
}

impl Refused {
    /// Counts refusals of `item` by `hosts`.
    pub(super) fn count(
        trial: &Trial<'_>,
        item: &Item,
        refusals: impl Iterator<Item = (usize, Refusal)>,
    ) -> Self {
        let mut kinds: BTreeMap<Refusal, usize> = BTreeMap::new();
        let mut near: Vec<(f64, usize, u64, u64)> = Vec::new();
        // A host lacks as much as the larger part of what it lacks of the two sizes.
        let part = |short: u64, of: u64| short as f64 / of.max(1) as f64;
        for (host, refusal) in refusals {
            let kind = match refusal {
                Refusal::Short { memory, vcpus } => {
                    let lacks = part(memory, item.size.memory).max(part(vcpus, item.size.vcpus));
                    near.push((lacks, host, memory, vcpus));
                    Refusal::Short { memory: memory.min(1), vcpus: vcpus.min(1) }
                }
                other => other,
            };
            *kinds.entry(kind).or_default() += 1;
        }
        near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        near.truncate(NEAREST);
        let named = |(_, host, memory, vcpus): (f64, usize, u64, u64)| Miss {
            host: trial.room.slots[host].id.clone(),
            memory_short: Bytes::new(memory),
            vcpus_short: vcpus,
        };
        let counted = |(kind, hosts)| Counted { reason: reason(trial, kind), hosts };
        let mut reasons: Vec<Counted> = kinds.into_iter().map(counted).collect();
        reasons.sort_by_key(|one| std::cmp::Reverse(one.hosts));
        Self { reasons, nearest: near.into_iter().map(named).collect() }
    }

    /// What every host says against `item`.
    pub(super) fn of(trial: &Trial<'_>, item: &Item) -> Self {
        let hosts = 0..trial.room.slots.len();
        let said = hosts.filter_map(|host| Some((host, trial.refusal(item, host)?)));
        Self::count(trial, item, said)
    }
}

fn reason(trial: &Trial<'_>, kind: Refusal) -> String {
    match kind {
        Refusal::NotUp(state) => state.to_owned(),
        Refusal::Lost => "failed".to_owned(),
        Refusal::Excluded => "excluded".to_owned(),
        Refusal::Law(law) => format!("rule {:?}", trial.room.rules.name(law)),
        Refusal::Lack(lack) => format!("lacks {}", lack.name()),
        Refusal::Short { vcpus: 0, .. } => "too little memory".to_owned(),
        Refusal::Short { memory: 0, .. } => "too few vCPUs".to_owned(),
        Refusal::Short { .. } => "too little memory and too few vCPUs".to_owned(),
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.reasons.is_empty() {
            return f.write_str("no host refuses it");
        }
        let listed: Vec<String> = self
            .reasons
            .iter()
            .map(|one| format!("{}: {}", one.reason, hosts(one.hosts)))
            .collect();
        f.write_str(&listed.join(", "))?;
        let near: Vec<String> = self.nearest.iter().map(ToString::to_string).collect();
        if near.is_empty() { Ok(()) } else { write!(f, "; nearest: {}", near.join(", ")) }
    }
}

fn hosts(count: usize) -> String {
    if count == 1 { "1 host".to_owned() } else { format!("{count} hosts") }
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lacks = Vec::new();
        if self.memory_short > Bytes::ZERO {
            lacks.push(format!("memory short by {}", self.memory_short.human()));
        }
        if self.vcpus_short > 0 {
            lacks.push(format!("vCPUs short by {}", self.vcpus_short));
        }
        write!(f, "{}: {}", self.host, lacks.join(" and "))
    }
}
