//! Each kind of rule by an arrival that breaks it and one that does not.

use super::*;
use crate::{
    cluster::{DomainState, Host, HostState, Needs, NumaNode, Offers},
    digest::Digest,
    plan::{AtOnce, Goal, Move, Parent, PlanReport, Reason},
    policy::{Budget, Rule, When},
    predict::{Prediction, Quantiles},
    settings::MigrationSettings,
    units::{Bytes, MilliCores, Share, Span},
};

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn vm(name: &str) -> VmId {
    VmId::new(name).unwrap()
}

fn host(name: &str) -> HostId {
    HostId::new(name).unwrap()
}

/// Hosts a and b in rack r1, c in r2; `v` on a, `w` on b, `x` on c; `v` and `w` are tagged `db`.
fn cluster() -> Snapshot {
    let one = |rack: &str| Host {
        state: HostState::Up,
        observed_at: NOW,
        cpu: MilliCores::cores(8),
        memory: Bytes::mib(65536),
        cpu_used: None,
        migration_bandwidth: None,
        qemu: None,
        tags: [format!("rack={rack}")].into(),
        offers: Offers::default(),
    };
    let domain = |name: &str, at: &str, tag: &str| Domain {
        vm: vm(name),
        uuid: name.to_owned(),
        host: host(at),
        state: DomainState::Running,
        observed_at: NOW,
        vcpus: 2,
        memory: Bytes::mib(1024),
        resident: None,
        cpu_used: None,
        dirty: Vec::new(),
        job: None,
        tags: [tag.to_owned()].into(),
        needs: Needs::default(),
    };
    Snapshot {
        taken_at: NOW,
        hosts: [("a", "r1"), ("b", "r1"), ("c", "r2")].map(|(h, r)| (host(h), one(r))).into(),
        domains: vec![domain("v", "a", "db"), domain("w", "b", "db"), domain("x", "c", "web")],
        orders: Vec::new(),
    }
}

/// Everybody where they live.
struct Home<'a>(&'a Snapshot);

impl Whereabouts for Home<'_> {
    fn on(&self, host: &HostId) -> Vec<&VmId> {
        self.0.domains.iter().filter(|d| d.host == *host).map(|d| &d.vm).collect()
    }

    fn of(&self, vm: &VmId) -> Vec<&HostId> {
        self.0.domains.iter().filter(|d| d.vm == *vm).map(|d| &d.host).collect()
    }
}

/// Whether moving `name` to `to` breaks anything under `rule`.
fn breaks(snapshot: &Snapshot, rule: Rule, name: &str, to: &str) -> bool {
    let policy = Policy { rules: vec![rule], ..Policy::default() };
    let domains = snapshot.placement().unwrap();
    let rules = Rules::new(&policy, snapshot, &domains);
    let from = domains[&vm(name)].host.clone();
    !rules.arrival_breaks(&vm(name), (&from, &host(to)), &Home(snapshot)).is_empty()
}

fn about(kind: RuleKind, vms: &[&str]) -> Rule {
    Rule::new("rule", kind, vms.iter().map(|name| vm(name)).collect())
}

#[test]
fn arrivals_are_judged_by_every_kind() {
    let all = cluster();
    let rack = || Per::Tag("rack".to_owned());
    let apart = |per, most| about(RuleKind::AntiAffinity { per, most }, &["v", "w", "x"]);
    assert!(breaks(&all, apart(Per::Host, 1), "v", "b"));
    assert!(!breaks(&all, apart(Per::Host, 2), "v", "b"));
    assert!(breaks(&all, apart(rack(), 2), "x", "a"));
    assert!(!breaks(&all, apart(rack(), 2), "v", "b"), "it is in that rack already");
    let capped = |most| about(RuleKind::HostsMax { most }, &["v", "w"]);
    assert!(breaks(&all, capped(2), "v", "c"), "it counts at both ends");
    assert!(!breaks(&all, capped(3), "v", "c"));
    assert!(!breaks(&all, capped(1), "v", "b"), "it is broken, and gets no worse");
    let ended = |rule: Rule| Rule { when: Some(When::End), ..rule };
    assert!(!breaks(&all, ended(capped(2)), "v", "c"));
    let together = about(RuleKind::Affinity { per: rack() }, &["v", "w"]);
    let always = Rule { when: Some(When::Continuous), ..together };
    assert!(breaks(&all, always.clone(), "v", "c"));
    assert!(!breaks(&all, always, "v", "b"));
    let alone = || about(RuleKind::Exclusive, &["x"]);
    assert!(breaks(&all, alone(), "v", "c"), "somebody else's host");
    assert!(breaks(&all, alone(), "x", "a"), "somebody else is there");
    assert!(!breaks(&all, alone(), "v", "b"));
    assert!(!breaks(&all, Rule { soft_seconds: Some(9), ..alone() }, "v", "c"));
    let tagged = Rule {
        vms_tagged: Some("db".parse().unwrap()),
        hosts_tagged: Some("rack=r2".parse().unwrap()),
        ..about(RuleKind::Exclude, &[])
    };
    assert!(breaks(&all, tagged.clone(), "v", "c") && !breaks(&all, tagged, "x", "a"));
}

#[test]
fn hosts_have_what_arrivals_need_beside_the_others() {
    let mut all = cluster();
    let pages = |mib| BTreeMap::from([(Bytes::mib(2), Bytes::mib(mib))]);
    let node = |mib| NumaNode { memory: Bytes::mib(mib), cpus: 4 };
    let offers = &mut all.hosts.get_mut(&host("b")).unwrap().offers;
    offers.huge_pages = Some(pages(1500));
    offers.numa = vec![node(2000)];
    let budget = || about(RuleKind::Disruption(Budget::default()), &[]);
    all.domains[0].needs.huge_pages = pages(1000);
    assert!(!breaks(&all, budget(), "v", "b"));
    all.domains[1].needs.huge_pages = pages(600);
    assert!(breaks(&all, budget(), "v", "b"));
    all.domains[1].needs = Needs { one_node: Some(node(1200)), ..Needs::default() };
    assert!(!breaks(&all, budget(), "v", "b"));
    all.domains[0].needs.one_node = Some(node(900));
    assert!(breaks(&all, budget(), "v", "b"));
}

/// Moves of these domains, each after the ones at these places.
fn plan(moves: &[(&str, &[u32])]) -> Plan {
    let none = |span| Quantiles::from_array([span; 7]);
    let one = |(name, after): &(&str, &[u32])| Move {
        vm: vm(name),
        uuid: String::new(),
        from: HostId::unnamed(),
        to: HostId::unnamed(),
        after: after.to_vec(),
        alone: false,
        not_before: None,
        ends_before: None,
        begins: Span::ZERO,
        timeout: Span::ZERO,
        reason: Reason::WellPlaced,
        settings: MigrationSettings::default(),
        predicted: Prediction {
            model: "none".to_owned(),
            converges: Share::ONE,
            total_time: none(Span::ZERO),
            transferred: Quantiles::from_array([Bytes::ZERO; 7]),
            downtime: none(Span::ZERO),
            stall: None,
            caveats: Vec::new(),
            impact: None,
        },
    };
    let parent = Parent {
        snapshot: Digest::of_bytes(b"snapshot"),
        snapshot_taken_at: Timestamp::default(),
        policy: Digest::of_bytes(b"policy"),
        seed: 0,
    };
    let report = PlanReport {
        found_by: "hand".to_owned(),
        gap: None,
        makespan: Span::ZERO,
        terms: Vec::new(),
        remarks: Vec::new(),
    };
    let at_once = AtOnce::new(9, 9);
    Plan::seal(
        Goal::Balance,
        parent,
        report,
        (at_once, moves.iter().map(one).collect()),
        Vec::new(),
    )
}

#[test]
fn budgets_count_and_know_the_time() {
    let snapshot = cluster();
    let windows = vec![crate::policy::DailyWindow {
        from: "09:00".parse().unwrap(),
        to: "10:00".parse().unwrap(),
    }];
    let budget = Budget { at_once: Some(1), moves_max: Some(2), windows };
    let rule = about(RuleKind::Disruption(budget), &["v", "w"]);
    let policy = Policy { rules: vec![rule], ..Policy::default() };
    let rules = Rules::new(&policy, &snapshot, &snapshot.placement().unwrap());
    let (v, w, x) = (vm("v"), vm("w"), vm("x"));
    assert!(rules.too_many_at_once(&plan(&[("v", &[]), ("x", &[])])).is_empty());
    let both = Exceeded { rule: "rule", count: 2, limit: 1 };
    assert_eq!(rules.too_many_at_once(&plan(&[("v", &[]), ("w", &[])])), [both]);
    assert!(rules.too_many_at_once(&plan(&[("v", &[]), ("w", &[0])])).is_empty());
    // Waiting for somebody else's move keeps nobody apart from one's own kind.
    let beside = plan(&[("v", &[]), ("x", &[]), ("w", &[1])]);
    assert_eq!(rules.too_many_at_once(&beside), [both]);
    assert!(rules.too_many_moves(&[&v, &w]).is_empty());
    assert_eq!(rules.too_many_moves(&[&v, &w, &v]).len(), 1);
    // 2027-01-15T08:00:00Z.
    let nine = NOW + Span::from_seconds(3600);
    assert_eq!(rules.closed(&v, NOW), Some(("rule", nine)));
    assert_eq!((rules.closed(&v, nine), rules.closed(&x, NOW)), (None, None));
    assert_eq!(rules.closes(&v, nine), Some(("rule", nine + Span::from_seconds(3600))));
    assert_eq!(rules.closes(&x, nine), None);
}

#[test]
fn the_end_tells_hard_rules_from_preferences() {
    let snapshot = cluster();
    let apart =
        about(RuleKind::AntiAffinity { per: Per::Tag("rack".to_owned()), most: 1 }, &["v", "w"]);
    let soft = Rule { name: "wish".to_owned(), soft_seconds: Some(5), ..apart.clone() };
    let policy = Policy { rules: vec![apart, soft], ..Policy::default() };
    let domains = snapshot.placement().unwrap();
    let rules = Rules::new(&policy, &snapshot, &domains);
    let mut place: BTreeMap<&VmId, &HostId> = domains.values().map(|d| (&d.vm, &d.host)).collect();
    assert_eq!(rules.broken_at_end(&place), BTreeMap::from([("rule", true), ("wish", false)]));
    let (v, c) = (vm("v"), host("c"));
    place.insert(&v, &c);
    assert!(rules.broken_at_end(&place).is_empty());
}
