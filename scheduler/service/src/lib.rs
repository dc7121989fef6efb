//! The program `whimbrel`: command line, daemon, gRPC API, reports, and the wiring of adapters.
//!
//! Decisions are made in the pure packages below it; here they meet people, files and hosts. Only
//! `wiring` names concrete adapters, and only `cli` prints.

mod adapters;
pub mod advice;
pub mod cli;
pub mod config;
#[cfg(feature = "serve")]
pub mod daemon;
pub mod failure;
pub mod files;
#[cfg(feature = "serve")]
pub mod grpc;
pub mod instance;
pub mod report;
pub mod scene;
pub mod sweep;
pub mod teaching;
pub mod whatif;
#[cfg(feature = "libvirt")]
pub mod wiring;

pub use failure::{Failure, FailureKind};
