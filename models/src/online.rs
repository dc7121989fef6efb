//! Advice on a migration that runs: is it getting there, and what would help if not.
//!
//! Progress of a pre-copy is a sawtooth: what remains falls within a round and jumps up at the next
//! bitmap read, so timers that wait for a new low either wait a minute or cry wolf. Here every
//! round seen is a point of the guest's unique-dirty curve U(t); the rounds to come follow from it,
//! and a stall is the fixed point U(t*) = B t* at which they stop getting shorter (prediction from
//! a curve: Gudkov, qemu-devel 2023). Two rounds show it.
//!
//! Advice is a pure function of what was seen. Nothing here acts. Never proposes post-copy over a
//! link that is not called steady, and never to abort once post-copy may have begun.

use serde::Serialize;
use whimbrel_core::{
    cluster::DirtyReading,
    predict::{Quantiles, Stall},
    settings::MigrationSettings,
    telemetry::JobSample,
    units::{Span, Timestamp},
};

mod decide;
mod outlook;
mod rounds;
#[cfg(test)]
mod tests;

use decide::Sight;

/// What may be done about a migration, and what was known before it.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Readings from before the migration; they count for windows that no round had.
    pub known: &'a [DirtyReading],
    /// Longest downtime limit that may be set.
    pub downtime_max: Span,
    /// Whether vCPUs may be slowed down, by auto-converge or otherwise.
    pub may_throttle: bool,
    /// Whether a switch to post-copy is prepared and admitted.
    pub may_post_copy: bool,
    /// Whether the link is known to hold.
    pub link_steady: bool,
    /// Times that the link was lost lately, this migration's own interruptions included.
    pub link_losses: u32,
    /// Time that the migration may still take; `None` where nobody waits.
    pub time_left: Option<Span>,
}

/// How a migration stands and what to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advice {
    /// How it stands.
    pub state: State,
    /// What to do.
    pub propose: Proposal,
    /// Why, in a sentence with figures.
    pub reason: String,
}

/// How a migration stands.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is getting there.
    Advancing {
        /// Time to its end. An hour stands for longer and for never.
        left: Quantiles<Span>,
    },
    /// Rounds do not get short enough any more.
    Stalled {
        /// Where it hangs.
        at: Stall,
        /// Since when that was to be seen.
        since: Timestamp,
    },
}

/// What to do about a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proposal {
    /// Nothing.
    Wait {
        /// Time to its end; or, in a stall, after which to ask again.
        expected: Span,
    },
    /// Let the guest stop for longer.
    RaiseDowntimeLimit {
        /// The new limit.
        to: Span,
        /// Time to its end with that.
        then_expected: Span,
    },
    /// Slow the guest down.
    Throttle,
    /// Let the guest go and fetch the rest over the network.
    SwitchToPostCopy,
    /// Give up; the guest stays where it is.
    Abort,
}

/// Advice as of the last of `samples`, which are looks at one job in order of time; `None` before
/// the second look or when nothing was sent.
pub fn advise(
    samples: &[JobSample],
    settings: &MigrationSettings,
    context: &Context<'_>,
) -> Option<Advice> {
    Some(Sight::new(samples, settings, context)?.advice())
}
