//! The program as its users meet it: the command line, wrong input, scenarios with the real
//! planner, and real hosts.
//!
//! Never here: what a package's own tests already show.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod choosing;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod journal;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod nova;
#[cfg(test)]
mod program;
#[cfg(test)]
mod scenarios;
