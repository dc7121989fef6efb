//! Spans and instants in whole microseconds.

use std::{
    fmt,
    iter::Sum,
    ops::{Add, AddAssign},
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::parse::{Kind, UnitError};

/// A length of time in microseconds. Range 0..=366 days where it is read from a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(u64);

/// An instant: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

/// 9999-12-31T23:59:59Z.
const LAST_RFC3339_MICROS: u64 = 253_402_300_799_000_000;

const SPAN: Kind = Kind {
    name: "a span of time",
    units: &[("us", 1.0), ("ms", 1e3), ("s", 1e6), ("min", 60e6), ("h", 3600e6), ("d", 86_400e6)],
    example: "300 ms",
    limit: (366.0 * 86_400e6, "366 d"),
};

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From microseconds.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// From milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// From whole seconds.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// From seconds; negative and NaN become zero.
    pub fn from_seconds_f64(seconds: f64) -> Self {
        Self((seconds.max(0.0) * 1e6).round() as u64)
    }

    /// In microseconds.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// In whole milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1000
    }

    /// In seconds.
    pub fn as_seconds_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// `self - other`, not below zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Rounded to whole milliseconds: predictions are not finer.
    #[must_use]
    pub const fn rounded(self) -> Self {
        Self((self.0.saturating_add(500)) / 1000 * 1000)
    }

    /// Short text for people, not exact: `57 ms`, `18.4 s`, `2 min 05 s`, `3 h 10 min`.
    pub fn human(self) -> String {
        let seconds = self.as_seconds_f64();
        match seconds {
            s if s < 0.9995 => format!("{:.0} ms", s * 1e3),
            s if s < 119.95 => format!("{s:.1} s"),
            s if s < 3599.5 => {
                let whole = s.round() as u64;
                format!("{} min {:02} s", whole / 60, whole % 60)
            }
            s => {
                let minutes = (s / 60.0).round() as u64;
                format!("{} h {:02} min", minutes / 60, minutes % 60)
            }
        }
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Self::from_micros(span.0)
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            us if us >= 1_000_000 && us.is_multiple_of(1000) => {
                let fraction = format!("{}.{:03}", us / 1_000_000, us / 1000 % 1000);
                format!("{} s", fraction.trim_end_matches('0').trim_end_matches('.'))
            }
            us if us.is_multiple_of(1000) => format!("{} ms", us / 1000),
            us => format!("{us} us"),
        };
        f.pad(&text)
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        SPAN.parse(text).map(Self)
    }
}

impl Add for Span {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Span {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Span {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

impl Timestamp {
    /// From microseconds since the epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to `self`; zero where the clock went backwards.
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl From<SystemTime> for Timestamp {
    /// A clock before 1970 reads as 1970.
    fn from(time: SystemTime) -> Self {
        Self(Span::from(time.duration_since(UNIX_EPOCH).unwrap_or_default()).0)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with microseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The format ends with the year 9999; a later instant is shown as its last moment.
        let time = UNIX_EPOCH + Duration::from_micros(self.0.min(LAST_RFC3339_MICROS));
        write!(f, "{}", humantime::format_rfc3339_micros(time))
    }
}

impl FromStr for Timestamp {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        humantime::parse_rfc3339_weak(text).map(Self::from).map_err(|_| UnitError::NotANumber {
            text: text.to_owned(),
            example: "2026-03-01T12:00:00Z",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_exact_both_ways() {
        for micros in [0, 1, 999, 1000, 57_000, 18_400_000, 18_400_001, 7_200_000_000] {
            let span = Span::from_micros(micros);
            assert_eq!(span.to_string().parse::<Span>(), Ok(span));
        }
        let at = Timestamp::from_micros(1_700_000_000_123_456);
        assert_eq!(at.to_string().parse::<Timestamp>(), Ok(at));
    }

    #[test]
    fn people_read_short_texts() {
        assert_eq!(Span::from_millis(57).human(), "57 ms");
        assert_eq!(Span::from_millis(18_400).human(), "18.4 s");
        assert_eq!(Span::from_seconds(125).human(), "2 min 05 s");
        assert_eq!(Span::from_seconds(3600).human(), "1 h 00 min");
        assert_eq!(Span::from_seconds(11_400).human(), "3 h 10 min");
    }
}
