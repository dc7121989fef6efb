//! A simulated cluster whose time passes only as far as a test allows, and a journal that a test
//! can break and hand from one daemon to the next.

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tempfile::TempDir;
use whimbrel_core::{
    Cluster, Goal, HostId, OrderId, Plan, Policy, Snapshot,
    ports::{Journal, JournalError, Order, Power, Record, Refusal},
    units::{Span, Timestamp},
};
use whimbrel_datasets::SnapshotSource;
use whimbrel_engine::EngineSettings;
use whimbrel_simulator::{ClusterOptions, MemoryJournal, Scenario, SimCluster};

use crate::{
    daemon::{Daemon, Pace, Parts, World},
    files,
    grpc::{Backend as _, PlanQuestion, Planned},
};

/// Simulated time between two observations, while time passes at all.
const STEP: Span = Span::from_millis(250);

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/recorded");

/// Everything that outlives a daemon.
pub(super) struct Lab {
    sim: Arc<Mutex<SimCluster>>,
    steps: Arc<AtomicU64>,
    journal: SharedJournal,
    policy: Policy,
    pub(super) telemetry: TempDir,
}

impl Lab {
    /// Three hosts, three guests on h1.
    pub(super) fn new() -> Self {
        let scenario: Scenario = toml::from_str(include_str!("three.toml")).unwrap();
        Self::of(&scenario.snapshot(), Policy::default())
    }

    /// The recorded cluster at its last moment, with its telemetry and its policy.
    pub(super) fn recorded() -> Self {
        let recorded = Path::new(RECORDED);
        let source = SnapshotSource::load(recorded).unwrap();
        let (_, last) = source.time_range().unwrap();
        let policy = files::read_policy(Some(&recorded.join("policy.toml"))).unwrap();
        let lab = Self::of(&source.at(last).unwrap(), policy);
        copy(recorded, lab.telemetry.path());
        lab
    }

    fn of(snapshot: &Snapshot, policy: Policy) -> Self {
        let sim = SimCluster::new(snapshot, ClusterOptions::default()).unwrap();
        Self {
            policy,
            sim: Arc::new(Mutex::new(sim)),
            steps: Arc::default(),
            journal: SharedJournal::default(),
            telemetry: tempfile::tempdir().unwrap(),
        }
    }

    /// A daemon over it; the one before must have ended.
    pub(super) fn daemon(&self) -> Daemon {
        Daemon::start(Parts {
            world: SimWorld { sim: Arc::clone(&self.sim), steps: Arc::clone(&self.steps) },
            journal: self.journal.clone(),
            policy: self.policy.clone(),
            settings: EngineSettings::default(),
            pace: Pace { executing: Duration::from_millis(1), idle: Duration::from_millis(1) },
            telemetry: self.telemetry.path().to_owned(),
            model: None,
        })
        .unwrap()
    }

    /// Lets time pass for `steps` more observations.
    pub(super) fn allow(&self, steps: u64) {
        self.steps.store(steps, Ordering::SeqCst);
    }

    /// Waits until the time that was allowed is used up.
    pub(super) fn used_up(&self) {
        until("time is used up", || self.steps.load(Ordering::SeqCst) == 0);
    }

    pub(super) fn sim(&self) -> MutexGuard<'_, SimCluster> {
        self.sim.lock().unwrap()
    }

    pub(super) fn break_journal(&self, broken: bool) {
        self.journal.broken.store(broken, Ordering::SeqCst);
    }

    pub(super) fn written(&self) -> Vec<Record> {
        self.journal.records().unwrap()
    }
}

/// Copies a folder of files and folders.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// A plan that empties h1.
pub(super) fn drain(daemon: &Daemon) -> Planned {
    until("the first observation", || daemon.backend().inventory().is_ok());
    let goal = Goal::drain(HostId::new("h1").unwrap());
    daemon.backend().plan(&PlanQuestion::new(goal, 1)).unwrap()
}

/// The text of a plan like `plan` that is another one.
pub(super) fn another(plan: &Plan) -> Plan {
    let parent = whimbrel_core::plan::Parent { seed: plan.parent.seed + 1, ..plan.parent.clone() };
    let plan = plan.clone();
    Plan::seal(plan.goal, parent, plan.report, (plan.at_once, plan.moves), plan.stays)
}

/// Waits until something holds.
pub(super) fn until(what: &str, holds: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < limit, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

struct SimWorld {
    sim: Arc<Mutex<SimCluster>>,
    steps: Arc<AtomicU64>,
}

impl Drop for SimWorld {
    fn drop(&mut self) {
        self.sim.lock().unwrap().controller_died();
    }
}

impl World for SimWorld {
    fn adopt(&mut self, _order: &Order) {}
}

impl Cluster for SimWorld {
    fn now(&self) -> Timestamp {
        self.sim.lock().unwrap().now()
    }

    fn observe(&mut self) -> Snapshot {
        let mut sim = self.sim.lock().unwrap();
        let one_less = |steps: u64| steps.checked_sub(1);
        if self.steps.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
            sim.advance(STEP);
        }
        sim.observe()
    }

    fn begin(&mut self, order: &Order) -> Result<(), Refusal> {
        self.sim.lock().unwrap().begin(order)
    }

    fn cancel(&mut self, id: &OrderId) -> Result<(), Refusal> {
        self.sim.lock().unwrap().cancel(id)
    }

    fn set_power(&mut self, host: &HostId, power: Power) -> Result<(), Refusal> {
        self.sim.lock().unwrap().set_power(host, power)
    }
}

#[derive(Clone, Default)]
struct SharedJournal {
    records: Arc<Mutex<MemoryJournal>>,
    broken: Arc<AtomicBool>,
}

impl Journal for SharedJournal {
    fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        if self.broken.load(Ordering::SeqCst) {
            let message = "the disk is full".to_owned();
            return Err(JournalError { path: "memory".to_owned(), message, hint: "none" });
        }
        self.records.lock().unwrap().append(record)
    }

    fn records(&self) -> Result<Vec<Record>, JournalError> {
        self.records.lock().unwrap().records()
    }
}
