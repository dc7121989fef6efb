//! Where a question's situation comes from: live hosts, a snapshot file or recorded telemetry.

use std::path::{Path, PathBuf};

use whimbrel_core::{
    Policy, Snapshot,
    telemetry::{DirtySample, MigrationRecord},
    units::{Span, Timestamp},
};
use whimbrel_datasets::{SnapshotSource, TelemetryReader};
use whimbrel_simulator::Replay;

use super::Common;
use crate::{
    Failure,
    advice::{Advisor, Situation},
    config::Config,
    files,
};

/// Where to look.
#[derive(Debug, clap::Args)]
pub(super) struct SourceArguments {
    /// Look at a snapshot file instead of the live hosts
    #[arg(long, value_name = "FILE", conflicts_with = "telemetry")]
    snapshot: Option<PathBuf>,
    /// Look at recorded telemetry instead of the live hosts
    #[arg(long, value_name = "DIRECTORY")]
    telemetry: Option<PathBuf>,
    /// The moment of the recording to look at; its last one by default
    #[arg(long, value_name = "TIME", requires = "telemetry")]
    at: Option<Timestamp>,
    /// Longest time that live hosts are watched for dirty-rate readings before an answer
    #[arg(long, value_name = "SPAN", default_value = "25 s")]
    watch: Span,
}

/// A situation and who can answer questions about it.
pub(super) struct Scene {
    pub(super) situation: Situation,
    pub(super) advisor: Advisor,
    pub(super) history: Vec<MigrationRecord>,
}

impl SourceArguments {
    /// Looks.
    pub(super) fn scene(&self, common: &Common) -> Result<Scene, Failure> {
        self.scene_at(common, None)
    }

    /// Looks; at `moment` of a recording, unless another was asked for.
    pub(super) fn scene_at(
        &self,
        common: &Common,
        moment: Option<Timestamp>,
    ) -> Result<Scene, Failure> {
        if let Some(path) = &self.snapshot {
            let snapshot = files::read_snapshot(path)?;
            let now = snapshot.taken_at;
            let situation = Situation { snapshot, now, replay: None };
            return Ok(Scene::new(
                situation,
                files::read_policy(common.policy.as_deref())?,
                Vec::new(),
            ));
        }
        if let Some(directory) = &self.telemetry {
            let policy = files::read_policy(common.policy.as_deref())?;
            return recorded(directory, self.at.or(moment), policy);
        }
        let config = Config::load(&common.config, &common.set)?;
        let policy = policy(common, &config)?;
        live(&config, policy, self.watch)
    }
}

/// The policy: named on the command line, or by the configuration, or the defaults.
pub(super) fn policy(common: &Common, config: &Config) -> Result<Policy, Failure> {
    files::read_policy(common.policy.as_deref().or(config.policy.as_deref()))
}

impl Scene {
    fn new(situation: Situation, policy: Policy, history: Vec<MigrationRecord>) -> Self {
        Self { advisor: Advisor::new(policy, &history), situation, history }
    }
}

/// A moment of recorded telemetry. Only migrations that were over by then teach: nothing from the
/// moment's future may.
pub(super) fn recorded(
    directory: &Path,
    at: Option<Timestamp>,
    policy: Policy,
) -> Result<Scene, Failure> {
    let source = SnapshotSource::load(directory).map_err(Failure::invalid)?;
    let last = source.time_range().map(|(_, last)| last).ok_or_else(|| {
        Failure::invalid("holds no samples (hint: record some with whimbrel collect)")
            .about(directory.display())
    })?;
    let now = at.unwrap_or(last);
    let snapshot = source.at(now).map_err(Failure::invalid)?;
    let history = history(directory)?.into_iter().filter(|r| r.at + r.wall <= now).collect();
    let replay = Some(replay(&source, &snapshot));
    Ok(Scene::new(Situation { snapshot, now, replay }, policy, history))
}

fn history(directory: &Path) -> Result<Vec<MigrationRecord>, Failure> {
    TelemetryReader::open(directory)
        .and_then(|reader| reader.migrations())
        .map_err(Failure::invalid)
}

fn replay(source: &SnapshotSource, snapshot: &Snapshot) -> Replay {
    let mut replay = Replay::default();
    for domain in &snapshot.domains {
        replay.cpu.insert(domain.vm.clone(), source.load_series(&domain.vm));
        let samples = source.dirty_series(&domain.vm).into_iter().map(|reading| DirtySample {
            at: reading.measured_at,
            host: domain.host.clone(),
            vm: domain.vm.clone(),
            window: reading.window,
            unique: reading.unique,
        });
        replay.dirty.insert(domain.vm.clone(), samples.collect());
    }
    replay
}

#[cfg(feature = "libvirt")]
fn live(config: &Config, policy: Policy, watch: Span) -> Result<Scene, Failure> {
    use crate::wiring::{self, Keep};

    let mut cluster = wiring::cluster(config, Keep::Nothing)?;
    let kept = SnapshotSource::load(&config.collect.telemetry_directory).ok();
    let snapshot = super::watch::until_measured(&mut cluster, kept.as_ref(), watch);
    scene_of(snapshot, config, policy)
}

/// A live snapshot, with what was kept of the past to learn from and to replay.
#[cfg(feature = "libvirt")]
pub(super) fn scene_of(
    snapshot: Snapshot,
    config: &Config,
    policy: Policy,
) -> Result<Scene, Failure> {
    let directory = &config.collect.telemetry_directory;
    let now = snapshot.taken_at;
    let kept = directory.is_dir();
    let replay = kept
        .then(|| SnapshotSource::load(directory).map_err(Failure::invalid))
        .transpose()?
        .map(|source| replay(&source, &snapshot));
    let history = if kept { history(directory)? } else { Vec::new() };
    Ok(Scene::new(Situation { snapshot, now, replay }, policy, history))
}

#[cfg(not(feature = "libvirt"))]
fn live(_config: &Config, _policy: Policy, _watch: Span) -> Result<Scene, Failure> {
    Err(super::without_libvirt())
}
