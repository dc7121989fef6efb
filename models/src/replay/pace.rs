//! What a page costs on the wire and on the CPU, and on which grid QEMU looks up from sending.
//!
//! Never knows which pages are dirty.

use whimbrel_core::{
    settings::QemuVersion,
    units::{BytesPerSecond, GUEST_PAGE},
};

use super::{Encoding, Migration};

/// Header of a page on the wire: its offset, with flags or within a packet.
const PAGE_HEADER_BYTES: f64 = 8.0;

/// A zero page on the wire: header and a fill byte.
const ZERO_PAGE_WIRE_BYTES: f64 = 9.0;

/// Header of a page that is sent as a difference: offset, flag and length.
const DELTA_HEADER_BYTES: f64 = 11.0;

/// Zero pages that one thread of QEMU finds a second at most, whatever the link carries: counted
/// in the samples of real migrations.
const ZERO_PAGES_PER_SECOND: f64 = 2e6;

/// Pages that QEMU's one migration thread can compare with its cache and encode a second: about
/// 1 GB/s. An order of magnitude.
const DELTA_PAGES_PER_SECOND: f64 = 250_000.0;

/// Length of QEMU's rate-limiting quantum (`BUFFER_DELAY`), in seconds: a stream that reaches its
/// cap sleeps to the end of it.
pub(super) const QUANTUM_SECONDS: f64 = 0.1;

/// Time after which QEMU looks up from sending (`MAX_WAIT`), in seconds: the grid of a stream
/// that the link or the CPU holds back, not the cap.
const LOOK_UP_SECONDS: f64 = 0.05;

/// Guest memory in one packet of a channel (`MULTIFD_PACKET_SIZE`), in bytes.
const PACKET_BYTES: f64 = 524_288.0;

/// What the sender's socket and the shaper before the link still hold when QEMU believes it sent,
/// in bytes: Linux lets a TCP socket buffer grow to 4 MiB (`tcp_wmem`) as it needs. Downtimes over
/// shaped links of 9 and 27 MiB/s told of 0.6 to 3.2 MiB.
const SOCKET_QUEUE_BYTES: f64 = 1_572_864.0;

/// First QEMU whose channels count a packet against the cap once it is sent, as it was sent.
/// Before, pages were counted when they were handed to a channel, uncompressed.
const CHANNELS_COUNT_SENT: QemuVersion = QemuVersion::new(8, 2);

/// First QEMU whose channels look for zero pages, not the one thread that feeds them.
const CHANNELS_FIND_ZEROS: QemuVersion = QemuVersion::new(9, 0);

/// How fast pages with content go out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Guest memory a second. Above 0.
    pub memory: f64,
    /// Bytes on the wire for a byte of guest memory.
    pub wire: f64,
    /// Time between two looks at what remains, in seconds.
    pub grid_seconds: f64,
}

impl Pace {
    /// What QEMU measures as bandwidth, bytes on the wire a second.
    pub(super) fn bandwidth(self) -> f64 {
        self.memory * self.wire
    }
}

/// The stream of one migration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream {
    encoding: Encoding,
    channels: f64,
    qemu: QemuVersion,
    /// Bytes on the wire a second before and at the switch-over.
    rate: f64,
    line: f64,
    capped: bool,
}

impl Stream {
    pub(super) fn new(migration: &Migration) -> Self {
        Self {
            encoding: migration.encoding,
            channels: f64::from(migration.channels.max(1)),
            qemu: migration.qemu,
            rate: migration.stream.as_f64().max(1.0),
            line: migration.line.as_f64().max(1.0),
            capped: migration.capped,
        }
    }

    /// Gives it another part of the link.
    pub(super) fn share(&mut self, stream: BytesPerSecond, line: BytesPerSecond, capped: bool) {
        self.rate = stream.as_f64().max(1.0);
        self.line = line.as_f64().max(1.0);
        self.capped = capped;
    }

    /// The pace before switch-over, if `cached` (0..=1) of the pages can go as differences.
    pub(super) fn sending(&self, cached: f64) -> Pace {
        let wire = self.wire(cached);
        let cap = if self.capped { self.over_cap(wire) } else { self.rate };
        let by_wire = match self.encoding {
            Encoding::Stream { .. } if self.capped && self.qemu < CHANNELS_COUNT_SENT => {
                self.rate.min(self.line / wire)
            }
            _ => cap / wire,
        };
        let by_cpu = self.by_cpu(cached);
        let held_by_cap = self.capped && by_wire <= by_cpu;
        Pace {
            memory: by_wire.min(by_cpu).max(f64::MIN_POSITIVE),
            wire,
            grid_seconds: if held_by_cap { QUANTUM_SECONDS } else { LOOK_UP_SECONDS },
        }
    }

    /// Seconds to send `rest` with the vCPUs stopped, when the cap is lifted.
    pub(super) fn stopped_seconds(&self, rest: f64, cached: f64) -> f64 {
        let wire = self.wire(cached);
        // A link that holds the stream back has its queue to drain first.
        let queue = if self.capped { 0.0 } else { SOCKET_QUEUE_BYTES };
        ((rest * wire + queue) / self.line).max(rest / self.by_cpu(cached))
    }

    /// Bytes on the wire for a byte of guest memory.
    pub(super) fn wire(&self, cached: f64) -> f64 {
        let page = GUEST_PAGE.as_f64();
        let whole = (page + PAGE_HEADER_BYTES) / page;
        match self.encoding {
            Encoding::Plain => whole,
            Encoding::Delta { delta_bytes, .. } => {
                let delta = (DELTA_HEADER_BYTES + delta_bytes.clamp(0.0, page)) / page;
                cached * delta.min(whole) + (1.0 - cached) * whole
            }
            Encoding::Stream { ratio, .. } => ratio.max(1e-6) + PAGE_HEADER_BYTES / page,
        }
    }

    /// Seconds and bytes on the wire of `pages` zero pages.
    pub(super) fn zeros(&self, pages: f64) -> (f64, f64) {
        let finders = if self.qemu < CHANNELS_FIND_ZEROS { 1.0 } else { self.channels };
        let each = (ZERO_PAGE_WIRE_BYTES / self.rate).max(1.0 / ZERO_PAGES_PER_SECOND / finders);
        (pages * each, pages * ZERO_PAGE_WIRE_BYTES)
    }

    /// A cap is overshot by the packets that are under way when it is reached, one a channel and
    /// half of one that is being filled: they are counted when they are sent, after the next
    /// quantum's count began.
    fn over_cap(&self, wire: f64) -> f64 {
        if self.channels < 2.0 || self.qemu < CHANNELS_COUNT_SENT {
            return self.rate;
        }
        let under_way = (self.channels + 0.5) * PACKET_BYTES * wire;
        (self.rate + under_way / QUANTUM_SECONDS).min(self.line.max(self.rate))
    }

    /// Guest memory a second that the CPU can prepare.
    fn by_cpu(&self, cached: f64) -> f64 {
        match self.encoding {
            Encoding::Delta { .. } if cached > 0.0 => {
                DELTA_PAGES_PER_SECOND * GUEST_PAGE.as_f64() / cached
            }
            Encoding::Stream { page_bytes_per_second, .. } => {
                page_bytes_per_second.as_f64().max(1.0)
            }
            Encoding::Plain | Encoding::Delta { .. } => f64::INFINITY,
        }
    }
}

/// Bytes on the wire of `memory` with content and of `zero_pages`, sent without any encoding.
pub(super) fn plain_wire(memory: f64, zero_pages: f64) -> f64 {
    let page = GUEST_PAGE.as_f64();
    memory * (page + PAGE_HEADER_BYTES) / page + zero_pages * ZERO_PAGE_WIRE_BYTES
}

/// Seconds for `zero_pages` beside their time on the wire.
pub(super) fn zero_seconds(zero_pages: f64) -> f64 {
    zero_pages / ZERO_PAGES_PER_SECOND
}
