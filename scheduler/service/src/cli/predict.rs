//! `whimbrel predict`: what a migration would cost.

use serde::Serialize;
use whimbrel_core::{HostId, Prediction, VmId};

use super::{Common, Ending, Format, print_json, source::SourceArguments, table::table};
use crate::Failure;

/// Arguments of `predict`.
#[derive(Debug, clap::Args)]
pub(super) struct PredictArguments {
    /// The domain
    vm: VmId,
    /// The target; every host that is up, if left out
    #[arg(long)]
    to: Option<HostId>,
    /// Seed of what the prediction draws
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    source: SourceArguments,
}

/// One answer, as JSON has it.
#[derive(Debug, Serialize)]
struct Answer {
    vm: VmId,
    to: HostId,
    prediction: Prediction,
}

pub(super) fn run(common: &Common, own: &PredictArguments) -> Result<Ending, Failure> {
    let scene = own.source.scene(common)?;
    let answers = scene.advisor.predict(&scene.situation, &own.vm, own.to.as_ref(), own.seed)?;
    if common.output == Format::Json {
        let answers: Vec<Answer> = answers
            .into_iter()
            .map(|(to, prediction)| Answer { vm: own.vm.clone(), to, prediction })
            .collect();
        print_json(&answers)?;
        return Ok(Ending::Done);
    }
    print(&own.vm, &answers);
    Ok(Ending::Done)
}

fn print(vm: &VmId, answers: &[(HostId, Prediction)]) {
    let heads = [
        "domain",
        "to",
        ">converges",
        ">time",
        "5 % .. 95 %",
        ">sent",
        "5 % .. 95 %",
        ">downtime",
        "5 % .. 95 %",
    ];
    let mut rows = table(&heads);
    for (to, p) in answers {
        rows.add_row([
            vm.to_string(),
            to.to_string(),
            p.converges.to_string(),
            p.total_time.p50.human(),
            format!("{} .. {}", p.total_time.p05.human(), p.total_time.p95.human()),
            p.transferred.p50.human(),
            format!("{} .. {}", p.transferred.p05.human(), p.transferred.p95.human()),
            p.downtime.p50.human(),
            format!("{} .. {}", p.downtime.p05.human(), p.downtime.p95.human()),
        ]);
    }
    println!("{rows}");
    let mut said: Vec<&String> = Vec::new();
    for caveat in answers.iter().flat_map(|(_, p)| &p.caveats) {
        if !said.contains(&caveat) {
            println!("note: {caveat}");
            said.push(caveat);
        }
    }
    for (to, p) in answers {
        if let Some(stall) = p.stall {
            println!(
                "note: to {to} it may hang with {} left, redirtied every {}; a downtime limit of {} would end that",
                stall.remaining.human(),
                stall.round.human(),
                stall.downtime_limit_needed.human()
            );
        }
    }
}
