//! The one mapping between [`Failure`] and gRPC status, both ways.
//!
//! The hint travels as trailing metadata. Message and hint are cut to what HTTP/2 headers carry;
//! nothing else is added, and no source of an error is shown that the failure does not show.

use tonic::{Code, Status, metadata::MetadataValue};

use crate::{Failure, FailureKind};

/// Trailing metadata that holds the hint.
pub(super) const HINT: &str = "whimbrel-hint";

/// Longest message and longest hint in bytes. Percent-encoding may triple a message, and common
/// HTTP/2 implementations accept 16 KiB of headers in all.
const TEXT_LENGTH_MAX: usize = 2000;

/// What the caller gets to see of `failure`.
pub(super) fn to_status(failure: &Failure) -> Status {
    let code = match failure.kind {
        FailureKind::Invalid => Code::InvalidArgument,
        FailureKind::NotFound => Code::NotFound,
        FailureKind::Conflict => Code::FailedPrecondition,
        FailureKind::Unavailable => Code::Unavailable,
    };
    let mut status = Status::new(code, cut(&failure.message));
    if let Some(hint) = &failure.hint
        && let Ok(value) = MetadataValue::try_from(cut(&printable(hint)))
    {
        status.metadata_mut().insert(HINT, value);
    }
    status
}

/// What a caller makes of the server's `status`.
pub(super) fn from_status(status: &Status) -> Failure {
    let kind = match status.code() {
        Code::InvalidArgument | Code::OutOfRange => FailureKind::Invalid,
        Code::NotFound => FailureKind::NotFound,
        Code::FailedPrecondition | Code::Aborted | Code::AlreadyExists => FailureKind::Conflict,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => FailureKind::Unavailable,
    };
    let mut failure = Failure::new(kind, status.clone());
    if !status.message().is_empty() {
        status.message().clone_into(&mut failure.message);
    }
    let hint = status.metadata().get(HINT).and_then(|value| value.to_str().ok());
    failure.hint = hint.map(str::to_owned);
    failure
}

/// `text` with everything outside printable ASCII as `\u{...}`: metadata takes nothing else.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, ' '..='~') {
            printable.push(c);
        } else {
            printable.extend(c.escape_unicode());
        }
    }
    printable
}

/// The beginning of `text`, with an ellipsis where it was longer.
fn cut(text: &str) -> String {
    if text.len() <= TEXT_LENGTH_MAX {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(TEXT_LENGTH_MAX);
    format!("{} ...", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_survives_the_wire() {
        for kind in [
            FailureKind::Invalid,
            FailureKind::NotFound,
            FailureKind::Conflict,
            FailureKind::Unavailable,
        ] {
            let failure = Failure::new(kind, "host h9 is not known (hint: name one of h1, h2)");
            assert_eq!(from_status(&to_status(&failure)), failure);
        }
    }

    #[test]
    fn long_and_strange_texts_fit_into_headers() {
        let failure = Failure {
            kind: FailureKind::Invalid,
            message: "é".repeat(100_000),
            hint: Some("a\nb é".repeat(10_000)),
        };
        let status = to_status(&failure);
        assert!(status.message().len() <= TEXT_LENGTH_MAX + 4);
        let hint = status.metadata().get(HINT).unwrap().to_str().unwrap();
        assert!(hint.starts_with("a\\u{a}b \\u{e9}"), "{hint}");
        assert!(hint.len() <= TEXT_LENGTH_MAX + 4);
    }
}
