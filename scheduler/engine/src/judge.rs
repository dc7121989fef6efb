//! What an observation says about one move. Pure: order and snapshot in, verdict out.
//!
//! | at the source | at the target | job or call | verdict |
//! |---|---|---|---|
//! | lives | - | active | copying or waiting |
//! | gone | lives | active | arrived |
//! | gone | lives | ended | arrived, then settled |
//! | switched to post-copy | runs | active | copying |
//! | switched to post-copy | runs | ended | unknown, after a long wait |
//! | lives | - | ended | failed, or cancelled where that was asked, once it holds |
//! | lives | lives | any | unknown, once it holds |
//! | gone | gone | active | waiting: the switch-over itself; unknown, long after the deadline |
//! | gone | gone | ended | unknown, after a long wait |
//! | runs | silent | ended | failed: what runs at the source has not left |
//! | silent | any | any | waiting; unknown, long after the deadline |

use whimbrel_core::{
    Snapshot,
    cluster::{
        CallState, CompletedStats, Domain, DomainState, HostState, JobProgress, OrderReport,
    },
    ids::HostId,
    migration::MoveState,
    ports::Order,
    settings::Mode,
    units::Span,
};

use crate::EngineSettings;

/// What an observation says about a move.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// Nothing new.
    Wait,
    /// Its job runs.
    Copying(JobProgress),
    /// It runs at the target and is gone from the source.
    Arrived,
    /// It had arrived, and all that will be known of it is known.
    Settled(Option<CompletedStats>),
    /// Something is over or wrong, if later readings agree.
    Doubt(Doubt),
}

/// A conclusion that must stand for a while before it counts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Doubt {
    /// What it leads to.
    pub(crate) outcome: MoveState,
    /// For people.
    pub(crate) detail: String,
    /// How long it must stand.
    pub(crate) grace: Span,
    /// Whose readings must be from after that time.
    pub(crate) rests_on: RestsOn,
}

/// Whose readings a conclusion rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RestsOn {
    /// Source and target.
    BothHosts,
    /// The source alone: while a machine runs there, pre-copy has not switched over, whatever has
    /// become of the target.
    Source,
    /// Nobody's: time alone has passed.
    TheClock,
}

/// Judges one move that is under way.
pub(crate) fn judge(
    order: &Order,
    state: MoveState,
    cancel_asked: bool,
    snapshot: &Snapshot,
    settings: &EngineSettings,
) -> Verdict {
    let report = snapshot.order(&order.id);
    let call_active = report.is_some_and(|r| r.call == CallState::Active);
    if state == MoveState::Arrived {
        return settle(call_active, report, settings);
    }
    let silent =
        |host: &HostId| snapshot.hosts.get(host).is_none_or(|h| h.state == HostState::Unreachable);
    if silent(&order.from) {
        return unseen(&order.from, order, snapshot, settings);
    }
    let source = sighting(snapshot, order, &order.from);
    let idle = !call_active && source.is_none_or(|domain| domain.job.is_none());
    if silent(&order.to) {
        let runs = source.is_some_and(|domain| domain.state == DomainState::Running);
        return if runs && idle {
            at_source(order, report, cancel_asked, RestsOn::Source, settings)
        } else {
            unseen(&order.to, order, snapshot, settings)
        };
    }
    let target = sighting(snapshot, order, &order.to);
    let lives = |domain: Option<&Domain>| domain.is_some_and(|d| d.state.lives_here());
    match (lives(source), lives(target)) {
        (true, true) => {
            lost(format!("{} lives on {} and on {}", order.vm, order.from, order.to), settings)
        }
        (false, true) => arrival(source, target, call_active, order, settings),
        (true, false) => match source.and_then(|domain| domain.job) {
            Some(progress) => Verdict::Copying(progress),
            None if call_active => Verdict::Wait,
            None => at_source(order, report, cancel_asked, RestsOn::BothHosts, settings),
        },
        (false, false) if !idle => between_hosts(order, snapshot, settings),
        (false, false) => lost(
            format!("{} is alive neither on {} nor on {}", order.vm, order.from, order.to),
            settings,
        ),
    }
}

/// The machine stands still on its way. Nothing can be cancelled past the point of no return, but
/// somebody must be told when it does not end.
fn between_hosts(order: &Order, snapshot: &Snapshot, settings: &EngineSettings) -> Verdict {
    if snapshot.taken_at <= order.deadline {
        return Verdict::Wait;
    }
    let Order { vm, from, to, .. } = order;
    lost(format!("{vm} stands still between {from} and {to}, past its time-out"), settings)
}

/// What was seen fits no outcome, if it stays so.
fn lost(detail: String, settings: &EngineSettings) -> Verdict {
    let rests_on = RestsOn::BothHosts;
    Verdict::Doubt(Doubt { outcome: MoveState::Unknown, detail, grace: settings.lost, rests_on })
}

fn sighting<'a>(snapshot: &'a Snapshot, order: &Order, host: &HostId) -> Option<&'a Domain> {
    snapshot.domains.iter().find(|d| d.vm == order.vm && d.host == *host && d.uuid == order.uuid)
}

/// Alive at the target only. A paused machine there has not begun to run yet, and one that was
/// switched to post-copy needs its source until the rest of its memory has followed.
fn arrival(
    source: Option<&Domain>,
    target: Option<&Domain>,
    call_active: bool,
    order: &Order,
    settings: &EngineSettings,
) -> Verdict {
    if target.is_none_or(|domain| domain.state != DomainState::Running) {
        let detail = format!("{} is on {} and does not run there", order.vm, order.to);
        return lost(detail, settings);
    }
    match source.filter(|domain| left_in_post_copy(domain, order)) {
        None => Verdict::Arrived,
        Some(Domain { job: Some(progress), .. }) => Verdict::Copying(*progress),
        Some(_) if call_active => Verdict::Wait,
        Some(_) => {
            let (vm, to, from) = (&order.vm, &order.to, &order.from);
            lost(
                format!("{vm} runs on {to}, but nothing sends the rest of it from {from}"),
                settings,
            )
        }
    }
}

/// Whether `source` is what a switch to post-copy left behind, and has not ended.
fn left_in_post_copy(source: &Domain, order: &Order) -> bool {
    order.settings.mode == Mode::PostCopy && source.state == DomainState::Outgoing
}

/// Whether a sighting says that the order was switched to post-copy: from then on there is no way
/// back.
pub(crate) fn has_switched(order: &Order, snapshot: &Snapshot) -> bool {
    use DomainState as S;
    let source = sighting(snapshot, order, &order.from).map(|domain| domain.state);
    let target = sighting(snapshot, order, &order.to).map(|domain| domain.state);
    order.settings.mode == Mode::PostCopy
        && (matches!(source, Some(S::Outgoing | S::PostCopyFailed))
            || matches!(target, Some(S::Running | S::PostCopyFailed)))
}

fn at_source(
    order: &Order,
    report: Option<&OrderReport>,
    cancel_asked: bool,
    rests_on: RestsOn,
    settings: &EngineSettings,
) -> Verdict {
    let (outcome, detail) = match report.map(|r| &r.call) {
        _ if cancel_asked => (MoveState::Cancelled, String::new()),
        Some(CallState::Errored(message)) => (MoveState::Failed, message.clone()),
        _ => (
            MoveState::Failed,
            format!("no migration runs and {} is still on {}", order.vm, order.from),
        ),
    };
    Verdict::Doubt(Doubt { outcome, detail, grace: settings.doubt, rests_on })
}

/// A host does not answer: nothing can be concluded until long after the move should have ended.
fn unseen(host: &HostId, order: &Order, snapshot: &Snapshot, settings: &EngineSettings) -> Verdict {
    if snapshot.taken_at <= order.deadline {
        return Verdict::Wait;
    }
    Verdict::Doubt(Doubt {
        outcome: MoveState::Unknown,
        detail: format!("host {host} does not answer; where {} lives is not known", order.vm),
        grace: settings.lost,
        rests_on: RestsOn::TheClock,
    })
}

/// Figures come with the end of the call; a call that nobody holds any more (the program was
/// restarted) will bring none, so the wait is bounded.
fn settle(call_active: bool, report: Option<&OrderReport>, settings: &EngineSettings) -> Verdict {
    match report.and_then(|r| r.stats) {
        Some(stats) => Verdict::Settled(Some(stats)),
        None if call_active => Verdict::Wait,
        None => Verdict::Doubt(Doubt {
            outcome: MoveState::Settled,
            detail: "no figures of it were kept".to_owned(),
            grace: settings.doubt,
            rests_on: RestsOn::TheClock,
        }),
    }
}
