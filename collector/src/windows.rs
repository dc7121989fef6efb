//! The schedule of dirty-rate windows, and the readings that they gave.
//!
//! A hypervisor measures one window at a time for each guest, in whole seconds. Windows of several
//! lengths in turn sample the unique-dirty curve U(t); each costs CPU, so a guest is measured for
//! a share of the time only, and guests begin at moments of their own. The readings belong to the
//! guest, not to the host: they stay when it migrates.
//!
//! A reading is as coarse as its source: QEMU samples 512 pages of each GiB, so one sample stands
//! for 2 MiB, and gives whole MiB a second, rounded down (`migration/dirtyrate.c`); a window of
//! 8 s is therefore good to 8 MiB, and on average 4 MiB too low.
//!
//! Pure: it says what is due and takes results; it starts nothing and has no clock.

use std::collections::{BTreeMap, VecDeque};

use whimbrel_core::{
    HostId, VmId,
    cluster::DirtyReading,
    units::{Bytes, Share, Span, Timestamp},
};

use crate::{
    settings::{SettingsError, within},
    stats::DirtyStatus,
};

/// How windows are taken.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowSettings {
    /// Lengths in seconds, taken in turn. Each in 1..=60 (libvirt's range); empty measures never.
    pub lengths_seconds: Vec<u32>,
    /// Part of the time that a guest may be under measurement. Range 0.001..=1, higher gives
    /// fresher readings and costs more CPU.
    pub duty_share: Share,
    /// Readings kept of each length. Range 1..=100.
    pub keep: usize,
}

impl Default for WindowSettings {
    /// 1, 2, 4 and 8 s, each followed by three times its length of rest: every length once a
    /// minute. Longer windows say little that 8 s and the writable working set do not.
    fn default() -> Self {
        Self { lengths_seconds: vec![1, 2, 4, 8], duty_share: Share::clamped(0.25), keep: 5 }
    }
}

impl WindowSettings {
    /// Refuses values that could not work.
    ///
    /// # Errors
    /// [`SettingsError::OutOfRange`] with the first bad one.
    pub fn check(&self) -> Result<(), SettingsError> {
        for seconds in &self.lengths_seconds {
            within("windows.lengths_seconds", (*seconds).into(), 1..=60, "1..=60")?;
        }
        within("windows.lengths_seconds", self.lengths_seconds.len() as u64, 0..=16, "16 lengths")?;
        let share = (self.duty_share.get() * 1000.0) as u64;
        within("windows.duty_share x 1000", share, 1..=1000, "1..=1000")?;
        within("windows.keep", self.keep as u64, 1..=100, "1..=100")
    }

    /// Time from the start of a window of `seconds` to the next start.
    fn spacing(&self, seconds: u32) -> Span {
        Span::from_seconds_f64(f64::from(seconds) / self.duty_share.get().max(0.001))
    }
}

/// How long after its end a window's result may still come before it counts as lost. Workers look
/// every period, and a host under load answers late.
const RESULT_GRACE: Span = Span::from_seconds(15);

/// A guest that is between two hosts, or whose host is away, is seen again sooner than this.
pub const FORGET_AFTER: Span = Span::from_seconds(3600);

/// Schedule and readings of all guests.
#[derive(Debug)]
pub struct DirtyBook {
    settings: WindowSettings,
    guests: BTreeMap<VmId, Guest>,
}

#[derive(Debug)]
struct Guest {
    uuid: String,
    seen_at: Timestamp,
    /// Index of the next length.
    turn: usize,
    not_before: Timestamp,
    pending: Option<Pending>,
    /// Host and start second of the last measurement that is over and known: it was taken, or was
    /// there before our window. The same result is not taken twice.
    known: Option<(HostId, i64)>,
    readings: BTreeMap<u32, VecDeque<DirtyReading>>,
}

#[derive(Debug)]
struct Pending {
    host: HostId,
    seconds: u32,
    ends: Timestamp,
}

impl DirtyBook {
    /// Without a guest.
    pub fn new(settings: WindowSettings) -> Self {
        Self { settings, guests: BTreeMap::new() }
    }

    /// Length in seconds of the window that may be started for `vm` now, if any.
    ///
    /// A new guest waits for a moment of its own within its first spacing, derived from its name.
    pub fn due(&mut self, vm: &VmId, uuid: &str, now: Timestamp) -> Option<u32> {
        let first = *self.settings.lengths_seconds.first()?;
        let spacing = self.settings.spacing(first);
        let guest = self
            .guests
            .entry(vm.clone())
            .and_modify(|guest| guest.replace_if_other(uuid, now))
            .or_insert_with(|| Guest::new(uuid, now, now + stagger(vm, spacing)));
        guest.seen_at = now;
        if guest.pending.as_ref().is_some_and(|p| now.since(p.ends) > RESULT_GRACE) {
            guest.pending = None;
        }
        if guest.pending.is_some() || now < guest.not_before {
            return None;
        }
        let lengths = &self.settings.lengths_seconds;
        lengths.get(guest.turn % lengths.len().max(1)).copied()
    }

    /// Notes that a window of `seconds` was started on `host`.
    pub fn started(&mut self, vm: &VmId, host: &HostId, seconds: u32, now: Timestamp) {
        let spacing = self.settings.spacing(seconds);
        if let Some(guest) = self.guests.get_mut(vm) {
            let ends = now + Span::from_seconds(seconds.into());
            guest.pending = Some(Pending { host: host.clone(), seconds, ends });
            guest.turn = guest.turn.wrapping_add(1);
            guest.not_before = now + spacing;
        }
    }

    /// Notes that a window of `seconds` could not be started; it is tried again a spacing later.
    pub fn refused(&mut self, vm: &VmId, seconds: u32, now: Timestamp) {
        let spacing = self.settings.spacing(seconds);
        if let Some(guest) = self.guests.get_mut(vm) {
            guest.not_before = now + spacing;
        }
    }

    /// Takes what `host` says about the measurement of `vm`: a reading, when it is the result of
    /// the window that was started there, is complete, and was not taken before.
    pub fn look(
        &mut self,
        vm: &VmId,
        host: &HostId,
        status: &DirtyStatus,
        now: Timestamp,
    ) -> Option<DirtyReading> {
        let keep = self.settings.keep;
        let guest = self.guests.get_mut(vm)?;
        guest.seen_at = now;
        let result = (host.clone(), status.start_seconds);
        let Some(pending) = guest.pending.as_ref() else {
            guest.known = Some(result);
            return None;
        };
        let ours = pending.host == *host
            && now >= pending.ends
            && status.measured
            && status.window_seconds == pending.seconds
            && guest.known.as_ref() != Some(&result);
        if !ours {
            return None;
        }
        let rate = status.rate_mib_per_second?;
        let reading = DirtyReading {
            window: Span::from_seconds(pending.seconds.into()),
            unique: Bytes::mib(rate.saturating_mul(pending.seconds.into())),
            measured_at: pending.ends,
        };
        let kept = guest.readings.entry(pending.seconds).or_default();
        kept.push_back(reading);
        while kept.len() > keep {
            kept.pop_front();
        }
        guest.known = Some(result);
        guest.pending = None;
        Some(reading)
    }

    /// The readings of the guest `vm` with `uuid`, ordered by window, then age, oldest first.
    pub fn readings(&self, vm: &VmId, uuid: &str) -> Vec<DirtyReading> {
        self.guests
            .get(vm)
            .filter(|guest| guest.uuid == uuid)
            .map(|guest| guest.readings.values().flatten().copied().collect())
            .unwrap_or_default()
    }

    /// Forgets guests that no host has reported for [`FORGET_AFTER`].
    pub fn forget_unseen(&mut self, now: Timestamp) {
        self.guests.retain(|_, guest| now.since(guest.seen_at) <= FORGET_AFTER);
    }
}

impl Guest {
    fn new(uuid: &str, seen_at: Timestamp, not_before: Timestamp) -> Self {
        Self {
            uuid: uuid.to_owned(),
            seen_at,
            turn: 0,
            not_before,
            pending: None,
            known: None,
            readings: BTreeMap::new(),
        }
    }

    /// Another machine under an old name starts without the old one's readings.
    fn replace_if_other(&mut self, uuid: &str, now: Timestamp) {
        if self.uuid != uuid {
            *self = Self::new(uuid, now, now);
        }
    }
}

/// A moment within `spacing` that depends on the name alone (FNV-1a), so that guests which appear
/// together are not measured together.
fn stagger(vm: &VmId, spacing: Span) -> Span {
    let hash = vm.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Span::from_micros(hash % spacing.as_micros().max(1))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000) + Span::from_millis(millis)
    }

    fn names() -> (VmId, HostId) {
        (VmId::new("k1").unwrap(), HostId::new("h1").unwrap())
    }

    fn measured(start_seconds: i64, window_seconds: u32, rate: u64) -> DirtyStatus {
        DirtyStatus {
            measured: true,
            start_seconds,
            window_seconds,
            rate_mib_per_second: Some(rate),
        }
    }

    /// Walks one second at a time and starts what is due.
    fn walk(book: &mut DirtyBook, seconds: u64) -> Vec<(u64, u32)> {
        let (vm, host) = names();
        let mut started: Vec<(u64, u32)> = Vec::new();
        for second in 0..seconds {
            let now = at(second * 1000);
            if let Some((start, length)) = started.last() {
                book.look(&vm, &host, &measured(start.cast_signed(), *length, 7), now);
            }
            if let Some(length) = book.due(&vm, "u", now) {
                book.started(&vm, &host, length, now);
                started.push((second, length));
            }
        }
        started
    }

    #[test]
    fn lengths_take_turns_within_their_share_of_time() {
        let mut book = DirtyBook::new(WindowSettings::default());
        let started = walk(&mut book, 300);
        let lengths: Vec<u32> = started.iter().take(5).map(|(_, length)| *length).collect();
        assert_eq!(lengths, [1, 2, 4, 8, 1]);
        let under_measurement: u32 = started.iter().map(|(_, length)| length).sum();
        assert!((60..=80).contains(&under_measurement), "{under_measurement} of 300 s, a quarter");
        let (vm, _) = names();
        let readings = book.readings(&vm, "u");
        assert!(readings.len() >= 16, "four lengths, several each: {}", readings.len());
        assert!(readings.iter().all(|r| r.unique.get() == r.window.as_millis() / 1000 * (7 << 20)));
    }

    #[test]
    fn a_result_is_taken_once_and_only_if_it_is_ours() {
        let (vm, host) = names();
        let mut book = DirtyBook::new(WindowSettings {
            lengths_seconds: vec![2],
            duty_share: Share::ONE,
            keep: 1,
        });
        book.due(&vm, "u", at(0));
        book.look(&vm, &host, &measured(4, 2, 30), at(4000));
        let begin = at(5000);
        assert_eq!(book.due(&vm, "u", begin), Some(2));
        book.started(&vm, &host, 2, begin);
        assert_eq!(book.due(&vm, "u", begin), None, "one at a time");
        let early = book.look(&vm, &host, &measured(5, 2, 10), at(6000));
        assert_eq!(early, None, "an older result, ours cannot be complete");
        let elsewhere = HostId::new("h2").unwrap();
        for (wrong_host, status) in [
            (&host, DirtyStatus { measured: false, ..measured(5, 2, 10) }),
            (&host, measured(5, 3, 10)),
            (&host, measured(4, 2, 30)),
            (&elsewhere, measured(5, 2, 10)),
        ] {
            assert_eq!(book.look(&vm, wrong_host, &status, at(8000)), None, "{status:?}");
        }
        let reading = book.look(&vm, &host, &measured(5, 2, 10), at(8000)).unwrap();
        assert_eq!(reading.unique, Bytes::mib(20));
        assert_eq!(reading.measured_at, at(7000));
        assert_eq!(book.look(&vm, &host, &measured(5, 2, 10), at(8100)), None, "once");
        book.started(&vm, &host, 2, at(9000));
        assert_eq!(book.look(&vm, &host, &measured(5, 2, 10), at(12_000)), None, "the old one");
        assert!(book.look(&vm, &host, &measured(9, 2, 11), at(12_000)).is_some());
        assert_eq!(book.readings(&vm, "u").len(), 1, "keep is 1");
        assert_eq!(book.readings(&vm, "other").len(), 0, "another machine under its name");
    }

    #[test]
    fn a_lost_window_does_not_stop_the_next() {
        let (vm, host) = names();
        let mut book = DirtyBook::new(WindowSettings::default());
        book.due(&vm, "u", at(0));
        let length = book.due(&vm, "u", at(10_000)).unwrap();
        book.started(&vm, &host, length, at(10_000));
        assert_eq!(book.due(&vm, "u", at(15_000)), None, "its result may still come");
        assert_eq!(book.due(&vm, "u", at(40_000)), Some(2), "lost, the next length is due");
        book.refused(&vm, 2, at(40_000));
        assert_eq!(book.due(&vm, "u", at(41_000)), None);
        assert_eq!(book.due(&vm, "u", at(48_000)), Some(2), "tried again");
        book.forget_unseen(at(60_000));
        assert_eq!(book.guests.len(), 1, "between two hosts perhaps");
        book.forget_unseen(at(4_000_000));
        assert_eq!(book.guests.len(), 0);
    }

    #[test]
    fn guests_begin_at_moments_of_their_own() {
        let mut book = DirtyBook::new(WindowSettings::default());
        let moments: BTreeSet<u64> = (0..40)
            .map(|index| {
                let vm = VmId::new(&format!("vm{index}")).unwrap();
                (0..5000).find(|ms| book.due(&vm, "u", at(*ms)).is_some()).unwrap()
            })
            .collect();
        assert!(moments.len() > 30, "{moments:?}");
    }
}
