//! The planner from outside: what it plans, what it refuses, and properties of every plan.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod brute;
mod decisions;
mod even;
mod exhaustive;
mod explanations;
mod forms;
mod hostile;
mod many_rules;
mod outlook;
mod pace;
mod packing;
mod placing;
mod properties;
mod refusals;
mod relaxations;
mod replay;
mod rules;
mod scale;
mod scenarios;
mod streaming;
mod support;
mod undoing;
mod windows;
