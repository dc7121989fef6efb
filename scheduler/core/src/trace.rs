//! What traces tell of guests: when they come and go, how large they are, what they use.
//!
//! Loaders of public and own traces make these values, the simulator replays them. Times are
//! counted from the trace's begin, whatever its own calendar says; guests are numbered from 0 in
//! the order in which they first appear.
//!
//! Never here: a file format, or a decision about a guest.

use serde::{Deserialize, Serialize};

use crate::units::{Bytes, MilliCores, Span};

/// What a guest may use at most, or what a host has.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// CPU.
    pub cpu: MilliCores,
    /// Memory.
    pub memory: Bytes,
}

/// A guest from its arrival to its departure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Life {
    /// Which guest.
    pub guest: u32,
    /// When it arrives.
    pub begins: Span,
    /// How long it stays; to the trace's end and beyond where that is not known.
    pub stays: Option<Span>,
    /// What it asks for.
    pub size: Size,
}

/// What a guest was seen to use; it holds until the guest's next sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UseSample {
    /// Which guest.
    pub guest: u32,
    /// When.
    pub at: Span,
    /// CPU in use.
    pub cpu: MilliCores,
    /// Memory in use, where the trace has it.
    pub memory: Option<Bytes>,
}
