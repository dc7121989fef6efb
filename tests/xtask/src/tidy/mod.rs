//! The workspace's own rules: layers, lengths, module docs, equal lint settings.
//!
//! Finds and reports; never rewrites a file. Rules that the compiler or clippy can state are
//! theirs and not repeated here.

use std::{fmt, fs, path::Path};

use crate::TaskError;

mod graph;
mod layers;
mod sources;

/// What one rule found at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether it fails the check.
    pub fatal: bool,
    /// The package, the file, or the file and line.
    pub place: String,
    /// What is wrong, with value and limit.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.fatal { "error" } else { "warning" };
        write!(f, "{kind}: {}: {}", self.place, self.message)
    }
}

/// Checks every rule on the workspace at `root`; the text lists the warnings.
///
/// # Errors
/// [`TaskError::Untidy`] when a rule is broken, and others when a file cannot be read.
pub fn run(root: &Path) -> Result<String, TaskError> {
    let mut findings = layers::check(&graph::read(root)?);
    findings.extend(sources::check(root)?);
    findings.extend(equal_lint_settings(root)?);
    let mut report = String::new();
    for finding in &findings {
        report = format!("{report}{finding}\n");
    }
    match findings.iter().filter(|one| one.fatal).count() {
        0 => Ok(report),
        count => Err(TaskError::Untidy { report, count }),
    }
}

/// Every clippy.toml below the root says the same: the nearest one replaces all above it.
fn equal_lint_settings(root: &Path) -> Result<Vec<Finding>, TaskError> {
    let mut copies = Vec::new();
    for path in sources::files(root, |path| path.ends_with("clippy.toml"))? {
        if path.parent() != Some(root) {
            let text = fs::read_to_string(&path).map_err(|e| TaskError::file(&path, e))?;
            copies.push((path, text));
        }
    }
    let Some((first, expected)) = copies.first() else { return Ok(Vec::new()) };
    let others = copies.iter().filter(|(_, text)| text != expected);
    Ok(others
        .map(|(path, _)| Finding {
            fatal: true,
            place: sources::shown(root, path),
            message: format!("differs from {}", sources::shown(root, first)),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lint_settings_that_differ_are_found() {
        let root = tempfile::tempdir().unwrap();
        for (folder, text) in [("", "root"), ("a", "pure"), ("b", "pure"), ("c", "lax")] {
            let folder = root.path().join(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("clippy.toml"), text).unwrap();
        }
        let findings = equal_lint_settings(root.path()).unwrap();
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].to_string(), "error: c/clippy.toml: differs from a/clippy.toml");
    }
}
