//! Predicting, planning and proving, for whoever asks: the command line or the daemon.
//!
//! One [`Advisor`] holds a policy and what past migrations taught; each question comes with a
//! [`Situation`]. Nothing in here touches a host or a file.

use std::collections::BTreeMap;

use whimbrel_core::{
    Domain, Goal, HostId, HostState, Outlook, Plan, Policy, Prediction, Snapshot, VmId,
    check::{self, Note},
    plan::Term,
    telemetry::MigrationRecord,
    units::{Bytes, BytesPerSecond, Share, Span, Timestamp},
};
use whimbrel_models::{CurveFit, Evidence, Model, ReplayPredictor};
use whimbrel_planner::{PlanFailure, PlanRequest};
use whimbrel_simulator::{
    Bands, Outcome, Physics, Replay, SimulationOptions, content_of, simulate, simulate_many,
};

use crate::Failure;

mod ask;
mod outlook;
mod quiet;
mod rescue;
mod tell;

pub use ask::{Explanation, Question};
pub use quiet::level;
pub use rescue::RescueQuestion;
pub use tell::Asked;

/// Simulations behind a band: enough for a 95th percentile that is not simply the worst.
const SEEDS: u64 = 20;

/// Time simulated beyond the plan's predicted end.
const SIMULATED_AFTER_PLAN: Span = Span::from_seconds(120);

/// A cluster at one moment, and what it is expected to do next.
#[derive(Debug, Clone)]
pub struct Situation {
    /// What was observed.
    pub snapshot: Snapshot,
    /// The moment that ages are judged against.
    pub now: Timestamp,
    /// Recorded series that the simulator follows; without them, load stays as it is.
    pub replay: Option<Replay>,
    /// What the past says of guests; nothing where the cluster is not as it was recorded.
    pub outlook: Outlook,
}

/// Answers questions under one policy.
#[derive(Debug, Clone)]
pub struct Advisor {
    policy: Policy,
    predictor: ReplayPredictor,
    physics: Physics,
    content: BTreeMap<VmId, Bytes>,
    /// When migrations of each guest began.
    moves: BTreeMap<VmId, Vec<Timestamp>>,
}

/// A plan with all that was found out about it.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// The plan.
    pub plan: Plan,
    /// What the checker says; it may run when none is fatal.
    pub notes: Vec<Note>,
    /// How it went in the simulator.
    pub proof: Proof,
}

/// How a plan went in the simulator.
#[derive(Debug, Clone)]
pub struct Proof {
    /// Under the first seed, the plan's own unless another was asked for.
    pub outcome: Outcome,
    /// Under several seeds.
    pub bands: Bands,
}

impl Proposal {
    /// Whether checker and simulator let the plan pass.
    pub fn may_run(&self) -> bool {
        check::passes(&self.notes) && self.proof.passes()
    }
}

impl Proof {
    /// Whether nothing happened in any run that must never happen.
    pub fn passes(&self) -> bool {
        self.bands.violated == Share::ZERO
    }
}

impl Advisor {
    /// Under `policy`: `model` predicts, `history` teaches the simulator.
    pub fn new(policy: Policy, model: Model, history: &[MigrationRecord]) -> Self {
        let physics =
            Physics { link_bandwidth: policy.limits.path_bandwidth, ..Physics::default() };
        Self {
            policy,
            predictor: ReplayPredictor { model },
            physics: physics.learnt(history),
            content: content_of(history),
            moves: outlook::moves(history),
        }
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What past migrations taught.
    pub fn model(&self) -> &Model {
        &self.predictor.model
    }

    /// What migrating `vm` as the policy says would cost: to `to`, or to every host that is up
    /// and not its own.
    ///
    /// # Errors
    /// [`Failure`] when VM or host is unknown, or no honest answer exists.
    pub fn predict(
        &self,
        situation: &Situation,
        vm: &VmId,
        to: Option<&HostId>,
        seed: u64,
    ) -> Result<Vec<(HostId, Prediction)>, Failure> {
        let settings = &self.policy.migration;
        self.answer(situation, &Question { vm, to, settings, seed })
    }

    /// What the path carries: measured where migrations ran, assumed by the policy elsewhere.
    fn path(&self, snapshot: &Snapshot, from: &HostId, to: &HostId) -> BytesPerSecond {
        let measured = |host| snapshot.hosts.get(host).and_then(|h| h.migration_bandwidth);
        let assumed = self.policy.limits.path_bandwidth;
        [measured(from), measured(to)].into_iter().flatten().min().unwrap_or(assumed)
    }

    /// Plans, checks and simulates.
    ///
    /// # Errors
    /// [`Failure`] when no plan can be made; a plan that the checker refuses is not an error.
    pub fn propose(
        &self,
        situation: &Situation,
        goal: Goal,
        seed: u64,
    ) -> Result<Proposal, Failure> {
        self.judged(self.planned_by(situation, goal, seed, whimbrel_planner::plan)?, situation)
    }

    /// `plan` with what checker and simulator say of it.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be judged at all.
    pub fn judged(&self, plan: Plan, situation: &Situation) -> Result<Proposal, Failure> {
        let notes = self.check(&plan, situation)?;
        let proof = self.prove(&plan, situation)?;
        Ok(Proposal { plan, notes, proof })
    }

    /// The plan that `planner` makes.
    ///
    /// # Errors
    /// [`Failure`] with the planner's reason.
    pub fn planned_by(
        &self,
        situation: &Situation,
        goal: Goal,
        seed: u64,
        planner: impl Fn(&PlanRequest<'_>) -> Result<Plan, PlanFailure>,
    ) -> Result<Plan, Failure> {
        let outlook = self.outlook_for(situation, &goal);
        planner(&self.request(situation, &outlook, goal, seed)).map_err(Failure::invalid)
    }

    fn request<'a>(
        &'a self,
        situation: &'a Situation,
        outlook: &'a Outlook,
        goal: Goal,
        seed: u64,
    ) -> PlanRequest<'a> {
        PlanRequest {
            snapshot: &situation.snapshot,
            policy: &self.policy,
            outlook,
            goal,
            predictor: &self.predictor,
            now: situation.now,
            seed,
        }
    }

    /// What the independent checker says of `plan` in this situation.
    ///
    /// # Errors
    /// [`Failure`] when plan or snapshot cannot be judged at all.
    pub fn check(&self, plan: &Plan, situation: &Situation) -> Result<Vec<Note>, Failure> {
        check::check(plan, &situation.snapshot, &self.policy, situation.now)
            .map_err(Failure::invalid)
    }

    /// What the simulator says of `plan` in this situation.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be simulated.
    pub fn prove(&self, plan: &Plan, situation: &Situation) -> Result<Proof, Failure> {
        self.prove_from(plan, situation, plan.parent.seed)
    }

    /// What the simulator says of `plan` under `seed` and those after it.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be simulated.
    pub fn prove_from(
        &self,
        plan: &Plan,
        situation: &Situation,
        seed: u64,
    ) -> Result<Proof, Failure> {
        let options = SimulationOptions { seed, ..self.simulation(plan, situation) };
        let snapshot = &situation.snapshot;
        let outcome = simulate(plan, snapshot, &options).map_err(Failure::invalid)?;
        let seeds = (0..SEEDS).map(|offset| options.seed.wrapping_add(offset));
        let bands = simulate_many(plan, snapshot, &options, seeds).map_err(Failure::invalid)?;
        Ok(Proof { outcome, bands })
    }

    /// `plan` over the policy's whole horizon, under one seed: what the cluster gains by it.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be simulated.
    pub fn play_horizon(&self, plan: &Plan, situation: &Situation) -> Result<Outcome, Failure> {
        let mut options = self.simulation(plan, situation);
        options.horizon = self.policy.balance.horizon;
        simulate(plan, &situation.snapshot, &options).map_err(Failure::invalid)
    }

    /// How `plan` is simulated: until after its end, with what past migrations taught.
    pub fn simulation(&self, plan: &Plan, situation: &Situation) -> SimulationOptions {
        SimulationOptions {
            seed: plan.parent.seed,
            horizon: plan.ends_if(|one| one.timeout) + SIMULATED_AFTER_PLAN,
            replay: Some(Replay {
                content: self.content.clone(),
                ..situation.replay.clone().unwrap_or_default()
            }),
            physics: self.physics.clone(),
            engine: whimbrel_engine::EngineSettings {
                memory_reserve: self.policy.limits.memory_reserve,
                cpu_overcommit: Some(self.policy.limits.cpu_overcommit),
                ..whimbrel_engine::EngineSettings::default()
            },
            ..SimulationOptions::default()
        }
    }

    /// The objective's terms for where `plan` leaves every VM.
    ///
    /// # Errors
    /// [`Failure`] when a move has no prediction.
    pub fn terms(&self, plan: &Plan, situation: &Situation) -> Result<Vec<Term>, Failure> {
        let placement: BTreeMap<VmId, HostId> =
            plan.moves().map(|(_, one)| (one.vm.clone(), one.to.clone())).collect();
        let outlook = self.outlook_of(situation, plan);
        let request = self.request(situation, &outlook, plan.goal.clone(), plan.parent.seed);
        whimbrel_planner::evaluate(&request, &placement).map_err(Failure::invalid)
    }

    /// The fitted unique-dirty curve of `domain` at `windows`, where it has readings.
    pub fn curve(&self, domain: &Domain, windows: &[Span]) -> Option<Vec<(Span, Bytes)>> {
        let evidence = Evidence::of_readings(&domain.dirty, domain.memory);
        let fit = CurveFit::new(&evidence).ok()?;
        let curve = fit.curve(domain.memory);
        Some(windows.iter().map(|window| (*window, curve.unique(*window))).collect())
    }
}

/// `to` if it is a host other than the domain's own; without it every host that is up.
fn targets<'a>(
    snapshot: &'a Snapshot,
    domain: &Domain,
    to: Option<&HostId>,
) -> Result<Vec<&'a HostId>, Failure> {
    let Some(to) = to else {
        let up = snapshot
            .hosts
            .iter()
            .filter(|(id, host)| host.state == HostState::Up && **id != domain.host);
        return Ok(up.map(|(id, _)| id).collect());
    };
    let known = || snapshot.hosts.keys().map(HostId::as_str).collect::<Vec<_>>().join(", ");
    let (id, _) = snapshot.hosts.get_key_value(to).ok_or_else(|| {
        Failure::not_found(format!(
            "host {to} is not in the snapshot (hint: hosts are {})",
            known()
        ))
    })?;
    if *id == domain.host {
        return Err(Failure::invalid(format!(
            "domain {} is on {to} already (hint: name another host, or none for all)",
            domain.vm
        )));
    }
    Ok(vec![id])
}
