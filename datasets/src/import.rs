//! Reads migrations that others measured into the project's own rows.
//!
//! Each module knows one published layout, states what it assumes about units, and hands back
//! [`whimbrel_core::telemetry::MigrationTrace`]s to learn from. Texts come in; files are the
//! caller's. Never here: the data themselves, or guesses for columns that are not there.

mod socc17;
mod table;

pub use socc17::{Imported, Socc17Assumptions, socc17};
pub use table::ImportError;
