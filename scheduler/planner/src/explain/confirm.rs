//! A policy with one value changed, and whether a whole new plan under it comes out as the threshold
//! says.

use whimbrel_core::{
    plan::Goal,
    policy::Policy,
    units::{Share, Span},
};

use super::value::{Change, Explanation, Key};
use crate::{PlanFailure, PlanRequest, plan};

impl Change {
    /// `policy` with it.
    pub fn applied(&self, policy: &Policy) -> Policy {
        let mut changed = policy.clone();
        match self {
            Self::Value { key, at, .. } => match key {
                Key::GainFactor => changed.balance.gain_factor = *at,
                Key::OverloadAbove => changed.balance.overload_above = Share::clamped(*at),
                Key::Horizon => changed.balance.horizon = Span::from_seconds_f64(*at),
                Key::MemoryReserve => changed.limits.memory_reserve = Share::clamped(*at),
                Key::CpuOvercommit => changed.limits.cpu_overcommit = *at,
                Key::MovesMax => changed.limits.moves_max = *at as u32,
                Key::DowntimeLimit => {
                    changed.migration.downtime_limit = Span::from_seconds_f64(*at);
                }
            },
            Self::WithoutRule { rule } => changed.rules.retain(|one| one.name() != rule),
        }
        changed
    }
}

/// Makes a whole new plan under each threshold of `explanation`, in which everything may move, and
/// notes whether the VM then ends elsewhere. As slow as that many plans.
///
/// # Errors
/// [`PlanFailure`] where the request itself is refused.
pub fn confirm(
    request: &PlanRequest<'_>,
    explanation: &mut Explanation,
) -> Result<(), PlanFailure> {
    if !matches!(request.goal, Goal::Balance) {
        return Ok(());
    }
    for threshold in &mut explanation.thresholds {
        let policy = threshold.change.applied(request.policy);
        let changed = PlanRequest { policy: &policy, goal: request.goal.clone(), ..*request };
        let plan = plan(&changed)?;
        let moves = plan.moves().filter(|(_, one)| one.vm == explanation.vm);
        let end = moves.last().map_or(&explanation.home, |(_, one)| &one.to);
        threshold.confirmed = Some(*end != explanation.end);
    }
    Ok(())
}
