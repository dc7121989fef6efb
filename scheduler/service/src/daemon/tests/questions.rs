//! Plans explained, taken back and gone on with, and failed hosts: the daemon's answers.

use whimbrel_core::{Goal, VmId};
use whimbrel_planner::undo::Found;

use super::{
    world::{Lab, until},
    *,
};
use crate::{
    advice::{Asked, RescueQuestion},
    grpc::{ExplainQuestion, Page, PlanQuestion, Previous, Purpose, Subject},
};

fn vm(name: &str) -> VmId {
    VmId::new(name).unwrap()
}

#[test]
fn a_recorded_balance_is_explained_as_it_was_planned() {
    let lab = Lab::recorded();
    let daemon = lab.daemon();
    let backend = daemon.backend();
    until("the first observation", || backend.inventory().is_ok());
    let anew = PlanQuestion { previous: Previous::Nothing, ..PlanQuestion::new(Goal::Balance, 1) };
    let planned = backend.plan(&anew).unwrap();
    let given = Subject::Given { plan_text: planned.text.clone() };
    let explain = |of: &Subject, asked| {
        backend.explain(&ExplainQuestion { of: of.clone(), asked, page: Page::default() }).unwrap()
    };

    let one = explain(&given, Asked::One(vm("web-1")));
    let [told] = one.explanations.as_slice() else { panic!("{one:?}") };
    let said = told.to_string();
    assert!(said.starts_with("web-1 moves from h1 to h3: relieves h1"), "{said}");
    assert!(told.thresholds.iter().all(|one| one.confirmed.is_some()), "{said}");
    assert!(!told.thresholds.is_empty() && told.price.is_some(), "{said}");
    let asked = explain(&Subject::Question(anew), Asked::One(vm("web-1")));
    assert_eq!(asked, one, "a plan that is asked for is the plan that is given");

    let all = explain(&given, Asked::All).explanations;
    assert_eq!(all.len(), backend.inventory().unwrap().domains.len());
    let stays = explain(&given, Asked::Stays).explanations;
    let moved = planned.plan.moves.len();
    assert_eq!(stays.len() + moved, all.len());
    assert!(stays.iter().all(|one| !one.moves()));

    let page = |token: &str, asked: &Asked| {
        let page = Page { size: 2, token: token.to_owned() };
        backend.explain(&ExplainQuestion { of: given.clone(), asked: asked.clone(), page })
    };
    for (asked, whole) in [(Asked::All, &all), (Asked::Stays, &stays)] {
        let mut paged = page("", &asked).unwrap();
        assert_eq!(paged.explanations.len(), 2);
        while !paged.next_page_token.is_empty() {
            let next = page(&paged.next_page_token, &asked).unwrap();
            paged.explanations.extend(next.explanations);
            paged.next_page_token = next.next_page_token;
        }
        assert_eq!(paged.explanations, *whole, "pages are the whole, each VM once");
    }
    for token in ["web-1", "0123456789abcdef:web-1", ":", "\u{0}"] {
        let refused = page(token, &Asked::All).unwrap_err();
        assert_eq!(refused.kind, FailureKind::Invalid, "{refused:?}");
        assert!(refused.message.contains("field page_token") && refused.hint.is_some());
    }

    let nobody = ExplainQuestion {
        of: given.clone(),
        asked: Asked::One(vm("nobody")),
        page: Page::default(),
    };
    assert_eq!(backend.explain(&nobody).unwrap_err().kind, FailureKind::NotFound);
    let remembered = backend.plan(&PlanQuestion::new(Goal::Balance, 1)).unwrap().previous;
    assert_eq!(remembered, Some(planned.plan.id()), "explaining is not planning");
}

#[test]
fn the_guests_of_a_failed_host_start_elsewhere_by_priority() {
    let lab = Lab::recorded();
    let daemon = lab.daemon();
    let backend = daemon.backend();
    until("the first observation", || backend.inventory().is_ok());
    let failed = vec![HostId::new("h1").unwrap()];
    let here = |host: &str| {
        let snapshot = backend.inventory().unwrap();
        snapshot.domains.iter().filter(|domain| domain.host.as_str() == host).count()
    };
    let first = |name: &str| {
        let priorities = [(vm(name), 5)].into();
        let question = RescueQuestion { failed: failed.clone(), priorities, ..Default::default() };
        let rescue = backend.rescue(&question).unwrap();
        assert_eq!((rescue.restarts.len(), rescue.unrescued.len()), (here("h1"), 0));
        (rescue.restarts[0].vm.to_string(), rescue.restarts[0].priority)
    };
    assert_eq!(first("batch"), ("batch".to_owned(), 5));
    assert_eq!(first("web-1"), ("web-1".to_owned(), 5));
    let none = backend.rescue(&RescueQuestion::default()).unwrap_err();
    assert_eq!(none.kind, FailureKind::Conflict, "every host answers: {none:?}");
    let priorities = [(vm("nobody"), 1)].into();
    let nobody = RescueQuestion { failed, priorities, ..Default::default() };
    assert_eq!(backend.rescue(&nobody).unwrap_err().kind, FailureKind::NotFound);
}

#[test]
fn a_drain_is_taken_back_and_done_again() {
    let lab = Lab::new();
    let daemon = lab.daemon();
    let backend = daemon.backend();
    let id = applied(&daemon);
    let plan_text = drain(&daemon).text;
    let of = Subject::Given { plan_text: plan_text.clone() };
    let reverse = PlanQuestion {
        purpose: Purpose::Reverse { plan_text: plan_text.clone() },
        previous: Previous::Remembered,
        seed: 1,
    };
    let early = backend.plan(&reverse).unwrap();
    assert!(early.plan.is_empty(), "nothing has arrived: {:?}", early.standing);
    lab.allow(PLENTY);
    assert!(ended(&daemon, &id).succeeded());
    let count = |host: &str| {
        let snapshot = backend.inventory().unwrap();
        snapshot.domains.iter().filter(|domain| domain.host.as_str() == host).count()
    };
    until("h1 is seen to be empty", || count("h1") == 0);

    let moved = backend
        .explain(&ExplainQuestion { of, asked: Asked::All, page: Page::default() })
        .unwrap_err();
    assert_eq!(moved.kind, FailureKind::Conflict, "{moved:?}");
    assert!(moved.hint.is_some(), "{moved:?}");
    let back = backend.plan(&reverse).unwrap();
    assert_eq!(back.plan.moves.len(), 3);
    assert!(back.standing.iter().all(|one| one.found == Found::Arrived), "{:?}", back.standing);
    assert!(back.plan.moves.iter().all(|one| one.to.as_str() == "h1"));
    backend.apply(&back.text, back.plan.digest.as_str()).unwrap();
    lab.allow(PLENTY);
    assert!(ended(&daemon, &back.plan.id()).succeeded());
    until("everybody is back", || count("h1") == 3);
    let resume = PlanQuestion { purpose: Purpose::Resume { plan_text }, ..reverse };
    let again = backend.plan(&resume).unwrap();
    assert_eq!(again.plan.goal, Goal::drain(HostId::new("h1").unwrap()));
    assert!(again.standing.iter().all(|one| one.found == Found::NotMoved));
    assert_eq!(again.plan.moves.len(), 3);
}
