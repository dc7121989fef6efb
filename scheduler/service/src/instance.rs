//! Files of planning problems: saved inputs, the plain form, Ganeti's text.
//!
//! What stands in them is the planner's [`formats`]; here they get a path, and Ganeti's text the file of
//! dynamic use beside it (`.dynu` after the whole name).

use std::path::{Path, PathBuf};

use whimbrel_planner::formats::{self, FormatError, Read, Written};

use crate::{Failure, files};

/// Reads the problem in `path`, whatever its form.
///
/// # Errors
/// [`Failure`] naming file, place, limit and hint.
pub fn read(path: &Path) -> Result<Read, Failure> {
    let text = files::read_text(path)?;
    let use_path = dynamic_use(path);
    let used = if use_path.is_file() { Some(files::read_text(&use_path)?) } else { None };
    formats::read(&text, used.as_deref()).map_err(|error| located(&error, path))
}

/// Says in which file the fault lies.
pub fn located(error: &FormatError, path: &Path) -> Failure {
    let file = if error.in_dynamic_use { dynamic_use(path) } else { path.to_owned() };
    Failure::invalid(error.clone()).about(file.display())
}

/// Writes `written` to `path`, and what belongs beside it; returns the files.
///
/// # Errors
/// [`Failure`] naming the file.
pub fn write(path: &Path, written: &Written) -> Result<Vec<PathBuf>, Failure> {
    files::write(path, written.text.as_bytes())?;
    let mut paths = vec![path.to_owned()];
    if let Some(text) = &written.dynamic_use {
        let path = dynamic_use(path);
        files::write(&path, text.as_bytes())?;
        paths.push(path);
    }
    Ok(paths)
}

fn dynamic_use(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".dynu");
    PathBuf::from(name)
}
