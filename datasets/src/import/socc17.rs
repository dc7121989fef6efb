//! The migrations of Jo, Cho and Egger: "A machine learning approach to live migration modeling"
//! (`SoCC` 2017), whose authors hand out the table on request.
//!
//! One line is one migration. Read are these columns, the others are kept out:
//!
//! | Column | Read as |
//! |---|---|
//! | `capability` | 0 pre-copy, 1 auto-converge (THR), 2 xbzrle (DLTC), 3 compressed (DTC), 4 post-copy |
//! | `workload_type` | 0 to 8; with the size it stands for the guest |
//! | `VM_size` | guest memory, MiB |
//! | `VM_pdr` | page dirty rate, times [`Socc17Assumptions::dirty_rate_unit`] |
//! | `VM_wss` | working set, times [`Socc17Assumptions::working_set_unit`] |
//! | `qemu_tt`, `qemu_dt` | total time and downtime, ms |
//! | `qemu_td` | transferred data, KiB |
//!
//! The units of times, data and sizes follow from the two lines that were published (676 MB,
//! 7,728 ms, 251 ms, 783,359 KB). The unit of the dirty rate does not: 682 pages of 4 KiB a second
//! (the second line) cannot make a guest of 1,493 MB send 7.9 GB in 94 s. Whoever imports has to
//! say what one unit is.
//!
//! A dirty curve is assumed through two points: the rate over one second, and the whole working
//! set within a minute. Compression in QEMU's one plain stream (DTC) is a mode that Whimbrel does
//! not have: such lines are counted and left out. Times of day were not published; the moments of
//! the rows only keep their order.

use whimbrel_core::{
    cluster::{CompletedStats, DirtyReading},
    ids::{HostId, NameError, OrderId, PlanId, VmId},
    settings::{Compression, MigrationSettings, Mode},
    telemetry::{MigrationRecord, MigrationTrace},
    units::{Bytes, BytesPerSecond, Span, Timestamp},
};

use super::table::{ImportError, Row, Table};

const COLUMNS: [&str; 8] =
    ["capability", "workload_type", "VM_size", "VM_pdr", "VM_wss", "qemu_tt", "qemu_dt", "qemu_td"];

/// Size of QEMU's xbzrle cache where nothing else is set.
const XBZRLE_CACHE: Bytes = Bytes::mib(64);

/// Begin of the first row, 2017-01-01; each later one begins a minute later.
const FIRST: Timestamp = Timestamp::from_micros(1_483_228_800_000_000);
const ROW_STEP: Span = Span::from_seconds(60);

/// What the table does not say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Socc17Assumptions {
    /// What 1 in `VM_pdr` stands for.
    pub dirty_rate_unit: BytesPerSecond,
    /// What 1 in `VM_wss` stands for.
    pub working_set_unit: Bytes,
    /// What the path carried; the paper's hosts had 1 Gb/s.
    pub path_bandwidth: Option<BytesPerSecond>,
    /// Downtime limit of all migrations; QEMU's default is 300 ms.
    pub downtime_limit: Span,
}

/// What a table came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// One for each migration that can be used, in the table's order, without samples.
    pub traces: Vec<MigrationTrace>,
    /// Lines left out because they compressed in the one plain stream.
    pub compressed: usize,
}

/// Reads `text`, the content of `file`.
///
/// # Errors
/// [`ImportError`] with the line and the column of the first fault.
pub fn socc17(
    file: &str,
    text: &str,
    assumptions: &Socc17Assumptions,
) -> Result<Imported, ImportError> {
    let mut table = Table::open(file, text, &COLUMNS)?;
    let mut imported = Imported { traces: Vec::new(), compressed: 0 };
    let mut index = 0;
    while let Some(row) = table.next()? {
        match settings(&row, assumptions)? {
            Some(settings) => {
                let record = record(&row, index, settings, assumptions)?;
                imported.traces.push(record.into());
            }
            None => imported.compressed += 1,
        }
        index += 1;
    }
    Ok(imported)
}

/// How the migration of `row` was done; `None` for the mode that Whimbrel does not have.
fn settings(
    row: &Row<'_>,
    assumptions: &Socc17Assumptions,
) -> Result<Option<MigrationSettings>, ImportError> {
    let plain = MigrationSettings {
        downtime_limit: assumptions.downtime_limit,
        ..MigrationSettings::default()
    };
    let xbzrle = Compression::Xbzrle { cache: XBZRLE_CACHE };
    Ok(match whole(row, "capability", 4)? {
        0 => Some(plain),
        1 => Some(MigrationSettings { mode: Mode::AutoConverge, ..plain }),
        2 => Some(MigrationSettings { compression: xbzrle, ..plain }),
        4 => Some(MigrationSettings { mode: Mode::PostCopy, ..plain }),
        _ => None,
    })
}

fn record(
    row: &Row<'_>,
    index: usize,
    settings: MigrationSettings,
    assumptions: &Socc17Assumptions,
) -> Result<MigrationRecord, ImportError> {
    let workload = whole(row, "workload_type", 8)?;
    let size_mib = row.number("VM_size", 1.0..=1e8)?;
    let total_time = millis(row.number("qemu_tt", 1.0..=1e9)?);
    let downtime = millis(row.number("qemu_dt", 0.0..=1e9)?);
    let transferred = Bytes::new((row.number("qemu_td", 1.0..=1e12)? * 1024.0).round() as u64);
    let memory = Bytes::new((size_mib * 1_048_576.0).round() as u64);
    let at = Timestamp::from_micros(
        FIRST.as_micros() + ROW_STEP.as_micros().saturating_mul(index as u64),
    );
    let mean = transferred.as_f64() / total_time.as_seconds_f64();
    let named = |fault: NameError| row.fault("workload_type", fault.to_string());
    Ok(MigrationRecord {
        arrived: true,
        dirty_before: readings(row, at, memory, assumptions)?,
        path_bandwidth: assumptions.path_bandwidth,
        wall: total_time,
        stats: Some(CompletedStats {
            total_time,
            downtime,
            transferred,
            bandwidth: BytesPerSecond::new(mean.round() as u64),
            ..CompletedStats::default()
        }),
        ..MigrationRecord::beginning(
            OrderId::of(&PlanId::new("socc17").map_err(named)?, index),
            at,
            VmId::new(&format!("socc17-{workload}-{size_mib}")).map_err(named)?,
            HostId::new("socc17-source").map_err(named)?,
            HostId::new("socc17-target").map_err(named)?,
            settings,
            memory,
        )
    })
}

/// Two points of the unique-dirty curve, neither beyond the guest's memory.
fn readings(
    row: &Row<'_>,
    measured_at: Timestamp,
    memory: Bytes,
    assumptions: &Socc17Assumptions,
) -> Result<Vec<DirtyReading>, ImportError> {
    let rate = row.number("VM_pdr", 0.0..=1e12)? * assumptions.dirty_rate_unit.as_f64();
    let set = row.number("VM_wss", 0.0..=1e12)? * assumptions.working_set_unit.as_f64();
    let set = Bytes::new(set.round() as u64).min(memory);
    let of = |window, unique| DirtyReading { window, unique, measured_at };
    let second = Bytes::new(rate.round() as u64).min(set);
    Ok(vec![of(Span::from_seconds(1), second), of(Span::from_seconds(60), set)])
}

/// A whole number from 0 to `most`.
fn whole(row: &Row<'_>, column: &'static str, most: u8) -> Result<u8, ImportError> {
    let found = row.number(column, 0.0..=f64::from(most))?;
    if found.fract().abs() > 0.0 {
        return Err(row.fault(column, format!("{found} is no whole number")));
    }
    Ok(found as u8)
}

fn millis(value: f64) -> Span {
    Span::from_seconds_f64(value / 1000.0)
}
