//! What a data centre of the study consists of: kinds of hosts, kinds of guests, their demand.

use thiserror::Error;

/// Seconds between two samples of demand and between two decisions.
pub const INTERVAL_SECONDS: f64 = 300.0;

/// The greatest number of samples of a guest: a year of them.
const SAMPLES_MAX: usize = 366 * 288;

/// One kind of host.
#[derive(Debug, Clone, PartialEq)]
pub struct HostKind {
    /// What one core computes, in million instructions a second. Above 0.
    pub core_mips: f64,
    /// Cores. At least 1.
    pub cores: u32,
    /// Memory in MB.
    pub memory_mb: u32,
    /// What the network interface carries, in bit/ms; half of it is for migrations.
    pub bandwidth: u32,
    /// Power at 0 %, 10 %, .. 100 % of its cores, in watts.
    pub watts: [f64; 11],
}

/// One kind of guest. Every guest has one virtual core.
#[derive(Debug, Clone, PartialEq)]
pub struct GuestKind {
    /// What it computes at 100 %, in million instructions a second. Above 0.
    pub mips: f64,
    /// Memory in MB.
    pub memory_mb: u32,
    /// Its share of the network interface, in bit/ms.
    pub bandwidth: u32,
}

/// Hosts and guests by kind, and what every guest asks for over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    pub(super) host_kinds: Vec<HostKind>,
    pub(super) guest_kinds: Vec<GuestKind>,
    pub(super) hosts: Vec<usize>,
    pub(super) guests: Vec<usize>,
    /// Demand of 0 to 1 by sample, then guest; the last row is there twice.
    demand: Vec<f64>,
}

/// Why a setup cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SetupError {
    /// Guests have different numbers of samples.
    #[error(
        "guest {guest} has {found} samples, the first has {wanted} \
             (hint: cut all series to the same days)"
    )]
    Uneven {
        /// Position of the guest.
        guest: usize,
        /// Samples that it has.
        found: usize,
        /// Samples that are needed.
        wanted: usize,
    },
    /// A sample is no share of a core.
    #[error(
        "sample {sample} of guest {guest} is {percent} % (hint: demand is 0 to 100 % of a core)"
    )]
    Share {
        /// Position of the guest.
        guest: usize,
        /// Position of the sample.
        sample: usize,
        /// What it says.
        percent: u8,
    },
    /// No guest, no host, no sample, or more samples than a year has.
    #[error("{what} (hint: a study has hosts, guests and 1 to {SAMPLES_MAX} samples of each)")]
    Empty {
        /// What is missing or too much.
        what: &'static str,
    },
}

impl Setup {
    /// The study of Beloglazov and Buyya ("Optimal online deterministic algorithms and adaptive
    /// heuristics for energy and performance efficient dynamic consolidation of virtual machines
    /// in cloud data centers", CCPE 2012): `hosts` hosts of two kinds in turn, and guests of four
    /// kinds in blocks of equal length, in the order of `percent`.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn planetlab(hosts: usize, percent: &[Vec<u8>]) -> Result<Self, SetupError> {
        let block = percent.len().div_ceil(4).max(1);
        let guests = (0..percent.len()).map(|guest| guest / block).collect();
        let hosts = (0..hosts).map(|host| host % 2).collect();
        Self::new(planetlab_hosts(), planetlab_guests(), hosts, guests, percent)
    }

    fn new(
        host_kinds: Vec<HostKind>,
        guest_kinds: Vec<GuestKind>,
        hosts: Vec<usize>,
        guests: Vec<usize>,
        percent: &[Vec<u8>],
    ) -> Result<Self, SetupError> {
        let empty = |what| Err(SetupError::Empty { what });
        if hosts.is_empty() {
            return empty("there is no host");
        }
        let Some(samples) = percent.first().map(Vec::len) else {
            return empty("there is no guest");
        };
        if samples == 0 {
            return empty("there is no sample");
        }
        if samples > SAMPLES_MAX {
            return empty("there are too many samples");
        }
        let mut demand = vec![0.0; (samples + 1) * percent.len()];
        for (guest, series) in percent.iter().enumerate() {
            if series.len() != samples {
                let found = series.len();
                return Err(SetupError::Uneven { guest, found, wanted: samples });
            }
            if let Some(sample) = series.iter().position(|percent| *percent > 100) {
                let percent = series.get(sample).copied().unwrap_or_default();
                return Err(SetupError::Share { guest, sample, percent });
            }
            let of_guest = demand.iter_mut().skip(guest).step_by(percent.len());
            let again = series.last();
            for (slot, percent) in of_guest.zip(series.iter().chain(again)) {
                *slot = f64::from(*percent) / 100.0;
            }
        }
        Ok(Self { host_kinds, guest_kinds, hosts, guests, demand })
    }

    /// Seconds that the demand covers.
    pub fn seconds(&self) -> f64 {
        (self.rows() - 1) as f64 * INTERVAL_SECONDS
    }

    fn rows(&self) -> usize {
        self.demand.len() / self.guests.len().max(1)
    }

    fn row(&self, row: usize) -> &[f64] {
        let row = row.min(self.rows().saturating_sub(1));
        let width = self.guests.len();
        self.demand.get(row * width..(row + 1) * width).unwrap_or_default()
    }

    /// Writes what every guest asks for at `seconds` into `shares`, of 0 to 1: on the line between
    /// the samples before and after.
    pub(super) fn demand_at(&self, seconds: f64, shares: &mut [f64]) {
        let before = (seconds / INTERVAL_SECONDS).floor();
        let from = self.row(before as usize);
        if seconds % INTERVAL_SECONDS == 0.0 {
            shares.copy_from_slice(from);
            return;
        }
        let to = self.row(before as usize + 1);
        let into = seconds - before * INTERVAL_SECONDS;
        for ((share, from), to) in shares.iter_mut().zip(from).zip(to) {
            *share = from + (to - from) / INTERVAL_SECONDS * into;
        }
    }
}

impl HostKind {
    /// What all cores compute.
    pub(super) fn mips(&self) -> f64 {
        self.core_mips * f64::from(self.cores)
    }

    /// Power at `load` of 0 to 1, in watts: on the line between the measured points.
    pub(super) fn watts_at(&self, load: f64) -> f64 {
        let below = (load * 10.0).floor();
        let above = (load * 10.0).ceil();
        let at = |point: f64| self.watts.get(point as usize).copied().unwrap_or(f64::NAN);
        let (low, high) = (at(below), at(above));
        low + (high - low) / 10.0 * (load - below / 10.0) * 100.0
    }

    /// Seconds that a guest with `memory_mb` migrates to such a host.
    pub(super) fn migration_seconds(&self, memory_mb: u32) -> f64 {
        f64::from(memory_mb) / (f64::from(self.bandwidth) / (2.0 * 8000.0))
    }
}

/// Two servers of 2009 with SPECpower's measurements (SPECpower_ssj2008).
fn planetlab_hosts() -> Vec<HostKind> {
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
fn planetlab_guests() -> Vec<GuestKind> {
    [(2500.0, 870), (2000.0, 1740), (1000.0, 1740), (500.0, 613)]
        .map(|(mips, memory_mb)| GuestKind { mips, memory_mb, bandwidth: 100_000 })
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_is_on_the_line_between_measured_points() {
        let kinds = planetlab_hosts();
        assert_eq!(kinds[0].watts_at(0.0), 86.0);
        assert_eq!(kinds[0].watts_at(1.0), 117.0);
        assert!((kinds[0].watts_at(0.55) - 104.0).abs() < 1e-9);
    }

    #[test]
    fn demand_is_on_the_line_between_samples_and_ends_level() {
        let setup = Setup::planetlab(2, &[vec![10, 30], vec![50, 0]]).unwrap();
        let mut shares = vec![0.0; 2];
        setup.demand_at(150.0, &mut shares);
        assert!((shares[0] - 0.2).abs() < 1e-12 && (shares[1] - 0.25).abs() < 1e-12);
        setup.demand_at(450.0, &mut shares);
        assert_eq!(shares, [0.3, 0.0]);
        assert_eq!(setup.seconds(), 600.0);
    }

    #[test]
    fn what_is_no_demand_is_refused_by_name() {
        let refused = |percent: &[Vec<u8>]| Setup::planetlab(2, percent).unwrap_err().to_string();
        assert!(refused(&[]).contains("no guest"));
        assert!(refused(&[vec![]]).contains("no sample"));
        assert!(refused(&[vec![1, 2], vec![1]]).contains("guest 1 has 1 samples"));
        assert!(refused(&[vec![1, 101]]).contains("sample 1 of guest 0 is 101 %"));
        assert!(Setup::planetlab(0, &[vec![1]]).is_err());
    }
}
