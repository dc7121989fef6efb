//! `whimbrel apply`: a plan on the real hosts.

use std::path::PathBuf;

use super::{Common, Ending};
use crate::Failure;

/// Arguments of `apply`.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct ApplyArguments {
    /// The plan's file
    #[arg(required_unless_present_any = ["resume", "abandon"])]
    pub(super) plan: Option<PathBuf>,
    /// Really do it; without this the plan is checked against the hosts as they are, simulated
    /// and shown
    #[arg(long, requires = "plan")]
    pub(super) execute: bool,
    /// Go on with the plan that an earlier run left unfinished
    #[arg(long, conflicts_with_all = ["plan", "abandon"])]
    resume: bool,
    /// Give up the plan that an earlier run left unfinished; what can still be cancelled is
    #[arg(long, conflicts_with = "plan")]
    pub(super) abandon: bool,
    /// Write an HTML report at the end
    #[arg(long, value_name = "FILE", requires = "plan")]
    pub(super) report: Option<PathBuf>,
}

#[cfg(not(feature = "libvirt"))]
pub(super) fn run(_common: &Common, _own: &ApplyArguments) -> Result<Ending, Failure> {
    Err(super::without_libvirt())
}

#[cfg(feature = "libvirt")]
pub(super) use live::run;

#[cfg(feature = "libvirt")]
mod live {
    use std::{thread, time::Duration};

    use whimbrel_core::{Cluster as _, Plan, ports::Journal, units::Span};
    use whimbrel_datasets::TelemetryStore;
    use whimbrel_engine::{Engine, Execution};

    use super::{ApplyArguments, Common, Ending, Failure};
    use crate::{
        adapters::libvirt_cluster::LibvirtCluster,
        advice::Proposal,
        cli::{
            executed, interrupt, progress::Progress, proposal, report::write_report, source, watch,
        },
        config::Config,
        files,
        report::Happened,
        scene::Scene,
        wiring::{self, Keep},
    };

    /// Time between ticks: half of what hosts are looked at with while migrations run.
    const TICK: Duration = Duration::from_millis(100);

    pub(in crate::cli) fn run(common: &Common, own: &ApplyArguments) -> Result<Ending, Failure> {
        let config = Config::load(&common.config, &common.set)?;
        match &own.plan {
            Some(path) => {
                let plan = files::read_plan(path)?;
                apply(common, own, &config, plan)
            }
            None => resume(common, own, &config),
        }
    }

    fn apply(
        common: &Common,
        own: &ApplyArguments,
        config: &Config,
        plan: Plan,
    ) -> Result<Ending, Failure> {
        let mut cluster = wiring::cluster(config, Keep::Nothing)?;
        let snapshot = watch::until_measured(&mut cluster, None, Span::ZERO);
        let scene = source::scene_of(snapshot, common, config, source::policy(common, config)?)?;
        let notes = scene.advisor.check(&plan, &scene.situation)?;
        let proof = scene.advisor.prove(&plan, &scene.situation)?;
        let proposal = Proposal { plan, notes, proof };
        proposal::print(&proposal);
        if !proposal.may_run() {
            eprintln!("not applied: see the lines with NO above");
            return Ok(Ending::No);
        }
        if !own.execute {
            say!("dry run: nothing was changed; --execute does it");
            return Ok(Ending::Done);
        }
        let mut journal = wiring::journal(config)?;
        let settings = wiring::engine_settings(config, scene.advisor.policy())?;
        refuse_beside_another(&journal, settings)?;
        let now = cluster.now();
        let mut engine = Engine::start(proposal.plan.clone(), settings, now, &mut journal)
            .map_err(Failure::unavailable)?;
        let execution = drive(&mut engine, &mut cluster, &mut journal)?;
        finish(config, &execution)?;
        if let Some(path) = &own.report {
            report(path, &scene, &proposal, &execution, &mut cluster)?;
        }
        Ok(executed::ending(&execution))
    }

    fn report(
        path: &std::path::Path,
        scene: &Scene,
        proposal: &Proposal,
        execution: &Execution,
        cluster: &mut LibvirtCluster,
    ) -> Result<(), Failure> {
        let after = cluster.observe();
        write_report(path, scene, proposal, (Happened::Measured, execution, &after), &[])
    }

    fn resume(common: &Common, own: &ApplyArguments, config: &Config) -> Result<Ending, Failure> {
        let mut journal = wiring::journal(config)?;
        let settings = wiring::engine_settings(config, &source::policy(common, config)?)?;
        let records = journal.records().map_err(Failure::unavailable)?;
        let Some(mut engine) = Engine::recover(&records, settings).map_err(Failure::conflict)?
        else {
            say!("nothing to resume: no plan is unfinished");
            return Ok(Ending::No);
        };
        let mut cluster = wiring::cluster(config, Keep::Nothing)?;
        watch::until_measured(&mut cluster, None, Span::ZERO);
        for order in engine.under_way() {
            cluster.adopt(order);
        }
        if own.abandon {
            engine.cancel(cluster.now(), &mut journal).map_err(Failure::unavailable)?;
        }
        proposal::print_plan(engine.plan());
        let execution = drive(&mut engine, &mut cluster, &mut journal)?;
        finish(config, &execution)?;
        Ok(executed::ending(&execution))
    }

    fn refuse_beside_another(
        journal: &dyn Journal,
        settings: whimbrel_engine::EngineSettings,
    ) -> Result<(), Failure> {
        let records = journal.records().map_err(Failure::unavailable)?;
        match Engine::recover(&records, settings).map_err(Failure::conflict)? {
            None => Ok(()),
            Some(unfinished) => Err(Failure::conflict(format!(
                "plan {} ({}) was left unfinished \
                 (hint: whimbrel apply --resume goes on with it, --abandon gives it up)",
                unfinished.plan().id(),
                unfinished.plan().goal
            ))),
        }
    }

    /// Ticks to the end. Ctrl-C cancels the plan; once more leaves it to itself, to be resumed.
    fn drive(
        engine: &mut Engine,
        cluster: &mut LibvirtCluster,
        journal: &mut dyn Journal,
    ) -> Result<Execution, Failure> {
        let mut progress = Progress::new();
        interrupt::watch();
        loop {
            engine.tick(cluster, journal).map_err(Failure::unavailable)?;
            let execution = engine.execution();
            progress.show(&execution);
            if execution.ended {
                return Ok(execution);
            }
            match interrupt::count() {
                0 => {}
                1 => {
                    if !execution.cancelled {
                        eprintln!("cancelling; once more Ctrl-C leaves migrations to themselves");
                    }
                    engine.cancel(cluster.now(), journal).map_err(Failure::unavailable)?;
                }
                _ => {
                    return Err(Failure::conflict(
                        "left while migrations were under way (hint: whimbrel apply --resume)",
                    ));
                }
            }
            thread::sleep(TICK);
        }
    }

    fn finish(config: &Config, execution: &Execution) -> Result<(), Failure> {
        TelemetryStore::create(&config.collect.telemetry_directory)
            .and_then(|mut store| store.append_migrations(&execution.records))
            .map_err(Failure::unavailable)?;
        executed::print(execution);
        Ok(())
    }
}
