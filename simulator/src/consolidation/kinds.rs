//! Kinds of hosts and guests, and what a host's power is.
//!
//! Never here: how many there are of each, and what guests ask for.

/// One kind of host.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HostKind {
    /// What one core computes, in million instructions a second. Above 0.
    pub(super) core_mips: f64,
    /// Cores. At least 1.
    pub(super) cores: u32,
    /// Memory in MB. Counts at the beginning alone.
    pub(super) memory_mb: u32,
    /// What the network interface carries, in bit/ms; half of it is for migrations.
    pub(super) bandwidth: u32,
    /// Power at 0 %, 10 %, .. 100 % of its cores, in watts.
    pub(super) watts: [f64; 11],
}

/// One kind of guest. Every guest has one virtual core.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct GuestKind {
    /// What it computes at 100 %, in million instructions a second. Above 0.
    pub(super) mips: f64,
    /// Memory in MB.
    pub(super) memory_mb: u32,
    /// Its share of the network interface, in bit/ms. Counts at the beginning alone.
    pub(super) bandwidth: u32,
}

impl HostKind {
    /// What all cores compute.
    pub(super) fn mips(&self) -> f64 {
        self.core_mips * f64::from(self.cores)
    }

    /// Seconds that a guest with `memory_mb` migrates to such a host.
    pub(super) fn migration_seconds(&self, memory_mb: u32) -> f64 {
        f64::from(memory_mb) / (f64::from(self.bandwidth) / (2.0 * 8000.0))
    }

    /// A host that has `times` as much of everything and takes `times` the power.
    pub(super) fn times(&self, times: u32) -> Self {
        Self {
            core_mips: self.core_mips,
            cores: self.cores.saturating_mul(times),
            memory_mb: self.memory_mb.saturating_mul(times),
            bandwidth: self.bandwidth.saturating_mul(times),
            watts: self.watts.map(|watts| watts * f64::from(times)),
        }
    }
}

/// A host's power by its load: on the line between the measured points.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PowerCurve {
    watts: [f64; 11],
    /// By how much power rises from each point to the next, a tenth of it for each percent.
    rises: [f64; 11],
    /// The loads of the points.
    loads: [f64; 11],
}

impl PowerCurve {
    pub(super) fn of(kind: &HostKind) -> Self {
        let mut rises = [0.0; 11];
        for (rise, pair) in rises.iter_mut().zip(kind.watts.windows(2)) {
            if let [low, high] = pair {
                *rise = (high - low) / 10.0;
            }
        }
        let loads = std::array::from_fn(|point| point as f64 / 10.0);
        Self { watts: kind.watts, rises, loads }
    }

    /// Power at `load` of 0 to 1, in watts; beyond it is that of a full host.
    pub(super) fn watts_at(&self, load: f64) -> f64 {
        let point = load * 10.0;
        let below = (point as usize).min(10);
        let (low, rise, from) = (&self.watts[below], self.rises[below], self.loads[below]);
        if point > below as f64 { low + rise * (load - from) * 100.0 } else { *low }
    }
}

/// Two servers of 2009 with `SPECpower`'s measurements (`SPECpower_ssj2008`).
pub(super) fn planetlab_hosts() -> Vec<HostKind> {
    let server = |core_mips, watts| HostKind {
        core_mips,
        cores: 2,
        memory_mb: 4096,
        bandwidth: 1_000_000,
        watts,
    };
    vec![
        server(1860.0, [86.0, 89.4, 92.6, 96.0, 99.5, 102.0, 106.0, 108.0, 112.0, 114.0, 117.0]),
        server(2660.0, [93.7, 97.0, 101.0, 105.0, 110.0, 116.0, 121.0, 125.0, 129.0, 133.0, 135.0]),
    ]
}

/// Amazon's instances of 2011, one core each.
pub(super) fn planetlab_guests() -> Vec<GuestKind> {
    [(2500.0, 870), (2000.0, 1740), (1000.0, 1740), (500.0, 613)]
        .map(|(mips, memory_mb)| GuestKind { mips, memory_mb, bandwidth: 100_000 })
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_is_on_the_line_between_measured_points() {
        let curve = PowerCurve::of(&planetlab_hosts()[0]);
        assert!((curve.watts_at(0.0) - 86.0).abs() < 1e-9);
        assert!((curve.watts_at(1.0) - 117.0).abs() < 1e-9);
        assert!((curve.watts_at(0.55) - 104.0).abs() < 1e-9);
        assert!((curve.watts_at(1.2) - 117.0).abs() < 1e-9);
    }

    #[test]
    fn a_guest_takes_half_the_network_interface() {
        let host = &planetlab_hosts()[0];
        assert!((host.migration_seconds(1740) - 27.84).abs() < 1e-9);
        assert!((host.times(4).migration_seconds(1740) - 6.96).abs() < 1e-9);
        assert!((host.times(4).mips() - 4.0 * host.mips()).abs() < 1e-9);
    }
}
