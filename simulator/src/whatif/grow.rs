//! What grows, and how.
//!
//! CPU: readings and series times the factor, up to the guest's vCPUs (or to what it used already,
//! where that was more). Dirty: distinct memory of every window times the factor, up to the guest's
//! memory. Memory: memory, resident and content times the factor, in whole MiB. Guests: copies of
//! present ones, as many as the percentage says, rounded up.
//!
//! Never here: a place for a copy.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::{
    Domain,
    cluster::VCPUS_MAX,
    ids::{HostId, VmId},
    units::{Bytes, MilliCores},
};

use super::{
    apply::{Changed, free_name},
    change::{ChangeError, Changes, Percent},
};
use crate::replay::Replay;

pub(super) const MIB: u64 = 1 << 20;
/// Largest memory of a guest, 1 PiB.
pub(super) const MEMORY_MAX: u64 = 1 << 50;

impl Changes {
    pub(super) fn load_grows(&self, changed: &mut Changed) {
        let grow = &self.grow;
        let mut more: BTreeMap<HostId, u64> = BTreeMap::new();
        let mut limits: BTreeMap<VmId, (u32, Bytes)> = BTreeMap::new();
        for domain in &mut changed.snapshot.domains {
            domain.memory = grown(domain.memory, grow.memory);
            domain.resident = domain.resident.map(|resident| grown(resident, grow.memory));
            cap_dirty(domain, grow.dirty.factor());
            if let Some(used) = domain.cpu_used {
                let wanted = more_cpu(used, grow.cpu, domain.vcpus);
                domain.cpu_used = Some(wanted);
                let added = more.entry(domain.host.clone()).or_default();
                *added = added.saturating_add(wanted.get().saturating_sub(used.get()));
            }
            limits.insert(domain.vm.clone(), (domain.vcpus, domain.memory));
        }
        for (id, host) in &mut changed.snapshot.hosts {
            let added = MilliCores::new(more.get(id).copied().unwrap_or_default());
            host.cpu_used = host.cpu_used.map(|used| used + added);
        }
        if let Some(replay) = &mut changed.replay {
            series_grow(replay, &limits, self);
        }
    }

    pub(super) fn guests_come(&self, changed: &mut Changed) -> Result<(), ChangeError> {
        let percent = self.grow.guests;
        if percent.get() < 0.0 {
            return Err(ChangeError::FewerGuests { percent });
        }
        let originals: Vec<Domain> =
            changed.snapshot.domains.iter().filter(|d| d.state.lives_here()).cloned().collect();
        let mut taken: BTreeSet<VmId> =
            changed.snapshot.domains.iter().map(|d| d.vm.clone()).collect();
        let mut numbers: BTreeMap<VmId, u64> = BTreeMap::new();
        let count = (originals.len() as f64 * percent.get() / 100.0).ceil() as usize;
        for index in 0..count {
            // Spread over all guests in the order of their names, so that sizes keep their mix.
            let Some(of) = originals.get(index * originals.len() / count % originals.len()) else {
                break;
            };
            let number = numbers.entry(of.vm.clone()).or_default();
            let vm = free_name(of.vm.as_str(), number, |name: &VmId| !taken.contains(name))?;
            taken.insert(vm.clone());
            let uuid = format!("copy-{}", vm.as_str());
            changed.arriving.push(Domain { vm: vm.clone(), uuid, job: None, ..of.clone() });
            if let Some(replay) = &mut changed.replay {
                replay.copy(&of.vm, &vm);
            }
            changed.copies.insert(vm, of.vm.clone());
        }
        Ok(())
    }
}

impl Replay {
    /// Lets `to` do what `from` does.
    fn copy(&mut self, from: &VmId, to: &VmId) {
        if let Some(series) = self.cpu.get(from).cloned() {
            self.cpu.insert(to.clone(), series);
        }
        if let Some(mut series) = self.dirty.get(from).cloned() {
            for sample in &mut series {
                sample.vm = to.clone();
            }
            self.dirty.insert(to.clone(), series);
        }
        if let Some(content) = self.content.get(from).copied() {
            self.content.insert(to.clone(), content);
        }
    }
}

fn series_grow(replay: &mut Replay, limits: &BTreeMap<VmId, (u32, Bytes)>, changes: &Changes) {
    let grow = &changes.grow;
    for (vm, series) in &mut replay.cpu {
        let vcpus = limits.get(vm).map_or(VCPUS_MAX, |limit| limit.0);
        for (_, used) in series {
            *used = more_cpu(*used, grow.cpu, vcpus);
        }
    }
    for (vm, series) in &mut replay.dirty {
        let memory = limits.get(vm).map_or(Bytes::new(MEMORY_MAX), |limit| limit.1);
        for sample in series {
            sample.unique = scaled(sample.unique, grow.dirty.factor()).min(memory);
        }
    }
    for content in replay.content.values_mut() {
        *content = grown(*content, grow.memory);
    }
}

/// Where every window's reading is `factor` times what it was, within the guest's memory.
pub(super) fn cap_dirty(domain: &mut Domain, factor: f64) {
    let memory = domain.memory;
    for reading in &mut domain.dirty {
        reading.unique = scaled(reading.unique, factor).min(memory);
    }
}

fn scaled(bytes: Bytes, factor: f64) -> Bytes {
    Bytes::new((bytes.as_f64() * factor).round() as u64)
}

/// Grown in whole MiB where it grows at all.
fn grown(bytes: Bytes, by: Percent) -> Bytes {
    if by.is_none() {
        return bytes;
    }
    let grown = scaled(bytes, by.factor()).get().min(MEMORY_MAX);
    Bytes::new(grown.div_ceil(MIB).max(1) * MIB)
}

/// No guest uses more than its vCPUs, but one that did already is not held back.
fn more_cpu(used: MilliCores, by: Percent, vcpus: u32) -> MilliCores {
    let wanted = MilliCores::new((used.get() as f64 * by.factor()).round() as u64);
    wanted.min(MilliCores::cores(vcpus.into()).max(used))
}
