//! One domain on one host: what a reading makes of what was known of it.
//!
//! Pure. A domain keeps a figure that one reading lacks (a busy domain gives no balloon figures),
//! but never a counter: a gap stays a gap.

use whimbrel_core::{
    Domain, DomainState, HostId, VmId,
    telemetry::DomainSample,
    units::{Bytes, Span, Timestamp},
};

use crate::{
    Depth, DomainReading,
    jobs::JobLook,
    stats::{DomainStats, cpu_rate},
};

/// Where and when a reading was taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken<'a> {
    pub(crate) host: &'a HostId,
    pub(crate) at: Timestamp,
    pub(crate) depth: Depth,
    /// Counters further apart than this give no rate.
    pub(crate) gap_max: Span,
}

/// A domain as last seen on its host.
#[derive(Debug)]
pub(crate) struct Sighting {
    pub(crate) domain: Domain,
    memory_max: Bytes,
    cpu_time: Option<(Timestamp, Span)>,
    /// Whether its vCPUs were ever seen running on this host.
    ran_here: bool,
}

impl Sighting {
    /// The sighting after `reading`; `known` is the same machine before it.
    ///
    /// # Errors
    /// Why the domain cannot be shown, for people.
    pub(crate) fn of(
        vm: &VmId,
        reading: &DomainReading,
        known: Option<&Self>,
        taken: Taken<'_>,
    ) -> Result<Self, &'static str> {
        let status = reading.status.ok_or("the host gave no state for it")?;
        let ran_before = known.is_some_and(|known| known.ran_here);
        let state = status.resolve(reading.job, ran_before);
        let was = known.map(|known| &known.domain);
        let stats = &reading.stats;
        let sizes =
            stats.vcpus.or(was.map(|w| w.vcpus)).zip(stats.memory.or(was.map(|w| w.memory)));
        let (vcpus, memory) = sizes.ok_or("the host gave no size for it")?;
        let cpu_before = known.and_then(|known| known.cpu_time);
        let (cpu_time, cpu_used) = match taken.depth {
            Depth::Jobs => (cpu_before, was.and_then(|was| was.cpu_used)),
            Depth::Full => {
                let now = stats.cpu_time.map(|time| (taken.at, time));
                (now, now.and_then(|now| cpu_rate(cpu_before, now, taken.gap_max)))
            }
        };
        let domain = Domain {
            vm: vm.clone(),
            uuid: reading.uuid.clone(),
            host: taken.host.clone(),
            state,
            observed_at: taken.at,
            vcpus,
            memory,
            resident: stats.resident.or(was.and_then(|was| was.resident)),
            cpu_used,
            dirty: Vec::new(),
            job: match reading.job {
                JobLook::Migrating(progress) => Some(progress),
                JobLook::Unknown | JobLook::Idle | JobLook::AtTarget => None,
            },
            tags: std::collections::BTreeSet::new(),
            needs: whimbrel_core::cluster::Needs::default(),
        };
        let memory_max = stats.memory_max.or(known.map(|known| known.memory_max)).unwrap_or(memory);
        let ran_here = ran_before || state == DomainState::Running;
        Ok(Self { domain, memory_max, cpu_time, ran_here })
    }

    /// Whether its host counts its CPU time.
    pub(crate) fn counts_cpu(&self) -> bool {
        self.cpu_time.is_some()
    }

    /// Its row of telemetry; `stats` are those of the reading.
    pub(crate) fn sample(&self, stats: &DomainStats) -> DomainSample {
        let domain = &self.domain;
        DomainSample {
            at: domain.observed_at,
            host: domain.host.clone(),
            vm: domain.vm.clone(),
            uuid: domain.uuid.clone(),
            state: domain.state,
            vcpus: domain.vcpus,
            memory_max: self.memory_max,
            memory: domain.memory,
            resident: stats.resident,
            cpu_time: stats.cpu_time,
            cpu_used: domain.cpu_used,
            block_read: stats.block_read,
            block_written: stats.block_written,
            net_received: stats.net_received,
            net_sent: stats.net_sent,
        }
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::units::MilliCores;

    use super::*;
    use crate::stats::Status;

    fn reading(cpu_seconds: Option<u64>) -> DomainReading {
        DomainReading {
            name: "k1".to_owned(),
            uuid: "u".to_owned(),
            status: Some(Status { state: 1, reason: 1 }),
            stats: DomainStats {
                vcpus: Some(1),
                memory: Some(Bytes::mib(48)),
                resident: Some(Bytes::mib(70)),
                cpu_time: cpu_seconds.map(Span::from_seconds),
                ..DomainStats::default()
            },
            job: JobLook::Idle,
        }
    }

    /// What readings, each with its second and depth, make of the domain.
    fn see(readings: &[(u64, Depth, DomainReading)]) -> Sighting {
        let vm = VmId::new("k1").unwrap();
        let host = HostId::new("h1").unwrap();
        let mut known = None;
        for (second, depth, reading) in readings {
            let at = Timestamp::from_micros(0) + Span::from_seconds(*second);
            let taken = Taken { host: &host, at, depth: *depth, gap_max: Span::from_seconds(6) };
            known = Some(Sighting::of(&vm, reading, known.as_ref(), taken).unwrap());
        }
        known.unwrap()
    }

    #[test]
    fn rates_come_from_two_full_readings() {
        let full = |second, cpu| (second, Depth::Full, reading(Some(cpu)));
        let rate = |readings: &[_]| see(readings).domain.cpu_used;
        assert_eq!(rate(&[full(0, 10)]), None, "one reading");
        assert_eq!(rate(&[full(0, 10), full(2, 11)]), Some(MilliCores::new(500)));
        assert_eq!(rate(&[full(0, 10), full(2, 3)]), None, "QEMU was restarted");
        assert_eq!(rate(&[full(0, 10), full(2, 3), full(4, 5)]), Some(MilliCores::cores(1)));
        assert_eq!(rate(&[full(0, 10), full(60, 70)]), None, "a gap stays a gap");
        let busy = (2, Depth::Full, reading(None));
        assert_eq!(rate(&[full(0, 10), busy.clone(), full(4, 14)]), None, "a counter is not kept");
        let look = (3, Depth::Jobs, reading(None));
        let looked = see(&[full(0, 10), full(2, 12), look, full(4, 14)]);
        assert_eq!(looked.domain.cpu_used, Some(MilliCores::cores(1)), "a look costs no counter");
    }

    #[test]
    fn a_figure_is_kept_while_the_domain_is_busy() {
        let mut busy = reading(None);
        busy.stats = DomainStats::default();
        let seen = see(&[(0, Depth::Full, reading(Some(1))), (2, Depth::Full, busy.clone())]);
        assert_eq!(seen.domain.memory, Bytes::mib(48));
        assert_eq!(seen.domain.resident, Some(Bytes::mib(70)));
        assert_eq!(seen.sample(&busy.stats).resident, None, "telemetry has readings only");
    }

    #[test]
    fn a_paused_source_is_outgoing_because_it_ran_here() {
        let mut paused = reading(None);
        paused.status = Some(Status { state: 3, reason: 2 });
        paused.job = JobLook::Unknown;
        let fresh = see(&[(0, Depth::Full, paused.clone())]);
        assert_eq!(fresh.domain.state, DomainState::Incoming);
        let ran = see(&[(0, Depth::Full, reading(None)), (1, Depth::Jobs, paused)]);
        assert_eq!(ran.domain.state, DomainState::Outgoing);
    }
}
