//! What a host's migrations achieved lately on its link.
//!
//! Each look at the host's running migrations tells how many bytes left since the look before;
//! looks are gathered into observations of at least a second, and the answer is the median of the
//! recent ones. A migration that a limit of its own holds back says nothing of the link, so looks
//! with one in them do not count; a limit that somebody else set is not known here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use whimbrel_core::{
    VmId,
    units::{Bytes, BytesPerSecond, Span, Timestamp},
};

/// Shorter ones would measure QEMU's 100-ms quanta.
const OBSERVATION_LENGTH_MIN: Span = Span::from_seconds(1);
/// Looks further apart do not belong to one observation.
const LOOK_GAP_MAX: Span = Span::from_seconds(10);
/// Observations in the median: enough to outvote a burst, few enough to follow the link.
const OBSERVATIONS_MAX: usize = 32;
/// Links do not keep their load for longer.
const OBSERVATION_AGE_MAX: Span = Span::from_seconds(3600);

/// The meter of one host.
#[derive(Debug, Default)]
pub(crate) struct LinkMeter {
    capped: BTreeSet<VmId>,
    last: Option<(Timestamp, BTreeMap<VmId, Bytes>)>,
    gathered: Bytes,
    over: Span,
    recent: VecDeque<(Timestamp, BytesPerSecond)>,
}

impl LinkMeter {
    /// From now on, migrations of `vms` are held back by a limit of their own, and no others.
    pub(crate) fn capped(&mut self, vms: &[VmId]) {
        self.capped = vms.iter().cloned().collect();
    }

    /// Takes a look: bytes sent so far by every migration that leaves the host now.
    pub(crate) fn look(&mut self, at: Timestamp, sent: BTreeMap<VmId, Bytes>) {
        let before = self.last.take();
        if sent.keys().any(|vm| self.capped.contains(vm)) {
            (self.gathered, self.over) = (Bytes::ZERO, Span::ZERO);
            return;
        }
        if let Some((before_at, before)) = before {
            let elapsed = at.since(before_at);
            // Only migrations past their preparation in both looks show the link.
            let moved: Vec<Bytes> = sent
                .iter()
                .filter_map(|(vm, now)| before.get(vm).map(|then| (*now, *then)))
                .filter(|(now, then)| *then > Bytes::ZERO && now >= then)
                .map(|(now, then)| now.saturating_sub(then))
                .collect();
            if !moved.is_empty() && elapsed > Span::ZERO && elapsed <= LOOK_GAP_MAX {
                self.gathered += moved.into_iter().sum();
                self.over += elapsed;
            }
        }
        if self.over >= OBSERVATION_LENGTH_MIN {
            let rate = self.gathered.as_f64() / self.over.as_seconds_f64();
            self.observe(at, BytesPerSecond::new(rate as u64));
        }
        if sent.is_empty() {
            (self.gathered, self.over) = (Bytes::ZERO, Span::ZERO);
        } else {
            self.last = Some((at, sent));
        }
    }

    /// Takes the mean throughput of a whole migration.
    pub(crate) fn observe(&mut self, at: Timestamp, bandwidth: BytesPerSecond) {
        (self.gathered, self.over) = (Bytes::ZERO, Span::ZERO);
        if bandwidth == BytesPerSecond::ZERO {
            return;
        }
        self.recent.push_back((at, bandwidth));
        while self.recent.len() > OBSERVATIONS_MAX {
            self.recent.pop_front();
        }
    }

    /// The median of the observations of the last hour before `now`.
    pub(crate) fn median(&self, now: Timestamp) -> Option<BytesPerSecond> {
        let mut rates: Vec<BytesPerSecond> = self
            .recent
            .iter()
            .filter(|(at, _)| now.since(*at) <= OBSERVATION_AGE_MAX)
            .map(|(_, rate)| *rate)
            .collect();
        rates.sort_unstable();
        rates.get(rates.len() / 2).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_micros(0) + Span::from_millis(millis)
    }

    fn sent(figures: &[(&str, u64)]) -> BTreeMap<VmId, Bytes> {
        figures.iter().map(|(vm, mib)| (VmId::new(vm).unwrap(), Bytes::mib(*mib))).collect()
    }

    #[test]
    fn parallel_migrations_share_the_link() {
        let mut meter = LinkMeter::default();
        meter.look(at(0), sent(&[("a", 0), ("b", 4)]));
        for step in 1..=10 {
            meter.look(at(step * 200), sent(&[("a", step * 4), ("b", 4 + step * 8)]));
        }
        assert_eq!(meter.median(at(2000)), Some(BytesPerSecond::mib(60)), "12 MiB each 200 ms");
        assert_eq!(meter.median(at(4_000_000)), None, "an hour later nobody knows");
    }

    #[test]
    fn a_cap_is_not_the_link() {
        let mut meter = LinkMeter::default();
        meter.capped(&[VmId::new("a").unwrap()]);
        for step in 1..=10 {
            meter.look(at(step * 200), sent(&[("a", step), ("b", step)]));
        }
        assert_eq!(meter.median(at(2000)), None);
        meter.capped(&[]);
        for step in 11..=20 {
            meter.look(at(step * 200), sent(&[("b", step * 4)]));
        }
        assert_eq!(meter.median(at(4000)), Some(BytesPerSecond::mib(20)));
    }

    #[test]
    fn preparation_gaps_and_restarts_are_not_bandwidth() {
        let mut meter = LinkMeter::default();
        meter.look(at(0), sent(&[("a", 0)]));
        meter.look(at(2000), sent(&[("a", 0)]));
        meter.look(at(4000), sent(&[("a", 10)]));
        assert_eq!(meter.median(at(4000)), None, "nothing was sent in the look before");
        meter.look(at(60_000), sent(&[("a", 500)]));
        assert_eq!(meter.median(at(60_000)), None, "a gap");
        meter.look(at(61_000), sent(&[("a", 3)]));
        assert_eq!(meter.median(at(61_000)), None, "another job of the same guest");
        meter.observe(at(61_000), BytesPerSecond::mib(30));
        meter.observe(at(61_000), BytesPerSecond::ZERO);
        assert_eq!(meter.median(at(61_000)), Some(BytesPerSecond::mib(30)));
    }
}
