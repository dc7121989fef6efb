//! One migration's copy in either model, as a row of legs.
//!
//! Never here: events, links, or which of the models' rules holds (`pages`, `rounds`).

use rand::RngExt;
use serde::{Deserialize, Serialize};
use whimbrel_core::units::{Span, Timestamp};

use super::{
    case::{Model, Storm, StormGuest},
    pages::Pages,
    rounds::Rounds,
};
use crate::{kernel::Streams, physics::Range};

/// What a migration does until its next step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Leg {
    /// Nothing flows for that long.
    Wait(Span),
    /// It sends as fast as its links let it, and no faster than `cap` bytes a second.
    Flow { cap: f64 },
    /// The guest runs at its target.
    Over,
}

/// A guest's copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Journey {
    Pages(Pages),
    Rounds(Rounds),
}

/// What chance decides about one migration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Chance {
    pub(super) setup: Span,
    pub(super) device_downtime: Span,
    /// Part of what its links leave it that it achieves.
    pub(super) efficiency: f64,
}

impl Journey {
    /// The copy of `guest` in migration `number`, and its first leg.
    pub(super) fn begin(
        storm: &Storm,
        guest: &StormGuest,
        number: u32,
        now: Timestamp,
    ) -> (Self, Leg) {
        match &storm.model {
            Model::Qemu(physics) => {
                let mut chance = Streams::new(storm.seed).stream_nth("storm", u64::from(number));
                let mut span = |range: Range| {
                    let width = range.most.saturating_sub(range.least).as_seconds_f64();
                    range.least + Span::from_seconds_f64(width * chance.random::<f64>())
                };
                let (setup, device_downtime) = (span(physics.setup), span(physics.device_downtime));
                let width = physics.efficiency.most - physics.efficiency.least;
                let efficiency = physics.efficiency.least + width * chance.random::<f64>();
                let chance = Chance { setup, device_downtime, efficiency };
                let limit = storm.downtime_limit;
                (Self::Pages(Pages::new(guest, limit, physics, chance)), Leg::Wait(setup))
            }
            Model::SimGrid(simgrid) => {
                (Self::Rounds(Rounds::new(guest.memory, *simgrid, now)), Leg::Wait(simgrid.latency))
            }
        }
    }

    /// Lets `seconds` pass in which it sends at `rate` bytes a second.
    pub(super) fn advance(&mut self, seconds: f64, rate: f64) {
        match self {
            Self::Pages(pages) => pages.advance(seconds, rate),
            Self::Rounds(rounds) => rounds.advance(seconds, rate),
        }
    }

    /// Until its next step while it sends at `rate`; `None` while nothing flows.
    pub(super) fn next(&self, rate: f64) -> Option<Span> {
        match self {
            Self::Pages(pages) => pages.next(rate),
            Self::Rounds(rounds) => rounds.next(rate),
        }
    }

    /// Takes the step that was due now, at `rate` until now.
    pub(super) fn step(&mut self, storm: &Storm, now: Timestamp, rate: f64) -> Leg {
        match self {
            Self::Pages(pages) => pages.step(storm.cap(), now, rate),
            Self::Rounds(rounds) => rounds.step(storm, now),
        }
    }

    /// Bytes to be sent, counted when the present round began; `None` once the guest is stopped.
    pub(super) fn remaining(&self) -> Option<f64> {
        match self {
            Self::Pages(pages) => pages.remaining(),
            Self::Rounds(rounds) => rounds.remaining(),
        }
    }

    /// Bytes sent.
    pub(super) fn sent(&self) -> f64 {
        match self {
            Self::Pages(pages) => pages.sent(),
            Self::Rounds(rounds) => rounds.sent,
        }
    }

    /// Rounds that were sent while the guest ran, the last of them included.
    pub(super) fn rounds(&self) -> u32 {
        match self {
            Self::Pages(pages) => pages.rounds,
            Self::Rounds(rounds) => rounds.count,
        }
    }

    /// How long the guest stood still.
    pub(super) fn downtime(&self) -> Span {
        match self {
            Self::Pages(pages) => pages.downtime,
            Self::Rounds(rounds) => rounds.downtime,
        }
    }

    /// Part of what its links leave it that it achieves. Range 0..=1.
    pub(super) fn efficiency(&self) -> f64 {
        match self {
            Self::Pages(pages) => pages.chance.efficiency,
            Self::Rounds(_) => 1.0,
        }
    }
}
