//! `whimbrel predict --before`: the cheapest start of a migration before a deadline.
//!
//! Proposes a start and says what it saves; never starts anything.

use std::str::FromStr;

use serde::Serialize;
use whimbrel_core::{
    HostId, Prediction, VmId,
    units::{Share, Span, Timestamp},
};
use whimbrel_models::{
    forecast::{Forecast, Outlook},
    window::{Search, StartCost, Window, cheapest},
};

use super::{
    Common, Ending, Format,
    forecast::{self, Summary},
    print_json,
};
use crate::{
    Failure,
    advice::{self, Question, Situation},
    scene::Scene,
};

/// Beyond this no wait would ever pay.
const PRICE_MAX: f64 = 1000.0;

/// What is asked about the start.
#[derive(Debug, clap::Args)]
pub(super) struct WindowArguments {
    /// Propose the cheapest start so that it ends by then: a time, or a span from now
    #[arg(long, value_name = "DEADLINE", requires = "to", conflicts_with_all = ["choose", "explain"])]
    pub(super) before: Option<Deadline>,
    /// Probability with which waiting must pay, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 80, requires = "before",
        value_parser = clap::value_parser!(u8).range(0..=100))]
    confidence: u8,
    /// What a second of waiting costs, in seconds of migration
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, requires = "before",
        allow_negative_numbers = true, value_parser = price)]
    waiting_price: f64,
}

/// A price that is a number and not negative.
fn price(text: &str) -> Result<f64, String> {
    let price = text.parse::<f64>().ok().filter(|price| (0.0..=PRICE_MAX).contains(price));
    price.ok_or_else(|| format!("a price is a number from 0 to {PRICE_MAX} (hint: 0.1)"))
}

/// When a migration must be over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deadline {
    /// At a time.
    At(Timestamp),
    /// After a span.
    In(Span),
}

impl FromStr for Deadline {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let span = match text.parse::<Span>() {
            Ok(span) => return Ok(Self::In(span)),
            Err(error) => error,
        };
        text.parse().map(Self::At).map_err(|_| {
            let looks_like_a_span = text.ends_with(char::is_alphabetic) && !text.contains(':');
            if looks_like_a_span && text.starts_with(char::is_numeric) {
                return span.to_string();
            }
            format!(
                "'{text}' is neither a span nor a time \
                 (hint: give it like '10 min' or 2026-03-01T12:00:00Z)"
            )
        })
    }
}

/// The answer, as JSON has it.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    vm: &'a VmId,
    to: &'a HostId,
    deadline: Timestamp,
    window: &'a Window,
    prediction: &'a Prediction,
    prediction_now: &'a Prediction,
    level: Summary,
}

/// Finds and prints the cheapest start of what `question` asks about, to `to`.
pub(super) fn run(
    common: &Common,
    own: &WindowArguments,
    scene: &Scene,
    question: &Question<'_>,
    to: &HostId,
) -> Result<Ending, Failure> {
    let (now, vm) = (scene.situation.now, question.vm);
    let deadline = match own.before {
        Some(Deadline::At(at)) if at > now => at,
        Some(Deadline::In(span)) if span > Span::ZERO => now + span,
        _ => {
            return Err(Failure::invalid(format!(
                "the deadline is not after {now} (hint: give a later one, or none)"
            )));
        }
    };
    let outlook = Outlook { horizon: deadline.since(now), period: None };
    let domain = forecast::domain(&scene.situation, vm)?;
    let level = advice::level(&scene.situation, domain, outlook)
        .map_err(|error| Failure::invalid(error).about(format!("domain {vm}")))?;
    let mut asked = Situation { replay: None, ..scene.situation.clone() };
    let mut at_level = |factor: f64| {
        let here = asked.snapshot.domains.iter_mut();
        for domain in here.filter(|d| d.vm == *vm && d.state.lives_here()) {
            domain.dirty = level.readings(factor, now);
        }
        let answers = scene.advisor.answer(&asked, question)?;
        let first = answers.into_iter().next();
        first.map(|(_, prediction)| prediction).ok_or_else(|| {
            Failure::invalid(format!("no answer for {to} (hint: name a host that is up)"))
        })
    };
    let search = Search {
        now,
        deadline,
        confidence: Share::clamped(f64::from(own.confidence) / 100.0),
        price_per_second: own.waiting_price,
    };
    // Nobody records what a path carries while it is idle: it counts as it is known now.
    let path = Forecast::constant(1.0, now);
    let window = cheapest(&level.forecast, &path, search, |factor, _| {
        at_level(factor).map(|prediction| StartCost::from(&prediction))
    })?;
    let (then, at_once) = (at_level(window.level)?, at_level(window.level_now)?);
    match common.output {
        Format::Json => print_json(&Answer {
            vm,
            to,
            deadline,
            window: &window,
            prediction: &then,
            prediction_now: &at_once,
            level: Summary::of(&level.forecast),
        })?,
        Format::Table => print(&window, &then, &at_once, &level.forecast),
    }
    Ok(Ending::Done)
}

fn print(window: &Window, then: &Prediction, at_once: &Prediction, level: &Forecast) {
    say!("{}", headline(window, then, at_once));
    say!("note: {}", window.why);
    forecast::explain("level", level);
}

/// The proposal in a line.
fn headline(window: &Window, then: &Prediction, at_once: &Prediction) -> String {
    let figures = |p: &Prediction| {
        let hangs = if p.likely_converges() { "" } else { " with a higher downtime limit" };
        format!("{} and {}{hangs}", p.total_time.p50.human(), p.transferred.p50.human())
    };
    if window.wait == Span::ZERO {
        return format!("start now: {}", figures(at_once));
    }
    format!(
        "start in {} ({}): {} instead of {} now",
        window.wait.human(),
        window.start,
        figures(then),
        figures(at_once)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_a_time_or_a_span() {
        assert_eq!("10 min".parse(), Ok(Deadline::In(Span::from_seconds(600))));
        let at = "2026-03-01T12:00:00Z".parse().map(Deadline::At).unwrap();
        assert_eq!("2026-03-01T12:00:00Z".parse(), Ok(at));
        assert!("soon".parse::<Deadline>().unwrap_err().contains("neither"));
        assert!("10000000 h".parse::<Deadline>().unwrap_err().contains("366 d"));
    }

    #[test]
    fn a_price_is_a_number_from_0() {
        assert_eq!(price("0.5"), Ok(0.5));
        for text in ["-1", "NaN", "inf", "1e308", "much"] {
            assert!(price(text).unwrap_err().contains("from 0 to 1000"), "{text}");
        }
    }
}
