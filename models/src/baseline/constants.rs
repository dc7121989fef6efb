//! Constants that published models leave open, learnt from past migrations.
//!
//! Medians throughout. Without past migrations a model has no fixed cost, uses its whole stream
//! and sends all memory.

use std::collections::BTreeMap;

use whimbrel_core::{
    cluster::{CompletedStats, Domain},
    ids::VmId,
    predict::{MigrationRequest, PredictError, Prediction, Predictor},
    settings::{Compression, MigrationSettings, Mode, Transport},
    telemetry::{MigrationRecord, MigrationTrace},
    units::{Bytes, BytesPerSecond, GUEST_PAGE, Span},
};

use crate::{
    past::{PathGuess, domain_before},
    quantile::{median, quantile, sorted},
};

/// What a model takes as given.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Constants {
    /// Seconds besides sending.
    pub fixed_seconds: f64,
    /// Part of its limit that a stream achieves, by whether its own cap is that limit, protection
    /// and compression. 1 for sorts that were never seen.
    pub efficiency: BTreeMap<Stream, f64>,
    /// Memory of a QEMU process that is not its guest's, in bytes.
    pub overhead_bytes: f64,
    /// Part of the rest that has content; `None` where nothing was learnt.
    pub of_resident: Option<f64>,
    /// Part of the memory that has content where the process's size is not known.
    pub of_memory: Option<f64>,
    /// Seconds of downtime that the model does not explain, by mode.
    pub downtime_seconds: BTreeMap<Mode, f64>,
    /// Bytes a second that guests dirtied during earlier migrations; for those without readings.
    pub rates: BTreeMap<VmId, f64>,
}

/// A sort of stream.
pub type Stream = (bool, Transport, Compression);

/// Quantile of resident memory beyond the content that counts as the process's own.
const OVERHEAD_QUANTILE: f64 = 0.1;

/// A stream below this part of its limit was held by something else.
const HELD_BY_LIMIT: f64 = 0.1;

/// One usable past migration.
type Usable<'a> = (&'a MigrationRecord, CompletedStats);

impl Constants {
    /// Learns from `past`, first what no model is needed for, then what `model` leaves unexplained
    /// of the downtime.
    pub fn learn<P: Predictor>(past: &[MigrationTrace], model: impl Fn(Self) -> P) -> P {
        let constants = Self::without_downtime(past);
        let first = model(constants.clone());
        model(Self { downtime_seconds: unexplained(past, &first), ..constants })
    }

    fn without_downtime(past: &[MigrationTrace]) -> Self {
        let paths = PathGuess::learn(past);
        let usable: Vec<Usable<'_>> = past.iter().filter_map(usable).collect();
        let fixed: Vec<f64> = usable
            .iter()
            .map(|(_, s)| {
                s.total_time.as_seconds_f64() - s.transferred.as_f64() / s.bandwidth.as_f64()
            })
            .collect();
        let mut streams: BTreeMap<Stream, Vec<f64>> = BTreeMap::new();
        for (record, stats) in &usable {
            let (limit, stream) = limit(&record.settings, paths.of(record), record.sharing);
            let achieved = stats.bandwidth.as_f64() / limit.max(1.0);
            if achieved > HELD_BY_LIMIT {
                streams.entry(stream).or_default().push(achieved.min(1.0));
            }
        }
        let mut constants = Self {
            fixed_seconds: median(&fixed).unwrap_or(0.0).max(0.0),
            efficiency: medians(streams),
            rates: rates(past),
            ..Self::default()
        };
        constants.learn_content(&usable);
        constants
    }

    fn learn_content(&mut self, usable: &[Usable<'_>]) {
        let content = |(record, stats): &Usable<'_>| content(record, stats);
        let overheads: Vec<f64> =
            usable.iter().filter_map(|one| Some(one.0.resident?.as_f64() - content(one))).collect();
        self.overhead_bytes =
            quantile(&sorted(&overheads), OVERHEAD_QUANTILE).unwrap_or(0.0).max(0.0);
        let of_resident: Vec<f64> = usable
            .iter()
            .filter_map(|one| Some(content(one) / self.touched(one.0.resident?, one.0.memory)))
            .collect();
        let of_memory: Vec<f64> =
            usable.iter().map(|one| content(one) / one.0.memory.as_f64()).collect();
        self.of_resident = median(&of_resident).map(|part| part.min(1.0));
        self.of_memory = median(&of_memory).map(|part| part.min(1.0));
    }

    /// Resident memory without the process's own; at least a page.
    fn touched(&self, resident: Bytes, memory: Bytes) -> f64 {
        (resident.as_f64() - self.overhead_bytes)
            .clamp(GUEST_PAGE.as_f64(), memory.as_f64().max(4096.0))
    }

    /// Memory of `domain` with content, in bytes.
    pub(super) fn content(&self, domain: &Domain) -> f64 {
        match (domain.resident, self.of_resident) {
            (Some(resident), Some(part)) => self.touched(resident, domain.memory) * part,
            _ => domain.memory.as_f64() * self.of_memory.unwrap_or(1.0),
        }
    }

    /// Bytes a second of the requested stream before the switch-over, and after it.
    ///
    /// # Errors
    /// [`PredictError::NoBandwidth`].
    pub(super) fn stream(
        &self,
        request: &MigrationRequest<'_>,
    ) -> Result<(f64, f64), PredictError> {
        let (limit, stream) = limit(request.settings, request.path_bandwidth, request.sharing);
        let line = request.path_bandwidth.as_f64() / f64::from(request.sharing.max(1));
        if limit <= 0.0 || line <= 0.0 {
            return Err(PredictError::NoBandwidth { vm: request.domain.vm.clone() });
        }
        Ok((limit * self.efficiency.get(&stream).copied().unwrap_or(1.0), line))
    }

    /// Seconds of downtime in `mode` besides sending the rest.
    pub(super) fn downtime(&self, mode: Mode) -> f64 {
        self.downtime_seconds.get(&mode).copied().unwrap_or(0.0)
    }
}

/// What holds a stream back, bytes a second, and its sort.
fn limit(settings: &MigrationSettings, path: BytesPerSecond, sharing: u32) -> (f64, Stream) {
    let share = path.as_f64() / f64::from(sharing.max(1));
    let cap = settings.bandwidth_limit.map_or(f64::INFINITY, BytesPerSecond::as_f64);
    // The size of its cache does not make another sort of stream.
    let compression = match settings.compression {
        Compression::Xbzrle { .. } => Compression::Xbzrle { cache: Bytes::ZERO },
        other => other,
    };
    (cap.min(share), (cap < share, settings.transport, compression))
}

/// Arrived with all figures that learning divides by.
pub(super) fn usable(trace: &MigrationTrace) -> Option<Usable<'_>> {
    let record = &trace.record;
    let stats = record.stats.filter(|_| record.arrived)?;
    let complete = record.memory > Bytes::ZERO
        && stats.total_time > Span::ZERO
        && stats.transferred > Bytes::ZERO
        && stats.bandwidth > BytesPerSecond::ZERO;
    complete.then_some((record, stats))
}

/// Memory with content at the start: bounded by what was sent, and by what was not zero.
fn content(record: &MigrationRecord, stats: &CompletedStats) -> f64 {
    let page = GUEST_PAGE.as_f64();
    let not_zero = record.memory.as_f64() - stats.zero_pages as f64 * page;
    let bound = if not_zero > 0.0 { not_zero } else { record.memory.as_f64() };
    (stats.normal_pages as f64 * page).min(bound)
}

fn medians<K: Ord>(of: BTreeMap<K, Vec<f64>>) -> BTreeMap<K, f64> {
    of.into_iter().filter_map(|(key, values)| Some((key, median(&values)?))).collect()
}

/// Median rate at which each guest dirtied memory while it migrated.
fn rates(past: &[MigrationTrace]) -> BTreeMap<VmId, f64> {
    let mut seen: BTreeMap<VmId, Vec<f64>> = BTreeMap::new();
    for trace in past {
        let rates = trace.samples.iter().map(|sample| sample.progress.dirty_rate.as_f64());
        seen.entry(trace.record.vm.clone()).or_default().extend(rates.filter(|rate| *rate > 0.0));
    }
    medians(seen)
}

/// Median downtime that `model` leaves unexplained, by mode.
fn unexplained(past: &[MigrationTrace], model: &impl Predictor) -> BTreeMap<Mode, f64> {
    let mut left: BTreeMap<Mode, Vec<f64>> = BTreeMap::new();
    for_each_answer(past, model, |record, stats, said| {
        let off = stats.downtime.as_seconds_f64() - said.downtime.p50.as_seconds_f64();
        left.entry(record.settings.mode).or_default().push(off);
    });
    medians(left)
}

/// What `model` says of every usable past migration.
pub(super) fn for_each_answer(
    past: &[MigrationTrace],
    model: &impl Predictor,
    mut hear: impl FnMut(&MigrationRecord, &CompletedStats, &Prediction),
) {
    let paths = PathGuess::learn(past);
    for (record, stats) in past.iter().filter_map(usable) {
        let domain = domain_before(record);
        if let Ok(said) = model.predict(&paths.request(record, &domain, 0)) {
            hear(record, &stats, &said);
        }
    }
}
