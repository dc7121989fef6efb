//! What a regressor sees of a migration before it begins.
//!
//! After Jo, Cho and Egger, "A machine learning approach to live migration modeling", `SoCC` 2017:
//! size of the guest, page dirty rate, working set, bandwidth, load of the guest, the mode, and
//! derived ratios (their relative page transfer rate). Entropy of pages, modified words a page and
//! hardware counters of that paper are not in any telemetry here; the dirty curve at four windows
//! and the settings of QEMU stand in for them.

use whimbrel_core::{
    predict::MigrationRequest,
    settings::{Compression, Mode, Transport},
    units::MilliCores,
};

use super::{Constants, readings};

/// Number of features.
pub(super) const FEATURES: usize = 22;

/// Windows at which the dirty curve is read, in seconds.
const WINDOWS: [f64; 4] = [0.5, 1.0, 4.0, 16.0];

/// The features of `request`; sizes, rates and times as logarithms. All finite.
pub(super) fn features(request: &MigrationRequest<'_>, constants: &Constants) -> [f64; FEATURES] {
    let settings = request.settings;
    let content = constants.content(request.domain).max(4096.0);
    let (stream, line) = constants.stream(request).unwrap_or((1.0, 1.0));
    let mut read = readings(request, constants);
    read.sort_by(|a, b| a.0.total_cmp(&b.0));
    let unique = WINDOWS.map(|window| at(&read, window).min(content));
    let largest = read.iter().map(|(_, unique)| *unique).fold(0.0, f64::max);
    let flag = |is: bool| if is { 1.0 } else { 0.0 };
    let log = |value: f64| value.max(1.0).ln();
    let transfer_ratio = |(unique, window): (f64, f64)| (unique / (window * stream)).min(20.0);
    let [u0, u1, u2, u3] = unique;
    let [w0, w1, w2, w3] = WINDOWS;
    let cpu = request.domain.cpu_used.map_or(0.0, MilliCores::as_cores_f64);
    let all = [
        log(request.domain.memory.as_f64()),
        log(content),
        log(stream),
        log(line),
        log(settings.downtime_limit.as_micros() as f64),
        log(content / stream * 1e3),
        log(u0),
        log(u1),
        log(u2),
        log(u3),
        log(largest),
        transfer_ratio((u0, w0)),
        transfer_ratio((u1, w1)),
        transfer_ratio((u2, w2)),
        transfer_ratio((u3, w3)),
        cpu,
        f64::from(request.sharing.max(1)),
        log(f64::from(settings.channels.max(1))),
        flag(settings.transport == Transport::Tls),
        mode(settings.mode, settings.reads_before_post_copy),
        flag(settings.mode == Mode::AutoConverge) * f64::from(settings.throttle.initial_percent)
            / 20.0,
        compression(settings.compression),
    ];
    all.map(|value: f64| if value.is_finite() { value } else { 0.0 })
}

/// Dirty after `window` seconds, on lines through the origin and the readings, level at the end.
fn at(read: &[(f64, f64)], window: f64) -> f64 {
    let mut before = (0.0, 0.0);
    for point in read {
        if window <= point.0 {
            let part = (window - before.0) / (point.0 - before.0).max(1e-9);
            return before.1 + part * (point.1 - before.1);
        }
        before = *point;
    }
    before.1
}

/// Post-copy apart from the others, and the further the earlier it switches.
fn mode(mode: Mode, reads: u32) -> f64 {
    match mode {
        Mode::PreCopy | Mode::AutoConverge => 0.0,
        Mode::PostCopy => 1.0 + 1.0 / (1.0 + f64::from(reads)),
    }
}

fn compression(of: Compression) -> f64 {
    match of {
        Compression::None => 0.0,
        Compression::Xbzrle { .. } => 1.0,
        Compression::Zlib => 2.0,
        Compression::Zstd => 3.0,
    }
}
