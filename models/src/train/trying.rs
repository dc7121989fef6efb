//! Constants that no figure of a migration shows by itself: of some values the one by which replays
//! come closest.

use whimbrel_core::{
    cluster::CompletedStats,
    settings::Mode,
    telemetry::MigrationTrace,
    units::{Bytes, BytesPerSecond, Span},
};

use crate::{
    learned::Residuals,
    model::{Model, Stated},
    past::{PathGuess, domain_before},
    predictor::ReplayPredictor,
};

/// Fewest migrations that values are tried on.
const TRIED_ON_MIN: usize = 8;

/// Times for which a page may be waited for.
const FAULT_LATENCIES_MICROS: [u64; 6] = [50, 100, 200, 290, 600, 1200];

/// What a socket may hold.
const QUEUES_KIB: [u64; 6] = [0, 256, 512, 1024, 1536, 3072];

/// A link that holds streams back by queues that matter: at 100 MiB/s they take some 10 ms.
const SLOW_LINK: BytesPerSecond = BytesPerSecond::mib(100);

/// Sets those of `model`.
pub(super) fn learn(model: &mut Model, usable: &[&MigrationTrace]) {
    let paths = PathGuess::learn(usable.iter().copied());
    let moved = |trace: &MigrationTrace| trace.record.settings.mode == Mode::PostCopy;
    let time = |actual: &CompletedStats, stated: &Stated| {
        (actual.total_time.as_seconds_f64() / stated.time_seconds.p50).ln()
    };
    closest(
        model,
        &chosen(usable, moved),
        paths,
        &FAULT_LATENCIES_MICROS,
        time,
        |model, micros| {
            model.impact.fault_latency = Span::from_micros(micros);
        },
    );
    let slow = |trace: &MigrationTrace| {
        let cap = trace.record.settings.bandwidth_limit.unwrap_or(BytesPerSecond::new(u64::MAX));
        trace.record.path_bandwidth.is_some_and(|path| path < cap && path < SLOW_LINK)
            && !moved(trace)
    };
    let downtime = |actual: &CompletedStats, stated: &Stated| {
        actual.downtime.as_seconds_f64() - stated.downtime_seconds.p50
    };
    closest(model, &chosen(usable, slow), paths, &QUEUES_KIB, downtime, |model, kib| {
        model.costs.queue = Bytes::new(kib << 10);
    });
}

fn chosen<'a>(
    usable: &[&'a MigrationTrace],
    which: impl Fn(&MigrationTrace) -> bool,
) -> Vec<&'a MigrationTrace> {
    usable.iter().copied().filter(|trace| which(trace)).collect()
}

/// Sets in `model` that of `values` by which what `traces` were predicted to come to is `off`
/// least in the mean; none where there are too few of them.
fn closest(
    model: &mut Model,
    traces: &[&MigrationTrace],
    paths: PathGuess,
    values: &[u64],
    off: impl Fn(&CompletedStats, &Stated) -> f64,
    set: impl Fn(&mut Model, u64),
) {
    if traces.len() < TRIED_ON_MIN {
        return;
    }
    let mean_off = |value: u64| {
        let mut predictor = ReplayPredictor { model: model.clone() };
        set(&mut predictor.model, value);
        let one = |trace: &&MigrationTrace| {
            let domain = domain_before(&trace.record);
            let request = paths.request(&trace.record, &domain, 0);
            let draft = predictor.draft(&request, Some(Residuals::default())).ok()?;
            Some(off(&trace.record.stats?, &draft.stated).abs()).filter(|off| off.is_finite())
        };
        let all: Vec<f64> = traces.iter().filter_map(one).collect();
        all.iter().sum::<f64>() / all.len().max(1) as f64
    };
    let best = values.iter().map(|value| (mean_off(*value), *value));
    if let Some((_, value)) = best.min_by(|a, b| a.0.total_cmp(&b.0)) {
        set(model, value);
    }
}
