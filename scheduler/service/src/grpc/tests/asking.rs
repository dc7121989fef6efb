//! Questions about plans and failed hosts through a socket: the answers of the backend, whole, and
//! refusals with a code, a field and a hint.

use std::collections::BTreeMap;

use tonic::Status;
use whimbrel_core::units::Share;
use whimbrel_planner::undo::Found;

use super::*;
use crate::{
    advice::{Asked, RescueQuestion},
    grpc::{Backend as _, ExplainQuestion, Page, Previous, Purpose, Subject},
};

fn anew(purpose: Purpose) -> PlanQuestion {
    PlanQuestion { purpose, previous: Previous::Nothing, seed: 7 }
}

#[test]
fn plans_are_taken_back_gone_on_with_and_kept_to() {
    let server = plain(Fake::default());
    let client = server.client();
    let earlier = client.plan(&draining(7)).unwrap();
    assert!(earlier.standing.is_empty() && earlier.previous.is_none());
    let plan_text = earlier.text.clone();
    let back = client.plan(&anew(Purpose::Reverse { plan_text: plan_text.clone() })).unwrap();
    assert_eq!(back.plan.goal, Goal::Restore { places: BTreeMap::new() }, "nothing was moved yet");
    assert_eq!(back.standing.len(), 1);
    assert_eq!(back.standing[0].found, Found::NotMoved);
    let on = client.plan(&anew(Purpose::Resume { plan_text: plan_text.clone() })).unwrap();
    assert_eq!((on.plan.goal, on.standing), (drain(), back.standing));
    let previous = Previous::Given { plan_text };
    let kept = PlanQuestion { previous, ..PlanQuestion::new(Goal::Balance, 7) };
    assert_eq!(client.plan(&kept).unwrap().previous, Some(earlier.plan.id()));
}

#[test]
fn explanations_and_rescues_come_whole() {
    let (server, fake) = (plain(Fake::default()), Fake::default());
    let client = server.client();
    let plan_text = client.plan(&draining(7)).unwrap().text;
    for of in [Subject::Given { plan_text }, Subject::Question(draining(7))] {
        for asked in [Asked::One(fake::vm()), Asked::All, Asked::Stays] {
            let question = ExplainQuestion { of: of.clone(), asked, page: Page::default() };
            let explained = client.explain(&question).unwrap();
            assert_eq!(explained, fake.explain(&question).unwrap());
            let stays = explained.explanations.iter().filter(|one| !one.moves()).count();
            assert_eq!(stays, 0, "the plan moves everybody");
        }
    }
    let question = RescueQuestion {
        failed: vec![fake::host("h1")],
        priorities: BTreeMap::from([(fake::vm(), -3)]),
        emergency_reserve: Some(Share::clamped(0.02)),
        emergency_overcommit: None,
    };
    let rescue = client.rescue(&question).unwrap();
    assert_eq!(rescue, fake.rescue(&question).unwrap());
    assert_eq!((rescue.restarts.len(), rescue.restarts[0].priority), (1, -3));
}

/// What is said against a call.
fn refused<T>(answer: Result<T, Status>, code: Code, part: &str) {
    let Err(status) = answer else { panic!("{part}: was answered") };
    assert_eq!(status.code(), code, "{status:?}");
    assert!(status.message().contains(part), "{part}: {status:?}");
    assert!(status.metadata().get(HINT).is_some(), "{part}: {status:?}");
}

#[test]
fn what_nobody_can_mean_is_an_invalid_argument_with_field_and_hint() {
    use v1::{explain_request as e, plan_request as p};
    let server = plain(Fake::default());
    let good = server.client().plan(&draining(7)).unwrap().text;
    let edited = good.replace("h2", "h3");
    let goal = |kind| v1::PlanRequest {
        purpose: Some(p::Purpose::Goal(v1::Goal { kind: Some(kind) })),
        ..v1::PlanRequest::default()
    };
    let reverse = |plan_text: &str| v1::PlanRequest {
        purpose: Some(p::Purpose::Reverse(v1::ReversePlan { plan_text: plan_text.to_owned() })),
        ..v1::PlanRequest::default()
    };
    let wanted = v1::WantedFlavour { vcpus: 0, memory_bytes: 1, count: 1, ..Default::default() };
    let plans = [
        (v1::PlanRequest::default(), "field goal"),
        (goal(v1::goal::Kind::Drain(v1::DrainGoal::default())), "field goal.drain.hosts"),
        (
            goal(v1::goal::Kind::Defragment(v1::DefragmentGoal { flavours: vec![wanted] })),
            "field goal.defragment.flavours.vcpus",
        ),
        (reverse(""), "field reverse.plan_text"),
        (reverse("[["), "field reverse.plan_text"),
        (reverse(&edited), "field reverse.plan_text"),
        (
            v1::PlanRequest {
                previous_plan_text: Some(edited.clone()),
                ..goal(v1::goal::Kind::Balance(v1::BalanceGoal {}))
            },
            "field previous_plan_text",
        ),
    ];
    let all = || Some(e::Subject::Scope(v1::ExplainScope::All.into()));
    let explanations = [
        (None, all(), "field explained"),
        (Some(e::Explained::PlanText(edited)), all(), "field plan_text"),
        (Some(e::Explained::PlanText(good.clone())), None, "field subject"),
        (Some(e::Explained::PlanText(good)), Some(e::Subject::Scope(9)), "field scope"),
    ];
    let limits = v1::EmergencyLimits { memory_reserve_share: Some(f64::NAN), vcpus_per_core: None };
    let emergency = v1::RescueRequest { emergency: Some(limits), ..Default::default() };
    let nan = v1::NewVm {
        vm: "a".to_owned(),
        vcpus: 1,
        memory_bytes: 1,
        demand_cores: Some(f64::NAN),
        exclude_hosts: Vec::new(),
    };
    raw(&server, async |channel| {
        let mut client = SchedulerClient::new(channel);
        for (request, part) in plans {
            refused(client.plan(request).await, Code::InvalidArgument, part);
        }
        for (explained, subject, part) in explanations {
            let request = v1::ExplainRequest { explained, subject, ..Default::default() };
            refused(client.explain(request).await, Code::InvalidArgument, part);
        }
        let part = "field emergency.memory_reserve_share";
        refused(client.rescue(emergency).await, Code::InvalidArgument, part);
        let many = v1::PlaceRequest { vms: vec![nan.clone(); 100_001], as_many_as_fit: true };
        refused(client.place(many).await, Code::InvalidArgument, "field vms");
        let one = v1::PlaceRequest { vms: vec![nan], as_many_as_fit: true };
        refused(client.place(one).await, Code::InvalidArgument, "field demand_cores");
    });
}

#[test]
fn what_is_not_there_and_what_does_not_fit_has_another_code() {
    let server = plain(Fake::default());
    let client = server.client();
    let plan_text = client.plan(&draining(7)).unwrap().text;
    let of = Subject::Given { plan_text };
    let nobody = Asked::One(VmId::new("nobody").unwrap());
    let unknown =
        client.explain(&ExplainQuestion { of, asked: nobody, page: Page::default() }).unwrap_err();
    let of_host = |host| RescueQuestion { failed: vec![fake::host(host)], ..Default::default() };
    let no_host = client.rescue(&of_host("h9")).unwrap_err();
    let priorities = BTreeMap::from([(VmId::new("nobody").unwrap(), 1)]);
    let no_vm = client.rescue(&RescueQuestion { priorities, ..of_host("h1") }).unwrap_err();
    for failure in [unknown, no_host, no_vm] {
        assert_eq!(failure.kind, FailureKind::NotFound, "{failure:?}");
        assert!(failure.hint.is_some(), "{failure:?}");
    }
    let none = client.rescue(&RescueQuestion::default()).unwrap_err();
    assert_eq!(none.kind, FailureKind::Conflict, "{none:?}");
}
