//! `whimbrel-forecasts [SERIES]`: compares the forecasting methods on public CPU traces and prints
//! a table for each trace and horizon.
//!
//! Every series is forecast from moments of its own past by every method, and by the one that the
//! back-test chose knowing only what was known then. Traces are read where they lie; one that is
//! absent is named and left out. Exit codes: 0 something was compared, 1 no trace is there, 2
//! error. Never writes anything but scratch files in the system's temporary directory.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::{collections::BTreeMap, error::Error, process::ExitCode, time::Instant};

use whimbrel_core::units::{Span, Timestamp};
use whimbrel_models::forecast::{Forecast, Outlook, Sample, Series};

use crate::score::Score;

mod score;
mod traces;

/// Series of each trace, unless another number is asked for.
const SERIES: usize = 200;

/// Time between two samples of every trace.
const STEP_SECONDS: u64 = 300;

/// A moment without a meaning, to count from.
const EPOCH_SECONDS: u64 = 1_700_000_000;

/// What is compared on one trace.
struct Plan {
    /// Its name in the manifest of public traces.
    trace: &'static str,
    /// Most samples that are known.
    known: usize,
    /// Places of the last known sample.
    origins: &'static [usize],
    horizon_hours: u64,
}

const PLANS: [Plan; 6] = [
    Plan { trace: "planetlab", known: 240, origins: &[143, 191, 239], horizon_hours: 1 },
    Plan { trace: "planetlab", known: 144, origins: &[143], horizon_hours: 12 },
    Plan { trace: "google2011-gcd-vms", known: 240, origins: &[143, 191, 239], horizon_hours: 1 },
    Plan { trace: "google2011-gcd-vms", known: 144, origins: &[143], horizon_hours: 12 },
    Plan { trace: "bitbrains-rnd", known: 2016, origins: &[4031, 6100, 8200], horizon_hours: 1 },
    Plan { trace: "bitbrains-rnd", known: 2016, origins: &[4031, 6100, 8200], horizon_hours: 12 },
];

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::from(1),
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Compares on every trace that is there; how many tables were printed.
fn run() -> Result<usize, Box<dyn Error>> {
    let series = match std::env::args().nth(1) {
        Some(number) => number.parse()?,
        None => SERIES,
    };
    let mut loaded: BTreeMap<&str, Vec<Vec<f64>>> = BTreeMap::new();
    let mut tables = 0;
    for plan in &PLANS {
        if !loaded.contains_key(plan.trace) {
            let Some(directory) = whimbrel_datasets::locate(plan.trace) else {
                eprintln!(
                    "ABSENT: {} (hint: {} names the directory of public traces)",
                    plan.trace,
                    whimbrel_datasets::PUBLIC_DATA_VARIABLE
                );
                continue;
            };
            loaded.insert(plan.trace, traces::read(plan.trace, &directory, series)?);
        }
        if let Some(traces) = loaded.get(plan.trace) {
            compare(plan, traces)?;
            tables += 1;
        }
    }
    Ok(tables)
}

/// Prints one table.
fn compare(plan: &Plan, traces: &[Vec<f64>]) -> Result<(), Box<dyn Error>> {
    let mut scores: BTreeMap<String, Score> = BTreeMap::new();
    let (mut forecasts, mut constant, mut seconds) = (0_u32, 0_u32, 0.0);
    let outlook = Outlook { horizon: Span::from_seconds(plan.horizon_hours * 3600), period: None };
    let ahead = (plan.horizon_hours * 3600 / STEP_SECONDS) as usize;
    for trace in traces {
        for origin in plan.origins {
            let (known, later) = trace.split_at_checked(origin + 1).unwrap_or((trace, &[]));
            let later = later.get(..ahead).unwrap_or(later);
            let known = known.get(known.len().saturating_sub(plan.known)..).unwrap_or_default();
            let Ok(series) = Series::new(samples(known), moment(known.len() - 1)) else { continue };
            if later.iter().filter(|v| v.is_finite()).count() == 0 {
                continue;
            }
            let begun = Instant::now();
            let made = Forecast::by_method(&series, outlook)?;
            seconds += begun.elapsed().as_secs_f64();
            if made.len() < 2 {
                constant += 1;
                continue;
            }
            forecasts += 1;
            for (place, forecast) in made.iter().enumerate() {
                let bands = (1..=later.len()).map(|k| forecast.at(moment(known.len() - 1 + k)));
                let found = Score::of(bands, later);
                if place == 0 {
                    scores.entry("(chosen)".to_owned()).or_default().add(&found);
                }
                let own = scores.entry(forecast.method.name().to_owned()).or_default();
                own.add(&found);
                own.chosen += u32::from(place == 0);
            }
        }
    }
    println!(
        "\n{} {} h ahead: {forecasts} forecasts of {} series, {constant} constant ones left out, \
         {:.0} ms each",
        plan.trace,
        plan.horizon_hours,
        traces.len(),
        1000.0 * seconds / f64::from((forecasts + constant).max(1))
    );
    score::print(&scores);
    Ok(())
}

fn moment(place: usize) -> Timestamp {
    Timestamp::from_micros((EPOCH_SECONDS + place as u64 * STEP_SECONDS) * 1_000_000)
}

fn samples(values: &[f64]) -> impl Iterator<Item = Sample> {
    values.iter().enumerate().filter(|(_, value)| value.is_finite()).map(|(place, value)| Sample {
        at: moment(place),
        window: Span::ZERO,
        value: *value,
    })
}
