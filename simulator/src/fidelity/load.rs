//! What a recorded guest truly did, in the words that its load was told.
//!
//! Never here: what a migration makes of it.

use std::{collections::BTreeMap, str::FromStr};

use thiserror::Error;
use whimbrel_core::units::{Span, Timestamp};

/// What a guest's load does. Sizes are pages of 4 KiB.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// Rewrites a second where the rate is constant; the middle of a swing, in pages.
    pub rate: f64,
    /// How the rate changes with time.
    pub shape: Shape,
    /// Pages that are rewritten.
    pub working_set: usize,
    /// The first so many of them are hot.
    pub hot: usize,
    /// Part of the rewrites that goes to the hot ones, in percent.
    pub hot_share_percent: u32,
    /// Whether rewrites go to random pages; else in turn.
    pub random: bool,
    /// Bytes that change in a rewritten page.
    pub touch: u32,
    /// Part of the pages with content that holds text, in percent.
    pub plain_percent: u32,
    /// Part of the memory that stays zero outside the working set, in percent.
    pub zero_percent: u32,
}

/// How a rate changes with time; rates are pages a second.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Not at all.
    Constant,
    /// A sine of this amplitude.
    Sine {
        /// Above and below the rate.
        amplitude: f64,
        /// One turn, in milliseconds.
        period_millis: f64,
    },
    /// The amplitude above the rate for half a period, then below it.
    Square {
        /// Above and below the rate.
        amplitude: f64,
        /// Both halves, in milliseconds.
        period_millis: f64,
    },
    /// Rates by the clock.
    Phases {
        /// Begin in milliseconds and rate, in order.
        phases: Vec<(f64, f64)>,
        /// They begin anew after so many milliseconds; 0 for never.
        period_millis: f64,
    },
}

/// Pages of 4 KiB in a MiB.
const PAGES_A_MIB: usize = 256;

/// KiB in a page.
const PAGE_KIB: f64 = 4.0;

/// Words that are no load.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("load '{words}': {what} (hint: the words are KEY=VALUE, as datasets/README.md lists them)")]
pub struct LoadError {
    /// All of them.
    pub words: String,
    /// What is wrong.
    pub what: String,
}

impl FromStr for Load {
    type Err = LoadError;

    fn from_str(words: &str) -> Result<Self, LoadError> {
        let error = |what: String| LoadError { words: words.to_owned(), what };
        let mut map = BTreeMap::new();
        for word in words.split_whitespace() {
            let pair = word.split_once('=');
            let (key, value) = pair.ok_or_else(|| error(format!("'{word}' has no value")))?;
            if !KEYS.contains(&key) {
                return Err(error(format!("'{key}' is not known")));
            }
            map.insert(key, value);
        }
        let number = |key: &str, absent: u32| match map.get(key) {
            None => Ok(absent),
            Some(value) => value
                .parse::<u32>()
                .map_err(|_| error(format!("{key}={value} is no number from 0 to 4294967295"))),
        };
        let pages = |key: &str| {
            let mib = usize::try_from(number(key, 0)?).unwrap_or(usize::MAX);
            if mib > MIB_MAX {
                return Err(error(format!("{key}={mib}, the limit is {MIB_MAX} MiB")));
            }
            Ok(mib * PAGES_A_MIB)
        };
        let rate = |key: &str| Ok(f64::from(number(key, 0)?) / PAGE_KIB);
        let percent = |key: &str| match number(key, 0)? {
            value @ 0..=100 => Ok(value),
            value => Err(error(format!("{key}={value}, the limit is 100"))),
        };
        let period_millis = f64::from(number("period", 0)?);
        let shape = match map.get("shape").copied().unwrap_or("constant") {
            "constant" => Shape::Constant,
            "sine" => Shape::Sine { amplitude: rate("amp")?, period_millis },
            "square" => Shape::Square { amplitude: rate("amp")?, period_millis },
            "phases" => {
                let list = map.get("phases").copied().unwrap_or_default();
                let phases = phases(list).ok_or_else(|| error(format!("phases={list}")))?;
                Shape::Phases { phases, period_millis }
            }
            other => return Err(error(format!("shape={other} is not known"))),
        };
        let random = match map.get("order").copied().unwrap_or("seq") {
            "seq" => false,
            "rand" => true,
            other => return Err(error(format!("order={other} is neither seq nor rand"))),
        };
        let working_set = pages("ws")?;
        Ok(Self {
            rate: rate("rate")?,
            shape,
            working_set,
            hot: pages("hot_mib")?.min(working_set),
            hot_share_percent: percent("hot_share")?,
            random,
            touch: number("touch", 8)?,
            plain_percent: percent("plain")?,
            zero_percent: percent("zero")?,
        })
    }
}

/// Every key that a load may have; `busy` costs processor time that no migration depends on.
const KEYS: [&str; 13] = [
    "rate",
    "amp",
    "period",
    "shape",
    "phases",
    "ws",
    "hot_mib",
    "hot_share",
    "order",
    "touch",
    "plain",
    "zero",
    "busy",
];

/// Largest working set, in MiB: guests are stepped page by page.
const MIB_MAX: usize = 16_384;

/// `MILLISECONDS:KIB_PER_SECOND,...`
fn phases(list: &str) -> Option<Vec<(f64, f64)>> {
    let phase = |part: &str| {
        let (start, rate) = part.split_once(':')?;
        let number = |text: &str| Some(f64::from(text.parse::<u32>().ok()?));
        Some((number(start)?, number(rate)? / PAGE_KIB))
    };
    list.split(',').map(phase).collect()
}

impl Load {
    /// How far the load is into its shape at `at`, if it was `known` into it at `known_at`; nothing
    /// for a load that does not repeat itself.
    pub fn phase(&self, known: Span, known_at: Timestamp, at: Timestamp) -> Span {
        let (Shape::Sine { period_millis, .. }
        | Shape::Square { period_millis, .. }
        | Shape::Phases { period_millis, .. }) = self.shape
        else {
            return Span::ZERO;
        };
        let period = (period_millis * 1e3) as u64;
        if period == 0 {
            return Span::ZERO;
        }
        let passed = known + at.since(known_at);
        let ahead = known_at.since(at).as_micros() % period;
        Span::from_micros((passed.as_micros() % period + period - ahead) % period)
    }

    /// Whether its rate changes with time.
    pub fn swings(&self) -> bool {
        self.shape != Shape::Constant
    }

    /// Rewrites a second, in pages, `millis` after the shape began.
    pub fn rate_at(&self, millis: f64) -> f64 {
        let within = |period: f64| if period > 0.0 { millis.rem_euclid(period) } else { millis };
        let rate = match &self.shape {
            Shape::Constant => self.rate,
            Shape::Sine { amplitude, period_millis } => {
                let turn = within(*period_millis) / period_millis.max(1.0);
                self.rate + amplitude * (std::f64::consts::TAU * turn).sin()
            }
            Shape::Square { amplitude, period_millis } => {
                let first = within(*period_millis) < period_millis / 2.0;
                self.rate + if first { *amplitude } else { -amplitude }
            }
            Shape::Phases { phases, period_millis } => {
                let at = within(*period_millis);
                let begun = phases.iter().rev().find(|(start, _)| *start <= at);
                begun.or(phases.first()).map_or(0.0, |(_, rate)| *rate)
            }
        };
        rate.max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read() {
        let words = "rate=4096 ws=64 touch=256 plain=20 zero=30 busy=4 hot_mib=8 hot_share=90 \
                     order=rand shape=square amp=2048 period=10000";
        let load: Load = words.parse().unwrap();
        assert!((load.rate - 1024.0).abs() < 1e-9);
        assert_eq!((load.working_set, load.hot, load.random), (64 * 256, 8 * 256, true));
        assert!((load.rate_at(4_999.0) - 1536.0).abs() < 1e-9);
        assert!((load.rate_at(25_000.0) - 512.0).abs() < 1e-9);
    }

    #[test]
    fn rates_follow_their_shapes() {
        let load: Load = "rate=400 ws=4 shape=sine amp=800 period=1000".parse().unwrap();
        assert!((load.rate_at(250.0) - 300.0).abs() < 1e-9);
        assert!(load.rate_at(750.0).abs() < 1e-9, "never below nothing");
        let load: Load = "ws=4 shape=phases phases=0:40,500:400 period=1000".parse().unwrap();
        assert!((load.rate_at(499.0) - 10.0).abs() < 1e-9);
        assert!((load.rate_at(1_700.0) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn a_phase_goes_on_and_back() {
        let load: Load = "rate=4 ws=4 shape=sine amp=4 period=10000".parse().unwrap();
        let at = |seconds: u64| Timestamp::from_micros(1_000_000 * seconds);
        let seconds = Span::from_seconds;
        for (moment, phase) in [(100, 3), (108, 1), (98, 1), (96, 9), (83, 6)] {
            assert_eq!(load.phase(seconds(3), at(100), at(moment)), seconds(phase), "{moment}");
        }
        let constant: Load = "rate=4 ws=4".parse().unwrap();
        assert_eq!(constant.phase(seconds(3), at(100), at(200)), Span::ZERO);
    }

    #[test]
    fn nonsense_is_named() {
        for (words, what) in [
            ("rate", "'rate' has no value"),
            ("speed=1", "'speed' is not known"),
            ("rate=-1", "rate=-1 is no number"),
            ("zero=101", "zero=101, the limit is 100"),
            ("ws=99999999", "the limit is 16384 MiB"),
            ("shape=saw", "shape=saw"),
            ("shape=phases phases=1:", "phases=1:"),
            ("order=up", "order=up"),
        ] {
            let error = words.parse::<Load>().unwrap_err().to_string();
            assert!(error.contains(what) && error.contains("hint"), "{error}");
        }
    }
}
