//! The CPU that guests are to be planned for: a quantile of what each is expected to want over the
//! policy's horizon.
//!
//! Never less than what it wants now, though: with a quantile alone a guest that began to want more is
//! planned for as before until a tenth of the window is over, and its host is too hot meanwhile.
//!
//! Decides how much is looked at, so that ten thousand guests take seconds: a quantile of recent
//! readings for every guest that has enough of them, and a forecast for those on the hosts that
//! come nearest to the policy's threshold, which is where a plan decides something. Same input,
//! same answer: the bound counts guests and not time.
//!
//! Never here: a guess for a guest without readings. It is left out, and its last reading counts.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::{
    HostId, Snapshot, VmId,
    outlook::{Demand, DemandSource},
    policy::Balance,
    units::{MilliCores, Span, Timestamp},
};

use crate::{
    forecast::{Forecast, Outlook, Sample, Series},
    quantile::{quantile, sorted},
};

/// What was read of guests' CPU, oldest first.
pub type Readings = BTreeMap<VmId, Vec<(Timestamp, MilliCores)>>;

/// Fewest readings within the window that make a quantile.
const READINGS_MIN: usize = 4;

/// Guests that are forecast, at most; the rest go by their readings: one forecast takes as long as
/// the quantiles of thousands.
pub const FORECASTS_MAX: usize = 20;

/// Hosts of which guests want more than this part of what is overload are looked at closely.
const NEAR: f64 = 0.8;

/// Cells of a series that is forecast, and how long now lasts: finer ones cost time and say nothing of
/// an hour.
const CELL: Span = Span::from_seconds(300);

/// How far back a forecast looks.
const PAST: Span = Span::from_seconds(7 * 86_400);

/// What every guest of `snapshot` with enough `readings` up to `now` is to be planned for.
/// `forecasts_max` guests are forecast at most, usually [`FORECASTS_MAX`].
pub fn demands(
    snapshot: &Snapshot,
    readings: &Readings,
    balance: &Balance,
    now: Timestamp,
    forecasts_max: usize,
) -> BTreeMap<VmId, Demand> {
    let mut demands = BTreeMap::new();
    for domain in snapshot.domains.iter().filter(|domain| domain.state.lives_here()) {
        let known = readings.get(&domain.vm).map(Vec::as_slice).unwrap_or_default();
        if let Some(cpu) = of_readings(known, balance, now) {
            demands.insert(domain.vm.clone(), Demand { cpu, from: DemandSource::Readings });
        }
    }
    for vm in close(snapshot, &demands, balance, forecasts_max) {
        let known = readings.get(&vm).map(Vec::as_slice).unwrap_or_default();
        if let Some(cpu) = of_forecast(known, balance, now) {
            demands.insert(vm, Demand { cpu, from: DemandSource::Forecast });
        }
    }
    demands
}

/// The quantile of the readings of the last time as long as the horizon.
fn of_readings(
    readings: &[(Timestamp, MilliCores)],
    balance: &Balance,
    now: Timestamp,
) -> Option<MilliCores> {
    let known = &readings[..readings.partition_point(|(at, _)| *at <= now)];
    let recent = known.iter().rev().take_while(|(at, _)| now.since(*at) <= balance.horizon);
    let values: Vec<f64> = recent.map(|(_, used)| used.as_cores_f64()).collect();
    if values.len() < READINGS_MIN {
        return None;
    }
    let expected = quantile(&sorted(&values), balance.demand_quantile.get())?;
    Some(millicores(expected.max(present(known, now))))
}

/// What a guest wants now, in cores: the mean of its readings of the last [`CELL`], so that a peak of
/// some seconds is none; 0 without any.
fn present(known: &[(Timestamp, MilliCores)], now: Timestamp) -> f64 {
    let recent = known.iter().rev().take_while(|(at, _)| now.since(*at) < CELL);
    let (sum, count) =
        recent.fold((0.0, 0_u32), |(sum, count), (_, used)| (sum + used.as_cores_f64(), count + 1));
    sum / f64::from(count.max(1))
}

/// Guests of the hosts that come nearest to the threshold, hottest first, whole hosts while there
/// is room for them.
fn close(
    snapshot: &Snapshot,
    demands: &BTreeMap<VmId, Demand>,
    balance: &Balance,
    most: usize,
) -> BTreeSet<VmId> {
    let mut hosts: BTreeMap<&HostId, (f64, Vec<&VmId>)> = BTreeMap::new();
    for domain in snapshot.domains.iter().filter(|domain| domain.state.lives_here()) {
        let (sum, guests) = hosts.entry(&domain.host).or_default();
        let planned = demands.get(&domain.vm).map(|demand| demand.cpu);
        *sum += planned.or(domain.cpu_used).unwrap_or_default().as_cores_f64();
        guests.push(&domain.vm);
    }
    let heat = |(id, (sum, guests)): (&HostId, (f64, Vec<&VmId>))| {
        let cores = snapshot.hosts.get(id).map_or(0.0, |host| host.cpu.as_cores_f64());
        (sum / cores.max(1e-3), guests.into_iter().cloned().collect::<Vec<VmId>>())
    };
    let mut hosts: Vec<(f64, Vec<VmId>)> = hosts.into_iter().map(heat).collect();
    hosts.retain(|(heat, _)| *heat > NEAR * balance.overload_above.get());
    hosts.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    hosts.into_iter().flat_map(|(_, guests)| guests).take(most).collect()
}

/// The quantile of the forecast of the mean over the horizon.
fn of_forecast(
    readings: &[(Timestamp, MilliCores)],
    balance: &Balance,
    now: Timestamp,
) -> Option<MilliCores> {
    let mut cells: BTreeMap<u64, (f64, u32)> = BTreeMap::new();
    let known = &readings[..readings.partition_point(|(at, _)| *at <= now)];
    for (at, used) in known.iter().filter(|(at, _)| now.since(*at) <= PAST) {
        // Counted back from now, so that the newest cell is a whole one.
        let cell = cells.entry(now.since(*at).as_micros() / CELL.as_micros()).or_default();
        *cell = (cell.0 + used.as_cores_f64(), cell.1 + 1);
    }
    let samples = cells.into_iter().rev().map(|(back, (sum, count))| {
        let before = Span::from_micros(back.saturating_mul(CELL.as_micros())).as_micros();
        let at = Timestamp::from_micros(now.as_micros().saturating_sub(before));
        Sample { at, window: CELL, value: sum / f64::from(count) }
    });
    let series = Series::new(samples, now).ok()?;
    let asked = Outlook { horizon: balance.horizon, period: None };
    let bands = Forecast::new(&series, asked).ok()?.over(now, balance.horizon);
    let value = between(&bands.to_array(), balance.demand_quantile.get());
    Some(millicores(value.max(present(known, now))))
}

/// The `level`-quantile on the line between those of a forecast's band.
fn between(values: &[f64; 7], level: f64) -> f64 {
    let levels = whimbrel_core::predict::QUANTILE_LEVELS;
    let after = levels.partition_point(|known| *known <= level).clamp(1, levels.len() - 1);
    let (left, right) = (levels[after - 1], levels[after]);
    let part = ((level - left) / (right - left)).clamp(0.0, 1.0);
    values[after - 1] + (values[after] - values[after - 1]) * part
}

fn millicores(cores: f64) -> MilliCores {
    MilliCores::new((cores.max(0.0) * 1000.0).round() as u64)
}
