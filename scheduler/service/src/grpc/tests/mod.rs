//! The API from outside: real sockets, real TLS, a fake backend.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use tonic::{
    Code,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use whimbrel_core::{Goal, PlanId, VmId, migration::MoveState, plan::FORMAT, units::Bytes};
use whimbrel_planner::placing::{self, Batch, CapacityRequest, Flavour, NewVm};
use whimbrel_proto::v1::{self, scheduler_client::SchedulerClient};

use super::{
    Client, PlanQuestion, Security, ServeOptions, Server, convert::Wire as _, status::HINT,
};
use crate::FailureKind;

mod asking;
pub(super) mod fake;
mod harness;
mod outside;
mod security;

use fake::Fake;
use harness::{Certificates, Running};

fn flavours() -> Vec<Flavour> {
    let flavour = |name: &str, mib, times| Flavour {
        name: name.to_owned(),
        vcpus: 1,
        memory: Bytes::mib(mib),
        demand_cores: Some(0.5),
        times,
    };
    vec![flavour("small", 512, 3), flavour("large", 2048, 1)]
}

#[test]
fn machines_without_a_host_are_refused_with_what_hosts_lack() {
    let server = plain(Fake::default());
    let large = NewVm {
        name: VmId::new("new-1").unwrap(),
        vcpus: 1,
        memory: Bytes::mib(12 * 1024),
        demand_cores: None,
        exclude: Vec::new(),
    };
    let vms = [large.clone(), NewVm { name: VmId::new("new-2").unwrap(), ..large.clone() }];
    let failure = server.client().place(&vms, Batch::AllOrNothing).unwrap_err();
    assert!(failure.message.contains("memory short by"), "{failure:?}");
    assert_eq!(failure.kind, FailureKind::Conflict);
    let nobody = server.client().place(&[], Batch::AllOrNothing).unwrap_err();
    assert_eq!(nobody.kind, FailureKind::Invalid);
    let absurd = NewVm { memory: Bytes::new(u64::MAX), ..large };
    let absurd = server.client().place(&[absurd], Batch::AllOrNothing).unwrap_err();
    assert!(absurd.hint.is_some(), "{absurd:?}");
}

fn drain() -> Goal {
    Goal::drain(fake::host("h1"))
}

fn draining(seed: u64) -> PlanQuestion {
    PlanQuestion::new(drain(), seed)
}

fn plain(fake: Fake) -> Running {
    Running::start(Security::InsecureLoopback, fake)
}

/// Runs `work` on a client without the project's own wrapper.
fn raw<T>(server: &Running, work: impl AsyncFnOnce(Channel) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
        work(endpoint.connect().await.unwrap()).await
    })
}

#[test]
fn every_verb_goes_there_and_back_over_mutual_tls() {
    let certificates = Certificates::make();
    let server = Running::start(certificates.security(), Fake::default());
    let tls = certificates.client("client", "ca");
    let client = Client::connect(&server.address.to_string(), Some(&tls)).unwrap();

    assert_eq!(client.inventory().unwrap(), fake::snapshot());
    let predictions = client.predict(&fake::vm(), None).unwrap();
    assert_eq!(predictions, [(fake::host("h2"), fake::prediction())]);
    let to = fake::host("h9");
    assert_eq!(client.predict(&fake::vm(), Some(&to)).unwrap()[0].0, to);

    let vms = [NewVm {
        name: VmId::new("new-1").unwrap(),
        vcpus: 2,
        memory: Bytes::mib(1024),
        demand_cores: None,
        exclude: vec![fake::host("h1")],
    }];
    let placement = client.place(&vms, Batch::AllOrNothing).unwrap();
    assert_eq!(placing::place(&fake::room(), &vms, Batch::AllOrNothing), Ok(placement));
    for survive_loss in [true, false] {
        let request = CapacityRequest { flavours: flavours(), mixed: true, survive_loss };
        let counted = client.capacity(&request).unwrap();
        assert_eq!(placing::capacity(&fake::room(), &request), Ok(counted));
    }

    let planned = client.plan(&draining(7)).unwrap();
    assert_eq!(planned.plan, fake::plan(&drain(), 7));
    assert_eq!(planned.findings[0].code, "rule-broken-at-end");
    let simulated = client.simulate(&planned.text, 9).unwrap();
    assert_eq!((simulated.simulation.seed, simulated.simulation.runs), (9, 20));
    assert_eq!(simulated.findings, planned.findings);

    let begun = client.apply(&planned.text, planned.plan.digest.as_str()).unwrap();
    assert_eq!(begun.plan, planned.plan.id());
    let mut seen = Vec::new();
    let last =
        client.watch(&begun.plan, |state| seen.push(state.moves[0].state), || Ok(())).unwrap();
    assert_eq!(last, fake::execution(&planned.plan, MoveState::Settled));
    assert_eq!(seen.last(), Some(&MoveState::Settled));
    assert_eq!(client.operation(&begun.plan).unwrap(), last);
    assert_eq!(client.operations().unwrap(), [last]);
}

#[test]
fn cancelling_ends_the_stream() {
    let server = plain(Fake::holding());
    let client = server.client();
    let planned = client.plan(&PlanQuestion::new(Goal::Balance, 1)).unwrap();
    let id = client.apply(&planned.text, planned.plan.digest.as_str()).unwrap().plan;
    let watcher = thread::spawn({
        let (client, id) = (server.client(), id.clone());
        move || client.watch(&id, |_| {}, || Ok(())).unwrap()
    });
    thread::sleep(Duration::from_millis(300));
    assert!(client.cancel(&id).unwrap().cancelled);
    let last = watcher.join().unwrap();
    assert_eq!(last.moves[0].state, MoveState::Cancelled);
    assert!(last.ended && last.cancelled);
}

#[test]
fn a_stopping_server_ends_streams_and_says_so() {
    let mut server = plain(Fake::holding());
    let client = server.client();
    let planned = client.plan(&PlanQuestion::new(Goal::Balance, 1)).unwrap();
    let id = client.apply(&planned.text, planned.plan.digest.as_str()).unwrap().plan;
    let watcher = thread::spawn(move || client.watch(&id, |_| {}, || Ok(())).unwrap_err());
    thread::sleep(Duration::from_millis(300));
    let begin = Instant::now();
    server.stop();
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    let failure = watcher.join().unwrap();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(failure.message.contains("stopping"), "{failure:?}");
}

#[test]
fn what_is_not_known_is_not_found_with_a_hint() {
    let server = plain(Fake::default());
    let client = server.client();
    let unknown = PlanId::new("0123456789abcdef").unwrap();
    let failures = [
        client.predict(&VmId::new("db-9").unwrap(), None).unwrap_err(),
        client.operation(&unknown).unwrap_err(),
        client.cancel(&unknown).unwrap_err(),
        client.watch(&unknown, |_| {}, || Ok(())).unwrap_err(),
    ];
    for failure in failures {
        assert_eq!(failure.kind, FailureKind::NotFound, "{failure:?}");
        assert!(failure.hint.is_some(), "{failure:?}");
    }
}

#[test]
fn hostile_plan_texts_are_invalid_arguments_with_a_hint() {
    let server = plain(Fake::default());
    let good = server.client().plan(&draining(7)).unwrap();
    let texts = [
        String::new(),
        "\0\u{fffd}".to_owned(),
        "[".repeat(1 << 20),
        format!("x = \"{}\"", "é".repeat(1 << 20)),
        good.text.replace("h2", "h3"),
        good.text.replace(&format!("format = {FORMAT}"), "format = 99"),
        good.text.replace("60 s", "-60 s"),
        format!("extra = 1\n{}", good.text),
    ];
    raw(&server, async |channel| {
        let mut client = SchedulerClient::new(channel);
        for plan_text in texts {
            let request = v1::ApplyRequest {
                plan_text: plan_text.clone(),
                expected_digest: good.plan.digest.to_string(),
            };
            let applied = client.apply(request).await.unwrap_err();
            let request = v1::SimulateRequest { plan_text, seed: 1 };
            let simulated = client.simulate(request).await.unwrap_err();
            for status in [applied, simulated] {
                assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
                assert!(status.metadata().get(HINT).is_some(), "{status:?}");
            }
        }
    });
}

#[test]
fn digests_guard_what_is_applied() {
    let server = plain(Fake::default());
    let client = server.client();
    let planned = client.plan(&draining(7)).unwrap();
    let none = client.apply(&planned.text, "").unwrap_err();
    assert_eq!(none.kind, FailureKind::Invalid);
    let other = client.apply(&planned.text, &"0".repeat(64)).unwrap_err();
    assert_eq!(other.kind, FailureKind::Conflict);
    assert!(client.operations().unwrap().is_empty());
}

#[test]
fn malformed_requests_name_the_field() {
    let server = plain(Fake::default());
    raw(&server, async |channel| {
        let mut client = SchedulerClient::new(channel);
        let no_goal = client.plan(v1::PlanRequest::default()).await.unwrap_err();
        assert!(no_goal.message().contains("goal"), "{no_goal:?}");
        let request = v1::PredictRequest { vm: "../x".to_owned(), to_host: None };
        let bad_name = client.predict(request).await.unwrap_err();
        assert_eq!(bad_name.code(), Code::InvalidArgument);
        assert!(bad_name.message().contains("field vm"), "{bad_name:?}");
    });
}

#[test]
fn messages_over_the_limit_are_refused_and_the_connection_lives() {
    let server = plain(Fake::default());
    let client = server.client();
    let text = "x".repeat((16 << 20) + 1);
    assert!(client.simulate(&text, 1).is_err());
    assert!(client.inventory().is_ok());
}

#[test]
fn pages_cover_all_operations_once() {
    let server = plain(Fake::default());
    let client = server.client();
    let mut ids: Vec<String> = (0..5)
        .map(|seed| client.plan(&draining(seed)).unwrap())
        .map(|p| client.apply(&p.text, p.plan.digest.as_str()).unwrap().plan.to_string())
        .collect();
    ids.sort();
    let seen = raw(&server, async |channel| {
        let mut client = SchedulerClient::new(channel);
        let (mut seen, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListOperationsRequest { page_size: 2, page_token };
            let page = client.list_operations(request).await.unwrap().into_inner();
            seen.extend(page.operations.into_iter().map(|one| one.id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        let page_token = "nothing".to_owned();
        let request = v1::ListOperationsRequest { page_size: 2, page_token };
        let refused = client.list_operations(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        seen
    });
    assert_eq!(seen, ids);
}

#[test]
fn many_plans_in_the_making_hold_up_no_other_call() {
    let gate = Arc::new(Mutex::new(()));
    let server = plain(Fake::gated(Arc::clone(&gate)));
    let closed = gate.lock().unwrap();
    raw(&server, async |channel| {
        let mut client = SchedulerClient::new(channel);
        let plans: Vec<_> = (0..40)
            .map(|seed| {
                let (mut client, request) = (client.clone(), draining(seed).to_wire());
                tokio::spawn(async move { client.plan(request).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let answer = client.list_operations(v1::ListOperationsRequest::default());
        let answer = tokio::time::timeout(Duration::from_secs(20), answer).await;
        drop(closed);
        assert!(answer.unwrap().is_ok());
        for plan in plans {
            assert!(plan.await.unwrap().is_ok());
        }
    });
}
