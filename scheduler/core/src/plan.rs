//! A plan: moves in order, with what each waits for, their predicted cost, reasons and parents.
//!
//! A plan is a value. Planning changes nothing; execution chooses nothing: every setting and
//! time-out is in here. Moves stream: in the plan's order each begins as soon as the moves that it
//! waits for have arrived and both of its hosts have a slot free. It names the snapshot and the
//! policy that it was made from by digest, and carries a digest of itself, so that an edited plan
//! is refused.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    digest::Digest,
    ids::{HostId, OrderId, PlanId, VmId},
    predict::Prediction,
    settings::MigrationSettings,
    units::{Span, Timestamp},
};

mod emptied;
mod flavour;
mod reason;
mod remark;
mod slots;
mod timing;

pub use emptied::{Emptied, NoHost};
pub use flavour::{Flavour, FlavourError};
pub use reason::{Reason, Term};
pub use remark::{Exposed, Late, Remark};
pub use slots::{AtOnce, Full, Slots, Takes};

/// The plan format that this version writes and reads.
pub const FORMAT: u32 = 3;

/// What a plan is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, tag = "kind")]
pub enum Goal {
    /// Move every VM away from one host or several.
    Drain {
        /// The hosts to empty.
        hosts: Emptied,
        /// When the last VM is to have left, from the moment of planning; none where there is no
        /// hurry.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Span>,
        /// Whether a plan that misses the deadline is refused; otherwise it says what would be
        /// late.
        #[serde(default, skip_serializing_if = "is_false")]
        strict: bool,
    },
    /// Relieve overloaded hosts where that pays.
    Balance,
    /// Make the used parts of the hosts' resources even, by the policy's weights.
    Even,
    /// Bring VMs to given hosts, as taking a plan back does; all others stay.
    Restore {
        /// Where each is to be at the end.
        places: BTreeMap<VmId, HostId>,
    },
    /// Make room for VMs that do not run yet, by the fewest and cheapest moves.
    Defragment {
        /// What room is wanted for; empty for as many as possible of the size of the largest VM
        /// present.
        #[serde(default)]
        flavours: Vec<Flavour>,
    },
    /// Empty as many hosts as pays, so that they may be switched off.
    Powersave,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Goal {
    /// Empties `host`, without a deadline.
    pub fn drain(host: HostId) -> Self {
        Self::Drain { hosts: host.into(), deadline: None, strict: false }
    }

    /// The hosts that it empties; none unless it is a drain.
    pub fn emptied(&self) -> impl Iterator<Item = &HostId> {
        let hosts = match self {
            Self::Drain { hosts, .. } => Some(hosts),
            _ => None,
        };
        hosts.into_iter().flat_map(Emptied::iter)
    }
}

/// Moves in order, with reasons and parents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`FORMAT`] of the file.
    pub format: u32,
    /// Digest of everything else in the plan.
    pub digest: Digest,
    /// What it is for.
    pub goal: Goal,
    /// What it was made from.
    pub parent: Parent,
    /// The objective's terms before and after, and how near to the optimum.
    pub report: PlanReport,
    /// How many moves may run at one time.
    pub at_once: AtOnce,
    /// Moves in the order in which they are begun.
    #[serde(rename = "move", default)]
    pub moves: Vec<Move>,
    /// VMs that stay although the goal could have moved them, each with its reason.
    #[serde(default)]
    pub stays: Vec<Stay>,
}

/// What a plan was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parent {
    /// Digest of the snapshot.
    pub snapshot: Digest,
    /// When the snapshot was taken: what plans go stale by.
    pub snapshot_taken_at: Timestamp,
    /// Digest of the policy.
    pub policy: Digest,
    /// Seed of everything that was drawn.
    pub seed: u64,
}

/// How good the plan is, by its own objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanReport {
    /// What found it, for example `highs` or `greedy`.
    pub found_by: String,
    /// Relative distance to the proven bound, 0 = proven optimal; `None` where none is known.
    pub gap: Option<f64>,
    /// Predicted time from first begin to last end, at the median.
    pub makespan: Span,
    /// The objective's terms in their order of weight.
    pub terms: Vec<Term>,
    /// What the operator should know beyond the moves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<Remark>,
}

/// One VM from one host to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// The VM.
    pub vm: VmId,
    /// Its UUID when the plan was made.
    pub uuid: String,
    /// Where it must be when its turn comes.
    pub from: HostId,
    /// Where it goes.
    pub to: HostId,
    /// Places in the plan, counted from 0, of the moves that must have arrived before this one
    /// begins: they make the room that it takes. Ascending, each before its own place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<u32>,
    /// Whether no other migration touches either of its hosts while it runs: it dirties memory so
    /// fast that sharing the link would cost more than it saves.
    #[serde(default, skip_serializing_if = "is_false")]
    pub alone: bool,
    /// It does not begin before: its guest is expected to be quieter then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// It does not begin where it would more likely than one time in twenty end after this: a
    /// window in which its guest may be migrated closes then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_before: Option<Timestamp>,
    /// When it is expected to begin, counted from the plan's begin; nothing waits for this time.
    pub begins: Span,
    /// Given up after this, and cancelled while that is possible.
    pub timeout: Span,
    /// Why it moves.
    pub reason: Reason,
    /// How it is migrated.
    pub settings: MigrationSettings,
    /// What it is expected to cost.
    pub predicted: Prediction,
}

/// A VM that stays, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stay {
    /// The VM.
    pub vm: VmId,
    /// Why it stays.
    pub reason: Reason,
}

/// Why a plan file cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    /// Written by another version.
    #[error("plan format is {found}, this version reads {FORMAT} (hint: make the plan again)")]
    Format {
        /// The file's format.
        found: u32,
    },
    /// Changed after it was made.
    #[error(
        "plan digest does not match: the file says {stated}, its content gives {computed} \
         (hint: a plan cannot be edited; change the policy and plan again)"
    )]
    Digest {
        /// In the file.
        stated: String,
        /// Of the content.
        computed: String,
    },
}

impl Move {
    /// Whether it is so likely as to be counted on that it ends before its window closes, if it
    /// begins at `begin`: in 19 of 20 cases by its prediction.
    pub fn ends_in_time(&self, begin: Timestamp) -> bool {
        self.ends_before.is_none_or(|closes| begin + self.predicted.total_time.p95 <= closes)
    }

    /// Why it moves, and what else than its turn it waits for.
    pub fn why(&self) -> String {
        let alone = "alone on its hosts: sharing the link would cost more than it saves";
        let opens = |opens| format!("not before {opens}, when it is expected to be quieter");
        let closes = |closes| format!("over by {closes}, when its window closes");
        let parts = [
            Some(self.reason.to_string()),
            self.alone.then(|| alone.to_owned()),
            self.not_before.map(opens),
            self.ends_before.map(closes),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }

    /// What it takes of the slots of its hosts.
    pub fn takes(&self) -> Takes<'_, HostId> {
        Takes { from: &self.from, to: &self.to, alone: self.alone }
    }
}

impl Plan {
    /// Puts the parts together and seals them with their digest.
    pub fn seal(
        goal: Goal,
        parent: Parent,
        report: PlanReport,
        schedule: (AtOnce, Vec<Move>),
        stays: Vec<Stay>,
    ) -> Self {
        let digest = Digest::of_bytes(b"");
        let (at_once, moves) = schedule;
        let mut plan = Self { format: FORMAT, digest, goal, parent, report, at_once, moves, stays };
        plan.digest = plan.computed_digest();
        plan
    }

    /// With `remarks`, sealed anew.
    #[must_use]
    pub fn remarked(mut self, remarks: Vec<Remark>) -> Self {
        self.report.remarks = remarks;
        self.digest = self.computed_digest();
        self
    }

    /// The same moves with `number` of them at one time on a host and in all, none of them alone and
    /// each with the time-out `patience`, sealed anew: what a plan's own choice is measured against.
    #[must_use]
    pub fn at_fixed_pace(&self, number: u32, patience: Span) -> Self {
        let slower = |one: &Move| Move { alone: false, timeout: patience, ..one.clone() };
        let schedule = (AtOnce::new(number, number), self.moves.iter().map(slower).collect());
        let (goal, parent, report) = (self.goal.clone(), self.parent.clone(), self.report.clone());
        Self::seal(goal, parent, report, schedule, self.stays.clone())
    }

    fn computed_digest(&self) -> Digest {
        let schedule = (&self.at_once, &self.moves);
        Digest::of(&(self.format, &self.goal, &self.parent, &self.report, schedule, &self.stays))
    }

    /// Whether it is of a known format and unchanged since it was made.
    ///
    /// # Errors
    /// [`PlanError`] naming both versions or both digests.
    pub fn verify(&self) -> Result<(), PlanError> {
        if self.format != FORMAT {
            return Err(PlanError::Format { found: self.format });
        }
        let computed = self.computed_digest();
        if computed == self.digest {
            Ok(())
        } else {
            Err(PlanError::Digest {
                stated: self.digest.short().to_owned(),
                computed: computed.short().to_owned(),
            })
        }
    }

    /// The plan's name: the short form of its digest.
    pub fn id(&self) -> PlanId {
        // A digest's hexadecimal digits are always a valid name; the fallback is never used.
        PlanId::new(self.digest.short()).unwrap_or_else(|_| PlanId::unnamed())
    }

    /// All moves in order, each with its order's id.
    pub fn moves(&self) -> impl Iterator<Item = (OrderId, &Move)> {
        let id = self.id();
        self.moves.iter().enumerate().map(move |(index, one)| (OrderId::of(&id, index), one))
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.moves.is_empty()
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drain { hosts, deadline, .. } => {
                write!(f, "drain {hosts}")?;
                deadline.map_or(Ok(()), |deadline| write!(f, " within {}", deadline.human()))
            }
            Self::Balance => f.write_str("balance"),
            Self::Even => f.write_str("even"),
            Self::Restore { places } => {
                let plural = if places.len() == 1 { "" } else { "s" };
                write!(f, "restore {} domain{plural}", places.len())
            }
            Self::Defragment { flavours } if flavours.is_empty() => f.write_str("defragment"),
            Self::Defragment { flavours } => {
                let wanted: Vec<String> = flavours.iter().map(ToString::to_string).collect();
                write!(f, "defragment for {}", wanted.join(" and "))
            }
            Self::Powersave => f.write_str("powersave"),
        }
    }
}
