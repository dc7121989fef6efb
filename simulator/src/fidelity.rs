//! Simulated migrations beside recorded ones: how far the physics are from reality.
//!
//! What a recorded guest did is known from its load, not from readings, and so is what its
//! migration was asked to do. Each is replayed page by page, or on the classes of pages that
//! clusters are simulated with, and its time, bytes, downtime and verdict are compared with what
//! was recorded. Values in, errors out.
//!
//! Never here: reading a recording, or fitting a constant.

use std::collections::BTreeMap;

use whimbrel_core::{
    settings::{Compression, MigrationSettings, Mode, QemuVersion, Transport},
    units::{Bytes, BytesPerSecond, Span},
};

use crate::{
    copy::{classes::ClassBitmap, pages::PageBitmap},
    kernel::Streams,
    physics::Physics,
};

mod coarse;
mod guest;
mod judge;
mod load;
mod replay;

pub use judge::{Errors, judge};
pub use load::{Load, LoadError, Shape};

/// A recorded migration.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Its name, of which its draws are made.
    pub name: String,
    /// The guest's memory.
    pub memory: Bytes,
    /// What the guest did.
    pub load: Load,
    /// How far the load was into its shape when the migration was asked for.
    pub phase: Span,
    /// How it was asked to be done.
    pub settings: MigrationSettings,
    /// What the path carries, payload only.
    pub path: BytesPerSecond,
    /// Cases of one number begin together and share the path of the first; a case without one has
    /// its path for itself.
    pub together: Option<u32>,
    /// The older of the two QEMU.
    pub qemu: QemuVersion,
    /// After how long it was given up.
    pub patience: Span,
    /// What came of it.
    pub recorded: Ending,
}

/// What came of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ending {
    /// Whether the guest arrived within the patience.
    pub arrived: bool,
    /// From the request to the end.
    pub total_time: Span,
    /// On the wire.
    pub transferred: Bytes,
    /// The guest stood still.
    pub downtime: Span,
    /// Bitmap reads.
    pub iterations: u64,
    /// The last throttle, in percent.
    pub throttle_percent: u8,
    /// Pages that the guest waited for after a switch to post-copy.
    pub post_copy_requests: u64,
}

/// How finely a guest's memory is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// Page by page.
    Pages,
    /// In classes, as clusters are simulated.
    Classes,
}

/// Replays `cases` under `physics`, with the means of what is drawn, in their order.
pub fn replay(cases: &[Case], resolution: Resolution, physics: &Physics, seed: u64) -> Vec<Ending> {
    let streams = Streams::new(seed);
    let mut groups: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    let mut alone = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        match case.together {
            Some(group) => groups.entry(group).or_default().push(at),
            None => alone.push(vec![at]),
        }
    }
    let mut endings = vec![Ending::default(); cases.len()];
    for group in groups.into_values().chain(alone) {
        let members: Vec<&Case> = group.iter().filter_map(|at| cases.get(*at)).collect();
        let ended = match resolution {
            Resolution::Pages => {
                replay::together::<PageBitmap<guest::LabWriter>>(&members, physics, streams)
            }
            Resolution::Classes => replay::together::<ClassBitmap>(&members, physics, streams),
        };
        for (at, ending) in group.into_iter().zip(ended) {
            if let Some(place) = endings.get_mut(at) {
                *place = ending;
            }
        }
    }
    endings
}

/// What a case is about, for tables.
pub fn kind(settings: &MigrationSettings) -> &'static str {
    match settings {
        s if s.mode == Mode::AutoConverge => "auto-converge",
        s if s.mode == Mode::PostCopy => "post-copy",
        s if matches!(s.compression, Compression::Xbzrle { .. }) => "xbzrle",
        s if s.compression == Compression::Zlib => "zlib",
        s if s.compression == Compression::Zstd => "zstd",
        s if s.channels > 1 => "channels",
        s if s.transport == Transport::Tls => "tls",
        _ => "pre-copy",
    }
}

#[cfg(test)]
mod tests;
