//! What is wrong with a text, where, and what would be right.

use thiserror::Error;

/// Longest part of a hostile text that a message repeats.
const SHOWN_CHARS: usize = 60;

/// Longest message of the JSON reader that is passed on.
const MESSAGE_CHARS: usize = 300;

/// Why a text is no problem to plan for. Whoever read it adds the file's name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{place}: {what} (hint: {hint})")]
pub struct FormatError {
    /// Line and field, or the thing that is spoken of.
    pub place: String,
    /// The fault with the limit.
    pub what: String,
    /// What to do.
    pub hint: String,
    /// Whether it lies in the file of dynamic use and not in the main one.
    pub in_dynamic_use: bool,
}

impl FormatError {
    pub(super) fn new(
        place: impl Into<String>,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let (place, what, hint) = (place.into(), what.into(), hint.into());
        Self { place, what, hint, in_dynamic_use: false }
    }

    /// What the JSON reader says, `lines_before` lines into the file.
    pub(super) fn json(error: &serde_json::Error, lines_before: usize, hint: &str) -> Self {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let fault = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
        let (fault, own_hint) = match fault.rfind(" (hint: ") {
            Some(at) => (&fault[..at], Some(fault[at + " (hint: ".len()..].trim_end_matches(')'))),
            None => (fault, None),
        };
        let hint = if error.is_eof() {
            "the file is cut off; write it again"
        } else {
            own_hint.unwrap_or(hint)
        };
        let place = format!("line {}, column {column}", line + lines_before);
        Self::new(place, cut(fault, MESSAGE_CHARS), cut(hint, MESSAGE_CHARS))
    }
}

/// `text` in quotes, not longer than a message can bear.
pub(super) fn shown(text: &str) -> String {
    format!("{:?}", cut(text, SHOWN_CHARS))
}

fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}
