//! The answer to a question: both sides, and what speaks against the change.
//!
//! Never here: a figure that is not in the sides, the plan or the runs.

use std::collections::BTreeSet;

use serde::Serialize;
use whimbrel_core::{
    HostId, Plan, VmId, check,
    migration::MoveState,
    units::{Span, Timestamp},
};
use whimbrel_simulator::{
    HostOutcome, Outcome,
    whatif::{Changes, Headroom, Homeless, HostLoss, Spread, Trial},
};

/// Part of the runs in which the moves must come off.
const RUNS_NEEDED: f64 = 0.95;

/// What comes of it.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// What it is about, in a sentence.
    pub intent: String,
    /// What is different from today.
    pub changes: Changes,
    /// Whether the policy is another one too.
    pub policy_changed: bool,
    /// What speaks against it, a sentence each; empty where it fits.
    pub against: Vec<String>,
    /// Guests that find no place.
    pub homeless: Vec<Homeless>,
    /// Whether it is certain that they find none.
    pub proven: bool,
    /// Guests that have a place and cannot get there, each with the reason.
    pub stuck: Vec<(VmId, String)>,
    /// New guests with the host that each starts on.
    pub started: Vec<(VmId, HostId)>,
    /// Hosts that are out of service then.
    pub out_of_service: BTreeSet<HostId>,
    /// How long both sides are simulated.
    pub horizon: Span,
    /// Today, left alone.
    pub today: Side,
    /// With the change, after its moves.
    pub then: Side,
    /// The moves that it needs.
    pub plan: Plan,
    /// What the checker says of them.
    pub notes: Vec<String>,
    /// How the moves went in the first run.
    pub moves: Vec<MoveLine>,
    /// Every run.
    pub trials: Vec<Trial>,
    /// All runs together.
    pub spread: Spread,
}

/// The cluster under one of both.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    /// What is free.
    pub headroom: Headroom,
    /// What the loss of each host would strand.
    pub losses: Vec<HostLoss>,
    /// Each host over the horizon, in the first run.
    pub hosts: Vec<HostOutcome>,
}

/// One move of the first run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MoveLine {
    /// The guest.
    pub vm: VmId,
    /// Where it was.
    pub from: HostId,
    /// Where it goes.
    pub to: HostId,
    /// When it was begun, counted from the begin of the run.
    pub begun: Option<Span>,
    /// When it ended.
    pub ended: Option<Span>,
    /// How it ended.
    pub state: MoveState,
}

impl Side {
    /// Whether the loss of any one host strands nobody.
    pub fn survives_any_loss(&self) -> bool {
        self.losses.iter().all(|loss| loss.stranded.is_empty())
    }
}

impl Answer {
    /// Whether nothing speaks against it.
    pub fn fits(&self) -> bool {
        self.against.is_empty()
    }
}

pub(super) fn move_lines(outcome: &Outcome, start: Timestamp) -> Vec<MoveLine> {
    let since = |at: Option<Timestamp>| at.map(|at| at.since(start));
    let moves = outcome.execution.moves.iter();
    moves
        .map(|one| MoveLine {
            vm: one.vm.clone(),
            from: one.from.clone(),
            to: one.to.clone(),
            begun: since(one.begun_at),
            ended: since(one.ended_at),
            state: one.state,
        })
        .collect()
}

/// What speaks against the change, most important first.
pub(super) fn against<'a>(
    answer: &Answer,
    refused: impl Iterator<Item = &'a check::Note>,
) -> Vec<String> {
    let mut found: Vec<String> = answer
        .homeless
        .iter()
        .map(|one| format!("{} finds no place: {}", one.vm, lack(one)))
        .collect();
    found.extend(answer.stuck.iter().map(|(vm, why)| format!("{vm} cannot get away: {why}")));
    found.extend(refused.map(|note| format!("the checker refuses the moves: {note}")));
    let violations = answer.trials.iter().flat_map(|trial| &trial.violations);
    let violations: BTreeSet<&String> = violations.collect();
    found.extend(violations.into_iter().map(|what| format!("in the simulator {what}")));
    let spread = &answer.spread;
    if answer.changes.lose.is_some() {
        let runs = 1.0 - spread.nobody_stranded.get();
        if runs > 0.0 {
            let worst = answer.trials.iter().max_by_key(|trial| trial.stranded.len());
            let names = worst.iter().flat_map(|trial| &trial.stranded).map(|one| one.vm.as_str());
            let names: Vec<&str> = names.collect();
            found.push(format!(
                "in {:.0} % of the runs the loss strands guests, at worst {}",
                runs * 100.0,
                names.join(", ")
            ));
        }
    } else if spread.in_time.get() < RUNS_NEEDED {
        let by = answer.changes.deadline.map_or_else(
            || "every move arrives".to_owned(),
            |deadline| format!("every move arrives within {}", deadline.human()),
        );
        found.push(format!(
            "{by} in {:.0} % of the runs only, {:.0} % are wanted",
            spread.in_time.get() * 100.0,
            RUNS_NEEDED * 100.0
        ));
    }
    found
}

/// What a guest lacks where it lacks least, in words.
pub fn lack(one: &Homeless) -> String {
    let mut parts = Vec::new();
    if one.memory_short.get() > 0 {
        let (short, of) = (one.memory_short.human(), one.memory.human());
        parts.push(format!("{short} of its {of} are missing where most is free"));
    }
    if one.vcpus_short > 0 {
        parts.push(format!("{} of its {} vCPUs are missing", one.vcpus_short, one.vcpus));
    }
    if !one.rules.is_empty() {
        let names: Vec<String> = one.rules.iter().map(|rule| format!("{rule:?}")).collect();
        parts.push(format!("rules keep it off hosts: {}", names.join(", ")));
    }
    if parts.is_empty() {
        return "what is free is taken by others that have none either".to_owned();
    }
    parts.join("; ")
}
