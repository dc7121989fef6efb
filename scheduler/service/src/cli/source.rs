//! Where a question's situation comes from: live hosts, a snapshot file or recorded telemetry.

use std::path::PathBuf;

use whimbrel_core::{
    Outlook, Policy,
    units::{Span, Timestamp},
};

use super::Common;
#[cfg(feature = "libvirt")]
use crate::scene;
use crate::{Failure, advice::Situation, config::Config, files, scene::Scene};

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
    #[arg(long, value_name = "TIME", requires = "telemetry", conflicts_with = "snapshot")]
    at: Option<Timestamp>,
    /// Longest time that live hosts are watched for dirty-rate readings before an answer
    #[arg(long, value_name = "SPAN", default_value = "25 s")]
    watch: Span,
}

impl SourceArguments {
    /// The live hosts, watched for `watch` at most.
    pub(super) fn live(watch: Span) -> Self {
        Self { snapshot: None, telemetry: None, at: None, watch }
    }

    /// A snapshot file.
    pub(super) fn of_snapshot(path: PathBuf) -> Self {
        Self { snapshot: Some(path), ..Self::live(Span::ZERO) }
    }

    /// The option that names another source than live hosts, if one was given.
    #[cfg(feature = "serve")]
    pub(super) fn other_than_live(&self) -> Option<&'static str> {
        let given = [("--snapshot", &self.snapshot), ("--telemetry", &self.telemetry)];
        given.into_iter().find_map(|(name, path)| path.is_some().then_some(name))
    }

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
            let situation = Situation { snapshot, now, replay: None, outlook: Outlook::default() };
            let policy = files::read_policy(common.policy.as_deref())?;
            return Scene::new(situation, policy, &[], common.model.as_deref());
        }
        if let Some(directory) = &self.telemetry {
            let policy = files::read_policy(common.policy.as_deref())?;
            let model = common.model.as_deref();
            return Scene::recorded(directory, self.at.or(moment), policy, model);
        }
        let config = Config::load(&common.config, &common.set)?;
        let policy = policy(common, &config)?;
        live(common, &config, policy, self.watch)
    }
}

/// The policy: named on the command line, or by the configuration, or the defaults.
pub(super) fn policy(common: &Common, config: &Config) -> Result<Policy, Failure> {
    files::read_policy(common.policy.as_deref().or(config.policy.as_deref()))
}

/// The model file: named on the command line or by the configuration.
#[cfg(feature = "libvirt")]
pub(super) fn model<'a>(common: &'a Common, config: &'a Config) -> Option<&'a std::path::Path> {
    common.model.as_deref().or(config.model.as_deref())
}

#[cfg(feature = "libvirt")]
fn live(common: &Common, config: &Config, policy: Policy, watch: Span) -> Result<Scene, Failure> {
    use whimbrel_core::Cluster as _;

    use crate::wiring::{self, Keep};

    let mut cluster = wiring::cluster(config, Keep::Nothing)?;
    let kept = scene::kept(&config.collect.telemetry_directory, cluster.now())?;
    let snapshot = super::watch::until_measured(&mut cluster, kept.as_ref(), watch);
    scene_of(snapshot, common, config, policy)
}

/// A live snapshot, with what was kept of the past to learn from and to replay.
#[cfg(feature = "libvirt")]
pub(super) fn scene_of(
    snapshot: whimbrel_core::Snapshot,
    common: &Common,
    config: &Config,
    policy: Policy,
) -> Result<Scene, Failure> {
    let directory = &config.collect.telemetry_directory;
    let kept = scene::kept(directory, snapshot.taken_at)?;
    let situation = scene::live(snapshot, kept.as_ref());
    Scene::new(situation, policy, &scene::history(directory)?, model(common, config))
}

#[cfg(not(feature = "libvirt"))]
fn live(
    _common: &Common,
    _config: &Config,
    _policy: Policy,
    _watch: Span,
) -> Result<Scene, Failure> {
    Err(super::without_libvirt())
}
