//! Why a trace cannot be read: the file, the row, the column, the limit and what to do.

use std::path::Path;

use thiserror::Error;

use super::limits::GUESTS_MAX;
use crate::error::DatasetError;

/// Why a trace cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TraceError {
    /// There is no such file or directory, or not the one that the layout needs.
    #[error("{file}: {what} (hint: `whimbrel dataset list` tells what each set consists of)")]
    Absent {
        /// What was looked for.
        file: String,
        /// What is missing.
        what: String,
    },
    /// The operating system, or the unpacker, refused in the midst of it.
    #[error(
        "{file}: after row {row}: {what} (hint: the file is cut short or damaged; compare its size \
         and sum with `whimbrel dataset check`, and get it again)"
    )]
    Damaged {
        /// The file.
        file: String,
        /// Rows that were read before, 0 where none was.
        row: u64,
        /// The reader's words.
        what: String,
    },
    /// The project's own form, or telemetry, cannot be read or written.
    #[error(transparent)]
    Store(#[from] DatasetError),
    /// More than a trace of this kind can have.
    #[error(
        "{file}: row {row}: {what} (hint: such a file is damaged, is no trace, or is made to fill \
         the memory; nothing of it after this row was read)"
    )]
    TooLarge {
        /// The file.
        file: String,
        /// The row, from 1, header included.
        row: u64,
        /// What is too large, and the limit.
        what: String,
    },
    /// The rows are not built as the layout says.
    #[error("{file}: row {row}: {what} (hint: {hint})")]
    Layout {
        /// The file.
        file: String,
        /// The row, from 1, header included.
        row: u64,
        /// What does not fit.
        what: String,
        /// What to look at.
        hint: String,
    },
    /// A value that cannot be meant seriously.
    #[error(
        "{file}: row {row}: column {column}: {what} (hint: check the unit and the delimiter of the \
         file against the layout in datasets/README.md, or correct the row)"
    )]
    Value {
        /// The file.
        file: String,
        /// The row, from 1, header included.
        row: u64,
        /// The column's name in the layout.
        column: &'static str,
        /// The value and its limit.
        what: String,
    },
}

impl TraceError {
    /// `path` as messages show it.
    pub(crate) fn shown(path: &Path) -> String {
        path.display().to_string()
    }

    /// More guests than any trace has.
    pub(crate) fn crowded(file: &str, row: u64) -> Self {
        let what = format!("has more than {GUESTS_MAX} guests");
        Self::TooLarge { file: file.to_owned(), row, what }
    }

    /// A file or directory that the layout needs and that is not there.
    pub(crate) fn absent(path: &Path, what: impl Into<String>) -> Self {
        Self::Absent { file: Self::shown(path), what: what.into() }
    }
}

/// The start of a foreign text, for a message: short, and without line breaks.
pub(crate) fn excerpt(text: &[u8]) -> String {
    const SHOWN: usize = 40;
    let shown = text.get(..SHOWN.min(text.len())).unwrap_or_default();
    let mut shown = String::from_utf8_lossy(shown).escape_debug().to_string();
    if text.len() > SHOWN {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_short_and_on_one_line() {
        assert_eq!(excerpt(b"a\nb"), "a\\nb");
        let long = excerpt(&[b'x'; 1000]);
        assert_eq!(long.len(), 43);
        assert!(excerpt(&[0xff, 0xfe]).len() < 20);
    }
}
