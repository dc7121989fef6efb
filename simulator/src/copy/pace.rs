//! What a page costs on the wire and on the processor, and how far a cap lets a stream go.
//!
//! Never here: which pages are sent.

use whimbrel_core::{
    settings::{Compression, MigrationSettings, Transport},
    units::{BytesPerSecond, GUEST_PAGE, Share},
};

use super::bitmap::{Cost, Costs};
use crate::physics::{Physics, StreamPhysics};

/// Header of a page that travels as a difference: offset, flag and length (`migration/ram.c`).
const DELTA_HEADER_BYTES: f64 = 11.0;

/// Paces of one migration, whatever the link gives.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pace {
    /// Length of a rate-limiting period as it really is, in seconds.
    pub(crate) period: f64,
    /// Time between two looks up where no budget stops the stream, in seconds.
    pub(crate) look_up: f64,
    /// Wire bytes of one period after which QEMU stops; infinity without a cap.
    pub(crate) budget: f64,
    /// Pages between two looks at the budget.
    pub(crate) grain: u32,
    page: f64,
    zero: Cost,
    /// Bytes and processor seconds of a page that does not compress and of one that does.
    random: Cost,
    text: Cost,
    delta_seconds: f64,
    /// Ceiling of encryption, bytes a second.
    ceiling: f64,
    /// Processors that work on the stream at once.
    at_once: f64,
    /// Core-seconds for a byte of plain stream, of the sender and of the receiver.
    plain_seconds: [f64; 2],
}

/// Bytes of a GiB.
const GIB: f64 = 1_073_741_824.0;

impl Pace {
    /// Of a migration with `settings`.
    pub(crate) fn new(settings: &MigrationSettings, physics: &Physics) -> Self {
        let stream = &physics.stream;
        let several = settings.channels > 1;
        let page = physics.page_on_wire.as_f64();
        let at_once = f64::from(u32::from(settings.channels).min(stream.free_cores).max(1));
        let whole = Cost { bytes: page, seconds: 0.0 };
        let (random, text) = match settings.compression {
            Compression::Zlib => packed(stream.zlib, stream.zlib_left, at_once, page),
            Compression::Zstd => packed(stream.zstd, stream.zstd_left, at_once, page),
            Compression::None | Compression::Xbzrle { .. } => (whole, whole),
        };
        let zeros_at_once = if several { at_once } else { 1.0 };
        let zero = Cost {
            bytes: physics.zero_page_on_wire.as_f64(),
            seconds: 1.0 / (physics.zero_pages_per_second * zeros_at_once),
        };
        let encrypts = settings.transport == Transport::Tls;
        let ceiling = if encrypts { stream.tls_stream.as_f64() * at_once } else { f64::INFINITY };
        let mut pace = Self {
            period: (physics.quantum + stream.period_overrun).as_seconds_f64(),
            look_up: stream.look_up.as_seconds_f64(),
            budget: f64::INFINITY,
            grain: stream.pages_a_flush,
            page,
            zero,
            random,
            text,
            delta_seconds: 1.0 / stream.xbzrle_pages_per_second,
            ceiling,
            at_once,
            plain_seconds: [stream.sender_core_seconds_a_gib, stream.receiver_core_seconds_a_gib]
                .map(|seconds| seconds / GIB),
        };
        if let Some(cap) = settings.bandwidth_limit {
            pace.budget = cap.as_f64() * physics.quantum.as_seconds_f64();
            if several {
                pace.count_late(settings.channels, stream);
            }
        }
        pace
    }

    /// Channels count a packet once it is sent (`multifd_send_thread`): what is under way when the
    /// budget is used up goes beyond it.
    fn count_late(&mut self, channels: u8, stream: &StreamPhysics) {
        let packet = f64::from(stream.packet_pages) * self.page;
        let packets = (self.budget / packet).ceil() + f64::from(channels) * stream.packets_beyond;
        self.budget = packets * packet;
        self.grain = stream.packet_pages;
    }

    /// Costs where the link gives `rate` bytes a second, more than 0.
    pub(crate) fn costs(&self, rate: f64) -> Costs {
        let rate = rate.min(self.ceiling);
        let on_link =
            |Cost { bytes, seconds }: Cost| Cost { bytes, seconds: seconds.max(bytes / rate) };
        Costs {
            zero: on_link(self.zero),
            random: on_link(self.random),
            text: on_link(self.text),
            delta: Cost { bytes: DELTA_HEADER_BYTES, seconds: self.delta_seconds },
            delta_byte_seconds: 1.0 / rate,
        }
    }

    /// Costs of pages after a switch to post-copy: they travel plainly.
    pub(crate) fn plain_costs(&self, rate: f64) -> Costs {
        let plain = Cost { bytes: self.page, seconds: 0.0 };
        Self { random: plain, text: plain, ..self.clone() }.costs(rate)
    }

    /// What the stream carries in the mean under its cap, bytes a second; infinity without one.
    /// The budget is exceeded by what is in the buffer when it is used up.
    pub(crate) fn capped_rate(&self) -> f64 {
        let flush = f64::from(self.grain) * self.page;
        (self.budget / flush).ceil() * flush / self.period
    }

    /// The most that the stream asks of a link for content of which `text` compresses, bytes a
    /// second: its cap or what its processors make of it.
    pub(crate) fn demand(&self, text: f64) -> f64 {
        let Cost { bytes, seconds } = self.text.mixed(text, self.random);
        let made = if seconds > 0.0 { bytes / seconds } else { f64::INFINITY };
        made.min(self.ceiling).min(self.capped_rate())
    }
}

impl Pace {
    /// Cores of sender and receiver at `rate` bytes a second, `text` of the content compressing.
    /// Encrypting takes either as long; compressing is the sender's.
    pub(crate) fn cores(&self, rate: f64, text: f64) -> (f64, f64) {
        let Cost { bytes, seconds } = self.text.mixed(text, self.random);
        let encrypting = self.at_once / self.ceiling;
        let [sending, receiving] = self.plain_seconds.map(|plain| (plain + encrypting) * rate);
        (sending + rate / bytes * seconds * self.at_once, receiving)
    }
}

/// Compressed pages: wire bytes, and the time that `at_once` processors take for one.
fn packed(speed: [BytesPerSecond; 2], left: [Share; 2], at_once: f64, page: f64) -> (Cost, Cost) {
    let header = page - GUEST_PAGE.as_f64();
    let [random, text] = [0, 1].map(|kind: usize| {
        let pick = |one: f64, two: f64| if kind == 0 { one } else { two };
        let speed = pick(speed[0].as_f64(), speed[1].as_f64());
        let left = pick(left[0].get(), left[1].get());
        Cost {
            bytes: header + GUEST_PAGE.as_f64() * left,
            seconds: GUEST_PAGE.as_f64() / (speed * at_once),
        }
    });
    (random, text)
}
