//! The one error that leaves the program: what is wrong, of which kind, and what to try.

use std::error::Error;

use whimbrel_planner::{
    placing::{PlacingFailure, RoomError},
    undo::UndoFailure,
};

/// An error as a person or an API client sees it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What sort of failure it is; decides exit codes and gRPC status codes.
    pub kind: FailureKind,
    /// What is wrong, naming the thing, the place and the limit.
    pub message: String,
    /// What to try next.
    pub hint: Option<String>,
}

/// Sorts of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The input is wrong and stays wrong.
    Invalid,
    /// What was asked for does not exist.
    NotFound,
    /// The present state forbids it; another state would not.
    Conflict,
    /// Something that is needed does not answer or cannot be used.
    Unavailable,
}

impl From<PlacingFailure> for Failure {
    /// What another state of the cluster would allow is no mistake of who asks.
    fn from(failure: PlacingFailure) -> Self {
        let kind = match &failure {
            PlacingFailure::Room(RoomError::UnknownHost(_) | RoomError::UnknownVm(_)) => {
                FailureKind::NotFound
            }
            PlacingFailure::NoHost(_)
            | PlacingFailure::NoHosts
            | PlacingFailure::NoHostUp(_)
            | PlacingFailure::NoneFailed => FailureKind::Conflict,
            _ => FailureKind::Invalid,
        };
        Self::new(kind, failure)
    }
}

impl From<UndoFailure> for Failure {
    /// A plan that is sound and does not fit the cluster may fit it at another time.
    fn from(failure: UndoFailure) -> Self {
        let kind = match &failure {
            UndoFailure::Plan(_) => FailureKind::Invalid,
            UndoFailure::OtherCluster { .. } | UndoFailure::UnknownHost { .. } => {
                FailureKind::Conflict
            }
        };
        Self::new(kind, failure)
    }
}

impl Failure {
    /// From an error and its chain of sources. A trailing `(hint: …)` becomes the hint.
    pub fn new(kind: FailureKind, error: impl Into<Box<dyn Error>>) -> Self {
        let error = error.into();
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // Transparent errors repeat their source.
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            source = cause.source();
        }
        let mut hint = None;
        if let Some(at) = message.rfind("(hint: ") {
            let text = message[at + "(hint: ".len()..].trim_end();
            hint = Some(text.strip_suffix(')').unwrap_or(text).to_owned());
            message.truncate(message[..at].trim_end().len());
        }
        Self { kind, message, hint }
    }

    /// The input is wrong.
    pub fn invalid(error: impl Into<Box<dyn Error>>) -> Self {
        Self::new(FailureKind::Invalid, error)
    }

    /// What was asked for does not exist.
    pub fn not_found(error: impl Into<Box<dyn Error>>) -> Self {
        Self::new(FailureKind::NotFound, error)
    }

    /// The present state forbids it.
    pub fn conflict(error: impl Into<Box<dyn Error>>) -> Self {
        Self::new(FailureKind::Conflict, error)
    }

    /// Something that is needed cannot be used.
    pub fn unavailable(error: impl Into<Box<dyn Error>>) -> Self {
        Self::new(FailureKind::Unavailable, error)
    }

    /// The same, said of `what` (a file, usually).
    #[must_use]
    pub fn about(mut self, what: impl std::fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_is_split_off() {
        let failure = Failure::invalid("x is wrong (hint: write (a or b))").about("f.toml");
        assert_eq!(failure.message, "f.toml: x is wrong");
        assert_eq!(failure.hint.as_deref(), Some("write (a or b)"));
    }
}
