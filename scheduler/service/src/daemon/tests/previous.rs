//! The balance that the daemon remembers, on the recorded cluster: which one, for how long, and what
//! it is for.

use std::sync::Arc;

use whimbrel_core::{
    Goal, Plan,
    units::{Share, Span, Timestamp},
};

use super::{
    world::{Lab, until},
    *,
};
use crate::{
    advice::Proposal,
    daemon::{Handle, previous::Remembered},
    grpc::{PlanQuestion, Planned, Previous},
};

fn balance() -> PlanQuestion {
    PlanQuestion::new(Goal::Balance, 1)
}

fn seen(daemon: &Daemon) -> Arc<Handle> {
    until("the first observation", || daemon.backend().inventory().is_ok());
    daemon.backend()
}

fn targets(planned: &Planned) -> Vec<(String, String)> {
    planned.plan.moves.iter().map(|one| (one.vm.to_string(), one.to.to_string())).collect()
}

/// Lets time pass in the simulator, and waits until that is seen.
fn pass(lab: &Lab, backend: &Handle, time: Span) {
    let before = backend.inventory().unwrap().taken_at;
    lab.sim().advance(time);
    until("time has passed", || backend.inventory().unwrap().taken_at >= before + time);
}

#[test]
fn a_balance_is_kept_to_for_as_long_as_its_load_is_expected_to_last() {
    let lab = Lab::recorded();
    let daemon = lab.daemon();
    let backend = seen(&daemon);
    let first = backend.plan(&balance()).unwrap();
    assert!(!first.plan.is_empty() && first.previous.is_none(), "{:?}", first.plan);
    let second = backend.plan(&balance()).unwrap();
    assert_eq!(second.previous, Some(first.plan.id()));
    assert_eq!(second.plan.report.found_by, "previous plan");
    assert_eq!(targets(&second), targets(&first));
    let anew = backend.plan(&PlanQuestion { previous: Previous::Nothing, ..balance() }).unwrap();
    assert_eq!((&anew.plan, &anew.previous), (&first.plan, &None), "equal requests, equal plans");
    let given = Previous::Given { plan_text: second.text };
    let given = backend.plan(&PlanQuestion { previous: given, ..balance() }).unwrap();
    assert_eq!(given.previous, Some(second.plan.id()));
    let drain = Goal::drain(HostId::new("h1").unwrap());
    let other = backend.plan(&PlanQuestion::new(drain, 1)).unwrap();
    assert_eq!(other.previous, None, "it is for balances only");

    // The policy's horizon is half an hour.
    pass(&lab, &backend, Span::from_seconds(1700));
    assert_eq!(backend.plan(&balance()).unwrap().previous, Some(given.plan.id()));
    pass(&lab, &backend, Span::from_seconds(1801));
    assert_eq!(backend.plan(&balance()).unwrap().previous, None);
    daemon.stop(PATIENCE).unwrap();
    let daemon = lab.daemon();
    assert_eq!(seen(&daemon).plan(&balance()).unwrap().previous, None, "it ends with the daemon");
}

#[test]
fn what_has_begun_is_not_kept_to() {
    let lab = Lab::recorded();
    let daemon = lab.daemon();
    let backend = seen(&daemon);
    let planned = backend.plan(&balance()).unwrap();
    backend.apply(&planned.text, planned.plan.digest.as_str()).unwrap();
    let next = backend.plan(&balance()).unwrap();
    assert_eq!(next.previous, None);
    lab.allow(PLENTY);
    ended(&daemon, &planned.plan.id());
}

/// `plan` as if its snapshot had been taken at another time.
fn taken(plan: &Plan, at: Timestamp) -> Plan {
    let parent = whimbrel_core::plan::Parent { snapshot_taken_at: at, ..plan.parent.clone() };
    let plan = plan.clone();
    Plan::seal(plan.goal, parent, plan.report, (plan.at_once, plan.moves), plan.stays)
}

#[test]
fn the_latest_balance_that_may_run_is_remembered() {
    let lab = Lab::recorded();
    let daemon = lab.daemon();
    let backend = seen(&daemon);
    let advisor = backend.board.advisor();
    let situation = advisor.looking_ahead(backend.situation().unwrap());
    let propose = |goal| advisor.propose(&situation, goal, 1).unwrap();
    let proposal = propose(Goal::Balance);
    let (now, horizon) = (situation.now, Span::from_seconds(1800));
    let remembered = Remembered::default();
    let id = |at: Timestamp| remembered.at(at, horizon).map(|plan| plan.id());
    assert_eq!(id(now), None);

    remembered.note(&propose(Goal::drain(HostId::new("h1").unwrap())));
    assert_eq!(id(now), None, "a drain is nothing to keep to");
    remembered.note(&proposal);
    let first = Some(proposal.plan.id());
    assert_eq!(id(now), first);
    assert_eq!(id(now + horizon), first);
    assert_eq!(id(now + horizon + Span::from_micros(1)), None);

    let mut refused = Proposal { plan: taken(&proposal.plan, now + horizon), ..proposal.clone() };
    refused.proof.bands.violated = Share::clamped(0.05);
    remembered.note(&refused);
    assert_eq!(id(now), first, "what the simulator refuses is nothing to keep to");
    let before = Timestamp::from_micros(now.as_micros() - 1);
    remembered.note(&Proposal { plan: taken(&proposal.plan, before), ..proposal.clone() });
    assert_eq!(id(now), first, "what is older does not come after what is newer");
    let newer = taken(&proposal.plan, now + Span::from_seconds(60));
    remembered.note(&Proposal { plan: newer.clone(), ..proposal });
    assert_eq!(id(now + Span::from_seconds(60)), Some(newer.id()));

    remembered.forget(&PlanId::new("0123456789abcdef").unwrap());
    assert_eq!(id(now), Some(newer.id()), "another plan has begun");
    remembered.forget(&newer.id());
    assert_eq!(id(now), None);
}
