//! `whimbrel dataset convert`: a trace in the project's own columnar form.

use std::path::{Path, PathBuf};

use whimbrel_datasets::public::{ConvertedTrace, convert};

use super::{
    Common, Ending, Format,
    bar::Bar,
    print_json,
    source::{OpenTrace, TraceArguments},
};
use crate::Failure;

/// Arguments of `dataset convert`.
#[derive(Debug, clap::Args)]
pub(super) struct ConvertArguments {
    #[command(flatten)]
    trace: TraceArguments,
    /// New directory to write to
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

pub(super) fn run(
    common: &Common,
    own: &ConvertArguments,
    data: Option<&Path>,
) -> Result<Ending, Failure> {
    let OpenTrace { mut rows, licence } = own.trace.open(data)?;
    let source = &own.trace.source;
    let mut bar = Bar::new(source);
    let head = convert(&mut rows, source, &licence, &own.to, |read, total| bar.row(read, total));
    drop(bar);
    print(common, &own.to, &head.map_err(Failure::invalid)?)?;
    Ok(Ending::Done)
}

/// What was written.
pub(super) fn print(common: &Common, to: &Path, head: &ConvertedTrace) -> Result<(), Failure> {
    if common.output == Format::Json {
        return print_json(head);
    }
    say!("{}: {} lives, {} samples", to.display(), head.lives, head.samples);
    for (repair, count) in &head.repairs {
        say!("repaired: {count} {repair}");
    }
    say!("licence: {}", head.licence);
    Ok(())
}
