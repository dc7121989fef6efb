//! A choice in words.

use std::fmt;

use whimbrel_core::{
    predict::Prediction,
    settings::{Compression, MigrationSettings, Mode},
    units::{Bytes, Span},
};

use super::{Miss, Rejected, Why, search::Seen};
use crate::impact::ImpactModel;

/// Differences below this part are not worth a word.
const WORTH_TELLING: f64 = 0.03;

/// `settings` as people say them: `pre-copy over 1 channel with a 300 ms limit`.
pub fn describe(settings: &MigrationSettings) -> String {
    let mode = match (settings.mode, settings.reads_before_post_copy) {
        (Mode::PreCopy, _) => "pre-copy".to_owned(),
        (Mode::AutoConverge, _) => "auto-converge".to_owned(),
        (Mode::PostCopy, 0) => "post-copy at once".to_owned(),
        (Mode::PostCopy, 1) => "post-copy after the first pass".to_owned(),
        (Mode::PostCopy, reads) => format!("post-copy after {reads} bitmap reads"),
    };
    let channels = match settings.channels {
        1 => "1 channel".to_owned(),
        several => format!("{several} channels"),
    };
    let compression = match settings.compression {
        Compression::None => String::new(),
        Compression::Xbzrle { cache } => format!(" and xbzrle ({} cache)", cache.human()),
        Compression::Zlib => " and zlib".to_owned(),
        Compression::Zstd => " and zstd".to_owned(),
    };
    let cap = settings.bandwidth_limit.map(|cap| format!(", held to {}", cap.human()));
    let limit = if settings.mode == Mode::PostCopy {
        String::new()
    } else {
        format!(" with a {} limit", settings.downtime_limit.human())
    };
    format!("{mode} over {channels}{compression}{limit}{}", cap.unwrap_or_default())
}

/// What speaks for `best`, and how the runner-up would differ.
pub(super) fn sentence(best: &Seen, runner_up: Option<&Rejected>) -> String {
    let p = &best.prediction;
    let start = if best.starts_in == Span::ZERO {
        String::new()
    } else {
        format!("in {}: ", best.starts_in.human())
    };
    let figures = format!(
        "{} ({} .. {}), {} and a downtime of {}",
        p.total_time.p50.human(),
        p.total_time.p05.human(),
        p.total_time.p95.human(),
        p.transferred.p50.human(),
        p.downtime.p50.human(),
    );
    let mut text = format!("{start}{}: {figures}", describe(&best.settings));
    if !best.misses.is_empty() {
        let misses = listed(&best.misses);
        text = format!("nothing keeps the limits; least bad is {text}: {misses}");
    }
    if let Some(other) = runner_up.and_then(|other| versus(best, other)) {
        text = format!("{text}; {other}");
    }
    text
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Converges { share, needed } => write!(
                f,
                "it converges in {:.0} % of cases, {:.0} % are asked for",
                share.get() * 100.0,
                needed.get() * 100.0
            ),
            Self::Deadline { expected, limit } => write!(
                f,
                "it may take until {}, {} past the deadline",
                expected.human(),
                expected.saturating_sub(*limit).human()
            ),
            Self::Downtime { expected, limit } => write!(
                f,
                "its downtime may be {}, {} over the limit",
                expected.human(),
                expected.saturating_sub(*limit).human()
            ),
        }
    }
}

fn listed(misses: &[Miss]) -> String {
    misses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// How `other` compares with the best.
fn versus(best: &Seen, other: &Rejected) -> Option<String> {
    let name = name(&other.settings, &best.settings);
    let prediction = other.prediction.as_ref()?;
    if let Why::Misses(misses) = &other.why {
        return Some(format!("{name} is worse: {}", listed(misses)));
    }
    let (gains, losses) = differences(best, &other.settings, prediction);
    Some(match (gains.is_empty(), losses.is_empty()) {
        (true, true) => format!("{name} would cost the same and is less simple"),
        (true, false) => format!("{name} would {}", losses.join(" and ")),
        (false, true) => {
            format!("{name} would {}, which does not outweigh its risk", gains.join(" and "))
        }
        (false, false) => {
            format!("{name} would {} but {}", gains.join(" and "), losses.join(" and "))
        }
    })
}

/// What `settings` have that the best's have not, or all of them.
fn name(settings: &MigrationSettings, best: &MigrationSettings) -> String {
    if settings.mode != best.mode {
        return match settings.mode {
            Mode::PreCopy => "pre-copy".to_owned(),
            Mode::AutoConverge => "auto-converge".to_owned(),
            Mode::PostCopy => "post-copy".to_owned(),
        };
    }
    describe(settings)
}

/// What is better and what is worse with `settings` than with the best.
fn differences(
    best: &Seen,
    settings: &MigrationSettings,
    other: &Prediction,
) -> (Vec<String>, Vec<String>) {
    let (mut gains, mut losses) = (Vec::new(), Vec::new());
    let mut tell = |own: f64, theirs: f64, less: String, more: String| {
        if (own - theirs).abs() > own.abs().max(theirs.abs()) * WORTH_TELLING {
            if theirs < own { gains.push(less) } else { losses.push(more) }
        }
    };
    let this = &best.prediction;
    let (a, b) = (this.total_time.p50, other.total_time.p50);
    let text = apart(a, b).human();
    tell(
        a.as_seconds_f64(),
        b.as_seconds_f64(),
        format!("take {text} less"),
        format!("take {text} more"),
    );
    let (a, b) = (this.transferred.p50, other.transferred.p50);
    let text = Bytes::new(a.get().abs_diff(b.get())).human();
    tell(a.as_f64(), b.as_f64(), format!("send {text} less"), format!("send {text} more"));
    let (a, b) = (this.downtime.p50, other.downtime.p50);
    let text = apart(a, b).human();
    tell(
        a.as_seconds_f64(),
        b.as_seconds_f64(),
        format!("stop the guest {text} less"),
        format!("stop the guest {text} longer"),
    );
    let (a, b) = (slowed(&best.settings, this), slowed(settings, other));
    // A percent more or less is nothing that anyone feels.
    if (a - b).abs() >= 0.01 {
        let text = format!("slow the guest by {:.0} %", b * 100.0);
        tell(a, b, format!("{text} only"), text);
    }
    (gains, losses)
}

fn slowed(settings: &MigrationSettings, prediction: &Prediction) -> f64 {
    let presumed = || ImpactModel::default().presumed(settings);
    prediction.impact.map_or_else(presumed, |impact| impact.throughput_loss).get()
}

fn apart(a: Span, b: Span) -> Span {
    Span::from_micros(a.as_micros().abs_diff(b.as_micros()))
}
