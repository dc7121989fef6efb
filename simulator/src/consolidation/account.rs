//! What the study counts: time and work that hosts and guests were short of, and hosts switched off.
//!
//! A state counts from its entry to the next entry at a later time; of several entries at one time
//! the last holds. Never here: what states mean for a policy's worth.

/// What a guest got and wanted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct GuestAccount {
    last: Option<GuestState>,
    /// Work that it got, in million instructions.
    pub(super) got: f64,
    /// Work that it wanted.
    pub(super) wanted: f64,
    /// Work that it did not get while it migrated.
    pub(super) lost_migrating: f64,
    /// Sum of the parts that it did not get over the states in which it did not get all.
    pub(super) short: f64,
    /// Such states.
    pub(super) shortages: u64,
}

#[derive(Debug, Clone, Copy)]
struct GuestState {
    since: f64,
    gets: f64,
    wants: f64,
    migrates: bool,
}

impl GuestAccount {
    /// From `now` on it gets `gets` of the `wants` that it asks for.
    pub(super) fn enter(&mut self, now: f64, gets: f64, wants: f64, migrates: bool) {
        let state = GuestState { since: now, gets, wants, migrates };
        if let Some(last) = self.last.replace(state).filter(|last| last.since < now) {
            let seconds = now - last.since;
            self.got += last.gets * seconds;
            self.wanted += last.wants * seconds;
            if last.gets < last.wants {
                self.short += (last.wants - last.gets) / last.wants;
                self.shortages += 1;
                if last.migrates {
                    self.lost_migrating += (last.wants - last.gets) * seconds;
                }
            }
        }
    }
}

/// How long a host ran, how long it was short, and how often it was switched off.
#[derive(Debug, Clone)]
pub(super) struct HostAccount {
    last: Option<HostState>,
    /// Whether it ran before the last state.
    ran: bool,
    /// Seconds that it ran.
    pub(super) seconds: f64,
    /// Seconds among them in which its guests did not get all.
    pub(super) short_seconds: f64,
    /// Seconds in which more was wanted of it than it has, by guests that are all here.
    pub(super) full_seconds: f64,
    shutdowns: u64,
}

#[derive(Debug, Clone, Copy)]
struct HostState {
    since: f64,
    gives: f64,
    wanted: f64,
    full: bool,
}

impl HostState {
    fn runs(&self) -> bool {
        self.gives > 0.0
    }
}

impl Default for HostAccount {
    fn default() -> Self {
        Self {
            last: None,
            ran: true,
            seconds: 0.0,
            short_seconds: 0.0,
            full_seconds: 0.0,
            shutdowns: 0,
        }
    }
}

impl HostAccount {
    /// From `now` on it gives `gives` of the `wanted` that is asked of it; `full` where it has less
    /// than that.
    pub(super) fn enter(&mut self, now: f64, gives: f64, wanted: f64, full: bool) {
        let state = HostState { since: now, gives, wanted, full };
        let Some(last) = self.last.replace(state).filter(|last| last.since < now) else { return };
        if last.runs() {
            let seconds = now - last.since;
            self.seconds += seconds;
            if last.gives < last.wanted {
                self.short_seconds += seconds;
            }
            if last.full {
                self.full_seconds += seconds;
            }
        }
        self.shutdowns += u64::from(self.ran && !last.runs());
        self.ran = last.runs();
    }

    /// Whether it was off before and still is: more of the same changes nothing.
    pub(super) fn rests(&self) -> bool {
        !self.ran && self.last.is_none_or(|last| !last.runs())
    }

    /// How often it was switched off, the last state included.
    pub(super) fn shutdowns(&self) -> u64 {
        let now_off = self.last.is_some_and(|last| self.ran && !last.runs());
        self.shutdowns + u64::from(now_off)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_counts_until_the_next_later_one() {
        let mut account = GuestAccount::default();
        account.enter(0.0, 10.0, 10.0, false);
        account.enter(0.0, 5.0, 10.0, true);
        account.enter(4.0, 10.0, 10.0, false);
        account.enter(6.0, 10.0, 10.0, false);
        assert!((account.got - 40.0).abs() < 1e-9 && (account.wanted - 60.0).abs() < 1e-9);
        assert!((account.lost_migrating - 20.0).abs() < 1e-9);
        assert_eq!(account.shortages, 1);
    }

    #[test]
    fn a_host_is_switched_off_when_it_gives_nothing_any_more() {
        let mut account = HostAccount::default();
        account.enter(0.0, 1.0, 2.0, true);
        account.enter(5.0, 0.0, 0.0, false);
        account.enter(5.0, 1.0, 1.0, false);
        account.enter(9.0, 0.0, 0.0, false);
        assert_eq!(account.shutdowns(), 1);
        assert!(!account.rests());
        account.enter(12.0, 3.0, 3.0, false);
        account.enter(13.0, 3.0, 3.0, false);
        assert_eq!(account.shutdowns(), 1);
        assert!(
            (account.seconds - 10.0).abs() < 1e-9 && (account.short_seconds - 5.0).abs() < 1e-9
        );
        assert!((account.full_seconds - 5.0).abs() < 1e-9);
        account.enter(14.0, 0.0, 0.0, false);
        account.enter(15.0, 0.0, 0.0, false);
        assert!(account.rests());
    }
}
