//! Questions and their answers there and back, and questions that nobody can mean.

use whimbrel_planner::{
    placing::{Candidate, Counted, Miss, Refused, Rescue, Restarted, Unrescued},
    undo::{Found, Standing},
};

use super::{
    goals::{goal, host_id, vm_id},
    *,
};
use crate::{
    advice::{Asked, RescueQuestion},
    grpc::{ExplainQuestion, Page, PlanQuestion, Previous, Purpose, Subject},
};

fn plan_question() -> impl Strategy<Value = PlanQuestion> {
    let text = || ".{1,40}";
    let purpose = prop_oneof![
        goal().prop_map(Purpose::Goal),
        text().prop_map(|plan_text| Purpose::Reverse { plan_text }),
        text().prop_map(|plan_text| Purpose::Resume { plan_text }),
    ];
    let previous = prop_oneof![
        Just(Previous::Remembered),
        Just(Previous::Nothing),
        text().prop_map(|plan_text| Previous::Given { plan_text }),
    ];
    (purpose, previous, any::<u64>()).prop_map(|(purpose, previous, seed)| PlanQuestion {
        purpose,
        previous,
        seed,
    })
}

fn explain_question() -> impl Strategy<Value = ExplainQuestion> {
    let of = prop_oneof![
        plan_question().prop_map(Subject::Question),
        ".{1,40}".prop_map(|plan_text| Subject::Given { plan_text }),
    ];
    let asked = prop_oneof![vm_id().prop_map(Asked::One), Just(Asked::All), Just(Asked::Stays)];
    (of, asked, any::<u32>(), ".{0,20}").prop_map(|(of, asked, size, token)| ExplainQuestion {
        of,
        asked,
        page: Page { size, token },
    })
}

fn rescue_question() -> impl Strategy<Value = RescueQuestion> {
    let failed = proptest::collection::vec(host_id(), 0..4);
    let priorities = proptest::collection::btree_map(vm_id(), any::<i64>(), 0..5);
    let limits = (proptest::option::of(0.0..=0.95), proptest::option::of(0.1..=100.0));
    (failed, priorities, limits).prop_map(|(failed, priorities, (reserve, overcommit))| {
        let emergency_reserve = reserve.map(Share::clamped);
        RescueQuestion { failed, priorities, emergency_reserve, emergency_overcommit: overcommit }
    })
}

fn refused() -> impl Strategy<Value = Refused> {
    let reasons = proptest::collection::vec((".{0,20}", 0..100_usize), 0..3);
    let nearest = proptest::collection::vec((host_id(), any::<u64>(), any::<u64>()), 0..3);
    (reasons, nearest).prop_map(|(reasons, nearest)| Refused {
        reasons: reasons.into_iter().map(|(reason, hosts)| Counted { reason, hosts }).collect(),
        nearest: nearest
            .into_iter()
            .map(|(host, memory, vcpus_short)| Miss {
                host,
                memory_short: Bytes::new(memory),
                vcpus_short,
            })
            .collect(),
    })
}

fn rescue() -> impl Strategy<Value = Rescue> {
    let on = (host_id(), 0.0..1e9, 0.0..9.0, any::<u64>(), any::<u64>()).prop_map(
        |(host, score_seconds, cpu_after, memory, vcpus_left)| Candidate {
            host,
            score_seconds,
            cpu_after,
            memory_left: Bytes::new(memory),
            vcpus_left,
        },
    );
    let restart = (vm_id(), host_id(), any::<i64>(), on, any::<bool>()).prop_map(
        |(vm, from, priority, on, emergency)| Restarted { vm, from, priority, on, emergency },
    );
    let unrescued = (vm_id(), host_id(), any::<i64>(), refused())
        .prop_map(|(vm, from, priority, refused)| Unrescued { vm, from, priority, refused });
    let failed = proptest::collection::vec(host_id(), 0..3);
    let restarts = proptest::collection::vec(restart, 0..4);
    (failed, restarts, proptest::collection::vec(unrescued, 0..4))
        .prop_map(|(failed, restarts, unrescued)| Rescue { failed, restarts, unrescued })
}

fn standing() -> impl Strategy<Value = Standing> {
    let found = prop_oneof![
        Just(Found::Arrived),
        Just(Found::NotMoved),
        host_id().prop_map(|host| Found::OnTheWay { host }),
        host_id().prop_map(|host| Found::Elsewhere { host }),
        Just(Found::OtherMachine),
        Just(Found::Gone),
    ];
    (vm_id(), host_id(), host_id(), found).prop_map(|(vm, from, to, found)| Standing {
        vm,
        from,
        to,
        found,
    })
}

proptest! {
    #[test]
    fn questions_about_plans_survive(question in plan_question()) {
        prop_assert_eq!(PlanQuestion::from_wire(question.to_wire()), Ok(question));
    }

    #[test]
    fn questions_for_reasons_survive(question in explain_question()) {
        prop_assert_eq!(ExplainQuestion::from_wire(question.to_wire()), Ok(question));
    }

    #[test]
    fn rescues_survive(question in rescue_question(), rescue in rescue()) {
        prop_assert_eq!(RescueQuestion::from_wire(question.to_wire()), Ok(question));
        prop_assert_eq!(Rescue::from_wire(rescue.to_wire()), Ok(rescue));
    }

    #[test]
    fn standings_survive(standing in standing()) {
        let message = standing.to_wire();
        prop_assert_eq!(&message.text, &standing.to_string());
        prop_assert_eq!(Standing::from_wire(message), Ok(standing));
    }
}

#[test]
fn plans_that_nobody_can_ask_for_name_the_field() {
    use v1::plan_request::Purpose as P;
    let balance = || Some(P::Goal(Goal::Balance.to_wire()));
    let hosts = |hosts: Vec<String>| {
        let drain = v1::DrainGoal { hosts, ..v1::DrainGoal::default() };
        Some(P::Goal(v1::Goal { kind: Some(v1::goal::Kind::Drain(drain)) }))
    };
    let of = |purpose| v1::PlanRequest { purpose, ..v1::PlanRequest::default() };
    let given = Some("format = 2".to_owned());
    let faults = [
        (of(None), "goal"),
        (of(Some(P::Goal(v1::Goal { kind: None }))), "goal.kind"),
        (of(hosts(Vec::new())), "goal.drain.hosts"),
        (of(hosts((0..100_001).map(|n| format!("h{n}")).collect())), "goal.drain.hosts"),
        (of(Some(P::Reverse(v1::ReversePlan::default()))), "reverse.plan_text"),
        (of(Some(P::Resume(v1::ResumePlan::default()))), "resume.plan_text"),
        (
            v1::PlanRequest { previous_plan_text: Some(String::new()), ..of(balance()) },
            "previous_plan_text",
        ),
        (v1::PlanRequest { previous_plan_text: given, anew: true, ..of(balance()) }, "anew"),
    ];
    for (request, field) in faults {
        assert_eq!(PlanQuestion::from_wire(request).map_err(|e| e.field), Err(field));
    }
}

#[test]
fn explanations_that_nobody_can_ask_for_name_the_field() {
    use v1::explain_request::{Explained, Subject as Who};
    let plan = || Some(Explained::PlanText("format = 2".to_owned()));
    let all = || Some(Who::Scope(v1::ExplainScope::All.into()));
    let faults = [
        (None, all(), "explained"),
        (Some(Explained::PlanText(String::new())), all(), "plan_text"),
        (Some(Explained::Request(v1::PlanRequest::default())), all(), "goal"),
        (plan(), None, "subject"),
        (plan(), Some(Who::Vm(String::new())), "vm"),
        (plan(), Some(Who::Vm("a b".to_owned())), "vm"),
        (plan(), Some(Who::Scope(0)), "scope"),
        (plan(), Some(Who::Scope(99)), "scope"),
        (plan(), Some(Who::Scope(-1)), "scope"),
    ];
    for (explained, subject, field) in faults {
        let read = ExplainQuestion::from_wire(v1::ExplainRequest {
            explained,
            subject,
            ..v1::ExplainRequest::default()
        });
        assert_eq!(read.map_err(|e| e.field), Err(field));
    }
}

#[test]
fn rescues_that_nobody_can_ask_for_name_the_field() {
    let class = |vm: &str| v1::VmPriority { vm: vm.to_owned(), priority: 1 };
    let limits = |memory_reserve_share, vcpus_per_core| v1::RescueRequest {
        emergency: Some(v1::EmergencyLimits { memory_reserve_share, vcpus_per_core }),
        ..v1::RescueRequest::default()
    };
    let classes = |priorities| v1::RescueRequest { priorities, ..Default::default() };
    let failed = |failed_hosts| v1::RescueRequest { failed_hosts, ..Default::default() };
    let (reserve, overcommit) = ("emergency.memory_reserve_share", "emergency.vcpus_per_core");
    let faults = [
        (failed(vec![String::new()]), "failed_hosts"),
        (failed(vec!["h1".to_owned(); 100_001]), "failed_hosts"),
        (classes(vec![class("")]), "priorities.vm"),
        (classes(vec![class("a"), class("a")]), "priorities.vm"),
        (classes(vec![class("a"); 100_001]), "priorities"),
        (limits(Some(f64::NAN), None), reserve),
        (limits(Some(-0.1), None), reserve),
        (limits(Some(0.96), None), reserve),
        (limits(None, Some(f64::NAN)), overcommit),
        (limits(None, Some(0.0)), overcommit),
        (limits(None, Some(f64::INFINITY)), overcommit),
    ];
    for (request, field) in faults {
        assert_eq!(RescueQuestion::from_wire(request).map_err(|e| e.field), Err(field));
    }
}

#[test]
fn malformed_answers_name_the_field() {
    let good = Standing {
        vm: fake::vm(),
        from: fake::host("h1"),
        to: fake::host("h2"),
        found: Found::Elsewhere { host: fake::host("h3") },
    };
    let spoilt = |spoil: fn(&mut v1::Standing)| {
        let mut message = good.to_wire();
        spoil(&mut message);
        Standing::from_wire(message).map_err(|e| e.field)
    };
    assert_eq!(spoilt(|m| m.host = None), Err("standing.host"));
    assert_eq!(spoilt(|m| m.whereabouts = 0), Err("standing.whereabouts"));
    assert_eq!(spoilt(|m| m.whereabouts = 77), Err("standing.whereabouts"));
    assert_eq!(spoilt(|m| m.vm.clear()), Err("standing.vm"));
    let restart =
        v1::RestartedVm { vm: "a".to_owned(), from_host: "h".to_owned(), ..Default::default() };
    let read = Restarted::from_wire(restart).map_err(|e| e.field);
    assert_eq!(read, Err("restarts.on"));
}
