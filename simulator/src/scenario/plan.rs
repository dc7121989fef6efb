//! What is to be done in a scenario: moves, or a goal for the caller's planner.

use std::collections::BTreeMap;

use serde::Deserialize;
use whimbrel_core::{
    Goal, MigrationSettings, Move, Plan, Prediction, Snapshot,
    digest::Digest,
    ids::{HostId, VmId},
    plan::{AtOnce, Parent, PlanReport, Reason},
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
    /// Places in the list, counted from 0, of the moves that must have arrived before it begins.
    #[serde(default)]
    pub after: Vec<u32>,
    /// Whether no other migration touches its hosts while it runs.
    #[serde(default)]
    pub alone: bool,
    /// Given up after this.
    #[serde(default = "one_minute")]
    pub timeout: Span,
    /// Cap on the stream.
    pub bandwidth_limit: Option<BytesPerSecond>,
    /// Downtime limit; the policy's when absent.
    pub downtime_limit: Option<Span>,
}

/// What a scenario lists is begun as it says, whatever its policy lets plans do.
const AT_ONCE: AtOnce = AtOnce::new(u32::MAX, u32::MAX);

fn one_minute() -> Span {
    Span::from_seconds(60)
}

impl Scenario {
    /// The listed moves as a plan that claims nothing about their cost. They were checked.
    pub(super) fn listed(&self, moves: &[ScenarioMove], snapshot: &Snapshot) -> Plan {
        let mut planned = Vec::with_capacity(moves.len());
        let mut left_at: BTreeMap<&VmId, &HostId> = BTreeMap::new();
        for one in moves {
            let Some(domain) = self.domain.get(&one.vm) else { continue };
            let from = left_at.insert(&one.vm, &one.to).unwrap_or(&domain.host);
            planned.push(self.moved(one, from));
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
            remarks: Vec::new(),
        };
        Plan::seal(Goal::Balance, parent, report, (AT_ONCE, planned), Vec::new())
    }

    fn moved(&self, one: &ScenarioMove, from: &HostId) -> Move {
        let usual = self.policy.migration.clone();
        let none = |span| Quantiles::from_array([span; 7]);
        Move {
            vm: one.vm.clone(),
            uuid: uuid(&one.vm),
            from: from.clone(),
            to: one.to.clone(),
            after: one.after.clone(),
            alone: one.alone,
            not_before: None,
            ends_before: None,
            begins: Span::ZERO,
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
