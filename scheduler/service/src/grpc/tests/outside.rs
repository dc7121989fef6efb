//! What tools see: the health service, reflection, and a Python client.

use std::{path::Path, process::Command};

use tokio::sync::watch;
use tokio_stream::StreamExt as _;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use super::*;

const SERVICE: &str = "whimbrel.v1.Scheduler";

#[test]
fn health_says_serving() {
    let server = plain(Fake::default());
    raw(&server, async |channel| {
        let mut client = HealthClient::new(channel);
        for service in ["", SERVICE] {
            let request = HealthCheckRequest { service: service.to_owned() };
            let response = client.check(request).await.unwrap().into_inner();
            assert_eq!(response.status(), ServingStatus::Serving, "{service:?}");
        }
    });
}

#[test]
fn health_says_what_keeps_plans_from_being_executed() {
    let fault = watch::Sender::new(Some("the disk is full".to_owned()));
    let server = plain(Fake::with(fault.clone()));
    let check = |service: &'static str| {
        raw(&server, async |channel| {
            let request = HealthCheckRequest { service: service.to_owned() };
            HealthClient::new(channel).check(request).await.unwrap().into_inner().status()
        })
    };
    let becomes = |expected| {
        let until = Instant::now() + Duration::from_secs(10);
        while check(SERVICE) != expected {
            assert!(Instant::now() < until, "never {expected:?}");
            thread::sleep(Duration::from_millis(10));
        }
    };
    becomes(ServingStatus::NotServing);
    assert_eq!(check(""), ServingStatus::Serving);
    fault.send_replace(None);
    becomes(ServingStatus::Serving);
}

#[test]
fn reflection_lists_the_service_and_its_methods() {
    let server = plain(Fake::default());
    let ask = |message_request: MessageRequest| {
        raw(&server, async |channel| {
            let request = ServerReflectionRequest {
                host: String::new(),
                message_request: Some(message_request),
            };
            let mut client = ServerReflectionClient::new(channel);
            let answers = client.server_reflection_info(tokio_stream::once(request)).await;
            let answer = answers.unwrap().into_inner().next().await.unwrap().unwrap();
            answer.message_response.unwrap()
        })
    };
    let MessageResponse::ListServicesResponse(list) =
        ask(MessageRequest::ListServices(String::new()))
    else {
        panic!("not a list")
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(names.contains(&SERVICE), "{names:?}");
    let MessageResponse::FileDescriptorResponse(files) =
        ask(MessageRequest::FileContainingSymbol(format!("{SERVICE}.WatchOperation")))
    else {
        panic!("not a descriptor")
    };
    assert_eq!(files.file_descriptor_proto.len(), 1);
}

#[test]
#[ignore = "installs grpcio-tools with pip into a temporary directory"]
fn a_python_client_drains_a_host() {
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/python");
    let certificates = Certificates::make();
    let server = Running::start(certificates.security(), Fake::default());
    let directory = tempfile::tempdir().unwrap();
    let python = directory.path().join("bin/python");
    let run = |command: &mut Command| {
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let made = run(Command::new("python3").args(["-m", "venv"]).arg(directory.path()));
    assert_eq!(made.0, Some(0), "{made:?}");
    let requirements = client.join("requirements.txt");
    let installed = run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--requirement"])
        .arg(requirements));
    assert_eq!(installed.0, Some(0), "{installed:?}");

    let drain = |host: &str, name: &str| {
        run(Command::new(&python)
            .arg(client.join("drain.py"))
            .args(["--endpoint", &server.address.to_string(), "--drain", host])
            .args([Path::new("--ca"), &certificates.cert("ca")])
            .args([Path::new("--cert"), &certificates.cert(name)])
            .args([Path::new("--key"), &certificates.key(name)]))
    };
    let done = drain("h1", "client");
    assert_eq!(done.0, Some(0), "{done:?}");
    assert!(done.1.contains("db-1: h1 -> h2"), "{done:?}");
    assert!(done.1.contains("succeeded"), "{done:?}");
    let refused = drain("h2", "client");
    assert_eq!(refused.0, Some(1), "{refused:?}");
    assert!(refused.1.contains("not-drained"), "{refused:?}");
    let stranger = drain("h1", "stranger");
    assert_eq!(stranger.0, Some(2), "{stranger:?}");
    let nonsense = drain("../h1", "client");
    assert_eq!(nonsense.0, Some(2), "{nonsense:?}");
    assert!(nonsense.2.contains("hint:"), "{nonsense:?}");
}
