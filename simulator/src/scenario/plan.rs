//! What is to be done in a scenario: moves, or a goal for the caller's planner.

use std::collections::BTreeMap;

use serde::Deserialize;
use whimbrel_core::{
    Goal, MigrationSettings, Move, Plan, Prediction, Snapshot,
    digest::Digest,
    ids::{HostId, VmId},
    plan::{Parent, PlanReport, Reason, Wave},
    predict::Quantiles,
    units::{Bytes, BytesPerSecond, Share, Span},
};

use super::Scenario;
use crate::change::uuid;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ScenarioPlan {
    /// These moves.
    Moves(Vec<ScenarioMove>),
    /// Whatever the caller's planner makes of it.
    Goal(Goal),
}

/// One move of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioMove {
    /// Which guest.
    pub vm: VmId,
    /// Where to.
    pub to: HostId,
    /// Its wave, counted from 0.
    #[serde(default)]
    pub wave: usize,
    /// Given up after this.
    #[serde(default = "one_minute")]
    pub timeout: Span,
    /// Cap on the stream.
    pub bandwidth_limit: Option<BytesPerSecond>,
    /// Downtime limit; the policy's when absent.
    pub downtime_limit: Option<Span>,
}

fn one_minute() -> Span {
    Span::from_seconds(60)
}

impl Scenario {
    /// The listed moves as a plan that claims nothing about their cost. They were checked.
    pub(super) fn listed(&self, moves: &[ScenarioMove], snapshot: &Snapshot) -> Plan {
        let count = moves.iter().map(|one| one.wave + 1).max().unwrap_or(0);
        let mut waves = vec![Wave { moves: Vec::new() }; count];
        let mut left_at: BTreeMap<&VmId, &HostId> = BTreeMap::new();
        for one in moves {
            let Some(domain) = self.domain.get(&one.vm) else { continue };
            let from = left_at.insert(&one.vm, &one.to).unwrap_or(&domain.host);
            waves[one.wave].moves.push(self.moved(one, from));
        }
        let parent = Parent {
            snapshot: Digest::of(snapshot),
            snapshot_taken_at: snapshot.taken_at,
            policy: Digest::of(&self.policy),
            seed: self.seed,
        };
        let report = PlanReport {
            found_by: "scenario".to_owned(),
            gap: None,
            makespan: Span::ZERO,
            terms: Vec::new(),
        };
        Plan::seal(Goal::Balance, parent, report, waves, Vec::new())
    }

    fn moved(&self, one: &ScenarioMove, from: &HostId) -> Move {
        let usual = self.policy.migration.clone();
        let none = |span| Quantiles::from_array([span; 7]);
        Move {
            vm: one.vm.clone(),
            uuid: uuid(&one.vm),
            from: from.clone(),
            to: one.to.clone(),
            timeout: one.timeout,
            reason: Reason::WellPlaced,
            settings: MigrationSettings {
                bandwidth_limit: one.bandwidth_limit.or(usual.bandwidth_limit),
                downtime_limit: one.downtime_limit.unwrap_or(usual.downtime_limit),
                ..usual
            },
            predicted: Prediction {
                model: "none".to_owned(),
                converges: Share::ONE,
                total_time: none(Span::ZERO),
                transferred: Quantiles::from_array([Bytes::ZERO; 7]),
                downtime: none(Span::ZERO),
                stall: None,
                caveats: Vec::new(),
                impact: None,
            },
        }
    }
}
