//! Reading `NUMBER UNIT`, with refusals that name what was written and what would be right.

use thiserror::Error;

/// Why a text is not a quantity of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnitError {
    /// The text does not begin with a number.
    #[error("{text:?} is not a number with a unit (hint: write for example {example:?})")]
    NotANumber {
        /// What was written.
        text: String,
        /// A well-formed quantity of this kind.
        example: &'static str,
    },
    /// A number without its unit.
    #[error("{text:?} has no unit (hint: write for example {example:?})")]
    NoUnit {
        /// What was written.
        text: String,
        /// A well-formed quantity of this kind.
        example: &'static str,
    },
    /// A unit of another kind, or none that exists.
    #[error("{unit:?} is not a unit of {kind} (hint: use one of {known})")]
    WrongUnit {
        /// The unit that was written.
        unit: String,
        /// The kind of quantity that was expected.
        kind: &'static str,
        /// The units that are understood, separated by commas.
        known: String,
    },
    /// Below zero.
    #[error("{text:?} is negative; {kind} starts at 0 (hint: remove the sign)")]
    Negative {
        /// What was written.
        text: String,
        /// The kind of quantity that was expected.
        kind: &'static str,
    },
    /// Above what can be meant seriously.
    #[error("{text:?} is over the limit for {kind}, {limit} (hint: check the unit)")]
    TooLarge {
        /// What was written.
        text: String,
        /// The kind of quantity that was expected.
        kind: &'static str,
        /// The largest value that is accepted.
        limit: &'static str,
    },
}

/// One kind of quantity: its units, an example and its limit.
pub(super) struct Kind {
    /// How messages call it.
    pub(super) name: &'static str,
    /// Unit texts and their factor to the base unit; the first is the base unit.
    pub(super) units: &'static [(&'static str, f64)],
    /// A well-formed quantity.
    pub(super) example: &'static str,
    /// Largest accepted value in base units, and how messages write it.
    pub(super) limit: (f64, &'static str),
}

impl Kind {
    /// Reads `text` into base units, rounded to the nearest whole one.
    pub(super) fn parse(&self, text: &str) -> Result<u64, UnitError> {
        let trimmed = text.trim();
        let split = trimmed
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+')))
            .unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(split);
        let value: f64 = number
            .parse()
            .map_err(|_| UnitError::NotANumber { text: text.to_owned(), example: self.example })?;
        if value < 0.0 {
            return Err(UnitError::Negative { text: text.to_owned(), kind: self.name });
        }
        let base = value * self.factor(text, unit.trim())?;
        if base > self.limit.0 {
            return Err(UnitError::TooLarge {
                text: text.to_owned(),
                kind: self.name,
                limit: self.limit.1,
            });
        }
        Ok(base.round() as u64)
    }

    fn factor(&self, text: &str, unit: &str) -> Result<f64, UnitError> {
        if unit.is_empty() {
            return Err(UnitError::NoUnit { text: text.to_owned(), example: self.example });
        }
        self.units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor).ok_or_else(
            || UnitError::WrongUnit {
                unit: unit.to_owned(),
                kind: self.name,
                known: self.units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
            },
        )
    }
}
