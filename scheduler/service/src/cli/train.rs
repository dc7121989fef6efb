//! `whimbrel train`: a model of migration costs from recorded telemetry, into a file.
//!
//! Of a campaign, guests that are there to judge never teach.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Serialize;
use whimbrel_core::{digest::Digest, telemetry::MigrationTrace};
use whimbrel_datasets::{BEHAVIOURS_FILE, Campaign, CampaignSet, TelemetryReader};
use whimbrel_models::train::USABLE_MIN;

use super::{Common, Ending, Format, print_json};
use crate::{Failure, files, teaching};

/// Arguments of `train`.
#[derive(Debug, clap::Args)]
pub(super) struct TrainArguments {
    /// Telemetry with migrations: a collector's own, or a campaign
    #[arg(long, value_name = "DIRECTORY")]
    data: PathBuf,
    /// The file to write
    #[arg(long, short = 'f', value_name = "FILE", default_value = "whimbrel-model.json")]
    out: PathBuf,
}

pub(super) fn run(common: &Common, own: &TrainArguments) -> Result<Ending, Failure> {
    let past = traces(own)?;
    eprintln!("learning from {} migrations of {}", past.len(), own.data.display());
    let taught = teaching::teach(&past);
    if taught.parameters.learnt_from < USABLE_MIN {
        return Err(Failure::invalid(format!(
            "{}: fewer than {USABLE_MIN} of its {} migrations arrived with figures \
             (hint: let the collector watch more of them)",
            own.data.display(),
            past.len()
        )));
    }
    let text = taught.to_text(&own.out.display().to_string()).map_err(Failure::invalid)?;
    files::write(&own.out, text.as_bytes())?;
    eprintln!("model: {}", own.out.display());
    match common.output {
        Format::Json => print_json(&Summary {
            file: &own.out,
            counts: &taught.counts,
            metrics: &taught.metrics,
            data: taught.data.as_ref(),
        })?,
        Format::Table => {
            for (name, count) in &taught.counts {
                say!("{name:36} {count}");
            }
            for (name, value) in &taught.metrics {
                say!("{name:36} {value:.3}");
            }
            say!("{:36} {}", "fixed cost", taught.parameters.costs.fixed.human());
        }
    }
    Ok(Ending::Done)
}

/// What is printed of a model file.
#[derive(Serialize)]
struct Summary<'a> {
    file: &'a Path,
    counts: &'a BTreeMap<String, u64>,
    metrics: &'a BTreeMap<String, f64>,
    data: Option<&'a Digest>,
}

fn traces(own: &TrainArguments) -> Result<Vec<MigrationTrace>, Failure> {
    if own.data.join(BEHAVIOURS_FILE).exists() {
        let campaign = Campaign::read(&own.data).map_err(Failure::invalid)?;
        return Ok(campaign.of(CampaignSet::Learn).cloned().collect());
    }
    let reader = TelemetryReader::open(&own.data).map_err(Failure::invalid)?;
    reader.traces().map_err(Failure::invalid)
}
