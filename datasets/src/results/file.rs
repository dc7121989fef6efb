//! Files of results: replaced as a whole, and fields of CSV.
//!
//! Never here: what is in them.

use std::{fs, path::Path};

use crate::{
    error::DatasetError,
    partition::{sync_directory, write_synced},
};

/// A field of CSV, in quotes where it needs them (RFC 4180).
pub(super) fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// Writes `bytes` to `path`, whole and durably, in place of what was there.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), DatasetError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = parent.unwrap_or(Path::new("."));
    fs::create_dir_all(directory).map_err(DatasetError::io(directory, "cannot create"))?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    let partial = path.with_file_name(name);
    let written = write_synced(&partial, bytes).and_then(|()| fs::rename(&partial, path));
    written.map_err(|error| {
        // What was begun is of no use to anybody; that it stays is not worth a second error.
        let _ = fs::remove_file(&partial);
        DatasetError::io(path, "cannot write")(error)
    })?;
    sync_directory(directory).map_err(DatasetError::io(directory, "cannot sync"))
}
