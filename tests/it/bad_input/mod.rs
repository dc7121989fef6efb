//! Wrong input, one test a fault: what is said names file, thing and limit, and nothing changes.

mod config;
mod files;
mod input;
mod plan;
mod policy;
mod rules;
mod snapshot;
mod telemetry;

/// The most common question, about `snapshot.json`.
const DRAIN: [&str; 7] =
    ["plan", "drain", "h1", "--snapshot", "snapshot.json", "--out", "never-written.toml"];
