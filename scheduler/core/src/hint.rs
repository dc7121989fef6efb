//! What to do next, beside what went wrong.

/// An error that can tell the reader what to try.
///
/// Errors whose message already ends with `(hint: …)` need no separate one; the program's last
/// line of an error comes from here.
pub trait Hint: std::error::Error {
    /// One fragment without a full stop, or `None` where nothing sensible can be said.
    fn hint(&self) -> Option<String>;
}
