//! Scenario files: a small cluster, a plan, what goes wrong, and what must come of it.
//!
//! A scenario is TOML, read by the caller; unknown keys are refused. A goal in place of a list of
//! moves is planned by a function that the caller passes: the simulator knows no planner.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;
use whimbrel_core::{
    Domain, DomainState, Goal, Host, HostState, MigrationSettings, Move, Plan, Prediction,
    Snapshot,
    cluster::DirtyReading,
    digest::Digest,
    ids::{HostId, VmId},
    plan::{Parent, PlanReport, Reason, Wave},
    policy::Policy,
    predict::Quantiles,
    units::{Bytes, BytesPerSecond, MilliCores, Share, Span, Timestamp},
};

use crate::{
    expect::Expectations,
    fault::Fault,
    outcome::Outcome,
    physics::Physics,
    run::{Restart, SimulationError, SimulationOptions, simulate},
};

/// A scenario file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, in one sentence.
    pub intent: String,
    /// Seed of everything that is drawn.
    #[serde(default = "one")]
    pub seed: u64,
    /// How long it lasts.
    #[serde(default = "five_minutes")]
    pub horizon: Span,
    /// Physical constants; any subset.
    #[serde(default)]
    pub physics: Physics,
    /// The hosts, by name.
    pub host: BTreeMap<HostId, ScenarioHost>,
    /// The guests, by name.
    pub domain: BTreeMap<VmId, ScenarioDomain>,
    /// What is to be done.
    pub plan: ScenarioPlan,
    /// What goes wrong.
    #[serde(default)]
    pub fault: Vec<Fault>,
    /// The controller's death and return.
    pub restart: Option<Restart>,
    /// What must come of it.
    pub expect: Expectations,
}

/// A host of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioHost {
    /// CPU that guests may use.
    pub cpu: MilliCores,
    /// Memory that guests may use.
    pub memory: Bytes,
    /// What its NIC carries in each direction; the physics' default when absent.
    pub bandwidth: Option<BytesPerSecond>,
}

/// A guest of a scenario.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioDomain {
    /// Where it runs.
    pub host: HostId,
    /// Its memory.
    pub memory: Bytes,
    /// The part of it with content; all of it when absent.
    pub resident: Option<Bytes>,
    /// Virtual CPUs.
    #[serde(default = "one_vcpu")]
    pub vcpus: u32,
    /// CPU that it wants.
    #[serde(default)]
    pub cpu: MilliCores,
    /// What it dirties within windows of several lengths.
    #[serde(default)]
    pub dirty: Vec<ScenarioReading>,
}

/// One point of a guest's unique-dirty curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioReading {
    /// Length of the window.
    pub window: Span,
    /// Distinct memory dirtied in it.
    pub unique: Bytes,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ScenarioPlan {
    /// These moves.
    Moves(Vec<ScenarioMove>),
    /// Whatever the caller's planner makes of it.
    Goal(Goal),
}

/// One move of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioMove {
    /// Which guest.
    pub vm: VmId,
    /// Where to.
    pub to: HostId,
    /// Its wave, counted from 0.
    #[serde(default)]
    pub wave: usize,
    /// Given up after this.
    #[serde(default = "one_minute")]
    pub timeout: Span,
    /// Cap on the stream.
    pub bandwidth_limit: Option<BytesPerSecond>,
    /// Downtime limit; the policy's default when absent.
    pub downtime_limit: Option<Span>,
}

fn one() -> u64 {
    1
}

fn one_vcpu() -> u32 {
    1
}

fn one_minute() -> Span {
    Span::from_seconds(60)
}

fn five_minutes() -> Span {
    Span::from_seconds(300)
}

/// Waves of one scenario.
const WAVES_MAX: usize = 1000;

/// The moment at which every scenario begins, so that its outcome does not depend on the calendar.
const BEGIN: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// Why a scenario could not be run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScenarioError {
    /// A move's guest is not in it, or its wave is out of range.
    #[error("move of {vm}: {what} (hint: correct the scenario)")]
    BadMove {
        /// The guest.
        vm: VmId,
        /// What is wrong.
        what: String,
    },
    /// It cannot be simulated.
    #[error(transparent)]
    Simulation(#[from] SimulationError),
}

/// What came of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct ScenarioReport {
    /// Everything that was found out.
    pub outcome: Outcome,
    /// What was expected and did not come, one line each; empty is good.
    pub disappointments: Vec<String>,
}

impl Scenario {
    /// The cluster at the scenario's begin.
    pub fn snapshot(&self) -> Snapshot {
        let host = |(id, host): (&HostId, &ScenarioHost)| {
            let shown = Host {
                state: HostState::Up,
                observed_at: BEGIN,
                cpu: host.cpu,
                memory: host.memory,
                cpu_used: None,
                migration_bandwidth: host.bandwidth,
                qemu: None,
            };
            (id.clone(), shown)
        };
        let mut snapshot = Snapshot {
            taken_at: BEGIN,
            hosts: self.host.iter().map(host).collect(),
            domains: self.domain.iter().map(|(vm, domain)| domain.sighted(vm)).collect(),
            orders: Vec::new(),
        };
        snapshot.normalise();
        snapshot
    }

    /// Runs it. `planner` is called where the scenario states a goal.
    ///
    /// # Errors
    /// [`ScenarioError`] when it cannot be run. Disappointed expectations are in the report.
    pub fn run(
        &self,
        planner: impl FnOnce(&Snapshot, &Goal) -> Plan,
    ) -> Result<ScenarioReport, ScenarioError> {
        let snapshot = self.snapshot();
        let plan = match &self.plan {
            ScenarioPlan::Moves(moves) => self.listed(moves, &snapshot)?,
            ScenarioPlan::Goal(goal) => planner(&snapshot, goal),
        };
        let outcome = simulate(&plan, &snapshot, &self.options())?;
        let disappointments = self.expect.disappointed_by(&outcome);
        Ok(ScenarioReport { outcome, disappointments })
    }

    /// How it is simulated.
    pub fn options(&self) -> SimulationOptions {
        SimulationOptions {
            seed: self.seed,
            horizon: self.horizon,
            faults: self.fault.clone(),
            physics: self.physics.clone(),
            restart: self.restart,
            log_lines: 10_000,
            ..SimulationOptions::default()
        }
    }

    /// The listed moves as a plan that claims nothing about their cost.
    fn listed(&self, moves: &[ScenarioMove], snapshot: &Snapshot) -> Result<Plan, ScenarioError> {
        let mut waves: Vec<Wave> = Vec::new();
        let mut left_at: BTreeMap<&VmId, &HostId> = BTreeMap::new();
        for one in moves {
            let bad = |what: String| ScenarioError::BadMove { vm: one.vm.clone(), what };
            let domain =
                self.domain.get(&one.vm).ok_or_else(|| bad("no such domain".to_owned()))?;
            if one.wave >= WAVES_MAX {
                return Err(bad(format!("wave {}, the limit is {WAVES_MAX}", one.wave)));
            }
            if waves.len() <= one.wave {
                waves.resize(one.wave + 1, Wave { moves: Vec::new() });
            }
            let from = left_at.insert(&one.vm, &one.to).unwrap_or(&domain.host);
            waves[one.wave].moves.push(one.planned(from));
        }
        let parent = Parent {
            snapshot: Digest::of(snapshot),
            snapshot_taken_at: snapshot.taken_at,
            policy: Digest::of(&Policy::default()),
            seed: self.seed,
        };
        let report = PlanReport {
            found_by: "scenario".to_owned(),
            gap: None,
            makespan: Span::ZERO,
            terms: Vec::new(),
        };
        Ok(Plan::seal(Goal::Balance, parent, report, waves, Vec::new()))
    }
}

impl ScenarioDomain {
    fn sighted(&self, vm: &VmId) -> Domain {
        let reading = |r: &ScenarioReading| DirtyReading {
            window: r.window,
            unique: r.unique,
            measured_at: BEGIN,
        };
        Domain {
            vm: vm.clone(),
            uuid: uuid(vm),
            host: self.host.clone(),
            state: DomainState::Running,
            observed_at: BEGIN,
            vcpus: self.vcpus,
            memory: self.memory,
            resident: self.resident,
            cpu_used: Some(self.cpu),
            dirty: self.dirty.iter().map(reading).collect(),
            job: None,
        }
    }
}

impl ScenarioMove {
    fn planned(&self, from: &HostId) -> Move {
        let usual = Policy::default().migration;
        let none = |span| Quantiles::from_array([span; 7]);
        Move {
            vm: self.vm.clone(),
            uuid: uuid(&self.vm),
            from: from.clone(),
            to: self.to.clone(),
            timeout: self.timeout,
            reason: Reason::WellPlaced,
            settings: MigrationSettings {
                bandwidth_limit: self.bandwidth_limit,
                downtime_limit: self.downtime_limit.unwrap_or(usual.downtime_limit),
                ..usual
            },
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
        }
    }
}

fn uuid(vm: &VmId) -> String {
    format!("uuid-of-{vm}")
}
