//! Records a campaign: `whimbrel-campaign DIRECTORY [--migrations N] [--seed S]
//! [--compressed-channels]`, inside the lab's network namespace. Stopped at any moment and started again, it goes on where it was.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use whimbrel_core::units::Timestamp;
use whimbrel_datasets::{merge_parts, write_behaviours};
use whimbrel_lab::Lab;
use whimbrel_tests::campaign::{
    behaviours, error::CampaignError, ledger::Ledger, recorder::Recorder,
};

/// Seed of every choice.
const SEED: u64 = 20_261_123;

/// All rows that are drawn.
const MIGRATIONS: usize = 1008;

struct Arguments {
    directory: PathBuf,
    migrations: usize,
    seed: u64,
    compressed_channels: bool,
}

fn main() -> ExitCode {
    let Some(arguments) = arguments(std::env::args().skip(1)) else {
        eprintln!(
            "usage: whimbrel-campaign DIRECTORY [--migrations N] [--seed S] [--compressed-channels]"
        );
        return ExitCode::from(2);
    };
    match record(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn arguments(mut words: impl Iterator<Item = String>) -> Option<Arguments> {
    let mut read = Arguments {
        directory: PathBuf::from(words.next()?),
        migrations: MIGRATIONS,
        seed: SEED,
        compressed_channels: false,
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--migrations" => read.migrations = words.next()?.parse().ok()?,
            "--compressed-channels" => read.compressed_channels = true,
            "--seed" => read.seed = words.next()?.parse().ok()?,
            _ => return None,
        }
    }
    (!read.directory.to_string_lossy().starts_with('-')).then_some(read)
}

fn record(arguments: &Arguments) -> Result<(), CampaignError> {
    let directory: &Path = &arguments.directory;
    let lab = Lab::from_environment()?;
    let mut ledger = Ledger::open(directory, arguments.seed)?;
    let compressed_channels = ledger.compressed_channels(arguments.compressed_channels)?;
    let planned = behaviours::draw(arguments.seed, compressed_channels)?;
    let behaviours = planned.iter().map(|guest| (guest.vm.clone(), guest.behaviour.clone()));
    write_behaviours(directory, &behaviours.collect())?;
    let wanted = arguments.migrations.min(MIGRATIONS);
    println!("{} of {wanted} migrations are done", ledger.done());
    let mut say = |line: &str| println!("{} {line}", Timestamp::from(std::time::SystemTime::now()));
    let recorder = Recorder::new(&lab, directory, ledger, &planned, wanted, &mut say)?;
    let ledger = recorder.run()?;
    merge_parts(directory)?;
    for (order, reason) in ledger.skipped() {
        println!("given up: {order}: {reason}");
    }
    println!("{} migrations are in {}", ledger.done(), directory.display());
    Ok(())
}
