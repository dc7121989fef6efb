//! Changes applied to a snapshot and its recorded series.
//!
//! Hosts that leave or are emptied stay in the snapshot, in maintenance: their guests have to move
//! away from them, and nothing may move there. Copies of guests have no place yet; whoever knows
//! the policy finds them one ([`Room`](super::Room)).
//!
//! Never here: a place for anybody, or a judgement; what growth means is in `grow`.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::{
    Domain, Host, HostState, Plan, Snapshot,
    cluster::VCPUS_MAX,
    ids::{HostId, VmId},
    units::{Bytes, MilliCores},
};

use super::{
    change::{ChangeError, Changes, HOSTS_MAX, NewHost},
    grow::cap_dirty,
};
use crate::replay::Replay;

/// Names in a hint.
const KNOWN_MAX: usize = 20;

/// A cluster as a question has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// Hosts and guests; those of `leaving` and `emptied` are in maintenance.
    pub snapshot: Snapshot,
    /// What guests do, copies included.
    pub replay: Option<Replay>,
    /// Hosts that go for good.
    pub leaving: BTreeSet<HostId>,
    /// Hosts that are emptied and stay.
    pub emptied: BTreeSet<HostId>,
    /// Copies that have no place yet: each says where its original lives.
    pub arriving: Vec<Domain>,
    /// Copies with the guest that each is a copy of.
    pub copies: BTreeMap<VmId, VmId>,
}

impl Changed {
    /// Hosts that take nothing and must end empty.
    pub fn out_of_service(&self) -> BTreeSet<HostId> {
        self.leaving.union(&self.emptied).cloned().collect()
    }

    /// Completes `content` (memory that past migrations showed not to be zero) for guests that grew
    /// since `before`, and for copies.
    pub fn complete(&self, before: &Snapshot, content: &mut BTreeMap<VmId, Bytes>) {
        let memory = |snapshot: &Snapshot| -> BTreeMap<VmId, Bytes> {
            let living = snapshot.domains.iter().filter(|d| d.state.lives_here());
            living.map(|d| (d.vm.clone(), d.memory)).collect()
        };
        let (old, new) = (memory(before), memory(&self.snapshot));
        for (vm, bytes) in content.iter_mut() {
            if let (Some(old), Some(new)) = (old.get(vm), new.get(vm)) {
                let factor = new.as_f64() / old.as_f64().max(1.0);
                *bytes = Bytes::new((bytes.as_f64() * factor) as u64).min(*new);
            }
        }
        for (copy, of) in &self.copies {
            if let Some(bytes) = content.get(of).copied() {
                content.insert(copy.clone(), bytes);
            }
        }
    }
}

impl Changes {
    /// `snapshot` and `replay` with the changes made.
    ///
    /// # Errors
    /// [`ChangeError`] naming what does not exist or is out of its range.
    pub fn apply(
        &self,
        snapshot: &Snapshot,
        replay: Option<&Replay>,
    ) -> Result<Changed, ChangeError> {
        let mut changed = Changed {
            snapshot: snapshot.clone(),
            replay: replay.cloned(),
            leaving: BTreeSet::new(),
            emptied: BTreeSet::new(),
            arriving: Vec::new(),
            copies: BTreeMap::new(),
        };
        if self.deadline.is_some_and(|deadline| deadline.as_micros() == 0) {
            return Err(ChangeError::Deadline);
        }
        if let Some(loss) = &self.lose {
            known_host(snapshot, &loss.host)?;
        }
        self.hosts_go(&mut changed)?;
        self.hosts_come(&mut changed)?;
        self.resize(&mut changed)?;
        self.load_grows(&mut changed);
        self.guests_come(&mut changed)?;
        changed.snapshot.normalise();
        in_service_left(&changed)?;
        Ok(changed)
    }

    fn rack<'a>(&'a self, snapshot: &Snapshot, name: &str) -> Result<&'a [HostId], ChangeError> {
        let hosts = self.racks.get(name).ok_or_else(|| ChangeError::UnknownRack {
            rack: name.to_owned(),
            known: match listed(self.racks.keys()) {
                none if none.is_empty() => "no rack was described".to_owned(),
                names => format!("racks are {names}"),
            },
        })?;
        hosts.iter().try_for_each(|host| known_host(snapshot, host).map(|_| ()))?;
        Ok(hosts)
    }

    fn hosts_go(&self, changed: &mut Changed) -> Result<(), ChangeError> {
        let mut leaving: Vec<&HostId> = self.remove_hosts.iter().collect();
        for rack in &self.remove_racks {
            leaving.extend(self.rack(&changed.snapshot, rack)?);
        }
        for host in leaving.iter().copied().chain(&self.drain) {
            known_host(&changed.snapshot, host)?;
        }
        changed.leaving = leaving.into_iter().cloned().collect();
        changed.emptied = self.drain.iter().cloned().collect();
        for host in changed.out_of_service() {
            if let Some(host) = changed.snapshot.hosts.get_mut(&host)
                && host.state == HostState::Up
            {
                host.state = HostState::Maintenance;
            }
        }
        Ok(())
    }

    fn hosts_come(&self, changed: &mut Changed) -> Result<(), ChangeError> {
        let before = changed.snapshot.clone();
        for new in &self.add_hosts {
            check_size(new)?;
            let host = fresh(&before, new.cpu, new.memory);
            let host = Host { migration_bandwidth: new.bandwidth, ..host };
            if changed.snapshot.hosts.insert(new.name.clone(), host).is_some() {
                return Err(ChangeError::HostExists { host: new.name.clone() });
            }
        }
        let mut count = self.add_hosts.len();
        for add in &self.add_like {
            let like = known_host(&before, &add.like)?;
            count = count.saturating_add(add.count);
            if add.count == 0 || count > HOSTS_MAX {
                return Err(ChangeError::Count { count: add.count });
            }
            let mut number = 0;
            for _ in 0..add.count {
                let hosts = &changed.snapshot.hosts;
                let free = |name: &HostId| !hosts.contains_key(name);
                let name = free_name(add.like.as_str(), &mut number, free)?;
                changed.snapshot.hosts.insert(name, as_new(&before, like));
            }
        }
        for add in &self.add_racks {
            for (index, like) in self.rack(&before, &add.like)?.iter().enumerate() {
                let like = known_host(&before, like)?;
                let name = HostId::new(&format!("{}-{}", add.name, index + 1))?;
                let host = as_new(&before, like);
                if changed.snapshot.hosts.insert(name.clone(), host).is_some() {
                    return Err(ChangeError::HostExists { host: name });
                }
            }
        }
        Ok(())
    }

    fn resize(&self, changed: &mut Changed) -> Result<(), ChangeError> {
        for resize in &self.resize {
            let vm = &resize.vm;
            let size = |what: String| ChangeError::Size { vm: vm.clone(), what };
            let memory = resize.memory.get();
            if !(super::grow::MIB..=super::grow::MEMORY_MAX).contains(&memory) {
                return Err(size(format!("memory would be {}", resize.memory)));
            }
            if let Some(vcpus) = resize.vcpus.filter(|n| !(1..=VCPUS_MAX).contains(n)) {
                return Err(size(format!("it would have {vcpus} vCPUs")));
            }
            if !changed.snapshot.domains.iter().any(|domain| domain.vm == *vm) {
                let known = listed(changed.snapshot.domains.iter().map(|domain| &domain.vm));
                return Err(ChangeError::UnknownGuest { vm: vm.clone(), known });
            }
            for domain in changed.snapshot.domains.iter_mut().filter(|d| d.vm == *vm) {
                domain.memory = resize.memory;
                domain.vcpus = resize.vcpus.unwrap_or(domain.vcpus);
                cap_dirty(domain, 1.0);
            }
        }
        Ok(())
    }
}

/// `snapshot` after all moves of `plan`: guests are at their targets, and take the CPU that they
/// use with them.
pub fn moved(snapshot: &Snapshot, plan: &Plan) -> Snapshot {
    let mut after = snapshot.clone();
    for (_, one) in plan.moves() {
        let lives = |d: &&mut Domain| d.vm == one.vm && d.state.lives_here();
        let Some(domain) = after.domains.iter_mut().find(lives) else { continue };
        let used = domain.cpu_used.unwrap_or_default();
        let from = std::mem::replace(&mut domain.host, one.to.clone());
        if let Some(host) = after.hosts.get_mut(&from) {
            host.cpu_used =
                host.cpu_used.map(|all| MilliCores::new(all.get().saturating_sub(used.get())));
        }
        if let Some(host) = after.hosts.get_mut(&one.to) {
            host.cpu_used = host.cpu_used.map(|all| all + used);
        }
    }
    after.normalise();
    after
}

fn check_size(new: &NewHost) -> Result<(), ChangeError> {
    let none = |what| ChangeError::NoCapacity { host: new.name.clone(), what };
    if new.cpu == MilliCores::ZERO {
        return Err(none("cpu"));
    }
    if new.memory == Bytes::ZERO {
        return Err(none("memory"));
    }
    if new.bandwidth.is_some_and(|bandwidth| bandwidth.get() == 0) {
        return Err(none("bandwidth"));
    }
    Ok(())
}

/// An empty host that answers, with the oldest QEMU that the others run: what all can do.
fn fresh(snapshot: &Snapshot, cpu: MilliCores, memory: Bytes) -> Host {
    Host {
        state: HostState::Up,
        observed_at: snapshot.taken_at,
        cpu,
        memory,
        cpu_used: Some(MilliCores::ZERO),
        migration_bandwidth: None,
        qemu: snapshot.hosts.values().filter_map(|host| host.qemu).min(),
        tags: BTreeSet::new(),
        offers: whimbrel_core::cluster::Offers::default(),
    }
}

fn as_new(snapshot: &Snapshot, like: &Host) -> Host {
    let qemu = like.qemu;
    let migration_bandwidth = like.migration_bandwidth;
    Host { qemu, migration_bandwidth, ..fresh(snapshot, like.cpu, like.memory) }
}

/// The next of `like+1`, `like+2`, … after `number` that is free.
pub(super) fn free_name<T>(
    like: &str,
    number: &mut u64,
    free: impl Fn(&T) -> bool,
) -> Result<T, ChangeError>
where
    T: std::str::FromStr<Err = whimbrel_core::ids::NameError>,
{
    loop {
        *number += 1;
        let name = format!("{like}+{number}").parse::<T>()?;
        if free(&name) {
            return Ok(name);
        }
    }
}

fn known_host<'a>(snapshot: &'a Snapshot, host: &HostId) -> Result<&'a Host, ChangeError> {
    snapshot.hosts.get(host).ok_or_else(|| ChangeError::UnknownHost {
        host: host.clone(),
        known: listed(snapshot.hosts.keys()),
    })
}

fn in_service_left(changed: &Changed) -> Result<(), ChangeError> {
    let out = changed.out_of_service();
    let up = |(id, host): (&HostId, &Host)| host.state == HostState::Up && !out.contains(id);
    if out.is_empty() || changed.snapshot.hosts.iter().any(up) {
        return Ok(());
    }
    Err(ChangeError::NoHostLeft { leaving: listed(&out) })
}

/// The first names, separated by commas.
fn listed(names: impl IntoIterator<Item = impl std::fmt::Display>) -> String {
    let mut names = names.into_iter().map(|name| name.to_string());
    let mut first: Vec<String> = names.by_ref().take(KNOWN_MAX).collect();
    let more = names.count();
    if more > 0 {
        first.push(format!("and {more} more"));
    }
    first.join(", ")
}
