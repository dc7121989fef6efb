//! One line of fields, and what may stand in each.

use std::str::FromStr;

use crate::formats::fault::{FormatError, shown};

/// Least free memory of a node, in MiB: no number of guests takes more.
const OVERFULL_MIB: i64 = -(1 << 50);

/// A line with its number in the file.
pub(super) struct Row<'a> {
    number: usize,
    pub(super) text: &'a str,
    fields: Vec<&'a str>,
}

impl<'a> Row<'a> {
    /// With `|` between fields.
    pub(super) fn new(number: usize, text: &'a str) -> Self {
        Self { number, text, fields: text.split('|').collect() }
    }

    /// With white space between fields.
    pub(super) fn spaced(number: usize, text: &'a str) -> Self {
        Self { number, text, fields: text.split_whitespace().collect() }
    }

    pub(super) fn fields(&self) -> usize {
        self.fields.len()
    }

    /// The field at `at`; empty where there is none.
    pub(super) fn get(&self, at: usize) -> &'a str {
        self.fields.get(at).copied().unwrap_or_default()
    }

    /// Refuses a line with fewer or more fields.
    pub(super) fn count(&self, least: usize, most: usize, form: &str) -> Result<(), FormatError> {
        let count = self.fields();
        if (least..=most).contains(&count) {
            return Ok(());
        }
        let limits = if least == most { format!("{least}") } else { format!("{least} to {most}") };
        let what = format!("{count} fields, it has {limits}: {}", shown(self.text));
        let place = format!("line {}", self.number);
        Err(FormatError::new(place, what, format!("the fields are {form}")))
    }

    /// A fault of `field`.
    pub(super) fn fault(&self, field: &str, what: &str, hint: &str) -> FormatError {
        let place = format!("line {}, {field} of {}", self.number, shown(self.get(0)));
        FormatError::new(place, what, hint)
    }

    /// The name at `at`.
    pub(super) fn name<T>(&self, at: usize, field: &str) -> Result<T, FormatError>
    where
        T: FromStr<Err: ToString>,
    {
        self.get(at).parse().map_err(|_: T::Err| {
            let what = format!("{} is no name", shown(self.get(at)));
            self.fault(field, &what, "use 1 to 200 letters, digits or ._:@+-")
        })
    }

    /// A whole number of MiB or of things.
    pub(super) fn whole(
        &self,
        at: usize,
        field: &str,
        least: u64,
        most: u64,
    ) -> Result<u64, FormatError> {
        let read: Option<u64> = self.get(at).parse().ok();
        read.filter(|value| (least..=most).contains(value)).ok_or_else(|| {
            self.refused(at, field, &format!("a whole number from {least} to {most}"))
        })
    }

    /// Free memory in MiB: below zero where guests were given more than there is.
    pub(super) fn free(&self, at: usize, field: &str, most: u64) -> Result<i64, FormatError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let read: Option<i64> = self.get(at).parse().ok();
        read.filter(|value| (OVERFULL_MIB..=most).contains(value)).ok_or_else(|| {
            self.refused(at, field, &format!("a whole number from {OVERFULL_MIB} to {most}"))
        })
    }

    /// A number.
    pub(super) fn number(
        &self,
        at: usize,
        field: &str,
        least: f64,
        most: f64,
    ) -> Result<f64, FormatError> {
        let read: Option<f64> = self.get(at).parse().ok();
        // NaN is in no range.
        read.filter(|value| (least..=most).contains(value))
            .ok_or_else(|| self.refused(at, field, &format!("a number from {least} to {most}")))
    }

    fn refused(&self, at: usize, field: &str, range: &str) -> FormatError {
        let what = format!("{} is not {range}", shown(self.get(at)));
        self.fault(field, &what, "memory is in MiB, CPU in cores, use in parts of a node")
    }
}
