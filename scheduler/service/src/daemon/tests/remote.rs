//! End to end: the daemon behind its API, the command line in front of it.

use std::{path::Path, process::ExitCode, thread, time::Duration};

use tokio::sync::oneshot;

use super::world::{Lab, until};
use crate::{
    Failure, cli, files,
    grpc::{Backend as _, Security, ServeOptions, Server},
};

/// Runs the program with `--endpoint` and the words of `line`.
fn whimbrel(endpoint: &str, line: &str) -> ExitCode {
    let words = ["whimbrel", "--endpoint", endpoint];
    cli::run(words.into_iter().chain(line.split_whitespace()).map(Into::into))
}

#[test]
fn the_verbs_go_through_an_endpoint() {
    let lab = Lab::new();
    let daemon = lab.daemon();
    let backend = daemon.backend();
    until("the first observation", || backend.inventory().is_ok());
    let listen = ([127, 0, 0, 1], 0).into();
    let server =
        Server::bind(&ServeOptions { listen, security: Security::InsecureLoopback }).unwrap();
    let endpoint = format!("http://{}", server.address());
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = thread::spawn({
        let backend = daemon.backend();
        move || -> Result<(), Failure> { server.run(backend, async { drop(stopped.await) }) }
    });
    let directory = tempfile::tempdir().unwrap();
    let shown = |name: &str| directory.path().join(name).display().to_string();
    let (plan, snapshot) = (shown("plan.toml"), shown("snapshot.json"));
    let run = |line: &str| whimbrel(&endpoint, line);
    let (done, no, error) = (ExitCode::SUCCESS, ExitCode::from(1), ExitCode::from(2));

    assert_eq!(run(&format!("inventory --save {snapshot}")), done);
    assert_eq!(files::read_snapshot(Path::new(&snapshot)).unwrap().domains.len(), 3);
    assert_eq!(run("predict a --to h2 --output json"), done);
    assert_eq!(run("predict nobody"), error);
    assert_eq!(run("plan drain h2"), no, "nothing to do");
    assert_eq!(run(&format!("plan drain h1 --out {plan}")), done);
    assert_eq!(run(&format!("plan drain h1 --explain a --out {plan} --output json")), done);
    assert_eq!(run("plan drain h1 --explain stays"), done);
    assert_eq!(run("plan drain h1 --explain nobody"), error);
    assert_eq!(run(&format!("plan balance --previous {plan}")), no, "nothing is overloaded");
    assert_eq!(run("plan balance --anew"), no);
    assert_eq!(run(&format!("plan reverse --plan {plan}")), no, "nothing was moved yet");
    assert_eq!(run(&format!("plan resume --plan {plan} --output json")), done);
    assert_eq!(run("rescue h1 --priority a=2,b=-1"), done);
    assert_eq!(run("rescue"), error, "every host answers");
    assert_eq!(run(&format!("simulate {plan} --output json")), done);
    assert_eq!(run(&format!("apply {plan}")), done);
    assert!(lab.written().is_empty(), "a dry run changes nothing");
    lab.allow(5000);
    assert_eq!(run(&format!("apply {plan} --execute")), done);
    assert_eq!(backend.operations().unwrap().len(), 1);
    assert_eq!(run(&format!("apply {plan} --execute")), no, "its guests are gone from h1");
    assert_eq!(run("apply --resume"), no, "nothing is unfinished");
    assert_eq!(run(&format!("plan reverse --plan {plan}")), done);
    for refused in [
        "collect",
        "demo",
        "predict a --seed 2",
        "plan balance --report r.html",
        "plan balance --telemetry .",
        "--policy p.toml inventory",
        "--ca ca.pem inventory",
    ] {
        assert_eq!(run(refused), error, "{refused}");
    }
    drop(stop);
    serving.join().unwrap().unwrap();
    daemon.stop(Duration::from_secs(10)).unwrap();
    assert_eq!(run("inventory"), error, "nobody listens");
}
