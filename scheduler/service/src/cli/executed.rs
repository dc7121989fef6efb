//! An execution at its end: predicted against measured.

use whimbrel_core::{
    migration::MoveState,
    predict::Quantiles,
    units::{Bytes, Span},
};
use whimbrel_engine::{Execution, MoveView};

use super::table::{band, or_dash, table};

/// Prints a row a move and a line for all.
pub(super) fn print(execution: &Execution) {
    let heads = [
        "domain",
        "from",
        "to",
        "state",
        ">time",
        "predicted",
        ">sent",
        "predicted",
        ">downtime",
        "predicted",
    ];
    let mut rows = table(&heads);
    for one in &execution.moves {
        rows.add_row(row(one));
    }
    say!("{rows}");
    let arrived = execution.count(MoveState::Settled);
    say!("plan {}: {arrived} of {} moves arrived", execution.plan, execution.moves.len());
}

/// How the verb that executed it ends.
#[cfg(any(feature = "libvirt", feature = "serve"))]
pub(super) fn ending(execution: &Execution) -> super::Ending {
    let unknown = execution.count(MoveState::Unknown);
    if unknown > 0 {
        eprintln!("{unknown} domains are in an unknown state: look at them before anything else");
    }
    if execution.succeeded() { super::Ending::Done } else { super::Ending::No }
}

fn row(one: &MoveView) -> [String; 10] {
    let state = match (one.state, one.detail.as_str()) {
        (MoveState::Settled, _) | (_, "") => word(one.state).to_owned(),
        (state, detail) => format!("{}: {detail}", word(state)),
    };
    let p = &one.predicted;
    [
        one.vm.to_string(),
        one.from.to_string(),
        one.to.to_string(),
        state,
        or_dash(one.stats, |s| s.total_time.human()),
        predicted(&p.total_time, Span::human),
        or_dash(one.stats, |s| s.transferred.human()),
        predicted(&p.transferred, Bytes::human),
        or_dash(one.stats, |s| s.downtime.human()),
        predicted(&p.downtime, Span::human),
    ]
}

fn predicted<T: Copy>(quantiles: &Quantiles<T>, text: impl Fn(T) -> String) -> String {
    format!("{} ({})", text(quantiles.p50), band(quantiles, &text))
}

/// A state in one word.
pub(super) fn word(state: MoveState) -> &'static str {
    match state {
        MoveState::Planned => "planned",
        MoveState::Intended => "about to begin",
        MoveState::Accepted => "begun",
        MoveState::Copying => "copying",
        MoveState::Arrived => "arrived",
        MoveState::Settled => "done",
        MoveState::Skipped => "skipped",
        MoveState::Refused => "refused",
        MoveState::Failed => "failed",
        MoveState::Cancelled => "cancelled",
        MoveState::Unknown => "UNKNOWN, look at it",
    }
}
