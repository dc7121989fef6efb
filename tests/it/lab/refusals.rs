//! What must be refused on real hosts, with nothing changed.

use std::fs;

use super::bed::Bed;

pub(super) fn stale_and_edited(bed: &Bed) {
    bed.start("h1", "refused");
    let before = (bed.whereabouts(), bed.journal());
    // It is planned for the moment of its snapshot; looking at the hosts again takes longer than
    // its policy allows.
    bed.plan_drain("h1", "impatient.toml", "stale.toml");
    std::thread::sleep(std::time::Duration::from_secs(1));
    let stale = bed.apply("stale.toml", "impatient.toml");
    stale.ends_with(1).names(&["not applied"]);
    assert!(stale.stdout.contains("NO: snapshot: its snapshot is"), "{stale:?}");
    assert!(stale.stdout.contains("the limit is 1.0 s"), "{stale:?}");

    let plan = bed.plan_drain("h1", "fast.toml", "plan.toml");
    let other_policy = bed.apply("plan.toml", "slow.toml");
    other_policy.ends_with(1);
    assert!(other_policy.stdout.contains("made under another policy"), "{other_policy:?}");

    let to = plan.moves().next().unwrap().1.to.to_string();
    let other = if to == "h2" { "h3" } else { "h2" };
    let text = fs::read_to_string(bed.path("plan.toml")).unwrap();
    let edited = text.replace(&format!("to = \"{to}\""), &format!("to = \"{other}\""));
    fs::write(bed.path("edited.toml"), edited).unwrap();
    bed.apply("edited.toml", "fast.toml").ends_with(2).names(&["edited.toml", "digest"]);

    assert_eq!((bed.whereabouts(), bed.journal()), before);
    bed.is_whole_on("refused", "h1");
    bed.stop(&["refused"]);
}

/// While a plan is executed no other may begin, and none may touch the same guest.
pub(super) fn beside_another(bed: &Bed) {
    bed.start_at(64, "h1", "moving");
    bed.start("h3", "bystander");
    bed.plan_drain("h3", "fast.toml", "other.toml");
    let plan = bed.plan_drain_at(64, "h1", "slower.toml", "plan.toml");
    let running = bed.begin("plan.toml", "slower.toml");

    let same = bed.apply("plan.toml", "slower.toml");
    same.ends_with(1);
    assert!(same.stdout.contains("moving: is already being migrated"), "{same:?}");
    let second = bed.apply("other.toml", "fast.toml");
    second.ends_with(2).names(&["journal.sqlite", "open in another process"]);
    bed.run(&["apply", "--resume", "--policy", "slower.toml"])
        .ends_with(2)
        .names(&["open in another process"]);

    running.finish().ends_with(0);
    bed.is_whole_on("moving", plan.moves().next().unwrap().1.to.as_str());
    bed.is_whole_on("bystander", "h3");
    bed.stop(&["moving", "bystander"]);
}
