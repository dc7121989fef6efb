//! Replay of QEMU's migration loop, in every mode, on a unique-dirty curve.
//!
//! The rule is that of QEMU's `migration/migration.c` and `ram.c`, in own words. The stream has a
//! budget for every quantum of 100 ms. As soon as what is known to remain falls under the
//! threshold T = (bandwidth of the last quantum) x (downtime limit), the dirty bitmap is read
//! again; if the true remainder fits under T too, QEMU switches over, otherwise it goes on
//! sending. A round therefore never drains to zero, and it ends on a quantum's grid.
//!
//! `run` has the loop, `memory` what is dirty, `pace` what a page costs on the wire and on the
//! CPU, `cache` the pages that xbzrle can send as differences, `converge` auto-converge's
//! throttle, `serve` post-copy after the switch, [`stall`](stall()) where pre-copy hangs, and
//! [`replay_shared`] several migrations over one link.
//!
//! Approximated: pages are sent in address order, so what a round leaves over is a like share of
//! every class of memory; a sweep class has gone past what it left over (its writer and the
//! sender walk the same way), a random class hits leftovers like any other page. The threshold's
//! jitter on a link without a cap is left to the caller, who draws the bandwidth.

use whimbrel_core::{
    settings::{QemuVersion, Throttle},
    units::{Bytes, BytesPerSecond, Share, Span},
};

use crate::curve::DirtyCurve;

mod cache;
mod converge;
mod memory;
mod pace;
mod run;
mod serve;
mod shared;
mod stall;

#[cfg(test)]
mod measured;
#[cfg(test)]
mod tests;

pub(crate) use pace::beyond_cap;
pub use shared::replay_shared;
pub use stall::stall;

use run::Run;

/// A migration as far as its loop depends on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Migration {
    /// Memory with content: what the first pass sends.
    pub non_zero: Bytes,
    /// Memory that reads as zero: announced page by page.
    pub zero: Bytes,
    /// Part of it that lies behind all content. The other part lies evenly between it.
    pub zeros_last: Share,
    /// What the stream carries before the switch-over, headers included: its cap or its part of
    /// the link, whichever is less. Above 0.
    pub stream: BytesPerSecond,
    /// What the link carries at the switch-over, when the cap is lifted. Above 0.
    pub line: BytesPerSecond,
    /// Whether the stream is held by its cap rather than by the link.
    pub capped: bool,
    /// What the sender's socket and a shaper before the link still hold when QEMU believes it
    /// sent: Linux lets a TCP socket buffer grow to 4 MiB (`tcp_wmem`) as it needs.
    pub queue: Bytes,
    /// QEMU's downtime limit.
    pub downtime_limit: Span,
    /// How memory travels.
    pub method: Method,
    /// What is done to pages before they are sent.
    pub encoding: Encoding,
    /// Parallel streams; more than one is QEMU's `multifd`.
    pub channels: u8,
    /// What both ends can do.
    pub qemu: QemuVersion,
    /// Copying for longer than this is given up, whatever the loop does.
    pub patience: Span,
}

/// How memory travels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// Rounds of dirty pages while the guest runs on.
    PreCopy,
    /// Pre-copy that slows the guest's vCPUs step by step.
    AutoConverge(AutoConverge),
    /// Pre-copy, then the guest moves and fetches the rest.
    PostCopy(PostCopy),
}

/// How auto-converge acts on a guest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AutoConverge {
    /// The first throttle and its steps.
    pub throttle: Throttle,
    /// Part of the vCPUs' time that the guest needs to write as fast as it does, 0..=1. The
    /// throttle slows its writing only once it leaves less than that; 1 for a guest that writes
    /// as fast as it can, and where nothing is known.
    pub cpu_need: Share,
}

/// When and how post-copy moves the guest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PostCopy {
    /// Bitmap reads after the first before the switch: 0 switches at once, 1 after the first
    /// pass.
    pub reads: u32,
    /// What the background stream carries after the switch: its cap or its part of the link.
    /// Above 0.
    pub background: BytesPerSecond,
    /// vCPUs that may wait for pages at the same time. At least 1.
    pub vcpus: u32,
    /// How long a vCPU waits for one page.
    pub fault_wait: Span,
}

/// What is done to pages before they are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Encoding {
    /// Nothing.
    Plain,
    /// Pages that were resent before and are still in the cache travel as differences (`xbzrle`);
    /// only from the second pass on and never over several channels.
    Delta {
        /// Size of the cache.
        cache: Bytes,
        /// Encoded difference of a page, its header not counted. In bytes, 0..=4096.
        delta_bytes: f64,
    },
    /// Every channel compresses its pages (`multifd-compression`).
    Stream {
        /// Bytes on the wire for a byte of page with content. Above 0, below 1 where it helps.
        ratio: f64,
        /// What all channels together can compress of pages that do not get smaller.
        page_bytes_per_second: BytesPerSecond,
    },
}

/// How a replay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The rest fitted under the downtime limit.
    SwitchedOver,
    /// The guest was moved and fetched the rest.
    PostCopied,
    /// Rounds stopped getting shorter.
    Stalled,
    /// It copied for longer than the patience.
    OutOfPatience,
}

/// What a replay came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Replay {
    /// From the first page to the switch-over, or to where it was given up.
    pub copying: Span,
    /// vCPUs stopped for memory: sending the rest, or the bitmap of what post-copy discards.
    /// Without device state and hand-over.
    pub stopped: Span,
    /// From the switch to post-copy to the last page; zero in other modes.
    pub post_copy: Span,
    /// Bytes on the wire, headers included, the rest too.
    pub transferred: Bytes,
    /// Bitmap reads, QEMU's dirty-sync-count.
    pub iterations: u64,
    /// Length of the last round.
    pub last_round: Span,
    /// Memory newly dirtied in the last round.
    pub last_dirtied: Bytes,
    /// How it ended.
    pub verdict: Verdict,
    /// Auto-converge's throttle at the end, in percent.
    pub throttle_percent: u8,
    /// Part of their time that vCPUs slept for the throttle, 0..=1, over the copying.
    pub throttled: Share,
    /// Part of its writing that the guest did not get done for the throttle, 0..=1, over the
    /// copying.
    pub slowed: Share,
    /// Pages that the guest waited for after the switch to post-copy.
    pub faults: u64,
}

impl Replay {
    /// Whether the guest arrived.
    pub fn converged(&self) -> bool {
        matches!(self.verdict, Verdict::SwitchedOver | Verdict::PostCopied)
    }

    /// From the first page to the last one, without fixed costs.
    pub fn total(&self) -> Span {
        self.copying + self.stopped + self.post_copy
    }
}

/// Replays `migration` of a guest that dirties memory by `curve`.
pub fn replay(migration: &Migration, curve: &DirtyCurve) -> Replay {
    let mut run = Run::new(migration, curve);
    run.advance(f64::INFINITY);
    run.outcome()
}
