//! The command line: what may be asked, and where answers are printed.
//!
//! Data goes to stdout, everything else to stderr. Exit codes: 0 done; 1 nothing to do, or a
//! check failed; 2 error. Only this module and its children print.
#![expect(clippy::print_stderr, reason = "this is where the program speaks")]

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::Failure;

/// Prints a line on stdout, as `println!` does, and ends the program quietly when nobody reads any
/// more (`whimbrel inventory | head`).
macro_rules! say {
    ($($text:tt)*) => {
        $crate::cli::line(format_args!($($text)*))
    };
}

mod apply;
mod capacity;
mod choose;
mod collect;
mod convert_input;
mod dataset;
mod demo;
mod evaluate;
mod executed;
mod explain;
mod explained;
mod flavour;
mod forecast;
mod how;
mod input;
#[cfg(any(feature = "libvirt", feature = "serve"))]
mod interrupt;
mod inventory;
mod place;
mod plan;
mod predict;
#[cfg(any(feature = "libvirt", feature = "serve"))]
mod progress;
mod proposal;
#[cfg(feature = "serve")]
mod remote;
mod report;
mod rescue;
#[cfg(feature = "serve")]
mod serve;
mod simulate;
mod source;
mod steps;
mod sweep;
mod table;
mod train;
mod turn;
#[cfg(feature = "libvirt")]
mod watch;
mod whatif;
mod window;

/// Predictive live migration for libvirt/QEMU clusters.
///
/// Measures how fast every guest dirties its memory, predicts what each migration will cost, plans
/// moves, proves the plan in a simulator and executes exactly that plan. Nothing changes a cluster
/// without --execute.
#[derive(Debug, Parser)]
#[command(name = "whimbrel", version, propagate_version = true)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb understands.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Options of every verb")]
struct Common {
    /// Configuration file: hosts, collection, daemon
    #[arg(long, short, global = true, env = "WHIMBREL_CONFIG", default_value = "whimbrel.toml")]
    config: PathBuf,
    /// Set one value of the configuration, for example --set collect.period="2 s"
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Policy file; the configuration's, or else the defaults
    #[arg(long, global = true, env = "WHIMBREL_POLICY")]
    policy: Option<PathBuf>,
    /// Model file from `whimbrel train`; the configuration's, or else what telemetry teaches
    #[arg(long, global = true, env = "WHIMBREL_MODEL")]
    model: Option<PathBuf>,
    /// How answers are printed
    #[arg(long, short, global = true, value_enum, default_value_t = Format::Table)]
    output: Format,
    #[cfg(feature = "serve")]
    #[command(flatten)]
    remote: remote::RemoteArguments,
    /// Say more on stderr; twice for everything
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Read the hosts again and again into telemetry, with a live table
    Collect(collect::CollectArguments),
    /// Show hosts and domains as they are now
    Inventory(inventory::InventoryArguments),
    /// Predict what a migration would cost
    Predict(predict::PredictArguments),
    /// Forecast a domain's dirty level and CPU load
    Forecast(forecast::ForecastArguments),
    /// Plan moves, check the plan and show what the simulator says of it; changes nothing
    Plan(plan::PlanArguments),
    /// Write a planning input in another form, for other planners too; plans nothing
    ConvertInput(convert_input::ConvertArguments),
    /// Find hosts for new domains; changes nothing
    ///
    /// Says what each choice costs, which hosts would be the next best, and what the others lack.
    Place(place::PlaceArguments),
    /// Find hosts for the domains of failed hosts, by priority; starts nothing
    Rescue(rescue::RescueArguments),
    /// Count how many more domains of given sizes fit, also when any one host may fail
    Capacity(capacity::CapacityArguments),
    /// Run a plan in the simulator
    Simulate(simulate::SimulateArguments),
    /// Execute a plan on the real hosts (shows what would happen, unless --execute)
    Apply(apply::ApplyArguments),
    /// Write an HTML report of a plan, and of its execution if there was one
    Report(report::ReportArguments),
    /// Plan, simulate and compare a drain and a balance on recorded telemetry
    Demo(demo::DemoArguments),
    /// Learn a model of migration costs from recorded telemetry, into a file
    Train(train::TrainArguments),
    /// Ask what would come of it if hosts, guests, load or policy were others; changes nothing
    ///
    /// Answers whether everything still finds a place, what the moves that this needs would cost, how
    /// busy hosts become beside today, and whose loss would then strand whom. All changes can be
    /// combined.
    #[command(name = "whatif")]
    WhatIf(Box<whatif::WhatIfArguments>),
    /// Ask many such questions, in shards that can be stopped and gone on with
    Sweep(sweep::SweepArguments),
    /// List, get, check and convert public traces of guests, draw others, make telemetry of them
    Dataset(dataset::DatasetArguments),
    /// Judge predictions on measured migrations, beside published models
    Evaluate(evaluate::EvaluateArguments),
    /// Run collector and engine as a daemon with a gRPC API
    #[cfg(feature = "serve")]
    Serve(serve::ServeArguments),
}

/// How a verb ended, when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Done.
    Done,
    /// Nothing to do, or a check said no.
    No,
}

/// Runs the program with `arguments` (its own name first).
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // clap's own exit codes agree with ours: 0 for help, 2 for errors.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    // A daemon's log is all that is seen of it.
    #[cfg(feature = "serve")]
    let unasked = u8::from(matches!(arguments.verb, Verb::Serve(_)));
    #[cfg(not(feature = "serve"))]
    let unasked = 0;
    start_logging(arguments.common.verbose.max(unasked));
    match dispatch(&arguments) {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::No) => ExitCode::from(1),
        Err(failure) => {
            complain(&failure);
            ExitCode::from(2)
        }
    }
}

fn dispatch(arguments: &Arguments) -> Result<Ending, Failure> {
    let common = &arguments.common;
    #[cfg(feature = "serve")]
    if let Some(endpoint) = &common.remote.endpoint {
        return remote::run(common, endpoint, &arguments.verb);
    }
    match &arguments.verb {
        Verb::Collect(own) => collect::run(common, own),
        Verb::Inventory(own) => inventory::run(common, own),
        Verb::Predict(own) => predict::run(common, own),
        Verb::Forecast(own) => forecast::run(common, own),
        Verb::Plan(own) => plan::run(common, own),
        Verb::ConvertInput(own) => convert_input::run(own),
        Verb::Place(own) => place::run(common, own),
        Verb::Rescue(own) => rescue::run(common, own),
        Verb::Capacity(own) => capacity::run(common, own),
        Verb::Simulate(own) => simulate::run(common, own),
        Verb::Apply(own) => apply::run(common, own),
        Verb::Report(own) => report::run(common, own),
        Verb::Demo(own) => demo::run(common, own),
        Verb::Train(own) => train::run(common, own),
        Verb::WhatIf(own) => whatif::run(common, own),
        Verb::Sweep(own) => sweep::run(common, own),
        Verb::Dataset(own) => dataset::run(common, own),
        Verb::Evaluate(own) => evaluate::run(common, own),
        #[cfg(feature = "serve")]
        Verb::Serve(own) => serve::run(common, own),
    }
}

fn complain(failure: &Failure) {
    eprintln!("error: {}", failure.message.trim_end());
    if let Some(hint) = &failure.hint {
        eprintln!("hint: {hint}");
    }
}

fn start_logging(verbose: u8) {
    let level = ["warn", "info", "debug"][usize::from(verbose.min(2))];
    let filter = EnvFilter::try_from_env("WHIMBREL_LOG")
        .unwrap_or_else(|_| EnvFilter::new(format!("whimbrel={level},whimbrel_collector={level}")));
    // Fails only when a subscriber is set already, as in tests that run the program twice.
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

/// Prints a value as JSON on stdout.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::invalid)?;
    say!("{text}");
    Ok(())
}

/// Why a verb that touches hosts does nothing in this build.
#[cfg(not(feature = "libvirt"))]
fn without_libvirt() -> Failure {
    Failure::unavailable(
        "this program was built without libvirt \
         (hint: build it with --features libvirt, or use --snapshot or --telemetry)",
    )
}

/// Writes one line to stdout, or ends the program: quietly when nobody reads any more, with an error
/// when an answer would be lost.
fn line(text: std::fmt::Arguments<'_>) {
    use std::io::Write as _;

    if let Err(error) = writeln!(std::io::stdout(), "{text}") {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        complain(&Failure::unavailable(format!("stdout: {error} (hint: check free space)")));
        std::process::exit(2);
    }
}
