//! What a data centre of the study consists of: kinds of hosts, kinds of guests, their demand.
//!
//! Never here: files. Series come in as numbers and are refused where they are no demand.

use rand::RngExt as _;
use thiserror::Error;

use crate::kernel::Streams;

use super::kinds::{GuestKind, HostKind, PowerCurve, planetlab_guests, planetlab_hosts};

/// Seconds between two samples of demand and between two decisions.
pub const INTERVAL_SECONDS: f64 = 300.0;

/// The greatest number of samples of a guest: a year of them.
const SAMPLES_MAX: usize = 366 * 288;

/// The greatest number of hosts, and of guests.
const COUNT_MAX: usize = 10_000_000;

/// The greatest number of samples of all guests together: a day of seven million guests.
const DEMAND_MAX: usize = 1 << 31;

/// How many of the study's hosts one of a larger world is.
pub const LARGE_TIMES: u32 = 8;

/// Hosts and guests by kind, and what every guest asks for over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    pub(super) host_kinds: Vec<HostKind>,
    pub(super) curves: Vec<PowerCurve>,
    pub(super) guest_kinds: Vec<GuestKind>,
    /// Kinds of all hosts and of all guests.
    pub(super) hosts: Vec<usize>,
    pub(super) guests: Vec<usize>,
    /// Demand in percent by sample, then guest.
    demand: Vec<u8>,
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
    /// No guest, no host, no sample, or too many of them.
    #[error(
        "{what} (hint: a study has 1 to {COUNT_MAX} hosts and as many guests, 1 to {SAMPLES_MAX} \
         samples of each, {DEMAND_MAX} of all)"
    )]
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
        let mut setup = Self::of(planetlab_hosts(), hosts, guests, checked(percent)?)?;
        for (guest, series) in percent.iter().enumerate() {
            setup.write(guest, series.iter().copied());
        }
        Ok(setup)
    }

    /// A larger world of the same make, for trying how cost grows: `hosts` hosts, each
    /// [`LARGE_TIMES`] of the study's in one, and `guests` guests of the four kinds in turn. Each
    /// guest follows one of the series in `percent` from some sample of it on and around its end:
    /// both are drawn by `seed`.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn scaled(
        hosts: usize,
        guests: usize,
        percent: &[Vec<u8>],
        seed: u64,
    ) -> Result<Self, SetupError> {
        let samples = checked(percent)?;
        let kinds = planetlab_hosts().iter().map(|kind| kind.times(LARGE_TIMES)).collect();
        let mut setup =
            Self::of(kinds, hosts, (0..guests).map(|guest| guest % 4).collect(), samples)?;
        let mut draws = Streams::new(seed).stream("scaled study");
        for guest in 0..guests {
            let series = &percent[draws.random_range(0..percent.len())];
            let from = draws.random_range(0..samples);
            let (before, after) = series.split_at(from);
            setup.write(guest, after.iter().chain(before).copied());
        }
        Ok(setup)
    }

    fn of(
        host_kinds: Vec<HostKind>,
        hosts: usize,
        guests: Vec<usize>,
        samples: usize,
    ) -> Result<Self, SetupError> {
        let empty = |what| Err(SetupError::Empty { what });
        if hosts == 0 {
            return empty("there is no host");
        }
        if hosts > COUNT_MAX || guests.len() > COUNT_MAX {
            return empty("there are too many hosts or guests");
        }
        if guests.is_empty() {
            return empty("there is no guest");
        }
        if samples.saturating_mul(guests.len()) > DEMAND_MAX {
            return empty("there are too many samples of all guests together");
        }
        Ok(Self {
            curves: host_kinds.iter().map(PowerCurve::of).collect(),
            guest_kinds: planetlab_guests(),
            hosts: (0..hosts).map(|host| host % host_kinds.len()).collect(),
            demand: vec![0; samples * guests.len()],
            host_kinds,
            guests,
        })
    }

    fn write(&mut self, guest: usize, series: impl Iterator<Item = u8>) {
        let width = self.guests.len();
        for (slot, percent) in self.demand.iter_mut().skip(guest).step_by(width).zip(series) {
            *slot = percent;
        }
    }

    /// Seconds that the demand covers.
    pub fn seconds(&self) -> f64 {
        self.rows() as f64 * INTERVAL_SECONDS
    }

    /// Number of hosts.
    pub fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// Number of guests.
    pub fn guests(&self) -> usize {
        self.guests.len()
    }

    fn rows(&self) -> usize {
        self.demand.len() / self.guests.len().max(1)
    }

    /// The samples number `row`; after the end the last ones.
    fn row(&self, row: usize) -> &[u8] {
        let row = row.min(self.rows().saturating_sub(1));
        let width = self.guests.len();
        self.demand.get(row * width..(row + 1) * width).unwrap_or_default()
    }

    /// Writes what every guest asks for at `seconds` into `shares`, of 0 to 1: on the line between
    /// the samples before and after.
    pub(super) fn demand_at(&self, seconds: f64, shares: &mut [f64]) {
        let before = (seconds / INTERVAL_SECONDS).floor();
        let into = seconds - before * INTERVAL_SECONDS;
        let level = into == 0.0;
        let of_percent: [f64; 256] = std::array::from_fn(|percent| percent as f64 / 100.0);
        let (from, to) = (self.row(before as usize), self.row(before as usize + 1));
        for ((share, from), to) in shares.iter_mut().zip(from).zip(to) {
            let (from, to) = (of_percent[usize::from(*from)], of_percent[usize::from(*to)]);
            *share = if level { from } else { from + (to - from) / INTERVAL_SECONDS * into };
        }
    }
}

/// How many samples each of the series has, where they are demand of 0 to 100 %.
fn checked(percent: &[Vec<u8>]) -> Result<usize, SetupError> {
    let empty = |what| Err(SetupError::Empty { what });
    let Some(samples) = percent.first().map(Vec::len) else {
        return empty("there is no guest");
    };
    if samples == 0 {
        return empty("there is no sample");
    }
    if samples > SAMPLES_MAX {
        return empty("there are too many samples");
    }
    for (guest, series) in percent.iter().enumerate() {
        if series.len() != samples {
            let found = series.len();
            return Err(SetupError::Uneven { guest, found, wanted: samples });
        }
        if let Some((sample, percent)) = series.iter().enumerate().find(|(_, share)| **share > 100)
        {
            return Err(SetupError::Share { guest, sample, percent: *percent });
        }
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demand_is_on_the_line_between_samples_and_ends_level() {
        let setup = Setup::planetlab(2, &[vec![10, 30], vec![50, 0]]).unwrap();
        let mut shares = vec![0.0; 2];
        setup.demand_at(150.0, &mut shares);
        assert!((shares[0] - 0.2).abs() < 1e-12 && (shares[1] - 0.25).abs() < 1e-12);
        setup.demand_at(450.0, &mut shares);
        assert!((shares[0] - 0.3).abs() < 1e-12 && shares[1].abs() < 1e-12);
        assert!((setup.seconds() - 600.0).abs() < 1e-9);
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

    #[test]
    fn a_larger_world_draws_its_guests_from_the_series_by_seed() {
        let series = [vec![1, 2, 3], vec![40, 50, 60]];
        let setup = Setup::scaled(4, 12, &series, 7).unwrap();
        assert_eq!((setup.hosts(), setup.guests()), (4, 12));
        assert_eq!(setup, Setup::scaled(4, 12, &series, 7).unwrap());
        assert_ne!(setup, Setup::scaled(4, 12, &series, 8).unwrap());
        for guest in 0..12 {
            let mut samples: Vec<u8> = (0..3).map(|row| setup.row(row)[guest]).collect();
            samples.sort_unstable();
            assert!(series.contains(&samples));
        }
        assert!(Setup::scaled(4, 0, &series, 7).is_err());
    }
}
