//! The physical constants of a simulated migration, with their sources.
//!
//! What a migration does with them is in `copy`; both are written apart from the
//! predictor and share nothing with it but the readings, so that comparing the two says something.

use rand::RngExt;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use whimbrel_core::{
    ids::OrderId,
    settings::{MigrationSettings, Mode, Transport},
    units::{Bytes, BytesPerSecond, Span},
};

use crate::kernel::Streams;

mod laboratory;
mod learnt;
mod stream;

pub use learnt::content_of;
pub use stream::StreamPhysics;

/// Physical constants of migrations and of what is seen of them. Files may give any subset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Physics {
    /// QEMU's rate-limit period: the budget of a migration is given out, and its switch-over
    /// considered, once in it. Range 1 ms..=10 s. Source: `BUFFER_DELAY` in `migration/migration.h`.
    pub quantum: Span,
    /// Wire cost of a page with content: 4096 bytes and an 8-byte header. Source:
    /// `save_normal_page` and `save_page_header` in `migration/ram.c`.
    pub page_on_wire: Bytes,
    /// Wire cost of an all-zero page: header and one byte. Source: `save_zero_page` in
    /// `migration/ram.c`.
    pub zero_page_on_wire: Bytes,
    /// All-zero pages that one thread finds and sends a second. Range: above 0. Source: measured
    /// on QEMU 7.2, about two million.
    pub zero_pages_per_second: f64,
    /// Memory whose dirty log is cleared together, when its first page is about to be sent.
    /// Source: `clear_bmap_shift` in `migration/ram.c`, 2^18 pages.
    pub log_clear_chunk: Bytes,
    /// libvirt's preparation and the target's QEMU start: drawn evenly from this range. Source:
    /// lab runs at dirty rate 0 took 1.0 to 1.5 s longer than their bytes did.
    pub setup: Range,
    /// Device state, inactivation of disks and the target's acknowledgement, beside the pages
    /// that are sent while the guest is stopped. Source: the shortest lab downtimes, 40 to 80 ms
    /// with 10 to 40 ms of pages in them.
    pub device_downtime: Range,
    /// The same where post-copy moves the guest: QEMU counts until it has sent the device state,
    /// not until the target runs. Source: the laboratory's learning guests.
    pub post_copy_downtime: Range,
    /// From the guest's resumption until its users reach it: announcements and what the network
    /// needs to learn its new place. Drawn evenly from this range. Source: QEMU announces after
    /// 50 ms and four times more within 1.5 s (`announce-initial`, `-step`).
    pub announcement: Range,
    /// Part of its rate that a stream achieves: drawn evenly from this range. Source: lab runs
    /// repeated at one setting spread by 3 %.
    pub efficiency: RangeF64,
    /// From the VM running at the target to the call's return with its figures. Source: libvirt
    /// cleans up both ends before it answers; 50 to 250 ms in the lab.
    pub report_delay: Range,
    /// From the request to cancel until the job is gone. Source: lab, under 0.1 s.
    pub cancel_delay: Span,
    /// From the loss of a host's power or link until calls and streams over it fail and the host
    /// counts as unreachable: neither says goodbye.
    /// Source: libvirt's keepalive of 5 s x 3; the lab's calls failed after 18 s.
    pub keepalive: Span,
    /// From power on until the host answers. An assumption.
    pub boot: Span,
    /// What QEMU's stream costs.
    pub stream: StreamPhysics,
    /// NIC payload where a host was never measured. Source: TCP over Gigabit Ethernet with
    /// 1500-byte frames carries 117 MB/s.
    pub link_bandwidth: BytesPerSecond,
    /// What a guest is taken to write where it was never measured. An assumption between an idle
    /// guest and a busy one: a guest without readings must not look free of cost.
    pub unmeasured_writes: BytesPerSecond,
    /// Each host is read once in this period, hosts at different moments; zero reads all of them
    /// at every look. Source: the collector's default.
    pub collection_period: Span,
    /// Hosts with a migration under way are read again after this. Source: what the controller
    /// asks of its collector.
    pub interest_period: Span,
}

/// A span drawn evenly between two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// Shortest.
    pub least: Span,
    /// Longest.
    pub most: Span,
}

/// A number drawn evenly between two ends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RangeF64 {
    /// Smallest.
    pub least: f64,
    /// Largest.
    pub most: f64,
}

impl Default for Physics {
    fn default() -> Self {
        let millis =
            |least, most| Range { least: Span::from_millis(least), most: Span::from_millis(most) };
        Self {
            quantum: Span::from_millis(100),
            page_on_wire: Bytes::new(4096 + 8),
            zero_page_on_wire: Bytes::new(8 + 1),
            zero_pages_per_second: 2e6,
            log_clear_chunk: Bytes::mib(1024),
            setup: millis(1000, 1500),
            device_downtime: millis(20, 60),
            post_copy_downtime: millis(2, 10),
            announcement: millis(50, 250),
            efficiency: RangeF64 { least: 0.97, most: 1.0 },
            report_delay: millis(50, 250),
            cancel_delay: Span::from_millis(100),
            keepalive: Span::from_seconds(18),
            boot: Span::from_seconds(60),
            stream: StreamPhysics::default(),
            link_bandwidth: BytesPerSecond::new(117_000_000),
            unmeasured_writes: BytesPerSecond::mib(10),
            collection_period: Span::from_seconds(1),
            interest_period: Span::from_millis(200),
        }
    }
}

/// A constant that is out of its range.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("physics.{key} is out of range (hint: {key} takes {range})")]
pub struct PhysicsError {
    /// The constant.
    pub key: &'static str,
    /// What is accepted.
    pub range: &'static str,
}

impl Physics {
    /// Whether every constant is in its range.
    ///
    /// # Errors
    /// [`PhysicsError`] for the first one that is not.
    pub fn check_ranges(&self) -> Result<(), PhysicsError> {
        let ordered = |range: Range| range.least <= range.most && range.most <= DAY;
        let quantum = self.quantum.as_micros();
        let RangeF64 { least, most } = self.efficiency;
        let zero = self.zero_pages_per_second;
        let (page, zero_page) = (self.page_on_wire.get(), self.zero_page_on_wire.get());
        let period = self.collection_period;
        let rules = [
            ("quantum", (1000..=10_000_000).contains(&quantum), "1 ms to 10 s"),
            ("page_on_wire", (1..=1 << 20).contains(&page), "1 B to 1 MiB"),
            ("zero_page_on_wire", (1..=1 << 20).contains(&zero_page), "1 B to 1 MiB"),
            ("zero_pages_per_second", zero >= 1.0 && zero.is_finite(), "1 or more"),
            ("setup", ordered(self.setup), "least up to most, at most 1 d"),
            ("device_downtime", ordered(self.device_downtime), "least up to most, at most 1 d"),
            (
                "post_copy_downtime",
                ordered(self.post_copy_downtime),
                "least up to most, at most 1 d",
            ),
            ("announcement", ordered(self.announcement), "least up to most, at most 1 d"),
            ("report_delay", ordered(self.report_delay), "least up to most, at most 1 d"),
            (
                "efficiency",
                least > 0.0 && least <= most && most <= 1.0,
                "least up to most in 0..=1",
            ),
            ("link_bandwidth", self.link_bandwidth.get() > 0, "more than 0 B/s"),
            (
                "collection_period",
                period == Span::ZERO || period >= Span::from_millis(10),
                "0 s, or 10 ms or more",
            ),
        ];
        let wrong = rules.into_iter().find(|(_, holds, _)| !holds);
        let wrong = wrong.map(|(key, _, range)| (key, range)).or(self.stream.out_of_range());
        wrong.map_or(Ok(()), |(key, range)| Err(PhysicsError { key, range }))
    }

    /// Time that the end of a stream takes to get through socket and shaper of a link that is
    /// full at `rate` bytes a second, more than 0.
    pub(crate) fn queue(&self, rate: f64) -> Span {
        Span::from_seconds_f64(self.stream.socket_queue.as_f64() / rate) + self.stream.link_queue
    }

    /// Handshakes of a migration with `settings`.
    fn handshakes(&self, settings: &MigrationSettings) -> Span {
        match settings.transport {
            Transport::Tcp => Span::ZERO,
            Transport::Tls => self.stream.tls_setup,
        }
    }

    fn stop(&self, settings: &MigrationSettings) -> Range {
        match settings.mode {
            Mode::PostCopy => self.post_copy_downtime,
            Mode::PreCopy | Mode::AutoConverge => self.device_downtime,
        }
    }
}

const DAY: Span = Span::from_seconds(86_400);

/// What chance decides about one migration. Drawn from streams of its order alone, so that it does
/// not change when another migration is added.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Draws {
    pub(crate) setup: Span,
    pub(crate) device_downtime: Span,
    pub(crate) announcement: Span,
    pub(crate) report_delay: Span,
    /// 0..=1, of the rate that the network gives.
    pub(crate) efficiency: f64,
}

impl Draws {
    /// Of the order `order`, which is done with `settings`.
    pub(crate) fn of(
        order: &OrderId,
        settings: &MigrationSettings,
        physics: &Physics,
        streams: Streams,
    ) -> Self {
        let even = |purpose| streams.stream_of(purpose, order.as_str()).random::<f64>();
        Self::at(settings, physics, even)
    }

    /// The middle of everything.
    pub(crate) fn middle(settings: &MigrationSettings, physics: &Physics) -> Self {
        Self::at(settings, physics, |_| 0.5)
    }

    fn at(
        settings: &MigrationSettings,
        physics: &Physics,
        even: impl Fn(&'static str) -> f64,
    ) -> Self {
        let span = |purpose, range: Range| {
            let width = range.most.saturating_sub(range.least).as_seconds_f64();
            range.least + Span::from_seconds_f64(width * even(purpose))
        };
        let RangeF64 { least, most } = physics.efficiency;
        Self {
            setup: span("setup", physics.setup) + physics.handshakes(settings),
            device_downtime: span("device-downtime", physics.stop(settings)),
            announcement: span("announcement", physics.announcement),
            report_delay: span("report-delay", physics.report_delay),
            efficiency: least + (most - least) * even("bandwidth"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_in_range_and_nonsense_is_not() {
        assert_eq!(Physics::default().check_ranges(), Ok(()));
        let nan = RangeF64 { least: f64::NAN, most: 1.0 };
        let physics = Physics { efficiency: nan, ..Physics::default() };
        assert_eq!(physics.check_ranges().unwrap_err().key, "efficiency");
        let physics = Physics { quantum: Span::ZERO, ..Physics::default() };
        assert!(physics.check_ranges().unwrap_err().to_string().contains("1 ms to 10 s"));
    }

    #[test]
    fn draws_stay_in_their_ranges_and_belong_to_their_order() {
        let physics = Physics::default();
        let draw = |seed, order: &str| {
            let order = OrderId::new(order).unwrap();
            Draws::of(&order, &MigrationSettings::default(), &physics, Streams::new(seed))
        };
        for seed in 0..200 {
            let one = draw(seed, "p:0");
            assert!(one.setup >= physics.setup.least && one.setup <= physics.setup.most);
            assert!(one.efficiency >= 0.97 && one.efficiency <= 1.0);
            assert_eq!(one, draw(seed, "p:0"));
            assert_ne!(one, draw(seed, "p:1"));
        }
    }
}
