//! `whimbrel whatif`: what would come of a change; changes nothing.

use std::path::PathBuf;

use whimbrel_core::{
    HostId,
    units::{Span, Timestamp},
};

use super::{
    Common, Ending, Format, print_json, report::command, source::SourceArguments, steps::Steps,
};
use crate::{
    Failure, files,
    report::{WhatIfModel, render_what_if},
    scene::Scene,
    whatif::{self, Question, QuestionFile},
};

pub(super) mod figures;
mod flags;
mod print;

/// Recorded telemetry that is looked at where nobody names another.
const DATA: &str = "datasets/recorded";

/// Runs where nobody says how many: enough for a 95th percentile that is not simply the worst.
const SEEDS: u64 = 20;

/// What a person needs to write a question down.
const AS_A_FILE: &str = "\
As a file, every key of which may be left out (paths are relative to the file):

  intent = \"h3 goes for repair while load grows\"
  data = \"../datasets/recorded\"   # moment = \"2026-11-22T22:20:00Z\" for another than the last
  policy = \"careful.toml\"         # the policy then; today's is the one beside the data
  horizon = \"30 min\"
  seeds = 50
  [change]
  remove_hosts = [\"h3\"]           # drain = [\"h1\"], deadline = \"10 min\"
  grow = \"20 %\"                   # or { cpu = \"20 %\", dirty = ..., memory = ..., guests = ... }
  add_like = [{ count = 2, like = \"h1\" }]
  add_hosts = [{ name = \"h9\", cpu = \"8 cores\", memory = \"64 GiB\", bandwidth = \"1 GiB/s\" }]
  resize = [{ vm = \"db\", memory = \"8 GiB\", vcpus = 4 }]
  remove_racks = [\"r1\"]           # add_racks = [{ name = \"r2\", like = \"r1\" }]
  racks = { r1 = [\"h1\", \"h2\"] }
  lose = { host = \"h2\", at = \"3 min\" }

--policy FILE is the policy then; today's is the policy.toml beside the data, or the one of the
configuration with --live.

Exit codes: 0 it fits, 1 it does not, 2 error.";

/// Arguments of `whatif`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = AS_A_FILE)]
pub(super) struct WhatIfArguments {
    /// The question as a file; flags override its keys
    file: Option<PathBuf>,
    #[command(flatten)]
    source: WhatIfSource,
    /// How long both sides are simulated; the policy's horizon by default
    #[arg(long, value_name = "SPAN")]
    horizon: Option<Span>,
    /// Simulated runs: what bands are of [default: 20]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    seeds: Option<u64>,
    /// Seed of the plan and of the first run [default: 1]
    #[arg(long, allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Threads that simulate; one a core by default
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Also write an HTML report
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Also write the figures of every run, as CSV or Parquet by the name's ending
    #[arg(long, value_name = "FILE")]
    figures: Vec<PathBuf>,
    /// Also write the CPU of every host over time, today and then, as CSV or Parquet
    #[arg(long, value_name = "FILE")]
    timelines: Vec<PathBuf>,
    // Last, because its heading holds for all that follows.
    #[command(flatten)]
    change: flags::ChangeArguments,
}

/// Where to look.
#[derive(Debug, clap::Args)]
pub(super) struct WhatIfSource {
    /// Recorded telemetry to ask about, with its policy.toml [default: datasets/recorded]
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["live", "snapshot"])]
    data: Option<PathBuf>,
    /// The moment of the recording to ask about; its last one by default
    #[arg(long, value_name = "TIME", conflicts_with_all = ["live", "snapshot"])]
    moment: Option<Timestamp>,
    /// Ask about the live hosts of the configuration
    #[arg(long, conflicts_with = "snapshot")]
    live: bool,
    /// Ask about a snapshot file
    #[arg(long, value_name = "FILE")]
    snapshot: Option<PathBuf>,
    /// Longest time that live hosts are watched for dirty-rate readings before an answer
    #[arg(long, value_name = "SPAN", default_value = "25 s")]
    watch: Span,
}

pub(super) fn run(common: &Common, own: &WhatIfArguments) -> Result<Ending, Failure> {
    figures::check(own.figures.iter().chain(&own.timelines))?;
    let file = own.file.as_deref().map(QuestionFile::read).transpose()?.unwrap_or_default();
    let scene = scene(common, own, &file)?;
    let question = question(common, own, file)?;
    let runs = question.seeds;
    let prepared = whatif::prepare(&scene, question)?;
    let mut bar = Steps::new("simulating", runs);
    let answer = prepared.answer(&scene, &mut || bar.step())?;
    drop(bar);
    match common.output {
        Format::Json => print_json(&answer)?,
        Format::Table => print::print(&answer),
    }
    for path in &own.figures {
        figures::write_answer(path, &answer)?;
        eprintln!("figures: {}", path.display());
    }
    for path in &own.timelines {
        figures::write_timelines(path, &answer)?;
        eprintln!("timelines: {}", path.display());
    }
    let fits = answer.fits();
    if let Some(path) = &own.report {
        let page = WhatIfModel { command: command(), answer };
        files::write(path, render_what_if(&page).as_bytes())?;
        eprintln!("report: {}", path.display());
    }
    Ok(if fits { Ending::Done } else { Ending::No })
}

/// What is there today, under today's policy: `--policy` is part of the question.
fn scene(common: &Common, own: &WhatIfArguments, file: &QuestionFile) -> Result<Scene, Failure> {
    let source = &own.source;
    let as_today = Common { policy: None, ..common.clone() };
    if source.live {
        return SourceArguments::live(source.watch).scene(&as_today);
    }
    if let Some(path) = &source.snapshot {
        return SourceArguments::of_snapshot(path.clone()).scene(&as_today);
    }
    let data = source.data.clone().or_else(|| file.data.clone());
    let data = data.unwrap_or_else(|| PathBuf::from(DATA));
    whatif::recorded(&data, source.moment.or(file.moment), common.model.as_deref())
}

fn question(
    common: &Common,
    own: &WhatIfArguments,
    file: QuestionFile,
) -> Result<Question, Failure> {
    let policy = common.policy.as_deref().or(file.policy.as_deref());
    Ok(Question {
        intent: file.intent,
        changes: own.change.over(file.change)?,
        policy: policy.map(|path| files::read_policy(Some(path))).transpose()?,
        horizon: own.horizon.or(file.horizon),
        seeds: own.seeds.or(file.seeds).unwrap_or(SEEDS),
        seed: own.seed.or(file.seed).unwrap_or(1),
        jobs: own.jobs.map_or_else(whatif::jobs_by_default, usize::from),
    })
}

/// A host by name, or several separated by commas.
fn hosts(text: &str) -> Result<Vec<HostId>, String> {
    text.split(',').map(|name| name.trim().parse().map_err(|e| format!("{e}"))).collect()
}
