//! The lab: real libvirtd and QEMU hosts on one machine.
//!
//! Each host is a set of Linux namespaces (network, mount, uts, ipc, pid) with its own address, its
//! own `/etc`, `/var`, `/run` and `/dev`, and its own libvirtd that listens on TCP and TLS. The hosts
//! are joined by a bridge in one more network namespace, the *lab's namespace*, where the program
//! under test runs as on an administration network. Guests run in QEMU's emulation (no KVM), dirty
//! their memory at an exact rate and check every page that they wrote.
//!
//! ```text
//!   whimbrel-lab (namespace)      br0 10.77.0.1   <- controllers, tests, virsh
//!      |          |          |
//!     nic        nic        nic                   <- veth; shaped or cut per host
//!   whimbrel-h1  whimbrel-h2  whimbrel-h3         <- br0 10.77.0.11, .12, .13; libvirtd; guests
//! ```
//!
//! Start with [`Lab::from_environment`], [`Lab::up`], [`Lab::command`] and [`Lab::start_guest`].
//!
//! What it never does: it changes nothing outside its state directory, `/etc/netns/<namespace>` and
//! its own namespaces; it ends no process but those whose id and start time it recorded; no packet
//! leaves its namespaces, which have no uplink.

mod capability;
mod certificates;
mod config;
mod control;
mod error;
mod guest;
mod guest_image;
mod guest_load;
mod guest_xml;
mod host;
mod lab;
#[cfg(test)]
mod load_test;
mod network;
mod process;
mod program;
mod skip;
mod status;

pub use capability::{Missing, capability};
pub use config::LabConfig;
pub use error::LabError;
pub use guest::{GuestKind, GuestSpec};
pub use guest_load::{GuestStat, Load, Order, Phase, Shape, Verified};
pub use lab::{Lab, Outcome};
pub use process::PidRecord;
pub use skip::lab_or_skip;
pub use status::{GuestStatus, HostStatus, LabStatus};
