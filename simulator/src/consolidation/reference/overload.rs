//! When a host counts as overloaded, by the rules of Beloglazov and Buyya (CCPE 2012, section 4).
//!
//! Never here: what is done about it.

use super::{
    super::guest::{Guests, HISTORY},
    trial::Trial,
};

/// Decisions that a trend is drawn through.
const TREND: usize = 10;

/// Demand that a host must have shown for a spread to say something.
const SPREAD_MIN: usize = 12;

/// What holds while there is too little history for the rule itself.
const FALLBACK: f64 = 0.7;

/// Loads this close to a threshold are computed the long way, as the reference does it.
const CLOSE: f64 = 1e-6;

/// A rule, with its parameter. All count what guests want, not what they get.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Overload {
    /// THR: more than this part of the host is wanted. Range 0..=1.
    Threshold(f64),
    /// MAD: more than 1 less this many times the median absolute deviation of the host's load.
    Deviation(f64),
    /// IQR: more than 1 less this many times the interquartile range of the host's load.
    Quartiles(f64),
    /// LR: the straight line through the last ten loads, one decision on and times this, is 1 or
    /// more.
    Regression(f64),
    /// LRR. In the reference it comes to the same as LR: `MathUtil.createWeigthedLinearRegression`
    /// uses weights only where four in ten are 0, and `getTricubeBisquareWeigts` makes none that
    /// is.
    RobustRegression(f64),
}

/// What the last demands foresee of each guest.
#[derive(Debug, Clone, Default)]
pub(super) struct Outlook {
    foreseen: Vec<f64>,
    remembered: Vec<bool>,
}

impl Outlook {
    /// Looks ahead from the last decision that `guests` remember.
    pub(super) fn new(guests: &Guests) -> Self {
        let recent = guests.past.iter().rev();
        let mut foreseen = vec![0.0; guests.len()];
        let mut remembered = vec![false; guests.len()];
        for (age, shares) in recent.enumerate() {
            if age >= TREND {
                for (remembered, share) in remembered.iter_mut().zip(shares) {
                    *remembered |= *share != 0.0;
                }
                continue;
            }
            if age == TREND - 1 {
                for (remembered, share) in remembered.iter_mut().zip(shares) {
                    *remembered |= *share != 0.0;
                }
            }
            let weight = trend_weight(age);
            for (foreseen, share) in foreseen.iter_mut().zip(shares) {
                *foreseen += weight * share;
            }
        }
        for (foreseen, guest) in foreseen.iter_mut().zip(guests.iter()) {
            *foreseen *= guest.mips;
        }
        Self { foreseen, remembered }
    }

    /// What is foreseen of `guest` in MIPS, and whether it asked for anything long enough ago.
    pub(super) fn of(&self, guest: u32) -> (f64, bool) {
        (self.foreseen[guest as usize], self.remembered[guest as usize])
    }
}

/// Weight of the load `age` decisions ago in the least-squares line through ten of them at the
/// next decision: 1/n + (x' - mean)(x - mean) / Sxx with x = 1..10 and x' = 11.
fn trend_weight(age: usize) -> f64 {
    let x = (TREND - age) as f64;
    0.1 + 5.5 * (x - 5.5) / 82.5
}

impl Overload {
    /// Whether a load is too much for a host without history.
    fn fills(self, load: f64) -> bool {
        load > if let Self::Threshold(threshold) = self { threshold } else { FALLBACK }
    }

    /// Whether `host` would be overloaded with `one_more`.
    pub(super) fn hits(
        self,
        host: &mut Trial,
        one_more: Option<u32>,
        guests: &Guests,
        outlook: &Outlook,
    ) -> bool {
        let more_wanted = one_more.map_or(0.0, |guest| guests.of(guest).wants);
        let wanted = (host.wanted + more_wanted) / host.mips;
        match self {
            Self::Threshold(_) => self.fills(wanted),
            Self::Deviation(times) | Self::Quartiles(times) => {
                let mut loads = Loads::of(host.loads(one_more, guests));
                if loads.len < SPREAD_MIN {
                    return self.fills(wanted);
                }
                let deviation = matches!(self, Self::Deviation(_));
                let spread = if deviation { loads.deviation() } else { loads.quartiles() };
                wanted > 1.0 - times * spread
            }
            Self::Regression(times) | Self::RobustRegression(times) => {
                let (more_foreseen, remembered) =
                    one_more.map_or((0.0, false), |guest| outlook.of(guest));
                if host.remembered == 0 && !remembered {
                    return self.fills(wanted);
                }
                let foreseen = (host.foreseen + more_foreseen) / host.mips * times;
                if (foreseen - 1.0).abs() > CLOSE {
                    return foreseen >= 1.0;
                }
                Loads::of(host.loads(one_more, guests)).next() * times >= 1.0
            }
        }
    }
}

/// Loads of a host with its present guests at past decisions, the newest first.
struct Loads {
    values: [f64; HISTORY],
    /// Up to the oldest that is not 0; at least 1.
    len: usize,
}

impl Loads {
    fn of(values: [f64; HISTORY]) -> Self {
        let len = values.iter().rposition(|load| *load != 0.0).unwrap_or(0) + 1;
        Self { values, len }
    }

    fn seen(&mut self) -> &mut [f64] {
        &mut self.values[..self.len]
    }

    /// The median distance from the median.
    fn deviation(&mut self) -> f64 {
        let seen = self.seen();
        let middle = median(seen);
        for load in &mut *seen {
            *load = (middle - *load).abs();
        }
        median(seen)
    }

    /// The distance between the quartiles.
    fn quartiles(&mut self) -> f64 {
        let seen = self.seen();
        let mut at = |part: f64| {
            let rank = (part * (seen.len() + 1) as f64 + 0.5).floor() - 1.0;
            let rank = (rank.max(0.0) as usize).min(seen.len() - 1);
            *seen.select_nth_unstable_by(rank, f64::total_cmp).1
        };
        at(0.75) - at(0.25)
    }

    /// The least-squares line through the last ten at the next decision, summed up as by Apache
    /// Commons Math's `SimpleRegression`, which the reference uses.
    fn next(&self) -> f64 {
        let (mut mean_x, mut mean_y) = (0.0, 0.0);
        let (mut sum_x, mut sum_y, mut sum_xx, mut sum_xy) = (0.0, 0.0, 0.0, 0.0);
        for (before, y) in self.values[..TREND].iter().rev().enumerate() {
            let (n, x) = (before as f64, before as f64 + 1.0);
            if before == 0 {
                (mean_x, mean_y) = (x, *y);
            } else {
                let (dx, dy) = (x - mean_x, y - mean_y);
                sum_xx += dx * dx * (n / (1.0 + n));
                sum_xy += dx * dy * (n / (1.0 + n));
                mean_x += dx / (1.0 + n);
                mean_y += dy / (1.0 + n);
            }
            sum_x += x;
            sum_y += y;
        }
        let n = TREND as f64;
        let slope = sum_xy / sum_xx;
        (sum_y - slope * sum_x) / n + slope * (n + 1.0)
    }
}

/// The median; between the two middle ones where there are two. Values change their order.
fn median(values: &mut [f64]) -> f64 {
    let (middle, odd) = (values.len() / 2, values.len() % 2 == 1);
    if middle == 0 {
        return values.first().copied().unwrap_or(f64::NAN);
    }
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    if odd {
        return upper;
    }
    let low = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    low + 0.5 * (upper - low)
}

#[cfg(test)]
mod tests {
    use super::{
        super::super::{host::Host, setup::Setup},
        *,
    };

    /// A guest of 2,500 MIPS alone on a host of 5,320, whose `past` is shares of its virtual core,
    /// the oldest first, and which wants the last of them.
    fn hits(rule: Overload, past: &[f64]) -> bool {
        let setup = Setup::planetlab(2, &[vec![0]]).unwrap();
        let mut guests = Guests::new(&setup);
        guests.past = past.iter().map(|share| vec![*share]).collect();
        guests.of_mut(0).wants = past.last().copied().unwrap_or_default() * 2500.0;
        let outlook = Outlook::new(&guests);
        let mut host = Host::new(1, &setup.host_kinds[1]);
        host.guests.push(0);
        let mut trial = Trial::new(&host, &setup.curves[1], &guests, &outlook);
        rule.hits(&mut trial, None, &guests, &outlook)
    }

    #[test]
    fn a_threshold_is_of_what_is_wanted() {
        // 2,500 of 5,320 MIPS are 0.4699 of the host.
        assert!(hits(Overload::Threshold(0.469), &[1.0]));
        assert!(!hits(Overload::Threshold(0.470), &[1.0]));
    }

    #[test]
    fn with_little_history_seven_tenths_are_too_much() {
        let eleven = [1.0; 11];
        for rule in [Overload::Deviation(9.0), Overload::Quartiles(9.0)] {
            assert!(!hits(rule, &eleven));
        }
        assert!(!hits(Overload::Regression(9.0), &eleven[..9]));
        assert!(hits(Overload::Regression(9.0), &eleven[..10]));
    }

    #[test]
    fn spreads_are_those_computed_by_hand() {
        let loads = || {
            let mut values = [0.0; HISTORY];
            for (rank, value) in values.iter_mut().take(12).enumerate() {
                *value = rank as f64 + 1.0;
            }
            Loads { values, len: 12 }
        };
        // The median of 1 to 12 is 6.5; distances from it are 0.5 to 5.5, each twice.
        assert!((loads().deviation() - 3.0).abs() < 1e-12);
        // The third and the tenth of twelve.
        assert!((loads().quartiles() - 7.0).abs() < 1e-12);
    }

    #[test]
    fn a_spread_lowers_the_threshold() {
        // Loads of 0.0470 to 0.4699 in steps, some of them twice: the quartiles are six steps apart.
        let past: Vec<f64> = (1..=12).map(|step| f64::from(step.min(10)) / 10.0).collect();
        let step = 250.0 / 5320.0;
        let (limit_quartiles, limit_deviation) =
            ((1.0 - 10.0 * step) / (7.0 * step), (1.0 - 10.0 * step) / (3.0 * step));
        assert!(hits(Overload::Quartiles(limit_quartiles + 0.01), &past));
        assert!(!hits(Overload::Quartiles(limit_quartiles - 0.01), &past));
        assert!(hits(Overload::Deviation(limit_deviation + 0.01), &past));
        assert!(!hits(Overload::Deviation(limit_deviation - 0.01), &past));
    }

    #[test]
    fn a_line_is_drawn_one_decision_on() {
        // Shares of 0.05 to 0.50: the next one is 0.55, 1,375 of 5,320 MIPS.
        let past: Vec<f64> = (1..=10).map(|step| f64::from(step) / 20.0).collect();
        let limit = 5320.0 / 1375.0;
        for rule in [Overload::Regression, Overload::RobustRegression] {
            assert!(hits(rule(limit + 0.001), &past));
            assert!(!hits(rule(limit - 0.001), &past));
            // So close that it is computed the long way.
            assert!(hits(rule(limit * (1.0 + 1e-9)), &past));
            assert!(!hits(rule(limit * (1.0 - 1e-9)), &past));
        }
    }
}
