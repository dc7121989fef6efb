//! What a column may hold: its type, its unit, its range and whether it may be null.
//!
//! The writer and the reader check against the same definition, so that nothing can be written
//! that would be refused on reading. The columns of each table stand beside the code that fills
//! them and are listed here in [`TABLES`].

use std::borrow::Cow;

use crate::rows::{DIRTY, DOMAINS, GUEST_CHECKS, HOSTS, JOBS, MIGRATIONS};

/// Version of all tables. It rises when an older reader would misread or miss a column.
pub const SCHEMA_VERSION: u32 = 2;

/// Key of the version in a part's key-value metadata.
pub const VERSION_KEY: &str = "whimbrel.schema_version";

/// Key of the table's name in a part's key-value metadata.
pub const TABLE_KEY: &str = "whimbrel.table";

/// Every table.
pub const TABLES: [Table; 6] = [HOSTS, DOMAINS, DIRTY, JOBS, MIGRATIONS, GUEST_CHECKS];

/// 2000-01-01T00:00:00Z in microseconds: no cluster of libvirt hosts is older.
const INSTANT_MIN: i128 = 946_684_800_000_000;
/// The last microsecond before 2200-01-01T00:00:00Z.
const INSTANT_MAX: i128 = 7_258_118_400_000_000 - 1;

/// Longest text in bytes; the longest real ones are lists of dirty readings, about 100 kB.
const TEXT_LENGTH_MAX: usize = 1 << 20;

/// One table.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name, which is its directory too.
    pub name: &'static str,
    /// Its columns in file order.
    pub columns: &'static [Column],
}

/// One column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name, unit last.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether null means "not known"; otherwise null is refused.
    pub nullable: bool,
    /// Schema version whose parts have it first, 1..=[`SCHEMA_VERSION`].
    pub since: u32,
    /// What parts of earlier versions are taken to hold in it.
    pub before: Before,
}

/// What a column is taken to hold in parts that are older than it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Not known.
    Null,
    /// This whole number.
    Number(u32),
    /// This word.
    Word(&'static str),
}

/// What a column holds. Whole numbers are signed 64-bit in the file, for every reader's sake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Microseconds since 1970-01-01T00:00:00Z, from 2000 up to 2200.
    Instant,
    /// A length of time in microseconds, up to 366 days.
    Span,
    /// CPU time or uptime-like counter in microseconds, up to 2^60 (36,000 CPU years).
    CpuTime,
    /// A size in bytes, up to 1 PiB.
    Size,
    /// A cumulative count of bytes, up to 1 EiB.
    Counter,
    /// Bytes a second, up to 1 TiB/s.
    Rate,
    /// Thousandths of a core, up to 1,000,000 cores.
    Cpu,
    /// A count, up to 2^53 so that it stays exact as a float.
    Count,
    /// A count of few things (vCPUs, migrations), up to 1,000,000.
    FewCount,
    /// True or false.
    Flag,
    /// 0..=1, finite.
    Share,
    /// Text of at most 1 MiB.
    Text,
}

impl Kind {
    /// Name of the physical type in the file.
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::Flag => "bool",
            Self::Share => "f64",
            Self::Text => "str",
            _ => "i64",
        }
    }

    /// Least and most for whole numbers, and how messages write the most.
    const fn range(self) -> (i128, i128, &'static str) {
        match self {
            Self::Instant => (INSTANT_MIN, INSTANT_MAX, "2199-12-31"),
            Self::Span => (0, 366 * 86_400_000_000, "366 days"),
            Self::CpuTime => (0, 1 << 60, "2^60 us"),
            Self::Size => (0, 1 << 50, "1 PiB"),
            Self::Counter => (0, 1 << 60, "1 EiB"),
            Self::Rate => (0, 1 << 40, "1 TiB/s"),
            Self::Cpu => (0, 1_000_000_000, "1000000 cores"),
            Self::FewCount => (0, 1_000_000, "1000000"),
            Self::Count | Self::Flag | Self::Share | Self::Text => (0, 1 << 53, "2^53"),
        }
    }
}

/// One value on its way into or out of a file. Wide enough to show what was out of range.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell<'a> {
    /// Not known.
    Null,
    /// A whole number in the column's unit.
    Int(i128),
    /// A share.
    Float(f64),
    /// True or false.
    Flag(bool),
    /// Text.
    Text(Cow<'a, str>),
}

/// What is wrong with one value, before the file and row are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Column of the value.
    pub(crate) column: &'static str,
    /// The value and its limit.
    pub(crate) what: String,
}

impl Column {
    /// A column that every row fills.
    pub(crate) const fn must(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, nullable: false, since: 1, before: Before::Null }
    }

    /// A column that is null where the value is not known.
    pub(crate) const fn maybe(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, nullable: true, since: 1, before: Before::Null }
    }

    /// The same column, which parts have since version `since`; earlier ones count as `before`.
    pub(crate) const fn since(self, since: u32, before: Before) -> Self {
        Self { since, before, ..self }
    }

    /// What a part of an earlier version holds in this column.
    pub(crate) fn cell_before(&self) -> Cell<'static> {
        match self.before {
            Before::Null => Cell::Null,
            Before::Number(number) => Cell::Int(number.into()),
            Before::Word(word) => Cell::Text(Cow::Borrowed(word)),
        }
    }

    /// Whether `cell` may stand in this column.
    pub(crate) fn check(&self, cell: &Cell<'_>) -> Result<(), Fault> {
        let what = match (cell, self.kind) {
            (Cell::Null, _) if self.nullable => return Ok(()),
            (Cell::Null, _) => "is null, every row needs a value".to_owned(),
            (Cell::Flag(_), Kind::Flag) => return Ok(()),
            // A range check is false for NaN too.
            (Cell::Float(share), Kind::Share) if (0.0..=1.0).contains(share) => return Ok(()),
            (Cell::Float(share), Kind::Share) => format!("{share} is not a share from 0 to 1"),
            (Cell::Text(text), Kind::Text) if text.len() <= TEXT_LENGTH_MAX => return Ok(()),
            (Cell::Text(text), Kind::Text) => {
                format!("text of {} bytes is over the limit of {TEXT_LENGTH_MAX}", text.len())
            }
            (Cell::Int(number), kind) if kind.type_name() == "i64" => {
                let (least, most, shown) = kind.range();
                if *number < 0 {
                    format!("{number} is negative")
                } else if *number < least {
                    format!("{number} us is before 2000-01-01")
                } else if *number > most {
                    format!("{number} is over the limit, {shown}")
                } else {
                    return Ok(());
                }
            }
            (other, kind) => format!("{other:?} is not of type {}", kind.type_name()),
        };
        Err(Fault { column: self.name, what })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn fault(kind: Kind, cell: &Cell<'_>) -> Option<String> {
        Column::must("c", kind).check(cell).err().map(|f| f.what)
    }

    /// README has every column of `table` as it is.
    pub(crate) fn is_described(table: Table) {
        let readme = include_str!("../README.md");
        let heading = format!("### `{}`", table.name);
        let (_, section) = readme.split_once(&heading).expect("a section for each table");
        let section = section.split("\n### ").next().unwrap_or_default();
        for column in table.columns {
            let null = if column.nullable { "yes" } else { "no" };
            let row = format!("| `{}` | {} | {null} |", column.name, column.kind.type_name());
            assert!(section.contains(&row), "README, {}: {row}", table.name);
        }
    }

    #[test]
    fn limits_are_inclusive_and_named() {
        assert_eq!(fault(Kind::Size, &Cell::Int(1 << 50)), None);
        assert!(fault(Kind::Size, &Cell::Int((1 << 50) + 1)).unwrap().contains("1 PiB"));
        assert!(fault(Kind::Size, &Cell::Int(-1)).unwrap().contains("negative"));
        assert_eq!(fault(Kind::Instant, &Cell::Int(INSTANT_MIN)), None);
        assert!(fault(Kind::Instant, &Cell::Int(INSTANT_MIN - 1)).unwrap().contains("2000"));
        assert!(fault(Kind::Instant, &Cell::Int(INSTANT_MAX + 1)).unwrap().contains("2199"));
        assert!(fault(Kind::Share, &Cell::Float(f64::NAN)).unwrap().contains("NaN"));
        assert!(fault(Kind::Share, &Cell::Float(1.01)).is_some());
        assert!(fault(Kind::Text, &Cell::Int(1)).is_some());
        assert!(fault(Kind::Flag, &Cell::Int(1)).is_some());
    }

    #[test]
    fn instants_begin_and_end_at_the_stated_years() {
        let text = |micros: i128| {
            let micros = u64::try_from(micros).unwrap();
            whimbrel_core::units::Timestamp::from_micros(micros).to_string()
        };
        assert_eq!(text(INSTANT_MIN), "2000-01-01T00:00:00.000000Z");
        assert_eq!(text(INSTANT_MAX), "2199-12-31T23:59:59.999999Z");
    }

    #[test]
    fn null_is_accepted_where_declared_only() {
        assert!(Column::maybe("c", Kind::Size).check(&Cell::Null).is_ok());
        assert!(Column::must("c", Kind::Size).check(&Cell::Null).is_err());
    }

    #[test]
    fn what_older_parts_count_as_may_stand_in_the_column() {
        for column in TABLES.into_iter().flat_map(|table| table.columns) {
            assert!((1..=SCHEMA_VERSION).contains(&column.since), "{}", column.name);
            if column.since > 1 {
                assert_eq!(column.check(&column.cell_before()), Ok(()), "{}", column.name);
            }
        }
    }

    #[test]
    fn names_are_unique_and_units_stand_last() {
        for table in TABLES {
            let names: BTreeSet<_> = table.columns.iter().map(|c| c.name).collect();
            assert_eq!(names.len(), table.columns.len(), "{}", table.name);
            for column in table.columns {
                let unit = match column.kind {
                    Kind::Instant | Kind::Span | Kind::CpuTime => "_micros",
                    Kind::Size | Kind::Counter => "_bytes",
                    Kind::Rate => "_bytes_per_second",
                    Kind::Cpu => "_millicores",
                    Kind::Share => "_share",
                    Kind::Count | Kind::FewCount | Kind::Flag | Kind::Text => "",
                };
                assert!(column.name.ends_with(unit), "{}.{}", table.name, column.name);
            }
        }
    }

    #[test]
    fn the_readme_describes_every_column() {
        for table in TABLES {
            is_described(table);
        }
    }
}
