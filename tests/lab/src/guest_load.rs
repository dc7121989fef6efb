//! The load inside a guest: what to ask of it, and what it says of itself.
//!
//! The rate of a shape at time t (counted from when the shape was set, modulo its period):
//! constant: rate; sine: rate + amplitude x sin(2 pi t / period); square: rate + amplitude in the first
//! half of the period, rate - amplitude in the second; phases: the rate of the last phase that has
//! begun. Never below 0.

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A step of [`Shape::Phases`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// When it begins, in milliseconds after the shape was set (or after its last repetition).
    pub start_milliseconds: u32,
    /// How fast pages are rewritten from then on.
    pub rate_kib_per_second: u32,
}

/// How the rate of rewriting changes with time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// Always [`Load::rate_kib_per_second`].
    Constant,
    /// A sine around the rate.
    Sine {
        /// Most above and below the rate, in KiB/s.
        amplitude_kib_per_second: u32,
        /// One turn, in milliseconds, at least 2.
        period_milliseconds: u32,
    },
    /// Above the rate for half a period, below it for the other half.
    Square {
        /// Above and below the rate, in KiB/s.
        amplitude_kib_per_second: u32,
        /// Both halves together, in milliseconds, at least 2.
        period_milliseconds: u32,
    },
    /// Rates by the clock; the load's own rate does not count.
    Phases {
        /// 1 to 32 phases in the order of their start; the first counts from the beginning.
        phases: Vec<Phase>,
        /// They begin anew after so many milliseconds; 0 = never.
        repeat_milliseconds: u32,
    },
}

impl Shape {
    /// The rate `at_milliseconds` after the shape was set, in KiB/s, for a load whose rate is
    /// `rate_kib_per_second`.
    pub fn rate_at(&self, rate_kib_per_second: u32, at_milliseconds: u32) -> f64 {
        let rate = f64::from(rate_kib_per_second);
        let value = match self {
            Self::Constant => rate,
            Self::Sine { amplitude_kib_per_second, period_milliseconds } => {
                let period = (*period_milliseconds).max(1);
                let angle = TAU * f64::from(at_milliseconds % period) / f64::from(period);
                rate + f64::from(*amplitude_kib_per_second) * angle.sin()
            }
            Self::Square { amplitude_kib_per_second, period_milliseconds } => {
                let period = (*period_milliseconds).max(1);
                // Whole milliseconds, as the guest counts: the first half of an odd period is shorter.
                let sign = if at_milliseconds % period < period / 2 { 1.0 } else { -1.0 };
                rate + sign * f64::from(*amplitude_kib_per_second)
            }
            Self::Phases { phases, repeat_milliseconds } => {
                let at = match repeat_milliseconds {
                    0 => at_milliseconds,
                    repeat => at_milliseconds % repeat,
                };
                let begun = phases.iter().rev().find(|phase| phase.start_milliseconds <= at);
                let phase = begun.or(phases.first());
                phase.map_or(0.0, |phase| f64::from(phase.rate_kib_per_second))
            }
        };
        value.max(0.0)
    }

    fn words(&self) -> String {
        match self {
            Self::Constant => "shape=constant".to_owned(),
            Self::Sine { amplitude_kib_per_second, period_milliseconds } => {
                format!("shape=sine amp={amplitude_kib_per_second} period={period_milliseconds}")
            }
            Self::Square { amplitude_kib_per_second, period_milliseconds } => {
                format!("shape=square amp={amplitude_kib_per_second} period={period_milliseconds}")
            }
            Self::Phases { phases, repeat_milliseconds } => {
                let word =
                    |p: &Phase| format!("{}:{}", p.start_milliseconds, p.rate_kib_per_second);
                let list = phases.iter().map(word).collect::<Vec<_>>().join(",");
                format!("shape=phases phases={list} period={repeat_milliseconds}")
            }
        }
    }
}

impl FromStr for Phase {
    type Err = String;

    /// `MILLISECONDS:KIB_PER_SECOND`
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').and_then(|(start, rate)| {
            Some((start.trim().parse().ok()?, rate.trim().parse().ok()?))
        });
        let (start_milliseconds, rate_kib_per_second) =
            parts.ok_or_else(|| format!("'{text}' is not MILLISECONDS:KIB_PER_SECOND"))?;
        Ok(Self { start_milliseconds, rate_kib_per_second })
    }
}

/// In which order pages are rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// One after the other: n writes dirty n distinct pages, up to the working set.
    Sequential,
    /// Uniformly random with replacement: n writes over w pages dirty w (1 - e^(-n/w)) of them.
    Random,
}

/// A change of a guest's load; what is `None` stays as it is. Take effect at once and all together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Page rewrites, counted in KiB of whole pages per second.
    pub rate_kib_per_second: Option<u32>,
    /// Memory that is rewritten, at least 1 MiB, at most the guest's arena ([`GuestStat::arena_mib`]).
    pub working_set_mib: Option<u32>,
    /// How the rate changes with time; setting it restarts the shape's clock.
    pub shape: Option<Shape>,
    /// Bytes that change in each page that is rewritten, 8 to 4096.
    pub touch_bytes: Option<u32>,
    /// Share of the pages that hold lines of text, which compress, instead of random bytes, 0 to 100. It
    /// counts for what is written from now on.
    pub plain_percent: Option<u32>,
    /// Share of the arena that stays untouched zero memory, 0 to 100; the working set never does. Lowering
    /// it fills more memory, raising it empties none.
    pub zero_percent: Option<u32>,
    /// Share of the time that the guest computes beside its rewriting, 0 to 100.
    pub busy_percent: Option<u32>,
    /// Order of the rewrites.
    pub order: Option<Order>,
    /// Size of the hot part of the working set; 0 = none.
    pub hot_mib: Option<u32>,
    /// Share of the rewrites that goes to the hot part, 0 to 100.
    pub hot_share_percent: Option<u32>,
}

impl Load {
    /// The command line for the guest; empty when nothing changes.
    pub fn words(&self) -> String {
        let numbers = [
            ("rate", self.rate_kib_per_second),
            ("ws", self.working_set_mib),
            ("touch", self.touch_bytes),
            ("plain", self.plain_percent),
            ("zero", self.zero_percent),
            ("busy", self.busy_percent),
            ("hot_mib", self.hot_mib),
            ("hot_share", self.hot_share_percent),
        ];
        let numbers = numbers.into_iter().filter_map(|(k, v)| v.map(|v| format!("{k}={v}")));
        let order = self.order.map(|order| match order {
            Order::Sequential => "order=seq".to_owned(),
            Order::Random => "order=rand".to_owned(),
        });
        let shape = self.shape.as_ref().map(Shape::words);
        numbers.chain(order).chain(shape).collect::<Vec<_>>().join(" ")
    }
}

/// What a guest's load says of itself at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestStat {
    /// The guest's own up time; stands still while the guest is paused.
    pub uptime_milliseconds: u64,
    /// Pages rewritten since boot (4 KiB each), without those written to fill memory.
    pub written_pages: u64,
    /// Rewrites that found something else than what was last written: lost memory. Always 0 when all
    /// is well.
    pub bad_pages: u64,
    /// Rewrites given up because the guest did not get enough processor time, or stood still.
    pub dropped_pages: u64,
    /// The rate at this moment.
    pub rate_now_kib_per_second: u64,
    /// The rate that was set.
    pub rate_kib_per_second: u64,
    /// Name of the shape: constant, sine, square, phases.
    pub shape: String,
    /// The working set.
    pub working_set_mib: u64,
    /// Memory that holds data rather than zeros.
    pub filled_mib: u64,
    /// Memory that the load can use: the guest's, without its kernel.
    pub arena_mib: u64,
    /// Everything that the guest said, by the guest's own names.
    pub raw: BTreeMap<String, String>,
}

impl GuestStat {
    /// Reads `KEY=VALUE ...`; `None` when a number is missing.
    pub(crate) fn parse(words: &str) -> Option<Self> {
        let raw = pairs(words);
        let number = |key: &str| raw.get(key)?.parse().ok();
        Some(Self {
            uptime_milliseconds: number("up_ms")?,
            written_pages: number("written")?,
            bad_pages: number("bad")?,
            dropped_pages: number("dropped")?,
            rate_now_kib_per_second: number("rate_now")?,
            rate_kib_per_second: number("rate")?,
            shape: raw.get("shape")?.clone(),
            working_set_mib: number("ws")?,
            filled_mib: number("filled_mib")?,
            arena_mib: number("arena_mib")?,
            raw,
        })
    }

    /// The rate of rewriting between an earlier reading and this one, by the guest's own clock, in KiB/s.
    pub fn rate_since(&self, earlier: &Self) -> f64 {
        let pages = self.written_pages.saturating_sub(earlier.written_pages) as f64;
        let ms = self.uptime_milliseconds.saturating_sub(earlier.uptime_milliseconds).max(1) as f64;
        pages * 4.0 * 1000.0 / ms
    }
}

/// The outcome of reading every page that a guest ever wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Pages read.
    pub checked_pages: u64,
    /// Pages among them that do not hold what was last written there.
    pub bad_pages: u64,
}

impl Verified {
    pub(crate) fn parse(words: &str) -> Option<Self> {
        let raw = pairs(words);
        let number = |key: &str| raw.get(key)?.parse().ok();
        Some(Self { checked_pages: number("checked")?, bad_pages: number("bad")? })
    }
}

fn pairs(words: &str) -> BTreeMap<String, String> {
    let pairs = words.split_whitespace().filter_map(|word| word.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn only_what_is_set_is_said() {
        assert_eq!(Load::default().words(), "");
        let load = Load {
            rate_kib_per_second: Some(2048),
            working_set_mib: Some(16),
            order: Some(Order::Random),
            shape: Some(Shape::Phases {
                phases: vec!["0:100".parse().unwrap(), "500:900".parse().unwrap()],
                repeat_milliseconds: 1000,
            }),
            ..Load::default()
        };
        let words = "rate=2048 ws=16 order=rand shape=phases phases=0:100,500:900 period=1000";
        assert_eq!(load.words(), words);
        for wrong in ["", "5", "5:", "a:1", "1:-1"] {
            assert!(wrong.parse::<Phase>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_never_fall_below_zero() {
        let sine = Shape::Sine { amplitude_kib_per_second: 500, period_milliseconds: 1000 };
        assert!((sine.rate_at(100, 250) - 600.0).abs() < 1e-6);
        assert!(sine.rate_at(100, 750).abs() < 1e-6);
    }

    #[test]
    fn stat_lines() {
        let line = "up_ms=2000 written=500 bad=1 dropped=2 rate_now=3 rate=4 shape=sine ws=5 \
                    filled_mib=6 arena_mib=7 more=x";
        let stat = GuestStat::parse(line).unwrap();
        assert_eq!((stat.uptime_milliseconds, stat.bad_pages, stat.arena_mib), (2000, 1, 7));
        assert_eq!(stat.raw["more"], "x");
        let earlier = GuestStat { uptime_milliseconds: 1000, written_pages: 250, ..stat.clone() };
        assert!((stat.rate_since(&earlier) - 1000.0).abs() < 1e-9);
        assert_eq!(GuestStat::parse("up_ms=2000 written=x"), None);
        assert_eq!(
            Verified::parse("checked=9 bad=0"),
            Some(Verified { checked_pages: 9, bad_pages: 0 })
        );
    }
}
