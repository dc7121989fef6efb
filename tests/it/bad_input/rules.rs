//! Rules that cannot hold together: every culprit is named, before anything is searched.

use super::{DRAIN, policy::refused};
use crate::program::Place;

fn among(kind: &str, name: &str, vms: &str) -> String {
    format!("[[rule]]\nkind = \"{kind}\"\nname = \"{name}\"\nvms = {vms}\n")
}

fn hosts(kind: &str, name: &str, vms: &str, hosts: &str) -> String {
    format!("{}hosts = {hosts}\n", among(kind, name, vms))
}

#[test]
fn together_and_apart() {
    let both = [
        among("affinity", "one-rack", r#"["web-1", "web-2"]"#),
        among("anti-affinity", "spread", r#"["db-1", "web-2", "web-1"]"#),
    ];
    for order in [[0, 1], [1, 0]] {
        refused(&order.map(|index| both[index].clone()).concat())
            .names(&["one-rack", "spread", "contradict", "web-1", "web-2"])
            .hints("drop one");
    }
}

#[test]
fn pinned_here_and_pinned_there() {
    let here = hosts("pin", "licence", r#"["web-1"]"#, r#"["h2"]"#);
    let there = hosts("pin", "near-disk", r#"["web-1", "web-2"]"#, r#"["h1", "h3"]"#);
    refused(&format!("{here}{there}"))
        .names(&["licence", "near-disk", "contradict", "web-1"])
        .hints("in common");
}

#[test]
fn pinned_and_excluded() {
    let pin = hosts("pin", "licence", r#"["web-1"]"#, r#"["h2"]"#);
    let exclude = hosts("exclude", "noisy", r#"["web-1"]"#, r#"["h2"]"#);
    refused(&format!("{pin}{exclude}"))
        .names(&["licence", "noisy", "contradict", "web-1"])
        .hints("in common");
}

#[test]
fn excluded_from_everywhere() {
    let some = hosts("exclude", "noisy", r#"["web-1"]"#, r#"["h1", "h2"]"#);
    let rest = hosts("exclude", "far", r#"["web-1"]"#, r#"["h3"]"#);
    refused(&format!("{some}{rest}")).names(&["noisy", "far", "web-1"]).hints("in common");
}

#[test]
fn apart_on_fewer_hosts_than_machines() {
    let apart = among("anti-affinity", "spread", r#"["web-1", "web-2"]"#);
    let pin = hosts("pin", "licence", r#"["web-1", "web-2"]"#, r#"["h2"]"#);
    refused(&format!("{apart}{pin}"))
        .names(&["spread", "licence", "contradict", "2 domains", "1 hosts"])
        .hints("licence");
    refused(&among("anti-affinity", "spread", r#"["web-1", "web-2", "db-1", "db-2"]"#))
        .names(&["spread", "4 domains", "3 hosts"])
        .hints("add hosts");
}

#[test]
fn together_where_their_own_rules_do_not_let_them() {
    let together = among("affinity", "one-rack", r#"["web-1", "web-2"]"#);
    let first = hosts("pin", "licence", r#"["web-1"]"#, r#"["h2"]"#);
    let second = hosts("exclude", "noisy", r#"["web-2"]"#, r#"["h2"]"#);
    refused(&format!("{together}{first}{second}"))
        .names(&["one-rack", "licence", "noisy", "contradict"])
        .hints("in common");
}

#[test]
fn a_host_that_does_not_exist() {
    refused(&hosts("pin", "licence", r#"["web-1"]"#, r#"["h9"]"#))
        .names(&["licence", "h9", "not in the snapshot"])
        .hints("h1, h2, h3");
}

#[test]
fn a_rule_that_leaves_the_drained_guest_no_host() {
    refused(&hosts("exclude", "noisy", r#"["web-1"]"#, r#"["h2", "h3"]"#))
        .names(&["h1 cannot be emptied", "web-1", "h2: rule \"noisy\"", "h3: rule \"noisy\""])
        .hints("relax the rule");
}

#[test]
fn rules_that_agree_are_no_contradiction() {
    let place = Place::with_snapshot();
    let rules = [
        among("anti-affinity", "spread", r#"["web-1", "web-2"]"#),
        hosts("pin", "licence", r#"["web-1", "web-2"]"#, r#"["h2", "h3"]"#),
        hosts("exclude", "noisy", r#"["web-1"]"#, r#"["h2"]"#),
        among("affinity", "one-rack", r#"["web-2", "db-1"]"#),
    ];
    place.write("policy.toml", rules.concat());
    place.run(&[&DRAIN[..], &["--policy", "policy.toml"]].concat()).ends_with(0);
    let plan = place.plan("never-written.toml");
    let to =
        |vm: &str| plan.moves().find(|(_, one)| one.vm.as_str() == vm).unwrap().1.to.to_string();
    assert_eq!((to("web-1"), to("web-2")), ("h3".to_owned(), "h2".to_owned()));
}
