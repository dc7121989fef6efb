//! What is known of one host: its last readings, and what follows from two of them.
//!
//! Pure: readings come in with their moment, parts of snapshots and rows of telemetry go out.

use std::collections::BTreeMap;

use whimbrel_core::{
    Domain, DomainState, Host, HostId, HostState, VmId,
    cluster::CompletedStats,
    telemetry::{Batch, HostSample, JobSample},
    units::{Bytes, MilliCores, Span, Timestamp},
};

use crate::{
    Depth, DomainReading, HostReading, HostTarget, NodeFacts,
    bandwidth::LinkMeter,
    jobs::JobLook,
    sighting::{Sighting, Taken},
    stats::{DirtyStatus, cpu_rate},
};

/// How the collection of one host goes, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostHealth {
    /// The host.
    pub host: HostId,
    /// Whether it answers.
    pub state: HostState,
    /// When it last answered; `None` if it never did.
    pub observed_at: Option<Timestamp>,
    /// How long its last full reading took.
    pub answered_in: Option<Span>,
    /// What went wrong last, while nothing has worked since.
    pub error: Option<String>,
    /// Sightings in its last reading.
    pub domains: usize,
    /// Domains that it reports and no snapshot shows.
    pub skipped: Vec<SkippedDomain>,
}

/// A domain that cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedDomain {
    /// Its name on the host.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What is known of one host.
#[derive(Debug)]
pub(crate) struct HostRecord {
    target: HostTarget,
    facts: NodeFacts,
    answered_at: Option<Timestamp>,
    answered_in: Option<Span>,
    /// When a row of telemetry last told of it.
    sampled_at: Option<Timestamp>,
    error: Option<String>,
    cpu_busy: Option<(Timestamp, Span)>,
    cpu_used: Option<MilliCores>,
    domains: BTreeMap<VmId, Sighting>,
    skipped: Vec<SkippedDomain>,
    meter: LinkMeter,
}

/// What a posted reading gave.
#[derive(Debug, Default)]
pub(crate) struct Posted {
    /// Rows of telemetry.
    pub(crate) batch: Batch,
    /// Whether a domain appeared that only a full reading can show.
    pub(crate) stranger: bool,
    /// Running domains without a migration, with their UUIDs: these may be measured.
    pub(crate) measurable: Vec<(VmId, String)>,
    /// What the host says about dirty-rate measurements.
    pub(crate) dirty: Vec<(VmId, DirtyStatus)>,
}

impl HostRecord {
    pub(crate) fn new(target: HostTarget) -> Self {
        Self {
            target,
            facts: NodeFacts::default(),
            answered_at: None,
            answered_in: None,
            sampled_at: None,
            error: None,
            cpu_busy: None,
            cpu_used: None,
            domains: BTreeMap::new(),
            skipped: Vec::new(),
            meter: LinkMeter::default(),
        }
    }

    /// Takes a reading that arrived `at` after `took`; counters further apart than `gap_max` give
    /// no rate.
    pub(crate) fn post(
        &mut self,
        reading: HostReading,
        depth: Depth,
        at: Timestamp,
        took: Span,
        gap_max: Span,
    ) -> Posted {
        self.answered_at = Some(at);
        self.error = None;
        let mut posted = Posted::default();
        if depth == Depth::Full {
            self.answered_in = Some(took);
            let sample = self.post_node(&reading, at, took, gap_max);
            posted.batch.hosts.push(sample);
            self.skipped.clear();
        }
        let mut before = std::mem::take(&mut self.domains);
        let mut sent = BTreeMap::new();
        let host = self.target.id.clone();
        let taken = Taken { host: &host, at, depth, gap_max };
        for domain in reading.domains {
            let Some((vm, sighting)) = self.sight(&domain, &mut before, taken) else {
                let known = self.skipped.iter().any(|skipped| skipped.name == domain.name);
                posted.stranger |= !known;
                continue;
            };
            if let JobLook::Migrating(progress) = domain.job
                && progress.total > Bytes::ZERO
            {
                sent.insert(vm.clone(), progress.transferred);
                let row = JobSample { at, host: host.clone(), vm: vm.clone(), progress };
                posted.batch.jobs.push(row);
            }
            if depth == Depth::Full {
                posted.add(&sighting, &domain);
            }
            self.domains.insert(vm, sighting);
        }
        self.meter.look(at, sent);
        posted
    }

    fn post_node(
        &mut self,
        reading: &HostReading,
        at: Timestamp,
        took: Span,
        gap_max: Span,
    ) -> HostSample {
        self.facts = reading.facts.unwrap_or(self.facts);
        let busy = reading.cpu_busy.map(|busy| (at, busy));
        self.cpu_used = busy.and_then(|now| cpu_rate(self.cpu_busy, now, gap_max));
        self.cpu_busy = busy;
        self.sampled_at = Some(at);
        HostSample {
            at,
            host: self.target.id.clone(),
            state: self.state(at, gap_max),
            cpu_busy: reading.cpu_busy,
            cpu_used: self.cpu_used,
            memory_total: reading.memory_total,
            memory_free: reading.memory_free,
            answered_in: Some(took),
        }
    }

    /// The sighting that `reading` makes of what was known before; `None` when it cannot be shown,
    /// and then a full reading says why in `skipped`.
    fn sight(
        &mut self,
        reading: &DomainReading,
        before: &mut BTreeMap<VmId, Sighting>,
        taken: Taken<'_>,
    ) -> Option<(VmId, Sighting)> {
        let sighted = VmId::new(&reading.name).map_err(|error| error.to_string()).and_then(|vm| {
            let known = before.remove(&vm).filter(|known| known.domain.uuid == reading.uuid);
            let sighting = Sighting::of(&vm, reading, known.as_ref(), taken)?;
            Ok((vm, sighting))
        });
        match sighted {
            Ok(sighted) => Some(sighted),
            Err(reason) => {
                if taken.depth == Depth::Full {
                    self.skipped.push(SkippedDomain { name: reading.name.clone(), reason });
                }
                None
            }
        }
    }

    /// Notes that the host did not answer.
    pub(crate) fn fail(&mut self, error: String, at: Timestamp) -> Batch {
        self.error = Some(error);
        self.cpu_used = None;
        Batch { hosts: vec![self.absence(at)], ..Batch::default() }
    }

    /// A row for a host that has said nothing, and of which nothing was said, for `silent_after`.
    pub(crate) fn silence(&mut self, now: Timestamp, silent_after: Span) -> Option<HostSample> {
        let silent = self.sampled_at.is_none_or(|at| now.since(at) > silent_after)
            && self.state(now, silent_after) == HostState::Unreachable;
        silent.then(|| self.absence(now))
    }

    fn absence(&mut self, at: Timestamp) -> HostSample {
        self.sampled_at = Some(at);
        HostSample {
            at,
            host: self.target.id.clone(),
            state: HostState::Unreachable,
            cpu_busy: None,
            cpu_used: None,
            memory_total: None,
            memory_free: None,
            answered_in: None,
        }
    }

    /// Which migrations are held back by a limit of their own.
    pub(crate) fn capped(&mut self, vms: &[VmId]) {
        self.meter.capped(vms);
    }

    /// Takes the figures of a migration that left this host and ended.
    pub(crate) fn completed(&mut self, stats: &CompletedStats, at: Timestamp) {
        self.meter.observe(at, stats.bandwidth);
    }

    fn state(&self, now: Timestamp, silent_after: Span) -> HostState {
        match self.answered_at {
            Some(at) if self.error.is_none() && now.since(at) <= silent_after => {
                if self.target.maintenance { HostState::Maintenance } else { HostState::Up }
            }
            _ => HostState::Unreachable,
        }
    }

    /// The host and its sightings as of `now`, without dirty readings.
    pub(crate) fn snapshot(
        &self,
        now: Timestamp,
        silent_after: Span,
    ) -> (HostId, Host, impl Iterator<Item = Domain>) {
        let host = Host {
            state: self.state(now, silent_after),
            observed_at: self.answered_at.unwrap_or_default(),
            cpu: self.target.cpu.unwrap_or(self.facts.cpu),
            memory: self.target.memory.unwrap_or(self.facts.memory),
            cpu_used: if self.target.cpu.is_some() { self.domains_cpu() } else { self.cpu_used },
            migration_bandwidth: self.meter.median(now),
            qemu: self.facts.qemu,
            tags: std::collections::BTreeSet::new(),
            offers: whimbrel_core::cluster::Offers::default(),
        };
        let domains = self.domains.values().map(|sighting| sighting.domain.clone());
        (self.target.id.clone(), host, domains)
    }

    /// CPU of all domains; `None` as long as one that uses CPU has no rate.
    fn domains_cpu(&self) -> Option<MilliCores> {
        self.answered_at?;
        let counting = self.domains.values().filter(|sighting| sighting.counts_cpu());
        counting.map(|sighting| sighting.domain.cpu_used).sum()
    }

    pub(crate) fn health(&self, now: Timestamp, silent_after: Span) -> HostHealth {
        let state = self.state(now, silent_after);
        let silent = || "a call to it has not returned".to_owned();
        let error = match state {
            HostState::Unreachable => Some(self.error.clone().unwrap_or_else(silent)),
            HostState::Up | HostState::Maintenance => None,
        };
        HostHealth {
            host: self.target.id.clone(),
            state,
            observed_at: self.answered_at,
            answered_in: self.answered_in,
            error,
            domains: self.domains.len(),
            skipped: self.skipped.clone(),
        }
    }
}

impl Posted {
    fn add(&mut self, sighting: &Sighting, reading: &DomainReading) {
        let domain = &sighting.domain;
        if domain.state == DomainState::Running && reading.job == JobLook::Idle {
            self.measurable.push((domain.vm.clone(), domain.uuid.clone()));
        }
        if let Some(status) = reading.stats.dirty {
            self.dirty.push((domain.vm.clone(), status));
        }
        self.batch.domains.push(sighting.sample(&reading.stats));
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::settings::QemuVersion;

    use super::*;
    use crate::stats::{DomainStats, Status};

    fn target(cpu: Option<MilliCores>) -> HostTarget {
        HostTarget {
            id: HostId::new("h1").unwrap(),
            uri: "test:///default".to_owned(),
            memory: None,
            cpu,
            maintenance: false,
        }
    }

    fn at(second: u64) -> Timestamp {
        Timestamp::from_micros(0) + Span::from_seconds(1000 + second)
    }

    fn domain(name: &str, cpu_seconds: u64) -> DomainReading {
        DomainReading {
            name: name.to_owned(),
            uuid: format!("uuid of {name}"),
            status: Some(Status { state: 1, reason: 1 }),
            stats: DomainStats {
                vcpus: Some(2),
                memory: Some(Bytes::mib(64)),
                cpu_time: Some(Span::from_seconds(cpu_seconds)),
                ..DomainStats::default()
            },
            job: JobLook::Idle,
        }
    }

    const GAP: Span = Span::from_seconds(6);
    const SILENT: Span = Span::from_seconds(10);

    fn post(record: &mut HostRecord, depth: Depth, second: u64, names: &[&str]) -> Posted {
        let reading = HostReading {
            facts: Some(NodeFacts {
                cpu: MilliCores::cores(8),
                memory: Bytes::mib(4096),
                qemu: Some(QemuVersion::new(10, 0)),
            }),
            cpu_busy: Some(Span::from_seconds(10 * second)),
            domains: names.iter().map(|name| domain(name, second)).collect(),
            ..HostReading::default()
        };
        record.post(reading, depth, at(second), Span::ZERO, GAP)
    }

    #[test]
    fn capacity_of_a_part_counts_its_own_domains() {
        let mut whole = HostRecord::new(target(None));
        let mut part = HostRecord::new(target(Some(MilliCores::cores(2))));
        for record in [&mut whole, &mut part] {
            post(record, Depth::Full, 0, &["a", "b"]);
            post(record, Depth::Full, 2, &["a", "b"]);
        }
        let (_, host, domains) = whole.snapshot(at(2), SILENT);
        assert_eq!((host.cpu, host.qemu), (MilliCores::cores(8), Some(QemuVersion::new(10, 0))));
        assert_eq!(host.cpu_used, Some(MilliCores::cores(10)));
        assert_eq!(domains.count(), 2);
        let (_, host, _) = part.snapshot(at(2), SILENT);
        assert_eq!(host.cpu, MilliCores::cores(2));
        assert_eq!(host.cpu_used, Some(MilliCores::cores(2)), "two domains with one core each");
    }

    #[test]
    fn silence_and_failure_are_unreachable_with_the_old_readings() {
        let mut record = HostRecord::new(target(None));
        assert_eq!(record.health(at(0), SILENT).observed_at, None);
        post(&mut record, Depth::Full, 0, &["a"]);
        assert_eq!(record.health(at(9), SILENT).state, HostState::Up);
        assert!(record.silence(at(9), SILENT).is_none());
        let (_, host, domains) = record.snapshot(at(11), SILENT);
        assert_eq!((host.state, host.observed_at), (HostState::Unreachable, at(0)));
        assert_eq!(domains.map(|d| d.observed_at).collect::<Vec<_>>(), [at(0)]);
        assert!(record.silence(at(11), SILENT).is_some(), "the gap is the fact");
        assert!(record.silence(at(12), SILENT).is_none(), "and is stated once a silence");
        post(&mut record, Depth::Jobs, 13, &["a"]);
        assert_eq!(record.health(at(13), SILENT).state, HostState::Up);
        let batch = record.fail("cut".to_owned(), at(14));
        assert_eq!(batch.hosts.len(), 1);
        let health = record.health(at(14), SILENT);
        assert_eq!((health.state, health.error.as_deref()), (HostState::Unreachable, Some("cut")));
    }

    #[test]
    fn a_quick_look_sees_arrivals_departures_and_strangers() {
        let mut record = HostRecord::new(target(None));
        post(&mut record, Depth::Full, 0, &["a", "b", "not a name"]);
        let health = record.health(at(0), SILENT);
        assert_eq!((health.domains, health.skipped.len()), (2, 1));
        let look = HostReading {
            domains: ["a", "not a name"]
                .map(|name| DomainReading { stats: DomainStats::default(), ..domain(name, 0) })
                .to_vec(),
            ..HostReading::default()
        };
        let posted = record.post(look.clone(), Depth::Jobs, at(1), Span::ZERO, GAP);
        assert!(!posted.stranger, "one that cannot be shown is no news");
        assert_eq!(record.health(at(1), SILENT).domains, 1, "b left");
        let mut look = look;
        look.domains.push(DomainReading { stats: DomainStats::default(), ..domain("c", 0) });
        assert!(record.post(look, Depth::Jobs, at(2), Span::ZERO, GAP).stranger);
    }
}
