//! Why a VM moves or stays, as data with figures.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ids::HostId, units::Timestamp};

/// Why a VM moves or stays. Costs and gains are in guest-seconds of slow-down over the policy's
/// horizon: the same unit, so that they can be compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "code", deny_unknown_fields)]
pub enum Reason {
    /// Its host is being emptied.
    HostDrained,
    /// Its move relieves an overloaded host.
    Relieves {
        /// The host that gains.
        host: HostId,
        /// Contention that the move avoids.
        gain_seconds: f64,
        /// What the move costs.
        cost_seconds: f64,
    },
    /// Its move makes the hosts more evenly used. In parts of one host, averaged over the
    /// resources by weight.
    EvensOut {
        /// How much less even the planned placement would be without it.
        gain: f64,
        /// What a move must gain.
        gain_min: f64,
    },
    /// It is brought to where the goal wants it.
    Restored,
    /// Where it is breaks a rule.
    RuleBroken {
        /// The rule's name.
        rule: String,
    },
    /// No move would gain enough.
    GainTooSmall {
        /// The best gain.
        gain_seconds: f64,
        /// What that move would cost.
        cost_seconds: f64,
        /// How many times its cost a move must gain.
        gain_factor: f64,
    },
    /// Nothing about its place needs mending.
    WellPlaced,
    /// A migration under these settings is not expected to end.
    WouldStall {
        /// Probability that it would converge.
        converges: f64,
    },
    /// A rule keeps it where it is.
    HeldByRule {
        /// The rule's name.
        rule: String,
    },
    /// No host can take it.
    NoRoom,
    /// Its going, for good or for a while, makes room that another move needs.
    MakesRoom {
        /// The host that it leaves.
        host: HostId,
    },
    /// The plan has as many moves as it may, and others gain more.
    MovesLimit {
        /// The policy's limit.
        limit: u32,
    },
    /// It was moved a short time ago and is left alone for a while.
    Resting {
        /// Until when.
        until: Timestamp,
    },
    /// A budget of disruption lets nobody migrate it now.
    OutsideWindow {
        /// The rule's name.
        rule: String,
        /// When one of its windows opens next.
        opens: Timestamp,
    },
    /// A migration of it is under way already.
    Migrating,
    /// A post-copy migration of it broke: nobody may act on it without a human.
    NeedsHuman,
    /// Its host does not answer, so nothing can be moved from there.
    HostUnreachable,
    /// What moving it would cost cannot be predicted.
    Unpredictable {
        /// What the predictor says.
        why: String,
    },
}

/// One term of the objective, before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// What it measures, with its unit last: `overload_core_seconds`.
    pub name: String,
    /// At the present placement; lower is better.
    pub before: f64,
    /// At the planned placement.
    pub after: f64,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostDrained => f.write_str("its host is being emptied"),
            Self::Relieves { host, gain_seconds, cost_seconds } => {
                write!(f, "relieves {host}: gains {gain_seconds:.0} s for {cost_seconds:.1} s")
            }
            Self::EvensOut { gain, gain_min } => write!(
                f,
                "evens hosts out by {:.1} % of a host, {:.1} % are asked",
                gain * 100.0,
                gain_min * 100.0
            ),
            Self::Restored => f.write_str("it is to be there"),
            Self::RuleBroken { rule } => write!(f, "its place breaks rule {rule:?}"),
            Self::GainTooSmall { gain_seconds, cost_seconds, gain_factor } => write!(
                f,
                "gain {:.1} s is under {gain_factor} x cost {cost_seconds:.1} s",
                without_sign_of_zero(*gain_seconds)
            ),
            Self::WellPlaced => f.write_str("well placed"),
            Self::WouldStall { converges } => {
                write!(f, "its migration would converge with {:.0} % only", converges * 100.0)
            }
            Self::HeldByRule { rule } => write!(f, "rule {rule:?} keeps it here"),
            Self::NoRoom => f.write_str("no host can take it"),
            Self::MakesRoom { host } => write!(f, "makes room on {host} for another move"),
            Self::MovesLimit { limit } => write!(f, "the plan has its {limit} moves without it"),
            Self::Resting { until } => write!(f, "moved a short time ago, rests until {until}"),
            Self::OutsideWindow { rule, opens } => {
                write!(f, "rule {rule:?} leaves no time to migrate it before {opens}")
            }
            Self::Migrating => f.write_str("a migration of it is under way"),
            Self::NeedsHuman => f.write_str("its post-copy migration broke, a human must decide"),
            Self::HostUnreachable => f.write_str("its host does not answer"),
            Self::Unpredictable { why } => write!(f, "its migration cannot be predicted: {why}"),
        }
    }
}

/// `seconds` rounded to tenths, where "-0.0" would puzzle the reader.
fn without_sign_of_zero(seconds: f64) -> f64 {
    let tenths = (seconds * 10.0).round();
    if tenths.abs() < 1.0 { 0.0 } else { tenths / 10.0 }
}
