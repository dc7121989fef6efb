//! The guests that are alive, and the threads that start, ask and end them: each of these takes
//! seconds, and the recorder looks at migrations several times a second.

use std::thread::{self, JoinHandle};

use whimbrel_core::{
    Domain, HostId, Snapshot,
    cluster::DomainState,
    ids::{OrderId, VmId},
    units::{Span, Timestamp},
};
use whimbrel_datasets::GuestCheck;
use whimbrel_lab::{GuestSpec, Lab, LabError};

use super::{
    error::CampaignError,
    link::SHAPED_HOST,
    repeats::{Clock, Repeat},
    settings::Row,
};

/// Lengths of the dirty-rate windows, in seconds; each is read before a migration.
pub const WINDOWS_SECONDS: [u64; 4] = [1, 2, 4, 8];

/// Shortest rest between two migrations of one guest.
const REST_LEAST: Span = Span::from_seconds(15);

/// Longest rest: a window that a migration interrupted is started again late.
const REST_MOST: Span = Span::from_seconds(40);

/// A guest that is alive.
#[derive(Debug)]
pub struct Live {
    /// Its name.
    pub vm: VmId,
    /// Its place in the list of planned guests.
    pub index: usize,
    /// What is still to be done with it.
    pub rows: Vec<Row>,
    /// What happens to it.
    pub stage: Stage,
    /// When it was started.
    pub started: Timestamp,
    /// Its load's clock, if that swings.
    pub clock: Option<Clock>,
}

/// What a guest that has rested is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The row at this place, after so long.
    Row(usize, Span),
    /// Its rows begin on another host, and nothing is left that would bring it there.
    Elsewhere,
}

/// What happens to a guest.
#[derive(Debug)]
pub enum Stage {
    /// It boots and fills its memory.
    Starting(JoinHandle<Result<Option<Clock>, LabError>>),
    /// It works, and its windows are measured.
    Resting {
        /// Since when.
        since: Timestamp,
        /// Whether it has been migrated before.
        migrated: bool,
    },
    /// It migrates.
    Flying,
    /// It is asked about its memory.
    Checking(JoinHandle<Result<(GuestCheck, Option<Clock>), LabError>>),
    /// It is ended.
    Ending(JoinHandle<Result<(), LabError>>),
}

impl Stage {
    /// Starts `spec` on `host`.
    pub fn start(lab: &Lab, host: &str, spec: &GuestSpec) -> Self {
        let (lab, host, spec) = (lab.clone(), host.to_owned(), spec.clone());
        Self::Starting(thread::spawn(move || {
            lab.start_guest(&host, &spec)?;
            let stat = lab.guest_stat(&spec.name)?;
            Ok(Clock::of(&stat, std::time::SystemTime::now().into()))
        }))
    }

    /// Asks `vm`, which ended the migration `order`.
    pub fn check(lab: &Lab, vm: &VmId, order: &OrderId) -> Self {
        let (lab, vm, order) = (lab.clone(), vm.clone(), order.clone());
        Self::Checking(thread::spawn(move || {
            let verified = lab.verify_guest(vm.as_str())?;
            let stat = lab.guest_stat(vm.as_str())?;
            let at = std::time::SystemTime::now().into();
            let check = GuestCheck {
                at,
                order,
                vm,
                checked_pages: verified.checked_pages,
                bad_pages: verified.bad_pages.max(stat.bad_pages),
                written_pages: stat.written_pages,
                dropped_pages: stat.dropped_pages,
            };
            Ok((check, Clock::of(&stat, at)))
        }))
    }

    /// Ends `vm`, wherever it is.
    pub fn end(lab: &Lab, vm: &VmId) -> Self {
        let (lab, vm) = (lab.clone(), vm.clone());
        Self::Ending(thread::spawn(move || lab.stop_guest(vm.as_str())))
    }
}

/// What a thread of `vm` returned.
///
/// # Errors
/// [`CampaignError::Thread`] when it panicked.
pub fn joined<T>(thread: JoinHandle<T>, vm: &VmId) -> Result<T, CampaignError> {
    thread.join().map_err(|_| CampaignError::Thread { vm: vm.clone() })
}

impl Live {
    /// Its one running sighting in `snapshot`.
    pub fn sighting<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a Domain> {
        snapshot.sightings(&self.vm).find(|d| d.state == DomainState::Running)
    }

    /// Whether it has rested: every window was read since its last migration, or since its start;
    /// a guest that has been migrated before waits for them for a while only.
    pub fn is_ready(&self, domain: &Domain, now: Timestamp) -> bool {
        let Stage::Resting { since, migrated } = self.stage else { return false };
        let rested = now.since(since);
        let read = |seconds: &u64| {
            let window = Span::from_seconds(*seconds);
            domain.dirty.iter().any(|r| r.window == window && r.measured_at > since)
        };
        let all = WINDOWS_SECONDS.iter().all(read);
        rested >= REST_LEAST && (all || migrated && rested >= REST_MOST)
    }

    /// What is next on `host` at `now`; `None` when nothing is left. Rows that are to be alike begin
    /// where and when the first of them did, as `repeat` says, and that on a link that is never
    /// shaped; others go before them meanwhile.
    pub fn next(&self, host: &HostId, repeat: Option<&Repeat>, now: Timestamp) -> Option<Next> {
        let home = |repeat: &Repeat| repeat.from == *host;
        let is_home = repeat.map_or(host.as_str() != SHAPED_HOST, home);
        let place = self.rows.iter().position(|row| !row.replicate || is_home);
        let Some((place, row)) = place.and_then(|place| Some((place, self.rows.get(place)?)))
        else {
            return (!self.rows.is_empty()).then_some(Next::Elsewhere);
        };
        let wanted = repeat.filter(|_| row.replicate).and_then(|repeat| repeat.phase_millis);
        let wait = self.clock.zip(wanted).map(|(clock, wanted)| clock.until(wanted, now));
        Some(Next::Row(place, wait.unwrap_or(Span::ZERO)))
    }

    /// Whether a row that is to begin where another did is due as soon as its guest is there.
    pub fn is_awaited_home(&self) -> bool {
        self.rows.first().is_some_and(|row| row.replicate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::{behaviours, settings::REPLICATE_PLACES};

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000) + Span::from_millis(millis)
    }

    fn live(places: &[usize]) -> Live {
        let guest = behaviours::draw(1, true).unwrap().remove(0);
        let rows = places.iter().map(|place| guest.rows[*place].clone()).collect();
        let stage = Stage::Resting { since: at(0), migrated: true };
        Live { vm: guest.vm, index: 0, rows, stage, started: at(0), clock: None }
    }

    fn host(name: &str) -> HostId {
        name.parse().unwrap()
    }

    #[test]
    fn rows_that_are_alike_begin_where_the_first_did() {
        let [first, second, _] = REPLICATE_PLACES;
        let now = |place| Some(Next::Row(place, Span::ZERO));
        let guest = live(&[first, first + 1, second]);
        assert!(guest.is_awaited_home());
        // The first never leaves the shaped link.
        assert_eq!(guest.next(&host(SHAPED_HOST), None, at(0)), now(1));
        assert_eq!(guest.next(&host("h2"), None, at(0)), now(0));
        let repeat = Repeat { from: host("h3"), to: host("h2"), phase_millis: None };
        assert_eq!(guest.next(&host("h2"), Some(&repeat), at(0)), now(1));
        assert_eq!(guest.next(&host("h3"), Some(&repeat), at(0)), now(0));
        let last = live(&[second]);
        assert_eq!(last.next(&host("h2"), Some(&repeat), at(0)), Some(Next::Elsewhere));
        assert_eq!(live(&[]).next(&host("h2"), Some(&repeat), at(0)), None);
    }

    #[test]
    fn a_load_that_swings_is_waited_for() {
        let stat = "shape=sine period=20000 phase=5000";
        let raw = stat.split(' ').filter_map(|pair| pair.split_once('='));
        let stat = whimbrel_lab::GuestStat {
            raw: raw.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            shape: "sine".to_owned(),
            uptime_milliseconds: 0,
            written_pages: 0,
            bad_pages: 0,
            dropped_pages: 0,
            rate_now_kib_per_second: 0,
            rate_kib_per_second: 0,
            working_set_mib: 0,
            filled_mib: 0,
            arena_mib: 0,
        };
        let clock = Clock::of(&stat, at(0));
        assert!(clock.is_some());
        let places = [REPLICATE_PLACES[1], REPLICATE_PLACES[1] + 1];
        let guest = Live { clock, ..live(&places) };
        let repeat = Repeat { from: host("h3"), to: host("h2"), phase_millis: Some(8_000) };
        let next = guest.next(&host("h3"), Some(&repeat), at(1_000));
        assert_eq!(next, Some(Next::Row(0, Span::from_seconds(2))));
        // A row of its own waits for nothing.
        let next = guest.next(&host("h2"), Some(&repeat), at(1_000));
        assert_eq!(next, Some(Next::Row(1, Span::ZERO)));
    }
}
