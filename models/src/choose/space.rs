//! The settings among which a choice is made.
//!
//! A space is five axes; its points are all their combinations that QEMU accepts. Security is no
//! axis: transport stays as the caller's settings have it, and so do the throttle's steps.

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    predict::MigrationRequest,
    settings::{Compression, MigrationSettings, Mode},
    units::{Bytes, BytesPerSecond, Share, Span},
};

/// How memory travels, with what tells one post-copy from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// [`Mode::PreCopy`].
    PreCopy,
    /// [`Mode::AutoConverge`].
    AutoConverge,
    /// [`Mode::PostCopy`] with the switch after so many bitmap reads.
    PostCopy {
        /// [`MigrationSettings::reads_before_post_copy`].
        reads: u32,
    },
}

impl Way {
    /// The mode.
    pub fn mode(self) -> Mode {
        match self {
            Self::PreCopy => Mode::PreCopy,
            Self::AutoConverge => Mode::AutoConverge,
            Self::PostCopy { .. } => Mode::PostCopy,
        }
    }
}

/// Axes of what may be chosen. Order and repetition do not matter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Space {
    /// Ways for memory to travel.
    pub ways: Vec<Way>,
    /// Downtime limits.
    pub downtime_limits: Vec<Span>,
    /// Caps as parts of this migration's part of the path. The whole of it (1) is no cap.
    pub bandwidth_shares: Vec<Share>,
    /// Numbers of channels.
    pub channels: Vec<u8>,
    /// Compressions.
    pub compressions: Vec<Compression>,
}

impl Default for Space {
    /// 480 points for QEMU before 10.1, 768 from then on.
    fn default() -> Self {
        Self {
            ways: vec![
                Way::PreCopy,
                Way::AutoConverge,
                Way::PostCopy { reads: 0 },
                Way::PostCopy { reads: 1 },
            ],
            downtime_limits: [50, 100, 200, 300, 500, 1000].map(Span::from_millis).to_vec(),
            bandwidth_shares: [1.0, 0.75, 0.5, 0.25].map(Share::clamped).to_vec(),
            channels: vec![1, 2, 4, 8],
            compressions: vec![
                Compression::None,
                Compression::Xbzrle { cache: Bytes::mib(64) },
                Compression::Zstd,
            ],
        }
    }
}

/// Points that differ in downtime limit, cap and channels only. Axes run from what costs least
/// time to what costs most, so that the first of each is the likeliest to converge.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Family {
    pub(super) way: Way,
    pub(super) compression: Compression,
    /// From many to few.
    pub(super) channels: Vec<u8>,
    /// From none to the lowest.
    pub(super) caps: Vec<Option<BytesPerSecond>>,
    /// From long to short.
    pub(super) limits: Vec<Span>,
}

impl Family {
    /// One of its points on top of what the caller's settings say of everything else.
    pub(super) fn point(
        &self,
        template: &MigrationSettings,
        (channels, bandwidth_limit, downtime_limit): (u8, Option<BytesPerSecond>, Span),
    ) -> MigrationSettings {
        let reads_before_post_copy = match self.way {
            Way::PostCopy { reads } => reads,
            _ => MigrationSettings::default().reads_before_post_copy,
        };
        MigrationSettings {
            mode: self.way.mode(),
            compression: self.compression,
            channels,
            bandwidth_limit,
            downtime_limit,
            reads_before_post_copy,
            ..template.clone()
        }
    }
}

impl Space {
    /// Every point that QEMU accepts, for `request`'s path and under its cap.
    pub fn points(&self, request: &MigrationRequest<'_>) -> Vec<MigrationSettings> {
        let mut points = Vec::new();
        for family in self.families(request) {
            for channels in &family.channels {
                for cap in &family.caps {
                    let limits = family.limits.iter();
                    points.extend(
                        limits.map(|l| family.point(request.settings, (*channels, *cap, *l))),
                    );
                }
            }
        }
        points
    }

    /// The families of the space, simplest way first. The caller's own cap is never exceeded.
    pub(super) fn families(&self, request: &MigrationRequest<'_>) -> Vec<Family> {
        let mut families = Vec::new();
        let ways = tidy(&self.ways);
        let limits: Vec<Span> = tidy(&self.downtime_limits).into_iter().rev().collect();
        let caps = self.caps(request);
        for compression in tidy(&self.compressions) {
            for way in &ways {
                let mut family = Family {
                    way: *way,
                    compression,
                    channels: Vec::new(),
                    caps: caps.clone(),
                    limits: limits.clone(),
                };
                let accepted = |channels: &u8| {
                    let point = family.point(request.settings, (*channels, None, Span::ZERO));
                    point.check(request.qemu).is_ok()
                };
                family.channels = tidy(&self.channels).into_iter().rev().filter(accepted).collect();
                if !family.channels.is_empty() && !family.limits.is_empty() {
                    families.push(family);
                }
            }
        }
        families
    }

    /// Caps from none (or the caller's own) to the lowest.
    fn caps(&self, request: &MigrationRequest<'_>) -> Vec<Option<BytesPerSecond>> {
        let share = request.path_bandwidth.as_f64() / f64::from(request.sharing.max(1));
        let ceiling = request.settings.bandwidth_limit;
        let under_ceiling = |part: &Share| {
            let cap = (part.get() < 1.0).then(|| whole_mib(share * part.get()));
            match (cap, ceiling) {
                (Some(cap), Some(ceiling)) => Some(cap.min(ceiling)),
                (cap, ceiling) => cap.or(ceiling),
            }
        };
        let mut caps: Vec<_> = self
            .bandwidth_shares
            .iter()
            .filter(|part| part.get() > 0.0)
            .map(under_ceiling)
            .filter(|cap| *cap != Some(BytesPerSecond::ZERO))
            .collect();
        if caps.is_empty() {
            caps.push(ceiling);
        }
        caps.sort_by_key(|cap| std::cmp::Reverse(cap.map_or(u64::MAX, BytesPerSecond::get)));
        caps.dedup();
        caps
    }
}

/// Libvirt takes caps in whole MiB/s; at least one.
fn whole_mib(bytes_per_second: f64) -> BytesPerSecond {
    BytesPerSecond::mib(((bytes_per_second / 1_048_576.0).round() as u64).max(1))
}

fn tidy<T: Ord + Clone>(values: &[T]) -> Vec<T> {
    let mut tidy = values.to_vec();
    tidy.sort();
    tidy.dedup();
    tidy
}
