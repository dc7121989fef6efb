//! What a prediction rests on, as figures: for people who want to know why.
//!
//! Everything here is the case in which all is as expected, without draws. Never a prediction of
//! its own: bands and probabilities are stated by [`super::ReplayPredictor::predict`] only.

use serde::Serialize;
use whimbrel_core::{
    predict::{MigrationRequest, PredictError},
    units::{Bytes, BytesPerSecond, Span},
};

use super::{ReplayPredictor, ground::Ground};
use crate::{
    curve::{evidence::Basis, fit::CurveFit},
    replay::replay,
};

/// Windows at which the unique-dirty curve is shown: a last round, a short and a long one.
const WINDOWS: [Span; 3] = [Span::from_millis(100), Span::from_seconds(1), Span::from_seconds(10)];

/// What a prediction rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explained {
    /// Memory with content: what the first pass sends.
    pub content: Bytes,
    /// How that is known.
    pub content_from: ContentFrom,
    /// What the stream is expected to carry, headers included.
    pub stream: BytesPerSecond,
    /// Whether a cap holds it rather than the link.
    pub capped: bool,
    /// QEMU switches over once the rest fits under this: stream x downtime limit.
    pub threshold: Bytes,
    /// Distinct memory that the guest dirties within 0.1, 1 and 10 s.
    pub unique: Vec<(Span, Bytes)>,
    /// Where the curve comes from.
    pub curve_from: CurveFrom,
    /// Time that the first pass takes.
    pub first_pass: Span,
    /// Time from the first page to the switch-over, or to where it hangs.
    pub copying: Span,
    /// Bitmap reads by then, QEMU's dirty-sync-count.
    pub bitmap_reads: u64,
    /// Length of the last round.
    pub last_round: Span,
    /// Memory dirtied anew in it.
    pub last_dirtied: Bytes,
    /// Time before the first page.
    pub fixed_cost: Span,
    /// What widens the band, widest first: name and spread as a part, 0.1 = about 10 %.
    pub spreads: Vec<(&'static str, f64)>,
    /// Past migrations that taught this cluster's constants; 0 says that they are defaults.
    pub learnt_from: usize,
}

/// How the memory with content is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContentFrom {
    /// It was sent in an earlier migration.
    EarlierMigration,
    /// A part of its process's memory.
    ResidentMemory,
    /// A part of what it was given.
    GivenMemory,
}

/// Where the unique-dirty curve comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CurveFrom {
    /// Dirty readings.
    Readings,
    /// Past migrations of the same guest.
    PastMigrations,
    /// Dirty readings and past migrations.
    ReadingsAndPastMigrations,
    /// Nothing was read: similar guests.
    SimilarGuests,
    /// Nothing was read: an assumed rate.
    Assumed,
    /// Its vCPUs do not run.
    Paused,
}

impl ReplayPredictor {
    /// What the prediction of `request` rests on.
    ///
    /// # Errors
    /// [`PredictError`] where there is no prediction.
    pub fn explain(&self, request: &MigrationRequest<'_>) -> Result<Explained, PredictError> {
        let ground = Ground::new(request, &self.model)?;
        let (migration, curve) = ground.middle();
        let run = replay(&migration, &curve);
        let stream = migration.stream.as_f64();
        let limit = request.settings.downtime_limit.as_seconds_f64();
        Ok(Explained {
            content: migration.non_zero.rounded(),
            content_from: ground.content_from(),
            stream: migration.stream,
            capped: migration.capped,
            threshold: Bytes::new((stream * limit).round() as u64).rounded(),
            unique: WINDOWS.map(|window| (window, curve.unique(window).rounded())).to_vec(),
            curve_from: ground.curve_from(),
            first_pass: Span::from_seconds_f64(migration.non_zero.as_f64() / stream).rounded(),
            copying: run.copying.rounded(),
            bitmap_reads: run.iterations,
            last_round: run.last_round.rounded(),
            last_dirtied: run.last_dirtied.rounded(),
            fixed_cost: Span::from_seconds_f64(ground.fixed.0).rounded(),
            spreads: ground.spreads(),
            learnt_from: self.model.learnt_from,
        })
    }
}

impl Ground<'_> {
    fn content_from(&self) -> ContentFrom {
        let domain = self.request.domain;
        match (self.past.and_then(|past| past.content(domain.memory)), domain.resident) {
            (Some(_), _) => ContentFrom::EarlierMigration,
            (None, Some(_)) => ContentFrom::ResidentMemory,
            (None, None) => ContentFrom::GivenMemory,
        }
    }

    fn curve_from(&self) -> CurveFrom {
        match self.writes.as_ref().map(CurveFit::basis) {
            None => CurveFrom::Paused,
            Some(Basis::Readings) => CurveFrom::Readings,
            Some(Basis::Past) => CurveFrom::PastMigrations,
            Some(Basis::ReadingsAndPast | Basis::ReadingsAgainstPast) => {
                CurveFrom::ReadingsAndPastMigrations
            }
            Some(Basis::Similar { .. }) => CurveFrom::SimilarGuests,
            Some(Basis::Assumed) => CurveFrom::Assumed,
        }
    }

    fn spreads(&self) -> Vec<(&'static str, f64)> {
        let level = self.writes.as_ref().map_or(0.0, CurveFit::level_spread);
        let mut spreads = vec![
            ("time before the first page", self.fixed.1),
            ("memory with content", self.non_zero.1),
            ("level of dirtying", level),
            ("bandwidth", self.stream.spread),
            ("error of past predictions of the time", self.model.costs.time_spread),
        ];
        spreads.sort_by(|a, b| b.1.total_cmp(&a.1));
        spreads
    }
}
