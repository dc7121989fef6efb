//! Units as types: bytes, bytes a second, spans of time, instants, CPU and shares.
//!
//! Every quantity that crosses a module border is one of these, so that a rate cannot be passed
//! for a size nor seconds for milliseconds. In files they are written with their unit (`"48 MiB"`,
//! `"300 ms"`); a bare number is refused, because nobody can tell what it meant.
//!
//! Never here: conversions that guess. Arithmetic that could overflow saturates and says so.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

mod amount;
mod parse;
mod time;

pub use amount::{Bytes, BytesPerSecond, MilliCores, Share};
pub use parse::UnitError;
pub use time::{Span, Timestamp};

/// Size of the page that QEMU tracks as dirty on x86, whatever the host's page size.
pub const GUEST_PAGE: Bytes = Bytes::new(4096);

/// Serialises a unit as its exact text, and reads it back through its parser.
macro_rules! serde_as_text {
    ($($unit:ty),+ $(,)?) => {$(
        impl Serialize for $unit {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $unit {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(TextVisitor::<$unit>(std::marker::PhantomData))
            }
        }
    )+};
}

serde_as_text!(Bytes, BytesPerSecond, MilliCores, Span, Timestamp);

/// Accepts text only; a number gets the parser's own "no unit" refusal.
struct TextVisitor<T>(std::marker::PhantomData<T>);

impl<T> de::Visitor<'_> for TextVisitor<T>
where
    T: FromStr<Err = UnitError>,
{
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a quantity with its unit, in quotes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        number.to_string().parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        number.to_string().parse().map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        number.to_string().parse().map_err(E::custom)
    }
}
