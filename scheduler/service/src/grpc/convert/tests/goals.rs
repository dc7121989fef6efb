//! Every goal there and back, and goals that nobody can mean.

use whimbrel_core::{
    VmId,
    plan::{Flavour, Reason},
    units::Timestamp,
};

use super::*;

/// Names of hosts and VMs.
pub(super) const NAME: &str = "[a-z][a-z0-9-]{0,12}";

pub(super) fn host_id() -> impl Strategy<Value = HostId> {
    NAME.prop_map(|name| HostId::new(&name).unwrap())
}

pub(super) fn vm_id() -> impl Strategy<Value = VmId> {
    NAME.prop_map(|name| VmId::new(&name).unwrap())
}

fn flavour() -> impl Strategy<Value = Flavour> {
    let sizes = (1..=4096_u32, 1..=1_u64 << 50, 1..=10_000_u32);
    (proptest::option::of(NAME), sizes).prop_map(|(name, (vcpus, memory, count))| Flavour {
        name,
        vcpus,
        memory: Bytes::new(memory),
        count,
    })
}

pub(super) fn goal() -> impl Strategy<Value = Goal> {
    let flavours = proptest::collection::vec(flavour(), 0..4);
    let places = proptest::collection::btree_map(vm_id(), host_id(), 0..6);
    let hosts = proptest::collection::btree_set(NAME, 1..5);
    let drain =
        (hosts, any::<Option<u64>>(), any::<bool>()).prop_map(|(hosts, deadline, strict)| {
            let drain = v1::DrainGoal {
                hosts: hosts.into_iter().collect(),
                deadline_micros: deadline,
                strict,
            };
            let kind = Some(v1::goal::Kind::Drain(drain));
            Goal::from_wire(v1::Goal { kind }).unwrap()
        });
    prop_oneof![
        drain,
        Just(Goal::Balance),
        Just(Goal::Even),
        Just(Goal::Powersave),
        flavours.prop_map(|flavours| Goal::Defragment { flavours }),
        places.prop_map(|places| Goal::Restore { places }),
    ]
}

proptest! {
    #[test]
    fn every_goal_survives(goal in goal()) {
        prop_assert_eq!(Goal::from_wire(goal.to_wire()), Ok(goal));
    }

    #[test]
    fn drains_keep_all_their_hosts(
        hosts in proptest::collection::btree_set(NAME, 1..9),
        deadline_micros in any::<Option<u64>>(),
        strict in any::<bool>(),
    ) {
        let drain = v1::DrainGoal { hosts: hosts.iter().cloned().collect(), deadline_micros, strict };
        let message = v1::Goal { kind: Some(v1::goal::Kind::Drain(drain)) };
        let goal = Goal::from_wire(message.clone()).unwrap();
        let emptied: std::collections::BTreeSet<String> = goal.emptied().map(ToString::to_string).collect();
        prop_assert_eq!(emptied, hosts);
        prop_assert_eq!(goal.to_wire(), message);
    }

    #[test]
    fn reasons_survive_with_their_figures(
        reason in reason(),
    ) {
        let message = reason.to_wire();
        prop_assert_eq!(&message.text, &reason.to_string());
        prop_assert_eq!(Reason::from_wire(message), Ok(reason));
    }
}

/// Seconds, shares and factors as they come out of a computation.
pub(super) fn figure() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        (-1_000_000..1_000_000_i64).prop_map(|whole| whole as f64),
        -1e18..1e18_f64,
        -1.0..1.0_f64
    ]
}

/// Every reason.
pub(super) fn reason() -> impl Strategy<Value = Reason> {
    let moment =
        (1_600_000_000_000_000..4_000_000_000_000_000_u64).prop_map(Timestamp::from_micros);
    let (a, b, c) = (figure(), figure(), figure());
    (0..19_u32, (a, b, c), host_id(), ".{0,20}", moment, any::<u32>()).prop_map(
        |(kind, (a, b, c), host, text, moment, limit)| match kind {
            0 => Reason::HostDrained,
            1 => Reason::Relieves { host, gain_seconds: a, cost_seconds: b },
            2 => Reason::EvensOut { gain: a, gain_min: b },
            3 => Reason::Restored,
            4 => Reason::RuleBroken { rule: text },
            5 => Reason::GainTooSmall { gain_seconds: a, cost_seconds: b, gain_factor: c },
            6 => Reason::WellPlaced,
            7 => Reason::WouldStall { converges: a },
            8 => Reason::HeldByRule { rule: text },
            9 => Reason::NoRoom,
            10 => Reason::MakesRoom { host },
            11 => Reason::MovesLimit { limit },
            12 => Reason::Resting { until: moment },
            13 => Reason::OutsideWindow { rule: text, opens: moment },
            14 => Reason::Migrating,
            15 => Reason::NeedsHuman,
            16 => Reason::HostUnreachable,
            17 => Reason::Unpredictable { why: text },
            _ => Reason::Relieves { host, gain_seconds: b, cost_seconds: c },
        },
    )
}

#[test]
fn goals_that_nobody_can_mean_name_the_field() {
    use v1::goal::Kind;
    let wanted = |vcpus, memory_bytes, count| {
        let one = v1::WantedFlavour { name: String::new(), vcpus, memory_bytes, count };
        Kind::Defragment(v1::DefragmentGoal { flavours: vec![one] })
    };
    let place = |vm: &str, host: &str| v1::VmPlace { vm: vm.to_owned(), host: host.to_owned() };
    let restore = |places| Kind::Restore(v1::RestoreGoal { places });
    let drain = |hosts: &[&str]| {
        let hosts = hosts.iter().map(ToString::to_string).collect();
        Kind::Drain(v1::DrainGoal { hosts, ..v1::DrainGoal::default() })
    };
    let one = v1::WantedFlavour { vcpus: 1, memory_bytes: 1, count: 1, ..Default::default() };
    let many = Kind::Defragment(v1::DefragmentGoal { flavours: vec![one; 100_001] });
    let faults = [
        (drain(&[]), "goal.drain.hosts"),
        (drain(&["h1", ""]), "goal.drain.hosts"),
        (drain(&["../h1"]), "goal.drain.hosts"),
        (wanted(0, 1, 1), "goal.defragment.flavours.vcpus"),
        (wanted(4097, 1, 1), "goal.defragment.flavours.vcpus"),
        (wanted(1, 0, 1), "goal.defragment.flavours.memory_bytes"),
        (wanted(1, u64::MAX, 1), "goal.defragment.flavours.memory_bytes"),
        (wanted(1, 1, 0), "goal.defragment.flavours.count"),
        (wanted(1, 1, u32::MAX), "goal.defragment.flavours.count"),
        (many, "goal.defragment.flavours"),
        (restore(vec![place("", "h1")]), "goal.restore.places.vm"),
        (restore(vec![place("a", "a b")]), "goal.restore.places.host"),
        (restore(vec![place("a", "h1"), place("a", "h2")]), "goal.restore.places.vm"),
        (restore(vec![place("a", "h1"); 100_001]), "goal.restore.places"),
    ];
    for (kind, field) in faults {
        let read = Goal::from_wire(v1::Goal { kind: Some(kind) });
        assert_eq!(read.map_err(|e| e.field), Err(field));
    }
}
