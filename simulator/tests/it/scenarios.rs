//! Every scenario file holds what it promises.

use whimbrel_core::migration::MoveState;

use crate::common::pass;

macro_rules! scenarios {
    ($($name:ident = $file:literal;)+) => {$(
        #[test]
        fn $name() {
            pass(include_str!(concat!("../../../tests/scenarios/", $file, ".toml")));
        }
    )+};
}

scenarios! {
    plain_drain = "plain-drain";
    link_cut = "link-cut";
    link_cut_mended = "link-cut-mended";
    link_cut_long = "link-cut-long";
    target_power_cut = "target-power-cut";
    source_power_cut = "source-power-cut";
    refused_migration = "refused-migration";
    stuck_migration = "stuck-migration";
    controller_restart = "controller-restart";
    slow_link = "slow-link";
}

#[test]
fn a_restarted_controller_still_has_the_figures_of_what_ended_before() {
    let text = include_str!("../../../tests/scenarios/controller-restart.toml");
    let outcome = pass(&text.replace("at = \"8 s\"", "at = \"25 s\""));
    let stats = |vm: &str| {
        let one = outcome.execution.moves.iter().find(|one| one.vm.as_str() == vm).unwrap();
        assert_eq!(one.state, MoveState::Settled);
        one.stats
    };
    assert!(stats("a").is_some());
}
