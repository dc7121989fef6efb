//! What a prediction starts from, before anything is drawn.
//!
//! Brings together the request, the guest's curve and content, and what the model knows of rates
//! and costs. Refuses what no honest answer exists for.

use whimbrel_core::{
    cluster::{Domain, DomainState},
    predict::{MigrationRequest, PredictError},
    settings::{Compression, Mode},
    units::{Bytes, BytesPerSecond, GUEST_PAGE, Share, Span},
};

use crate::{
    curve::{
        DirtyCurve,
        draws::Draws,
        evidence::{Basis, Evidence},
        fit::{CurveFit, FitError},
    },
    guest::GuestHistory,
    model::{Model, rates::Stream, whole_bytes, whole_rate},
    replay::{AutoConverge, Encoding, Method, Migration, PostCopy},
};

/// Spread of the memory with content between two migrations of one guest.
const GUEST_SPREAD: f64 = 0.01;

/// Copying that is waited for in a prediction: stalls are told by rounds, not by time.
const UNBOUNDED: Span = Span::from_seconds(1_000_000_000);

/// Readings older than this are little to go by.
const OLD: Span = Span::from_seconds(900);

/// CPU that a guest is taken to need for its writing where it was not measured.
const CPU_NEED_UNKNOWN: f64 = 0.5;

/// Spread of it.
const CPU_NEED_SPREAD: f64 = 0.3;

/// What a prediction starts from.
pub(super) struct Ground<'a> {
    pub(super) request: &'a MigrationRequest<'a>,
    pub(super) model: &'a Model,
    /// The guest's history, where it has migrated.
    pub(super) past: Option<&'a GuestHistory>,
    /// Its writes; `None` while its vCPUs do not run.
    pub(super) writes: Option<CurveFit>,
    /// Median of the memory with content in bytes, and its spread.
    pub(super) non_zero: (f64, f64),
    pub(super) stream: Stream,
    /// Median of the time outside of copying in seconds, without the downtime, and its spread.
    pub(super) fixed: (f64, f64),
    /// Downtime besides sending the rest, in seconds.
    pub(super) downtime: f64,
}

impl<'a> Ground<'a> {
    pub(super) fn new(
        request: &'a MigrationRequest<'a>,
        model: &'a Model,
    ) -> Result<Self, PredictError> {
        let (domain, settings) = (request.domain, request.settings);
        let vm = || domain.vm.clone();
        let no_bandwidth = settings.bandwidth_limit == Some(BytesPerSecond::ZERO);
        if request.path_bandwidth == BytesPerSecond::ZERO || no_bandwidth {
            return Err(PredictError::NoBandwidth { vm: vm() });
        }
        settings
            .check(request.qemu)
            .map_err(|conflict| PredictError::Conflict { vm: vm(), conflict })?;
        let past = model.guests.get(&domain.vm);
        let writes = match domain.state {
            DomainState::Paused => None,
            _ => Some(writes(request, model, past)?),
        };
        let path = request.path_bandwidth.as_f64();
        Ok(Self {
            request,
            model,
            past,
            writes,
            non_zero: content(domain, model, past),
            stream: model.rates.stream(settings, path, request.sharing),
            fixed: fixed(request, model),
            downtime: model.costs.downtime_of(settings.mode).as_seconds_f64(),
        })
    }

    /// The migration and the curve when everything is as expected.
    pub(super) fn middle(&self) -> (Migration, DirtyCurve) {
        let migration = self.migration(self.non_zero.0, 1.0, 1.0, 1.0);
        let curve = self.writes.as_ref();
        let curve = curve.map_or_else(DirtyCurve::still, |fit| fit.curve(migration.non_zero));
        (migration, curve)
    }

    /// One possible migration and curve.
    pub(super) fn draw(&self, draws: &mut Draws) -> (Migration, DirtyCurve) {
        let non_zero = self.non_zero.0 * draws.factor(self.non_zero.1);
        let (stream, line) =
            (draws.factor(self.stream.spread), draws.factor(self.stream.line_spread));
        let need = draws.factor(CPU_NEED_SPREAD);
        let migration = self.migration(non_zero, stream, line, need);
        let curve = self.writes.as_ref();
        let curve = curve.map_or_else(DirtyCurve::still, |fit| fit.draw(draws, migration.non_zero));
        (migration, curve)
    }

    fn migration(&self, non_zero: f64, stream: f64, line: f64, need: f64) -> Migration {
        let settings = self.request.settings;
        let memory = self.request.domain.memory;
        let non_zero = whole_bytes(non_zero).min(memory).max(GUEST_PAGE.min(memory));
        let stream = whole_rate(self.stream.rate * stream);
        Migration {
            non_zero,
            zero: memory.saturating_sub(non_zero),
            zeros_last: self.model.content.zeros_last,
            queue: self.model.costs.queue,
            stream,
            line: whole_rate(self.stream.line * line).max(stream),
            capped: self.stream.capped,
            downtime_limit: settings.downtime_limit,
            method: self.method(stream, need),
            encoding: self.encoding(),
            channels: settings.channels,
            qemu: self.request.qemu,
            patience: UNBOUNDED,
        }
    }

    fn method(&self, stream: BytesPerSecond, need: f64) -> Method {
        let settings = self.request.settings;
        match settings.mode {
            Mode::PreCopy => Method::PreCopy,
            Mode::AutoConverge => Method::AutoConverge(AutoConverge {
                throttle: settings.throttle,
                cpu_need: Share::clamped(self.cpu_need() * need),
            }),
            Mode::PostCopy => Method::PostCopy(PostCopy {
                reads: settings.reads_before_post_copy,
                background: stream,
                vcpus: self.request.domain.vcpus.max(1),
                fault_wait: self.model.impact.fault_latency,
            }),
        }
    }

    fn encoding(&self) -> Encoding {
        let (coding, past) = (&self.model.coding, self.past);
        let all = |one: BytesPerSecond, side_by_side: u8| {
            let channels = self.request.settings.channels.clamp(1, side_by_side.max(1));
            BytesPerSecond::new(one.get().max(1).saturating_mul(u64::from(channels)))
        };
        match self.request.settings.compression {
            Compression::None => Encoding::Plain,
            Compression::Xbzrle { cache } => Encoding::Delta {
                cache,
                delta_bytes: past.and_then(|p| p.delta_page.mean()).unwrap_or(coding.delta_page),
            },
            Compression::Zlib => Encoding::Stream {
                ratio: past.and_then(|p| p.zlib.mean()).unwrap_or(coding.zlib),
                page_bytes_per_second: all(
                    coding.zlib_page_bytes_per_second,
                    coding.zlib_side_by_side,
                ),
            },
            Compression::Zstd => Encoding::Stream {
                ratio: past.and_then(|p| p.zstd.mean()).unwrap_or(coding.zstd),
                page_bytes_per_second: all(
                    coding.zstd_page_bytes_per_second,
                    coding.zstd_side_by_side,
                ),
            },
        }
    }

    /// Part of its vCPUs' time that the guest uses, where it was measured.
    pub(super) fn busy(&self) -> Option<Share> {
        let domain = self.request.domain;
        let cores = domain.cpu_used?.as_cores_f64();
        Some(Share::clamped(cores / f64::from(domain.vcpus.max(1))))
    }

    /// Part of the vCPUs' time that its writing needs: what a throttled migration showed, else
    /// all that it uses.
    fn cpu_need(&self) -> f64 {
        let shown = self.past.and_then(|past| past.cpu_bound.mean());
        let used = self.busy().map(Share::get);
        shown.or(used).unwrap_or(CPU_NEED_UNKNOWN).clamp(0.02, 1.0)
    }

    /// What no migration undercuts, in seconds and bytes. Compressed pages may.
    pub(super) fn least(migration: &Migration) -> (f64, f64) {
        match migration.encoding {
            Encoding::Plain | Encoding::Delta { .. } => {
                let once = migration.non_zero.as_f64();
                (once / migration.stream.max(migration.line).as_f64(), once)
            }
            Encoding::Stream { .. } => (0.0, 0.0),
        }
    }

    /// Whether the curve rests on little.
    pub(super) fn has_little_telemetry(&self) -> bool {
        self.writes.as_ref().is_some_and(|fit| {
            matches!(fit.basis(), Basis::Similar { .. } | Basis::Assumed)
                || self.request.now.since(fit.newest()) > OLD
        })
    }
}

/// The guest's writes by everything that is known of them.
fn writes(
    request: &MigrationRequest<'_>,
    model: &Model,
    past: Option<&GuestHistory>,
) -> Result<CurveFit, PredictError> {
    let domain = request.domain;
    let past = past.map(|past| past.past(request.now));
    let likely = model.prior.points(domain);
    let evidence = Evidence {
        readings: &domain.dirty,
        past: past.as_ref(),
        likely: Some(&likely),
        memory: domain.memory,
        now: request.now,
        wander: model.level,
    };
    CurveFit::new(&evidence).map_err(|fault: FitError| PredictError::BadTelemetry {
        vm: domain.vm.clone(),
        what: fault.to_string(),
    })
}

fn content(domain: &Domain, model: &Model, past: Option<&GuestHistory>) -> (f64, f64) {
    let known: Option<Bytes> = past.and_then(|past| past.content(domain.memory));
    known.map_or_else(|| model.content.guess(domain), |known| (known.as_f64(), GUEST_SPREAD))
}

/// Median of the time outside of copying in seconds, and its spread.
fn fixed(request: &MigrationRequest<'_>, model: &Model) -> (f64, f64) {
    let settings = request.settings;
    match &model.pairs {
        None => (model.costs.fixed.as_seconds_f64(), model.costs.fixed_spread),
        Some(pairs) => {
            let from = &request.domain.host;
            // A pair that nobody knows is a target that is not decided.
            let to = request.to.unwrap_or(from);
            let cost = pairs.cost(from, to, settings.mode, settings.transport);
            (cost.median.as_seconds_f64(), cost.spread)
        }
    }
}
