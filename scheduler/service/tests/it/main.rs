//! The program as it is started: exit codes, files that it writes, and being killed.
//!
//! Never here: what unit tests already show.

#[cfg(test)]
mod placing;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod questions;
