//! How a simulation is run, and what cannot be.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use whimbrel_core::{
    Snapshot,
    cluster::PlacementError,
    ids::{HostId, VmId},
    plan::PlanError,
    units::Span,
};
use whimbrel_engine::{EngineSettings, RecoverError};

use crate::{
    change::{Change, GuestNeeds, HostFacts},
    fault::{Fault, FaultRates, RateError},
    journal::CrashPoint,
    network::{Backbone, BackboneError},
    physics::{Physics, PhysicsError},
    replay::Replay,
};

/// How a simulation is run.
#[derive(Debug, Clone)]
pub struct SimulationOptions {
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Time between two ticks of the engine. Range 1 ms..=1 h.
    pub tick: Span,
    /// How long the simulation lasts, whether or not there is anything to do. Range: at least one
    /// tick, at most 366 d.
    pub horizon: Span,
    /// Recorded series to follow.
    pub replay: Option<Replay>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// What else goes wrong: drawn from these rates.
    pub rates: FaultRates,
    /// What people do meanwhile.
    pub changes: Vec<Change>,
    /// What is known of hosts beside the snapshot.
    pub facts: BTreeMap<HostId, HostFacts>,
    /// What guests of the snapshot ask of hosts.
    pub needs: BTreeMap<VmId, GuestNeeds>,
    /// Physical constants.
    pub physics: Physics,
    /// What lies between the hosts' interfaces.
    pub backbone: Backbone,
    /// How patient the engine is.
    pub engine: EngineSettings,
    /// Deaths of the controller, and its returns.
    pub restarts: Vec<Restart>,
    /// Lines that the event log keeps; 0 for none.
    pub log_lines: usize,
}

impl Default for SimulationOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            tick: Span::from_millis(500),
            horizon: Span::from_seconds(600),
            replay: None,
            faults: Vec::new(),
            rates: FaultRates::default(),
            changes: Vec::new(),
            facts: BTreeMap::new(),
            needs: BTreeMap::new(),
            physics: Physics::default(),
            backbone: Backbone::default(),
            engine: EngineSettings::default(),
            restarts: Vec::new(),
            log_lines: 0,
        }
    }
}

/// A death of the controller, and its return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// When it dies.
    pub dies: Death,
    /// How long it is away.
    pub away: Span,
}

/// When the controller dies. One that is dead already does not die again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Death {
    /// Between two ticks, this long after the start.
    At(Span),
    /// Between two ticks, whenever this has passed again. Range: at least 1 s.
    Every(Span),
    /// Around a record of its journal.
    Record(CrashPoint),
}

/// Why there was no simulation.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SimulationError {
    /// The plan is not to be trusted.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The snapshot gives a machine no single place.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// A physical constant is out of its range.
    #[error(transparent)]
    Physics(#[from] PhysicsError),
    /// A link between the hosts' interfaces is none.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
    /// A rate of faults is out of its range.
    #[error(transparent)]
    Rates(#[from] RateError),
    /// The rates would make more faults than anybody could follow.
    #[error(
        "the rates make about {expected} faults, the limit is {limit} (hint: lower them, or the \
         horizon)"
    )]
    TooManyFaults {
        /// Faults to be expected.
        expected: u64,
        /// Most of them.
        limit: u64,
    },
    /// The engine cannot continue its own journal: a fault of the engine.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The tick is out of its range.
    #[error("tick is {tick}, the limits are 1 ms and 1 h (hint: half a second suits most plans)")]
    Tick {
        /// What was asked for.
        tick: Span,
    },
    /// The horizon is out of its range.
    #[error(
        "horizon is {horizon}, the limits are one tick and 366 d (hint: an hour suits most plans)"
    )]
    Horizon {
        /// What was asked for.
        horizon: Span,
    },
    /// A fault names what is not there.
    #[error("a fault strikes {name}, which is not in the snapshot (hint: check the name)")]
    UnknownInFault {
        /// The name.
        name: String,
    },
    /// A change names what is not there.
    #[error("an event is about {name}, which is not in the snapshot (hint: check the name)")]
    UnknownInChange {
        /// The name.
        name: String,
    },
    /// A fault lies by more than anybody would.
    #[error("a fault reports {percent} % of the truth, the limit is 100000 % (hint: 100 is true)")]
    Lie {
        /// What was asked for.
        percent: u32,
    },
    /// The controller would die all the time.
    #[error("the controller dies every {every}, the least is 1 s (hint: a minute is often enough)")]
    Restart {
        /// What was asked for.
        every: Span,
    },
}

/// Most faults that rates may be expected to make.
const DRAWN_MAX: u64 = 100_000;

/// What is reported of the truth, at most.
const PERCENT_MAX: u32 = 100_000;

/// Whether `options` can be simulated on `snapshot`.
pub(super) fn accept(
    snapshot: &Snapshot,
    options: &SimulationOptions,
) -> Result<(), SimulationError> {
    options.physics.check_ranges()?;
    options.backbone.check_ranges()?;
    options.rates.check_ranges()?;
    let (tick, horizon) = (options.tick, options.horizon);
    if tick < Span::from_millis(1) || tick > Span::from_seconds(3600) {
        return Err(SimulationError::Tick { tick });
    }
    if horizon < tick || horizon > Span::from_seconds(366 * 86_400) {
        return Err(SimulationError::Horizon { horizon });
    }
    let expected =
        options.rates.expected(snapshot.hosts.len(), snapshot.domains.len(), horizon) as u64;
    if expected > DRAWN_MAX {
        return Err(SimulationError::TooManyFaults { expected, limit: DRAWN_MAX });
    }
    let arrivals = options.changes.iter().filter_map(Change::arrival).map(|(vm, _)| vm);
    let vms: BTreeSet<&VmId> = snapshot.domains.iter().map(|d| &d.vm).chain(arrivals).collect();
    for change in &options.changes {
        known_in_change(change, snapshot, &vms)?;
    }
    for fault in &options.faults {
        let has_host = |host: &HostId| snapshot.hosts.contains_key(host);
        known_in_fault(fault, &has_host, &|vm| vms.contains(vm))?;
    }
    for restart in &options.restarts {
        if let Death::Every(every) = restart.dies
            && every < Span::from_seconds(1)
        {
            return Err(SimulationError::Restart { every });
        }
    }
    Ok(())
}

/// Whether a fault strikes what is there, in its range.
pub(super) fn known_in_fault(
    fault: &Fault,
    has_host: &dyn Fn(&HostId) -> bool,
    has_vm: &dyn Fn(&VmId) -> bool,
) -> Result<(), SimulationError> {
    let host = fault.hosts().find(|host| !has_host(host));
    let vm = fault.vm().filter(|vm| !has_vm(vm));
    if let Some(name) = host.map(ToString::to_string).or(vm.map(ToString::to_string)) {
        return Err(SimulationError::UnknownInFault { name });
    }
    match fault {
        Fault::LyingReadings { dirty_percent, cpu_percent, .. } => {
            let percent = *dirty_percent.max(cpu_percent);
            if percent > PERCENT_MAX { Err(SimulationError::Lie { percent }) } else { Ok(()) }
        }
        _ => Ok(()),
    }
}

fn known_in_change(
    change: &Change,
    snapshot: &Snapshot,
    vms: &BTreeSet<&VmId>,
) -> Result<(), SimulationError> {
    let (vm, host) = match change {
        Change::Arrives { domain, .. } => (None, Some(&domain.host)),
        Change::Resized { vm, .. } | Change::Leaves { vm, .. } => (Some(vm), None),
        Change::Started { vm, host, .. } | Change::Stopped { vm, host, .. } => {
            (Some(vm), Some(host))
        }
        Change::Power { host, .. } | Change::ShutsDown { host, .. } => (None, Some(host)),
    };
    let host = host.filter(|host| !snapshot.hosts.contains_key(*host));
    let vm = vm.filter(|vm| !vms.contains(vm));
    match host.map(ToString::to_string).or(vm.map(ToString::to_string)) {
        Some(name) => Err(SimulationError::UnknownInChange { name }),
        None => Ok(()),
    }
}
