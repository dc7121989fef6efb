//! A migration as `SimGrid`'s live-migration plugin computes it, to be compared with it.
//!
//! The rule (`src/plugins/vm/VmLiveMigration.cpp` in `SimGrid`, `MigrationTx`): a stage sends an
//! amount and takes the network's latency and the time to send; what the guest dirtied in it, a
//! part of the cap times the stage's time and at most its working set, is sent in the next. When
//! that is less than the stage's bandwidth times the downtime limit, the guest is stopped and it
//! is sent as the last stage; an empty message acknowledges it.
//!
//! Never here: pages, or QEMU's rule (`pages`).

use serde::{Deserialize, Serialize};
use whimbrel_core::units::{Bytes, BytesPerSecond, Span, Timestamp};

use super::{
    case::{Storm, StormError},
    journey::Leg,
};

/// `SimGrid`'s constants.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SimGrid {
    /// From the begin of a message until its bytes flow.
    pub latency: Span,
    /// Part of a link that carries payload. Range: above 0, at most 1.
    pub bandwidth_factor: f64,
    /// What a guest dirties, as a part of the cap. Range 0..=1.
    pub dirty_share: f64,
    /// The part of its memory that it dirties at most. Range 0..=1.
    pub working_set_share: f64,
}

impl Default for SimGrid {
    /// Two links of 50 us behind each other and the factors of the model LV08 (Velho and Legrand,
    /// "Accuracy Study and Improvement of Network Simulation in the `SimGrid` Framework", `SIMUTools`
    /// 2009): 13.01 on latency, 0.97 on bandwidth. Guests dirty a fifth of the cap.
    fn default() -> Self {
        Self {
            latency: Span::from_micros(1301),
            bandwidth_factor: 0.97,
            dirty_share: 0.2,
            working_set_share: 0.9,
        }
    }
}

impl SimGrid {
    pub(super) fn check(&self) -> Result<(), StormError> {
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let factor = self.bandwidth_factor;
        let rules = [
            ("bandwidth_factor", factor, share(factor) && factor > 0.0, "more than 0, at most 1"),
            ("dirty_share", self.dirty_share, share(self.dirty_share), "0 to 1"),
            ("working_set_share", self.working_set_share, share(self.working_set_share), "0 to 1"),
        ];
        let wrong = rules.into_iter().find(|(_, _, holds, _)| !holds);
        wrong.map_or(Ok(()), |(key, value, _, range)| {
            Err(StormError::OutOfRange { key, value: value.to_string(), range })
        })
    }
}

/// Where a migration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    /// The guest runs and is copied.
    Copying,
    /// The guest stands still.
    Stopped,
    /// The guest runs at its target.
    Acknowledging,
}

/// A guest on its way in stages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rounds {
    simgrid: SimGrid,
    memory: f64,
    /// Bytes of the present stage, and those of them that are not sent yet.
    size: f64,
    left: f64,
    stage: Stage,
    stage_began: Timestamp,
    /// The present stage's latency is not over.
    waits: bool,
    pub(super) sent: f64,
    pub(super) count: u32,
    pub(super) downtime: Span,
}

impl Rounds {
    pub(super) fn new(memory: Bytes, simgrid: SimGrid, now: Timestamp) -> Self {
        let memory = memory.as_f64();
        Self {
            simgrid,
            memory,
            size: memory,
            left: memory,
            stage: Stage::Copying,
            stage_began: now,
            waits: true,
            sent: 0.0,
            count: 0,
            downtime: Span::ZERO,
        }
    }

    pub(super) fn advance(&mut self, seconds: f64, rate: f64) {
        let sent = (rate * seconds).min(self.left);
        self.left -= sent;
        self.sent += sent;
    }

    pub(super) fn next(&self, rate: f64) -> Option<Span> {
        (rate > 0.0).then(|| Span::from_seconds_f64(self.left / rate))
    }

    /// What is to be sent while the guest runs; `None` once it is stopped.
    pub(super) fn remaining(&self) -> Option<f64> {
        (self.stage == Stage::Copying).then_some(self.size)
    }

    /// The latency or the sending of the present stage is over.
    pub(super) fn step(&mut self, storm: &Storm, now: Timestamp) -> Leg {
        if std::mem::take(&mut self.waits) && self.left > 0.0 {
            return Leg::Flow { cap: storm.cap() };
        }
        // What rounding to whole microseconds left over.
        self.sent += self.left;
        let span = now.since(self.stage_began);
        self.stage_began = now;
        self.waits = true;
        let size = match self.stage {
            Stage::Acknowledging => return Leg::Over,
            Stage::Stopped => {
                self.downtime = span;
                self.stage = Stage::Acknowledging;
                0.0
            }
            Stage::Copying => {
                self.count += 1;
                let seconds = span.as_seconds_f64().max(1e-6);
                // The plugin has no guest without a cap; what the stage achieved stands for it.
                let achieved = self.size / seconds;
                let speed = storm.bandwidth_limit.map_or(achieved, BytesPerSecond::as_f64);
                let dirtied = self.simgrid.dirty_share * speed * seconds;
                let dirtied = dirtied.min(self.simgrid.working_set_share * self.memory);
                let threshold = achieved * storm.downtime_limit.as_seconds_f64();
                if dirtied < threshold || dirtied <= 0.0 {
                    self.stage = Stage::Stopped;
                }
                dirtied
            }
        };
        (self.size, self.left) = (size, size);
        Leg::Wait(self.simgrid.latency)
    }
}
