//! The question that was open before a recorded migration began.
//!
//! Uses what a record knew at its start, never how it ended.

use whimbrel_core::{
    cluster::{Domain, DomainState},
    predict::MigrationRequest,
    telemetry::{MigrationRecord, MigrationTrace},
    units::BytesPerSecond,
};

use crate::quantile::median;

/// What a path is assumed to carry beyond the cap of a stream where nobody recorded it: enough
/// that the cap decides before the switch-over.
const PATH_OVER_CAP: f64 = 3.0;

/// The path of an uncapped stream where nothing at all is known: one gigabit a second with the
/// usual overhead of Ethernet, IP and TCP.
const GIGABIT_PAYLOAD: BytesPerSecond = BytesPerSecond::new(117_000_000);

/// What paths carry that records do not name.
///
/// A record's own figure wins. Without one, it is the median that uncapped past migrations achieved
/// alone; of a capped stream, three times its cap for every migration that shares the path, if that
/// is more. Where no uncapped stream was seen, an uncapped one is taken to have one gigabit a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathGuess {
    open: Option<BytesPerSecond>,
}

impl PathGuess {
    /// Learns from `past`.
    pub fn learn<'a>(past: impl IntoIterator<Item = &'a MigrationTrace>) -> Self {
        let achieved: Vec<f64> = past
            .into_iter()
            .map(|trace| &trace.record)
            .filter(|r| r.arrived && r.settings.bandwidth_limit.is_none() && r.sharing <= 1)
            .filter_map(|r| Some(r.stats?.bandwidth.as_f64()))
            .filter(|rate| *rate > 0.0)
            .collect();
        Self { open: median(&achieved).map(|rate| BytesPerSecond::new(rate.round() as u64)) }
    }

    /// What the path of `record` carries when nobody else uses it.
    pub fn of(self, record: &MigrationRecord) -> BytesPerSecond {
        let sharing = f64::from(record.sharing.max(1));
        let known = record.path_bandwidth.filter(|rate| *rate > BytesPerSecond::ZERO);
        known.unwrap_or_else(|| match record.settings.bandwidth_limit {
            Some(cap) => {
                let over = (cap.as_f64() * PATH_OVER_CAP * sharing).round() as u64;
                BytesPerSecond::new(over).max(self.open.unwrap_or(BytesPerSecond::ZERO))
            }
            None => self.open.unwrap_or(GIGABIT_PAYLOAD),
        })
    }

    /// The request for `record`; `domain` is from [`domain_before`].
    pub(crate) fn request<'a>(
        self,
        record: &'a MigrationRecord,
        domain: &'a Domain,
        seed: u64,
    ) -> MigrationRequest<'a> {
        MigrationRequest {
            to: Some(&record.to),
            domain,
            settings: &record.settings,
            path_bandwidth: self.of(record),
            sharing: record.sharing.max(1),
            qemu: record.qemu.unwrap_or_default(),
            now: record.at,
            seed,
        }
    }
}

/// The domain as it was known before `record`'s migration. Records do not keep vCPUs: it has one.
pub fn domain_before(record: &MigrationRecord) -> Domain {
    Domain {
        vm: record.vm.clone(),
        uuid: String::new(),
        host: record.from.clone(),
        state: DomainState::Running,
        observed_at: record.at,
        vcpus: 1,
        memory: record.memory,
        resident: record.resident,
        cpu_used: record.cpu_used,
        dirty: record.dirty_before.clone(),
        job: None,
        tags: std::collections::BTreeSet::new(),
        needs: whimbrel_core::cluster::Needs::default(),
    }
}
