//! Small clusters.

use whimbrel_core::{
    Domain, Goal, Move, Plan, Snapshot,
    plan::{AtOnce, Parent},
};
use whimbrel_simulator::{Outcome, Scenario, scenario::ScenarioPlan};

/// The scenario that `text` states.
pub(crate) fn scenario(text: &str) -> Scenario {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs a scenario and insists on what it expects.
pub(crate) fn pass(text: &str) -> Outcome {
    let scenario = scenario(text);
    let report = scenario.run(first_fit).unwrap();
    assert!(
        report.disappointments.is_empty(),
        "{}\n{:#?}\n{:#?}\n{:#?}",
        scenario.intent,
        report.disappointments,
        report.outcome.execution.moves,
        report.outcome.log.lines(),
    );
    report.outcome
}

/// What a scenario with moves expects and does not come, with what came instead.
pub(crate) fn disappointments(scenario: &Scenario) -> Option<String> {
    let report = scenario.run(|_, _| unreachable!()).unwrap();
    let start = report.outcome.started_at;
    let moves = report.outcome.execution.moves.iter();
    let moves = moves.map(|one| format!("{} {:?} {}", one.vm, one.state, one.detail));
    let log = report.outcome.log.lines().iter();
    let log = log.map(|(at, what)| format!("{} {what:?}", at.since(start).human()));
    let text = format!(
        "{:#?}\n  {}\n    {}",
        report.disappointments,
        moves.collect::<Vec<_>>().join("\n  "),
        log.filter(|line| !line.contains("Synchronised")).collect::<Vec<_>>().join("\n    "),
    );
    (!report.disappointments.is_empty()).then_some(text)
}

/// Drains a host onto the first host with room, one guest after the other.
pub(crate) fn first_fit(snapshot: &Snapshot, goal: &Goal) -> Result<Plan, String> {
    let drained = goal.emptied().next().ok_or("only drains")?;
    let template = template();
    let mut homes = snapshot.domains.clone();
    let mut moves: Vec<Move> = Vec::new();
    for place in 0..homes.len() {
        let guest = homes[place].clone();
        if guest.host != *drained {
            continue;
        }
        let memory = |host| {
            let here = homes.iter().filter(|d: &&Domain| d.host == host);
            here.map(|d| d.memory.get()).sum::<u64>()
        };
        let fits = |(id, host): &(&whimbrel_core::HostId, &whimbrel_core::Host)| {
            *id != drained && memory((*id).clone()) + guest.memory.get() <= host.memory.get()
        };
        let to = snapshot.hosts.iter().find(fits).unwrap().0.clone();
        let one = Move {
            vm: guest.vm.clone(),
            uuid: guest.uuid.clone(),
            from: drained.clone(),
            to: to.clone(),
            after: (0..u32::try_from(moves.len()).unwrap()).collect(),
            ..template.clone()
        };
        homes[place].host = to;
        moves.push(one);
    }
    let parent = Parent { snapshot_taken_at: snapshot.taken_at, ..empty_plan().parent };
    let schedule = (AtOnce::new(1, 1), moves);
    Ok(Plan::seal(goal.clone(), parent, empty_plan().report, schedule, Vec::new()))
}

/// A move to take settings from.
fn template() -> Move {
    let outcome = scenario(TWO_HOSTS).run(|_, _| unreachable!()).unwrap().outcome;
    let plan = outcome.journal.iter().find_map(|record| match &record.entry {
        whimbrel_core::ports::Entry::PlanAccepted { plan } => Some(plan.clone()),
        _ => None,
    });
    plan.unwrap().moves[0].clone()
}

/// A plan without moves.
pub(crate) fn empty_plan() -> Plan {
    let scenario = Scenario { plan: ScenarioPlan::Moves(Vec::new()), ..scenario(TWO_HOSTS) };
    let outcome = scenario.run(|_, _| unreachable!()).unwrap().outcome;
    match &outcome.journal[0].entry {
        whimbrel_core::ports::Entry::PlanAccepted { plan } => (**plan).clone(),
        entry => panic!("{entry:?}"),
    }
}

/// The smallest cluster with a move.
pub(crate) const TWO_HOSTS: &str = r#"
intent = "One guest moves."
horizon = "30 s"
[host]
h1 = { cpu = "2 cores", memory = "1 GiB" }
h2 = { cpu = "2 cores", memory = "1 GiB" }
[domain.a]
host = "h1"
memory = "256 MiB"
dirty = [{ window = "1 s", unique = "1 MiB" }]
[[plan.moves]]
vm = "a"
to = "h2"
[expect]
"#;
