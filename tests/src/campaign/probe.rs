//! The hosts as the recorder reaches them, and what is asked of them before the first row.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use whimbrel::wiring::{self, Keep};
use whimbrel_core::{
    Cluster, HostId,
    cluster::DomainState,
    ids::{OrderId, VmId},
    ports::Order,
    settings::{MigrationSettings, QemuVersion},
    units::{BytesPerSecond, Share, Span},
};
use whimbrel_lab::{GuestSpec, Lab, Load};

use super::{
    error::CampaignError,
    flight::{Flight, Look, draft},
    ledger::Ledger,
    recorder::stopped,
};
use crate::lab_cluster;

/// Part of the time that a guest is under measurement: every window is read within 20 s.
const DUTY: f64 = 0.8;

/// The guest that measures the link, and how often it does.
const PROBE: &str = "probe";
const PROBE_MIB: u32 = 256;
const PROBES: usize = 5;

/// Longest wait for the probe to be seen, and for each of its migrations.
const PATIENCE: Duration = Duration::from_mins(1);

/// The hosts.
pub struct World {
    /// The port through which everything is asked of them.
    pub cluster: Box<dyn Cluster>,
}

impl World {
    /// Connects to the hosts of `lab`. The connection's own files go below `directory` and are
    /// removed again.
    ///
    /// # Errors
    /// [`CampaignError::Setup`].
    pub fn open(lab: &Lab, directory: &Path) -> Result<Self, CampaignError> {
        let scratch = directory.join("unused-state");
        let mut config = lab_cluster::configure(lab, &scratch)?;
        config.collect.dirty_duty = Share::clamped(DUTY);
        // Not the campaign's own: what an earlier run measured is of guests that are gone.
        config.collect.telemetry_directory = scratch.join("none");
        let cluster = wiring::cluster(&config, Keep::Nothing)?;
        // Best effort: a directory that stays is overwritten by the next run.
        let _ = std::fs::remove_dir_all(&scratch);
        Ok(Self { cluster: Box::new(cluster) })
    }

    /// The QEMU of the lab's hosts, which share one machine.
    pub fn qemu(lab: &Lab) -> Option<QemuVersion> {
        let said = lab.virsh(&lab.host_names().into_iter().next()?, &["version"]).ok()?;
        let line = said.lines().find_map(|line| line.strip_prefix("Running hypervisor: QEMU "))?;
        let mut numbers = line.trim().split('.').map(str::parse);
        Some(QemuVersion::new(numbers.next()?.ok()?, numbers.next()?.ok()?))
    }

    /// What a link without a limit carries, as `ledger` knows it or as it is measured for it.
    ///
    /// # Errors
    /// [`CampaignError`] when it cannot be measured or kept.
    pub fn unshaped_path(
        &mut self,
        lab: &Lab,
        ledger: &mut Ledger,
        say: &mut dyn FnMut(&str),
    ) -> Result<BytesPerSecond, CampaignError> {
        if let Some(known) = ledger.path_bandwidth() {
            return Ok(known);
        }
        let measured = self.measure_path(lab, say)?;
        ledger.set_path_bandwidth(measured)?;
        Ok(measured)
    }

    /// What a link without a limit carries: the median of some migrations of a still guest.
    ///
    /// # Errors
    /// [`CampaignError::Link`] when the guest does not migrate.
    fn measure_path(
        &mut self,
        lab: &Lab,
        say: &mut dyn FnMut(&str),
    ) -> Result<BytesPerSecond, CampaignError> {
        let load = Load { zero_percent: Some(0), rate_kib_per_second: Some(0), ..Load::default() };
        let spec = GuestSpec { memory_mib: PROBE_MIB, load, ..GuestSpec::mini(PROBE) };
        lab.start_guest("h2", &spec)?;
        let mut measured = Vec::new();
        for number in 0..PROBES {
            let (from, to) = if number % 2 == 0 { ("h2", "h3") } else { ("h3", "h2") };
            measured.push(self.probe(from, to, number)?);
        }
        stopped(lab, PROBE)?;
        measured.sort_unstable();
        let median = measured.get(PROBES / 2).copied().unwrap_or_default();
        say(&format!("a link without a limit carries {}", median.human()));
        Ok(median)
    }

    fn probe(
        &mut self,
        from: &str,
        to: &str,
        number: usize,
    ) -> Result<BytesPerSecond, CampaignError> {
        let vm = VmId::new(PROBE)?;
        let failed = |message: &str| CampaignError::Link { message: message.to_owned() };
        let until = Instant::now() + PATIENCE;
        let domain = loop {
            let snapshot = self.cluster.observe();
            let runs = snapshot
                .sightings(&vm)
                .find(|d| d.host.as_str() == from && d.state == DomainState::Running);
            if let Some(domain) = runs {
                break domain.clone();
            }
            if Instant::now() > until {
                return Err(failed("its guest is not seen"));
            }
            thread::sleep(Duration::from_millis(100));
        };
        let order = Order {
            id: OrderId::new(&format!("{PROBE}-{number}"))?,
            vm,
            uuid: domain.uuid.clone(),
            from: domain.host.clone(),
            to: HostId::new(to)?,
            settings: MigrationSettings::default(),
            deadline: self.cluster.now() + Span::from(PATIENCE),
        };
        let record = draft(&order, &domain, domain.observed_at);
        let limit = Span::from(PATIENCE);
        let mut flight = Flight::begin(self.cluster.as_mut(), order, record, limit)
            .map_err(|refusal| failed(&refusal.to_string()))?;
        loop {
            thread::sleep(Duration::from_millis(100));
            match flight.look(&self.cluster.observe()) {
                Look::UnderWay => {}
                Look::Ended(record, _) => {
                    let stats = record.stats.ok_or_else(|| failed("QEMU kept no figures"))?;
                    let sent = stats.total_time.saturating_sub(stats.setup_time);
                    let seconds = sent.as_seconds_f64().max(0.001);
                    let rate = stats.transferred.as_f64() / seconds;
                    return Ok(BytesPerSecond::new(rate as u64));
                }
                Look::Overdue => return Err(failed("its guest does not arrive")),
                Look::Refused(reason) | Look::Lost(reason) => return Err(failed(&reason)),
            }
        }
    }
}
