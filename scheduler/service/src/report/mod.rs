//! The HTML report: one self-contained page about one plan and what became of it.
//!
//! [`ReportModel`] holds what is known, [`render`] turns it into a page with inline style and
//! inline figures that opens anywhere, prints well and needs no network.
//!
//! Never here: a decision, a clock, a file or a figure that is not derived from the model. The
//! same model gives the same bytes. Whatever came in as text is escaped.

mod charts;
mod html;
mod markup;
mod model;
#[cfg(test)]
mod sample;
mod style;
mod tables;
mod terms;
#[cfg(test)]
mod tests;
mod tiles;

pub use html::render;
pub use model::{ComparisonColumn, Happened, ReportModel};
