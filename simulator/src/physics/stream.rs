//! What QEMU's stream costs: ceilings of processors, queues, and what compression makes of a page.

use serde::{Deserialize, Serialize};
use whimbrel_core::units::{Bytes, BytesPerSecond, Share, Span};

/// Constants of the stream between two QEMUs. Files may give any subset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StreamPhysics {
    /// Pages with content that QEMU puts into its buffer before it looks at its budget again: the
    /// budget is exceeded by up to so many. Source: 64 vectors of `migration/qemu-file.c`, two a
    /// page; the laboratory's samples grow by multiples of 32. Range 1..=4096.
    pub pages_a_flush: u32,
    /// By how much a period of the rate limit is longer than it should be: waking up takes its
    /// time. Source: the laboratory's learning guests.
    pub period_overrun: Span,
    /// A stream that its budget does not stop is looked up from so often (`MAX_WAIT` in
    /// `migration/ram.c`). Range 1 ms..=10 s.
    pub look_up: Span,
    /// Pages in one packet of a channel (`MULTIFD_PACKET_SIZE`, 512 KiB). Range 1..=65536.
    pub packet_pages: u32,
    /// Packets a channel that are under way when the budget is used up: they were not counted
    /// yet. Source: the laboratory's learning guests. Range 0..=8.
    pub packets_beyond: f64,
    /// What one stream encrypts, bytes a second of one core. Source: published figures of one
    /// stream, 300 MB/s to 660 MB/s on a Xeon of 2023.
    pub tls_stream: BytesPerSecond,
    /// What one channel deflates of pages that do not compress, and of those that do.
    pub zlib: [BytesPerSecond; 2],
    /// The same with Zstandard.
    pub zstd: [BytesPerSecond; 2],
    /// What is left of a page that does not compress, and of one that does, with zlib.
    pub zlib_left: [Share; 2],
    /// The same with Zstandard.
    pub zstd_left: [Share; 2],
    /// Cores that a migration's channels find free on a host. Range 1..=4096.
    pub free_cores: u32,
    /// Pages that xbzrle compares and encodes a second.
    pub xbzrle_pages_per_second: f64,
    /// Part of a guest's content that compresses, where nobody knows. An assumption.
    pub text_share: Share,
    /// Bytes that a difference says of a page, where nobody knows. An assumption.
    pub delta: Bytes,
    /// What the sender's socket holds when QEMU believes it sent, on a link that is full.
    /// Source: the laboratory's learning guests; Linux lets it grow to 4 MiB.
    pub socket_queue: Bytes,
    /// Time that bytes wait in a shaper or a NIC before a link that is full. An assumption: Linux
    /// keeps a NIC's own queue to some milliseconds.
    pub link_queue: Span,
    /// Device state on the wire.
    pub device_state: Bytes,
    /// What a migration that encrypts spends on handshakes before its first page.
    pub tls_setup: Span,
    /// From the moment that post-copy is possible until it is asked for: the job is polled.
    pub post_copy_poll: Span,
    /// What one range of stale pages adds to post-copy's downtime. Source: 74 ms with about
    /// 80 000 ranges in published logs.
    pub discard_a_range: Span,
    /// Time that a guest waits for one page after the switch, beside the page's own on the wire.
    /// Source: 0.25 to 0.6 ms in published logs.
    pub fault_wait: Span,
    /// What the first write to a page costs its guest after the dirty log was cleared: it is caught
    /// once. An assumption of an exit and a page-table walk.
    pub log_write: Span,
    /// Core-seconds that the sender spends on a GiB of plain stream.
    pub sender_core_seconds_a_gib: f64,
    /// The same of the receiver.
    pub receiver_core_seconds_a_gib: f64,
}

impl Default for StreamPhysics {
    fn default() -> Self {
        let mib = BytesPerSecond::mib;
        Self {
            pages_a_flush: 32,
            period_overrun: Span::from_micros(200),
            look_up: Span::from_millis(50),
            packet_pages: 128,
            packets_beyond: 0.5,
            tls_stream: mib(500),
            zlib: [mib(23), mib(56)],
            zstd: [mib(140), mib(200)],
            zlib_left: [Share::ONE, Share::clamped(0.17)],
            zstd_left: [Share::ONE, Share::clamped(0.17)],
            free_cores: 4,
            xbzrle_pages_per_second: 250_000.0,
            text_share: Share::clamped(0.5),
            delta: Bytes::new(512),
            socket_queue: Bytes::mib(1),
            link_queue: Span::from_millis(5),
            device_state: Bytes::new(65_536),
            tls_setup: Span::from_millis(150),
            post_copy_poll: Span::from_millis(50),
            discard_a_range: Span::from_micros(1),
            fault_wait: Span::from_micros(400),
            log_write: Span::from_micros(2),
            sender_core_seconds_a_gib: 1.0,
            receiver_core_seconds_a_gib: 1.0,
        }
    }
}

impl StreamPhysics {
    /// The constants that are in no useful range, with what is.
    pub(super) fn out_of_range(&self) -> Option<(&'static str, &'static str)> {
        let some = |rate: BytesPerSecond| rate.get() > 0;
        let left = |shares: [Share; 2]| shares.iter().all(|share| share.get() > 0.0);
        let number = |value: f64| value >= 0.0 && value.is_finite();
        let cpu = [self.sender_core_seconds_a_gib, self.receiver_core_seconds_a_gib];
        let rates = [self.zlib, self.zstd].into_iter().flatten().all(some) && some(self.tls_stream);
        let look_up = self.look_up.as_micros();
        let rules = [
            ("pages_a_flush", (1..=4096).contains(&self.pages_a_flush), "1 to 4096"),
            ("look_up", (1000..=10_000_000).contains(&look_up), "1 ms to 10 s"),
            ("packet_pages", (1..=65_536).contains(&self.packet_pages), "1 to 65536"),
            ("packets_beyond", (0.0..=8.0).contains(&self.packets_beyond), "0 to 8"),
            ("tls_stream, zlib and zstd", rates, "more than 0 B/s"),
            ("zlib_left and zstd_left", left(self.zlib_left) && left(self.zstd_left), "above 0"),
            ("free_cores", (1..=4096).contains(&self.free_cores), "1 to 4096"),
            (
                "xbzrle_pages_per_second",
                self.xbzrle_pages_per_second >= 1.0 && number(self.xbzrle_pages_per_second),
                "1 or more",
            ),
            ("sender and receiver core-seconds", cpu.into_iter().all(number), "0 or more"),
        ];
        let wrong = rules.into_iter().find(|(_, holds, _)| !holds);
        wrong.map(|(key, _, range)| (key, range))
    }
}
