//! HTML reports: self-contained pages about a plan and what became of it, about how good
//! predictions are, and about what would come of a change.
//!
//! [`ReportModel`] holds what is known of a plan, [`render`] turns it into a page with
//! inline style and inline figures that opens anywhere, prints well and needs no network;
//! [`EvaluationModel`] and [`render_evaluation`] do so for predictions, [`WhatIfModel`] and
//! [`SweepModel`] for questions and sweeps.
//!
//! Never here: a decision, a clock, a file or a figure that is not derived from the model. The
//! same model gives the same bytes. Whatever came in as text is escaped.

mod charts;
pub(crate) mod evaluation;
mod html;
mod markup;
mod model;
#[cfg(test)]
mod question_tests;
#[cfg(test)]
mod sample;
mod style;
pub(crate) mod sweep;
mod tables;
mod terms;
#[cfg(test)]
mod tests;
mod tiles;
pub(crate) mod what_if;

pub use evaluation::{EvaluationModel, render_evaluation};
pub use html::render;
pub use model::{ComparisonColumn, Happened, ReportModel};
pub use sweep::{SweepModel, render_sweep};
pub use what_if::{WhatIfModel, render_what_if};
