//! Experiments on the lab: `whimbrel-experiment timing|choosing|drains DIRECTORY`, inside the lab's
//! network namespace, and `whimbrel-experiment report DIRECTORY`, anywhere. Stopped at any moment
//! and started again, an experiment goes on where it was.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use whimbrel_core::units::Timestamp;
use whimbrel_datasets::BEHAVIOURS_FILE;
use whimbrel_lab::Lab;
use whimbrel_tests::{
    campaign::{error::CampaignError, fidelity, ledger::Ledger},
    experiment::{
        advisor::predictor,
        choosing::{self, Choosing},
        drains,
        driver::Driver,
        results::{self, Results},
        timing::{self, Timing},
    },
};

const USAGE: &str = "usage: whimbrel-experiment timing DIRECTORY [--pairs N] [OPTION...]
       whimbrel-experiment choosing DIRECTORY [--cases N] [OPTION...]
       whimbrel-experiment drains DIRECTORY [--repeats N] [--seed S]
       whimbrel-experiment report DIRECTORY
options: --seed S, --model FILE, --campaign DIRECTORY (its guests that teach, without a model)";

/// Seed of every choice; not the one of the campaign that taught.
const SEED: u64 = 20_261_125;

/// Requests and cases that are drawn.
const PAIRS: u32 = 36;
const CASES: u32 = 14;

/// The campaign that is kept with the project.
const CAMPAIGN: &str = "datasets/campaign";

struct Arguments {
    verb: String,
    directory: PathBuf,
    pairs: u32,
    cases: u32,
    repeats: u32,
    seed: u64,
    model: Option<PathBuf>,
    campaign: PathBuf,
}

fn main() -> ExitCode {
    let Some(arguments) = arguments(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let outcome = match arguments.verb.as_str() {
        "timing" => time(&arguments),
        "choosing" => choose(&arguments),
        "drains" => drain(&arguments),
        _ => report(&arguments.directory),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn arguments(mut words: impl Iterator<Item = String>) -> Option<Arguments> {
    let verb = words.next()?;
    let mut read = Arguments {
        directory: PathBuf::from(words.next()?),
        pairs: PAIRS,
        cases: CASES,
        repeats: drains::REPEATS,
        seed: SEED,
        model: None,
        campaign: PathBuf::from(CAMPAIGN),
        verb,
    };
    while let Some(word) = words.next() {
        match (read.verb.as_str(), word.as_str()) {
            ("timing", "--pairs") => read.pairs = words.next()?.parse().ok()?,
            ("choosing", "--cases") => read.cases = words.next()?.parse().ok()?,
            ("drains", "--repeats") => read.repeats = words.next()?.parse().ok()?,
            ("timing" | "choosing" | "drains", "--seed") => {
                read.seed = words.next()?.parse().ok()?;
            }
            ("timing" | "choosing", "--model") => read.model = Some(words.next()?.into()),
            ("timing" | "choosing", "--campaign") => read.campaign = words.next()?.into(),
            _ => return None,
        }
    }
    let known = ["timing", "choosing", "drains", "report"].contains(&read.verb.as_str());
    (known && !read.directory.to_string_lossy().starts_with('-')).then_some(read)
}

/// Says a line with its time.
fn timed(line: &str) {
    println!("{} {line}", Timestamp::from(std::time::SystemTime::now()));
}

fn time(arguments: &Arguments) -> Result<(), CampaignError> {
    let (directory, seed, mut say) = (&arguments.directory, arguments.seed, timed);
    let lab = Lab::from_environment()?;
    let subjects = timing::draw(seed, arguments.pairs)?;
    let ledger = Ledger::open(directory, seed)?;
    let results = Results::open(directory, timing::ROWS_FILE)?;
    let predictor = predictor(arguments.model.as_deref(), &arguments.campaign, &mut say)?;
    let trials = Timing::new(subjects, predictor, results.rows());
    let driver = Driver::new(&lab, directory, (ledger, results), trials, &mut say)?;
    println!("{}", timing::report::report(driver.run()?.rows()));
    Ok(())
}

fn choose(arguments: &Arguments) -> Result<(), CampaignError> {
    let (directory, seed, mut say) = (&arguments.directory, arguments.seed, timed);
    let lab = Lab::from_environment()?;
    let subjects = choosing::draw(seed, arguments.cases)?;
    let ledger = Ledger::open(directory, seed)?;
    let results = Results::open(directory, choosing::ROWS_FILE)?;
    let predictor = predictor(arguments.model.as_deref(), &arguments.campaign, &mut say)?;
    let trials = Choosing::new(subjects, predictor);
    let driver = Driver::new(&lab, directory, (ledger, results), trials, &mut say)?;
    println!("{}", choosing::report::report(driver.run()?.rows()));
    Ok(())
}

fn drain(arguments: &Arguments) -> Result<(), CampaignError> {
    let (directory, mut say) = (&arguments.directory, timed);
    let lab = Lab::from_environment()?;
    let drains = drains::draw(arguments.seed, arguments.repeats);
    drains::run(&lab, &drains::program()?, directory, &drains, &mut say)?;
    println!("{}", drains::report::report(&drains::compare::drains(directory)?));
    Ok(())
}

/// Prints the tables of every experiment in `directory`, and of a campaign how the simulator knows it.
fn report(directory: &Path) -> Result<(), CampaignError> {
    let requests = directory.join(timing::ROWS_FILE);
    let cases = directory.join(choosing::ROWS_FILE);
    if requests.exists() {
        println!("{}", timing::report::report(&results::read(&requests)?));
        println!("`make experiment-timing` repeats it");
    }
    if cases.exists() {
        println!("{}", choosing::report::report(&results::read(&cases)?));
        println!("`make experiment-choosing` repeats it");
    }
    let drains = directory.join(drains::TELEMETRY);
    if drains.exists() {
        println!("{}", drains::report::report(&drains::compare::drains(directory)?));
        println!("`make experiment-drains` repeats it");
    }
    let campaign = directory.join(BEHAVIOURS_FILE);
    if campaign.exists() {
        println!("{}", fidelity::report(directory)?);
        println!("`make campaign` records it anew");
    }
    if ![requests, cases, drains, campaign].iter().any(|path| path.exists()) {
        let message = "holds no experiment".to_owned();
        return Err(CampaignError::Facts { path: directory.display().to_string(), message });
    }
    Ok(())
}
