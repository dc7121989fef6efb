//! Prediction of a migration's cost by replay over many draws of what is uncertain.
//!
//! What is known of the guest, the path and the settings makes a ground; every draw from it is one
//! possible migration, which is replayed by QEMU's rule. The outcomes' quantiles, corrected by
//! what was learnt of the replay's errors and moved to where bands hold, are the prediction.
//!
//! Never confident without telemetry: what is not known is drawn from wide, and said.

use whimbrel_core::{
    predict::{MigrationRequest, PredictError, Prediction, Predictor, Quantiles, Stall},
    settings::Mode,
    units::{Share, Span},
};

use crate::{
    conformal::Class,
    curve::{DirtyCurve, draws::Draws},
    impact::Course,
    learned::{Features, Known, Residuals},
    model::{Model, Stated, span, whole_bytes},
    quantile::bands,
    replay::{Migration, Replay, replay, stall},
};

mod caveats;
pub mod explain;
mod ground;

pub use explain::{ContentFrom, CurveFrom, Explained};

use ground::Ground;

/// Name and version that predictions carry.
pub const MODEL: &str = "replay/2";

/// Draws of one prediction. A compromise: the outer 2.5 % rest on two or three of them, and a
/// planner asks for thousands of predictions.
const DRAWS: u32 = 96;

/// Below this part of converging draws, the figures "if it converges" are taken with a downtime
/// limit that lets it converge: a few lucky draws make no band.
const LUCKY_SHARE: f64 = 0.05;

/// Part of draws that must converge for a prediction to be judged with those that surely do.
const SURE_SHARE: f64 = 0.9;

/// Steps by which such a limit is raised for draws that it does not suffice for, and their bound.
const LIMIT_RAISE: f64 = 2.0;
const LIMIT_RAISES_MAX: u32 = 8;

/// Predicts by replaying QEMU's rule on the domain's unique-dirty curve.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReplayPredictor {
    /// What past migrations taught; the default knows a small test cluster.
    pub model: Model,
}

/// Outcome of one draw, in seconds and bytes.
#[derive(Debug, Clone, Copy)]
struct Figures {
    time: f64,
    bytes: f64,
    downtime: f64,
}

/// A prediction before its bands are made to hold.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    /// What a correction is learnt by.
    pub(crate) features: Features,
    /// Draws that converge, 0..=1.
    pub(crate) converges: Share,
    /// Quantiles of the draws, corrected.
    pub(crate) stated: Stated,
    /// What it is judged with.
    pub(crate) class: Class,
    stall: Option<Stall>,
    caveats: Vec<String>,
    course: Course,
}

impl Predictor for ReplayPredictor {
    fn predict(&self, request: &MigrationRequest<'_>) -> Result<Prediction, PredictError> {
        let draft = self.draft(request, None)?;
        let stated = self.model.bands.apply(draft.class, draft.stated);
        let rounded = |seconds: f64| span(seconds).rounded();
        let downtime = stated.downtime_seconds.map(rounded);
        Ok(Prediction {
            model: MODEL.to_owned(),
            converges: draft.converges,
            total_time: stated.time_seconds.map(rounded),
            transferred: stated.bytes.map(|bytes| whole_bytes(bytes).rounded()),
            downtime,
            impact: Some(self.model.impact.impact(&draft.course, &downtime)),
            stall: draft.stall,
            caveats: draft.caveats,
        })
    }
}

impl ReplayPredictor {
    /// The prediction with `residuals` as its correction, or the model's own where there are none.
    pub(crate) fn draft(
        &self,
        request: &MigrationRequest<'_>,
        residuals: Option<Residuals>,
    ) -> Result<Draft, PredictError> {
        let ground = Ground::new(request, &self.model)?;
        let (migration, curve) = ground.middle();
        let middle = replay(&migration, &curve);
        let middle_stall = if middle.converged() { None } else { stall(&migration, &curve) };
        let features = ground.features(&migration, &curve, &middle);
        let residuals = residuals.unwrap_or_else(|| self.model.correction.correct(&features));
        let mut outcomes = ground.outcomes(&residuals);
        let drawn = f64::from(DRAWS);
        let converges = Share::clamped(outcomes.converged.len() as f64 / drawn);
        let stall = middle_stall
            .or_else(|| outcomes.hung.first().and_then(|(m, c)| stall(m, c)))
            .filter(|_| converges.get() < 1.0);
        let mut caveats = ground.caveats();
        let mut course = middle;
        if converges.get() < LUCKY_SHARE {
            let limit = stall.map_or(request.settings.downtime_limit, |s| s.downtime_limit_needed);
            caveats.push(caveats::needs_limit(limit));
            outcomes.converged = ground.with_enough_limit(&outcomes.hung, limit, &residuals);
            course = with_limit(&migration, &curve, limit).unwrap_or(middle);
        }
        Ok(Draft {
            features,
            converges,
            stated: ground.centred(stated(&outcomes.converged), &middle, &residuals),
            class: ground.class(converges),
            stall,
            caveats,
            course: Course::of(&course, request.domain.vcpus, ground.busy()),
        })
    }
}

impl Ground<'_> {
    /// `stated` moved to what the expected migration comes to. Draws that hang are not among
    /// those that converge, so that the middle of the others is too low.
    fn centred(&self, stated: Stated, middle: &Replay, residuals: &Residuals) -> Stated {
        if !middle.converged() {
            return stated;
        }
        let time = self.fixed.0
            + self.downtime
            + (middle.copying + middle.post_copy + middle.stopped).as_seconds_f64();
        let moved = |quantiles: Quantiles<f64>, expected: f64| {
            let by = expected / quantiles.p50.max(f64::MIN_POSITIVE);
            if by.is_finite() { quantiles.map(|value| value * by) } else { quantiles }
        };
        Stated {
            time_seconds: moved(stated.time_seconds, time * residuals.time.exp()),
            bytes: moved(stated.bytes, middle.transferred.as_f64() * residuals.bytes.exp()),
            ..stated
        }
    }
}

/// `figures` in quantiles.
fn stated(figures: &[Figures]) -> Stated {
    let column = |of: fn(&Figures) -> f64| bands(&figures.iter().map(of).collect::<Vec<f64>>());
    Stated {
        time_seconds: column(|f| f.time),
        bytes: column(|f| f.bytes),
        downtime_seconds: column(|f| f.downtime),
    }
}

/// What draws came to.
struct Outcomes {
    converged: Vec<Figures>,
    hung: Vec<(Migration, DirtyCurve)>,
}

impl Ground<'_> {
    fn outcomes(&self, residuals: &Residuals) -> Outcomes {
        let mut draws = Draws::new(self.request.seed);
        let mut converged = Vec::with_capacity(DRAWS as usize);
        let mut hung = Vec::new();
        for _ in 0..DRAWS {
            let (migration, curve) = self.draw(&mut draws);
            let run = replay(&migration, &curve);
            if run.converged() {
                converged.push(self.figures(&migration, &run, residuals, &mut draws));
            } else {
                hung.push((migration, curve));
            }
        }
        Outcomes { converged, hung }
    }

    fn with_enough_limit(
        &self,
        hung: &[(Migration, DirtyCurve)],
        limit: Span,
        residuals: &Residuals,
    ) -> Vec<Figures> {
        let mut draws = Draws::new(self.request.seed);
        hung.iter()
            .filter_map(|(m, c)| Some((m, with_limit(m, c, limit)?)))
            .map(|(migration, run)| self.figures(migration, &run, residuals, &mut draws))
            .collect()
    }

    /// What `run` costs with fixed costs and the usual remaining error. However lucky the error,
    /// every page with content is sent once and no faster than the stream flows.
    fn figures(
        &self,
        migration: &Migration,
        run: &Replay,
        residuals: &Residuals,
        draws: &mut Draws,
    ) -> Figures {
        let costs = &self.model.costs;
        let (fixed, fixed_spread) = self.fixed;
        let downtime = run.stopped.as_seconds_f64() + self.downtime;
        let time = fixed * draws.factor(fixed_spread)
            + run.copying.as_seconds_f64()
            + run.post_copy.as_seconds_f64()
            + downtime;
        let (least_seconds, least_bytes) = Self::least(migration);
        Figures {
            time: (time * residuals.time.exp() * draws.factor(costs.time_spread))
                .max(least_seconds),
            bytes: (run.transferred.as_f64()
                * residuals.bytes.exp()
                * draws.factor(costs.bytes_spread))
            .max(least_bytes),
            downtime: downtime * residuals.downtime.exp() * draws.factor(costs.downtime_spread),
        }
    }

    fn features(&self, migration: &Migration, curve: &DirtyCurve, run: &Replay) -> Features {
        let request = self.request;
        Features::of(&Known {
            settings: request.settings,
            path_bandwidth: request.path_bandwidth,
            sharing: request.sharing,
            memory: request.domain.memory,
            non_zero: migration.non_zero,
            curve,
            replayed_time: run.total(),
            replayed_transferred: run.transferred,
            replayed_iterations: run.iterations,
            cpu_used: request.domain.cpu_used,
            past_migrations: self.past.map_or(0, |past| past.migrations),
        })
    }

    fn class(&self, converges: Share) -> Class {
        let pre_copy = self.request.settings.mode == Mode::PreCopy;
        match () {
            () if self.has_little_telemetry() => Class::LittleTelemetry,
            () if self.past.is_some_and(|past| past.migrations > 0) => Class::KnownGuest,
            () if pre_copy && converges.get() >= SURE_SHARE => Class::ConvergingPreCopy,
            () => Class::Other,
        }
    }
}

/// The replay with `limit`, raised until it converges.
fn with_limit(migration: &Migration, curve: &DirtyCurve, limit: Span) -> Option<Replay> {
    let mut seconds = limit.as_seconds_f64();
    for _ in 0..LIMIT_RAISES_MAX {
        let downtime_limit = Span::from_seconds_f64(seconds);
        let run = replay(&Migration { downtime_limit, ..*migration }, curve);
        if run.converged() {
            return Some(run);
        }
        seconds *= LIMIT_RAISE;
    }
    None
}
