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

/// A page with content on the wire, sent without any encoding, in bytes.
pub(super) const PAGE_WIRE: f64 = 4096.0 + PAGE_HEADER_BYTES;

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

/// Pages that compress better than this are not compressed faster.
const RATIO_MIN: f64 = 0.2;

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
    /// What is left of a round goes out at once where several channels have packets to spare: of
    /// more guest memory than this QEMU sleeps to the end of the quantum all the same.
    pub at_once: Option<f64>,
    /// Guest memory a second that the link carries.
    pub line: f64,
}

impl Pace {
    /// What QEMU measures as bandwidth, bytes on the wire a second.
    pub(super) fn bandwidth(self) -> f64 {
        self.memory * self.wire
    }

    /// Seconds in which `sent` goes out, and the bandwidth that QEMU then sees; `None` where the
    /// one before stays.
    pub(super) fn seconds(self, sent: f64) -> (f64, Option<f64>) {
        let whole = sent / self.memory;
        let Some(at_once) = self.at_once else {
            return (whole, None);
        };
        let quanta = (whole / QUANTUM_SECONDS).floor();
        let rest = sent - quanta * self.memory * QUANTUM_SECONDS;
        let before = (quanta > 0.0).then_some(self.bandwidth());
        if rest > at_once {
            ((quanta + 1.0) * QUANTUM_SECONDS, Some(rest * self.wire / QUANTUM_SECONDS))
        } else {
            (quanta * QUANTUM_SECONDS + rest / self.line, before)
        }
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
    queue: f64,
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
            queue: migration.queue.as_f64(),
        }
    }

    /// Gives it another part of the link.
    pub(super) fn share(&mut self, stream: BytesPerSecond, line: BytesPerSecond, capped: bool) {
        self.rate = stream.as_f64().max(1.0);
        self.line = line.as_f64().max(1.0);
        self.capped = capped;
    }

    /// What the link carries, bytes a second.
    pub(super) fn line(&self) -> f64 {
        self.line
    }

    /// Whether its cap holds it.
    pub(super) fn capped(&self) -> bool {
        self.capped
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
            at_once: (held_by_cap && cap > self.rate).then_some(self.rate / wire * QUANTUM_SECONDS),
            line: self.line / wire,
        }
    }

    /// Seconds to send `rest` with the vCPUs stopped, when the cap is lifted.
    pub(super) fn stopped_seconds(&self, rest: f64, cached: f64) -> f64 {
        let wire = self.wire(cached);
        // A link that holds the stream back has its queue to drain first.
        let queue = if self.capped { 0.0 } else { self.queue };
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

    fn over_cap(&self, wire: f64) -> f64 {
        if self.channels < 2.0 || self.qemu < CHANNELS_COUNT_SENT {
            return self.rate;
        }
        (self.rate + beyond_cap(self.channels, wire)).min(self.line.max(self.rate))
    }

    /// Guest memory a second that the CPU can prepare.
    fn by_cpu(&self, cached: f64) -> f64 {
        match self.encoding {
            Encoding::Delta { .. } if cached > 0.0 => {
                DELTA_PAGES_PER_SECOND * GUEST_PAGE.as_f64() / cached
            }
            Encoding::Stream { ratio, page_bytes_per_second } => {
                page_bytes_per_second.as_f64().max(1.0) / ratio.clamp(RATIO_MIN, 1.0)
            }
            Encoding::Plain | Encoding::Delta { .. } => f64::INFINITY,
        }
    }
}

/// Bytes a second by which several channels overshoot a cap, with `wire` bytes sent for a byte of
/// guest memory: the packets that are under way when it is reached, one a channel and half of one
/// that is being filled, are counted when they are sent, after the next quantum's count began.
pub(crate) fn beyond_cap(channels: f64, wire: f64) -> f64 {
    (channels + 0.5) * PACKET_BYTES * wire / QUANTUM_SECONDS
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
