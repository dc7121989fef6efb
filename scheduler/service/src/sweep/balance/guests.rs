//! Guests of a trace that are there for all of the days that are played, with one reading every
//! five minutes.

use std::{collections::BTreeMap, path::Path};

use whimbrel_core::units::Span;
use whimbrel_datasets::public::{TraceOptions, TraceRow, open_trace};
use whimbrel_simulator::balancing::{GuestSize, INTERVAL, SAMPLES_OF_A_DAY};

use crate::Failure;

/// A guest and what it wants, in millicores.
pub(super) type Guest = (GuestSize, Vec<u32>);

/// What is read of a guest before its size is known.
#[derive(Default)]
struct Read {
    size: Option<GuestSize>,
    /// By number of the reading; the last one of each interval counts.
    wants: BTreeMap<usize, u32>,
    /// Whether it was seen before the first and after the last reading that is wanted.
    before: bool,
    after: bool,
}

/// Guests of the trace at `root` that are there from day `from_day` on for `days` and the one
/// before them. Where a reading is missing the one before it holds.
///
/// # Errors
/// [`Failure`] naming file and row.
pub(super) fn guests(
    layout: &str,
    root: &Path,
    from_day: u32,
    days: u32,
) -> Result<Vec<Guest>, Failure> {
    let first = from_day as usize * SAMPLES_OF_A_DAY;
    let count = (days as usize).saturating_add(1).saturating_mul(SAMPLES_OF_A_DAY);
    let mut read: BTreeMap<u32, Read> = BTreeMap::new();
    let rows = open_trace(layout, root, &TraceOptions::default()).map_err(Failure::invalid)?;
    for row in rows {
        match row.map_err(Failure::invalid)? {
            TraceRow::Life(life) => {
                let size = GuestSize { cpu: life.size.cpu, memory: life.size.memory };
                read.entry(life.guest).or_default().size = Some(size);
            }
            TraceRow::Use(seen) => {
                let guest = read.entry(seen.guest).or_default();
                let reading = number(seen.at);
                guest.before |= reading <= first;
                guest.after |= reading + 1 >= first + count;
                if (first..first + count).contains(&reading) {
                    let want = u32::try_from(seen.cpu.get()).unwrap_or(u32::MAX);
                    guest.wants.insert(reading - first, want);
                }
            }
        }
    }
    Ok(read.values().filter_map(|guest| whole(guest, count)).collect())
}

fn number(at: Span) -> usize {
    (at.as_micros() / INTERVAL.as_micros()) as usize
}

/// `guest`, where it is there all the time and has a size.
fn whole(guest: &Read, count: usize) -> Option<Guest> {
    let size = guest.size.filter(|_| guest.before && guest.after && !guest.wants.is_empty())?;
    let mut last = guest.wants.values().next().copied()?;
    let wants = (0..count).map(|reading| {
        last = guest.wants.get(&reading).copied().unwrap_or(last);
        last
    });
    Some((size, wants.collect()))
}
