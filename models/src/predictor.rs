//! The replay predictor: Monte-Carlo over what is uncertain, each draw a replay of QEMU's loop.
//!
//! Drawn are the dirty curve (sampling error of its readings, their age, what no window covers),
//! the memory with content, the bandwidth, the fixed costs and the error that past predictions
//! had left. The band is what the draws come to. Deterministic in the request's seed.
//!
//! Never silent about thin ground: missing or old readings widen the band and are named in the
//! caveats.

use whimbrel_core::{
    cluster::{Domain, DomainState},
    predict::{MigrationRequest, PredictError, Prediction, Predictor, Stall},
    units::{Bytes, BytesPerSecond, Share, Span},
};

use crate::{
    calibration::Calibration,
    curve::DirtyCurve,
    draw::Draws,
    fit::{CurveFit, FitError},
    quantile::bands,
    replay::{PreCopy, Replay, SwitchRule, replay, stall},
};

mod caveats;

/// Name and version that predictions carry.
pub const MODEL: &str = "replay/1";

/// Draws of one prediction. A compromise: the outer 2.5 % rest on two or three of them, and a
/// planner asks for thousands of predictions.
const DRAWS: u32 = 96;

/// Below this part of converging draws, the figures "if it converges" are taken with a downtime
/// limit that lets it converge: a few lucky draws make no band.
const LUCKY_SHARE: f64 = 0.05;

/// Steps by which such a limit is raised for draws that it does not suffice for, and their bound.
const LIMIT_RAISE: f64 = 2.0;
const LIMIT_RAISES_MAX: u32 = 8;

/// Predicts by replaying QEMU's pre-copy rule on the domain's unique-dirty curve.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReplayPredictor {
    /// What past migrations taught; the default knows a small test cluster.
    pub calibration: Calibration,
}

/// What is known of the guest's writes.
enum Writes {
    /// Fitted from readings.
    Read(CurveFit),
    /// Nothing was read.
    Unread,
    /// Its vCPUs do not run.
    None,
}

/// What a prediction starts from, before anything is drawn.
struct Ground<'a> {
    request: &'a MigrationRequest<'a>,
    calibration: &'a Calibration,
    writes: Writes,
    /// Median of the memory with content, and the spread of its logarithm.
    non_zero: (f64, f64),
    /// This migration's part of the path, bytes a second.
    share: f64,
    /// Spread of the logarithm of the curve's level.
    level_spread: f64,
}

/// Outcome of one draw, in seconds and bytes.
struct Figures {
    total: f64,
    transferred: f64,
    downtime: f64,
}

impl Predictor for ReplayPredictor {
    fn predict(&self, request: &MigrationRequest<'_>) -> Result<Prediction, PredictError> {
        let ground = Ground::new(request, &self.calibration)?;
        let (middle_migration, middle_curve) = ground.middle();
        let middle_stall = stall(&middle_migration, &middle_curve);
        let mut draws = Draws::new(request.seed);
        let mut converged = Vec::with_capacity(DRAWS as usize);
        let mut hung = Vec::new();
        for _ in 0..DRAWS {
            let (migration, curve) = ground.draw(&mut draws);
            let run = replay(&migration, &curve);
            if run.converged {
                converged.push(ground.figures(&migration, &run, &mut draws));
            } else {
                hung.push((migration, curve));
            }
        }
        let converges = Share::clamped(converged.len() as f64 / f64::from(DRAWS));
        let stall = middle_stall.or_else(|| hung.first().and_then(|(m, c)| stall(m, c)));
        let mut caveats = ground.caveats();
        if let Some(stall) = stall.filter(|_| converges.get() < LUCKY_SHARE) {
            caveats.push(caveats::needs_limit(stall.downtime_limit_needed));
            converged = hung
                .iter()
                .filter_map(|(m, c)| {
                    Some((m, with_enough_limit(m, c, stall.downtime_limit_needed)?))
                })
                .map(|(migration, run)| ground.figures(migration, &run, &mut draws))
                .collect();
        }
        Ok(prediction(converges, &converged, stall, caveats))
    }
}

/// States `figures` in quantiles.
fn prediction(
    converges: Share,
    figures: &[Figures],
    stall: Option<Stall>,
    caveats: Vec<String>,
) -> Prediction {
    let column = |of: fn(&Figures) -> f64| bands(&figures.iter().map(of).collect::<Vec<f64>>());
    let span = |seconds: f64| Span::from_seconds_f64(seconds).rounded();
    Prediction {
        model: MODEL.to_owned(),
        converges,
        total_time: column(|f| f.total).map(span),
        transferred: column(|f| f.transferred).map(|b| Bytes::new(b.round() as u64).rounded()),
        downtime: column(|f| f.downtime).map(span),
        stall,
        caveats,
    }
}

/// The replay with `limit`, raised until it converges.
fn with_enough_limit(migration: &PreCopy, curve: &DirtyCurve, limit: Span) -> Option<Replay> {
    let mut seconds = limit.as_seconds_f64();
    for _ in 0..LIMIT_RAISES_MAX {
        let downtime_limit = Span::from_seconds_f64(seconds);
        let run = replay(&PreCopy { downtime_limit, ..*migration }, curve);
        if run.converged {
            return Some(run);
        }
        seconds *= LIMIT_RAISE;
    }
    None
}

impl<'a> Ground<'a> {
    fn new(
        request: &'a MigrationRequest<'a>,
        calibration: &'a Calibration,
    ) -> Result<Self, PredictError> {
        let domain = request.domain;
        let no_bandwidth = request.settings.bandwidth_limit == Some(BytesPerSecond::ZERO);
        if request.path_bandwidth == BytesPerSecond::ZERO || no_bandwidth {
            return Err(PredictError::NoBandwidth { vm: domain.vm.clone() });
        }
        let writes = match CurveFit::new(&domain.dirty, domain.memory) {
            _ if domain.state == DomainState::Paused => Writes::None,
            Ok(fit) => Writes::Read(fit),
            Err(FitError::NoReadings) => Writes::Unread,
            Err(fault) => {
                let vm = domain.vm.clone();
                return Err(PredictError::BadTelemetry { vm, what: fault.to_string() });
            }
        };
        let level_spread = match &writes {
            Writes::Read(fit) => calibration.level_spread(request.now.since(fit.newest())),
            Writes::Unread => calibration.unread_spread,
            Writes::None => 0.0,
        };
        Ok(Self {
            request,
            calibration,
            writes,
            non_zero: calibration.non_zero(domain),
            share: request.path_bandwidth.as_f64() / f64::from(request.sharing.max(1)),
            level_spread,
        })
    }

    /// The migration and the curve when everything is as expected.
    fn middle(&self) -> (PreCopy, DirtyCurve) {
        let migration = self.migration(self.non_zero.0, 1.0, 1.0);
        let curve = match &self.writes {
            Writes::Read(fit) => fit.curve(migration.non_zero),
            Writes::Unread => self.assumed(1.0, migration.non_zero),
            Writes::None => DirtyCurve::still(),
        };
        (migration, curve)
    }

    /// One possible migration and curve.
    fn draw(&self, draws: &mut Draws) -> (PreCopy, DirtyCurve) {
        let non_zero = self.non_zero.0 * draws.factor(self.non_zero.1);
        let spread = self.calibration.efficiency_spread;
        let migration = self.migration(non_zero, draws.factor(spread), draws.factor(spread));
        let level = draws.factor(self.level_spread);
        let curve = match &self.writes {
            Writes::Read(fit) => fit.draw(draws, level, migration.non_zero),
            Writes::Unread => self.assumed(level, migration.non_zero),
            Writes::None => DirtyCurve::still(),
        };
        (migration, curve)
    }

    /// The curve that is assumed of a guest without readings, at `level` times the usual rate.
    fn assumed(&self, level: f64, ceiling: Bytes) -> DirtyCurve {
        let rate = self.calibration.unread_rate.as_f64() * level;
        DirtyCurve::sweep(BytesPerSecond::new(rate.round() as u64), ceiling)
    }

    fn migration(&self, non_zero: f64, stream_factor: f64, line_factor: f64) -> PreCopy {
        let domain: &Domain = self.request.domain;
        let settings = self.request.settings;
        let limit = settings.bandwidth_limit.map_or(f64::INFINITY, BytesPerSecond::as_f64);
        let line = self.share * line_factor;
        let stream =
            (limit.min(self.share) * self.calibration.efficiency * stream_factor).min(limit);
        let non_zero = Bytes::new(non_zero.round() as u64).min(domain.memory);
        let whole = |rate: f64| BytesPerSecond::new((rate.round() as u64).max(1));
        PreCopy {
            non_zero,
            zero: domain.memory.saturating_sub(non_zero),
            stream: whole(stream),
            line: whole(line),
            capped: limit < self.share,
            downtime_limit: settings.downtime_limit,
            rule: SwitchRule::default(),
        }
    }

    /// What `run` costs with fixed costs and the usual remaining error. However lucky the error,
    /// every page with content is sent once and no faster than the stream flows.
    fn figures(&self, migration: &PreCopy, run: &Replay, draws: &mut Draws) -> Figures {
        let known = self.calibration;
        let fixed = known.fixed_cost.as_seconds_f64() * draws.factor(known.fixed_cost_spread);
        let stopped = run.stopped.as_seconds_f64() + known.downtime_constant.as_seconds_f64();
        let total = fixed + run.copying.as_seconds_f64() + stopped;
        let once = migration.non_zero.as_f64();
        Figures {
            total: (total * draws.factor(known.time_residual))
                .max(once / migration.stream.as_f64()),
            transferred: (run.transferred.as_f64() * draws.factor(known.bytes_residual)).max(once),
            downtime: stopped * draws.factor(known.downtime_residual),
        }
    }
}
