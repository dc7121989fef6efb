//! When a host is worth emptying so that it may be switched off, and what stays on.
//!
//! Worth and cost are in guest-seconds of slow-down, as everything that is weighed is. The default
//! of an hour: 300 W for an hour at 0.20 a kWh cost about as much as 3 h of one rented vCPU, of
//! which a third is taken.

use serde::{Deserialize, Serialize};

use super::{RangeError, in_range};
use crate::units::{Share, Span};

/// When a host is worth emptying, and what stays on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Powersave {
    /// Part of the CPU of the hosts that stay on, added up, that no demand may take. Each host
    /// that receives VMs also stays at or under `balance.overload_above`. Range 0..=0.9.
    pub headroom: Share,
    /// Fewest hosts that stay on. Range 1..=100000.
    pub hosts_min: u32,
    /// Guest-seconds of slow-down that one host off for one hour is worth. Range 0..=1000000.
    pub host_hour_worth: f64,
    /// How long a host that is switched off is expected to stay off. Range 1 min..=7 d.
    pub off_for: Span,
    /// From waking a host until it takes VMs: power is drawn and nothing gained. Range 0..=1 h.
    pub wake_time: Span,
    /// Guest-seconds of slow-down that waking a host is charged as. Range 0..=1000000.
    pub wake_cost: f64,
    /// Whether the reserve for failures (`limits.host_failures`) may be on hosts that are off:
    /// after a failure VMs then wait for `wake_time`.
    pub reserve_may_sleep: bool,
}

impl Default for Powersave {
    fn default() -> Self {
        Self {
            headroom: Share::clamped(0.2),
            hosts_min: 2,
            host_hour_worth: 3600.0,
            off_for: Span::from_seconds(8 * 3600),
            wake_time: Span::from_seconds(300),
            wake_cost: 600.0,
            reserve_may_sleep: false,
        }
    }
}

impl Powersave {
    /// Guest-seconds that one host is worth that is emptied, switched off and woken again; 0 or
    /// less where it does not pay.
    pub fn worth_seconds(&self) -> f64 {
        let hours = self.off_for.saturating_sub(self.wake_time).as_seconds_f64() / 3600.0;
        self.host_hour_worth * hours - self.wake_cost
    }

    pub(super) fn check_ranges(&self) -> Result<(), RangeError> {
        in_range("powersave.headroom", self.headroom.get(), 0.0, 0.9, "0 to 0.9")?;
        in_range("powersave.hosts_min", self.hosts_min.into(), 1.0, 1e5, "1 to 100000")?;
        in_range("powersave.host_hour_worth", self.host_hour_worth, 0.0, 1e6, "0 to 1000000")?;
        in_range("powersave.wake_cost", self.wake_cost, 0.0, 1e6, "0 to 1000000")?;
        let (off_for, wake_time) = (self.off_for.as_seconds_f64(), self.wake_time.as_seconds_f64());
        in_range("powersave.off_for", off_for, 60.0, 604_800.0, "1 min to 7 d")?;
        in_range("powersave.wake_time", wake_time, 0.0, 3600.0, "0 to 1 h")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_night_is_not_worth_waking_for() {
        let day = Powersave::default();
        assert!((day.worth_seconds() - (3600.0 * (8.0 - 300.0 / 3600.0) - 600.0)).abs() < 1e-6);
        let nap = Powersave { off_for: Span::from_seconds(600), ..Powersave::default() };
        assert!(nap.worth_seconds() < 0.0);
    }
}
