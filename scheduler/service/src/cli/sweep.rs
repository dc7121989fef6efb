//! `whimbrel sweep`: many questions, in shards that can be stopped and gone on with.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use super::{
    Common, Ending, Format, print_json, report::command, steps::Steps, table::table,
    whatif::figures,
};
use crate::{
    Failure, files,
    report::{SweepModel, render_sweep},
    sweep::{self, Cell, Matrix, Merged, Shard},
    whatif::jobs_by_default,
};

/// Missing cells that are named.
const NAMED_MAX: usize = 20;

/// What a person needs to start shards elsewhere.
const ELSEWHERE: &str = "\
A matrix is a TOML file:

  intent = \"which policy bears the loss of a host best\"
  seeds = 50                    # cells of each combination; seed = 1 and horizon are optional
  [trace.recorded]
  data = \"datasets/recorded\"    # moment = \"...\" for another than the last
  [policy.beside]               # without a file: the policy beside the recording
  [policy.careful]
  file = \"careful.toml\"
  [change.today]
  [change.h3-goes]
  remove_hosts = [\"h3\"]
  grow = \"20 %\"

or, to compare consolidation policies on a trace in CloudSim's world:

  kind = \"study\"
  policies = [\"none\", \"lr-mmt-1.2\", \"whimbrel\"]
  [trace]
  layout = \"planetlab\"          # set = \"planetlab\", or data = a directory or archive
  set = \"planetlab\"
  parts = [\"20110303\"]
  hosts = 800

or, to compare balancers on a trace (simulator/studies/balance.toml is a whole one):

  kind = \"balance\"
  overload_above = 0.8          # hosts above it count as overloaded
  bandwidth = \"1000 MiB/s\"
  [trace]
  layout = \"bitbrains-parquet\"
  set = \"bitbrains-rnd\"
  days = 7                      # after one that is only looked at; from_day is optional
  hosts = 12
  [change.quarter]              # parts of the hosts' CPU and memory that guests use
  cpu = 0.25
  memory = 0.5
  [policy.as-it-is]
  balancer = \"whimbrel\"         # or none, threshold, workload-balance, proxmox, deviation
  every = \"15 min\"              # balance = { demand_quantile = 0.7 } changes its policy

Every cell (trace x policy x change x seed) is in exactly one shard, whoever does it gets the same
figures, and a shard that was stopped, even by kill -9, goes on where it was: start it again.

  this machine:   whimbrel sweep run matrix.toml --out results --jobs 8
  xargs:          seq 64 | xargs -P 8 -I{} whimbrel sweep run matrix.toml --out results \\
                    --jobs 1 --shard {}/64
  GNU parallel:   parallel --jobs 8 --joblog log --resume-failed \\
                    whimbrel sweep run matrix.toml --out results --jobs 1 --shard {}/64 \\
                    ::: $(seq 64)
  Slurm:          sbatch --array=1-64 --cpus-per-task=2 --requeue --wrap \\
                    'whimbrel sweep run matrix.toml --out results --shard $SLURM_ARRAY_TASK_ID/64'
  Kubernetes:     a Job with completionMode: Indexed, completions: 64, restartPolicy: OnFailure and
                    command: [\"sh\", \"-c\", \"exec whimbrel sweep run /matrix/matrix.toml \\
                      --out /results --shard $((JOB_COMPLETION_INDEX + 1))/64\"]
                  with the matrix, the recordings and /results on volumes that all pods share
  then:           whimbrel sweep merge results --out all.parquet --report sweep.html";

/// Arguments of `sweep`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = ELSEWHERE)]
pub(super) struct SweepArguments {
    #[command(subcommand)]
    verb: SweepVerb,
}

/// What is done with a matrix.
#[derive(Debug, Subcommand)]
enum SweepVerb {
    /// Do the cells of a shard that are not done yet
    #[command(after_long_help = ELSEWHERE)]
    Run(RunArguments),
    /// List cells, and which of them are done
    List(ListArguments),
    /// Put the files of all shards together; exit code 1 when cells are missing
    Merge(MergeArguments),
}

#[derive(Debug, clap::Args)]
struct RunArguments {
    /// The matrix's file
    matrix: PathBuf,
    /// Where results are kept, a file a shard
    #[arg(long, value_name = "DIRECTORY", default_value = "whimbrel-sweep")]
    out: PathBuf,
    /// Do one of several shards, such as 3/8, instead of all cells
    #[arg(long, value_name = "I/N", default_value_t)]
    shard: Shard,
    /// Threads; one a core by default
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
}

#[derive(Debug, clap::Args)]
struct ListArguments {
    /// The matrix's file
    matrix: PathBuf,
    /// Say which cells are done, by the shard's file in this directory
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
    /// Only the cells of one of several shards
    #[arg(long, value_name = "I/N", default_value_t)]
    shard: Shard,
}

#[derive(Debug, clap::Args)]
struct MergeArguments {
    /// Directories with shards, or files of shards
    #[arg(required = true)]
    places: Vec<PathBuf>,
    /// The file to write, CSV or Parquet by its ending
    #[arg(long, value_name = "FILE")]
    out: Vec<PathBuf>,
    /// Also write an HTML report that compares policies
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write what there is although cells are missing
    #[arg(long)]
    partial: bool,
}

/// A cell, as JSON has it.
#[derive(Debug, Serialize)]
struct CellJson<'a> {
    #[serde(flatten)]
    cell: &'a Cell,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<bool>,
}

/// What a run did, as JSON has it.
#[derive(Debug, Serialize)]
struct RanJson {
    file: PathBuf,
    cells_skipped: usize,
    cells_done: usize,
}

/// What a merge found, as JSON has it.
#[derive(Debug, Serialize)]
struct MergedJson<'a> {
    files: usize,
    cells: usize,
    missing: &'a [Cell],
}

pub(super) fn run(common: &Common, own: &SweepArguments) -> Result<Ending, Failure> {
    match &own.verb {
        SweepVerb::Run(own) => run_shard(common, own),
        SweepVerb::List(own) => list(common, own),
        SweepVerb::Merge(own) => merge(common, own),
    }
}

fn matrix(common: &Common, path: &std::path::Path) -> Result<Matrix, Failure> {
    if common.policy.is_some() {
        return Err(Failure::invalid(
            "a matrix names its policies itself (hint: leave out --policy and WHIMBREL_POLICY)",
        ));
    }
    Matrix::read(path, common.model.as_deref())
}

fn run_shard(common: &Common, own: &RunArguments) -> Result<Ending, Failure> {
    let matrix = matrix(common, &own.matrix)?;
    let cells = matrix.axes.cells().len();
    let of_shard = (0..cells).filter(|index| own.shard.has(*index)).count();
    let jobs = own.jobs.map_or_else(jobs_by_default, usize::from);
    let mut bar = Steps::new("sweeping", of_shard as u64);
    let ran = sweep::run(&matrix, own.shard, &own.out, jobs, &mut || bar.step())?;
    drop(bar);
    match common.output {
        Format::Json => print_json(&RanJson {
            file: ran.file,
            cells_skipped: ran.skipped,
            cells_done: ran.done,
        })?,
        Format::Table => say!(
            "{}: {} cells done, {} were done before",
            ran.file.display(),
            ran.done,
            ran.skipped
        ),
    }
    Ok(Ending::Done)
}

fn list(common: &Common, own: &ListArguments) -> Result<Ending, Failure> {
    let matrix = matrix(common, &own.matrix)?;
    let cells: Vec<(Cell, Option<bool>)> = if let Some(out) = &own.out {
        let known = sweep::done(&matrix.axes, own.shard, out)?;
        known.into_iter().map(|(cell, done)| (cell, Some(done))).collect()
    } else {
        let all = matrix.axes.cells().into_iter().enumerate();
        all.filter(|(index, _)| own.shard.has(*index)).map(|(_, cell)| (cell, None)).collect()
    };
    if common.output == Format::Json {
        let cells: Vec<CellJson<'_>> =
            cells.iter().map(|(cell, done)| CellJson { cell, done: *done }).collect();
        print_json(&cells)?;
        return Ok(Ending::Done);
    }
    let heads = ["cell", "trace", "policy", "change", ">seed", "done"];
    let mut rows = table(if own.out.is_some() { &heads } else { &heads[..heads.len() - 1] });
    for (cell, done) in &cells {
        let Cell { id, trace, policy, change, seed } = cell;
        let mut row =
            vec![id.clone(), trace.clone(), policy.clone(), change.clone(), seed.to_string()];
        row.extend(done.map(|done| if done { "yes" } else { "no" }.to_owned()));
        rows.add_row(row);
    }
    if !matrix.intent.is_empty() {
        say!("{}", matrix.intent);
    }
    say!("{rows}");
    say!("{} cells", cells.len());
    Ok(Ending::Done)
}

fn merge(common: &Common, own: &MergeArguments) -> Result<Ending, Failure> {
    figures::check(&own.out)?;
    let merged = sweep::merge(&own.places)?;
    let Merged { set, files, missing, .. } = &merged;
    let whole = missing.is_empty();
    if common.output == Format::Json {
        print_json(&MergedJson { files: *files, cells: set.rows.len(), missing })?;
    } else {
        say!("{} cells of {} in {files} files", set.rows.len(), set.rows.len() + missing.len());
        missing.iter().take(NAMED_MAX).for_each(|cell| say!("missing: {}", cell.id));
        if missing.len() > NAMED_MAX {
            say!("missing: and {} more", missing.len() - NAMED_MAX);
        }
    }
    if !whole && !own.partial {
        eprintln!("nothing was written: run the shards that are missing, or give --partial");
        return Ok(Ending::No);
    }
    for path in &own.out {
        figures::write(path, set)?;
        eprintln!("figures: {}", path.display());
    }
    if let Some(path) = &own.report {
        let page = SweepModel { command: command(), merged };
        files::write(path, render_sweep(&page).as_bytes())?;
        eprintln!("report: {}", path.display());
    }
    Ok(if whole { Ending::Done } else { Ending::No })
}
