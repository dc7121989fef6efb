//! Learning a calibration from records of migrations.
//!
//! Robust throughout: medians for levels, quantiles of errors for spreads, bounds on every
//! result; one odd record moves nothing much. Records are taken in the order of their time, and
//! each is predicted with only those guests' histories that were known before it.

use std::collections::BTreeMap;

use whimbrel_core::{
    cluster::{CompletedStats, Domain, DomainState},
    ids::VmId,
    predict::{MigrationRequest, Prediction, Predictor, Quantiles},
    telemetry::MigrationRecord,
    units::{Bytes, BytesPerSecond, GUEST_PAGE, Span},
};

use super::{Calibration, GuestHistory};
use crate::{
    predictor::ReplayPredictor,
    quantile::{median, quantile, sorted},
};

/// Usable records below which nothing but guests' histories is learnt.
pub const USABLE_RECORDS_MIN: usize = 5;

/// Normal quantile of 0.95: half the 90 % band in standard deviations.
const Z95: f64 = 1.645;

/// What the line is assumed to carry beyond a cap: records do not say.
const LINE_OVER_CAP: f64 = 3.0;

/// Quantile of resident memory beyond the content that counts as the process's own.
const OVERHEAD_QUANTILE: f64 = 0.1;

/// A stream below this part of its limit was held by something else.
const HELD_BY_LIMIT: f64 = 0.5;

impl Calibration {
    /// Learns from `records` of completed migrations, in any order.
    ///
    /// With fewer than [`USABLE_RECORDS_MIN`] usable ones the constants stay the defaults and
    /// [`Calibration::learnt_from`] stays 0. Guests' histories are kept from any number.
    pub fn fit(records: &[MigrationRecord]) -> Self {
        let mut usable: Vec<(&MigrationRecord, CompletedStats)> = records
            .iter()
            .filter(|r| r.arrived && r.failure.is_none())
            .filter_map(|r| r.stats.map(|stats| (r, stats)))
            .filter(|(r, stats)| is_complete(r, stats))
            .collect();
        usable.sort_by(|(a, _), (b, _)| (a.at, &a.id).cmp(&(b.at, &b.id)));
        let mut learnt = Self::default();
        if usable.len() >= USABLE_RECORDS_MIN {
            learnt.learnt_from = usable.len();
            learnt.learn_costs(&usable);
            learnt.learn_content(&usable);
            learnt.learn_downtime(&usable);
            learnt.learn_residuals(&usable);
        }
        for (record, stats) in &usable {
            remember(&mut learnt.guests, record, stats);
        }
        learnt
    }

    /// Fixed cost and bandwidth. QEMU's mean throughput leaves out what comes before the first
    /// page (`migration_calculate_complete`), so the time that it does not explain is fixed cost.
    fn learn_costs(&mut self, usable: &[(&MigrationRecord, CompletedStats)]) {
        let fixed: Vec<f64> = usable
            .iter()
            .map(|(_, s)| {
                let sending = s.transferred.as_f64() / s.bandwidth.as_f64();
                (s.total_time.as_seconds_f64() - sending).max(0.01)
            })
            .collect();
        if let Some(middle) = median(&fixed) {
            self.fixed_cost = Span::from_seconds_f64(middle).rounded();
            let off: Vec<f64> = fixed.iter().map(|f| (f / middle).ln()).collect();
            self.fixed_cost_spread = spread(&off).clamp(0.02, 1.0);
        }
        let efficiencies: Vec<f64> = usable
            .iter()
            .filter(|(r, _)| r.sharing <= 1)
            .filter_map(|(r, s)| Some(s.bandwidth.as_f64() / r.settings.bandwidth_limit?.as_f64()))
            .filter(|e| *e > HELD_BY_LIMIT)
            .map(|e| e.min(1.0))
            .collect();
        if let (Some(middle), true) = (median(&efficiencies), efficiencies.len() >= 3) {
            self.efficiency = middle;
            let off: Vec<f64> = efficiencies.iter().map(|e| (e / middle).ln()).collect();
            self.efficiency_spread = spread(&off).clamp(0.01, 0.5);
        }
    }

    /// Memory with content, as a part of what is known before a first migration.
    fn learn_content(&mut self, usable: &[(&MigrationRecord, CompletedStats)]) {
        let overheads: Vec<f64> = usable
            .iter()
            .filter_map(|(r, s)| Some(r.resident?.saturating_sub(non_zero(r, s)).as_f64()))
            .collect();
        // What nearly every process has is overhead; what some have more is content that went.
        if let Some(least) = quantile(&sorted(&overheads), OVERHEAD_QUANTILE) {
            self.resident_overhead = Bytes::new(least.max(0.0).round() as u64);
        }
        let mut of_resident = Vec::new();
        let mut of_memory = Vec::new();
        for (record, stats) in usable {
            let content = non_zero(record, stats).as_f64();
            of_memory.push(content / record.memory.as_f64());
            if let Some(resident) = record.resident {
                let touched = resident.saturating_sub(self.resident_overhead).min(record.memory);
                if touched > Bytes::ZERO {
                    of_resident.push(content / touched.as_f64());
                }
            }
        }
        if let Some((middle, spread)) = level_and_spread(&of_memory) {
            self.non_zero_of_memory = middle.clamp(0.01, 1.0);
            self.non_zero_of_memory_spread = spread.clamp(0.02, 1.0);
        }
        if let Some((middle, spread)) = level_and_spread(&of_resident) {
            self.non_zero_of_resident = middle.clamp(0.01, 1.0);
            self.non_zero_of_resident_spread = spread.clamp(0.02, 1.0);
        }
    }

    /// Downtime that sending the rest does not explain.
    fn learn_downtime(&mut self, usable: &[(&MigrationRecord, CompletedStats)]) {
        self.downtime_constant = Span::ZERO;
        let unexplained: Vec<f64> = self
            .replayed(usable)
            .iter()
            .map(|(p, s)| s.downtime.as_seconds_f64() - p.downtime.p50.as_seconds_f64())
            .collect();
        let fallback = Self::default().downtime_constant.as_seconds_f64();
        let middle = median(&unexplained).unwrap_or(fallback).clamp(0.001, 60.0);
        self.downtime_constant = Span::from_seconds_f64(middle).rounded();
    }

    /// What the replay leaves unexplained, so that 90 % of the records lie in its 90 % band.
    fn learn_residuals(&mut self, usable: &[(&MigrationRecord, CompletedStats)]) {
        self.time_residual = 0.0;
        self.bytes_residual = 0.0;
        self.downtime_residual = 0.0;
        let replayed = self.replayed(usable);
        let needed = |of: fn(&Prediction, &CompletedStats) -> (Quantiles<f64>, f64)| {
            let each: Vec<f64> = replayed
                .iter()
                .map(|(p, s)| of(p, s))
                .filter_map(|(band, actual)| missing_spread(&band, actual))
                .collect();
            conformal(&each)
        };
        let defaults = Self::default();
        self.time_residual =
            needed(|p, s| (p.total_time.map(Span::as_seconds_f64), s.total_time.as_seconds_f64()))
                .map_or(defaults.time_residual, |r| r.clamp(0.01, 2.0));
        self.bytes_residual =
            needed(|p, s| (p.transferred.map(Bytes::as_f64), s.transferred.as_f64()))
                .map_or(defaults.bytes_residual, |r| r.clamp(0.01, 2.0));
        self.downtime_residual =
            needed(|p, s| (p.downtime.map(Span::as_seconds_f64), s.downtime.as_seconds_f64()))
                .map_or(defaults.downtime_residual, |r| r.clamp(0.05, 2.0));
    }

    /// Every record as `self` would have predicted it, where that gives figures.
    fn replayed(
        &self,
        usable: &[(&MigrationRecord, CompletedStats)],
    ) -> Vec<(Prediction, CompletedStats)> {
        let mut predictor = ReplayPredictor { calibration: self.clone() };
        let mut replayed = Vec::with_capacity(usable.len());
        for (seed, (record, stats)) in usable.iter().enumerate() {
            let domain = domain_before(record);
            let request = MigrationRequest {
                domain: &domain,
                settings: &record.settings,
                path_bandwidth: self.path_behind(record, stats),
                sharing: record.sharing.max(1),
                now: record.at,
                seed: seed as u64,
            };
            if let Ok(prediction) = predictor.predict(&request) {
                replayed.push((prediction, *stats));
            }
            remember(&mut predictor.calibration.guests, record, stats);
        }
        replayed
    }

    /// The path that `record` had: what it achieved alone, or more than its limit where that held
    /// it.
    fn path_behind(&self, record: &MigrationRecord, stats: &CompletedStats) -> BytesPerSecond {
        let achieved = stats.bandwidth.as_f64() / self.efficiency.max(0.1);
        let share = match record.settings.bandwidth_limit {
            Some(limit) if achieved > HELD_BY_LIMIT * limit.as_f64() => {
                limit.as_f64() * LINE_OVER_CAP
            }
            _ => achieved,
        };
        BytesPerSecond::new((share * f64::from(record.sharing.max(1))).round() as u64)
    }
}

/// Whether all figures are there that learning divides by.
fn is_complete(record: &MigrationRecord, stats: &CompletedStats) -> bool {
    record.memory > Bytes::ZERO
        && stats.total_time > Span::ZERO
        && stats.transferred > Bytes::ZERO
        && stats.bandwidth > BytesPerSecond::ZERO
}

/// Memory with content at the start of a migration: bounded by every page sent with content, and
/// by what was not announced as zero.
fn non_zero(record: &MigrationRecord, stats: &CompletedStats) -> Bytes {
    let of_pages = |pages: u64| Bytes::new(pages.saturating_mul(GUEST_PAGE.get()));
    let not_zero = record.memory.saturating_sub(of_pages(stats.zero_pages));
    let bound = if not_zero > Bytes::ZERO { not_zero } else { record.memory };
    of_pages(stats.normal_pages).min(bound)
}

/// Takes a migration into its guest's history.
fn remember(
    guests: &mut BTreeMap<VmId, GuestHistory>,
    record: &MigrationRecord,
    stats: &CompletedStats,
) {
    if stats.normal_pages == 0 {
        return;
    }
    let migrations = guests.get(&record.vm).map_or(0, |past| past.migrations);
    guests.insert(
        record.vm.clone(),
        GuestHistory {
            non_zero: non_zero(record, stats),
            memory: record.memory,
            migrations: migrations.saturating_add(1),
        },
    );
}

/// The domain as it was known before the migration, as far as a predictor looks at it.
fn domain_before(record: &MigrationRecord) -> Domain {
    Domain {
        vm: record.vm.clone(),
        uuid: String::new(),
        host: record.from.clone(),
        state: DomainState::Running,
        observed_at: record.at,
        vcpus: 1,
        memory: record.memory,
        resident: record.resident,
        cpu_used: None,
        dirty: record.dirty_before.clone(),
        job: None,
    }
}

/// Spread that a record's error asks for on top of its band; 0 where the band holds it already.
fn missing_spread(band: &Quantiles<f64>, actual: f64) -> Option<f64> {
    if band.p05 <= 0.0 || actual <= 0.0 {
        return None;
    }
    let own = (band.p95 / band.p05).ln() / (2.0 * Z95);
    let error = (actual / band.p50).ln().abs() / Z95;
    Some((error * error - own * own).max(0.0).sqrt())
}

/// The spread that covers 90 %, with the finite-sample step of split conformal prediction
/// (Lei et al., 2018): the ⌈0.9 (n + 1)⌉-th smallest of n.
fn conformal(needed: &[f64]) -> Option<f64> {
    let sorted = sorted(needed);
    let rank = (0.9 * (sorted.len() as f64 + 1.0)).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied()
}

/// Half the width of the middle 80 % in standard deviations: outliers do not reach it.
fn spread(logs: &[f64]) -> f64 {
    let sorted = sorted(logs);
    let at = |level| quantile(&sorted, level).unwrap_or(0.0);
    (at(0.9) - at(0.1)) / 2.563
}

fn level_and_spread(shares: &[f64]) -> Option<(f64, f64)> {
    let middle = median(shares).filter(|m| *m > 0.0 && shares.len() >= USABLE_RECORDS_MIN)?;
    let logs: Vec<f64> = shares.iter().map(|s| (s.max(1e-6) / middle).ln()).collect();
    Some((middle, spread(&logs)))
}
