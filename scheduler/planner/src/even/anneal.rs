//! Random moves and exchanges, at first also such as make the placement a little worse, then only
//! better ones: threshold accepting (Dueck and Scheuer, Journal of Computational Physics 90, 1990).
//!
//! Half of the proposals are moves, home or anywhere; half are exchanges, of two VMs anywhere or of
//! one that is away with one on the host it came from: the second then takes over the first one's
//! move, and the number of moves stays. Draws from its own seeded stream, so that equal requests
//! give equal plans; uses no function whose last digit a platform may choose.

use super::evening::Evening;

/// Proposals for each pair of VMs.
const PROPOSALS_A_PAIR: usize = 6;

/// Least and most proposals: a small cluster is done in a millisecond whatever it takes, a cluster
/// of 25,000 VMs within seconds.
const PROPOSALS: (usize, usize) = (20_000, 50_000_000);

/// What a proposal may make worse at the beginning and at the end, in parts of one host and times
/// all weights.
const WORSE: (f64, f64) = (0.01, 0.001);

/// Improves `now` by moving `vms`.
pub(super) fn anneal(now: &mut Evening<'_>, vms: &[usize], seed: u64) {
    let hosts = now.resources.hosts.len();
    if vms.is_empty() || hosts < 2 {
        return;
    }
    let mut movable = vec![false; now.draft.now.place.len()];
    for &vm in vms {
        movable[vm] = true;
    }
    let pairs = vms.len().saturating_mul(vms.len()) / 2;
    let total = pairs.saturating_mul(PROPOSALS_A_PAIR).clamp(PROPOSALS.0, PROPOSALS.1);
    let weight = now.resources.weight();
    let mut draw = Draw(seed);
    for step in 0..total {
        let left = 1.0 - step as f64 / total as f64;
        let worse = weight * (WORSE.1 + (WORSE.0 - WORSE.1) * left * left * left);
        let threshold = 2.0 * worse * draw.part();
        let vm = vms[draw.below(vms.len())];
        let (at, home) = now.at(vm);
        let towards_home = at != home && draw.below(2) == 0;
        if draw.below(2) == 0 {
            let to = if towards_home { home } else { now.resources.hosts[draw.below(hosts)] };
            if to != at && now.change(vm, to) <= threshold {
                now.shift(vm, to);
            }
        } else {
            let there = if towards_home { now.draft.guests(home) } else { vms };
            let Some(&other) = there.get(draw.below(there.len())) else { continue };
            let differ = movable[other] && now.at(other).0 != at;
            if differ && now.change_of_exchange(vm, other) <= threshold {
                now.exchange(vm, other);
            }
        }
    }
}

/// `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014).
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `count`, without it; 0 where there is nothing to draw from.
    fn below(&mut self, count: usize) -> usize {
        (((self.next() >> 32) * count as u64) >> 32) as usize
    }

    /// From 0 to 1, without it.
    fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
