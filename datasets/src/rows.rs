//! How rows of core become cells and cells become rows again.
//!
//! One [`Row`] implementation a table: its columns, its cells in that order, and back. A value
//! that a column refuses never becomes a row.

mod guest_checks;
mod migrations;
mod telemetry;
mod trace;

use std::borrow::Cow;

use serde::{
    Serialize,
    de::{DeserializeOwned, IntoDeserializer, value::StrDeserializer},
};
use whimbrel_core::{
    cluster::{DomainState, HostState},
    ids::{HostId, OrderId, VmId},
    settings::{Mode, QemuVersion, Transport},
    units::{Bytes, BytesPerSecond, MilliCores, Share, Span, Timestamp},
};

pub(crate) use guest_checks::GUEST_CHECKS;
pub use guest_checks::GuestCheck;
pub(crate) use migrations::MIGRATIONS;
pub(crate) use telemetry::{DIRTY, DOMAINS, HOSTS, JOBS};
pub(crate) use trace::{LIVES, SAMPLES};

use crate::schema::{Cell, Column, Fault, Table};

/// A row of one table.
pub(crate) trait Row: Sized {
    /// The table's name and columns.
    const TABLE: Table;

    /// When the row was taken; it decides the partition and the order.
    fn at(&self) -> Timestamp;

    /// One cell a column, in the columns' order.
    fn cells(&self) -> Vec<Cell<'_>>;

    /// The row back from its cells.
    fn from_cells(cells: &mut Cells<'_>) -> Result<Self, Fault>;

    /// Whether the row would be read back: the writer takes nothing that the reader refuses.
    fn check(&self) -> Result<(), Fault> {
        Self::from_cells(&mut Cells::checked(Self::TABLE, self.cells())?).map(drop)
    }
}

/// The checked cells of one row, taken from left to right.
pub(crate) struct Cells<'a> {
    columns: std::slice::Iter<'static, Column>,
    cells: std::vec::IntoIter<Cell<'a>>,
}

impl<'a> Cells<'a> {
    /// Checks `cells` against the columns of `table`.
    pub(crate) fn checked(table: Table, cells: Vec<Cell<'a>>) -> Result<Self, Fault> {
        table.columns.iter().zip(&cells).try_for_each(|(column, cell)| column.check(cell))?;
        Ok(Self { columns: table.columns.iter(), cells: cells.into_iter() })
    }

    /// The next value.
    pub(crate) fn take<T: FromCell>(&mut self) -> Result<T, Fault> {
        let column = self.columns.next().map_or("beyond the last", |c| c.name);
        let cell = self.cells.next().unwrap_or(Cell::Null);
        T::from_cell(cell).map_err(|what| Fault { column, what })
    }
}

/// A value that can be read from a cell.
pub(crate) trait FromCell: Sized {
    /// The value, or what is wrong with it.
    fn from_cell(cell: Cell<'_>) -> Result<Self, String>;
}

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: Cell<'_>) -> Result<Self, String> {
        if cell == Cell::Null { Ok(None) } else { T::from_cell(cell).map(Some) }
    }
}

impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Null, Into::into)
    }
}

/// Whole numbers and units over them: to a cell by one accessor, back by one constructor.
macro_rules! whole {
    ($($type:ty: $get:expr, $make:expr;)+) => {$(
        impl From<$type> for Cell<'_> {
            fn from(value: $type) -> Self {
                Cell::Int(i128::from(($get)(value)))
            }
        }

        impl FromCell for $type {
            fn from_cell(cell: Cell<'_>) -> Result<Self, String> {
                match cell {
                    Cell::Int(number) => number
                        .try_into()
                        .map($make)
                        .map_err(|_| format!("{number} does not fit its type")),
                    other => Err(format!("{other:?} is not a whole number")),
                }
            }
        }
    )+};
}

whole! {
    u8: |n| n, |n: u8| n;
    u32: |n| n, |n: u32| n;
    u64: |n| n, |n: u64| n;
    Timestamp: Timestamp::as_micros, Timestamp::from_micros;
    Span: Span::as_micros, Span::from_micros;
    Bytes: Bytes::get, Bytes::new;
    BytesPerSecond: BytesPerSecond::get, BytesPerSecond::new;
    MilliCores: MilliCores::get, MilliCores::new;
}

impl From<bool> for Cell<'_> {
    fn from(flag: bool) -> Self {
        Cell::Flag(flag)
    }
}

impl FromCell for bool {
    fn from_cell(cell: Cell<'_>) -> Result<Self, String> {
        match cell {
            Cell::Flag(flag) => Ok(flag),
            other => Err(format!("{other:?} is neither true nor false")),
        }
    }
}

impl From<Share> for Cell<'_> {
    fn from(share: Share) -> Self {
        Cell::Float(share.get())
    }
}

impl FromCell for Share {
    fn from_cell(cell: Cell<'_>) -> Result<Self, String> {
        match cell {
            Cell::Float(value) => Share::try_from(value),
            other => Err(format!("{other:?} is not a share")),
        }
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Cell::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Cell::Text(Cow::Owned(text))
    }
}

impl FromCell for String {
    fn from_cell(cell: Cell<'_>) -> Result<Self, String> {
        match cell {
            Cell::Text(text) => Ok(text.into_owned()),
            other => Err(format!("{other:?} is not text")),
        }
    }
}

/// Names: as text, and checked by their own constructor on the way back.
macro_rules! names {
    ($($type:ty),+) => {$(
        impl<'a> From<&'a $type> for Cell<'a> {
            fn from(name: &'a $type) -> Self {
                name.as_str().into()
            }
        }

        impl FromCell for $type {
            fn from_cell(cell: Cell<'_>) -> Result<Self, String> {
                let name = String::from_cell(cell)?;
                Self::new(&name).map_err(|error| error.to_string())
            }
        }
    )+};
}

names!(HostId, VmId, OrderId);

impl From<QemuVersion> for Cell<'_> {
    fn from(version: QemuVersion) -> Self {
        version.to_string().into()
    }
}

impl FromCell for QemuVersion {
    fn from_cell(cell: Cell<'_>) -> Result<Self, String> {
        String::from_cell(cell)?.parse()
    }
}

/// Enumerations: as the words that core's own serialisation gives them.
macro_rules! words {
    ($($type:ty),+) => {$(
        impl From<$type> for Cell<'_> {
            fn from(value: $type) -> Self {
                word(&value).map_or(Cell::Null, Cell::from)
            }
        }

        impl FromCell for $type {
            fn from_cell(cell: Cell<'_>) -> Result<Self, String> {
                unword(&String::from_cell(cell)?)
            }
        }
    )+};
}

words!(HostState, DomainState, Mode, Transport);

/// The word of a variant without fields; none for anything else.
fn word(value: &impl Serialize) -> Option<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Some(word),
        _ => None,
    }
}

fn unword<T: DeserializeOwned>(word: &str) -> Result<T, String> {
    let deserializer: StrDeserializer<'_, serde::de::value::Error> = word.into_deserializer();
    T::deserialize(deserializer).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_both_ways_and_unknown_ones_are_named() {
        assert_eq!(Cell::from(DomainState::PostCopyFailed), Cell::from("post-copy-failed"));
        assert_eq!(DomainState::from_cell("shut-off".into()), Ok(DomainState::ShutOff));
        let refusal = HostState::from_cell("asleep".into()).unwrap_err();
        assert!(refusal.contains("asleep") && refusal.contains("unreachable"), "{refusal}");
    }

    #[test]
    fn names_are_checked_on_the_way_back() {
        assert!(VmId::from_cell("../etc".into()).is_err());
        assert!(HostId::from_cell(Cell::Null).is_err());
    }

    #[test]
    fn a_number_that_does_not_fit_is_refused() {
        assert!(u32::from_cell(Cell::Int(1 << 40)).is_err());
        assert!(Bytes::from_cell(Cell::Int(-1)).is_err());
    }
}
