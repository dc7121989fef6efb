//! Sizes, rates, CPU and shares.

use std::{
    fmt,
    iter::Sum,
    ops::{Add, AddAssign},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use super::{
    Span,
    parse::{Kind, UnitError},
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// A size in bytes. Range 0..=1 PiB where it is read from a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(u64);

/// A transfer or dirtying rate in bytes a second. Range 0..=1 TiB/s where it is read from a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BytesPerSecond(u64);

/// CPU in thousandths of one core. Range 0..=1,000,000 cores where it is read from a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MilliCores(u64);

/// A part of a whole or a probability, 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Share(f64);

const SIZE: Kind = Kind {
    name: "a size",
    units: &[
        ("B", 1.0),
        ("KiB", KIB as f64),
        ("MiB", MIB as f64),
        ("GiB", GIB as f64),
        ("TiB", TIB as f64),
        ("kB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("TB", 1e12),
    ],
    example: "48 MiB",
    limit: ((1u64 << 50) as f64, "1 PiB"),
};

const RATE: Kind = Kind {
    name: "a rate",
    units: &[
        ("B/s", 1.0),
        ("KiB/s", KIB as f64),
        ("MiB/s", MIB as f64),
        ("GiB/s", GIB as f64),
        ("kB/s", 1e3),
        ("MB/s", 1e6),
        ("GB/s", 1e9),
        ("Mbit/s", 1e6 / 8.0),
        ("Gbit/s", 1e9 / 8.0),
    ],
    example: "60 MiB/s",
    limit: (TIB as f64, "1 TiB/s"),
};

const CPU: Kind = Kind {
    name: "CPU",
    units: &[("millicores", 1.0), ("core", 1000.0), ("cores", 1000.0)],
    example: "4 cores",
    limit: (1e9, "1000000 cores"),
};

impl Bytes {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From a count of bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// From mebibytes.
    pub const fn mib(mib: u64) -> Self {
        Self(mib.saturating_mul(MIB))
    }

    /// The count of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// As a float, for arithmetic in models; exact up to 8 PiB.
    pub const fn as_f64(self) -> f64 {
        self.0 as f64
    }

    /// `self - other`, not below zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Rounded to whole KiB below 10 MiB and to whole MiB above: predictions are not finer.
    #[must_use]
    pub const fn rounded(self) -> Self {
        let grain = if self.0 < 10 * MIB { KIB } else { MIB };
        Self(self.0.saturating_add(grain / 2) / grain * grain)
    }

    /// Short text for people, one decimal, not exact: `1.4 GiB`.
    pub fn human(self) -> String {
        human(self.as_f64(), &[("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)], "B")
    }
}

impl BytesPerSecond {
    /// Standstill.
    pub const ZERO: Self = Self(0);

    /// From bytes a second.
    pub const fn new(bytes_per_second: u64) -> Self {
        Self(bytes_per_second)
    }

    /// From mebibytes a second.
    pub const fn mib(mib_per_second: u64) -> Self {
        Self(mib_per_second.saturating_mul(MIB))
    }

    /// Bytes a second.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// As a float, for arithmetic in models.
    pub const fn as_f64(self) -> f64 {
        self.0 as f64
    }

    /// What flows in `span` at this rate.
    pub fn over(self, span: Span) -> Bytes {
        Bytes((self.as_f64() * span.as_seconds_f64()).round() as u64)
    }

    /// Short text for people, one decimal, not exact: `27.5 MiB/s`.
    pub fn human(self) -> String {
        human(self.as_f64(), &[("GiB/s", GIB), ("MiB/s", MIB), ("KiB/s", KIB)], "B/s")
    }
}

impl MilliCores {
    /// Idle.
    pub const ZERO: Self = Self(0);

    /// From thousandths of a core.
    pub const fn new(millicores: u64) -> Self {
        Self(millicores)
    }

    /// From whole cores.
    pub const fn cores(cores: u64) -> Self {
        Self(cores.saturating_mul(1000))
    }

    /// Thousandths of a core.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// In cores.
    pub fn as_cores_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl Share {
    /// Nothing of it.
    pub const ZERO: Self = Self(0.0);
    /// All of it.
    pub const ONE: Self = Self(1.0);

    /// Clamps `value` into 0..=1; NaN becomes 0.
    pub fn clamped(value: f64) -> Self {
        if value.is_nan() { Self(0.0) } else { Self(value.clamp(0.0, 1.0)) }
    }

    /// The value, 0..=1.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Share {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(format!("{value} is not a share (hint: a share is from 0 to 1)"))
        }
    }
}

impl From<Share> for f64 {
    fn from(share: Share) -> Self {
        share.0
    }
}

fn human(value: f64, scales: &[(&str, u64)], base: &str) -> String {
    scales.iter().find(|(_, scale)| value >= *scale as f64).map_or_else(
        || format!("{value:.0} {base}"),
        |(unit, scale)| format!("{:.1} {unit}", value / *scale as f64),
    )
}

/// Exact text: the largest unit that divides without remainder.
fn exact(
    formatter: &mut fmt::Formatter<'_>,
    value: u64,
    scales: &[(&str, u64)],
    base: &str,
) -> fmt::Result {
    let text =
        scales.iter().find(|(_, scale)| value != 0 && value.is_multiple_of(*scale)).map_or_else(
            || format!("{value} {base}"),
            |(unit, scale)| format!("{} {unit}", value / scale),
        );
    formatter.pad(&text)
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        exact(f, self.0, &[("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)], "B")
    }
}

impl fmt::Display for BytesPerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        exact(f, self.0, &[("GiB/s", GIB), ("MiB/s", MIB), ("KiB/s", KIB)], "B/s")
    }
}

impl fmt::Display for MilliCores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        exact(f, self.0, &[("cores", 1000)], "millicores")
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.1} %", self.0 * 100.0))
    }
}

macro_rules! amount {
    ($($unit:ident = $kind:ident),+) => {$(
        impl FromStr for $unit {
            type Err = UnitError;

            fn from_str(text: &str) -> Result<Self, UnitError> {
                $kind.parse(text).map(Self)
            }
        }

        impl Add for $unit {
            type Output = Self;

            fn add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }
        }

        impl AddAssign for $unit {
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }

        impl Sum for $unit {
            fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
                iter.fold(Self(0), Add::add)
            }
        }
    )+};
}

amount!(Bytes = SIZE, BytesPerSecond = RATE, MilliCores = CPU);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_exact_both_ways() {
        for bytes in [0, 1, 4096, 48 << 20, (48 << 20) + 1, 3 << 40] {
            let size = Bytes::new(bytes);
            assert_eq!(size.to_string().parse::<Bytes>(), Ok(size));
        }
        assert_eq!(Bytes::mib(48).to_string(), "48 MiB");
        assert_eq!("480 Mbit/s".parse(), Ok(BytesPerSecond::new(60_000_000)));
    }

    #[test]
    fn refusals_name_the_fault() {
        let message = |text: &str| text.parse::<Bytes>().map_err(|e| e.to_string()).unwrap_err();
        assert!(message("48").contains("no unit"));
        assert!(message("-3 MiB").contains("negative"));
        assert!(message("3 ms").contains("not a unit of a size"));
        assert!(message("5000 TiB").contains("1 PiB"));
        assert!(message("much").contains("48 MiB"));
    }
}
