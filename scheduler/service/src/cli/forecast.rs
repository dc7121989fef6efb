//! `whimbrel forecast`: a domain's dirty level and CPU load over the next hours.
//!
//! Forecasts what the collector recorded up to the moment that is asked about; never looks past
//! it. A quantity without enough samples is refused by name, the other one is answered all the same.

use serde::Serialize;
use whimbrel_core::{
    Domain, VmId,
    predict::Quantiles,
    units::{Span, Timestamp},
};
use whimbrel_models::forecast::{
    Forecast, ForecastError, Method, MethodLoss, Outlook, Sample, Series,
};

use super::{
    Common, Ending, Format, print_json,
    source::SourceArguments,
    table::{band, or_dash, table},
};
use crate::{
    Failure,
    advice::{self, Situation},
};

/// Rows of a table, and of the answer as JSON.
const ROWS: u64 = 24;

/// Arguments of `forecast`.
#[derive(Debug, clap::Args)]
pub(super) struct ForecastArguments {
    /// The domain
    vm: VmId,
    /// How far to look ahead, in hours; up to 744
    #[arg(long, default_value_t = 24.0, allow_negative_numbers = true, value_parser = hours)]
    hours: f64,
    #[command(flatten)]
    source: SourceArguments,
}

/// The answer, as JSON has it.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    vm: &'a VmId,
    made_at: Timestamp,
    level: Part,
    load_cores: Part,
}

/// Hours that can be looked ahead.
fn hours(text: &str) -> Result<f64, String> {
    let hours = text.parse::<f64>().ok().filter(|hours| (0.01..=744.0).contains(hours));
    hours.ok_or_else(|| "it takes 0.01 to 744 hours (hint: 24)".to_owned())
}

/// One quantity's forecast, or why there is none.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Part {
    Made { summary: Summary, steps: Vec<Row> },
    Refused { refused: String },
}

/// How a forecast was made.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    method: Method,
    loss: Option<f64>,
    losses: Vec<MethodLoss>,
    period: Option<Span>,
    samples: usize,
    caveats: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Row {
    at: Timestamp,
    quantiles: Quantiles<f64>,
}

pub(super) fn run(common: &Common, own: &ForecastArguments) -> Result<Ending, Failure> {
    let scene = own.source.scene(common)?;
    let situation = &scene.situation;
    let domain = domain(situation, &own.vm)?;
    let outlook = Outlook { horizon: Span::from_seconds_f64(own.hours * 3600.0), period: None };
    let level = advice::level(situation, domain, outlook).map(|level| level.forecast);
    let load = load(situation, &own.vm, outlook);
    if let (Err(_), Err(refused)) = (&level, &load) {
        return Err(Failure::invalid(refused.clone()).about(format!("domain {}", own.vm)));
    }
    match common.output {
        Format::Json => print_json(&Answer {
            vm: &own.vm,
            made_at: situation.now,
            level: Part::of(&level),
            load_cores: Part::of(&load),
        })?,
        Format::Table => print(situation.now, outlook, &level, &load),
    }
    Ok(Ending::Done)
}

/// The domain where it lives.
pub(super) fn domain<'a>(situation: &'a Situation, vm: &VmId) -> Result<&'a Domain, Failure> {
    let placement = situation.snapshot.placement().map_err(Failure::invalid)?;
    placement.get(vm).copied().ok_or_else(|| {
        let known = placement.keys().map(|vm| vm.as_str()).collect::<Vec<_>>().join(", ");
        Failure::not_found(format!(
            "domain {vm} is not in the snapshot (hint: domains are {known})"
        ))
    })
}

/// CPU load in cores.
fn load(situation: &Situation, vm: &VmId, outlook: Outlook) -> Result<Forecast, ForecastError> {
    let recorded = situation.replay.as_ref().and_then(|replay| replay.cpu.get(vm));
    let samples = recorded.into_iter().flatten().map(|(at, used)| Sample {
        at: *at,
        window: Span::ZERO,
        value: used.as_cores_f64(),
    });
    Forecast::new(&Series::new(samples, situation.now)?, outlook)
}

impl Summary {
    pub(super) fn of(forecast: &Forecast) -> Self {
        Self {
            method: forecast.method,
            loss: forecast.loss(),
            losses: forecast.losses.clone(),
            period: forecast.period,
            samples: forecast.samples,
            caveats: forecast.caveats.clone(),
        }
    }
}

impl Part {
    fn of(made: &Result<Forecast, ForecastError>) -> Self {
        match made {
            Ok(forecast) => Self::Made {
                summary: Summary::of(forecast),
                steps: forecast
                    .steps(step(forecast.horizon))
                    .map(|(at, quantiles)| Row { at, quantiles })
                    .collect(),
            },
            Err(refused) => Self::Refused { refused: refused.to_string() },
        }
    }
}

fn step(horizon: Span) -> Span {
    Span::from_micros(horizon.as_micros() / ROWS)
}

fn print(
    now: Timestamp,
    outlook: Outlook,
    level: &Result<Forecast, ForecastError>,
    load: &Result<Forecast, ForecastError>,
) {
    let mut rows = table(&["in", ">level", "5 % .. 95 %", ">load", "5 % .. 95 %"]);
    let step = step(outlook.horizon);
    for k in 1..=ROWS {
        let ahead = Span::from_micros(step.as_micros().saturating_mul(k));
        let at = |made: &Result<Forecast, ForecastError>| {
            made.as_ref().ok().map(|forecast| forecast.at(now + ahead))
        };
        let (level, load) = (at(level), at(load));
        rows.add_row([
            ahead.human(),
            or_dash(level, |q| factor(q.p50)),
            or_dash(level, |q| band(&q, factor)),
            or_dash(load, |q| cores(q.p50)),
            or_dash(load, |q| band(&q, cores)),
        ]);
    }
    say!("{rows}");
    for (name, made) in [("level", level), ("load", load)] {
        match made {
            Ok(forecast) => explain(name, forecast),
            Err(refused) => say!("note: no {name}: {refused}"),
        }
    }
    say!("note: level 1 is what the domain usually dirties, its own long-term curve");
}

/// Says how a forecast was made.
pub(super) fn explain(name: &str, forecast: &Forecast) {
    let period =
        forecast.period.map(|period| format!(" over {}", period.human())).unwrap_or_default();
    let losses: Vec<String> = forecast
        .losses
        .iter()
        .map(|loss| format!("{} {:.3}", loss.method.name(), loss.loss))
        .collect();
    let losses =
        if losses.is_empty() { String::new() } else { format!("; losses: {}", losses.join(", ")) };
    say!(
        "note: {name} by {}{period} from {} samples{losses}",
        forecast.method.name(),
        forecast.samples
    );
    for caveat in &forecast.caveats {
        say!("note: {name}: {caveat}");
    }
}

fn factor(value: f64) -> String {
    format!("{value:.2}")
}

fn cores(value: f64) -> String {
    format!("{value:.2} cores")
}
