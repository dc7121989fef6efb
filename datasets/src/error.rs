//! Why a data set cannot be written or read.

use std::{io, path::Path};

use thiserror::Error;
use whimbrel_core::{ids::HostId, units::Timestamp};

/// Why a data set cannot be written or read. Names the file, the column and the limit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DatasetError {
    /// A file where a directory is needed.
    #[error("{path}: is no directory (hint: name the directory that the file is in)")]
    NoDirectory {
        /// What was opened.
        path: String,
    },
    /// There is no such directory.
    #[error("{path}: no such directory (hint: check the path; a store appears with its first row)")]
    DirectoryAbsent {
        /// What was opened.
        path: String,
    },
    /// The directory holds none of the tables.
    #[error(
        "{path}: holds none of hosts, domains, dirty, jobs, migrations, guest_checks \
         (hint: name the directory that contains these folders)"
    )]
    NotADataset {
        /// What was opened.
        path: String,
    },
    /// The operating system refused.
    #[error("{path}: {message} (hint: check free space and permissions)")]
    Io {
        /// The file or directory.
        path: String,
        /// What was tried and the system's words.
        message: String,
    },
    /// There is nothing under this name.
    #[error("{path}: {message} (hint: check the path)")]
    Missing {
        /// The file or directory.
        path: String,
        /// What was tried and the system's words.
        message: String,
    },
    /// Something is there that would have to be overwritten.
    #[error("{path}: {message} (hint: name another one, nothing is overwritten)")]
    Taken {
        /// The file or directory.
        path: String,
        /// What was tried and the system's words.
        message: String,
    },
    /// The bytes are not what was written.
    #[error(
        "{path}: {what} (hint: the file is damaged; restore it from a copy or move it away, \
         the other parts stay readable)"
    )]
    Damaged {
        /// The file.
        path: String,
        /// What does not fit.
        what: String,
    },
    /// A file that this store did not write, or not there.
    #[error("{path}: {what} (hint: only parts that Whimbrel wrote belong into its store)")]
    Foreign {
        /// The file.
        path: String,
        /// What shows it.
        what: String,
    },
    /// Written by a later program.
    #[error(
        "{path}: schema version {found}, this program knows up to {known} \
         (hint: read it with a newer whimbrel)"
    )]
    NewerVersion {
        /// The file.
        path: String,
        /// Its version.
        found: u32,
        /// The newest version that this program reads.
        known: u32,
    },
    /// A column that the schema demands is not there.
    #[error("{path}: column {column} is missing (hint: datasets/README.md lists the columns)")]
    MissingColumn {
        /// The file.
        path: String,
        /// The column.
        column: String,
    },
    /// A column of another type.
    #[error(
        "{path}: column {column} has type {found}, expected {expected} \
         (hint: datasets/README.md lists the types)"
    )]
    WrongType {
        /// The file.
        path: String,
        /// The column.
        column: String,
        /// Its type.
        found: String,
        /// The type of the schema.
        expected: String,
    },
    /// A value that cannot be meant seriously.
    #[error(
        "{path}: column {column}, row {row}: {what} (hint: check the source of the row; \
         datasets/README.md lists the ranges)"
    )]
    BadValue {
        /// The file.
        path: String,
        /// The column.
        column: String,
        /// Row in the file, from 0.
        row: usize,
        /// The value and its limit.
        what: String,
    },
    /// Rows that the writer would not take; the others were taken.
    #[error(
        "{path}: left out {refused} of {offered} rows; the first: column {column}: {what} \
         (hint: the source reports an impossible value; the other rows are stored)"
    )]
    RowsRefused {
        /// The table's directory.
        path: String,
        /// How many rows were left out.
        refused: usize,
        /// How many rows were offered.
        offered: usize,
        /// Column of the first refused value.
        column: String,
        /// That value and its limit.
        what: String,
    },
    /// The inventory beside the data cannot be used.
    #[error("{path}: {message} (hint: write for example [hosts.h1] cpu = \"8 cores\")")]
    Inventory {
        /// The file.
        path: String,
        /// The parser's words.
        message: String,
    },
    /// Nothing says how large a host is.
    #[error(
        "host {host}: its {what} is not known \
         (hint: give it in inventory.toml beside the data, under [hosts.{host}])"
    )]
    NoCapacity {
        /// The host.
        host: HostId,
        /// `cpu` or `memory`.
        what: &'static str,
    },
    /// A moment before the first sample.
    #[error("{asked} is before the first sample (hint: {hint})")]
    BeforeFirstSample {
        /// The moment that was asked for.
        asked: Timestamp,
        /// From when there is data.
        hint: String,
    },
    /// The behaviours beside a campaign's rows cannot be used.
    #[error("{path}: {message} (hint: datasets/README.md describes the file)")]
    Behaviours {
        /// The file.
        path: String,
        /// What does not fit.
        message: String,
    },
    /// A public set is not on this machine.
    #[error(
        "public set {name} is not there (hint: get a copy of it as datasets/manifest.toml says, put \
         it below one directory and name that in WHIMBREL_PUBLIC_DATA)"
    )]
    PublicAbsent {
        /// Its name in the manifest.
        name: &'static str,
    },
    /// A file of a public set is not as it was published.
    #[error("{path}: {message} (hint: get the set again as datasets/manifest.toml says)")]
    Public {
        /// The file.
        path: String,
        /// What cannot be read.
        message: String,
    },
    /// The manifest of public traces is not well-formed.
    #[error(
        "manifest.toml: {message} (hint: every set has name, what, licence, source, path and get)"
    )]
    Manifest {
        /// The parser's words.
        message: String,
    },
}

impl DatasetError {
    /// `path` as messages show it.
    pub(crate) fn shown(path: &Path) -> String {
        path.display().to_string()
    }

    /// For `map_err` on file operations: what was tried, and on which path.
    pub(crate) fn io<'a>(path: &'a Path, tried: &'a str) -> impl FnOnce(io::Error) -> Self + 'a {
        move |error| {
            let (path, message) = (Self::shown(path), format!("{tried}: {error}"));
            match error.kind() {
                io::ErrorKind::NotFound => Self::Missing { path, message },
                io::ErrorKind::AlreadyExists => Self::Taken { path, message },
                _ => Self::Io { path, message },
            }
        }
    }
}
