//! `whimbrel evaluate`: how good predictions are, beside published models on the same migrations.
//!
//! Whoever judges learns only from what is marked for it: guests that judge never teach, and a
//! cross-validation of a campaign leaves them out altogether.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Serialize;
use whimbrel_core::{ids::VmId, telemetry::MigrationTrace};
use whimbrel_datasets::{
    BEHAVIOURS_FILE, Campaign, CampaignSet, DatasetError, TelemetryReader, public::lordwicked,
};
use whimbrel_models::{
    baseline::Published,
    evaluate::{History, Learner, Report, Trial, Whimbrel, cross_validate, judge},
    past::{Fold, folds},
};

use self::timed::Timed;
use super::{Common, Ending, Format, print_json, report::command, steps::Steps};
use crate::{
    Failure, files,
    report::{EvaluationModel, render_evaluation},
};

mod print;
mod timed;

/// Name of the page in the directory of `--report`.
const PAGE: &str = "evaluation.html";

/// Arguments of `evaluate`.
#[derive(Debug, clap::Args)]
pub(super) struct EvaluateArguments {
    /// Recorded campaign, with its behaviours.toml that says which guests judge; any telemetry
    /// with migrations, with --cross-validate
    #[arg(long, value_name = "DIRECTORY", default_value = "datasets/campaign")]
    data: PathBuf,
    /// Judge by cross-validation in so many parts, by guest, instead of on the guests that judge;
    /// of a campaign only the guests that teach take part
    #[arg(long, value_name = "PARTS", conflicts_with = "public")]
    cross_validate: Option<usize>,
    /// Let a judged guest's earlier migrations be known, as in production
    #[arg(long)]
    history: bool,
    /// Judge on a public set instead, where a copy lies; the histories of its guests are known
    #[arg(long, value_name = "SET", conflicts_with = "data")]
    public: Option<PublicSet>,
    /// Write a page with tables and figures into this directory
    #[arg(long, value_name = "DIRECTORY")]
    report: Option<PathBuf>,
    /// Seed of everything that is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Public sets that can be judged on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum PublicSet {
    /// 8 GiB of a database under KVM: 35 runs of seven scenarios
    Lordwicked,
}

/// What is judged on.
struct Material {
    folds: Vec<Fold>,
    history: History,
    families: BTreeMap<VmId, String>,
    about: String,
}

/// What one model came to, as JSON has it.
#[derive(Debug, Serialize)]
struct Judged {
    #[serde(flatten)]
    report: Report,
    /// Mean time of one prediction; training is not in it.
    predict_microseconds: f64,
}

pub(super) fn run(common: &Common, own: &EvaluateArguments) -> Result<Ending, Failure> {
    let material = material(own)?;
    let judged = judge_all(&material, own.seed);
    let nothing = judged.iter().all(|one| one.report.all.pairs == 0);
    if nothing {
        return Err(Failure::invalid(
            "no migration can be judged: none arrived with figures or was given up \
             (hint: name data with finished migrations)",
        ));
    }
    match common.output {
        Format::Json => print_json(&judged)?,
        Format::Table => print::print(&material.about, &judged),
    }
    if let Some(directory) = &own.report {
        let page = EvaluationModel {
            title: "Predictions against measured migrations".to_owned(),
            command: command(),
            about: material.about,
            reports: judged.into_iter().map(|one| one.report).collect(),
        };
        let path = directory.join(PAGE);
        files::write(&path, render_evaluation(&page).as_bytes())?;
        eprintln!("report: {}", path.display());
    }
    Ok(Ending::Done)
}

/// Ours first, then the published models.
fn judge_all(material: &Material, seed: u64) -> Vec<Judged> {
    let mut learners: Vec<Box<dyn Learner>> = vec![Box::new(Whimbrel)];
    learners.extend(Published::ALL.map(|model| Box::new(model) as Box<dyn Learner>));
    let total: usize = material.folds.iter().map(|fold| fold.judged.len()).sum();
    let mut progress = Steps::new("judging", (learners.len() * total) as u64);
    let judged = learners.iter().map(|learner| {
        progress.part(&learner.name());
        let timed = Timed::new(learner.as_ref());
        let report = judge_one(&timed, material, seed, &mut || progress.step());
        Judged { report, predict_microseconds: timed.mean_microseconds() }
    });
    judged.collect()
}

fn judge_one(
    learner: &dyn Learner,
    material: &Material,
    seed: u64,
    progress: &mut dyn FnMut(),
) -> Report {
    let Material { folds, history, families, .. } = material;
    match folds.as_slice() {
        [Fold { learn, judged }] => {
            let trial = Trial { learn, judged, history: *history, families, seed };
            judge(learner, &trial, progress)
        }
        several => cross_validate(learner, several, *history, families, seed, progress),
    }
}

fn material(own: &EvaluateArguments) -> Result<Material, Failure> {
    let history = if own.history { History::Growing } else { History::None };
    if own.public == Some(PublicSet::Lordwicked) {
        return published();
    }
    let known = match history {
        History::None => "guests never seen to migrate",
        History::Growing => "guests whose earlier migrations are known",
    };
    if let Some(parts) = own.cross_validate {
        return cross_validated(own, parts, history, known);
    }
    let campaign = Campaign::read(&own.data).map_err(|error| {
        let undescribed = matches!(error, DatasetError::Behaviours { .. });
        let failure = Failure::invalid(error);
        if undescribed && !own.data.join(BEHAVIOURS_FILE).exists() {
            let hint = "data without it can be judged with --cross-validate 5".to_owned();
            return Failure { hint: Some(hint), ..failure };
        }
        failure
    })?;
    let part = |set| campaign.of(set).cloned().collect::<Vec<MigrationTrace>>();
    let (learn, judged) = (part(CampaignSet::Learn), part(CampaignSet::Judge));
    let about = format!(
        "{}: learnt from {} migrations, judged on {} of {known}",
        own.data.display(),
        learn.len(),
        judged.len()
    );
    let families = families(&campaign);
    Ok(Material { folds: vec![Fold { learn, judged }], history, families, about })
}

fn cross_validated(
    own: &EvaluateArguments,
    parts: usize,
    history: History,
    known: &str,
) -> Result<Material, Failure> {
    let (traces, families) = if own.data.join(BEHAVIOURS_FILE).exists() {
        let campaign = Campaign::read(&own.data).map_err(Failure::invalid)?;
        let teach = campaign.of(CampaignSet::Learn).cloned().collect();
        (teach, families(&campaign))
    } else {
        let reader = TelemetryReader::open(&own.data).map_err(Failure::invalid)?;
        (reader.traces().map_err(Failure::invalid)?, BTreeMap::new())
    };
    let folds = folds(&traces, parts, own.seed);
    if folds.is_empty() {
        let guests: std::collections::BTreeSet<_> = traces.iter().map(|t| &t.record.vm).collect();
        return Err(Failure::invalid(format!(
            "{}: migrations of {} guests cannot be judged in {parts} parts \
             (hint: it takes 2 guests and 2 parts at least)",
            own.data.display(),
            guests.len()
        )));
    }
    let about = format!(
        "{}: {} migrations, cross-validated in {} parts by guest: {known}",
        own.data.display(),
        traces.len(),
        folds.len()
    );
    Ok(Material { folds, history, families, about })
}

/// A public set has no other guests to learn from: the past of each is known.
fn published() -> Result<Material, Failure> {
    let directory = lordwicked::directory().map_err(Failure::not_found)?;
    let set = lordwicked::read(&directory).map_err(Failure::invalid)?;
    let about = format!(
        "{}: learnt from runs 1 to 3 of each scenario ({}), judged on runs 4 and 5 ({}), earlier runs \
         known",
        lordwicked::NAME,
        set.learn.len(),
        set.judged.len()
    );
    let guests = set.judged.iter().map(|trace| trace.record.vm.clone());
    let families = guests.map(|vm| (vm.clone(), vm.to_string())).collect();
    let folds = vec![Fold { learn: set.learn, judged: set.judged }];
    Ok(Material { folds, history: History::Growing, families, about })
}

fn families(campaign: &Campaign) -> BTreeMap<VmId, String> {
    let of = |(vm, behaviour): (&VmId, &whimbrel_datasets::Behaviour)| {
        (vm.clone(), behaviour.family.clone())
    };
    campaign.behaviours.iter().map(of).collect()
}
