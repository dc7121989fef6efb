//! Libvirt: the source that collects, and the connection that the executing adapter uses.
//!
//! [`LibvirtSource`] reads; [`Connection`] finds domains and acts on them when it is told to. All
//! foreign calls that crate `virt` lacks are in one private module, `raw`; everything else here is
//! safe code. The event loop that keepalive needs is started once a process, before the first
//! connection.

mod completions;
mod connection;
mod dial;
mod domain;
mod error;
mod events;
mod raw;
mod source;
mod starter;

pub use completions::Completions;
pub use connection::Connection;
pub use domain::{DomainHandle, MigrationCall, MigrationFlags};
pub use error::{ConnectionError, FailureKind};
pub use source::LibvirtSource;
