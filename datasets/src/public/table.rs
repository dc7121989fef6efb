//! Tables of text by a declared layout: where each column stands, in which unit, and what is
//! between them. The loaders of single sets declare; reading, checking and complaining is here.
//!
//! Quotes around a field are taken off; a delimiter or a line's end within quotes is none of any
//! published trace and ends a field like any other.

use std::ops::RangeInclusive;

use super::{
    error::{TraceError, excerpt},
    limits::{
        COLUMNS_MAX, CPU_MAX_MILLICORES, DATE_MAX_MICROS, MEMORY_MAX_BYTES, NAME_MAX,
        TIME_MAX_MICROS,
    },
    lines::Lines,
};

/// How the rows of a file are built.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Between two fields.
    pub(crate) delimiter: u8,
    /// Whether the first row names the columns.
    pub(crate) header: bool,
    /// Whether fractions stand behind a comma.
    pub(crate) decimal_comma: bool,
    /// The columns that are read, by the index that loaders use for them.
    pub(crate) columns: &'static [Column],
}

/// A column that is read.
#[derive(Debug)]
pub(crate) struct Column {
    /// What messages call it.
    pub(crate) name: &'static str,
    /// Where it stands.
    pub(crate) place: Place,
    /// What its numbers count.
    pub(crate) unit: Unit,
}

/// Where a column stands.
#[derive(Debug)]
pub(crate) enum Place {
    /// At this position, from 0.
    At(usize),
    /// Under one of these names in the header.
    Named(&'static [&'static str]),
    /// Under one of these names; a file without it has no values.
    IfNamed(&'static [&'static str]),
}

/// What the numbers of a column count. They are read into microseconds, thousandths of a core,
/// bytes and shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// No number: a name.
    Text,
    /// A number without unit, 0 to 1e15.
    Plain,
    /// Seconds after the trace's begin.
    Seconds,
    /// Microseconds after the trace's begin.
    Micros,
    /// A moment on a calendar: seconds or milliseconds after 1970 (whichever lies between 2000
    /// and 2200), `DD.MM.YYYY hh:mm:ss` or `YYYY-MM-DD hh:mm:ss`, as UTC.
    Moment,
    /// Cores.
    Cores,
    /// Hundredths of a core.
    Hundredths,
    /// Percent of something, 0 to 100,000.
    Percent,
    /// Percent of something; what is not within 0 to 100 marks a value that is none.
    MarkedPercent,
    /// A part of a largest thing, 0 to 1000.
    Share,
    /// KiB.
    Kib,
    /// GiB.
    Gib,
}

impl Unit {
    /// The factor to the base unit, and the range in it.
    fn scale(self) -> (f64, RangeInclusive<f64>) {
        const KIB: f64 = 1024.0;
        const GIB: f64 = 1_073_741_824.0;
        match self {
            Self::Text | Self::Plain => (1.0, 0.0..=1e15),
            Self::Seconds => (1e6, 0.0..=TIME_MAX_MICROS),
            Self::Micros => (1.0, 0.0..=TIME_MAX_MICROS),
            Self::Moment => (1.0, 0.0..=DATE_MAX_MICROS),
            Self::Cores => (1000.0, 0.0..=CPU_MAX_MILLICORES),
            Self::Hundredths => (10.0, 0.0..=CPU_MAX_MILLICORES),
            Self::Percent => (0.01, 0.0..=1000.0),
            Self::MarkedPercent => (0.01, -1e6..=1e6),
            Self::Share => (1.0, 0.0..=1000.0),
            Self::Kib => (KIB, 0.0..=MEMORY_MAX_BYTES),
            Self::Gib => (GIB, 0.0..=MEMORY_MAX_BYTES),
        }
    }

    /// What a number of this unit is called in messages.
    fn called(self) -> &'static str {
        match self {
            Self::Text => "a name",
            Self::Plain => "a number",
            Self::Seconds => "seconds of a trace",
            Self::Micros => "microseconds of a trace",
            Self::Moment => "a moment from 2000 up to 2200",
            Self::Cores => "cores",
            Self::Hundredths => "hundredths of a core",
            Self::Percent | Self::MarkedPercent => "percent",
            Self::Share => "a share of the largest",
            Self::Kib => "KiB",
            Self::Gib => "GiB",
        }
    }
}

/// A file that is read by its layout.
pub(crate) struct Table {
    lines: Lines,
    layout: &'static Layout,
    /// Position of each column of the layout; `None` where the file does not have it.
    places: Vec<Option<usize>>,
    /// Begin and end of each field of the row that was read last.
    fields: Vec<(usize, usize)>,
}

impl Table {
    /// Reads the header, where there is one.
    pub(crate) fn open(lines: Lines, layout: &'static Layout) -> Result<Self, TraceError> {
        let mut table = Self { lines, layout, places: Vec::new(), fields: Vec::new() };
        if layout.header && table.lines.advance()? {
            table.split()?;
        }
        for column in layout.columns {
            let place = match column.place {
                Place::At(position) => Some(position),
                Place::Named(names) => {
                    Some(table.named(names).ok_or_else(|| table.no_column(column))?)
                }
                Place::IfNamed(names) => table.named(names),
            };
            table.places.push(place);
        }
        Ok(table)
    }

    /// Reads the next row; false after the last. Empty lines may stand at the end only.
    pub(crate) fn advance(&mut self) -> Result<bool, TraceError> {
        if !self.lines.advance()? {
            return Ok(false);
        }
        if self.lines.line().is_empty() {
            let empty = self.lines.row();
            while self.lines.advance()? {
                if !self.lines.line().is_empty() {
                    return Err(self.misbuilt(empty, "is empty, and rows follow".to_owned()));
                }
            }
            return Ok(false);
        }
        self.split()?;
        let needed = self.places.iter().flatten().max().map_or(0, |last| last + 1);
        if self.fields.len() < needed {
            let found = self.fields.len();
            let shown = excerpt(self.lines.line());
            let what = format!("has {found} fields, the layout needs {needed}: '{shown}'");
            return Err(self.misbuilt(self.lines.row(), what));
        }
        Ok(true)
    }

    /// The name in `column`.
    pub(crate) fn text(&self, column: usize) -> Result<&str, TraceError> {
        let field = self.field(column);
        let text = std::str::from_utf8(field)
            .map_err(|_| self.fault(column, format!("'{}' is no text", excerpt(field))))?;
        if text.is_empty() || text.len() > NAME_MAX {
            let what = format!("a name of {} bytes, wanted 1 to {NAME_MAX}", text.len());
            return Err(self.fault(column, what));
        }
        Ok(text)
    }

    /// The number in `column` in its base unit; `None` where the field is empty.
    pub(crate) fn maybe(&self, column: usize) -> Result<Option<f64>, TraceError> {
        let unit = self.layout.columns.get(column).map_or(Unit::Text, |c| c.unit);
        let field = self.field(column);
        if field.is_empty() {
            return Ok(None);
        }
        let found = match unit {
            Unit::Moment => moment(field),
            _ => self.plain(field),
        };
        let (factor, range) = unit.scale();
        let scaled = found.map(|number| number * factor).filter(|scaled| range.contains(scaled));
        scaled.map(Some).ok_or_else(|| {
            let shown = excerpt(field);
            let (low, high) = (range.start() / factor, range.end() / factor);
            let what = match (unit, found) {
                (Unit::Moment, _) | (_, None) => format!("'{shown}' is not {}", unit.called()),
                _ => format!("{shown} is outside {low} to {high:.0} {}", unit.called()),
            };
            self.fault(column, what)
        })
    }

    /// The number in `column` in its base unit.
    pub(crate) fn number(&self, column: usize) -> Result<f64, TraceError> {
        self.maybe(column)?.ok_or_else(|| self.fault(column, "is empty".to_owned()))
    }

    /// A fault in `column` of the row that was read last.
    pub(crate) fn fault(&self, column: usize, what: String) -> TraceError {
        TraceError::Value {
            file: self.lines.file().to_owned(),
            row: self.lines.row(),
            column: self.layout.columns.get(column).map_or("", |c| c.name),
            what,
        }
    }

    /// The fault that this row has one guest too many.
    pub(crate) fn crowded(&self) -> TraceError {
        TraceError::crowded(self.lines.file(), self.lines.row())
    }

    /// The field of `column` without blanks and quotes around it.
    pub(crate) fn field(&self, column: usize) -> &[u8] {
        let position = self.places.get(column).copied().flatten();
        position.map_or(&[], |position| self.at(position))
    }

    fn at(&self, position: usize) -> &[u8] {
        let bounds = self.fields.get(position).copied();
        let field = bounds.and_then(|(begin, end)| self.lines.line().get(begin..end));
        let field = field.unwrap_or_default().trim_ascii();
        let unquoted = field.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        unquoted.unwrap_or(field)
    }

    fn split(&mut self) -> Result<(), TraceError> {
        self.fields.clear();
        let mut begin = 0;
        for part in self.lines.line().split(|byte| *byte == self.layout.delimiter) {
            if self.fields.len() == COLUMNS_MAX {
                return Err(TraceError::TooLarge {
                    file: self.lines.file().to_owned(),
                    row: self.lines.row(),
                    what: format!("has more than {COLUMNS_MAX} columns"),
                });
            }
            self.fields.push((begin, begin + part.len()));
            begin += part.len() + 1;
        }
        Ok(())
    }

    fn named(&self, names: &[&str]) -> Option<usize> {
        let known = |field: &[u8]| names.iter().any(|n| n.as_bytes().eq_ignore_ascii_case(field));
        (0..self.fields.len()).find(|position| known(self.at(*position)))
    }

    fn no_column(&self, column: &Column) -> TraceError {
        let shown = excerpt(self.lines.line());
        let what = format!("has no column {}: '{shown}'", column.name);
        self.misbuilt(self.lines.row(), what)
    }

    fn misbuilt(&self, row: u64, what: String) -> TraceError {
        let delimiter = self.layout.delimiter.escape_ascii();
        let first =
            if self.layout.header { "names the columns" } else { "is a row like any other" };
        let hint = format!(
            "fields are separated by '{delimiter}' and the first row {first}; datasets/README.md \
             describes the layout"
        );
        TraceError::Layout { file: self.lines.file().to_owned(), row, what, hint }
    }

    /// A finite number.
    fn plain(&self, field: &[u8]) -> Option<f64> {
        let text = std::str::from_utf8(field).ok()?;
        let comma = self.layout.decimal_comma && text.contains(',');
        let number = if comma { text.replacen(',', ".", 1).parse() } else { text.parse() };
        number.ok().filter(|number: &f64| number.is_finite())
    }
}

/// Microseconds after 1970 of a moment on a calendar.
pub(crate) fn moment(field: &[u8]) -> Option<f64> {
    const FROM: f64 = 946_684_800e6;
    let text = std::str::from_utf8(field).ok()?;
    let micros = if let Ok(number) = text.parse::<f64>() {
        // Seconds and milliseconds of the years 2000 to 2200 do not overlap.
        if number < 1e10 { number * 1e6 } else { number * 1e3 }
    } else {
        dated(text)?
    };
    (FROM..DATE_MAX_MICROS).contains(&micros).then_some(micros)
}

/// A date and a time of day, day first with dots or year first with dashes.
fn dated(text: &str) -> Option<f64> {
    let (date, time) = text.split_once([' ', 'T'])?;
    let numbers = |text: &str, between: char| -> Option<[u32; 3]> {
        let mut parts = text.split(between).map(|part| part.parse::<u32>().ok());
        let found = [parts.next()??, parts.next()??, parts.next()??];
        parts.next().is_none().then_some(found)
    };
    let [year, month, day] = match numbers(date, '.') {
        Some([day, month, year]) => [year, month, day],
        None => numbers(date, '-')?,
    };
    let clock = time.trim_end_matches('Z').split('.').next().unwrap_or_default();
    let [hour, minute, second] = numbers(clock, ':')?;
    let fits = (1970..2300).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61;
    let seconds = f64::from(second) + 60.0 * f64::from(minute) + 3600.0 * f64::from(hour);
    fits.then(|| (f64::from(days(year, month, day)) * 86_400.0 + seconds) * 1e6)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar (Hinnant, "chrono-compatible low-level
/// date algorithms", `days_from_civil`, for years from 1970).
fn days(year: u32, month: u32, day: u32) -> u32 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let shifted = (month + 9) % 12;
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    let of_era_days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    (era * 146_097 + of_era_days).saturating_sub(719_468)
}

#[cfg(test)]
mod tests;
