//! The summary: what it is, how it went in a sentence, and four figures.

use whimbrel_core::{
    migration::MoveState,
    units::{Bytes, Span},
};
use whimbrel_engine::Execution;

use super::{
    markup::{NONE, counted, each, esc, solid},
    model::{Happened, ReportModel},
    tables::state_words,
};

/// What kind of report it is, in a word or two.
pub(crate) fn badge(model: &ReportModel) -> &'static str {
    match (&model.execution, model.happened) {
        (None, _) => "Plan, not executed",
        (Some(_), Happened::Simulated) => "Simulated, no host was touched",
        (Some(_), Happened::Measured) => "Executed and measured",
    }
}

/// What was wanted and what came of it.
pub(crate) fn lead(model: &ReportModel) -> String {
    let moves = model.movers().len();
    let count = model.plan.moves().count();
    let goal = esc(&model.plan.goal.to_string());
    if count == 0 {
        return format!("Goal: {goal}. Nothing has to move.");
    }
    let of = if moves == count { String::new() } else { format!(" of {}", counted(moves, "VM")) };
    let plan = format!("Goal: {goal}. {}{of}", counted(count, "move"));
    match &model.execution {
        None => format!("{plan}."),
        Some(execution) => format!("{plan}: {}.", outcome(execution)),
    }
}

/// `8 arrived, 1 failed`, with what is not final said as such.
fn outcome(execution: &Execution) -> String {
    const STATES: [MoveState; 11] = [
        MoveState::Settled,
        MoveState::Arrived,
        MoveState::Copying,
        MoveState::Accepted,
        MoveState::Intended,
        MoveState::Planned,
        MoveState::Skipped,
        MoveState::Refused,
        MoveState::Failed,
        MoveState::Cancelled,
        MoveState::Unknown,
    ];
    let mut parts: Vec<_> = STATES
        .iter()
        .map(|state| (execution.count(*state), *state))
        .filter(|(count, _)| *count > 0)
        .map(|(count, state)| format!("{count} {}", state_words(state)))
        .collect();
    if execution.cancelled {
        parts.push("the plan was given up".to_owned());
    }
    if !execution.ended {
        parts.push("not ended yet".to_owned());
    }
    parts.join(", ")
}

struct Tile {
    name: &'static str,
    value: String,
    below: String,
}

impl Tile {
    fn without_moves(name: &'static str) -> Self {
        Self { name, value: NONE.to_owned(), below: "nothing moves".to_owned() }
    }
}

/// Moves, makespan, bytes and the worst downtime.
pub(crate) fn tiles(model: &ReportModel) -> String {
    let tiles = [moves(model), makespan(model), bytes(model), downtime(model)];
    let tiles = each(tiles, |tile| {
        format!(
            "<dl class=\"tile\"><dt>{}</dt><dd class=\"value\">{}</dd><dd class=\"sub\">{}</dd></dl>",
            tile.name, tile.value, tile.below
        )
    });
    format!("<div class=\"tiles\">{tiles}</div>\n")
}

fn moves(model: &ReportModel) -> Tile {
    let planned = model.plan.moves().count();
    let value = match &model.execution {
        Some(execution) => format!("{} of {planned}", execution.count(MoveState::Settled)),
        None => planned.to_string(),
    };
    let name = if model.execution.is_some() { "Moves that arrived" } else { "Moves" };
    let stays = model.plan.stays.len();
    Tile { name, value, below: format!("{} considered and left", counted(stays, "VM")) }
}

fn makespan(model: &ReportModel) -> Tile {
    let name = "From first begin to last end";
    if model.plan.is_empty() {
        return Tile::without_moves(name);
    }
    let predicted = solid(&model.plan.report.makespan.human());
    let slowest = model.plan.ends_if(|one| one.predicted.total_time.p95);
    let upper = format!("{} if every move takes its p95", solid(&slowest.human()));
    match model.measured_makespan() {
        Some(measured) => {
            Tile { name, value: measured.human(), below: format!("predicted {predicted}; {upper}") }
        }
        None => Tile { name, value: predicted, below: format!("predicted; {upper}") },
    }
}

fn bytes(model: &ReportModel) -> Tile {
    let name = "Bytes on the wire";
    if model.plan.is_empty() {
        return Tile::without_moves(name);
    }
    let sum = |of: fn(&whimbrel_core::Prediction) -> Bytes| -> Bytes {
        model.plan.moves().map(|(_, one)| of(&one.predicted)).sum()
    };
    let predicted = solid(&sum(|p| p.transferred.p50).human());
    let upper =
        format!("{} if every move takes its p95", solid(&sum(|p| p.transferred.p95).human()));
    let done = model.execution.iter().flat_map(|e| &e.moves).filter_map(|m| m.stats);
    let done: Vec<_> = done.map(|stats| stats.transferred).collect();
    if done.is_empty() {
        return Tile { name, value: predicted, below: format!("predicted; {upper}") };
    }
    let value = done.into_iter().sum::<Bytes>().human();
    Tile { name, value, below: format!("predicted {predicted}; {upper}") }
}

fn downtime(model: &ReportModel) -> Tile {
    let name = "Worst downtime of a VM";
    if model.plan.is_empty() {
        return Tile::without_moves(name);
    }
    let worst = |of: fn(&whimbrel_core::Prediction) -> Span| {
        let highest = model.plan.moves().map(|(_, one)| of(&one.predicted)).max();
        solid(&highest.unwrap_or_default().human())
    };
    let (predicted, upper) = (worst(|p| p.downtime.p50), worst(|p| p.downtime.p95));
    let stats = model.execution.iter().flat_map(|e| &e.moves).filter_map(|m| m.stats);
    match stats.map(|stats| stats.downtime).max() {
        Some(measured) => Tile {
            name,
            value: measured.human(),
            below: format!("predicted {predicted}; highest p95 {upper}"),
        },
        None => Tile { name, value: predicted, below: format!("predicted; highest p95 {upper}") },
    }
}
