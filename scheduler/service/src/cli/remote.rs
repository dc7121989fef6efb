//! The same verbs through a daemon's API: same answers, same exit codes.
//!
//! What only this machine could do (look into files of telemetry, write reports) is refused by
//! name rather than left out. Decides nothing: the daemon's policy holds, and its checker and
//! simulator judge.

use std::path::PathBuf;

use whimbrel_core::{Plan, PlanId};
use whimbrel_engine::Execution;

use super::{
    Common, Ending, Format, Verb, apply::ApplyArguments, capacity, executed, interrupt, inventory,
    place, predict, progress::Progress, rescue, simulate, source::SourceArguments,
};
use crate::{
    Failure, files,
    grpc::{Client, ClientTls},
};

mod plan;
mod told;

use told::{Told, may_run, show};

/// Where the daemon is, and what is shown to it.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct RemoteArguments {
    /// Ask a daemon instead of the hosts: HOST:PORT, with mutual TLS unless it is on loopback
    #[arg(long, global = true, value_name = "URL", env = "WHIMBREL_ENDPOINT")]
    pub(super) endpoint: Option<String>,
    /// Certificates of the authority that signed the daemon's, PEM
    #[arg(long, global = true, value_name = "FILE", env = "WHIMBREL_CA")]
    ca: Option<PathBuf>,
    /// This client's certificate, PEM
    #[arg(long, global = true, value_name = "FILE", env = "WHIMBREL_CERTIFICATE")]
    certificate: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, global = true, value_name = "FILE", env = "WHIMBREL_KEY")]
    key: Option<PathBuf>,
}

impl RemoteArguments {
    fn tls(&self) -> Result<Option<ClientTls>, Failure> {
        match (&self.ca, &self.certificate, &self.key) {
            (None, None, None) => Ok(None),
            (Some(ca), Some(certificate), Some(key)) => Ok(Some(ClientTls {
                ca: ca.clone(),
                cert: certificate.clone(),
                key: key.clone(),
                server_name: None,
            })),
            _ => Err(Failure::invalid(
                "mutual TLS takes --ca, --certificate and --key together \
                 (hint: give all three, or none on a loopback address)",
            )),
        }
    }
}

/// Does `verb` at `endpoint`.
pub(super) fn run(common: &Common, endpoint: &str, verb: &Verb) -> Result<Ending, Failure> {
    if common.policy.is_some() {
        return Err(only_here("--policy", "the daemon's own policy holds"));
    }
    if !common.set.is_empty() {
        return Err(only_here("--set", "the daemon's own configuration holds"));
    }
    let tls = common.remote.tls()?;
    let client = || Client::connect(endpoint, tls.as_ref());
    match verb {
        Verb::Inventory(own) => {
            refuse_other_sources(&own.source)?;
            inventory::show(common, own, &client()?.inventory()?)
        }
        Verb::Predict(own) => {
            refuse_other_sources(&own.source)?;
            if own.seed != predict::SEED {
                return Err(only_here("--seed of a prediction", "the daemon has its own"));
            }
            if own.window.before.is_some() {
                return Err(only_here("--before", "the daemon gives no history"));
            }
            if own.how.given() || own.choosing.choose || own.explain {
                return Err(only_here(
                    "other settings, --choose and --explain",
                    "the API predicts what the daemon's policy says",
                ));
            }
            predict::show(common, &own.vm, client()?.predict(&own.vm, own.to.as_ref())?)
        }
        Verb::Plan(own) => plan::run(common, own, &client),
        Verb::Place(own) => {
            refuse_other_sources(&own.source)?;
            let (vms, batch) = own.asked();
            place::show(common, &client()?.place(&vms, batch)?)
        }
        Verb::Rescue(own) => {
            refuse_other_sources(&own.source)?;
            rescue::show(common, &client()?.rescue(&own.asked())?)
        }
        Verb::Capacity(own) => {
            refuse_other_sources(&own.source)?;
            let request = own.asked()?;
            capacity::show(common, &client()?.capacity(&request)?)
        }
        Verb::Simulate(own) => simulated(common, own, &client),
        Verb::Apply(own) => applied(own, &client),
        Verb::Collect(_)
        | Verb::ConvertInput(_)
        | Verb::Forecast(_)
        | Verb::Report(_)
        | Verb::Demo(_)
        | Verb::Train(_)
        | Verb::Dataset(_)
        | Verb::Evaluate(_)
        | Verb::WhatIf(_)
        | Verb::Sweep(_)
        | Verb::Serve(_) => Err(Failure::invalid(
            "this verb does not work through an endpoint \
                 (hint: leave out --endpoint and WHIMBREL_ENDPOINT)",
        )),
    }
}

fn only_here(what: &str, why: &str) -> Failure {
    Failure::invalid(format!(
        "{what} does not work through an endpoint: {why} \
         (hint: leave it out, or leave out --endpoint and WHIMBREL_ENDPOINT)"
    ))
}

fn refuse_other_sources(source: &SourceArguments) -> Result<(), Failure> {
    match source.other_than_live() {
        Some(option) => Err(only_here(option, "the daemon looks at live hosts")),
        None => Ok(()),
    }
}

/// How a connection is made, once everything else has been checked.
type Connect<'a> = dyn Fn() -> Result<Client, Failure> + 'a;

fn simulated(
    common: &Common,
    own: &simulate::SimulateArguments,
    connect: &Connect<'_>,
) -> Result<Ending, Failure> {
    refuse_other_sources(&own.source)?;
    let plan = own.plan.as_deref().ok_or_else(|| {
        Failure::invalid(
            "a scenario is simulated here, not by a daemon (hint: leave --endpoint out)",
        )
    })?;
    let (text, plan) = read_plan(plan)?;
    let told = connect()?.simulate(&text, plan.parent.seed)?;
    show(common.output, &Told::of(&plan, &told))?;
    Ok(if may_run(&told) { Ending::Done } else { Ending::No })
}

fn applied(own: &ApplyArguments, connect: &Connect<'_>) -> Result<Ending, Failure> {
    if own.report.is_some() {
        return Err(only_here("--report", "the report needs more than the API tells"));
    }
    let Some(path) = &own.plan else { return joined(own.abandon, connect) };
    let (text, plan) = read_plan(path)?;
    let client = connect()?;
    let told = client.simulate(&text, plan.parent.seed)?;
    show(Format::Table, &Told::of(&plan, &told))?;
    if !may_run(&told) {
        eprintln!("not applied: see the lines with NO above");
        return Ok(Ending::No);
    }
    if !own.execute {
        say!("dry run: nothing was changed; --execute does it");
        return Ok(Ending::Done);
    }
    let begun = client.apply(&text, plan.digest.as_str())?;
    follow(&client, &begun.plan)
}

/// Follows the plan that the daemon executes; gives it up when that is asked for.
fn joined(abandon: bool, connect: &Connect<'_>) -> Result<Ending, Failure> {
    let client = connect()?;
    let Some(unfinished) = client.operations()?.into_iter().rfind(|one| !one.ended) else {
        say!("nothing to resume: no plan is unfinished");
        return Ok(Ending::No);
    };
    if abandon {
        client.cancel(&unfinished.plan)?;
    }
    follow(&client, &unfinished.plan)
}

/// Shows an operation to its end. Ctrl-C cancels it; once more only ends the showing.
fn follow(client: &Client, id: &PlanId) -> Result<Ending, Failure> {
    let mut progress = Progress::new();
    let mut cancelled = false;
    interrupt::watch();
    let execution: Execution = client.watch(
        id,
        |execution| progress.show(execution),
        || match interrupt::count() {
            0 => Ok(()),
            1 if cancelled => Ok(()),
            1 => {
                cancelled = true;
                eprintln!("cancelling; once more Ctrl-C leaves migrations to the daemon");
                client.cancel(id).map(drop)
            }
            _ => Err(Failure::conflict(
                "left while migrations were under way \
                 (hint: whimbrel apply --resume shows them again)",
            )),
        },
    )?;
    executed::print(&execution);
    Ok(executed::ending(&execution))
}

/// A plan file, exact, and what it says.
fn read_plan(path: &std::path::Path) -> Result<(String, Plan), Failure> {
    let text = files::read_text(path)?;
    let plan = files::parse_plan(&text).map_err(|e| e.about(path.display()))?;
    Ok((text, plan))
}
