//! `whimbrel dataset`: traces of guests: which public ones there are, getting, checking and converting
//! them, drawing others, and making telemetry of them.
//!
//! Never here: reading a trace's layout, or sending anything anywhere by itself.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;
use whimbrel_core::units::Bytes;
use whimbrel_datasets::{PUBLIC_DATA_VARIABLE, PublicSet, manifest};

use super::{
    Common, Ending, Format, print_json,
    table::{or_dash, table},
};
use crate::Failure;

mod bar;
mod check;
mod convert;
mod fetch;
mod place;
mod source;
mod synthesize;

/// Arguments of `dataset`.
#[derive(Debug, clap::Args)]
pub(super) struct DatasetArguments {
    #[command(subcommand)]
    what: What,
    /// Directory below which the public traces lie
    #[arg(long = "public-data", global = true, value_name = "DIR", env = PUBLIC_DATA_VARIABLE)]
    data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the traces that can be read, with their licences, and which of them are here
    List,
    /// Tell how to get a trace, or get it with curl (--run)
    Fetch(fetch::FetchArguments),
    /// Compare sizes and sums with the published ones, read every row and count what was repaired
    Check(check::CheckArguments),
    /// Write a trace in the project's own columnar form
    Convert(convert::ConvertArguments),
    /// Draw a trace of guests that nobody ran, shaped as a public cloud's are
    Synthesize(synthesize::SynthesizeArguments),
    /// Put a trace's guests on hosts: telemetry that whatif, sweep and plan can be asked about
    Place(place::PlaceArguments),
}

pub(super) fn run(common: &Common, own: &DatasetArguments) -> Result<Ending, Failure> {
    let data = own.data.as_deref();
    match &own.what {
        What::List => list(common, data),
        What::Fetch(own) => fetch::run(common, own, data),
        What::Check(own) => check::run(common, own, data),
        What::Convert(own) => convert::run(common, own, data),
        What::Synthesize(own) => synthesize::run(common, own),
        What::Place(own) => place::run(common, own, data),
    }
}

/// A set, as JSON lists it.
#[derive(Debug, Serialize)]
struct Listed {
    #[serde(flatten)]
    set: PublicSet,
    present: bool,
}

fn list(common: &Common, data: Option<&Path>) -> Result<Ending, Failure> {
    let sets = manifest().map_err(Failure::invalid)?;
    let here = |set: &PublicSet| data.is_some_and(|data| data.join(&set.path).is_dir());
    let listed: Vec<Listed> =
        sets.into_iter().map(|set| Listed { present: here(&set), set }).collect();
    if common.output == Format::Json {
        print_json(&listed)?;
        return Ok(Ending::Done);
    }
    let mut rows = table(&["set", "here", ">size", "layout", "what", "licence"]);
    for Listed { set, present } in &listed {
        rows.add_row([
            set.name.clone(),
            if *present { "yes" } else { "no" }.to_owned(),
            or_dash(set.size(), Bytes::human),
            or_dash(set.layout.as_deref(), ToOwned::to_owned),
            set.what.clone(),
            set.licence.clone(),
        ]);
    }
    say!("{rows}");
    if data.is_none() {
        say!("\nno directory of public traces is named (hint: set {PUBLIC_DATA_VARIABLE})");
    }
    Ok(Ending::Done)
}

/// The set called `name`.
fn set_called(name: &str) -> Result<PublicSet, Failure> {
    let sets = manifest().map_err(Failure::invalid)?;
    sets.into_iter().find(|set| set.name == name).ok_or_else(|| {
        Failure::not_found(format!(
            "no set is called {name} (hint: `whimbrel dataset list` lists them)"
        ))
    })
}

/// The directory of public traces.
fn directory(data: Option<&Path>) -> Result<&Path, Failure> {
    data.ok_or_else(|| {
        Failure::invalid(format!(
            "no directory of public traces is named (hint: --public-data DIR, or set \
             {PUBLIC_DATA_VARIABLE})"
        ))
    })
}

#[cfg(test)]
mod tests;
