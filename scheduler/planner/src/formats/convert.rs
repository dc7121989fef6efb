//! From the plain form to an [`Input`] and back, and what gets lost.
//!
//! Decides nothing: what the plain form does not say is a documented default here.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::{
    Outlook,
    cluster::{Domain, DomainState, Host, Needs, Offers, Snapshot},
    plan::{Emptied, Flavour, Goal},
    policy::Policy,
    units::{Bytes, BytesPerSecond, MilliCores, Share, Span, Timestamp},
};

use super::{
    fault::FormatError,
    plain::{Plain, PlainGoal, PlainHost, PlainLimits, PlainObjective, PlainVm, ten_gigabit},
};
use crate::input::{Input, Told};

/// The moment of every problem that has none: 2027-01-15T08:00:00Z.
const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// Seed of every problem that has none.
const SEED: u64 = 1;

/// Slow-down that any migration costs beside its time, in seconds.
const MOVE_SECONDS: f64 = 2.0;

const MIB: f64 = (1u64 << 20) as f64;

/// What a migration of a guest costs, in guest-seconds, over a network of `mib_per_second`.
pub(super) fn move_cost(vm: &PlainVm, mib_per_second: f64) -> f64 {
    let speed = (mib_per_second - vm.dirty_mib_per_second).max(mib_per_second / 10.0);
    let seconds = vm.memory_mib as f64 / speed + MOVE_SECONDS;
    rounded(vm.use_cores.max(1.0) * seconds)
}

/// To thousandths.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// `plain` as a problem, and whether it says its goal itself; without one it is to balance.
pub(super) fn input(plain: &Plain) -> Result<(Input, bool), FormatError> {
    let goal = goal(plain)?;
    let policy = policy(plain)?;
    let hosts = plain.hosts.iter().map(|one| (one.name.clone(), host(one))).collect();
    let waits = matches!(goal, Some(Goal::Defragment { .. }));
    let there = plain.vms.iter().filter(|vm| !waits || vm.host.is_some());
    let domains = there.map(domain).collect::<Result<_, _>>()?;
    let mut snapshot = Snapshot { taken_at: NOW, hosts, domains, orders: Vec::new() };
    snapshot.normalise();
    let input = Input {
        goal: goal.clone().unwrap_or(Goal::Balance),
        seed: SEED,
        now: NOW,
        decided: None,
        policy,
        snapshot,
        outlook: Outlook::default(),
        answers: Vec::new(),
        costs: plain.vms.iter().map(|vm| (vm.name.clone(), vm.move_cost_seconds)).collect(),
    };
    Ok((input, goal.is_some()))
}

fn goal(plain: &Plain) -> Result<Option<Goal>, FormatError> {
    let refused = |what: String, hint: &str| Err(FormatError::new("goal", what, hint));
    match (plain.goal, plain.drain.as_slice()) {
        (None, []) => Ok(None),
        (Some(PlainGoal::Balance), []) => Ok(Some(Goal::Balance)),
        (Some(PlainGoal::Powersave), []) => Ok(Some(Goal::Powersave)),
        (Some(PlainGoal::Defragment), []) => {
            Ok(Some(Goal::Defragment { flavours: waiting(&plain.vms) }))
        }
        (Some(PlainGoal::Drain), hosts) => match Emptied::of(hosts.iter().cloned()) {
            Ok(hosts) => Ok(Some(Goal::Drain { hosts, deadline: None, strict: false })),
            Err(_) => refused("no host is named to be drained".to_owned(), "name hosts in `drain`"),
        },
        (goal, [_, ..]) => refused(
            format!("`drain` names hosts, and the goal is {}", goal.map_or("balance", name)),
            "set the goal to \"drain\", or leave `drain` empty",
        ),
        (Some(goal), []) => refused(
            format!("{} is no goal that this program plans for such a file", name(goal)),
            "set it to \"balance\", \"drain\", \"defragment\" or \"powersave\"",
        ),
    }
}

/// Guests without a host, as sizes that room is wanted for.
fn waiting(vms: &[PlainVm]) -> Vec<Flavour> {
    let mut counts: BTreeMap<(u64, u32), u32> = BTreeMap::new();
    for vm in vms.iter().filter(|vm| vm.host.is_none()) {
        *counts.entry((vm.memory_mib, vm.vcpus)).or_default() += 1;
    }
    let flavour = |((memory_mib, vcpus), count)| Flavour {
        name: None,
        vcpus,
        memory: Bytes::mib(memory_mib),
        count,
    };
    counts.into_iter().map(flavour).collect()
}

fn name(goal: PlainGoal) -> &'static str {
    match goal {
        PlainGoal::Balance => "balance",
        PlainGoal::Drain => "drain",
        PlainGoal::Defragment => "defragment",
        PlainGoal::Powersave => "powersave",
        PlainGoal::Place => "place",
        PlainGoal::Rescue => "rescue",
    }
}

fn policy(plain: &Plain) -> Result<Policy, FormatError> {
    let mut policy = Policy::default();
    policy.limits.cpu_overcommit = plain.limits.cpu_overcommit;
    policy.limits.memory_reserve = Share::try_from(plain.limits.memory_reserve).map_err(|_| {
        let what = format!("memory_reserve = {} is no part", plain.limits.memory_reserve);
        FormatError::new("limits", what, "a part is from 0 to 1")
    })?;
    policy.limits.moves_max = 100_000;
    policy.balance.horizon = Span::from_seconds_f64(plain.objective.horizon_seconds);
    // One guest-second of a move weighs as much as one of contention.
    policy.balance.gain_factor = 1.0;
    policy.rules.clone_from(&plain.rules);
    policy.check_ranges().map_err(|error| {
        let hint = "see the range of each key in benches/peers/README.md";
        let text = error.to_string();
        let what = text.split(" (hint: ").next().unwrap_or_default();
        FormatError::new("limits", what, hint)
    })?;
    Ok(policy)
}

fn host(plain: &PlainHost) -> Host {
    Host {
        state: plain.state,
        observed_at: NOW,
        cpu: MilliCores::new((plain.cores * 1000.0).round() as u64),
        memory: Bytes::mib(plain.memory_mib.saturating_sub(plain.system_memory_mib)),
        cpu_used: None,
        migration_bandwidth: Some(BytesPerSecond::new(
            (plain.migration_mib_per_second * MIB).round() as u64,
        )),
        qemu: None,
        tags: BTreeSet::new(),
        offers: Offers::default(),
    }
}

fn domain(plain: &PlainVm) -> Result<Domain, FormatError> {
    let host = plain.host.clone().ok_or_else(|| {
        let what = format!("{} runs nowhere, and a plan moves only what runs", plain.name);
        FormatError::new("vms", what, "give it a host, or leave it out")
    })?;
    Ok(Domain {
        vm: plain.name.clone(),
        uuid: format!("uuid-of-{}", plain.name),
        host,
        state: DomainState::Running,
        observed_at: NOW,
        vcpus: plain.vcpus,
        memory: Bytes::mib(plain.memory_mib),
        resident: None,
        cpu_used: Some(MilliCores::new((plain.use_cores * 1000.0).round() as u64)),
        dirty: Vec::new(),
        job: None,
        tags: BTreeSet::new(),
        needs: Needs::default(),
    })
}

/// `input` in the plain form, and what of it that form has no place for.
pub(super) fn plain(input: &Input) -> Result<(Plain, Vec<String>), FormatError> {
    let (snapshot, policy) = (&input.snapshot, &input.policy);
    let placement = snapshot.placement().map_err(|error| {
        FormatError::new("snapshot", error.to_string(), "save an input of a cluster at rest")
    })?;
    let hosts = snapshot.hosts.iter().map(|(name, host)| PlainHost {
        name: name.clone(),
        cores: host.cpu.as_cores_f64(),
        memory_mib: host.memory.get() >> 20,
        system_memory_mib: 0,
        migration_mib_per_second: host.migration_bandwidth.map_or_else(ten_gigabit, mib),
        state: host.state,
    });
    let vms = placement.values().map(|domain| guest(input, domain));
    let (goal, drain) = match &input.goal {
        Goal::Balance => (Some(PlainGoal::Balance), Vec::new()),
        Goal::Drain { .. } => (Some(PlainGoal::Drain), input.goal.emptied().cloned().collect()),
        Goal::Powersave => (Some(PlainGoal::Powersave), Vec::new()),
        // The form has no word for these, or not for what room is wanted for.
        Goal::Defragment { .. } | Goal::Even | Goal::Restore { .. } => (None, Vec::new()),
    };
    let plain = Plain {
        name: "saved-input".to_owned(),
        goal,
        hosts: hosts.collect(),
        vms: vms.collect(),
        rules: policy.rules.clone(),
        drain,
        limits: PlainLimits {
            cpu_overcommit: policy.limits.cpu_overcommit,
            memory_reserve: policy.limits.memory_reserve.get(),
        },
        objective: PlainObjective {
            chords: chords(policy.balance.overload_above.get()),
            horizon_seconds: policy.balance.horizon.as_seconds_f64(),
        },
    };
    plain.check()?;
    let gone = snapshot.domains.len() - placement.len();
    let mut lost = vec![
        "dirty readings, limits on moves and migrations, weights and settings of the policy"
            .to_owned(),
    ];
    if plain.goal.is_none() {
        lost.push(format!("what is asked: {}", input.goal));
    }
    if gone > 0 {
        lost.push(format!("{gone} sightings of domains that do not run where they were seen"));
    }
    if snapshot.hosts.values().any(|host| host.cpu_used.is_some()) {
        lost.push("CPU that hosts use beside their guests".to_owned());
    }
    Ok((plain, lost))
}

/// Without a reading, half of its vCPUs are taken to be busy.
fn guest(input: &Input, domain: &Domain) -> PlainVm {
    let half = || f64::from(domain.vcpus) / 2.0;
    let mut vm = PlainVm {
        name: domain.vm.clone(),
        memory_mib: domain.memory.get().div_ceil(1 << 20),
        vcpus: domain.vcpus,
        use_cores: domain.cpu_used.map_or_else(half, MilliCores::as_cores_f64),
        host: Some(domain.host.clone()),
        move_cost_seconds: 0.0,
        dirty_mib_per_second: 0.0,
        priority: 0,
        disk_mb_per_second: 0.0,
        network_mb_per_second: 0.0,
    };
    let host = input.snapshot.hosts.get(&domain.host);
    let measured = host.and_then(|host| host.migration_bandwidth);
    let speed = mib(measured.unwrap_or(input.policy.limits.path_bandwidth));
    vm.move_cost_seconds = cost(input, &vm).unwrap_or_else(|| move_cost(&vm, speed));
    vm
}

fn mib(bandwidth: BytesPerSecond) -> f64 {
    bandwidth.as_f64() / MIB
}

/// What `input` says that migrations of `vm` cost: the flat cost, or by the fastest path that was asked
/// about, at the policy's weights.
fn cost(input: &Input, vm: &PlainVm) -> Option<f64> {
    if let Some(cost) = input.costs.get(&vm.name) {
        return Some(*cost);
    }
    // Answers are ordered by domain, then by path from slow to fast.
    let at = input.answers.partition_point(|one| one.asked.vm < vm.name);
    let own = input.answers.iter().skip(at).take_while(|one| one.asked.vm == vm.name);
    let predicted = own.last().and_then(|one| match &one.told {
        Told::Predicted(prediction) => Some(prediction),
        Told::Refused(_) => None,
    })?;
    let balance = &input.policy.balance;
    let seconds = balance.migration_weight * predicted.total_time.p50.as_seconds_f64()
        + balance.downtime_weight * predicted.downtime.p50.as_seconds_f64();
    Some(rounded(vm.use_cores.max(1.0) * seconds))
}

/// Lines of `u^2 / 20000 + max(0, u - T)^2 / (2 (1 - T))` over the utilisation u between points: exact
/// there, above it in between.
pub(super) fn chords(overload_above: f64) -> Vec<[f64; 2]> {
    let ramp = (1.0 - overload_above).max(0.05);
    let waiting =
        |used: f64| 5e-5 * used * used + (used - overload_above).max(0.0).powi(2) / (2.0 * ramp);
    let steps = [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0].map(|step| overload_above + step * ramp);
    let mut points = vec![0.0, overload_above / 2.0];
    points.extend(steps);
    points.sort_by(f64::total_cmp);
    points.dedup_by(|a, b| a.total_cmp(b).is_eq());
    points
        .iter()
        .zip(points.iter().skip(1))
        .map(|(&left, &right)| {
            let slope = (waiting(right) - waiting(left)) / (right - left);
            [slope, waiting(left) - slope * left]
        })
        .collect()
}
