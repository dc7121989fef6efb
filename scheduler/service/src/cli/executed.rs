//! An execution at its end: predicted against measured.

use whimbrel_core::migration::MoveState;
use whimbrel_engine::{Execution, MoveView};

use super::{
    progress::word,
    table::{or_dash, table},
};

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
    println!("{rows}");
    let arrived = execution.count(MoveState::Settled);
    println!("plan {}: {arrived} of {} moves arrived", execution.plan, execution.moves.len());
}

fn row(one: &MoveView) -> [String; 10] {
    let p = &one.predicted;
    let state = match (one.state, one.detail.as_str()) {
        (MoveState::Settled, _) | (_, "") => word(one.state).to_owned(),
        (state, detail) => format!("{}: {detail}", word(state)),
    };
    [
        one.vm.to_string(),
        one.from.to_string(),
        one.to.to_string(),
        state,
        or_dash(one.stats, |s| s.total_time.human()),
        format!(
            "{} ({} .. {})",
            p.total_time.p50.human(),
            p.total_time.p05.human(),
            p.total_time.p95.human()
        ),
        or_dash(one.stats, |s| s.transferred.human()),
        format!(
            "{} ({} .. {})",
            p.transferred.p50.human(),
            p.transferred.p05.human(),
            p.transferred.p95.human()
        ),
        or_dash(one.stats, |s| s.downtime.human()),
        format!(
            "{} ({} .. {})",
            p.downtime.p50.human(),
            p.downtime.p05.human(),
            p.downtime.p95.human()
        ),
    ]
}
