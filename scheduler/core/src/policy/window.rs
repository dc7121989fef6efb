//! Times of day in UTC between which something may be done, every day.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::units::{Span, Timestamp};

const DAY_MINUTES: u64 = 24 * 60;
const MINUTE_MICROS: u64 = 60_000_000;

/// From one minute of the day to another, both in UTC; over midnight where it ends before it
/// begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DailyWindow {
    /// Its first minute.
    pub from: MinuteOfDay,
    /// The minute that it ends before.
    pub to: MinuteOfDay,
}

/// A minute of the day. Range 00:00 to 23:59.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MinuteOfDay(u16);

/// A text that is no minute of the day.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no time of day (hint: write hours and minutes in UTC, 00:00 to 23:59)")]
pub struct MinuteError(String);

impl DailyWindow {
    /// Whether `at` is within it.
    pub fn contains(&self, at: Timestamp) -> bool {
        let (length, since) = (self.minutes() * MINUTE_MICROS, self.since_open(at));
        since < length
    }

    /// When it opens at or after `at`; `at` itself while it is open.
    pub fn opens(&self, at: Timestamp) -> Timestamp {
        if self.contains(at) {
            return at;
        }
        at + Span::from_micros(DAY_MINUTES * MINUTE_MICROS - self.since_open(at))
    }

    /// How long it stays open from `at` on; nothing while it is closed.
    pub fn left(&self, at: Timestamp) -> Span {
        Span::from_micros((self.minutes() * MINUTE_MICROS).saturating_sub(self.since_open(at)))
    }

    /// When it closes, where it is open at `at`; `None` where it never does.
    pub fn closes(&self, at: Timestamp) -> Option<Timestamp> {
        (self.minutes() < DAY_MINUTES).then(|| at + self.left(at))
    }

    /// Time since it last opened, less than a day.
    fn since_open(self, at: Timestamp) -> u64 {
        let day = DAY_MINUTES * MINUTE_MICROS;
        (at.as_micros() % day + day - u64::from(self.from.0) * MINUTE_MICROS) % day
    }

    /// Its length; a whole day where it ends when it begins.
    fn minutes(self) -> u64 {
        match (u64::from(self.to.0) + DAY_MINUTES - u64::from(self.from.0)) % DAY_MINUTES {
            0 => DAY_MINUTES,
            minutes => minutes,
        }
    }
}

impl fmt::Display for DailyWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} UTC", self.from, self.to)
    }
}

impl fmt::Display for MinuteOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl From<MinuteOfDay> for String {
    fn from(minute: MinuteOfDay) -> Self {
        minute.to_string()
    }
}

impl TryFrom<String> for MinuteOfDay {
    type Error = MinuteError;

    fn try_from(text: String) -> Result<Self, MinuteError> {
        text.parse()
    }
}

impl FromStr for MinuteOfDay {
    type Err = MinuteError;

    fn from_str(text: &str) -> Result<Self, MinuteError> {
        let number = |digits: &str, most: u16| {
            let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse::<u16>().ok().filter(|number| plain && *number <= most)
        };
        text.split_once(':')
            .and_then(|(hours, minutes)| Some(number(hours, 23)? * 60 + number(minutes, 59)?))
            .map(Self)
            .ok_or_else(|| MinuteError(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-03-01T{text}Z").parse().unwrap()
    }

    fn window(from: &str, to: &str) -> DailyWindow {
        DailyWindow { from: from.parse().unwrap(), to: to.parse().unwrap() }
    }

    #[test]
    fn nights_go_over_midnight() {
        let night = window("22:00", "06:00");
        for (time, open) in
            [("21:59:59", false), ("22:00:00", true), ("05:59:59", true), ("06:00:00", false)]
        {
            assert_eq!(night.contains(at(time)), open, "{time}");
        }
        assert_eq!(night.opens(at("12:00:00")), at("22:00:00"));
        assert_eq!(night.opens(at("23:00:00")), at("23:00:00"));
        assert_eq!(night.left(at("05:00:00")), Span::from_seconds(3600));
        assert_eq!(night.left(at("12:00:00")), Span::ZERO);
        assert_eq!(night.closes(at("05:00:00")), Some(at("06:00:00")));
        assert_eq!(window("08:00", "08:00").closes(at("05:00:00")), None);
        assert!(window("08:00", "08:00").contains(at("07:00:00")));
    }

    #[test]
    fn odd_times_are_refused() {
        for text in ["", "24:00", "12:60", "1:00", "12", "+1:00", "12:00:00", "ab:cd"] {
            assert!(text.parse::<MinuteOfDay>().is_err(), "{text}");
        }
    }
}
