//! The project's own form of a trace: lives and samples as sealed Parquet, and what they are of.
//!
//! Layout: `trace.toml`, `lives/part-<n>.parquet`, `samples/part-<n>.parquet`; the columns stand in
//! `datasets/README.md`. Parts have at most 262,144 rows, so that neither who writes nor who reads
//! holds more. `trace.toml` is written last: a directory without it was not finished. Lives come
//! before samples, both in the order in which their set gave them. Nothing is ever overwritten.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use whimbrel_core::trace::{Life, UseSample};

use super::{
    TraceOptions,
    error::TraceError,
    files::Tally,
    limits::GUESTS_MAX,
    rows::{Loader, Repairs, Sink, TraceRow, TraceRows},
};
use crate::{
    error::DatasetError,
    frame::{decode, encode},
    partition::{filled, sync_directory, write_synced},
    rows::{LIVES, Row, SAMPLES},
};

/// The file that says what the trace is of.
const HEAD: &str = "trace.toml";

/// The layout that this program writes and reads.
const VERSION: u32 = 1;

/// Most rows of a part.
const PART_ROWS: usize = 1 << 18;

/// Largest part and head that are read, in bytes.
const PART_BYTES_MAX: u64 = 1 << 28;
const HEAD_BYTES_MAX: u64 = 1 << 20;

/// What a converted trace is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvertedTrace {
    /// Version of the layout.
    pub version: u32,
    /// Which set or directory it was made from.
    pub source: String,
    /// Licence of that set; its conversion has the same.
    pub licence: String,
    /// Number of lives, and of the parts that hold them.
    pub lives: u64,
    /// Parts that hold lives.
    pub life_parts: u32,
    /// Number of samples.
    pub samples: u64,
    /// Parts that hold samples.
    pub sample_parts: u32,
    /// What was repaired on reading the source.
    pub repairs: BTreeMap<String, u64>,
}

/// Writes `rows` into the new directory `dir` as the project's own form; `seen` is told after each
/// row how many bytes of the source were read, and how many there are.
///
/// # Errors
/// [`TraceError`] of the source; [`TraceError::Store`] when `dir` is there already or cannot be
/// written. What was written until then is removed.
pub fn convert(
    rows: &mut TraceRows,
    source: &str,
    licence: &str,
    dir: &Path,
    seen: impl FnMut(u64, u64),
) -> Result<ConvertedTrace, TraceError> {
    filled(dir, || write(rows, source, licence, dir, seen))
}

fn write(
    rows: &mut TraceRows,
    source: &str,
    licence: &str,
    dir: &Path,
    mut seen: impl FnMut(u64, u64),
) -> Result<ConvertedTrace, TraceError> {
    let (mut lives, mut samples) = (Parts::create(dir)?, Parts::create(dir)?);
    while let Some(row) = rows.next() {
        match row? {
            TraceRow::Life(life) => lives.push(life)?,
            TraceRow::Use(sample) => samples.push(sample)?,
        }
        let (read, total) = rows.progress();
        seen(read, total);
    }
    let head = ConvertedTrace {
        version: VERSION,
        source: source.to_owned(),
        licence: licence.to_owned(),
        lives: lives.count,
        life_parts: lives.finish()?,
        samples: samples.count,
        sample_parts: samples.finish()?,
        repairs: named(rows.repairs()),
    };
    let path = dir.join(HEAD);
    let text = toml::to_string(&head).map_err(|e| DatasetError::Io {
        path: DatasetError::shown(&path),
        message: e.to_string(),
    })?;
    write_synced(&path, text.as_bytes()).map_err(DatasetError::io(&path, "cannot write"))?;
    sync_directory(dir).map_err(DatasetError::io(dir, "cannot sync"))?;
    Ok(head)
}

fn named(repairs: &Repairs) -> BTreeMap<String, u64> {
    let word = |repair| match serde_json::to_value(repair) {
        Ok(serde_json::Value::String(word)) => word,
        _ => format!("{repair:?}"),
    };
    repairs.iter().map(|(repair, count)| (word(repair), count)).collect()
}

/// Rows of one table on their way into parts.
struct Parts<R> {
    directory: PathBuf,
    rows: Vec<R>,
    written: u32,
    count: u64,
}

impl<R: Row> Parts<R> {
    fn create(dir: &Path) -> Result<Self, DatasetError> {
        let directory = dir.join(R::TABLE.name);
        fs::create_dir(&directory).map_err(DatasetError::io(&directory, "cannot create"))?;
        Ok(Self { directory, rows: Vec::new(), written: 0, count: 0 })
    }

    fn push(&mut self, row: R) -> Result<(), DatasetError> {
        row.check().map_err(|fault| {
            let at = usize::try_from(self.count).unwrap_or(usize::MAX);
            crate::frame::bad_value(&self.directory, at, fault)
        })?;
        self.rows.push(row);
        self.count += 1;
        if self.rows.len() >= PART_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), DatasetError> {
        let path = part(&self.directory, self.written);
        let sealed = encode(&self.rows)
            .map_err(|what| DatasetError::Damaged { path: DatasetError::shown(&path), what })?;
        write_synced(&path, &sealed).map_err(DatasetError::io(&path, "cannot write"))?;
        self.rows.clear();
        self.written = self.written.saturating_add(1);
        Ok(())
    }

    fn finish(&mut self) -> Result<u32, DatasetError> {
        if !self.rows.is_empty() {
            self.flush()?;
        }
        sync_directory(&self.directory)
            .map_err(DatasetError::io(&self.directory, "cannot sync"))?;
        Ok(self.written)
    }
}

fn part(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("part-{number:05}.parquet"))
}

/// What the converted trace in `dir` is of.
///
/// # Errors
/// [`TraceError`] when `dir` holds none, or one of a later version.
pub fn converted(dir: &Path) -> Result<ConvertedTrace, TraceError> {
    let path = dir.join(HEAD);
    let length = fs::metadata(&path).map(|meta| meta.len());
    if length.is_err() && dir.join(LIVES.name).is_dir() {
        return Err(TraceError::Layout {
            file: TraceError::shown(dir),
            row: 0,
            what: format!("has no {HEAD}: it was not written to its end"),
            hint: "remove the directory and convert the trace again".to_owned(),
        });
    }
    let length = length.map_err(|e| TraceError::absent(&path, format!("cannot open: {e}")))?;
    let misbuilt = |what: String| TraceError::Layout {
        file: TraceError::shown(&path),
        row: 0,
        what,
        hint: "convert the trace again with `whimbrel dataset convert`".to_owned(),
    };
    if length > HEAD_BYTES_MAX {
        return Err(misbuilt(format!("has {length} bytes, more than {HEAD_BYTES_MAX}")));
    }
    let text = fs::read_to_string(&path).map_err(|e| misbuilt(e.to_string()))?;
    let head: ConvertedTrace =
        toml::from_str(&text).map_err(|e| misbuilt(e.to_string().trim_end().to_owned()))?;
    if head.version != VERSION {
        let what = format!("has version {}, this program reads {VERSION}", head.version);
        return Err(misbuilt(what));
    }
    if head.lives > GUESTS_MAX as u64 {
        return Err(TraceError::crowded(&TraceError::shown(&path), 0));
    }
    Ok(head)
}

/// Opens the converted trace at `root`.
pub(crate) fn open(root: &Path, _: &TraceOptions) -> Result<TraceRows, TraceError> {
    let head = converted(root)?;
    let of = |table: &str, count: u32| {
        let directory = root.join(table);
        (0..count).map(move |number| part(&directory, number)).rev().collect::<Vec<_>>()
    };
    let lives = of(LIVES.name, head.life_parts);
    let samples = of(SAMPLES.name, head.sample_parts);
    let total = super::files::total(&lives) + super::files::total(&samples);
    let tally = Tally::default();
    let reader = Reader { guests: head.lives, head, lives, samples, tally: tally.clone() };
    Ok(TraceRows::new(Box::new(reader), Sink::default(), tally, total))
}

struct Reader {
    head: ConvertedTrace,
    guests: u64,
    /// Parts that were not read yet, the next one last.
    lives: Vec<PathBuf>,
    samples: Vec<PathBuf>,
    tally: Tally,
}

impl Loader for Reader {
    fn advance(&mut self, sink: &mut Sink) -> Result<bool, TraceError> {
        if let Some(path) = self.lives.pop() {
            for life in self.part::<Life>(&path)? {
                self.known(sink, &path, life.guest)?;
                sink.life(life);
                self.head.lives = self.head.lives.wrapping_sub(1);
            }
            return Ok(true);
        }
        if let Some(path) = self.samples.pop() {
            for sample in self.part::<UseSample>(&path)? {
                self.known(sink, &path, sample.guest)?;
                sink.sample(sample);
                self.head.samples = self.head.samples.wrapping_sub(1);
            }
            return Ok(true);
        }
        if (self.head.lives, self.head.samples) == (0, 0) {
            return Ok(false);
        }
        Err(TraceError::Damaged {
            file: self.head.source.clone(),
            row: 0,
            what: "has not as many rows as its trace.toml says".to_owned(),
        })
    }
}

impl Reader {
    fn part<R: Row>(&self, path: &Path) -> Result<Vec<R>, TraceError> {
        let length = fs::metadata(path).map_err(DatasetError::io(path, "cannot look at"))?.len();
        if length > PART_BYTES_MAX {
            return Err(TraceError::TooLarge {
                file: TraceError::shown(path),
                row: 0,
                what: format!("{length} bytes are more than a part may have, {PART_BYTES_MAX}"),
            });
        }
        let sealed = fs::read(path).map_err(DatasetError::io(path, "cannot read"))?;
        self.tally.add(length);
        Ok(decode::<R>(path, &sealed)?)
    }

    /// Makes room for `guest`, which must be one of those that the head counts.
    fn known(&self, sink: &mut Sink, path: &Path, guest: u32) -> Result<(), TraceError> {
        if u64::from(guest) >= self.guests {
            return Err(TraceError::Value {
                file: TraceError::shown(path),
                row: 0,
                column: "guest",
                what: format!("{guest} is outside 0 to {}", self.guests.saturating_sub(1)),
            });
        }
        while sink.guests() <= guest as usize {
            sink.unnamed().ok_or_else(|| TraceError::crowded(&TraceError::shown(path), 0))?;
        }
        Ok(())
    }
}
