//! Asking Whimbrel for the cheapest start, as `whimbrel predict --before` does.

use whimbrel_core::{
    Domain, Prediction, Predictor as _,
    cluster::DirtyReading,
    predict::{MigrationRequest, PredictError},
    settings::{MigrationSettings, QemuVersion},
    units::{BytesPerSecond, Share, Span, Timestamp},
};
use whimbrel_models::{
    ReplayPredictor,
    forecast::{Forecast, LevelHistory, Outlook, level::Level},
    window::{Search, StartCost, cheapest},
};

/// The probability with which waiting must pay. Nobody is in a hurry before the deadline here, so
/// that less suffices than the command line's default of 80 %, which leaves a cycle alone that few
/// readings show.
const CONFIDENCE: f64 = 0.6;

/// Seed of what predictions draw.
const SEED: u64 = 1;

/// Everything that an answer rests on.
#[derive(Debug)]
pub(super) struct Question {
    /// The guest.
    pub(super) domain: Domain,
    /// All that was read of it.
    pub(super) readings: Vec<DirtyReading>,
    /// How it will be migrated.
    pub(super) settings: MigrationSettings,
    /// What the path carries.
    pub(super) path: BytesPerSecond,
    /// The hosts' QEMU.
    pub(super) qemu: QemuVersion,
    /// The moment of the request.
    pub(super) now: Timestamp,
    /// Time to the deadline.
    pub(super) horizon: Span,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Advice {
    /// When to begin.
    pub(super) start: Timestamp,
    /// What a begin then is expected to cost.
    pub(super) predicted: Option<Prediction>,
    /// Why then.
    pub(super) why: String,
}

/// When to begin. Without ground for an answer: at once, and why.
pub(super) fn advise(predictor: &ReplayPredictor, question: &Question) -> Advice {
    let at_once = |why: String| Advice { start: question.now, predicted: None, why };
    let mut history = LevelHistory::new(question.domain.memory);
    for reading in &question.readings {
        history.push(*reading);
    }
    let outlook = Outlook { horizon: question.horizon, period: None };
    let level = match history.level(question.now, outlook) {
        Ok(level) => level,
        Err(error) => return at_once(format!("no forecast: {error}")),
    };
    found(predictor, question, &level)
        .unwrap_or_else(|error| at_once(format!("no prediction: {error}")))
}

fn found(
    predictor: &ReplayPredictor,
    question: &Question,
    level: &Level,
) -> Result<Advice, PredictError> {
    let mut domain = question.domain.clone();
    let mut at_level = |factor: f64| {
        domain.dirty = level.readings(factor, question.now);
        predictor.predict(&MigrationRequest {
            domain: &domain,
            to: None,
            settings: &question.settings,
            path_bandwidth: question.path,
            sharing: 1,
            qemu: question.qemu,
            now: question.now,
            seed: SEED,
        })
    };
    let search = Search {
        now: question.now,
        deadline: question.now + question.horizon,
        confidence: Share::clamped(CONFIDENCE),
        price_per_second: 0.0,
    };
    let path = Forecast::constant(1.0, question.now);
    let window = cheapest(&level.forecast, &path, search, |factor, _| {
        at_level(factor).map(|prediction| StartCost::from(&prediction))
    })?;
    let forecast = &level.forecast;
    let period = forecast.period.map(|p| format!(" over {}", p.human())).unwrap_or_default();
    let why = format!(
        "{} (level {:.2} instead of {:.2}, {}{period} from {} samples)",
        window.why,
        window.level,
        window.level_now,
        forecast.method.name(),
        forecast.samples
    );
    Ok(Advice { start: window.start, predicted: Some(at_level(window.level)?), why })
}

#[cfg(test)]
mod tests {
    use whimbrel_core::{DomainState, units::Bytes};

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000) + Span::from_seconds(seconds)
    }

    /// Asked for at the begin of the busy half of a minute, after `seconds` of readings.
    fn question(seconds: u64) -> Question {
        let mut readings = Vec::new();
        for (number, end) in (2..seconds).step_by(3).enumerate() {
            let window = [1, 2][number % 2];
            let busy = (end - window) % 60 < 30;
            let unique = Bytes::mib(window * if busy { 20 } else { 1 });
            let window = Span::from_seconds(window);
            readings.push(DirtyReading { window, unique, measured_at: at(end) });
        }
        Question {
            domain: Domain {
                vm: "t00".parse().unwrap(),
                uuid: "u".to_owned(),
                host: "h1".parse().unwrap(),
                state: DomainState::Running,
                observed_at: at(seconds),
                vcpus: 1,
                memory: Bytes::mib(96),
                resident: None,
                cpu_used: None,
                dirty: Vec::new(),
                job: None,
                tags: std::collections::BTreeSet::new(),
                needs: whimbrel_core::cluster::Needs::default(),
            },
            readings,
            settings: MigrationSettings {
                bandwidth_limit: Some(BytesPerSecond::mib(16)),
                downtime_limit: Span::from_millis(200),
                ..MigrationSettings::default()
            },
            path: BytesPerSecond::mib(300),
            qemu: QemuVersion::default(),
            now: at(seconds),
            horizon: Span::from_seconds(90),
        }
    }

    #[test]
    fn a_request_at_the_peak_waits_for_the_trough() {
        let question = question(300);
        let advice = advise(&ReplayPredictor::default(), &question);
        let waits = advice.start.since(question.now).as_seconds_f64();
        assert!((25.0..55.0).contains(&waits), "{waits}: {}", advice.why);
        assert!(advice.predicted.is_some());
    }

    #[test]
    fn without_readings_it_begins_at_once_and_says_why() {
        let question = Question { readings: Vec::new(), ..question(60) };
        let advice = advise(&ReplayPredictor::default(), &question);
        assert_eq!(advice.start, question.now);
        assert!(advice.why.starts_with("no forecast: 0 usable samples"), "{}", advice.why);
    }
}
