//! What the checker may find.

use std::fmt;

use thiserror::Error;

use crate::{
    cluster::{DomainState, HostState, Lack},
    ids::HostId,
    settings::SettingsConflict,
    units::{Bytes, Share, Span, Timestamp},
};

/// One finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// The VM, host or part of the plan that it is about.
    pub subject: String,
    /// What was found.
    pub problem: Problem,
}

/// Whether a finding forbids the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Warning,
    /// The plan must not run.
    Fatal,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Error)]
#[expect(missing_docs, reason = "each message says what its fields are")]
pub enum Problem {
    #[error("the plan was made under another policy (hint: plan again)")]
    OtherPolicy,
    #[error("its snapshot is {} old, the limit is {} (hint: plan again)", age.human(), limit.human())]
    Stale { age: Span, limit: Span },
    #[error("is not in the snapshot (hint: plan again)")]
    UnknownDomain,
    #[error("is another machine now: planned {planned}, found {found} (hint: plan again)")]
    OtherMachine { planned: String, found: String },
    #[error("should be on {planned} when its turn comes, but is on {found} (hint: plan again)")]
    NotAtSource { planned: HostId, found: String },
    #[error("is already being migrated (hint: wait until that has ended, then plan again)")]
    AlreadyMigrating,
    #[error("is {state:?} and cannot be migrated live (hint: resume it, then plan again)")]
    NotRunning { state: DomainState },
    #[error("would move to where it is")]
    GoesNowhere,
    #[error("moves again without waiting for its own move before (hint: plan again)")]
    DoesNotWaitForItself,
    #[error("waits for a move that does not come before it (hint: plan again)")]
    WaitsForLater,
    #[error("goes to host {host}, which is not in the snapshot")]
    UnknownHost { host: HostId },
    #[error("goes to host {host}, which is {state:?}")]
    TargetNotUp { host: HostId, state: HostState },
    #[error("{conflict}")]
    Settings { conflict: SettingsConflict },
    #[error("would converge with {converges} only")]
    WouldStall { converges: Share },
    #[error("{count} migrations at one host at once, the limit is {limit}")]
    TooManyAtHost { count: u32, limit: u32 },
    #[error("{count} migrations at once, the limit is {limit}")]
    TooManyAtOnce { count: u32, limit: u32 },
    #[error("lets no move run at all (hint: plan again)")]
    NoneAtOnce,
    #[error("memory of {host} would reach {}, the limit is {}", memory.human(), limit.human())]
    MemoryOver { host: HostId, memory: Bytes, limit: Bytes },
    #[error("vCPUs of {host} would reach {vcpus}, the limit is {limit:.1}")]
    VcpusOver { host: HostId, vcpus: u64, limit: f64 },
    #[error("on {host} it breaks rule {rule:?}")]
    BreaksRule { rule: String, host: HostId },
    #[error("{host} lacks {lack} for it")]
    Lacks { host: HostId, lack: Lack },
    #[error("{count} migrations at once under rule {rule:?}, its at_once is {limit}")]
    BudgetAtOnce { rule: String, count: usize, limit: u32 },
    #[error("{count} moves under rule {rule:?}, its moves_max is {limit}")]
    BudgetMoves { rule: String, count: usize, limit: u32 },
    #[error("rule {rule:?} lets nobody migrate it before {opens} (hint: apply the plan then)")]
    OutsideWindow { rule: String, opens: Timestamp },
    #[error(
        "rule {rule:?} wants its migration over by {closes}, but the plan does not see to that"
    )]
    OverWindow { rule: String, closes: Timestamp },
    #[error(
        "preference {rule:?} is broken after the last move{}",
        if *already { ", as it is now" } else { "" }
    )]
    PreferenceBrokenAtEnd { rule: String, already: bool },
    #[error("rule {rule:?} is broken after the last move{}", if *already { ", as it is now" } else { "" })]
    RuleBrokenAtEnd { rule: String, already: bool },
    #[error("{count} moves, the limit is {limit}")]
    TooManyMoves { count: usize, limit: usize },
    #[error("{left} domains would be left on it")]
    NotDrained { left: usize },
    #[error("would not be on {host}, where the goal wants it")]
    NotRestored { host: HostId },
    #[error("may be switched off by the plan, but {left} domains would be on it")]
    NotEmpty { left: usize },
    #[error(
        "{left} domains would find no place after the failure of one host ({hosts}); {was} would \
         now (hint: free memory on other hosts or lower limits.host_failures)"
    )]
    ReserveBroken { hosts: String, left: usize, was: usize },
}

impl Note {
    /// Whether it forbids the plan.
    pub fn severity(&self) -> Severity {
        match self.problem {
            // What the plan found broken and could not mend is not its fault.
            Problem::ReserveBroken { left, was, .. } if left <= was => Severity::Warning,
            Problem::RuleBrokenAtEnd { already: true, .. }
            | Problem::PreferenceBrokenAtEnd { .. } => Severity::Warning,
            _ => Severity::Fatal,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.problem)
    }
}
