//! `whimbrel convert-input`: a planning input in another form.
#![expect(clippy::print_stderr, reason = "what a form cannot hold is not the answer")]

use std::path::PathBuf;

use clap::ValueEnum;
use whimbrel_planner::formats::Form;

use super::Ending;
use crate::{Failure, instance};

/// Arguments of `convert-input`.
#[derive(Debug, clap::Args)]
pub(super) struct ConvertArguments {
    /// A saved input, a file in the plain form, or Ganeti's text (with FROM.dynu, where it is there)
    from: PathBuf,
    /// The file to write
    to: PathBuf,
    /// How to write it
    #[arg(long, value_enum)]
    form: FormArgument,
}

/// How an input is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormArgument {
    /// As --save-input does: everything, sealed
    Saved,
    /// One JSON object that planners of other origin can read
    Plain,
    /// What hbal -t reads, with TO.dynu for hbal -U
    Ganeti,
}

pub(super) fn run(own: &ConvertArguments) -> Result<Ending, Failure> {
    if own.from == own.to {
        return Err(Failure::invalid(
            "it would be read and overwritten (hint: name another file to write)",
        )
        .about(own.from.display()));
    }
    let read = instance::read(&own.from)?;
    let form = match own.form {
        FormArgument::Saved => Form::Whole,
        FormArgument::Plain => Form::Plain,
        FormArgument::Ganeti => Form::Ganeti,
    };
    let written = read.write(form).map_err(|error| instance::located(&error, &own.from))?;
    for left_out in read.left_out.iter().chain(&written.left_out) {
        eprintln!("note: left out: {left_out}");
    }
    for path in instance::write(&own.to, &written)? {
        say!("{}", path.display());
    }
    Ok(Ending::Done)
}
