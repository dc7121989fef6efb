//! Whatever goes wrong, whenever: no guest is lost or doubled, no room is exceeded, and every move
//! comes to an end.

use proptest::{prelude::*, test_runner::RngSeed};
use whimbrel_core::units::{BytesPerSecond, Span};
use whimbrel_simulator::{Death, Fault, Plane, Restart, Scenario};

use crate::common::{first_fit, scenario};

fn moment() -> impl Strategy<Value = Span> {
    (0u64..60_000).prop_map(Span::from_millis)
}

fn fault() -> impl Strategy<Value = Fault> {
    let host = prop::sample::select(vec!["h1", "h2", "h3"]);
    let vm = prop::sample::select(vec!["web", "cache", "batch"]);
    let lasts = prop::option::of(moment());
    (0..5, moment(), host, vm, lasts).prop_map(|(kind, at, host, vm, lasts)| {
        let (host, vm) = (host.parse().unwrap(), vm.parse().unwrap());
        match kind {
            0 => Fault::PowerCut { at, host },
            1 => Fault::LinkCut { at, host, networks: Plane::ALL.to_vec(), lasts },
            2 => Fault::SlowLink { at, host, bandwidth: BytesPerSecond::mib(3), lasts },
            3 => Fault::RefuseMigration { at, vm },
            _ => Fault::StuckMigration { at, vm },
        }
    })
}

fn restart() -> impl Strategy<Value = Restart> {
    (moment(), moment()).prop_map(|(at, away)| Restart { dies: Death::At(at), away })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_that_must_never_happen_happens(
        seed in 0u64..1000,
        fault in prop::collection::vec(fault(), 0..5),
        restart in prop::collection::vec(restart(), 0..2),
        period in prop::sample::select(vec![0, 1000, 4000]),
    ) {
        let calm = scenario(include_str!("../../../tests/scenarios/plain-drain.toml"));
        let horizon = Span::from_seconds(3600);
        let mut rough = Scenario { seed, fault, restart, horizon, ..calm };
        rough.physics.collection_period = Span::from_millis(period);
        let outcome = rough.run(first_fit).unwrap().outcome;
        prop_assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
        prop_assert!(outcome.execution.ended, "{:#?}", outcome.execution.moves);
    }
}
