//! What it costs to put a machine on a host: contention, and a large hole that is no longer whole.
//!
//! Unit: guest-seconds over the policy's horizon; less is better. With utilisation u and the
//! planner's [`Contention`](crate::contention::Contention) c(host), and with h, the free part of a
//! host's memory or of its vCPUs, whichever is less,
//!
//! `score = c(after) - c(before) + cores * horizon * 0.001 * (h_before^2 - h_after^2) / 2`
//!
//! and, for each preference of the policy that it breaks, what the policy says that this costs.
//!
//! The square makes the emptiest hosts the dearest to begin with: a machine goes where the hole is
//! nearest to its size, and large holes stay for large machines (best fit). The factor is ten times
//! what evenness of the CPU is worth by default and a hundredth of what overload costs, so that
//! holes decide between hosts that are not overloaded; a policy that asks for evenness (0.01 or
//! more) outweighs it.

use super::{
    room::{Room, Slot},
    size::Size,
    trial::{Item, Trial},
};
use crate::contention::Load;

/// Guest-seconds for each core and second of the horizon that breaking into a whole empty host
/// costs, twice.
const HOLE_WORTH: f64 = 0.001;

impl Room {
    /// The score of putting `extra` on the host `slot`, which has `used` in use. 0 or more.
    pub(super) fn score(&self, slot: &Slot, used: Size, extra: Size) -> f64 {
        let after = used.plus(extra);
        let contention = self.contention.with(slot.cores, slot.load(after))
            - self.contention.with(slot.cores, slot.load(used));
        let holes = slot.hole(used).powi(2) - slot.hole(after).powi(2);
        // Sums of floats may be off by their last digits.
        (contention + slot.cores * self.horizon_seconds * HOLE_WORTH * holes / 2.0).max(0.0)
    }
}

impl Slot {
    fn load(&self, used: Size) -> Load {
        let memory = used.memory as f64 / (self.memory_limit as f64).max(1.0) * self.cores;
        Load { cpu: used.cores(), memory }
    }

    /// The free part of memory or of vCPUs, whichever is less. Range 0..=1.
    fn hole(&self, used: Size) -> f64 {
        let part =
            |used: u64, limit: u64| limit.saturating_sub(used) as f64 / (limit as f64).max(1.0);
        part(used.memory, self.memory_limit).min(part(used.vcpus, self.vcpu_limit))
    }
}

impl Trial<'_> {
    /// The score of `item` on `host`.
    pub(super) fn score(&self, item: &Item, host: usize) -> f64 {
        self.room.score(&self.room.slots[host], self.used(host), item.size)
            + self.unwelcome(item, host)
    }

    /// The host that takes `item` at the lowest score, the first of equals.
    pub(super) fn best(&self, item: &Item) -> Option<(f64, usize)> {
        let hosts = (0..self.room.slots.len()).filter(|&host| self.takes(item, host));
        let scored = hosts.map(|host| (self.score(item, host), host));
        scored.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
    }
}
