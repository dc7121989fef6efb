//! The guests of a part of a trace: who is there, what they use, how fast they dirty memory.
//!
//! Memory grows with the guests that are there and what they use meanwhile, not with the trace.

use std::collections::BTreeMap;

use rand::RngExt as _;
use whimbrel_core::{
    ids::VmId,
    trace::{Life, Size, UseSample},
    units::{Bytes, MilliCores, Span},
};

use super::{LOOKS_MAX, PlaceError, Placing};
use crate::{
    dirtying::{RECORDED, unique},
    public::{TraceRow, TraceRows},
    synthetic::{bell, stream},
};

/// Windows of the readings that are made: those of the collector.
const WINDOWS: [Span; 4] =
    [Span::from_seconds(1), Span::from_seconds(2), Span::from_seconds(4), Span::from_seconds(8)];

/// Least memory of a guest: sets that do not know it have 0.
const MEMORY_MIN: Bytes = Bytes::mib(1);

/// A guest that is there at some look.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) vm: VmId,
    pub(super) uuid: String,
    pub(super) size: Size,
    /// The first look at it, and the first one without it.
    pub(super) first: u64,
    pub(super) end: u64,
    /// Position of its host.
    pub(super) host: usize,
    /// What it uses, oldest first.
    used: Vec<UseSample>,
    /// Distinct memory that it dirties in windows; nothing where its CPU is not known.
    pub(super) unique: Vec<(Span, Bytes)>,
}

impl Guest {
    /// What was seen of it last, at a moment of the trace.
    pub(super) fn seen_at(&self, at: Span) -> Option<&UseSample> {
        let until = self.used.partition_point(|sample| sample.at <= at);
        until.checked_sub(1).and_then(|last| self.used.get(last))
    }
}

/// The guests of the part that is asked for, in the order of their arrival, and how many came and
/// went between two looks.
pub(super) fn read(
    rows: &mut TraceRows,
    placing: &Placing,
    mut seen: impl FnMut(u64, u64),
) -> Result<(Vec<Guest>, u64), PlaceError> {
    let (from, until) = (placing.from, placing.until());
    let mut lives: Vec<Life> = Vec::new();
    let mut used: BTreeMap<u32, Vec<UseSample>> = BTreeMap::new();
    let (mut kept, mut latest) = (0_u64, Span::ZERO);
    while let Some(row) = rows.next() {
        match row? {
            TraceRow::Life(life) => {
                let ends = life.stays.map(|stays| life.begins + stays);
                latest = latest.max(ends.unwrap_or(life.begins));
                if life.begins <= until && ends.is_none_or(|ends| ends > from) {
                    lives.push(life);
                }
            }
            TraceRow::Use(sample) if sample.at > until => latest = latest.max(sample.at),
            TraceRow::Use(sample) => {
                latest = latest.max(sample.at);
                let samples = used.entry(sample.guest).or_default();
                if sample.at <= from {
                    // Only the last one before the begin still holds.
                    samples.clear();
                } else {
                    kept += 1;
                    within(kept)?;
                }
                samples.push(sample);
            }
        }
        let (read, total) = rows.progress();
        seen(read, total);
    }
    // Guests without an end are there as long as the trace, not for ever.
    if from > latest {
        return Err(PlaceError::Nobody { from, until });
    }
    lives.sort_by_key(|life| (life.begins, life.guest));
    guests(&lives, &mut used, placing)
}

fn guests(
    lives: &[Life],
    used: &mut BTreeMap<u32, Vec<UseSample>>,
    placing: &Placing,
) -> Result<(Vec<Guest>, u64), PlaceError> {
    let (from, until) = (placing.from, placing.until());
    let (mut guests, mut looks, mut unseen) = (Vec::new(), 0_u64, 0);
    for life in lives {
        let first = placing.look_at(life.begins);
        let end = life.stays.map_or(u64::MAX, |stays| placing.look_at(life.begins + stays));
        let end = end.min(placing.looks());
        if first >= end {
            unseen += 1;
            continue;
        }
        looks = looks.saturating_add(end - first);
        within(looks)?;
        guests.push(guest(life, first..end, used.remove(&life.guest).unwrap_or_default(), placing));
    }
    if guests.is_empty() {
        return Err(PlaceError::Nobody { from, until });
    }
    if guests.iter().all(|guest| guest.used.is_empty()) {
        return Err(PlaceError::NoUse { from });
    }
    Ok((guests, unseen))
}

fn guest(
    life: &Life,
    looks: std::ops::Range<u64>,
    used: Vec<UseSample>,
    placing: &Placing,
) -> Guest {
    let number = life.guest;
    let size = Size { cpu: life.size.cpu, memory: life.size.memory.max(MEMORY_MIN) };
    let sum: u64 = used.iter().map(|sample| sample.cpu.get()).sum();
    let mean = sum.checked_div(used.len() as u64).map(MilliCores::new);
    Guest {
        vm: VmId::new(&format!("guest-{number}")).unwrap_or_else(|_| VmId::unnamed()),
        uuid: format!("{number:08x}-0000-4000-8000-{number:012x}"),
        size,
        first: looks.start,
        end: looks.end,
        host: 0,
        unique: mean.map_or_else(Vec::new, |cpu| dirtied(placing.seed, number, size.memory, cpu)),
        used,
    }
}

/// What a guest that uses `cpu` on average dirties in each window.
fn dirtied(seed: u64, guest: u32, memory: Bytes, cpu: MilliCores) -> Vec<(Span, Bytes)> {
    // A stream of its own, apart from those of drawn traces.
    let mut rng = stream(seed, (1 << 41) + u64::from(guest));
    let idle = rng.random::<f64>() < RECORDED.idle_share;
    let rate = RECORDED.rate(cpu, bell(&mut rng));
    let set = RECORDED.working_set(memory, rng.random());
    let of = |window| if idle { Bytes::ZERO } else { unique(rate, set, window) };
    WINDOWS.map(|window| (window, of(window))).to_vec()
}

fn within(looks: u64) -> Result<(), PlaceError> {
    if looks <= LOOKS_MAX {
        return Ok(());
    }
    Err(PlaceError::Outside {
        what: format!("the guests would be looked at more than {LOOKS_MAX} times"),
        hint: "choose a shorter part of the trace with --lasts",
    })
}
