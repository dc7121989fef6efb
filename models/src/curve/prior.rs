//! What guests do that are like one that nobody has measured.
//!
//! Nearest neighbours by memory, resident memory and CPU in use, all on a logarithmic scale, among
//! the guests that have migrated. Their curves at a few windows give a middle and a spread; both
//! are wide, and the answer says how many guests stand behind it.
//!
//! Never used where the guest itself was seen.

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    cluster::Domain,
    ids::VmId,
    telemetry::{MigrationRecord, MigrationTrace},
    units::{Bytes, MilliCores, Span, Timestamp},
};

use super::{
    evidence::{Basis, Evidence},
    fit::CurveFit,
    points::CurvePoint,
    samples,
    sources::past_of_points,
};

/// Windows at which guests are compared, in milliseconds.
const WINDOWS_MILLIS: [u64; 4] = [250, 1000, 4000, 16_000];

/// Guests that are kept: the newest.
const GUESTS_MAX: usize = 256;

/// Neighbours that an answer is taken from.
const NEIGHBOURS: usize = 5;

/// Spread that a neighbour has at no distance, and what one unit of distance adds to it.
const SPREAD_NEAR: f64 = 0.7;
const SPREAD_AWAY: f64 = 0.5;

/// Least spread of an answer: similar guests are not the guest.
const SPREAD_MIN: f64 = 0.6;

/// Distance of a property that only one side knows.
const UNKNOWN: f64 = 0.7;

/// What is assumed where no guest was ever seen: bytes a second, the exponent of U, the spread.
const ASSUMED_RATE: f64 = 8.0 * 1_048_576.0;
const ASSUMED_EXPONENT: f64 = 0.85;
const ASSUMED_SPREAD: f64 = 1.5;

/// Least value that is compared, in bytes: below it guests are alike.
const LEAST_BYTES: f64 = 4096.0;

/// Guests to liken others to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prior {
    /// One entry a guest, from the oldest to the newest.
    guests: Vec<Known>,
}

/// A guest whose curve is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    vm: VmId,
    at: Timestamp,
    memory: Bytes,
    resident: Option<Bytes>,
    cpu_used: Option<MilliCores>,
    /// U at [`WINDOWS_MILLIS`].
    unique: [Bytes; WINDOWS_MILLIS.len()],
}

/// What a guest likely does, judged by others.
#[derive(Debug, Clone, PartialEq)]
pub struct Likely {
    /// Points of U(t); their errors are those of the shape.
    pub points: Vec<CurvePoint>,
    /// Spread of the level, a standard deviation of its logarithm.
    pub spread: f64,
    /// Guests that stand behind it; 0 says that it is assumed.
    pub guests: usize,
}

impl Likely {
    /// What a curve from it rests on.
    pub(super) fn basis(&self) -> Basis {
        match self.guests {
            0 => Basis::Assumed,
            guests => Basis::Similar { guests },
        }
    }
}

/// What makes guests similar, in logarithms.
struct Likeness {
    memory: f64,
    resident: Option<f64>,
    cpu: Option<f64>,
}

impl Prior {
    /// Learns from `traces` in any order; the newest of each guest counts. Traces that show
    /// nothing of the guest's writes teach nothing.
    pub fn learn(traces: &[MigrationTrace]) -> Self {
        let mut order: Vec<&MigrationTrace> = traces.iter().collect();
        order.sort_by(|a, b| (a.record.at, &a.record.id).cmp(&(b.record.at, &b.record.id)));
        let mut prior = Self::default();
        for trace in order {
            prior.remember(trace);
        }
        prior
    }

    /// Takes one more migration in.
    pub fn remember(&mut self, trace: &MigrationTrace) {
        let record = &trace.record;
        let Some(unique) = seen(trace) else { return };
        self.guests.retain(|known| known.vm != record.vm);
        self.guests.push(Known {
            vm: record.vm.clone(),
            at: record.at,
            memory: record.memory,
            resident: record.resident,
            cpu_used: record.cpu_used,
            unique,
        });
        let surplus = self.guests.len().saturating_sub(GUESTS_MAX);
        self.guests.drain(..surplus);
    }

    /// What `domain` likely does. Itself is left out: its own history is better evidence.
    pub fn points(&self, domain: &Domain) -> Likely {
        let wanted = Likeness::of_domain(domain);
        let mut near: Vec<(f64, &Known)> = self
            .guests
            .iter()
            .filter(|known| known.vm != domain.vm)
            .map(|known| (wanted.distance(&Likeness::of_known(known)), known))
            .collect();
        near.sort_by(|(a, x), (b, y)| a.total_cmp(b).then_with(|| x.vm.cmp(&y.vm)));
        near.truncate(NEIGHBOURS);
        if near.is_empty() { assumed(domain.memory) } else { from_neighbours(&near, domain) }
    }
}

/// U at the compared windows as `trace` shows it; `None` where it shows nothing.
fn seen(trace: &MigrationTrace) -> Option<[Bytes; WINDOWS_MILLIS.len()]> {
    let record: &MigrationRecord = &trace.record;
    let past = past_of_points(samples::points(trace));
    let evidence = Evidence {
        past: past.as_ref(),
        now: record.at,
        ..Evidence::of_readings(&record.dirty_before, record.memory)
    };
    let curve = CurveFit::new(&evidence).ok()?.curve(record.memory);
    Some(WINDOWS_MILLIS.map(|millis| curve.unique(Span::from_millis(millis))))
}

fn from_neighbours(near: &[(f64, &Known)], domain: &Domain) -> Likely {
    let weight = |distance: f64| 1.0 / (SPREAD_NEAR + SPREAD_AWAY * distance).powi(2);
    let all: f64 = near.iter().map(|(distance, _)| weight(*distance)).sum();
    let log = |known: &Known, window: usize| {
        known.unique.get(window).map_or(0.0, |b| b.as_f64().max(LEAST_BYTES).ln())
    };
    let mean = |window: usize| {
        near.iter().map(|(distance, known)| weight(*distance) * log(known, window)).sum::<f64>()
            / all
    };
    let middles: Vec<f64> = (0..WINDOWS_MILLIS.len()).map(mean).collect();
    // Guests differ in level first: the spread is that at the second window.
    let level = middles.get(1).copied().unwrap_or_default();
    let scatter = near
        .iter()
        .map(|(distance, known)| weight(*distance) * (log(known, 1) - level).powi(2))
        .sum::<f64>()
        / all;
    let values = middles.iter().map(|log| log.exp());
    let spread = scatter.sqrt().hypot(all.sqrt().recip()).max(SPREAD_MIN);
    Likely { points: likely_points(values, domain.memory), spread, guests: near.len() }
}

/// What is assumed of a guest with `memory` where no other was seen.
fn assumed(memory: Bytes) -> Likely {
    let values =
        WINDOWS_MILLIS.map(|millis| ASSUMED_RATE * (millis as f64 / 1000.0).powf(ASSUMED_EXPONENT));
    Likely { points: likely_points(values.into_iter(), memory), spread: ASSUMED_SPREAD, guests: 0 }
}

fn likely_points(values: impl Iterator<Item = f64>, memory: Bytes) -> Vec<CurvePoint> {
    WINDOWS_MILLIS
        .iter()
        .zip(values)
        .map(|(millis, value)| {
            let unique = value.min(memory.as_f64());
            CurvePoint {
                window: Span::from_millis(*millis),
                unique: Bytes::new(unique.round() as u64),
                error: Bytes::new((0.3 * unique).max(LEAST_BYTES).round() as u64),
                measured_at: Timestamp::default(),
            }
        })
        .collect()
}

impl Likeness {
    fn of_domain(domain: &Domain) -> Self {
        Self::new(domain.memory, domain.resident, domain.cpu_used)
    }

    fn of_known(known: &Known) -> Self {
        Self::new(known.memory, known.resident, known.cpu_used)
    }

    fn new(memory: Bytes, resident: Option<Bytes>, cpu_used: Option<MilliCores>) -> Self {
        Self {
            memory: memory.as_f64().max(LEAST_BYTES).ln(),
            resident: resident.map(|bytes| bytes.as_f64().max(LEAST_BYTES).ln()),
            // An idle guest and one that uses a hundredth of a core are alike.
            cpu: cpu_used.map(|cpu| (cpu.as_cores_f64() + 0.01).ln()),
        }
    }

    /// Euclidean; CPU counts twice, for writing takes it.
    fn distance(&self, other: &Self) -> f64 {
        let apart = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => a - b,
            (None, None) => 0.0,
            _ => UNKNOWN,
        };
        let memory = self.memory - other.memory;
        let resident = apart(self.resident, other.resident);
        let cpu = 2.0 * apart(self.cpu, other.cpu);
        memory.hypot(resident).hypot(cpu)
    }
}
