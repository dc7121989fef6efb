//! `whimbrel dataset synthesize`: guests that nobody ran, in the project's own columnar form.

use std::path::PathBuf;

use whimbrel_core::units::Span;
use whimbrel_datasets::{SyntheticTrace, public::convert as write};

use super::{Common, Ending, convert};
use crate::{Failure, cli::steps::Steps};

/// What the drawn trace is said to be of.
const LICENCE: &str = "none needed: drawn by Whimbrel, nobody's data";

/// What a person needs to know of what is drawn.
const SHAPE: &str = "\
Arrivals by the hour of the day, batches, sizes and lifetimes have the published quantiles of
Azure's machines of 2017 (Cortez et al., SOSP 2017), mean CPU is as in that paper's figure 1; how
CPU swings over the day and from sample to sample is our own choice. Memory in use and dirty rates
are not drawn: `whimbrel dataset place` adds the latter. The same numbers and the same seed write
the same rows on every machine.

  whimbrel dataset synthesize --vms 5000 --hours 24 --to drawn
  whimbrel dataset place drawn --hosts 40 --from \"6 h\" --to cluster    # telemetry of it
  whimbrel whatif --data cluster --remove-host h01

With --stay a consolidation study reads it (`whimbrel sweep --help`): layout = \"whimbrel\",
data = \"drawn\", parts = [\"all\"].";

/// Arguments of `dataset synthesize`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = SHAPE)]
pub(super) struct SynthesizeArguments {
    /// Guests that are drawn; that cloud saw about 73,000 a day
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    vms: u32,
    /// They arrive within so many hours, up to 8784
    #[arg(long, default_value_t = 24.0, allow_negative_numbers = true, value_parser = hours)]
    hours: f64,
    /// Between two looks at a guest's CPU, a second to a day
    #[arg(long, value_name = "SPAN", default_value = "5 min")]
    interval: Span,
    /// Guests are there from the begin to the end, instead of coming and going
    #[arg(long)]
    stay: bool,
    /// Seed of everything that is drawn
    #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
    seed: u64,
    /// New directory to write to
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

/// Hours that a trace can last.
fn hours(text: &str) -> Result<f64, String> {
    let hours = text.parse::<f64>().ok().filter(|hours| (0.001..=8784.0).contains(hours));
    hours.ok_or_else(|| "it takes 0.001 to 8784 hours, 366 days (hint: 24)".to_owned())
}

pub(super) fn run(common: &Common, own: &SynthesizeArguments) -> Result<Ending, Failure> {
    let SynthesizeArguments { vms, hours, interval, stay, seed, ref to } = *own;
    let lasts = Span::from_seconds_f64(hours * 3600.0);
    let trace = SyntheticTrace { seed, guests: vms, lasts, interval, stay };
    let mut rows = trace.rows().map_err(Failure::invalid)?;
    let way = if stay { "that stay" } else { "that come and go" };
    let source = format!("{vms} drawn guests {way}, {hours} h, every {interval}, seed {seed}");
    let mut bar = Steps::new("drawing", rows.progress().1);
    let head = write(&mut rows, &source, LICENCE, to, |_, _| bar.step());
    drop(bar);
    convert::print(common, to, &head.map_err(Failure::invalid)?)?;
    Ok(Ending::Done)
}
