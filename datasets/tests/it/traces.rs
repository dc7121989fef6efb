//! Traces of guests: layouts, the published files, damage and conversion.

use std::path::{Path, PathBuf};

use whimbrel_core::{
    trace::{Life, UseSample},
    units::Span,
};
use whimbrel_datasets::public::{Repair, Repairs, TraceError, TraceOptions, TraceRow, open_trace};

mod converting;
mod damaged;
mod layouts;
mod published;
mod written;

/// A trace that was read whole.
#[derive(Debug, Default, PartialEq)]
struct Whole {
    lives: Vec<Life>,
    samples: Vec<UseSample>,
    repairs: Repairs,
}

impl Whole {
    fn times(&self, guest: u32) -> Vec<u64> {
        let of = self.samples.iter().filter(|sample| sample.guest == guest);
        of.map(|sample| sample.at.as_millis() / 1000).collect()
    }

    fn cpu(&self, guest: u32) -> Vec<u64> {
        let of = self.samples.iter().filter(|sample| sample.guest == guest);
        of.map(|sample| sample.cpu.get()).collect()
    }

    fn repaired(&self) -> Vec<(Repair, u64)> {
        self.repairs.iter().collect()
    }
}

fn read(layout: &str, path: &Path, options: &TraceOptions) -> Result<Whole, TraceError> {
    let mut rows = open_trace(layout, path, options)?;
    let mut whole = Whole::default();
    for row in rows.by_ref() {
        match row? {
            TraceRow::Life(life) => whole.lives.push(life),
            TraceRow::Use(sample) => whole.samples.push(sample),
        }
    }
    whole.repairs = rows.repairs().clone();
    Ok(whole)
}

fn layout_directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/layouts").join(name)
}

fn written_layout(layout: &str, directory: &str) -> Whole {
    read(layout, &layout_directory(directory), &TraceOptions::default()).unwrap()
}

fn seconds(seconds: u64) -> Span {
    Span::from_seconds(seconds)
}
