//! The engine against a world whose every observation is written by the test.

use std::collections::BTreeMap;

use whimbrel_core::{
    Cluster, Domain, DomainState, Goal, Host, HostState, Move, Plan, Snapshot,
    cluster::{CallState, CompletedStats, JobProgress, OrderReport},
    digest::Digest,
    ids::{HostId, OrderId, VmId},
    migration::MoveState,
    plan::{AtOnce, Parent, PlanReport, Reason},
    ports::{Journal, JournalError, Order, Power, Record, Refusal},
    predict::{Prediction, Quantiles},
    settings::{MigrationSettings, Mode, Transport},
    units::{Bytes, BytesPerSecond, MilliCores, Share, Span, Timestamp},
};

use crate::{Engine, EngineSettings};

mod crash;
mod outcomes;
mod post_copy;
mod waits;

/// A world in which nothing happens unless the test makes it happen.
struct World {
    snapshot: Snapshot,
    begun: Vec<OrderId>,
    cancelled: Vec<OrderId>,
    refuses: Option<Refusal>,
}

impl Cluster for World {
    fn now(&self) -> Timestamp {
        self.snapshot.taken_at
    }

    fn observe(&mut self) -> Snapshot {
        self.snapshot.clone()
    }

    fn begin(&mut self, order: &Order) -> Result<(), Refusal> {
        if let Some(refusal) = self.refuses.take() {
            return Err(refusal);
        }
        self.begun.push(order.id.clone());
        self.snapshot.orders.push(OrderReport {
            id: order.id.clone(),
            call: CallState::Active,
            stats: None,
        });
        Ok(())
    }

    fn cancel(&mut self, id: &OrderId) -> Result<(), Refusal> {
        self.cancelled.push(id.clone());
        Ok(())
    }

    fn set_power(&mut self, _: &HostId, _: Power) -> Result<(), Refusal> {
        Err(Refusal::Unsupported { what: "power".to_owned() })
    }
}

impl World {
    fn pass(&mut self, span: Span) {
        let now = self.snapshot.taken_at + span;
        self.snapshot.taken_at = now;
        for host in self.snapshot.hosts.values_mut().filter(|h| h.state == HostState::Up) {
            host.observed_at = now;
        }
    }

    fn call(&mut self, index: usize, call: CallState) {
        self.snapshot.orders[index].call = call;
    }

    fn domain(&mut self, vm: &str) -> &mut Domain {
        self.snapshot.domains.iter_mut().find(|d| d.vm.as_str() == vm).unwrap()
    }

    fn copying(&mut self, vm: &str) {
        self.domain(vm).job = Some(JobProgress::default());
    }

    fn arrive(&mut self, vm: &str, to: &str) {
        let domain = self.domain(vm);
        domain.host = host(to);
        domain.job = None;
    }
}

/// A journal in memory that can be told to fail.
#[derive(Default)]
struct Memory {
    records: Vec<Record>,
    broken: bool,
}

impl Journal for Memory {
    fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        if self.broken {
            return Err(JournalError {
                path: "memory".to_owned(),
                message: "full".to_owned(),
                hint: "free some memory",
            });
        }
        self.records.push(record.clone());
        Ok(())
    }

    fn records(&self) -> Result<Vec<Record>, JournalError> {
        Ok(self.records.clone())
    }
}

fn host(name: &str) -> HostId {
    HostId::new(name).unwrap()
}

fn vm(name: &str) -> VmId {
    VmId::new(name).unwrap()
}

/// Two machines of 100 MiB on h1, hosts of 1 GiB.
fn world() -> World {
    let now = Timestamp::from_micros(1_000_000_000);
    let one_host = || Host {
        state: HostState::Up,
        observed_at: now,
        cpu: MilliCores::cores(4),
        memory: Bytes::mib(1024),
        cpu_used: None,
        migration_bandwidth: None,
        qemu: None,
        tags: std::collections::BTreeSet::new(),
        offers: whimbrel_core::cluster::Offers::default(),
    };
    let domain = |name: &str| Domain {
        vm: vm(name),
        uuid: format!("uuid-{name}"),
        host: host("h1"),
        state: DomainState::Running,
        observed_at: now,
        vcpus: 1,
        memory: Bytes::mib(100),
        resident: None,
        cpu_used: None,
        dirty: Vec::new(),
        job: None,
        tags: std::collections::BTreeSet::new(),
        needs: whimbrel_core::cluster::Needs::default(),
    };
    let hosts: BTreeMap<_, _> = ["h1", "h2", "h3"].map(|name| (host(name), one_host())).into();
    let snapshot = Snapshot {
        taken_at: now,
        hosts,
        domains: vec![domain("a"), domain("b")],
        orders: Vec::new(),
    };
    World { snapshot, begun: Vec::new(), cancelled: Vec::new(), refuses: None }
}

fn one_move(mode: Mode, name: &str, to: &str) -> Move {
    let same = |span| Quantiles::from_array([span; 7]);
    Move {
        vm: vm(name),
        uuid: format!("uuid-{name}"),
        from: host("h1"),
        to: host(to),
        after: Vec::new(),
        alone: false,
        not_before: None,
        ends_before: None,
        begins: Span::ZERO,
        timeout: Span::from_seconds(60),
        reason: Reason::HostDrained,
        settings: MigrationSettings {
            mode,
            transport: Transport::Tcp,
            bandwidth_limit: None,
            downtime_limit: Span::from_millis(300),
            ..MigrationSettings::default()
        },
        predicted: Prediction {
            model: "fixed".to_owned(),
            converges: Share::ONE,
            total_time: same(Span::from_seconds(3)),
            transferred: Quantiles::from_array([Bytes::mib(100); 7]),
            downtime: same(Span::from_millis(50)),
            stall: None,
            caveats: Vec::new(),
            impact: None,
        },
    }
}

/// a to h2, then b to h3.
fn plan_in(mode: Mode) -> Plan {
    let parent = Parent {
        snapshot: Digest::of(&1),
        snapshot_taken_at: Timestamp::from_micros(1_000_000_000),
        policy: Digest::of(&2),
        seed: 1,
    };
    let report = PlanReport {
        found_by: "hand".to_owned(),
        gap: None,
        makespan: Span::from_seconds(6),
        terms: Vec::new(),
        remarks: Vec::new(),
    };
    let second = Move { after: vec![0], ..one_move(mode, "b", "h3") };
    let moves = vec![one_move(mode, "a", "h2"), second];
    let at_once = AtOnce::new(2, 2);
    Plan::seal(Goal::drain(host("h1")), parent, report, (at_once, moves), Vec::new())
}

fn plan() -> Plan {
    plan_in(Mode::PreCopy)
}

fn started(world: &mut World, journal: &mut Memory) -> Engine {
    started_in(Mode::PreCopy, world, journal)
}

fn started_in(mode: Mode, world: &mut World, journal: &mut Memory) -> Engine {
    let settings = EngineSettings::default();
    let mut engine = Engine::start(plan_in(mode), settings, world.now(), journal).unwrap();
    engine.tick(world, journal).unwrap();
    engine
}

/// The program has died and starts again from its journal. Whoever held the calls is gone; the
/// world goes on. `None` when its plan had ended.
fn restarted(world: &mut World, journal: &Memory) -> Option<Engine> {
    world.snapshot.orders.clear();
    Engine::recover(&journal.records, EngineSettings::default()).unwrap()
}

fn states(engine: &Engine) -> Vec<MoveState> {
    engine.execution().moves.iter().map(|one| one.state).collect()
}

const TICK: Span = Span::from_millis(500);

fn ticks(engine: &mut Engine, world: &mut World, journal: &mut Memory, count: usize) {
    for _ in 0..count {
        world.pass(TICK);
        engine.tick(world, journal).unwrap();
    }
}

fn figures() -> CompletedStats {
    CompletedStats { total_time: Span::from_seconds(2), ..CompletedStats::default() }
}
