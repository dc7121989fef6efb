//! `whimbrel predict`: what a migration would cost.

use serde::Serialize;
use whimbrel_core::{
    HostId, Prediction, VmId,
    settings::MigrationSettings,
    units::{Bytes, Span},
};
use whimbrel_models::Choice;

use super::{
    Common, Ending, Format,
    choose::{self, ChooseArguments},
    explain,
    how::HowArguments,
    print_json,
    source::SourceArguments,
    table::{band, table},
    window::{self, WindowArguments},
};
use crate::{
    Failure,
    advice::{Explanation, Question},
    scene::Scene,
};

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
    /// Say what the answer rests on: readings, curve, QEMU's rule, what makes the band wide
    #[arg(long)]
    pub(super) explain: bool,
    #[command(flatten)]
    pub(super) window: WindowArguments,
    #[command(flatten)]
    pub(super) source: SourceArguments,
    #[command(flatten)]
    pub(super) how: HowArguments,
    #[command(flatten)]
    pub(super) choosing: ChooseArguments,
}

/// One answer, as JSON has it.
#[derive(Debug, Serialize)]
struct Answer {
    vm: VmId,
    to: HostId,
    prediction: Prediction,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
}

/// One choice, as JSON has it.
#[derive(Debug, Serialize)]
struct Chosen {
    vm: VmId,
    to: HostId,
    choice: Choice,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
}

pub(super) fn run(common: &Common, own: &PredictArguments) -> Result<Ending, Failure> {
    let scene = own.source.scene(common)?;
    let settings = own.how.over(&scene.advisor.policy().migration);
    let question = own.question(own.to.as_ref(), &settings);
    if let (Some(_), Some(to)) = (own.window.before, &own.to) {
        return window::run(common, &own.window, &scene, &question, to);
    }
    if own.choosing.choose {
        return chosen(common, own, &scene, &question);
    }
    let answers = scene.advisor.answer(&scene.situation, &question)?;
    if !own.explain {
        return show(common, &own.vm, answers);
    }
    let told = scene.advisor.explain(&scene.situation, &question)?;
    match common.output {
        Format::Json => {
            let pairs = answers.into_iter().zip(told);
            let answer = |((to, prediction), (_, told))| Answer {
                vm: own.vm.clone(),
                to,
                prediction,
                explanation: Some(told),
            };
            print_json(&pairs.map(answer).collect::<Vec<_>>())?;
        }
        Format::Table => {
            for ((to, prediction), (_, told)) in answers.iter().zip(&told) {
                explain::print(&own.vm, to, told, prediction);
            }
        }
    }
    Ok(Ending::Done)
}

impl PredictArguments {
    fn question<'a>(
        &'a self,
        to: Option<&'a HostId>,
        settings: &'a MigrationSettings,
    ) -> Question<'a> {
        Question { vm: &self.vm, to, settings, seed: self.seed }
    }
}

/// Chooses settings for every target that was asked about.
fn chosen(
    common: &Common,
    own: &PredictArguments,
    scene: &Scene,
    question: &Question<'_>,
) -> Result<Ending, Failure> {
    let Scene { situation, advisor, .. } = scene;
    let priorities = own.choosing.priorities();
    let steady = own.choosing.allow_post_copy;
    let choices = advisor.choose(situation, question, &priorities, steady)?;
    let all_kept = choices.iter().all(|(_, choice)| choice.misses.is_empty());
    let mut told = Vec::new();
    for (to, choice) in choices.iter().filter(|_| own.explain) {
        told.extend(advisor.explain(situation, &own.question(Some(to), &choice.settings))?);
    }
    match common.output {
        Format::Json => {
            let mut told = told.into_iter().map(|(_, told)| told);
            let answer =
                |(to, choice)| Chosen { vm: own.vm.clone(), to, choice, explanation: told.next() };
            print_json(&choices.into_iter().map(answer).collect::<Vec<_>>())?;
        }
        Format::Table => {
            choose::print(&own.vm, &choices);
            for ((to, choice), (_, told)) in choices.iter().zip(&told) {
                explain::print(&own.vm, to, told, &choice.prediction);
            }
        }
    }
    Ok(if all_kept { Ending::Done } else { Ending::No })
}

/// Prints answers in the form that was asked for.
pub(super) fn show(
    common: &Common,
    vm: &VmId,
    answers: Vec<(HostId, Prediction)>,
) -> Result<Ending, Failure> {
    match common.output {
        Format::Json => {
            let answer =
                |(to, prediction)| Answer { vm: vm.clone(), to, prediction, explanation: None };
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
