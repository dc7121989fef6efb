//! What predictions rest on: a model file, or whatever past migrations teach at once.
//!
//! A file that `whimbrel train` wrote says everything but what happened since; without one the
//! newest migrations teach a model on the spot. Never writes a file.

use std::{collections::BTreeSet, path::Path};

use whimbrel_core::{digest::Digest, ids::VmId, telemetry::MigrationTrace};
use whimbrel_models::{
    Model,
    file::{ModelFile, Window},
    train::{self, Trained},
};

use crate::{Failure, files};

/// Migrations that teach where there is no model file: more take longer than an answer may.
const TAUGHT_AT_ONCE_MAX: usize = 400;

/// Seed of whatever training draws.
const SEED: u64 = 1;

/// The model of `file`, with what `past` migrations showed of guests since, and at any time of
/// guests that the file does not know; or one that `past` teaches, oldest first.
///
/// # Errors
/// [`Failure`] naming a file that cannot be read, is damaged or of a later version.
pub fn model(file: Option<&Path>, past: &[MigrationTrace]) -> Result<Model, Failure> {
    let Some(path) = file else {
        let newest = past.len().saturating_sub(TAUGHT_AT_ONCE_MAX);
        return Ok(train::train(past.get(newest..).unwrap_or_default(), SEED).model);
    };
    let name = path.display().to_string();
    let read = ModelFile::<Model>::from_text(&name, &files::read_text(path)?);
    let ModelFile { window, parameters: mut model, .. } = read.map_err(Failure::invalid)?;
    let known: BTreeSet<VmId> = model.guests.keys().cloned().collect();
    let since = |at| window.is_none_or(|window| at > window.last);
    let new = |trace: &&MigrationTrace| since(trace.record.at) || !known.contains(&trace.record.vm);
    past.iter().filter(new).for_each(|trace| model.remember(trace));
    Ok(model)
}

/// A model file of what `past` teaches.
pub fn teach(past: &[MigrationTrace]) -> ModelFile<Model> {
    let Trained { model, metrics } = train::train(past, SEED);
    let times = || past.iter().map(|trace| trace.record.at);
    let window = times().min().zip(times().max()).map(|(first, last)| Window { first, last });
    let records: Vec<_> = past.iter().map(|trace| &trace.record).collect();
    let counts = [
        ("migrations", past.len()),
        ("arrived_with_figures", model.learnt_from),
        ("guests", model.guests.len()),
        ("predicted_unseen", model.bands.scores),
    ];
    ModelFile {
        learnt_by: env!("CARGO_PKG_VERSION").to_owned(),
        window,
        counts: counts.map(|(name, count)| (name.to_owned(), count as u64)).into(),
        metrics,
        data: Some(Digest::of(&records)),
        parameters: model,
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::{
        HostId, OrderId,
        cluster::CompletedStats,
        settings::MigrationSettings,
        telemetry::MigrationRecord,
        units::{Bytes, Span, Timestamp},
    };

    use super::*;

    fn trace(vm: &str, minute: u64, pages: u64) -> MigrationTrace {
        let record = MigrationRecord {
            arrived: true,
            wall: Span::from_seconds(11),
            stats: Some(CompletedStats { normal_pages: pages, ..CompletedStats::default() }),
            ..MigrationRecord::beginning(
                OrderId::new(&format!("{vm}-{minute}")).unwrap(),
                Timestamp::from_micros(1_800_000_000_000_000 + minute * 60_000_000),
                VmId::new(vm).unwrap(),
                HostId::unnamed(),
                HostId::unnamed(),
                MigrationSettings::default(),
                Bytes::mib(100),
            )
        };
        record.into()
    }

    #[test]
    fn a_file_learns_of_guests_what_it_does_not_know_and_nothing_twice() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.json");
        let taught = teach(&[trace("a", 5, 1000), trace("a", 6, 1000)]);
        std::fs::write(&path, taught.to_text("model.json").unwrap()).unwrap();
        let of_file = |past: &[MigrationTrace]| model(Some(&path), past).unwrap().guests;
        let alone = of_file(&[]);
        assert_eq!(of_file(&[trace("a", 6, 2000)]), alone, "it was in the file's window");
        assert_ne!(of_file(&[trace("a", 7, 2000)]), alone);
        let other = of_file(&[trace("b", 1, 2000)]);
        assert_eq!(other.keys().map(VmId::as_str).collect::<Vec<_>>(), ["a", "b"]);
    }
}
