//! `whimbrel predict`: what a migration would cost.

use serde::Serialize;
use whimbrel_core::{
    HostId, Prediction, VmId,
    units::{Bytes, Span},
};

use super::{
    Common, Ending, Format, print_json,
    source::SourceArguments,
    table::{band, table},
};
use crate::Failure;

/// Seed unless another is asked for.
pub(super) const SEED: u64 = 1;

/// Arguments of `predict`.
#[derive(Debug, clap::Args)]
pub(super) struct PredictArguments {
    /// The domain
    pub(super) vm: VmId,
    /// The target; every host that is up, if left out
    #[arg(long)]
    pub(super) to: Option<HostId>,
    /// Seed of what the prediction draws
    #[arg(long, default_value_t = SEED)]
    pub(super) seed: u64,
    #[command(flatten)]
    pub(super) source: SourceArguments,
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
    show(common, &own.vm, answers)
}

/// Prints answers in the form that was asked for.
pub(super) fn show(
    common: &Common,
    vm: &VmId,
    answers: Vec<(HostId, Prediction)>,
) -> Result<Ending, Failure> {
    match common.output {
        Format::Json => {
            let answer = |(to, prediction)| Answer { vm: vm.clone(), to, prediction };
            print_json(&answers.into_iter().map(answer).collect::<Vec<_>>())?;
        }
        Format::Table => print(vm, &answers),
    }
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
            band(&p.total_time, Span::human),
            p.transferred.p50.human(),
            band(&p.transferred, Bytes::human),
            p.downtime.p50.human(),
            band(&p.downtime, Span::human),
        ]);
    }
    say!("{rows}");
    let mut said: Vec<&String> = Vec::new();
    for caveat in answers.iter().flat_map(|(_, p)| &p.caveats) {
        if !said.contains(&caveat) {
            say!("note: {caveat}");
            said.push(caveat);
        }
    }
    for (to, p) in answers {
        if let Some(stall) = p.stall {
            say!(
                "note: to {to} it may hang with {} left, redirtied every {}; a downtime limit of {} would end that",
                stall.remaining.human(),
                stall.round.human(),
                stall.downtime_limit_needed.human()
            );
        }
    }
}
