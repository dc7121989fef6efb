//! Questions about one domain: what a migration costs, how it is best done, and why.

use serde::Serialize;
use whimbrel_core::{
    Domain, HostId, Prediction, Predictor as _, Snapshot, VmId,
    cluster::DirtyReading,
    policy::check_migration,
    predict::MigrationRequest,
    settings::{MigrationSettings, QemuVersion},
    units::{BytesPerSecond, Span},
};
use whimbrel_models::{
    Choice, Priorities,
    choose::{Space, choose},
    predictor::Explained,
};

use super::{Advisor, Situation, targets};
use crate::Failure;

/// Which migration is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The domain.
    pub vm: &'a VmId,
    /// The target; every host that is up and not its own, if left out.
    pub to: Option<&'a HostId>,
    /// How it would be migrated.
    pub settings: &'a MigrationSettings,
    /// Seed of what the prediction draws.
    pub seed: u64,
}

/// What a prediction rests on.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The settings that it holds for.
    pub settings: MigrationSettings,
    /// Dirty readings with their age, shortest window first.
    pub readings: Vec<(DirtyReading, Span)>,
    /// What the path is taken to carry.
    pub path_bandwidth: BytesPerSecond,
    /// Whether that was measured there; else the policy assumes it.
    pub path_measured: bool,
    /// The QEMU whose rule is replayed.
    pub qemu: QemuVersion,
    /// Content, curve, threshold, rounds and spreads.
    pub rests_on: Explained,
}

impl Advisor {
    /// What each target would cost.
    ///
    /// # Errors
    /// [`Failure`] when VM or host is unknown, or no honest answer exists.
    pub fn answer(
        &self,
        situation: &Situation,
        question: &Question<'_>,
    ) -> Result<Vec<(HostId, Prediction)>, Failure> {
        self.each(situation, question, |request| {
            self.predictor.predict(request).map_err(Failure::invalid)
        })
    }

    /// How the domain is best migrated to each target, `link_steady` being what the operator
    /// knows of the links.
    ///
    /// # Errors
    /// [`Failure`] when VM or host is unknown, or nothing can be predicted.
    pub fn choose(
        &self,
        situation: &Situation,
        question: &Question<'_>,
        priorities: &Priorities,
        link_steady: bool,
    ) -> Result<Vec<(HostId, Choice)>, Failure> {
        let space = Space::default();
        self.each(situation, question, |request| {
            choose(&self.predictor, request, link_steady, priorities, &space)
                .map_err(Failure::invalid)
        })
    }

    /// What the predictions of `question` rest on.
    ///
    /// # Errors
    /// [`Failure`] when VM or host is unknown, or no honest answer exists.
    pub fn explain(
        &self,
        situation: &Situation,
        question: &Question<'_>,
    ) -> Result<Vec<(HostId, Explanation)>, Failure> {
        self.each(situation, question, |request| {
            let mut readings: Vec<_> = request
                .domain
                .dirty
                .iter()
                .map(|reading| (*reading, request.now.since(reading.measured_at)))
                .collect();
            readings.sort_by_key(|(reading, _)| reading.window);
            Ok(Explanation {
                settings: request.settings.clone(),
                readings,
                path_bandwidth: request.path_bandwidth,
                path_measured: request.path_bandwidth != self.policy.limits.path_bandwidth,
                qemu: request.qemu,
                rests_on: self.predictor.explain(request).map_err(Failure::invalid)?,
            })
        })
    }

    /// `ask` for every target of `question`.
    fn each<T>(
        &self,
        situation: &Situation,
        question: &Question<'_>,
        ask: impl Fn(&MigrationRequest<'_>) -> Result<T, Failure>,
    ) -> Result<Vec<(HostId, T)>, Failure> {
        let snapshot = &situation.snapshot;
        let domain = domain(snapshot, question.vm)?;
        check_migration(question.settings).map_err(Failure::invalid)?;
        targets(snapshot, domain, question.to)?
            .into_iter()
            .map(|host| {
                let request = MigrationRequest {
                    to: None,
                    domain,
                    settings: question.settings,
                    path_bandwidth: self.path(snapshot, &domain.host, host),
                    sharing: 1,
                    now: situation.now,
                    seed: question.seed,
                    qemu: snapshot.qemu_between(&domain.host, host),
                };
                question.settings.check(request.qemu).map_err(Failure::invalid)?;
                Ok((host.clone(), ask(&request)?))
            })
            .collect()
    }
}

fn domain<'a>(snapshot: &'a Snapshot, vm: &VmId) -> Result<&'a Domain, Failure> {
    let placement = snapshot.placement().map_err(Failure::invalid)?;
    placement.get(vm).copied().ok_or_else(|| {
        let known = placement.keys().map(|vm| vm.as_str()).collect::<Vec<_>>().join(", ");
        Failure::not_found(format!(
            "domain {vm} is not in the snapshot (hint: domains are {known})"
        ))
    })
}
