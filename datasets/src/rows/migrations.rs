//! The table of migrations: what was known, asked and predicted, and what happened.
//!
//! Flat, so that every figure is a column of its own. The two lists of varying length (readings
//! before the start, caveats) are JSON texts: they are read whole or not at all, and nested
//! Parquet columns would bind every reader to one library's idea of them.

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    cluster::{CompletedStats, DeltaCoding, DirtyReading},
    predict::{Prediction, QUANTILE_LEVELS, Quantiles, Stall},
    settings::{Compression, MigrationSettings, Throttle},
    telemetry::MigrationRecord,
    units::{Bytes, Span, Timestamp},
};

use super::{Cells, FromCell, Row};
use crate::schema::{Before, Cell, Column, Fault, Kind, Table};

/// One row a migration.
pub(crate) const MIGRATIONS: Table = Table {
    name: "migrations",
    columns: &[
        Column::must("at_micros", Kind::Instant),
        Column::must("order", Kind::Text),
        Column::must("vm", Kind::Text),
        Column::must("from_host", Kind::Text),
        Column::must("to_host", Kind::Text),
        Column::must("mode", Kind::Text),
        Column::must("transport", Kind::Text),
        Column::maybe("bandwidth_limit_bytes_per_second", Kind::Rate),
        Column::must("downtime_limit_micros", Kind::Span),
        Column::must("channels", Kind::FewCount).since(2, Before::Number(1)),
        Column::must("compression", Kind::Text).since(2, Before::Word("none")),
        Column::maybe("xbzrle_cache_bytes", Kind::Size).since(2, Before::Null),
        Column::must("throttle_initial_percent", Kind::FewCount).since(2, Before::Number(20)),
        Column::must("throttle_increment_percent", Kind::FewCount).since(2, Before::Number(10)),
        Column::must("reads_before_post_copy", Kind::Count).since(2, Before::Number(1)),
        Column::must("arrived", Kind::Flag),
        Column::maybe("failure", Kind::Text),
        Column::must("memory_bytes", Kind::Size),
        Column::maybe("resident_bytes", Kind::Size),
        Column::maybe("cpu_used_millicores", Kind::Cpu).since(2, Before::Null),
        Column::must("dirty_before_json", Kind::Text),
        Column::maybe("path_bandwidth_bytes_per_second", Kind::Rate).since(2, Before::Null),
        Column::must("sharing", Kind::FewCount),
        Column::maybe("qemu", Kind::Text).since(2, Before::Null),
        Column::must("wall_micros", Kind::Span),
        Column::maybe("predicted_model", Kind::Text),
        Column::maybe("predicted_converges_share", Kind::Share),
        Column::maybe("predicted_total_time_p025_micros", Kind::Span),
        Column::maybe("predicted_total_time_p05_micros", Kind::Span),
        Column::maybe("predicted_total_time_p25_micros", Kind::Span),
        Column::maybe("predicted_total_time_p50_micros", Kind::Span),
        Column::maybe("predicted_total_time_p75_micros", Kind::Span),
        Column::maybe("predicted_total_time_p95_micros", Kind::Span),
        Column::maybe("predicted_total_time_p975_micros", Kind::Span),
        Column::maybe("predicted_transferred_p025_bytes", Kind::Counter),
        Column::maybe("predicted_transferred_p05_bytes", Kind::Counter),
        Column::maybe("predicted_transferred_p25_bytes", Kind::Counter),
        Column::maybe("predicted_transferred_p50_bytes", Kind::Counter),
        Column::maybe("predicted_transferred_p75_bytes", Kind::Counter),
        Column::maybe("predicted_transferred_p95_bytes", Kind::Counter),
        Column::maybe("predicted_transferred_p975_bytes", Kind::Counter),
        Column::maybe("predicted_downtime_p025_micros", Kind::Span),
        Column::maybe("predicted_downtime_p05_micros", Kind::Span),
        Column::maybe("predicted_downtime_p25_micros", Kind::Span),
        Column::maybe("predicted_downtime_p50_micros", Kind::Span),
        Column::maybe("predicted_downtime_p75_micros", Kind::Span),
        Column::maybe("predicted_downtime_p95_micros", Kind::Span),
        Column::maybe("predicted_downtime_p975_micros", Kind::Span),
        Column::maybe("predicted_stall_round_micros", Kind::Span),
        Column::maybe("predicted_stall_remaining_bytes", Kind::Size),
        Column::maybe("predicted_stall_downtime_limit_needed_micros", Kind::Span),
        Column::maybe("predicted_caveats_json", Kind::Text),
        Column::maybe("stats_total_time_micros", Kind::Span),
        Column::maybe("stats_downtime_micros", Kind::Span),
        Column::maybe("stats_setup_time_micros", Kind::Span),
        Column::maybe("stats_transferred_bytes", Kind::Counter),
        Column::maybe("stats_normal_pages", Kind::Count),
        Column::maybe("stats_zero_pages", Kind::Count),
        Column::maybe("stats_iterations", Kind::Count),
        Column::maybe("stats_bandwidth_bytes_per_second", Kind::Rate),
        Column::maybe("stats_throttle_percent", Kind::FewCount).since(2, Before::Null),
        Column::maybe("stats_post_copy_requests", Kind::Count).since(2, Before::Null),
        Column::maybe("stats_delta_pages", Kind::Count).since(2, Before::Null),
        Column::maybe("stats_delta_bytes", Kind::Counter).since(2, Before::Null),
        Column::maybe("stats_delta_misses", Kind::Count).since(2, Before::Null),
    ],
};

impl Row for MigrationRecord {
    const TABLE: Table = MIGRATIONS;

    fn at(&self) -> Timestamp {
        self.at
    }

    fn cells(&self) -> Vec<Cell<'_>> {
        let mut cells = vec![
            self.at.into(),
            (&self.id).into(),
            (&self.vm).into(),
            (&self.from).into(),
            (&self.to).into(),
        ];
        push_settings(&mut cells, &self.settings);
        cells.extend([
            self.arrived.into(),
            self.failure.as_deref().into(),
            self.memory.into(),
            self.resident.into(),
            self.cpu_used.into(),
            readings_json(&self.dirty_before),
            self.path_bandwidth.into(),
            self.sharing.into(),
            self.qemu.into(),
            self.wall.into(),
        ]);
        push_prediction(&mut cells, self.predicted.as_ref());
        push_stats(&mut cells, self.stats.as_ref());
        cells
    }

    fn from_cells(cells: &mut Cells<'_>) -> Result<Self, Fault> {
        Ok(Self {
            at: cells.take()?,
            id: cells.take()?,
            vm: cells.take()?,
            from: cells.take()?,
            to: cells.take()?,
            settings: take_settings(cells)?,
            arrived: cells.take()?,
            failure: cells.take()?,
            memory: cells.take()?,
            resident: cells.take()?,
            cpu_used: cells.take()?,
            dirty_before: cells.take::<Readings>()?.0,
            path_bandwidth: cells.take()?,
            sharing: cells.take()?,
            qemu: cells.take()?,
            wall: cells.take()?,
            predicted: take_prediction(cells)?,
            stats: take_stats(cells)?,
        })
    }
}

fn push_settings(cells: &mut Vec<Cell<'_>>, settings: &MigrationSettings) {
    let (compression, cache) = match settings.compression {
        Compression::None => ("none", None),
        Compression::Xbzrle { cache } => ("xbzrle", Some(cache)),
        Compression::Zlib => ("zlib", None),
        Compression::Zstd => ("zstd", None),
    };
    cells.extend([
        settings.mode.into(),
        settings.transport.into(),
        settings.bandwidth_limit.into(),
        settings.downtime_limit.into(),
        settings.channels.into(),
        compression.into(),
        cache.into(),
        settings.throttle.initial_percent.into(),
        settings.throttle.increment_percent.into(),
        settings.reads_before_post_copy.into(),
    ]);
}

fn take_settings(cells: &mut Cells<'_>) -> Result<MigrationSettings, Fault> {
    Ok(MigrationSettings {
        mode: cells.take()?,
        transport: cells.take()?,
        bandwidth_limit: cells.take()?,
        downtime_limit: cells.take()?,
        channels: cells.take()?,
        compression: take_compression(cells)?,
        throttle: Throttle { initial_percent: cells.take()?, increment_percent: cells.take()? },
        reads_before_post_copy: cells.take()?,
    })
}

/// Takes the compression and the cache that one of them has.
fn take_compression(cells: &mut Cells<'_>) -> Result<Compression, Fault> {
    let word: String = cells.take()?;
    let cache = cells.take()?;
    match (word.as_str(), cache) {
        ("none", None) => Ok(Compression::None),
        ("zlib", None) => Ok(Compression::Zlib),
        ("zstd", None) => Ok(Compression::Zstd),
        ("xbzrle", Some(cache)) => Ok(Compression::Xbzrle { cache }),
        ("xbzrle", None) => Err(Fault {
            column: "xbzrle_cache_bytes",
            what: "is null, xbzrle needs its cache".to_owned(),
        }),
        ("none" | "zlib" | "zstd", Some(_)) => Err(Fault {
            column: "xbzrle_cache_bytes",
            what: format!("is filled, {word} has no cache"),
        }),
        _ => Err(Fault {
            column: "compression",
            what: format!("'{word}' is none of none, xbzrle, zlib, zstd"),
        }),
    }
}

fn push_prediction<'a>(cells: &mut Vec<Cell<'a>>, predicted: Option<&'a Prediction>) {
    cells.push(predicted.map(|p| p.model.as_str()).into());
    cells.push(predicted.map(|p| p.converges).into());
    push_quantiles(cells, predicted.map(|p| p.total_time));
    push_quantiles(cells, predicted.map(|p| p.transferred));
    push_quantiles(cells, predicted.map(|p| p.downtime));
    let stall = predicted.and_then(|p| p.stall);
    cells.push(stall.map(|s| s.round).into());
    cells.push(stall.map(|s| s.remaining).into());
    cells.push(stall.map(|s| s.downtime_limit_needed).into());
    cells.push(predicted.map_or(Cell::Null, |p| json(&p.caveats)));
}

fn push_quantiles<'a, T: Copy + Into<Cell<'a>>>(
    cells: &mut Vec<Cell<'a>>,
    quantiles: Option<Quantiles<T>>,
) {
    match quantiles {
        Some(quantiles) => cells.extend(quantiles.to_array().map(Into::into)),
        None => cells.extend(QUANTILE_LEVELS.map(|_| Cell::Null)),
    }
}

fn push_stats(cells: &mut Vec<Cell<'_>>, stats: Option<&CompletedStats>) {
    cells.push(stats.map(|s| s.total_time).into());
    cells.push(stats.map(|s| s.downtime).into());
    cells.push(stats.map(|s| s.setup_time).into());
    cells.push(stats.map(|s| s.transferred).into());
    cells.push(stats.map(|s| s.normal_pages).into());
    cells.push(stats.map(|s| s.zero_pages).into());
    cells.push(stats.map(|s| s.iterations).into());
    cells.push(stats.map(|s| s.bandwidth).into());
    cells.push(stats.map(|s| s.throttle_percent).into());
    cells.push(stats.map(|s| s.post_copy_requests).into());
    cells.push(stats.map(|s| s.delta.pages).into());
    cells.push(stats.map(|s| s.delta.bytes).into());
    cells.push(stats.map(|s| s.delta.misses).into());
}

/// Takes all cells of the prediction; `None` when the model's name is null.
fn take_prediction(cells: &mut Cells<'_>) -> Result<Option<Prediction>, Fault> {
    let model: Option<String> = cells.take()?;
    let converges = cells.take()?;
    let total_time = take_quantiles(cells)?;
    let transferred = take_quantiles(cells)?;
    let downtime = take_quantiles(cells)?;
    let (round, remaining, needed) = (cells.take()?, cells.take()?, cells.take()?);
    let caveats = cells.take::<Option<Caveats>>()?;
    let Some(model) = model else { return Ok(None) };
    let stall = match (round, remaining, needed) {
        (None, None, None) => None,
        (round, remaining, needed) => Some(Stall {
            round: present(round, "predicted_stall_round_micros")?,
            remaining: present(remaining, "predicted_stall_remaining_bytes")?,
            downtime_limit_needed: present(needed, "predicted_stall_downtime_limit_needed_micros")?,
        }),
    };
    Ok(Some(Prediction {
        model,
        converges: present(converges, "predicted_converges_share")?,
        total_time: present(total_time, "predicted_total_time_p50_micros")?,
        transferred: present(transferred, "predicted_transferred_p50_bytes")?,
        downtime: present(downtime, "predicted_downtime_p50_micros")?,
        stall,
        caveats: caveats.map(|c| c.0).unwrap_or_default(),
        impact: None,
    }))
}

/// Takes seven cells; `None` when one of them is null.
fn take_quantiles<T: Copy + FromCell>(
    cells: &mut Cells<'_>,
) -> Result<Option<Quantiles<T>>, Fault> {
    let mut taken = Vec::with_capacity(QUANTILE_LEVELS.len());
    for _ in QUANTILE_LEVELS {
        taken.extend(cells.take::<Option<T>>()?);
    }
    Ok(taken.try_into().ok().map(Quantiles::from_array))
}

/// Takes all cells of the figures; `None` when the total time is null.
fn take_stats(cells: &mut Cells<'_>) -> Result<Option<CompletedStats>, Fault> {
    let total_time: Option<Span> = cells.take()?;
    let (downtime, setup_time, transferred) = (cells.take()?, cells.take()?, cells.take()?);
    let (normal_pages, zero_pages) = (cells.take()?, cells.take()?);
    let (iterations, bandwidth) = (cells.take()?, cells.take()?);
    // Null in parts of version 1: no migration of that time throttled, fetched or coded deltas.
    let throttle_percent: Option<u8> = cells.take()?;
    let requests: Option<u64> = cells.take()?;
    let (pages, bytes, misses): (Option<u64>, Option<u64>, Option<u64>) =
        (cells.take()?, cells.take()?, cells.take()?);
    let Some(total_time) = total_time else { return Ok(None) };
    Ok(Some(CompletedStats {
        total_time,
        downtime: present(downtime, "stats_downtime_micros")?,
        setup_time: present(setup_time, "stats_setup_time_micros")?,
        transferred: present(transferred, "stats_transferred_bytes")?,
        normal_pages: present(normal_pages, "stats_normal_pages")?,
        zero_pages: present(zero_pages, "stats_zero_pages")?,
        iterations: present(iterations, "stats_iterations")?,
        bandwidth: present(bandwidth, "stats_bandwidth_bytes_per_second")?,
        throttle_percent: throttle_percent.unwrap_or_default(),
        post_copy_requests: requests.unwrap_or_default(),
        delta: DeltaCoding {
            pages: pages.unwrap_or_default(),
            bytes: bytes.unwrap_or_default(),
            misses: misses.unwrap_or_default(),
        },
    }))
}

fn present<T>(value: Option<T>, column: &'static str) -> Result<T, Fault> {
    value.ok_or_else(|| Fault {
        column,
        what: "is null while other columns of its group are filled".to_owned(),
    })
}

/// One reading in `dirty_before_json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reading {
    window_micros: u64,
    unique_bytes: u64,
    measured_at_micros: u64,
}

const READING_COLUMNS: [Column; 3] = [
    Column::must("dirty_before_json", Kind::Span),
    Column::must("dirty_before_json", Kind::Size),
    Column::must("dirty_before_json", Kind::Instant),
];

struct Readings(Vec<DirtyReading>);

struct Caveats(Vec<String>);

fn readings_json(readings: &[DirtyReading]) -> Cell<'static> {
    let readings: Vec<_> = readings
        .iter()
        .map(|reading| Reading {
            window_micros: reading.window.as_micros(),
            unique_bytes: reading.unique.get(),
            measured_at_micros: reading.measured_at.as_micros(),
        })
        .collect();
    json(&readings)
}

/// Null where a value has no JSON; the column then refuses the row.
fn json(value: &impl Serialize) -> Cell<'static> {
    serde_json::to_string(value).map_or(Cell::Null, Cell::from)
}

impl FromCell for Readings {
    fn from_cell(cell: Cell<'_>) -> Result<Self, String> {
        let text = String::from_cell(cell)?;
        let parsed: Vec<Reading> = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        let mut readings = Vec::with_capacity(parsed.len());
        for reading in parsed {
            let reading = DirtyReading {
                window: Span::from_micros(reading.window_micros),
                unique: Bytes::new(reading.unique_bytes),
                measured_at: Timestamp::from_micros(reading.measured_at_micros),
            };
            check_reading(&reading).map_err(|fault| fault.what)?;
            readings.push(reading);
        }
        Ok(Self(readings))
    }
}

fn check_reading(reading: &DirtyReading) -> Result<(), Fault> {
    let cells = [reading.window.into(), reading.unique.into(), reading.measured_at.into()];
    READING_COLUMNS.iter().zip(&cells).try_for_each(|(column, cell)| column.check(cell))
}

impl FromCell for Caveats {
    fn from_cell(cell: Cell<'_>) -> Result<Self, String> {
        let text = String::from_cell(cell)?;
        serde_json::from_str(&text).map(Self).map_err(|error| error.to_string())
    }
}
