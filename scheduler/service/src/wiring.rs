//! The composition root: the only place where concrete adapters meet ports.

use std::{collections::BTreeMap, time::SystemTime};

use whimbrel_collector::{Collector, HostTarget};
use whimbrel_core::{HostId, Policy, ports::TelemetrySink};
use whimbrel_datasets::TelemetryStore;
use whimbrel_engine::EngineSettings;

use crate::{
    Failure,
    adapters::{
        libvirt_call::HostLink, libvirt_cluster::LibvirtCluster, sqlite_journal::SqliteJournal,
    },
    config::Config,
    scene,
};

/// The journal's file in the state directory.
const JOURNAL_FILE: &str = "journal.sqlite";

/// Real hosts, being read from now on. Telemetry is kept when `keep` says so.
///
/// # Errors
/// [`Failure`] when the configuration cannot work; a host that does not answer is no error.
pub fn cluster(config: &Config, keep: Keep) -> Result<LibvirtCluster, Failure> {
    let settings = config.collect.settings()?;
    let connection = settings.connection;
    let collector = Collector::new(targets(config), settings).map_err(Failure::invalid)?;
    let collector = collector.with_told(config.told());
    let sink = match keep {
        Keep::Nothing => None,
        Keep::Telemetry => {
            let store = TelemetryStore::create(&config.collect.telemetry_directory)
                .map_err(Failure::unavailable)?;
            Some(Box::new(store) as Box<dyn TelemetrySink + Send>)
        }
    };
    let kept = match keep {
        // A process that measures for a moment only knows what another one measured before.
        Keep::Nothing => {
            scene::kept(&config.collect.telemetry_directory, SystemTime::now().into())?
        }
        Keep::Telemetry => None,
    };
    Ok(LibvirtCluster::new(collector, links(config), connection, sink).with_kept(kept))
}

/// Whether telemetry is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It is used and forgotten.
    Nothing,
    /// It goes into the configured directory.
    Telemetry,
}

/// The journal of this configuration.
///
/// # Errors
/// [`Failure`] when it is damaged, or open in another process.
pub fn journal(config: &Config) -> Result<SqliteJournal, Failure> {
    SqliteJournal::open(&config.state_directory.join(JOURNAL_FILE)).map_err(Failure::conflict)
}

/// The engine's patience for this configuration and policy.
///
/// # Errors
/// [`Failure`] when the configuration cannot work.
pub fn engine_settings(config: &Config, policy: &Policy) -> Result<EngineSettings, Failure> {
    let default = EngineSettings::default();
    Ok(EngineSettings {
        freshness: default.freshness.max(config.collect.settings()?.silent_after),
        memory_reserve: policy.limits.memory_reserve,
        cpu_overcommit: Some(policy.limits.cpu_overcommit),
        ..default
    })
}

/// The daemon of this configuration, at work.
///
/// # Errors
/// [`Failure`] when the configuration cannot work, or the journal is damaged or open elsewhere.
#[cfg(feature = "serve")]
pub fn daemon(config: &Config, policy: Policy) -> Result<crate::daemon::Daemon, Failure> {
    // The journal first: it says whether another process acts on these hosts.
    let journal = journal(config)?;
    crate::daemon::Daemon::start(crate::daemon::Parts {
        world: cluster(config, Keep::Telemetry)?,
        journal,
        settings: engine_settings(config, &policy)?,
        policy,
        pace: crate::daemon::Pace::default(),
        telemetry: config.collect.telemetry_directory.clone(),
        model: config.model.clone(),
    })
}

#[cfg(feature = "serve")]
impl crate::daemon::World for LibvirtCluster {
    fn adopt(&mut self, order: &whimbrel_core::ports::Order) {
        LibvirtCluster::adopt(self, order);
    }
}

fn targets(config: &Config) -> Vec<HostTarget> {
    config
        .hosts
        .iter()
        .map(|host| HostTarget {
            id: host.name.clone(),
            uri: host.uri.clone(),
            memory: host.memory,
            cpu: host.cpu,
            maintenance: host.maintenance,
        })
        .collect()
}

fn links(config: &Config) -> BTreeMap<HostId, HostLink> {
    config
        .hosts
        .iter()
        .map(|host| {
            let migration_uri = host.migration_uri.clone().unwrap_or_else(|| host.uri.clone());
            (host.name.clone(), HostLink { uri: host.uri.clone(), migration_uri })
        })
        .collect()
}
