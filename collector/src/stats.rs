//! Parsing of libvirt's bulk statistics: key-value records into typed figures and states.
//!
//! Keys are those of `virConnectGetAllDomainStats` (libvirt-domain.h). An unknown key is skipped,
//! a value of the wrong type or sign counts as absent: a hypervisor of another version may never
//! stop the collection of the rest.

use whimbrel_core::{
    DomainState,
    units::{Bytes, MilliCores, Span, Timestamp},
};

use crate::jobs::JobLook;

/// One value of a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// A signed number.
    Int(i64),
    /// An unsigned number.
    UInt(u64),
    /// A floating-point number.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// Text.
    Text(&'a str),
}

impl Value<'_> {
    /// As an unsigned number; `None` for negative numbers and other types.
    pub fn as_u64(self) -> Option<u64> {
        match self {
            Self::Int(number) => u64::try_from(number).ok(),
            Self::UInt(number) => Some(number),
            Self::Float(_) | Self::Bool(_) | Self::Text(_) => None,
        }
    }

    /// As a signed number; `None` beyond its range and for other types.
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(number),
            Self::UInt(number) => i64::try_from(number).ok(),
            Self::Float(_) | Self::Bool(_) | Self::Text(_) => None,
        }
    }

    fn kib(self) -> Option<Bytes> {
        self.as_u64().map(|kib| Bytes::new(kib.saturating_mul(1024)))
    }
}

/// Figures of one domain. Counters are cumulative since its process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DomainStats {
    /// Virtual CPUs that are online.
    pub vcpus: Option<u32>,
    /// Memory that the balloon gives it now.
    pub memory: Option<Bytes>,
    /// Most memory that the balloon may give it.
    pub memory_max: Option<Bytes>,
    /// Memory of its process on the host.
    pub resident: Option<Bytes>,
    /// CPU time of its process, emulation and migration threads included.
    pub cpu_time: Option<Span>,
    /// Read from its disks.
    pub block_read: Option<Bytes>,
    /// Written to its disks.
    pub block_written: Option<Bytes>,
    /// Received by its networks.
    pub net_received: Option<Bytes>,
    /// Sent by its networks.
    pub net_sent: Option<Bytes>,
    /// The dirty-rate measurement, where the host reports one.
    pub dirty: Option<DirtyStatus>,
}

/// State and reason as numbers of `virDomainState` and its reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// `virDomainState`.
    pub state: i64,
    /// The reason; its meaning depends on the state.
    pub reason: i64,
}

/// How the last dirty-rate measurement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirtyStatus {
    /// Whether there is a result.
    pub measured: bool,
    /// When it began, in whole seconds of the host's clock.
    pub start_seconds: i64,
    /// Length of its window in seconds.
    pub window_seconds: u32,
    /// Distinct memory dirtied in the window, divided by the window, in MiB a second.
    pub rate_mib_per_second: Option<u64>,
}

const STATE_PAUSED: i64 = 3;
const STATE_SHUT_OFF: i64 = 5;

impl Status {
    /// Whether the domain has a process on the host.
    pub fn is_active(self) -> bool {
        self.state != STATE_SHUT_OFF
    }

    /// The state in our words.
    ///
    /// On both ends of a migration libvirt says `paused (migration)`: at the target while it
    /// waits, at the source from the switch-over on. `job` tells them apart, because libvirt
    /// refuses job statistics at the target; where it was not to be had, `ran_here` does (the
    /// domain was seen running on this host before).
    pub fn resolve(self, job: JobLook, ran_here: bool) -> DomainState {
        // Numbers of virDomainRunningReason and virDomainPausedReason.
        match (self.state, self.reason) {
            (1 | 2, 11) | (STATE_PAUSED, 13) => DomainState::PostCopyFailed,
            (0..=2, _) => DomainState::Running,
            (STATE_PAUSED, 2) => match job {
                JobLook::Migrating(_) => DomainState::Outgoing,
                JobLook::Unknown | JobLook::Idle if ran_here => DomainState::Outgoing,
                JobLook::AtTarget | JobLook::Unknown | JobLook::Idle => DomainState::Incoming,
            },
            (STATE_PAUSED, 11) => match job {
                JobLook::AtTarget | JobLook::Unknown => DomainState::Incoming,
                JobLook::Idle | JobLook::Migrating(_) => DomainState::Paused,
            },
            (STATE_PAUSED, 12) => DomainState::Outgoing,
            (STATE_SHUT_OFF, _) => DomainState::ShutOff,
            // Paused by a person or an error, shutting down, crashed with its process kept,
            // suspended by its guest, and whatever a later libvirt adds: it still holds memory.
            _ => DomainState::Paused,
        }
    }
}

/// Reads one record of bulk statistics.
pub fn parse_domain<'a>(
    record: impl IntoIterator<Item = (&'a str, Value<'a>)>,
) -> (Option<Status>, DomainStats) {
    let mut stats = DomainStats::default();
    let (mut state, mut reason) = (None, None);
    let mut dirty = DirtyFields::default();
    for (key, value) in record {
        let Some((group, rest)) = key.split_once('.') else { continue };
        match (group, rest) {
            ("state", "state") => state = value.as_i64(),
            ("state", "reason") => reason = value.as_i64(),
            ("cpu", "time") => {
                stats.cpu_time = value.as_u64().map(|nanos| Span::from_micros(nanos / 1000));
            }
            ("vcpu", "current") => {
                stats.vcpus = value.as_u64().and_then(|count| u32::try_from(count).ok());
            }
            ("balloon", "current") => stats.memory = value.kib(),
            ("balloon", "maximum") => stats.memory_max = value.kib(),
            ("balloon", "rss") => stats.resident = value.kib(),
            ("block", _) => match device_key(rest) {
                Some("rd.bytes") => add(&mut stats.block_read, value),
                Some("wr.bytes") => add(&mut stats.block_written, value),
                _ => {}
            },
            ("net", _) => match device_key(rest) {
                Some("rx.bytes") => add(&mut stats.net_received, value),
                Some("tx.bytes") => add(&mut stats.net_sent, value),
                _ => {}
            },
            ("dirtyrate", _) => dirty.take(rest, value),
            _ => {}
        }
    }
    stats.dirty = dirty.status();
    let status = state.map(|state| Status { state, reason: reason.unwrap_or(0) });
    (status, stats)
}

/// `rd.bytes` of `0.rd.bytes`; `None` where no device number leads.
fn device_key(rest: &str) -> Option<&str> {
    let (number, key) = rest.split_once('.')?;
    number.bytes().all(|b| b.is_ascii_digit()).then_some(key)
}

fn add(sum: &mut Option<Bytes>, value: Value<'_>) {
    if let Some(bytes) = value.as_u64() {
        *sum = Some(sum.unwrap_or_default() + Bytes::new(bytes));
    }
}

#[derive(Default)]
struct DirtyFields {
    status: Option<i64>,
    start: Option<i64>,
    period: Option<u64>,
    rate: Option<u64>,
}

impl DirtyFields {
    fn take(&mut self, key: &str, value: Value<'_>) {
        match key {
            "calc_status" => self.status = value.as_i64(),
            "calc_start_time" => self.start = value.as_i64(),
            "calc_period" => self.period = value.as_u64(),
            "megabytes_per_second" => self.rate = value.as_u64(),
            _ => {}
        }
    }

    fn status(&self) -> Option<DirtyStatus> {
        // virDomainDirtyRateStatus: 0 unstarted, 1 measuring, 2 measured.
        Some(DirtyStatus {
            measured: self.status? == 2,
            start_seconds: self.start.unwrap_or(0),
            window_seconds: u32::try_from(self.period.unwrap_or(0)).ok()?,
            rate_mib_per_second: self.rate,
        })
    }
}

/// CPU in use between two readings of a cumulative CPU time, each with its moment.
///
/// `None` when there is no earlier reading, when the counter went backwards (its process was
/// restarted), when no time passed, or when more than `gap_max` passed: a mean over a gap would
/// pass for a reading.
pub fn cpu_rate(
    before: Option<(Timestamp, Span)>,
    now: (Timestamp, Span),
    gap_max: Span,
) -> Option<MilliCores> {
    let (before_at, before_time) = before?;
    let elapsed = now.0.since(before_at);
    if elapsed == Span::ZERO || elapsed > gap_max || now.1 < before_time {
        return None;
    }
    let used = u128::from(now.1.saturating_sub(before_time).as_micros());
    let millicores = used * 1000 / u128::from(elapsed.as_micros());
    u64::try_from(millicores).ok().map(MilliCores::new)
}

#[cfg(test)]
mod tests {
    use whimbrel_core::cluster::JobProgress;

    use super::*;

    fn record() -> Vec<(&'static str, Value<'static>)> {
        vec![
            ("state.state", Value::Int(1)),
            ("state.reason", Value::Int(5)),
            ("cpu.time", Value::UInt(12_345_678_000)),
            ("cpu.user", Value::UInt(1)),
            ("balloon.current", Value::UInt(49_152)),
            ("balloon.maximum", Value::UInt(65_536)),
            ("balloon.rss", Value::UInt(73_000)),
            ("vcpu.current", Value::UInt(2)),
            ("vcpu.0.time", Value::UInt(99)),
            ("net.count", Value::UInt(2)),
            ("net.0.name", Value::Text("vnet0")),
            ("net.0.rx.bytes", Value::UInt(10)),
            ("net.1.rx.bytes", Value::UInt(5)),
            ("net.0.tx.bytes", Value::UInt(7)),
            ("block.count", Value::UInt(11)),
            ("block.0.rd.bytes", Value::UInt(100)),
            ("block.10.rd.bytes", Value::UInt(1)),
            ("block.0.wr.bytes", Value::UInt(u64::MAX)),
            ("block.10.wr.bytes", Value::UInt(3)),
            ("dirtyrate.calc_status", Value::Int(2)),
            ("dirtyrate.calc_start_time", Value::Int(1_700_000_000)),
            ("dirtyrate.calc_period", Value::Int(4)),
            ("dirtyrate.megabytes_per_second", Value::Int(20)),
            ("dirtyrate.calc_mode", Value::Text("page-sampling")),
            ("nonsense", Value::Float(f64::NAN)),
        ]
    }

    #[test]
    fn a_record_is_read_and_devices_are_summed() {
        let (status, stats) = parse_domain(record());
        assert_eq!(status, Some(Status { state: 1, reason: 5 }));
        assert_eq!(stats.cpu_time, Some(Span::from_micros(12_345_678)));
        assert_eq!(stats.memory, Some(Bytes::mib(48)));
        assert_eq!(stats.memory_max, Some(Bytes::mib(64)));
        assert_eq!(stats.resident, Some(Bytes::new(73_000 * 1024)));
        assert_eq!(stats.vcpus, Some(2));
        assert_eq!(stats.net_received, Some(Bytes::new(15)));
        assert_eq!(stats.block_read, Some(Bytes::new(101)));
        assert_eq!(stats.block_written, Some(Bytes::new(u64::MAX)), "saturates");
        let dirty = stats.dirty.unwrap();
        assert!(dirty.measured);
        assert_eq!((dirty.window_seconds, dirty.rate_mib_per_second), (4, Some(20)));
    }

    #[test]
    fn absent_and_absurd_values_are_absent() {
        let (status, stats) = parse_domain([
            ("balloon.current", Value::Int(-4)),
            ("vcpu.current", Value::UInt(1 << 40)),
            ("cpu.time", Value::Text("fast")),
            ("block..rd.bytes", Value::Bool(true)),
            ("dirtyrate.calc_period", Value::Int(1)),
        ]);
        assert_eq!((status, stats), (None, DomainStats::default()));
    }

    #[test]
    fn states_are_told_apart_on_both_ends_of_a_migration() {
        let paused_for_migration = Status { state: 3, reason: 2 };
        let migrating = JobLook::Migrating(JobProgress::default());
        for (status, job, ran_here, expected) in [
            ((1, 1), JobLook::Idle, true, DomainState::Running),
            ((1, 10), JobLook::AtTarget, false, DomainState::Running),
            ((1, 11), JobLook::Idle, false, DomainState::PostCopyFailed),
            ((3, 13), JobLook::Idle, true, DomainState::PostCopyFailed),
            ((3, 12), migrating, true, DomainState::Outgoing),
            ((3, 1), JobLook::Idle, true, DomainState::Paused),
            ((3, 5), JobLook::Idle, true, DomainState::Paused),
            ((3, 11), JobLook::AtTarget, false, DomainState::Incoming),
            ((3, 11), JobLook::Idle, false, DomainState::Paused),
            ((5, 1), JobLook::Unknown, true, DomainState::ShutOff),
            ((7, 0), JobLook::Idle, true, DomainState::Paused),
            ((99, 0), JobLook::Idle, true, DomainState::Paused),
        ] {
            let status = Status { state: status.0, reason: status.1 };
            assert_eq!(status.resolve(job, ran_here), expected, "{status:?} {job:?}");
        }
        assert_eq!(paused_for_migration.resolve(migrating, true), DomainState::Outgoing);
        assert_eq!(paused_for_migration.resolve(JobLook::AtTarget, false), DomainState::Incoming);
        assert_eq!(paused_for_migration.resolve(JobLook::Unknown, true), DomainState::Outgoing);
        assert_eq!(paused_for_migration.resolve(JobLook::Unknown, false), DomainState::Incoming);
    }

    proptest::proptest! {
        #[test]
        fn a_rate_is_never_made_of_a_restart_or_a_gap(
            start: u32, elapsed: u32, before: u32, after: u32, gap in 1_u32..,
        ) {
            let at = Timestamp::from_micros(start.into());
            let later = at + Span::from_micros(elapsed.into());
            let gap_max = Span::from_micros(gap.into());
            let rate = cpu_rate(
                Some((at, Span::from_micros(before.into()))),
                (later, Span::from_micros(after.into())),
                gap_max,
            );
            let sound = after >= before && elapsed > 0 && elapsed <= gap;
            proptest::prop_assert_eq!(rate.is_some(), sound);
            if let Some(rate) = rate {
                let exact = u64::from(after - before) * 1000 / u64::from(elapsed);
                proptest::prop_assert_eq!(rate.get(), exact);
            }
        }
    }
}
