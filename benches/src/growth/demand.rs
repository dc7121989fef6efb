//! A day of CPU demand of many guests, made up: most are nearly idle, some are busy by day, all
//! have bursts.
//!
//! Never here: a real trace.

use crate::draw::Draw;

/// Samples of a day, one in five minutes.
const SAMPLES: u64 = 288;

/// Different guests; those of a larger world follow them shifted.
const SERIES: usize = 1000;

/// Seed of every choice.
const SEED: u64 = 11;

/// Demand in percent of a core by guest, then sample.
pub(super) fn day() -> Vec<Vec<u8>> {
    let mut draw = Draw(SEED);
    (0..SERIES).map(|_| series(&mut draw)).collect()
}

fn series(draw: &mut Draw) -> Vec<u8> {
    // The product of two draws: half of all guests ask for less than a tenth of a core.
    let usual = 1 + draw.below(7) * draw.below(7);
    let by_day = draw.below(20);
    let begins = draw.below(SAMPLES);
    let mut burst = 0;
    (0..SAMPLES)
        .map(|sample| {
            burst = if draw.below(40) == 0 { draw.below(60) } else { burst * 3 / 4 };
            let busy = (sample + begins) % SAMPLES < SAMPLES / 3;
            let wanted = usual + u64::from(busy) * by_day + burst + draw.below(4);
            wanted.min(100) as u8
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_are_mostly_idle_and_each_its_own() {
        let day = day();
        assert_eq!(day, super::day());
        assert_ne!(day[0], day[1]);
        let all = day.iter().flatten();
        assert!(all.clone().all(|percent| *percent <= 100));
        let mean = all.map(|percent| f64::from(*percent)).sum::<f64>() / 288e3;
        assert!((10.0..30.0).contains(&mean), "{mean}");
    }
}
