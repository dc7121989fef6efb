//! The states of one move and the table of its legal steps.
//!
//! ```text
//!                    .--> Refused
//!                    |
//! Planned -> Intended -> Accepted -> Copying -> Arrived -> Settled
//!    |          |           |           |
//!    |          '-----------+-----------+--> Failed | Cancelled | Unknown
//!    '--> Skipped
//! ```
//!
//! * *Intended* is in the journal before anything is asked of the world.
//! * *Copying* means that a job was seen; from QEMU's switch-over on there is no undo, and a
//!   cancel that comes too late simply finds the VM arrived.
//! * *Arrived* is an observation (the VM runs at the target and not at the source), never a
//!   return value.
//! * *Unknown* is for a human: no later observation or code may leave it.

use serde::{Deserialize, Serialize};

/// State of one move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MoveState {
    /// In the plan, not begun.
    Planned,
    /// Written to the journal; the world may or may not have been asked.
    Intended,
    /// The world took the order.
    Accepted,
    /// A migration job was seen.
    Copying,
    /// The VM was seen running at the target and gone from the source.
    Arrived,
    /// Arrived, with its figures recorded.
    Settled,
    /// Not begun because the world had moved on; the reason is in the report.
    Skipped,
    /// The world would not take the order.
    Refused,
    /// Ended with the VM still at the source.
    Failed,
    /// Ended on request with the VM still at the source.
    Cancelled,
    /// What was observed fits no outcome; quarantined for a human.
    Unknown,
}

impl MoveState {
    /// Whether the move is over.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::Settled
                | Self::Skipped
                | Self::Refused
                | Self::Failed
                | Self::Cancelled
                | Self::Unknown
        )
    }

    /// Whether the world may be working on it.
    pub fn is_under_way(self) -> bool {
        matches!(self, Self::Intended | Self::Accepted | Self::Copying | Self::Arrived)
    }

    /// Whether a move may go from `self` to `next`.
    pub fn may_become(self, next: Self) -> bool {
        use MoveState as S;
        match self {
            S::Planned => matches!(next, S::Intended | S::Skipped),
            S::Intended => matches!(
                next,
                S::Accepted
                    | S::Refused
                    | S::Copying
                    | S::Arrived
                    | S::Failed
                    | S::Cancelled
                    | S::Unknown
            ),
            S::Accepted => {
                matches!(next, S::Copying | S::Arrived | S::Failed | S::Cancelled | S::Unknown)
            }
            S::Copying => matches!(next, S::Arrived | S::Failed | S::Cancelled | S::Unknown),
            S::Arrived => matches!(next, S::Settled),
            S::Settled | S::Skipped | S::Refused | S::Failed | S::Cancelled | S::Unknown => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MoveState as S;

    const ALL: [S; 11] = [
        S::Planned,
        S::Intended,
        S::Accepted,
        S::Copying,
        S::Arrived,
        S::Settled,
        S::Skipped,
        S::Refused,
        S::Failed,
        S::Cancelled,
        S::Unknown,
    ];

    #[test]
    fn final_states_have_no_way_out_and_others_do() {
        for state in ALL {
            let ways = ALL.iter().filter(|next| state.may_become(**next)).count();
            assert_eq!(state.is_final(), ways == 0, "{state:?}");
        }
    }

    #[test]
    fn nothing_returns_to_planned() {
        assert!(ALL.iter().all(|state| !state.may_become(S::Planned)));
    }
}
