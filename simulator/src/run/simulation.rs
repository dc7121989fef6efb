//! A simulation under way: it can be stopped at any moment, looked at, copied, and let go on.
//!
//! A copy is a branch: both go on from the same moment, and what is done to one does not reach the
//! other. "What if this host died now?" is a copy that is struck by a fault.

use std::collections::BTreeSet;

use whimbrel_core::{
    Cluster, Plan, Snapshot,
    ids::HostId,
    units::{Span, Timestamp},
};

use super::{
    controller::Controller,
    options::{Restart, SimulationError, SimulationOptions, accept, known_in_fault},
};
use crate::{
    checkers::Checkers,
    cluster::{ClusterOptions, HostPower, SimCluster},
    fault::Fault,
    kernel::Streams,
    outcome::Outcome,
    use_meter::UseMeter,
};

/// Time between two looks of the controller while a migration ends, and for how long that is.
/// Source: whoever executes a plan looks ten times a second, and it takes some looks until a guest
/// that has arrived is settled. In between nothing happens that a look would change.
const PROMPT: Span = Span::from_millis(100);
const PROMPT_FOR: Span = Span::from_seconds(1);

/// A simulation under way. Equal values go on equally, to the byte.
#[derive(Debug, Clone)]
pub struct Simulation {
    seed: u64,
    tick: Span,
    cluster: SimCluster,
    controller: Controller,
    checkers: Checkers,
    use_meter: UseMeter,
    faults: Vec<Fault>,
    restarts: Vec<Restart>,
    start: Timestamp,
    next_tick: Timestamp,
    prompt_until: Timestamp,
    end: Timestamp,
}

impl Simulation {
    /// The execution of `plan` from `snapshot`, at its start.
    ///
    /// # Errors
    /// [`SimulationError`] when plan, snapshot or options cannot be simulated.
    pub fn new(
        plan: &Plan,
        snapshot: &Snapshot,
        options: &SimulationOptions,
    ) -> Result<Self, SimulationError> {
        plan.verify()?;
        accept(snapshot, options)?;
        let (faults, restarts) = script(snapshot, options);
        let mut cluster = SimCluster::new(
            snapshot,
            ClusterOptions {
                seed: options.seed,
                physics: options.physics.clone(),
                backbone: options.backbone.clone(),
                replay: options.replay.clone(),
                faults: faults.clone(),
                changes: options.changes.clone(),
                facts: options.facts.clone(),
                needs: options.needs.clone(),
                log_lines: options.log_lines,
            },
        )?;
        cluster.forget_touched();
        let start = cluster.now();
        let reserve = options.engine.memory_reserve;
        Ok(Self {
            seed: options.seed,
            tick: options.tick,
            controller: Controller::new(plan.clone(), options.engine, &restarts, start),
            checkers: Checkers::new(&cluster, reserve, options.engine.cpu_overcommit),
            use_meter: UseMeter::new(&cluster, options.horizon),
            faults,
            restarts,
            start,
            next_tick: start,
            prompt_until: start,
            end: start + options.horizon,
            cluster,
        })
    }

    /// Time since its start.
    pub fn elapsed(&self) -> Span {
        self.cluster.now().since(self.start)
    }

    /// The cluster as it is now.
    pub fn cluster(&self) -> &SimCluster {
        &self.cluster
    }

    /// Lets `span` pass, at most until the horizon.
    ///
    /// # Errors
    /// [`SimulationError::Recover`] when the engine cannot continue its own journal.
    pub fn advance(&mut self, span: Span) -> Result<(), SimulationError> {
        let until = (self.cluster.now() + span).min(self.end);
        while self.cluster.now() < until {
            let now = self.cluster.now();
            if now >= self.next_tick {
                self.controller.tick(&mut self.cluster)?;
                self.checkers.look(&mut self.cluster, self.controller.journal.written());
                self.next_tick = now + self.pause(now);
            }
            self.pass(self.next_tick.min(until));
        }
        Ok(())
    }

    /// Time from `now` to the controller's next tick.
    fn pause(&self, now: Timestamp) -> Span {
        if self.controller.is_done() {
            self.end.since(now)
        } else if now < self.prompt_until {
            self.tick.min(PROMPT)
        } else {
            self.tick
        }
    }

    /// A fault strikes; its time is counted from now, in the outcome's script from the start.
    ///
    /// # Errors
    /// [`SimulationError`] when it names what is not there.
    pub fn strike(&mut self, fault: Fault) -> Result<(), SimulationError> {
        let world = &self.cluster.world;
        known_in_fault(&fault, &|host| world.host(host).is_some(), &|vm| world.vm(vm).is_some())?;
        let delay = fault.at();
        let scripted = fault.later(self.elapsed());
        self.faults.push(scripted.clone());
        self.cluster.strike_in(delay, scripted);
        // What strikes now has struck before anybody acts.
        self.pass(self.cluster.now());
        Ok(())
    }

    /// Time passes, at most until the controller's next tick; whatever happens is looked at at
    /// once.
    fn pass(&mut self, until: Timestamp) {
        while let Some(point) = self.use_meter.next().filter(|point| *point <= until) {
            self.step(point);
            if self.cluster.now() < point {
                return;
            }
            self.use_meter.point(&mut self.cluster);
        }
        self.step(until);
    }

    /// The same without looking at the hosts' use. The end of a migration brings the controller's
    /// next tick forward: it does not sleep through it.
    fn step(&mut self, until: Timestamp) {
        while self.cluster.advance_to_next(until.min(self.next_tick)) {
            self.checkers.glance(&mut self.cluster);
            if self.cluster.take_news() && !self.controller.is_done() {
                let now = self.cluster.now();
                self.prompt_until = now + PROMPT_FOR;
                self.next_tick = self.next_tick.min(now + PROMPT);
            }
        }
    }

    /// Goes on to the horizon; what was found out.
    ///
    /// # Errors
    /// [`SimulationError::Recover`] when the engine cannot continue its own journal.
    pub fn finish(mut self) -> Result<Outcome, SimulationError> {
        self.advance(self.end.since(self.cluster.now()))?;
        self.cluster.read_all();
        let execution = self.controller.execution()?;
        let ends = execution.moves.iter().filter_map(|one| one.ended_at);
        let makespan = ends.max().map(|end| end.since(self.start));
        let journal = self.controller.journal.written().to_vec();
        let violations = self.checkers.finish(&mut self.cluster, &journal);
        let ids: Vec<HostId> = self.cluster.world.hosts.iter().map(|h| h.id.clone()).collect();
        let power: Vec<HostPower> =
            (0..ids.len()).map(|host| self.cluster.power_of(host)).collect();
        let energy = ids
            .iter()
            .enumerate()
            .filter_map(|(host, id)| Some((id.clone(), self.cluster.energy_kilowatt_hours(host)?)));
        Ok(Outcome {
            seed: self.seed,
            started_at: self.start,
            execution,
            makespan,
            energy_kilowatt_hours: energy.collect(),
            power: ids.iter().cloned().zip(power).collect(),
            io_stalled: self.cluster.stalled(),
            hosts: self.use_meter.finish(&mut self.cluster),
            bytes_on_the_wire: self.cluster.bytes_on_the_wire(),
            violations,
            snapshot: self.cluster.observe(),
            journal,
            faults: self.faults,
            restarts: self.restarts,
            events: self.cluster.events(),
            log: self.cluster.log().clone(),
        })
    }
}

/// What goes wrong: what was scripted, then what the seed draws.
fn script(snapshot: &Snapshot, options: &SimulationOptions) -> (Vec<Fault>, Vec<Restart>) {
    let hosts: Vec<_> = snapshot.hosts.keys().collect();
    let vms: BTreeSet<_> = snapshot.domains.iter().map(|domain| &domain.vm).collect();
    let vms: Vec<_> = vms.into_iter().collect();
    let streams = Streams::new(options.seed);
    let (drawn, deaths) = options.rates.draw(&hosts, &vms, options.horizon, streams);
    let faults = options.faults.iter().cloned().chain(drawn).collect();
    (faults, options.restarts.iter().copied().chain(deaths).collect())
}
