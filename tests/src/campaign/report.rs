//! The lines that the recorder says.

use std::time::Duration;

use whimbrel_core::{
    settings::{Compression, MigrationSettings, Mode, Transport},
    telemetry::MigrationRecord,
    units::BytesPerSecond,
};

/// A migration that ended, of which `looks` were stored.
pub fn line(record: &MigrationRecord, looks: usize) -> String {
    let end = match (&record.failure, record.stats) {
        (Some(failure), _) => failure.clone(),
        (None, None) => "arrived, without figures".to_owned(),
        (None, Some(stats)) => format!(
            "arrived in {} with {}, down for {}, {} reads",
            stats.total_time.human(),
            stats.transferred.human(),
            stats.downtime.human(),
            stats.iterations,
        ),
    };
    let MigrationRecord { id, from, to, wall, sharing, .. } = record;
    let settings = settings(&record.settings);
    let shares = if *sharing > 1 { " shared" } else { "" };
    let readings = record.dirty_before.len();
    format!(
        "{id} {from}->{to}{shares} {settings}: {end} ({}, {looks} looks, {readings} readings)",
        wall.human()
    )
}

fn settings(settings: &MigrationSettings) -> String {
    let mode = match settings.mode {
        Mode::PreCopy => "pre-copy".to_owned(),
        Mode::AutoConverge => format!(
            "auto-converge {}+{} %",
            settings.throttle.initial_percent, settings.throttle.increment_percent
        ),
        Mode::PostCopy => format!("post-copy after {}", settings.reads_before_post_copy),
    };
    let mut words = vec![mode];
    if let Compression::Xbzrle { cache } = settings.compression {
        words.push(format!("xbzrle {}", cache.human()));
    }
    if settings.channels > 1 {
        words.push(format!("{} channels", settings.channels));
    }
    if settings.transport == Transport::Tls {
        words.push("tls".to_owned());
    }
    words.push(settings.bandwidth_limit.map_or_else(|| "no cap".to_owned(), BytesPerSecond::human));
    words.push(settings.downtime_limit.human());
    words.join(" ")
}

/// How far a run of `elapsed` is, which did `done` rows and has `left` to do.
pub fn pace(elapsed: Duration, done: usize, left: usize) -> String {
    let minutes = elapsed.as_secs_f64() / 60.0;
    let to_come = minutes / done.max(1) as f64 * left as f64;
    let rate = done as f64 / minutes.max(0.01);
    format!("[{minutes:.1} min, {rate:.1} a minute, {to_come:.0} min to come]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_tells_what_is_to_come() {
        let text = pace(Duration::from_mins(10), 140, 860);
        assert_eq!(text, "[10.0 min, 14.0 a minute, 61 min to come]");
        assert!(pace(Duration::ZERO, 0, 5).contains("0 min to come"));
    }
}
