//! Experiments on real hosts: whether migrations begin better when Whimbrel says when, whether they
//! go better with the settings that it chooses, and whether a drain takes as long as its simulation.
//!
//! What is tried is drawn from a seed before anything runs: [`timing`] and [`choosing`] draw their
//! guests and cases, and the order in which arms are tried. [`driver`] does it, both experiments
//! alike; [`results`] keeps each run as soon as it has ended, so that an experiment that was
//! stopped goes on where it was. [`statistics`] and [`table`] say what came of it.
//!
//! Never here: a run that is left out because of how it went, or learning from the runs.

pub mod advisor;
pub mod choosing;
pub mod drains;
pub mod driver;
pub mod live;
pub mod results;
pub mod run;
pub mod statistics;
pub mod table;
pub mod timers;
pub mod timing;
