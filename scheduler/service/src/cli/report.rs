//! `whimbrel report`, and the report that other verbs write on the way.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use whimbrel_core::{Snapshot, units::Span};
use whimbrel_engine::Execution;

use super::{Common, Ending, source::SourceArguments};
use crate::{
    Failure,
    advice::Proposal,
    files,
    report::{ComparisonColumn, Happened, ReportModel, render},
    scene::Scene,
};

/// Windows at which fitted curves are drawn, in milliseconds: even steps on a log axis.
const CURVE_WINDOWS: [u64; 17] = [
    100, 150, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 4000, 5000, 6000, 8000, 10_000, 15_000,
    20_000,
];

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
pub(super) struct ReportArguments {
    /// The plan's file
    plan: PathBuf,
    /// The HTML file to write
    #[arg(long, short = 'f', value_name = "FILE", default_value = "whimbrel-report.html")]
    out: PathBuf,
    #[command(flatten)]
    source: SourceArguments,
}

pub(super) fn run(common: &Common, own: &ReportArguments) -> Result<Ending, Failure> {
    let plan = files::read_plan(&own.plan)?;
    let scene = own.source.scene_at(common, Some(plan.parent.snapshot_taken_at))?;
    let notes = scene.advisor.check(&plan, &scene.situation)?;
    let proof = scene.advisor.prove(&plan, &scene.situation)?;
    let proposal = Proposal { plan, notes, proof };
    let executed = executed(common, &proposal)?;
    let outcome = &proposal.proof.outcome;
    let happened = match &executed {
        Some(execution) => (Happened::Measured, execution, &outcome.snapshot),
        None => (Happened::Simulated, &outcome.execution, &outcome.snapshot),
    };
    write_report(&own.out, &scene, &proposal, happened, &[])?;
    Ok(Ending::Done)
}

/// How the journal says that the plan was executed, if it was.
#[cfg(feature = "libvirt")]
fn executed(common: &Common, proposal: &Proposal) -> Result<Option<Execution>, Failure> {
    use whimbrel_core::ports::Journal as _;

    if !common.config.exists() {
        return Ok(None);
    }
    let config = crate::config::Config::load(&common.config, &common.set)?;
    let records = crate::wiring::journal(&config)?.records().map_err(Failure::unavailable)?;
    let executions = whimbrel_engine::Engine::executions(&records).map_err(Failure::conflict)?;
    Ok(executions.into_iter().rfind(|one| one.plan == proposal.plan.id()))
}

#[cfg(not(feature = "libvirt"))]
#[expect(clippy::unnecessary_wraps, reason = "the build with libvirt can fail here")]
fn executed(_common: &Common, _proposal: &Proposal) -> Result<Option<Execution>, Failure> {
    Ok(None)
}

/// Writes the report of `proposal` and of what happened, and says where.
pub(super) fn write_report(
    path: &Path,
    scene: &Scene,
    proposal: &Proposal,
    (happened, execution, after): (Happened, &Execution, &Snapshot),
    comparison: &[ComparisonColumn],
) -> Result<(), Failure> {
    let windows = CURVE_WINDOWS.map(Span::from_millis);
    let before = &scene.situation.snapshot;
    let policy = scene.advisor.policy();
    let bands = &proposal.proof.bands;
    let mut simulation = vec![format!(
        "{} runs, every move arrived in {:.0} % of them",
        bands.runs,
        bands.succeeded.get() * 100.0
    )];
    simulation.extend(
        proposal.proof.outcome.violations.iter().map(|v| format!("{} at {}", v.breach, v.at)),
    );
    let model = ReportModel {
        title: format!("Plan {}: {}", proposal.plan.id(), proposal.plan.goal),
        command: command(),
        happened,
        before: before.clone(),
        after: after.clone(),
        memory_reserve: policy.limits.memory_reserve,
        overload_above: policy.balance.overload_above,
        plan: proposal.plan.clone(),
        execution: Some(execution.clone()),
        comparison: comparison.to_vec(),
        history: scene.history.clone(),
        dirty: before.domains.iter().map(|d| (d.vm.clone(), d.dirty.clone())).collect(),
        curves: before
            .domains
            .iter()
            .filter_map(|d| Some((d.vm.clone(), scene.advisor.curve(d, &windows)?)))
            .collect::<BTreeMap<_, _>>(),
        checker_notes: proposal.notes.iter().map(ToString::to_string).collect(),
        simulation,
    };
    files::write(path, render(&model).as_bytes())?;
    eprintln!("report: {}", path.display());
    Ok(())
}

/// The command as it was given, quoted for a shell.
pub(super) fn command() -> String {
    let quoted = |word: String| {
        let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@".contains(c);
        if word.chars().all(plain) && !word.is_empty() {
            word
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    let name = std::iter::once("whimbrel".to_owned());
    name.chain(std::env::args().skip(1).map(quoted)).collect::<Vec<_>>().join(" ")
}
