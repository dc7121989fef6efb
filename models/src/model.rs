//! What past migrations taught: rates, fixed costs, content, guests, errors of the replay.
//!
//! A value that is stored in a model file. [`Model::default`] knows a small test cluster;
//! [`train`](crate::train::train) learns one from traces, [`Model::remember`] takes one more
//! migration into what is kept of its guest. Spreads are standard deviations of a natural
//! logarithm: 0.1 is about 10 %.
//!
//! Never learns from a migration that failed or whose figures were not kept, except what its
//! samples show of the guest's writes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    ids::VmId,
    predict::Quantiles,
    telemetry::MigrationTrace,
    units::{Bytes, BytesPerSecond, Span},
};

use crate::{
    conformal::Conformal,
    curve::{level::Wander, prior::Prior},
    guest::GuestHistory,
    impact::ImpactModel,
    learned::{Correction, FixedCosts},
};

pub mod coding;
pub mod content;
pub mod costs;
pub mod rates;

pub use coding::Coding;
pub use content::ContentRule;
pub use costs::Costs;
pub use rates::{Kind, Rates};

/// Everything that a predictor knows besides the request.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Model {
    /// Migrations that it was learnt from; 0 says that the constants are the defaults.
    pub learnt_from: usize,
    /// What streams achieve.
    pub rates: Rates,
    /// Time outside of copying, and downtime outside of sending.
    pub costs: Costs,
    /// Times outside of copying by pair of hosts, mode and transport; before there were enough
    /// migrations, [`Costs::fixed`] stands in.
    pub pairs: Option<FixedCosts>,
    /// From a process's size to the guest's content.
    pub content: ContentRule,
    /// What compression makes of pages.
    pub coding: Coding,
    /// How sure the level of a guest's writing is as time goes by.
    pub level: Wander,
    /// Curves of guests by what is known of them before any reading.
    pub prior: Prior,
    /// Guests that have migrated before.
    pub guests: BTreeMap<VmId, GuestHistory>,
    /// By which factors the replay misses, as far as anything tells.
    pub correction: Correction,
    /// What makes the bands hold.
    pub bands: Bands,
    /// What guests feel.
    pub impact: ImpactModel,
}

/// Conformal bands of each quantity.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bands {
    /// Of the total time.
    pub time: Conformal,
    /// Of the bytes on the wire.
    pub bytes: Conformal,
    /// Of the downtime.
    pub downtime: Conformal,
    /// Predictions of unseen guests that they rest on; 0 says that the bands are the draws' own.
    pub scores: usize,
}

/// Quantities of one prediction, in seconds and bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stated {
    pub(crate) time_seconds: Quantiles<f64>,
    pub(crate) bytes: Quantiles<f64>,
    pub(crate) downtime_seconds: Quantiles<f64>,
}

impl Bands {
    /// `stated` with tails as rare as they claim to be.
    pub(crate) fn apply(&self, class: crate::conformal::Class, stated: Stated) -> Stated {
        Stated {
            time_seconds: self.time.apply(class, stated.time_seconds),
            bytes: self.bytes.apply(class, stated.bytes),
            downtime_seconds: self.downtime.apply(class, stated.downtime_seconds),
        }
    }
}

impl Model {
    /// Takes one more migration into what is kept of its guest, the newest last. Constants,
    /// corrections and bands stay: those are learnt by training.
    pub fn remember(&mut self, trace: &MigrationTrace) {
        let record = &trace.record;
        let fresh = || GuestHistory::new(record.memory);
        self.guests.entry(record.vm.clone()).or_insert_with(fresh).remember(trace);
    }
}

/// A rate of whole bytes a second, at least 1: replays divide by it.
pub(crate) fn whole_rate(bytes_per_second: f64) -> BytesPerSecond {
    BytesPerSecond::new((bytes_per_second.clamp(1.0, 1e15).round()) as u64)
}

/// A size of whole bytes.
pub(crate) fn whole_bytes(bytes: f64) -> Bytes {
    Bytes::new(bytes.clamp(0.0, 1e18).round() as u64)
}

/// A span of whole microseconds, rounded for people where it is stated.
pub(crate) fn span(seconds: f64) -> Span {
    Span::from_seconds_f64(seconds.clamp(0.0, 1e9))
}
