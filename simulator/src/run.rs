//! Executes a plan with the real engine against a simulated cluster.
//!
//! Never here: a second engine. What ticks is `whimbrel_engine::Engine`, with a journal in memory;
//! what it cannot tell from the world is [`SimCluster`].

use serde::{Deserialize, Serialize};
use thiserror::Error;
use whimbrel_core::{
    Cluster, Plan, Snapshot,
    cluster::PlacementError,
    plan::PlanError,
    ports::Entry,
    units::{Span, Timestamp},
};
use whimbrel_engine::{Engine, EngineSettings, Execution, RecoverError};

use crate::{
    checkers::Checkers,
    cluster::{ClusterOptions, SimCluster},
    fault::Fault,
    journal::{CrashPoint, MemoryJournal},
    outcome::Outcome,
    physics::{Physics, PhysicsError},
    replay::Replay,
    use_meter::UseMeter,
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
    /// Physical constants.
    pub physics: Physics,
    /// How patient the engine is.
    pub engine: EngineSettings,
    /// Kills the controller once and starts it again.
    pub restart: Option<Restart>,
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
            physics: Physics::default(),
            engine: EngineSettings::default(),
            restart: None,
            log_lines: 0,
        }
    }
}

/// The controller's death and return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// When it dies.
    pub dies: Death,
    /// How long it is away.
    pub away: Span,
}

/// When the controller dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Death {
    /// Between two ticks, this long after the start.
    At(Span),
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
}

/// Simulates the execution of `plan` from `snapshot` over the horizon. A plan without moves
/// simulates the cluster being left alone.
///
/// # Errors
/// [`SimulationError`] when plan, snapshot or options cannot be simulated. What goes wrong within
/// a simulation is data in its outcome.
pub fn simulate(
    plan: &Plan,
    snapshot: &Snapshot,
    options: &SimulationOptions,
) -> Result<Outcome, SimulationError> {
    plan.verify()?;
    accept(snapshot, options)?;
    let mut run = Run::new(plan, snapshot, options)?;
    while run.cluster.now() < run.end {
        run.tick()?;
        run.pass();
    }
    run.finish()
}

fn accept(snapshot: &Snapshot, options: &SimulationOptions) -> Result<(), SimulationError> {
    options.physics.check_ranges()?;
    let (tick, horizon) = (options.tick, options.horizon);
    if tick < Span::from_millis(1) || tick > Span::from_seconds(3600) {
        return Err(SimulationError::Tick { tick });
    }
    if horizon < tick || horizon > Span::from_seconds(366 * 86_400) {
        return Err(SimulationError::Horizon { horizon });
    }
    for fault in &options.faults {
        let host = fault.host().filter(|host| !snapshot.hosts.contains_key(*host));
        let vm = fault.vm().filter(|vm| snapshot.sightings(vm).next().is_none());
        if let Some(name) = host.map(ToString::to_string).or(vm.map(ToString::to_string)) {
            return Err(SimulationError::UnknownInFault { name });
        }
    }
    Ok(())
}

/// A simulation under way.
struct Run<'a> {
    plan: &'a Plan,
    options: &'a SimulationOptions,
    cluster: SimCluster,
    journal: MemoryJournal,
    controller: Controller,
    died: bool,
    checkers: Checkers,
    use_meter: UseMeter,
    start: Timestamp,
    end: Timestamp,
}

/// The program that runs the engine.
enum Controller {
    /// It has not taken the plan yet.
    New,
    Ticking(Box<Engine>),
    /// It is dead and returns then.
    Away(Timestamp),
    /// Every move has ended; without an engine when that was found in the journal.
    Done(Option<Box<Engine>>),
}

impl<'a> Run<'a> {
    fn new(
        plan: &'a Plan,
        snapshot: &Snapshot,
        options: &'a SimulationOptions,
    ) -> Result<Self, SimulationError> {
        let cluster = SimCluster::new(
            snapshot,
            ClusterOptions {
                seed: options.seed,
                physics: options.physics.clone(),
                replay: options.replay.clone(),
                faults: options.faults.clone(),
                log_lines: options.log_lines,
                ..ClusterOptions::default()
            },
        )?;
        let crash = options.restart.and_then(|restart| match restart.dies {
            Death::Record(point) => Some(point),
            Death::At(_) => None,
        });
        let start = cluster.now();
        Ok(Self {
            plan,
            options,
            journal: MemoryJournal::dying(crash),
            controller: Controller::New,
            died: false,
            checkers: Checkers::new(&cluster, options.engine.memory_reserve),
            use_meter: UseMeter::new(&cluster, options.horizon),
            start,
            end: start + options.horizon,
            cluster,
        })
    }

    /// Whatever the controller does at this moment.
    fn tick(&mut self) -> Result<(), SimulationError> {
        let now = self.cluster.now();
        match &mut self.controller {
            Controller::Done(_) => return Ok(()),
            Controller::Away(until) if now < *until => return Ok(()),
            Controller::Away(_) => self.come_back()?,
            Controller::New => self.start_engine(),
            Controller::Ticking(_) => {}
        }
        self.die_if_due();
        if let Controller::Ticking(engine) = &mut self.controller {
            let ticked = engine.tick(&mut self.cluster, &mut self.journal);
            if ticked.is_ok() && engine.ended() {
                let engine = engine.clone();
                self.retire(Some(engine));
            }
        }
        if self.journal.crashed() {
            self.die();
        }
        self.checkers.look(&self.cluster, now);
        Ok(())
    }

    fn start_engine(&mut self) {
        let (plan, settings) = (self.plan.clone(), self.options.engine);
        let started = Engine::start(plan, settings, self.cluster.now(), &mut self.journal);
        if let Ok(engine) = started {
            self.controller = Controller::Ticking(Box::new(engine));
        }
    }

    fn die_if_due(&mut self) {
        let Some(Restart { dies: Death::At(after), .. }) = self.options.restart else { return };
        let due = self.cluster.now() >= self.start + after;
        if due && !self.died && matches!(self.controller, Controller::Ticking(_)) {
            self.die();
        }
    }

    fn die(&mut self) {
        let away = self.options.restart.map_or(Span::ZERO, |restart| restart.away);
        self.died = true;
        self.controller = Controller::Away(self.cluster.now() + away);
        self.cluster.controller_died();
    }

    /// Starts again from the journal alone. A plan that it does not know is asked for again.
    fn come_back(&mut self) -> Result<(), SimulationError> {
        self.journal.reopen();
        let recovered = Engine::recover(self.journal.written(), self.options.engine)?;
        if let Some(engine) = recovered {
            self.controller = Controller::Ticking(Box::new(engine));
        } else if self.journal.written().is_empty() {
            self.start_engine();
        } else {
            self.retire(None);
        }
        Ok(())
    }

    fn retire(&mut self, engine: Option<Box<Engine>>) {
        self.controller = Controller::Done(engine);
        self.cluster.stop_reading();
    }

    /// Time passes until the engine's next tick, or the next point of the hosts' use.
    fn pass(&mut self) {
        let now = self.cluster.now();
        let tick = match self.controller {
            Controller::Done(_) => self.options.horizon,
            _ => self.options.tick,
        };
        let next_tick = (now + tick).min(self.end);
        while let Some(point) = self.use_meter.next().filter(|point| *point <= next_tick) {
            self.cluster.advance(point.since(self.cluster.now()));
            self.use_meter.point(&mut self.cluster);
        }
        self.cluster.advance(next_tick.since(self.cluster.now()));
    }

    fn finish(mut self) -> Result<Outcome, SimulationError> {
        let now = self.cluster.now();
        self.cluster.read_all();
        let execution = self.execution()?;
        let ends = execution.moves.iter().filter_map(|one| one.ended_at);
        let makespan = ends.max().map(|end| end.since(self.start));
        let violations = self.checkers.finish(&self.cluster, self.journal.written(), now);
        Ok(Outcome {
            seed: self.options.seed,
            execution,
            makespan,
            hosts: self.use_meter.finish(&mut self.cluster),
            bytes_on_the_wire: self.cluster.bytes_on_the_wire(),
            violations,
            snapshot: self.cluster.observe(),
            journal: self.journal.written().to_vec(),
            events: self.cluster.events(),
            log: self.cluster.log().clone(),
        })
    }

    /// The engine's view; where no engine is left, what its journal says.
    fn execution(&self) -> Result<Execution, SimulationError> {
        if let Controller::Ticking(engine) | Controller::Done(Some(engine)) = &self.controller {
            return Ok(engine.execution());
        }
        let (ended, open) = match self.journal.written() {
            [open @ .., last] if last.entry == Entry::PlanEnded => (true, open),
            open => (false, open),
        };
        let engine = Engine::recover(open, self.options.engine)?;
        let nothing = || Execution {
            plan: self.plan.id(),
            moves: Vec::new(),
            cancelled: false,
            ended: false,
            records: Vec::new(),
        };
        let known = engine.map_or_else(nothing, |engine| engine.execution());
        Ok(Execution { ended, ..known })
    }
}
