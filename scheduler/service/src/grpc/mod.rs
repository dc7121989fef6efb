//! The gRPC API: the daemon's server and the command line's client of `whimbrel.v1`.
//!
//! Whoever wires the program implements [`Backend`]; [`serve`] puts it on the network behind
//! mutual TLS, and [`Client`] speaks to it from another machine with the same verbs and values.
//! Nothing in here plans, checks or executes.

mod api;
mod backend;
mod client;
mod convert;
mod page;
mod question;
mod server;
mod status;
mod stream;
mod tls;

pub use backend::{Backend, Finding, Simulated, SimulationSummary};
pub use client::Client;
pub use page::explained;
pub use question::{
    ExplainQuestion, Explained, Page, PlanQuestion, Planned, Previous, Purpose, Subject,
    read_plan_text,
};
pub use server::{ServeOptions, Server, serve};
pub use tls::{ClientTls, Security};

/// Largest message in either direction.
const MESSAGE_SIZE_MAX: usize = 16 << 20;

#[cfg(test)]
mod tests;
