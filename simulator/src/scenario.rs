//! Scenario files: a small cluster, a policy, a plan, what people do, what goes wrong, and what
//! must come of it.
//!
//! A scenario is TOML, read by the caller; unknown keys are refused, and so is what is impossible.
//! A goal in place of a list of moves is planned by a function that the caller passes: the
//! simulator knows no planner.

use std::collections::BTreeMap;

use serde::Deserialize;
use whimbrel_core::{
    Goal, Host, HostState, Plan, Snapshot,
    ids::{HostId, VmId},
    policy::Policy,
    units::{BytesPerSecond, Span, Timestamp},
};
use whimbrel_engine::EngineSettings;

use crate::{
    change::{Change, Guest, HostFacts},
    cluster::{cpu_told, dirty_told},
    expect::Expectations,
    fault::{Fault, FaultRates},
    network::{Backbone, Rack},
    outcome::Outcome,
    physics::Physics,
    run::{Restart, Simulation, SimulationError, SimulationOptions, simulate},
};

mod check;
mod error;
mod plan;
mod world;

pub use error::ScenarioError;
pub use plan::{ScenarioMove, ScenarioPlan};
pub use world::ScenarioHost;

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
    /// What the operator wants, as in a policy file.
    #[serde(default)]
    pub policy: Policy,
    /// The hosts, by name.
    pub host: BTreeMap<HostId, ScenarioHost>,
    /// Hosts that stand together. A fault that names a rack strikes each of its hosts.
    #[serde(default)]
    pub rack: BTreeMap<HostId, Rack>,
    /// What all migrations together may take of their network, payload; no limit when absent.
    pub migration_network: Option<BytesPerSecond>,
    /// The guests, by name.
    pub domain: BTreeMap<VmId, Guest>,
    /// What is to be done.
    pub plan: ScenarioPlan,
    /// What people do meanwhile.
    #[serde(default)]
    pub event: Vec<Change>,
    /// What goes wrong.
    #[serde(default)]
    pub fault: Vec<Fault>,
    /// What else goes wrong: drawn from these rates.
    #[serde(default, rename = "fault-rates")]
    pub fault_rates: FaultRates,
    /// The controller's deaths and returns.
    #[serde(default)]
    pub restart: Vec<Restart>,
    /// What must come of it.
    pub expect: Expectations,
}

fn one() -> u64 {
    1
}

fn five_minutes() -> Span {
    Span::from_seconds(300)
}

/// The moment at which every scenario begins, so that its outcome does not depend on the calendar.
const BEGIN: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// Lines of the event log that a scenario keeps.
const LOG_LINES: usize = 10_000;

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
                tags: std::collections::BTreeSet::new(),
                offers: whimbrel_core::cluster::Offers::default(),
            };
            (id.clone(), shown)
        };
        let mut snapshot = Snapshot {
            taken_at: BEGIN,
            hosts: self.host.iter().map(host).collect(),
            domains: self.domain.iter().map(|(vm, domain)| domain.sighted(vm, BEGIN)).collect(),
            orders: Vec::new(),
        };
        snapshot.normalise();
        snapshot
    }

    /// What the controller sees of [`Self::snapshot`]: readings that lie from the start on do.
    pub fn seen(&self) -> Snapshot {
        let mut seen = self.snapshot();
        for fault in self.fault.iter().filter(|fault| fault.at() == Span::ZERO) {
            let Fault::LyingReadings { vm, dirty_percent, cpu_percent, .. } = fault else {
                continue;
            };
            for domain in seen.domains.iter_mut().filter(|domain| domain.vm == *vm) {
                domain.cpu_used = domain.cpu_used.map(|cpu| cpu_told(cpu, *cpu_percent));
                for reading in &mut domain.dirty {
                    *reading = dirty_told(*reading, *dirty_percent);
                }
            }
        }
        seen
    }

    /// Runs it. `planner` is called where the scenario states a goal.
    ///
    /// # Errors
    /// [`ScenarioError`] when it cannot be run. Disappointed expectations are in the report.
    pub fn run(
        &self,
        planner: impl FnOnce(&Snapshot, &Goal) -> Result<Plan, String>,
    ) -> Result<ScenarioReport, ScenarioError> {
        let plan = self.planned(planner)?;
        let outcome = simulate(&plan, &self.snapshot(), &self.options())?;
        let disappointments = self.expect.disappointed_by(&outcome);
        Ok(ScenarioReport { outcome, disappointments })
    }

    /// It under way, at its start.
    ///
    /// # Errors
    /// [`ScenarioError`] when it cannot be run.
    pub fn begin(
        &self,
        planner: impl FnOnce(&Snapshot, &Goal) -> Result<Plan, String>,
    ) -> Result<Simulation, ScenarioError> {
        let plan = self.planned(planner)?;
        Ok(Simulation::new(&plan, &self.snapshot(), &self.options())?)
    }

    /// The plan that it executes.
    fn planned(
        &self,
        planner: impl FnOnce(&Snapshot, &Goal) -> Result<Plan, String>,
    ) -> Result<Plan, ScenarioError> {
        self.check()?;
        let seen = self.seen();
        Ok(match &self.plan {
            ScenarioPlan::Moves(moves) => self.listed(moves, &seen),
            ScenarioPlan::Goal(goal) => planner(&seen, goal)
                .map_err(|why| ScenarioError::Unplanned { goal: goal.clone(), why })?,
        })
    }

    /// How it is simulated.
    pub fn options(&self) -> SimulationOptions {
        let limits = &self.policy.limits;
        let facts = |(id, host): (&HostId, &ScenarioHost)| (id.clone(), host.facts());
        SimulationOptions {
            seed: self.seed,
            horizon: self.horizon,
            faults: self.faults(),
            rates: self.fault_rates.clone(),
            changes: self.event.clone(),
            facts: self.host.iter().map(facts).collect::<BTreeMap<HostId, HostFacts>>(),
            needs: self.domain.iter().map(|(vm, domain)| (vm.clone(), domain.needs())).collect(),
            physics: self.physics.clone(),
            backbone: self.backbone(),
            engine: EngineSettings {
                memory_reserve: limits.memory_reserve,
                cpu_overcommit: Some(limits.cpu_overcommit),
                ..EngineSettings::default()
            },
            restarts: self.restart.clone(),
            log_lines: LOG_LINES,
            ..SimulationOptions::default()
        }
    }

    fn backbone(&self) -> Backbone {
        Backbone { racks: self.rack.clone(), migration_network: self.migration_network }
    }

    /// The faults, each that names a rack on every host of it.
    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        for fault in &self.fault {
            match fault.host().and_then(|name| self.rack.get(name)) {
                Some(rack) => {
                    faults.extend(rack.hosts.iter().map(|host| fault.clone().on(host)));
                }
                None => faults.push(self.with_racks_in_groups(fault.clone())),
            }
        }
        faults
    }

    fn with_racks_in_groups(&self, mut fault: Fault) -> Fault {
        if let Fault::Partition { groups, .. } = &mut fault {
            for group in groups {
                let names = std::mem::take(group);
                for name in names {
                    match self.rack.get(&name) {
                        Some(rack) => group.extend(rack.hosts.iter().cloned()),
                        None => group.push(name),
                    }
                }
            }
        }
        fault
    }
}

impl From<SimulationError> for ScenarioError {
    fn from(error: SimulationError) -> Self {
        Self::Simulation(error)
    }
}

/// The command that runs a scenario file again under the seed of an outcome, with every fault that
/// the seed drew.
pub fn replay_command(file: &str, outcome: &Outcome) -> String {
    format!("whimbrel simulate --scenario {file} --seed {}", outcome.seed)
}
