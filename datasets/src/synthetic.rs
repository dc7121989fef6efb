//! Guests that nobody ran, as a public cloud's are: arrivals, sizes, lifetimes and CPU use, drawn
//! by a seed.
//!
//! Arrivals, batches, sizes and lifetimes follow Azure's machines of 2017 (Cortez et al., "Resource
//! Central", SOSP 2017; the shares and quantiles below are those of the 669,435 machines of the set
//! `azure-v1-arrivals`, and a test compares them with it). The mean CPU of a guest follows that
//! paper's figure 1: 60 % of the machines use less than 20 %. How a guest swings over the day and
//! from one interval to the next is not published: a wave of up to half its mean, highest at a
//! random hour, and noise that halves within three intervals.
//!
//! How many guests come is asked for: moments of batches are drawn one by one by the hour of the day,
//! which is what becomes of a Poisson process whose number is known.
//!
//! Only sums, products and quotients are used, no function whose last bit differs between
//! machines: the same seed gives the same guests everywhere. Each guest draws its stay and its use
//! from streams of its own.
//!
//! Never here: memory in use (nothing published says), files, a clock.

mod rows;

use rand::RngExt as _;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use whimbrel_core::{
    trace::{Life, Size, UseSample},
    units::{Bytes, MilliCores, Span},
};

pub use rows::SyntheticError;

const HOUR_MICROS: u64 = 3_600_000_000;
const DAY_MICROS: u64 = 24 * HOUR_MICROS;

/// Arrivals of batches in each hour of the day, relative to the mean.
const HOURS: [f64; 24] = [
    0.988, 0.945, 0.799, 0.726, 0.652, 0.638, 0.585, 0.585, 0.627, 0.789, 0.871, 0.947, 0.998,
    1.121, 1.164, 1.161, 1.226, 1.368, 1.458, 1.406, 1.340, 1.336, 1.233, 1.037,
];

/// The most of [`HOURS`].
const HOUR_MOST: f64 = 1.458;

/// Guests of a batch, by the share of batches that have fewer.
const BATCH: [(f64, f64); 19] = [
    (0.0, 1.0),
    (0.572, 1.0),
    (0.5721, 2.0),
    (0.752, 2.0),
    (0.7521, 3.0),
    (0.8156, 3.0),
    (0.85, 4.0),
    (0.87, 5.0),
    (0.9, 7.0),
    (0.93, 11.0),
    (0.95, 15.0),
    (0.97, 25.0),
    (0.985, 44.0),
    (0.99, 68.0),
    (0.993, 102.0),
    (0.995, 147.0),
    (0.998, 262.0),
    (0.9995, 346.0),
    (1.0, 600.0),
];

/// Share of guests up to each size, its cores and its memory in MiB.
const SIZES: [(f64, u64, u64); 6] = [
    (0.568_2, 1, 1792),
    (0.763_8, 2, 3584),
    (0.864_8, 4, 7168),
    (0.959_4, 8, 14_336),
    (0.984_0, 8, 57_344),
    (1.0, 1, 768),
];

/// Seconds of a life, by the share of lives that are shorter; those that end within their first
/// interval count as a second.
const LIVES: [(f64, f64); 17] = [
    (0.0, 1.0),
    (0.029, 1.0),
    (0.030, 300.0),
    (0.133, 300.0),
    (0.20, 600.0),
    (0.30, 900.0),
    (0.40, 1200.0),
    (0.50, 1500.0),
    (0.60, 2100.0),
    (0.70, 4200.0),
    (0.80, 9900.0),
    (0.85, 18_300.0),
    (0.90, 33_600.0),
    (0.95, 55_200.0),
    (0.98, 91_800.0),
    (0.995, 171_900.0),
    (1.0, 520_000.0),
];

/// Mean CPU of a guest as a share of its cores, by the share of guests that use less.
const MEANS: [(f64, f64); 7] =
    [(0.0, 0.005), (0.2, 0.04), (0.4, 0.10), (0.6, 0.20), (0.8, 0.45), (0.95, 0.80), (1.0, 0.95)];

/// Most of its mean that a guest swings by over the day, up and down.
const SWING_MAX: f64 = 0.5;

/// Part of the noise that stays to the next interval, and what is added, relative to the mean.
const NOISE_STAYS: f64 = 0.8;
const NOISE_ADDED: f64 = 0.2;

/// Most guests that are drawn.
pub(crate) const GUESTS_MAX: u32 = 20_000_000;

/// Longest trace: what the project's own form of a trace has room for.
pub(crate) const LASTS_MAX: Span = Span::from_seconds(366 * 86_400);

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SyntheticTrace {
    /// Seed of everything.
    pub seed: u64,
    /// Guests that arrive, at most 20 million; that cloud had about 73,000 a day.
    pub guests: u32,
    /// They arrive within so long, 366 days at most.
    pub lasts: Span,
    /// Between two samples of a guest, a second at least.
    pub interval: Span,
    /// Guests are there from the begin to the end, instead of coming and going.
    pub stay: bool,
}

impl SyntheticTrace {
    /// The guests in the order of their arrival. A life that reaches the trace's end has none.
    pub fn lives(&self) -> impl Iterator<Item = Life> + use<> {
        let (seed, stay) = (self.seed, self.stay);
        let ends = self.lasts.min(LASTS_MAX).as_micros();
        let batches = self.batches().into_iter();
        let guests = batches.flat_map(|batch| std::iter::repeat_n(batch, batch.guests as usize));
        (0_u32..).zip(guests).map(move |(guest, batch)| {
            let size = batch.size;
            if stay {
                return Life { guest, begins: Span::ZERO, stays: None, size };
            }
            let mut rng = stream(seed, 1 + u64::from(guest));
            let stays = Span::from_micros((within(&LIVES, rng.random()) * 1e6) as u64);
            let ended = batch.at.saturating_add(stays.as_micros()) < ends;
            let begins = Span::from_micros(batch.at);
            Life { guest, begins, stays: ended.then_some(stays), size }
        })
    }

    /// The batches in which guests arrive, in the order of time. The last one that is drawn is cut
    /// where it would bring too many.
    fn batches(&self) -> Vec<Batch> {
        let ends = self.lasts.min(LASTS_MAX).as_micros();
        let mut rng = stream(self.seed, 0);
        let mut left = if ends == 0 { 0 } else { self.guests.min(GUESTS_MAX) };
        let mut batches = Vec::new();
        while left > 0 {
            let guests = (within(&BATCH, rng.random()) as u32).clamp(1, left);
            let size = size(rng.random());
            batches.push(Batch { at: moment(&mut rng, ends), guests, size });
            left -= guests;
        }
        batches.sort_by_key(|batch| batch.at);
        batches
    }

    /// What the guest of `life` uses, from its arrival to its end or that of the trace.
    pub fn samples(&self, life: &Life) -> impl Iterator<Item = UseSample> + use<> {
        // One stream apart from the lives': a guest's use does not depend on how long it stays.
        let mut rng = stream(self.seed, (1 << 40) + u64::from(life.guest));
        let mean = within(&MEANS, rng.random());
        let swing = SWING_MAX * rng.random::<f64>();
        let highest = rng.random::<f64>();
        let begins = life.begins.as_micros();
        let ends = self.lasts.min(LASTS_MAX).as_micros();
        let ends = life.stays.map_or(ends, |stays| begins.saturating_add(stays.as_micros()));
        let interval = self.interval.as_micros().max(1_000_000);
        let (guest, cores) = (life.guest, life.size.cpu.get() as f64);
        let mut noise = 0.0;
        (begins..ends).step_by(usize::try_from(interval).unwrap_or(usize::MAX)).map(move |at| {
            noise = NOISE_STAYS * noise + NOISE_ADDED * bell(&mut rng);
            let of_day = (at % DAY_MICROS) as f64 / DAY_MICROS as f64;
            let share = mean * (1.0 + swing * wave(of_day - highest) + noise);
            let cpu = MilliCores::new((share.clamp(0.0, 1.0) * cores).round() as u64);
            UseSample { guest, at: Span::from_micros(at), cpu, memory: None }
        })
    }
}

/// Guests of one size that arrive together.
#[derive(Debug, Clone, Copy)]
struct Batch {
    /// Microseconds after the trace's begin.
    at: u64,
    guests: u32,
    size: Size,
}

/// A moment before `ends`, by the hour of the day.
fn moment(rng: &mut ChaCha8Rng, ends: u64) -> u64 {
    loop {
        let at = (rng.random::<f64>() * ends as f64) as u64;
        let hour = usize::try_from(at / HOUR_MICROS % 24).unwrap_or(0);
        let chance = HOURS.get(hour).copied().unwrap_or(1.0) / HOUR_MOST;
        if rng.random::<f64>() < chance {
            return at;
        }
    }
}

/// A stream of its own for `number`.
pub(crate) fn stream(seed: u64, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    rng
}

/// The value at `share` of a table of quantiles, in a straight line between its rows.
fn within(table: &[(f64, f64)], share: f64) -> f64 {
    let mut below = table.first().copied().unwrap_or_default();
    for &(at, value) in table {
        if share < at {
            let part = (share - below.0) / (at - below.0);
            return below.1 + part * (value - below.1);
        }
        below = (at, value);
    }
    below.1
}

fn size(share: f64) -> Size {
    let found = SIZES.iter().find(|(up_to, ..)| share < *up_to).or(SIZES.last());
    found.map_or_else(Size::default, |&(_, cores, mib)| Size {
        cpu: MilliCores::cores(cores),
        memory: Bytes::mib(mib),
    })
}

/// A number around 0 with variance 1, nearly of the normal distribution: the sum of twelve even
/// ones (Irwin and Hall).
pub(crate) fn bell(rng: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
}

/// A wave of period 1 from 1 at 0 to -1 at a half, made of two parabolas.
fn wave(at: f64) -> f64 {
    let part = (at + 2.25) % 1.0;
    let half = if part < 0.5 { part } else { part - 0.5 };
    let bow = 16.0 * half * (0.5 - half);
    if part < 0.5 { bow } else { -bow }
}

#[cfg(test)]
mod tests;
