//! Developer tasks: generated code and the workspace's own rules.
//!
//! Everything in here works on the source tree. Never here: building releases, reaching hosts,
//! or changing a file that a person wrote.

use std::{
    io,
    path::{Path, PathBuf},
};

pub mod proto;
pub mod tidy;

/// What `cargo xtask` prints when it is asked nothing.
pub const HELP: &str = "\
Usage: cargo xtask TASK

Tasks:
  proto          write the generated code of scheduler/proto again
  proto --check  fail when the committed generated code is not what the .proto gives
  tidy           check layering, file and function lengths, module docs and clippy.toml copies
";

/// One task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Print [`HELP`].
    Help,
    /// Write generated code.
    Proto,
    /// Compare generated code.
    ProtoCheck,
    /// Check the workspace's rules.
    Tidy,
}

/// Why a task failed.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// No such task.
    #[error("no task {words:?} (hint: `cargo xtask` lists them)")]
    Unknown {
        /// What was asked for.
        words: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The fault.
        source: io::Error,
    },
    /// The .proto does not compile.
    #[error("{message}")]
    Proto {
        /// The compiler's words, with file and line.
        message: String,
    },
    /// Committed generated code is old.
    #[error("{} is not what the .proto gives (hint: run `cargo xtask proto`)", path.display())]
    Outdated {
        /// The file.
        path: PathBuf,
    },
    /// `cargo metadata` failed.
    #[error("cargo metadata: {0}")]
    Metadata(#[from] cargo_metadata::Error),
    /// Rules are broken.
    #[error("{count} rules are broken:\n{report}")]
    Untidy {
        /// Every finding on its line.
        report: String,
        /// Findings that are not warnings.
        count: usize,
    },
}

impl TaskError {
    fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }
}

impl Task {
    /// From the words after `cargo xtask`.
    ///
    /// # Errors
    /// [`TaskError::Unknown`].
    pub fn parse(words: &[&str]) -> Result<Self, TaskError> {
        match words {
            [] | ["help" | "--help" | "-h"] => Ok(Self::Help),
            ["proto"] => Ok(Self::Proto),
            ["proto", "--check"] => Ok(Self::ProtoCheck),
            ["tidy"] => Ok(Self::Tidy),
            _ => Err(TaskError::Unknown { words: words.join(" ") }),
        }
    }

    /// Runs it on the workspace at `root`; the text is for stdout.
    ///
    /// # Errors
    /// [`TaskError`] naming the file or the broken rules.
    pub fn run(self, root: &Path) -> Result<String, TaskError> {
        match self {
            Self::Help => Ok(HELP.to_owned()),
            Self::Proto => proto::write(root),
            Self::ProtoCheck => proto::check(root),
            Self::Tidy => tidy::run(root),
        }
    }
}

/// The workspace that this program was built in.
pub fn workspace_root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_in_the_help_and_others_are_refused() {
        for words in [&["proto"] as &[&str], &["proto", "--check"], &["tidy"]] {
            assert!(HELP.contains(&format!("  {}  ", words.join(" "))));
            assert!(Task::parse(words).is_ok());
        }
        assert!(Task::parse(&["tidy", "up"]).is_err());
        assert_eq!(Task::parse(&[]).ok(), Some(Task::Help));
    }

    #[test]
    fn the_root_is_the_workspace() {
        assert!(workspace_root().join("Cargo.lock").is_file());
    }
}
