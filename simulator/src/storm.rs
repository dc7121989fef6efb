//! Thousands of migrations among many guests: what each of them comes to.
//!
//! Every migration copies its own guest's pages, round by round, at the rate that the links leave
//! it; hosts take part in a limited number of them at a time, and each has a verdict. What one
//! costs depends on its rounds and on who shares its links, not on how many guests there are or how
//! large: between two changes of its rate everything has a closed form.
//!
//! ```text
//! case (input) -> queue (who is next) -> course (events) -> report (verdicts, figures)
//!                                        pages | rounds (what is copied), network (rates)
//! ```
//!
//! Never here: which guest should go where, faults, or the engine's seam (`cluster`).

mod case;
mod course;
mod journey;
mod pages;
mod queue;
mod report;
mod rounds;
mod star;

pub use case::{Model, Move, Orders, Storm, StormError, StormGuest, StormHost};
pub use course::StormRun;
pub use report::{Ended, Figures, Spread, StormReport, Verdict};
pub use rounds::SimGrid;
pub use star::{Star, star};

/// Runs `storm` until every migration has its verdict.
///
/// # Errors
/// [`StormError`] when the storm names what it does not have, or asks for the impossible.
pub fn run(storm: &Storm) -> Result<StormReport, StormError> {
    let mut run = StormRun::new(storm)?;
    run.run(storm, None);
    Ok(run.report())
}
