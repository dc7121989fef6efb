//! A backend without a cluster: one VM on h1, one plan, executions that walk their states.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use tokio::sync::watch;
use whimbrel_core::{
    Domain, DomainState, Goal, Host, HostId, HostState, MigrationSettings, Move, Plan, PlanId,
    Policy, Prediction, Snapshot, VmId,
    check::{Note, Problem},
    cluster::DirtyReading,
    digest::Digest,
    migration::MoveState,
    plan::{AtOnce, Parent, PlanReport, Reason, Stay, Term},
    predict::{Impact, Quantiles, Stall},
    settings::{Mode, QemuVersion, Transport},
    units::{Bytes, MilliCores, Share, Span, Timestamp},
};
use whimbrel_engine::Execution;
use whimbrel_planner::placing::{
    self, Batch, Capacity, CapacityRequest, NewVm, Placement, Rescue, Room,
};

use crate::{
    Failure,
    advice::RescueQuestion,
    files,
    grpc::{
        Backend, ExplainQuestion, Explained, Finding, PlanQuestion, Planned, Previous, Simulated,
        SimulationSummary, Subject, explained, read_plan_text,
    },
};

mod answers;
mod executions;

pub(in super::super) use answers::explanations;
use answers::{advisor, turned};
pub(in super::super) use executions::{execution, progress};

/// The backend.
#[derive(Default)]
pub(in super::super) struct Fake {
    hold: bool,
    fault: watch::Sender<Option<String>>,
    gate: Arc<Mutex<()>>,
    running: Mutex<BTreeMap<PlanId, watch::Sender<Execution>>>,
}

pub(in super::super) fn host(name: &str) -> HostId {
    HostId::new(name).unwrap()
}

pub(in super::super) fn vm() -> VmId {
    VmId::new("db-1").unwrap()
}

pub(in super::super) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000 + seconds * 1_000_000)
}

pub(in super::super) fn snapshot() -> Snapshot {
    let one = |state| Host {
        state,
        observed_at: at(1),
        cpu: MilliCores::cores(8),
        memory: Bytes::mib(16 * 1024),
        cpu_used: Some(MilliCores::new(1500)),
        migration_bandwidth: None,
        tags: std::collections::BTreeSet::new(),
        offers: whimbrel_core::cluster::Offers::default(),
        qemu: Some(QemuVersion::new(10, 0)),
    };
    let domain = Domain {
        vm: vm(),
        uuid: "5d1c7d1e-0f3a-4f7e-9f0e-6a1b2c3d4e5f".to_owned(),
        host: host("h1"),
        state: DomainState::Running,
        observed_at: at(2),
        vcpus: 4,
        memory: Bytes::mib(1024),
        resident: Some(Bytes::mib(900)),
        cpu_used: None,
        dirty: vec![DirtyReading {
            window: Span::from_millis(400),
            unique: Bytes::mib(30),
            measured_at: at(3),
        }],
        job: Some(progress(12)),
        tags: std::collections::BTreeSet::new(),
        needs: whimbrel_core::cluster::Needs::default(),
    };
    Snapshot {
        taken_at: at(4),
        hosts: BTreeMap::from([
            (host("h1"), one(HostState::Maintenance)),
            (host("h2"), one(HostState::Up)),
        ]),
        domains: vec![domain],
        orders: Vec::new(),
    }
}

pub(in super::super) fn prediction() -> Prediction {
    let seconds = Quantiles::from_array([7, 8, 9, 10, 11, 12, 13]);
    Prediction {
        model: "replay 1".to_owned(),
        converges: Share::clamped(0.9),
        total_time: seconds.map(Span::from_seconds),
        transferred: seconds.map(Bytes::mib),
        downtime: seconds.map(Span::from_millis),
        stall: Some(Stall {
            round: Span::from_seconds(2),
            remaining: Bytes::mib(3),
            downtime_limit_needed: Span::from_millis(400),
        }),
        caveats: vec!["one reading only".to_owned()],
        impact: Some(Impact {
            throughput_loss: Share::clamped(0.11),
            service_gap: seconds.map(Span::from_millis),
            faults: 40,
            fault_stall: Span::from_millis(3),
        }),
    }
}

pub(in super::super) fn plan(goal: &Goal, seed: u64) -> Plan {
    let one = Move {
        vm: vm(),
        uuid: "5d1c7d1e-0f3a-4f7e-9f0e-6a1b2c3d4e5f".to_owned(),
        from: host("h1"),
        to: host("h2"),
        after: Vec::new(),
        alone: false,
        not_before: None,
        ends_before: None,
        begins: Span::ZERO,
        timeout: Span::from_seconds(60),
        reason: Reason::HostDrained,
        settings: MigrationSettings {
            mode: Mode::PreCopy,
            transport: Transport::Tls,
            bandwidth_limit: None,
            downtime_limit: Span::from_millis(300),
            ..MigrationSettings::default()
        },
        predicted: prediction(),
    };
    let report = PlanReport {
        found_by: "greedy".to_owned(),
        gap: Some(0.25),
        makespan: Span::from_seconds(10),
        terms: vec![Term { name: "overload_core_seconds".to_owned(), before: 2.5, after: 0.5 }],
        remarks: Vec::new(),
    };
    let parent = Parent {
        snapshot: Digest::of(&snapshot()),
        snapshot_taken_at: at(4),
        policy: Digest::of_bytes(b"policy"),
        seed,
    };
    let stays = vec![Stay { vm: VmId::new("db-2").unwrap(), reason: Reason::WellPlaced }];
    let at_once = AtOnce::new(1, 4);
    Plan::seal(goal.clone(), parent, report, (at_once, vec![one]), stays)
}

/// What the checker says: draining any host but h1 is refused.
fn note(goal: &Goal) -> Note {
    let problem = match goal {
        Goal::Drain { hosts, .. } if *hosts != host("h1").into() => Problem::NotDrained { left: 1 },
        _ => Problem::RuleBrokenAtEnd { rule: "spread".to_owned(), already: true },
    };
    Note { subject: "end".to_owned(), problem }
}

impl Fake {
    /// One whose executions copy until they are cancelled.
    pub(super) fn holding() -> Self {
        Self { hold: true, ..Self::default() }
    }

    /// One that can execute nothing while there is a `fault`.
    pub(super) fn with(fault: watch::Sender<Option<String>>) -> Self {
        Self { fault, ..Self::default() }
    }

    /// One that plans only while `gate` is free.
    pub(super) fn gated(gate: Arc<Mutex<()>>) -> Self {
        Self { gate, ..Self::default() }
    }

    fn unknown(id: &PlanId) -> Failure {
        Failure::not_found(format!("operation {id} is not known (hint: list the operations)"))
    }
}

/// What is free in the snapshot.
pub(in super::super) fn room() -> Room {
    Room::new(&snapshot(), &Policy::default()).unwrap()
}

impl Backend for Fake {
    fn inventory(&self) -> Result<Snapshot, Failure> {
        Ok(snapshot())
    }

    fn predict(
        &self,
        asked: &VmId,
        to: Option<&HostId>,
    ) -> Result<Vec<(HostId, Prediction)>, Failure> {
        if *asked != vm() {
            return Err(Failure::not_found(format!("domain {asked} (hint: name db-1)")));
        }
        Ok(vec![(to.cloned().unwrap_or(host("h2")), prediction())])
    }

    fn plan(&self, question: &PlanQuestion) -> Result<Planned, Failure> {
        let _open = self.gate.lock().unwrap();
        let (goal, standing) = turned(&question.purpose)?;
        let previous = match &question.previous {
            Previous::Given { plan_text } => {
                Some(read_plan_text("previous_plan_text", plan_text)?.id())
            }
            Previous::Remembered | Previous::Nothing => None,
        };
        let (plan, seed) = (plan(&goal, question.seed), question.seed);
        Ok(Planned {
            text: files::plan_text(&plan)?,
            plan,
            findings: vec![Finding::from(&note(&goal))],
            simulation: SimulationSummary { seed, moves: 1, arrived: 1, ..Default::default() },
            standing,
            previous,
        })
    }

    fn explain(&self, question: &ExplainQuestion) -> Result<Explained, Failure> {
        let plan = match &question.of {
            Subject::Question(question) => self.plan(question)?.plan,
            Subject::Given { plan_text } => read_plan_text("plan_text", plan_text)?,
        };
        explained(plan, &question.page, |plan, after, most| {
            explanations(plan, &question.asked, (after, most))
        })
    }

    fn rescue(&self, question: &RescueQuestion) -> Result<Rescue, Failure> {
        advisor().rescue(&snapshot(), question)
    }

    fn place(&self, vms: &[NewVm], batch: Batch) -> Result<Placement, Failure> {
        placing::place(&room(), vms, batch).map_err(Failure::from)
    }

    fn capacity(&self, request: &CapacityRequest) -> Result<Vec<Capacity>, Failure> {
        placing::capacity(&room(), request).map_err(Failure::from)
    }

    fn simulate(&self, plan_text: &str, seed: u64) -> Result<Simulated, Failure> {
        let moves = u32::try_from(files::parse_plan(plan_text)?.moves().count()).unwrap();
        let simulation =
            SimulationSummary { seed, moves, arrived: moves, runs: 20, ..Default::default() };
        Ok(Simulated { findings: vec![Finding::from(&note(&Goal::Balance))], simulation })
    }

    fn apply(&self, plan_text: &str, expected_digest: &str) -> Result<PlanId, Failure> {
        let plan = files::parse_plan(plan_text)?;
        if plan.digest.as_str() != expected_digest {
            return Err(Failure::conflict("another plan (hint: read this one)"));
        }
        let (sender, _) = watch::channel(execution(&plan, MoveState::Planned));
        self.running.lock().unwrap().insert(plan.id(), sender.clone());
        let states = [MoveState::Intended, MoveState::Copying, MoveState::Settled];
        let shown = if self.hold { 2 } else { 3 };
        let id = plan.id();
        thread::spawn(move || {
            for state in &states[..shown] {
                thread::sleep(Duration::from_millis(50));
                sender.send_replace(execution(&plan, *state));
            }
        });
        Ok(id)
    }

    fn cancel(&self, id: &PlanId) -> Result<(), Failure> {
        let running = self.running.lock().unwrap();
        let sender = running.get(id).ok_or_else(|| Self::unknown(id))?;
        sender.send_modify(|state| {
            state.cancelled = true;
            state.ended = true;
            state.moves.iter_mut().for_each(|one| one.state = MoveState::Cancelled);
        });
        Ok(())
    }

    fn fault(&self) -> watch::Receiver<Option<String>> {
        self.fault.subscribe()
    }

    fn operations(&self) -> Result<Vec<Execution>, Failure> {
        Ok(self.running.lock().unwrap().values().map(|sender| sender.borrow().clone()).collect())
    }

    fn watch(&self, id: &PlanId) -> Result<watch::Receiver<Execution>, Failure> {
        let running = self.running.lock().unwrap();
        Ok(running.get(id).ok_or_else(|| Self::unknown(id))?.subscribe())
    }
}
