//! Times placing on clusters of a thousand and ten thousand hosts, and counting on a hundred; one
//! line of JSON each.
//!
//!     cargo run --release -p whimbrel-benches --features planning --bin whimbrel-placing -- \
//!         [--one-by-one]

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::{error::Error, process::ExitCode};

use serde_json::json;
use whimbrel_benches::{
    cluster::Cluster,
    cpu_time,
    placing::{count, count_one_by_one, flavour, place_each},
};
use whimbrel_planner::placing::Room;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        [] => run(false),
        ["--one-by-one"] => run(true),
        _ => Err("usage: whimbrel-placing [--one-by-one]".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(one_by_one: bool) -> Result<(), Box<dyn Error>> {
    for (hosts, vms) in [(1000, 10_000), (10_000, 100_000)] {
        let took = place_each(hosts, vms)?;
        let line = json!({
            "hosts": hosts,
            "vms": vms,
            "build_seconds": took.build.as_secs_f64(),
            "place_p50_ms": took.p50.as_secs_f64() * 1e3,
            "place_p99_ms": took.p99.as_secs_f64() * 1e3,
        });
        println!("{line}");
    }
    let cluster = Cluster::new(100, 2500);
    let room = Room::new(&cluster.snapshot, &cluster.policy)?;
    for (mib, vcpus) in [(4096, 2), (16_384, 4), (32_768, 8)] {
        let flavour = flavour(mib, vcpus);
        let counted = count(&room, &flavour)?;
        let seconds = cpu_time::seconds_each(3, || count(&room, &flavour))?;
        let before = cpu_time::of_this_process()?;
        let checked = one_by_one.then(|| count_one_by_one(&room, &flavour)).transpose()?;
        let took = cpu_time::of_this_process()?.saturating_sub(before).as_secs_f64();
        let line = json!({
            "hosts": 100,
            "vms": 2500,
            "flavour": flavour.name,
            "more": counted.rounds,
            "capacity_cpu_seconds": seconds,
            "one_by_one": checked,
            "one_by_one_cpu_seconds": checked.map(|_| took),
        });
        println!("{line}");
    }
    Ok(())
}
