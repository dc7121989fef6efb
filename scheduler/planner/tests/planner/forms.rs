//! The plain form and Ganeti's text: what is written is read back, and what they say is understood.

use std::collections::BTreeMap;

use proptest::prelude::*;
use whimbrel_core::{HostState, VmId, plan::Goal, policy::Rule};
use whimbrel_planner::{
    formats::{self, Form, Plain, PlainHost, PlainLimits, PlainObjective, PlainVm, Problem, Read},
    input::record,
};

use crate::support::{Cluster, anti, drain, host_id, pin, vm_id};

/// What is read back of `problem` in `form`.
#[expect(clippy::panic, reason = "a helper that fails fails its test")]
fn rewritten(problem: Problem, form: Form) -> (Plain, String, Option<String>) {
    let read = Read { form, problem, left_out: Vec::new() };
    let written = read.write(form).unwrap();
    let read = formats::read(&written.text, written.dynamic_use.as_deref()).unwrap();
    assert_eq!(read.form, form);
    match read.problem {
        Problem::Plain(plain) => (*plain, written.text, written.dynamic_use),
        Problem::Whole(input) => panic!("{input:?}"),
    }
}

fn names(vms: &[PlainVm], chosen: &[usize]) -> Vec<VmId> {
    let mut names: Vec<VmId> =
        chosen.iter().filter_map(|at| Some(vms.get(*at)?.name.clone())).collect();
    names.sort();
    names.dedup();
    names
}

prop_compose! {
    fn host()(
        cores in 1u32..=400,
        memory_mib in 1024u64..1 << 21,
        system in 0u64..1024,
        speed in 1u32..20_000,
        up in prop::bool::weighted(0.9),
    ) -> PlainHost {
        PlainHost {
            name: host_id("unnamed"),
            cores: f64::from(cores),
            memory_mib,
            system_memory_mib: system,
            migration_mib_per_second: f64::from(speed) / 4.0,
            state: if up { HostState::Up } else { HostState::Maintenance },
        }
    }
}

prop_compose! {
    fn vm()(
        memory_mib in 1u64..1 << 17,
        vcpus in 1u32..64,
        milli in 0u32..64_000,
        host in any::<prop::sample::Index>(),
        cost in 0u32..100_000,
        loads in (0u32..100_000, 0u32..100_000),
    ) -> (PlainVm, prop::sample::Index) {
        let vm = PlainVm {
            name: vm_id("unnamed"),
            memory_mib,
            vcpus,
            use_cores: f64::from(milli) / 1000.0,
            host: None,
            move_cost_seconds: f64::from(cost) / 1000.0,
            dirty_mib_per_second: 0.0,
            priority: 0,
            disk_mb_per_second: f64::from(loads.0) / 100.0,
            network_mb_per_second: f64::from(loads.1) / 100.0,
        };
        (vm, host)
    }
}

prop_compose! {
    fn plain()(
        mut hosts in prop::collection::vec(host(), 1..6),
        drawn in prop::collection::vec(vm(), 0..12),
        groups in prop::collection::vec(prop::collection::vec(0usize..12, 2..5), 0..3),
        overcommit in 1u32..16,
        reserve in 0u32..30,
    ) -> Plain {
        for (index, host) in hosts.iter_mut().enumerate() {
            host.name = host_id(&format!("n{index}"));
        }
        let mut vms = Vec::new();
        for (index, (mut vm, host)) in drawn.into_iter().enumerate() {
            vm.name = vm_id(&format!("v{index:02}"));
            vm.host = Some(host.get(&hosts).name.clone());
            vms.push(vm);
        }
        let apart = groups.iter().map(|chosen| names(&vms, chosen)).filter(|vms| vms.len() > 1);
        let rules = apart
            .enumerate()
            .map(|(index, vms)| Rule::anti_affinity(&format!("apart:{index}"), vms))
            .collect();
        Plain {
            name: "drawn".to_owned(),
            goal: None,
            hosts,
            vms,
            rules,
            drain: Vec::new(),
            limits: PlainLimits {
                cpu_overcommit: f64::from(overcommit) / 2.0,
                memory_reserve: f64::from(reserve) / 100.0,
            },
            objective: PlainObjective { chords: vec![[0.1, 0.0]], horizon_seconds: 3600.0 },
        }
    }
}

/// Memory for guests, in MiB.
fn rooms(plain: &Plain) -> BTreeMap<String, u64> {
    let room = |host: &PlainHost| {
        let guests = (host.memory_mib - host.system_memory_mib) as f64;
        (guests * (1.0 - plain.limits.memory_reserve)) as u64
    };
    plain.hosts.iter().map(|host| (host.name.to_string(), room(host))).collect()
}

/// What Ganeti's text keeps of a guest.
fn kept(plain: &Plain) -> Vec<(&VmId, u64, u32, u64, u64)> {
    let one = |vm: &'_ PlainVm| (vm.use_cores * 1000.0).round() as u64;
    plain
        .vms
        .iter()
        .map(|vm| {
            (&vm.name, vm.memory_mib, vm.vcpus, one(vm), vm.disk_mb_per_second.round() as u64)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_plain_form_is_read_as_it_was_written(plain in plain()) {
        let (again, ..) = rewritten(Problem::Plain(Box::new(plain.clone())), Form::Plain);
        prop_assert_eq!(again, plain);
    }

    #[test]
    fn ganeti_keeps_what_it_has_a_place_for(plain in plain()) {
        let (again, text, used) = rewritten(Problem::Plain(Box::new(plain.clone())), Form::Ganeti);
        prop_assert_eq!(rooms(&again), rooms(&plain));
        prop_assert_eq!(kept(&again), kept(&plain));
        prop_assert_eq!(&again.rules, &plain.rules);
        prop_assert!(again.limits.cpu_overcommit.total_cmp(&plain.limits.cpu_overcommit).is_eq());
        let homes = |plain: &Plain| plain.vms.iter().map(|vm| vm.host.clone()).collect::<Vec<_>>();
        prop_assert_eq!(homes(&again), homes(&plain));
        let states = |plain: &Plain| plain.hosts.iter().map(|host| host.state).collect::<Vec<_>>();
        prop_assert_eq!(states(&again), states(&plain));
        // What was read is written again byte for byte.
        let (_, text_again, used_again) =
            rewritten(Problem::Plain(Box::new(again)), Form::Ganeti);
        prop_assert_eq!(text_again, text);
        prop_assert_eq!(used_again, used);
    }

    #[test]
    fn a_plain_problem_is_the_same_when_it_is_saved(plain in plain()) {
        let read = |text: &str| formats::read(text, None).unwrap();
        let written = |read: &Read, form| read.write(form).unwrap().text;
        let problem = Problem::Plain(Box::new(plain));
        let first = Read { form: Form::Plain, problem, left_out: Vec::new() };
        let saved = written(&first, Form::Whole);
        let again = read(&written(&read(&saved), Form::Plain));
        let (input, _) = first.input().unwrap();
        let (other, _) = again.input().unwrap();
        prop_assert_eq!(&other.costs, &input.costs);
        prop_assert_eq!(&other.policy.rules, &input.policy.rules);
        let bytes = |input: &whimbrel_planner::input::Input| {
            input.snapshot.domains.iter().map(|d| (d.memory, d.vcpus, d.cpu_used)).collect::<Vec<_>>()
        };
        prop_assert_eq!(bytes(&other), bytes(&input));
        prop_assert_eq!(other.snapshot.hosts, input.snapshot.hosts);
    }
}

#[test]
fn a_saved_cluster_can_be_given_to_others() {
    let cluster = Cluster::of(&["a", "b"])
        .vm("x", "a", 10, 4.0)
        .vm("y", "a", 10, 5.0)
        .rule(anti(&["x", "y"]))
        .rule(pin(&["x"], &["a"]));
    let (_, input) = record(&cluster.request(drain("b")));
    let read = formats::read(&formats::write(&input).unwrap().text, None).unwrap();
    let written = read.write(Form::Ganeti).unwrap();
    let lines: Vec<&str> = written.text.lines().collect();
    assert_eq!(lines[2], "a|102400|0|81920|2000000|2000000|10|M|uuid-peers-group|1||N|0|1|1.0");
    assert_eq!(lines[3], "b|102400|0|102400|2000000|2000000|10|Y|uuid-peers-group|1||N|0|1|1.0");
    assert_eq!(lines[5], "x|10240|20480|4|running|Y|a||rbd|apart:0|1|1|N");
    assert_eq!(lines[8], "htools:iextags:apart");
    let told = written.left_out.join("; ");
    assert!(told.contains("1 rules that are not anti-affinity"), "{told}");
    let (goal, drained) = match formats::read(&read.write(Form::Plain).unwrap().text, None) {
        Ok(Read { problem: Problem::Plain(plain), .. }) => (plain.goal, plain.drain),
        other => panic!("{other:?}"),
    };
    assert_eq!((goal, drained.len()), (Some(formats::PlainGoal::Drain), 1));
}

/// Two groups, an instance with its disks on two nodes, one on one node, one that is down, a node of
/// which nothing is known, and a policy.
const TEXT: &str = "\
g1|u1|preferred||
g2|u2|last_resort|tag|net:1

a|65536|1024|55296|100|50|16|M|u1|1
b|65536|1024|64512|100|100|16|N|u1|1||N|0|2|1.0
c|65536|1024|62464|100|100|16|N|u2|1
d|?|?|?|?|?|?|Y|u2|1

v1|8192|10|4|running|Y|a|b|drbd|web:1|1
v2|1024|10|1|ERROR_up|Y|a||plain|other:1|1
v3|2048|10|2|running|Y|c||rbd|web:1|1|1|N
v4|2048|10|2|ADMIN_down|Y|c||rbd|web:1|1|1|N

htools:iextags:web
something:else

|128,1,1024,1,1,1|128,1,1024,1,1,1;32768,8,1048576,16,8,12|rbd,drbd|6.5|32.0
";

#[test]
fn groups_disks_tags_and_policies_are_understood() {
    let read = formats::read(TEXT, Some("v1 0.25 0 0.1 0.2\n\ngone 0 0 0 0\n")).unwrap();
    let told = read.left_out.join("; ");
    for part in ["1 instances that do not run", "1 nodes whose sizes", "1 cluster tags"] {
        assert!(told.contains(part), "{told}");
    }
    let Problem::Plain(plain) = read.problem else { panic!() };
    let hosts: Vec<(&str, u64)> =
        plain.hosts.iter().map(|one| (one.name.as_str(), one.system_memory_mib)).collect();
    assert_eq!(hosts, [("a", 1024), ("b", 1024), ("c", 1024)]);
    let uses: Vec<f64> = plain.vms.iter().map(|vm| vm.use_cores).collect();
    assert_eq!(uses, [4.0, 0.5, 1.0]);
    assert!(plain.limits.cpu_overcommit.total_cmp(&6.5).is_eq());
    let rules: Vec<String> = plain
        .rules
        .iter()
        .map(|rule| {
            let hosts: Vec<&str> = rule.hosts().iter().map(whimbrel_core::HostId::as_str).collect();
            format!("{}: {} {}", rule.name(), rule.vms().len(), hosts.join("+"))
        })
        .collect();
    assert_eq!(
        rules,
        ["disks of v1: 1 a+b", "disks of v2: 1 a", "web:1: 2 ", "group g1: 2 a+b", "group g2: 1 c"]
    );
    let (input, stated) = formats::read(TEXT, None).unwrap().input().unwrap();
    assert!(!stated && input.goal == Goal::Balance);
    assert!(input.replay().outcome.is_ok());
}
