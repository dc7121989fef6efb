//! CPU of one host over time, integrated exactly.
//!
//! Guests and migrations ask; who is overcommitted gives everybody the same part of what was asked
//! for. Never here: who asks.

use whimbrel_core::units::{MilliCores, Span, Timestamp};

/// Parts into which an asked core is divided, to be integrated in whole numbers.
const PARTS: u128 = 1_000_000;

/// CPU of one host, in millicore-microseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Meter {
    capacity: u64,
    demand: u64,
    /// Part of the demand that is migrations', not guests'.
    migrations: u64,
    since: Timestamp,
    /// What guests and migrations asked for.
    pub(crate) demanded: u128,
    /// What they got.
    pub(crate) used: u128,
    /// What migrations got.
    pub(crate) migrating: u128,
    /// What was kept from each asked core, in [`PARTS`] of a microsecond.
    pub(super) withheld: u128,
    /// Time with more asked than there was.
    pub(crate) overloaded: Span,
}

impl Meter {
    pub(super) fn new(capacity: MilliCores, now: Timestamp) -> Self {
        Self { capacity: capacity.get(), since: now, ..Self::default() }
    }

    /// Brings the integrals up to `now`.
    pub(crate) fn read(&mut self, now: Timestamp) -> Self {
        let span = now.since(self.since);
        let micros = u128::from(span.as_micros());
        self.demanded += u128::from(self.demand) * micros;
        self.used += u128::from(self.demand.min(self.capacity)) * micros;
        self.migrating += u128::from(self.part(self.migrations)) * micros;
        if self.demand > self.capacity {
            self.overloaded += span;
            let lacking = u128::from(self.demand - self.capacity);
            self.withheld += lacking * PARTS / u128::from(self.demand) * micros;
        }
        self.since = now;
        *self
    }

    /// Somebody asks for `after` instead of `before`; the meter was read at this moment.
    pub(super) fn change_demand(&mut self, before: MilliCores, after: MilliCores) {
        self.demand = self.demand.saturating_sub(before.get()).saturating_add(after.get());
    }

    /// A migration asks for `after` instead of `before` from `now` on.
    pub(crate) fn charge(&mut self, before: MilliCores, after: MilliCores, now: Timestamp) {
        self.read(now);
        self.change_demand(before, after);
        self.migrations = self.migrations.saturating_sub(before.get()).saturating_add(after.get());
    }

    /// CPU that was asked for and not given.
    pub(crate) fn contention_core_seconds(&self) -> f64 {
        (self.demanded - self.used) as f64 / 1e9
    }

    /// A guest's steal, which is its millicores times what was withheld, in core-seconds.
    pub(super) fn core_seconds(stolen: u128) -> f64 {
        (stolen / PARTS) as f64 / 1e9
    }

    /// Mean of an integral since it was `before`.
    pub(crate) fn mean(now: u128, before: u128, span: Span) -> Option<MilliCores> {
        let micros = u128::from(span.as_micros());
        let mean = now.saturating_sub(before).checked_div(micros)?;
        u64::try_from(mean).ok().map(MilliCores::new)
    }

    /// What a guest that wants `cpu` gets here.
    pub(super) fn given(&self, cpu: MilliCores) -> MilliCores {
        MilliCores::new(self.part(cpu.get()))
    }

    /// Part of what is asked that is given, 0..=1.
    pub(crate) fn share(&self) -> f64 {
        if self.demand <= self.capacity { 1.0 } else { self.capacity as f64 / self.demand as f64 }
    }

    fn part(&self, asked: u64) -> u64 {
        if self.demand <= self.capacity {
            return asked;
        }
        let given = u128::from(asked) * u128::from(self.capacity) / u128::from(self.demand);
        u64::try_from(given).unwrap_or(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn who_is_overcommitted_gives_everybody_the_same_part() {
        let mut meter = Meter::new(MilliCores::cores(2), at(0));
        meter.change_demand(MilliCores::default(), MilliCores::cores(3));
        meter.charge(MilliCores::default(), MilliCores::cores(1), at(10));
        // 10 s with 3 of 2 cores asked, then 10 s with 4.
        let read = meter.read(at(20));
        assert!((read.contention_core_seconds() - 30.0).abs() < 1e-6);
        assert_eq!(read.overloaded, Span::from_seconds(20));
        assert_eq!(meter.given(MilliCores::cores(3)), MilliCores::new(1500));
        assert!((meter.share() - 0.5).abs() < 1e-12);
        assert_eq!(read.migrating, 500 * 10_000_000, "half of a core for 10 s");
        // A guest that asked for one core all the time lacked a third of it, then half.
        let steal = Meter::core_seconds(1000 * read.withheld);
        assert!((steal - (10.0 / 3.0 + 5.0)).abs() < 1e-3, "{steal}");
        meter.charge(MilliCores::cores(1), MilliCores::default(), at(20));
        assert!((meter.share() - 2.0 / 3.0).abs() < 1e-12);
    }
}
