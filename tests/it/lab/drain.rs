//! What must work: collect, plan, apply, over both transports.

use std::{collections::BTreeSet, fs};

use whimbrel_core::{migration::MoveState, ports::Entry, settings::Transport};
use whimbrel_tests::lab_cluster;

use super::bed::Bed;

/// Nine guests of every kind; one host is emptied while they write.
pub(super) fn arrives(bed: &Bed) {
    lab_cluster::start_guests(&bed.lab).unwrap();
    let guests: Vec<String> =
        lab_cluster::guests().into_iter().map(|(_, spec)| spec.name).collect();
    let before = bed.whereabouts();
    assert_eq!(before.len(), guests.len());

    let collected = bed.run(&["collect", "--for", "40 s"]);
    collected.ends_with(0);
    assert!(collected.stdout.contains("3 of 3 hosts answer, 9 domains"), "{collected:?}");
    let measured: BTreeSet<String> =
        bed.telemetry().dirty().unwrap().into_iter().map(|row| row.vm.to_string()).collect();
    assert_eq!(measured, guests.iter().cloned().collect());

    let policy = ["--policy", "policy.toml"];
    bed.run(&[&["plan", "drain", "h1", "--out", "drain.toml"], &policy[..]].concat()).ends_with(0);
    let dry = bed.run(&[&["apply", "drain.toml"], &policy[..]].concat());
    dry.ends_with(0);
    assert!(dry.stdout.contains("dry run: nothing was changed"), "{dry:?}");
    assert_eq!(bed.whereabouts(), before);
    assert!(!bed.path("whimbrel-state").exists(), "a dry run writes no journal");

    let apply = ["apply", "drain.toml", "--execute", "--report", "report.html"];
    let applied = bed.run(&[&apply, &policy[..]].concat());
    applied.ends_with(0);
    assert!(applied.stdout.contains("4 of 4 moves arrived"), "{applied:?}");
    assert!(fs::read_to_string(bed.path("report.html")).unwrap().contains("batch"));

    let plan = whimbrel::files::read_plan(&bed.path("drain.toml")).unwrap();
    let mut expected = before;
    for (_, one) in plan.moves() {
        expected.insert(one.vm.to_string(), vec![one.to.to_string()]);
    }
    assert_eq!(bed.whereabouts(), expected);
    assert!(expected.values().flatten().all(|host| host != "h1"));
    for guest in &guests {
        bed.is_whole(guest);
    }

    let records = bed.migrations();
    assert_eq!(records.len(), 4);
    for record in records {
        let (stats, predicted) = (record.stats.unwrap(), record.predicted.unwrap());
        assert!(record.arrived, "{}", record.vm);
        assert!(stats.transferred.get() > 0 && stats.total_time.as_micros() > 0, "{}", record.vm);
        eprintln!(
            "          {:6} took {} ({} .. {} predicted), sent {}",
            record.vm,
            stats.total_time.human(),
            predicted.total_time.p05.human(),
            predicted.total_time.p95.human(),
            stats.transferred.human(),
        );
    }
    bed.stop(&guests.iter().map(String::as_str).collect::<Vec<_>>());
}

/// In the clear and under TLS, as the policy says.
pub(super) fn both_transports(bed: &Bed) {
    for (policy, transport) in [("fast.toml", Transport::Tcp), ("fast-tls.toml", Transport::Tls)] {
        bed.start("h1", "carried");
        let plan = bed.plan_drain("h1", policy, "carry.toml");
        bed.apply("carry.toml", policy).ends_with(0);
        let (_, one) = plan.moves().next().unwrap();
        bed.is_whole_on("carried", one.to.as_str());
        assert_eq!(bed.migrations().last().unwrap().settings.transport, transport);
        let settled = bed.journal().into_iter().rev().find_map(|record| match record.entry {
            Entry::Became { state: MoveState::Settled, stats, .. } => Some(stats),
            _ => None,
        });
        assert!(settled.unwrap().is_some());
        bed.stop(&["carried"]);
    }
}
