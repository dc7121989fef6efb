//! `whimbrel dataset place`: telemetry as if a trace's guests ran on so many hosts.

use std::path::{Path, PathBuf};

use whimbrel_core::{
    trace::Size,
    units::{Bytes, MilliCores, Span},
};
use whimbrel_datasets::{Placing, place};

use super::{
    Common, Ending, Format,
    bar::Bar,
    print_json,
    source::{OpenTrace, TraceArguments},
};
use crate::Failure;

/// What a person needs to know of what is written.
const MEANING: &str = "\
Every five minutes all hosts are looked at, as `whimbrel collect` does it: guests that are there,
with the trace's sizes and CPU, on the host that had most memory left when they came (limits of the
default policy). Traces do not say how fast guests dirty their memory: that is drawn for each guest
by a model that was calibrated to our recordings, by the CPU that it uses on average
(datasets/README.md, \"Drawn guests\"). Moments count from 2000-01-01, the trace's begin. What reads
telemetry reads it:

  whimbrel dataset place planetlab --part 20110303 --hosts 60 --host-cpu \"16 cores\" \\
    --host-memory \"32 GiB\" --lasts \"2 h\" --to cluster
  whimbrel whatif --data cluster --remove-host h01 --grow 20%
  whimbrel plan balance --telemetry cluster";

/// Arguments of `dataset place`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = MEANING)]
pub(super) struct PlaceArguments {
    #[command(flatten)]
    trace: TraceArguments,
    /// Hosts, called h1 and so on, or h01 where there are ten or more
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    hosts: u32,
    /// CPU of each host
    #[arg(long, value_name = "CPU", default_value = "64 cores")]
    host_cpu: MilliCores,
    /// Memory of each host
    #[arg(long, value_name = "SIZE", default_value = "256 GiB")]
    host_memory: Bytes,
    /// The moment of the trace to begin with
    #[arg(long, value_name = "SPAN", default_value = "0 s")]
    from: Span,
    /// How long to look from there on
    #[arg(long, value_name = "SPAN", default_value = "1 h")]
    lasts: Span,
    /// Seed of the guests' dirty rates
    #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
    seed: u64,
    /// New directory to write to
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

pub(super) fn run(
    common: &Common,
    own: &PlaceArguments,
    data: Option<&Path>,
) -> Result<Ending, Failure> {
    let PlaceArguments { hosts, host_cpu: cpu, host_memory: memory, from, lasts, seed, .. } = *own;
    let OpenTrace { rows, licence } = own.trace.open(data)?;
    let placing = Placing { hosts, host: Size { cpu, memory }, from, lasts, seed };
    let mut bar = Bar::new(&own.trace.source);
    let placed = place(rows, &placing, &own.to, |read, total| bar.row(read, total));
    drop(bar);
    let placed = placed.map_err(Failure::invalid)?;
    if common.output == Format::Json {
        print_json(&placed)?;
        return Ok(Ending::Done);
    }
    let to = own.to.display();
    say!("{to}: {} guests on {hosts} hosts, {} looks", placed.guests, placed.looks);
    say!("from {} to {}", placed.first, placed.last);
    say!("dirty rates of {} guests are the model's, not the trace's", placed.modelled);
    if placed.unseen > 0 {
        say!("guests that came and went between two looks: {}", placed.unseen);
    }
    say!("licence: {licence}");
    Ok(Ending::Done)
}
