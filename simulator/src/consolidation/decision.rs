//! What a policy sees when it decides, and what it answers.
//!
//! A policy sees the past and the present alone: what guests want now and wanted before.

use super::{guest::Guests, host::Host, setup::Setup};

/// A guest and the host that it goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) guest: u32,
    pub(super) to: u32,
}

/// The present.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation<'a> {
    pub(super) setup: &'a Setup,
    pub(super) hosts: &'a [Host],
    pub(super) guests: &'a Guests,
    /// Hosts that run or have just been switched off, in order.
    pub(super) awake: &'a [u32],
}

/// Decides every five minutes what is moved.
pub(super) trait Decides {
    /// Moves to begin now. No guest migrates when it is asked.
    fn decide(&mut self, now: &Situation<'_>) -> Vec<Step>;
}

/// Moves nothing, ever.
pub(super) struct Still;

impl Decides for Still {
    fn decide(&mut self, _: &Situation<'_>) -> Vec<Step> {
        Vec::new()
    }
}
