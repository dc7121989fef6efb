//! The program or a host dies in mid-copy, or nobody wants the plan any more.

use whimbrel_core::{
    migration::MoveState,
    ports::{Entry, Record},
};

use super::bed::Bed;

/// The states that the journal's last plan went through, in order.
fn states(journal: &[Record]) -> Vec<MoveState> {
    let accepted = |record: &Record| matches!(record.entry, Entry::PlanAccepted { .. });
    let last = journal.iter().rposition(accepted).unwrap();
    let state = |record: &Record| match &record.entry {
        Entry::Became { state, .. } => Some(*state),
        _ => None,
    };
    journal[last..].iter().filter_map(state).collect()
}

/// SIGKILL in mid-copy: libvirt goes on, a new process adopts the migration and ends the plan.
pub(super) fn killed_and_resumed(bed: &Bed) {
    bed.start("h1", "adopted");
    bed.start("h3", "bystander");
    bed.plan_drain("h3", "fast.toml", "other.toml");
    let plan = bed.plan_drain("h1", "slow.toml", "plan.toml");
    bed.begin("plan.toml", "slow.toml").kill();
    assert!(bed.migrates("adopted", "h1"), "the kill came too late to mean anything");

    let another = bed.apply("other.toml", "fast.toml");
    another.ends_with(2).names(&[plan.id().as_str(), "left unfinished"]).hints("apply --resume");

    let resumed = bed.run(&["apply", "--resume", "--policy", "slow.toml"]);
    resumed.ends_with(0);
    assert!(resumed.stdout.contains("1 of 1 moves arrived"), "{resumed:?}");
    assert_eq!(bed.whereabouts().len(), 2);
    bed.is_whole_on("adopted", plan.moves().next().unwrap().1.to.as_str());
    bed.is_whole_on("bystander", "h3");
    let journal = bed.journal();
    assert!(matches!(journal.last().unwrap().entry, Entry::PlanEnded));
    assert_eq!(states(&journal).last(), Some(&MoveState::Settled));
    assert!(bed.migrations().last().unwrap().stats.is_some(), "the figures were fetched");

    let again = bed.run(&["apply", "--resume", "--policy", "slow.toml"]);
    again.ends_with(1);
    assert!(again.stdout.contains("nothing to resume"), "{again:?}");
    let other = bed.plan_drain("h3", "fast.toml", "other.toml");
    bed.apply("other.toml", "fast.toml").ends_with(0);
    bed.is_whole_on("bystander", other.moves().next().unwrap().1.to.as_str());
    bed.stop(&["adopted", "bystander"]);
}

/// SIGINT in mid-copy: the guest stays, the journal says so, and the next plan works.
pub(super) fn interrupted(bed: &Bed) {
    bed.start("h1", "stays");
    bed.plan_drain("h1", "slow.toml", "plan.toml");
    let running = bed.begin("plan.toml", "slow.toml");
    running.interrupt();
    let ran = running.finish();
    ran.ends_with(1).names(&["cancelling"]);
    assert!(ran.stdout.contains("cancelled") && ran.stdout.contains("0 of 1"), "{ran:?}");
    bed.is_whole_on("stays", "h1");
    assert!(!bed.migrates("stays", "h1"));
    let journal = bed.journal();
    assert!(journal.iter().any(|record| matches!(record.entry, Entry::PlanCancelled)));
    assert!(matches!(journal.last().unwrap().entry, Entry::PlanEnded));
    assert_eq!(states(&journal).last(), Some(&MoveState::Cancelled));

    let plan = bed.plan_drain("h1", "fast.toml", "plan.toml");
    bed.apply("plan.toml", "fast.toml").ends_with(0);
    bed.is_whole_on("stays", plan.moves().next().unwrap().1.to.as_str());
    bed.stop(&["stays"]);
}

/// The target is gone in mid-copy: the guest never left, so nothing about it is unknown.
pub(super) fn target_without_power(bed: &Bed) {
    bed.start("h1", "survives");
    let plan = bed.plan_drain("h1", "slow.toml", "plan.toml");
    let to = plan.moves().next().unwrap().1.to.to_string();
    let running = bed.begin("plan.toml", "slow.toml");
    bed.lab.power_cut(&to).unwrap();
    let ran = running.finish();
    ran.ends_with(1);
    assert!(ran.stdout.contains("failed") && !ran.stdout.contains("UNKNOWN"), "{ran:?}");
    assert_eq!(states(&bed.journal()).last(), Some(&MoveState::Failed));
    bed.is_whole_on("survives", "h1");

    bed.lab.power_on(&to).unwrap();
    let plan = bed.plan_drain("h1", "fast.toml", "plan.toml");
    bed.apply("plan.toml", "fast.toml").ends_with(0);
    bed.is_whole_on("survives", plan.moves().next().unwrap().1.to.as_str());
    bed.stop(&["survives"]);
}
