//! What a migration takes outside of copying: preparation, start at the target, hand-over.
//!
//! Learnt at three levels, each drawn towards the one before by n / (n + k) (empirical-Bayes
//! shrinkage; Gelman and Hill: "Data Analysis Using Regression and Multilevel/Hierarchical
//! Models", 2007, chapter 12): all migrations, those of one mode and transport, those of one pair
//! of hosts. Medians and quantiles of logarithms throughout: one odd migration moves nothing.
//!
//! Never negative, and never certain: a pair without observations has the spread between pairs
//! on top of the spread within one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    ids::HostId,
    settings::{Mode, Transport},
    units::Span,
};

use crate::quantile::{median, spread};

/// Observations at which a level counts as much as the one before it.
const SHRINKAGE: f64 = 8.0;

/// Fewest observations that anything is learnt from.
const OBSERVATIONS_MIN: usize = 5;

/// Shortest time that is told from none.
const LEAST: Span = Span::from_millis(1);

/// Bounds on spreads: no cost is known to 1 %, and nothing spans more than this.
const SPREAD_MIN: f64 = 0.02;
const SPREAD_MAX: f64 = 1.5;

/// Time outside of copying that one migration took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostObservation {
    /// From.
    pub from: HostId,
    /// To.
    pub to: HostId,
    /// How memory travelled.
    pub mode: Mode,
    /// How the stream was protected.
    pub transport: Transport,
    /// Total time without the time that copying explains.
    pub outside_copying: Span,
}

/// The time outside of copying that is expected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FixedCost {
    /// Its median.
    pub median: Span,
    /// Spread: standard deviation of its natural logarithm. Range 0.02..=1.5.
    pub spread: f64,
    /// Migrations of this pair of hosts that it was learnt from.
    pub of_pair: u32,
}

/// Times outside of copying by pair of hosts, mode and transport.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixedCosts {
    /// Median of all.
    pooled: Span,
    /// Spread within a pair and a kind.
    spread: f64,
    /// Spread of the pairs' levels.
    between_pairs: f64,
    kinds: Vec<Kind>,
    /// By source, then target.
    pairs: BTreeMap<HostId, BTreeMap<HostId, Pair>>,
}

/// A mode and a transport.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kind {
    mode: Mode,
    transport: Transport,
    /// Logarithm of the factor on the pooled median, after shrinkage.
    level: f64,
}

/// A pair of hosts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    /// Logarithm of the factor on its kind's median, after shrinkage.
    level: f64,
    spread: f64,
    observations: u32,
}

impl FixedCosts {
    /// Learns from `observations` in any order; `None` from fewer than 5.
    pub fn fit(observations: &[CostObservation]) -> Option<Self> {
        if observations.len() < OBSERVATIONS_MIN {
            return None;
        }
        let ln = |o: &CostObservation| o.outside_copying.max(LEAST).as_seconds_f64().ln();
        let pooled = median(&observations.iter().map(ln).collect::<Vec<f64>>())?;
        let mut by_kind: BTreeMap<(Mode, Transport), Vec<f64>> = BTreeMap::new();
        for one in observations {
            by_kind.entry((one.mode, one.transport)).or_default().push(ln(one) - pooled);
        }
        let kinds: Vec<Kind> = by_kind
            .iter()
            .map(|(&(mode, transport), off)| Kind { mode, transport, level: shrunk(off) })
            .collect();
        let mut learnt = Self {
            pooled: Span::from_seconds_f64(pooled.exp()),
            spread: SPREAD_MIN,
            between_pairs: 0.0,
            kinds,
            pairs: BTreeMap::new(),
        };
        learnt.learn_pairs(observations, |o| ln(o) - pooled);
        Some(learnt)
    }

    /// The levels of pairs, what is left within them, and how far they lie apart.
    fn learn_pairs(
        &mut self,
        observations: &[CostObservation],
        off: impl Fn(&CostObservation) -> f64,
    ) {
        let mut by_pair: BTreeMap<(&HostId, &HostId), Vec<f64>> = BTreeMap::new();
        for one in observations {
            let rest = off(one) - self.kind(one.mode, one.transport);
            by_pair.entry((&one.from, &one.to)).or_default().push(rest);
        }
        let levels: Vec<f64> = by_pair.values().map(|rests| shrunk(rests)).collect();
        let within: Vec<f64> = by_pair
            .values()
            .zip(&levels)
            .flat_map(|(rests, level)| rests.iter().map(move |rest| rest - level))
            .collect();
        self.spread = spread(&within).clamp(SPREAD_MIN, SPREAD_MAX);
        let power: f64 = levels.iter().map(|level| level * level).sum();
        self.between_pairs = (power / levels.len().max(1) as f64).sqrt().min(SPREAD_MAX);
        for (((from, to), rests), level) in by_pair.into_iter().zip(levels) {
            let count = rests.len() as f64;
            let own: Vec<f64> = rests.iter().map(|rest| rest - level).collect();
            let own = if rests.len() < OBSERVATIONS_MIN { self.spread } else { spread(&own) };
            let blended =
                (count * own * own + SHRINKAGE * self.spread * self.spread) / (count + SHRINKAGE);
            let pair = Pair {
                level,
                spread: blended.sqrt().clamp(SPREAD_MIN, SPREAD_MAX),
                observations: u32::try_from(rests.len()).unwrap_or(u32::MAX),
            };
            self.pairs.entry(from.clone()).or_default().insert(to.clone(), pair);
        }
    }

    /// What a migration between these hosts is expected to take outside of copying.
    pub fn cost(&self, from: &HostId, to: &HostId, mode: Mode, transport: Transport) -> FixedCost {
        let unseen = Pair { level: 0.0, spread: self.spread, observations: 0 };
        let pair = self.pairs.get(from).and_then(|to_hosts| to_hosts.get(to)).unwrap_or(&unseen);
        // How much of the spread between pairs is still open.
        let open = SHRINKAGE / (f64::from(pair.observations) + SHRINKAGE);
        let spread = pair.spread.hypot(self.between_pairs * open.sqrt());
        let level = (self.kind(mode, transport) + pair.level).exp();
        FixedCost {
            median: Span::from_seconds_f64(self.pooled.as_seconds_f64() * level),
            spread: spread.clamp(SPREAD_MIN, SPREAD_MAX),
            of_pair: pair.observations,
        }
    }

    fn kind(&self, mode: Mode, transport: Transport) -> f64 {
        let known = self.kinds.iter().find(|k| k.mode == mode && k.transport == transport);
        known.map_or(0.0, |kind| kind.level)
    }
}

/// The median of `off`, drawn towards 0.
fn shrunk(off: &[f64]) -> f64 {
    let count = off.len() as f64;
    median(off).unwrap_or(0.0) * count / (count + SHRINKAGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curve::draws::Draws;

    fn host(name: &str) -> HostId {
        HostId::new(name).unwrap()
    }

    fn observation(pair: (&str, &str), transport: Transport, seconds: f64) -> CostObservation {
        CostObservation {
            from: host(pair.0),
            to: host(pair.1),
            mode: Mode::PreCopy,
            transport,
            outside_copying: Span::from_seconds_f64(seconds),
        }
    }

    /// 0.5 s with 10 % of spread; TLS takes half as long again, and a to slow twice as long.
    fn observations(each: usize) -> Vec<CostObservation> {
        let mut draws = Draws::new(11);
        let mut all = Vec::new();
        for pair in [("a", "b"), ("b", "a"), ("a", "c"), ("c", "a"), ("b", "c"), ("a", "slow")] {
            for transport in [Transport::Tcp, Transport::Tls] {
                for _ in 0..each {
                    let slow = if pair.1 == "slow" { 2.0 } else { 1.0 };
                    let tls = if transport == Transport::Tls { 1.5 } else { 1.0 };
                    let seconds = 0.5 * slow * tls * draws.factor(0.1);
                    all.push(observation(pair, transport, seconds));
                }
            }
        }
        all
    }

    #[test]
    fn a_pair_with_many_observations_is_known() {
        let learnt = FixedCosts::fit(&observations(50)).unwrap();
        let ask =
            |from, to, transport| learnt.cost(&host(from), &host(to), Mode::PreCopy, transport);
        let plain = ask("a", "b", Transport::Tcp);
        assert!((0.45..0.58).contains(&plain.median.as_seconds_f64()), "{plain:?}");
        let slow = ask("a", "slow", Transport::Tcp);
        assert!((0.85..1.1).contains(&slow.median.as_seconds_f64()), "{slow:?}");
        assert!(ask("a", "slow", Transport::Tls).median > slow.median);
        assert!((0.05..0.25).contains(&slow.spread), "{slow:?}");
        assert_eq!(slow.of_pair, 100);
    }

    #[test]
    fn an_unseen_pair_has_the_pooled_median_and_a_wider_band() {
        let learnt = FixedCosts::fit(&observations(50)).unwrap();
        let seen = learnt.cost(&host("a"), &host("b"), Mode::PreCopy, Transport::Tcp);
        let unseen = learnt.cost(&host("x"), &host("y"), Mode::PreCopy, Transport::Tcp);
        assert!(unseen.spread > seen.spread, "{unseen:?} {seen:?}");
        assert!((0.4..0.7).contains(&unseen.median.as_seconds_f64()), "{unseen:?}");
        assert_eq!(unseen.of_pair, 0);
    }

    #[test]
    fn one_odd_observation_moves_a_pair_little() {
        let mut all = observations(50);
        all.push(observation(("x", "y"), Transport::Tcp, 30.0));
        let learnt = FixedCosts::fit(&all).unwrap();
        let odd = learnt.cost(&host("x"), &host("y"), Mode::PreCopy, Transport::Tcp);
        assert!(odd.median < Span::from_seconds(1), "{odd:?}");
    }

    #[test]
    fn too_few_or_no_times_at_all_do_no_harm() {
        assert_eq!(FixedCosts::fit(&observations(50)[..4]), None);
        let none = vec![observation(("a", "b"), Transport::Tcp, 0.0); 5];
        let cost = FixedCosts::fit(&none).unwrap().cost(
            &host("a"),
            &host("b"),
            Mode::PostCopy,
            Transport::Tls,
        );
        assert_eq!(cost.median, LEAST);
        assert!(cost.spread >= SPREAD_MIN);
    }

    #[test]
    fn text_keeps_it() {
        let learnt = FixedCosts::fit(&observations(5)).unwrap();
        let text = serde_json::to_string(&learnt).unwrap();
        assert_eq!(serde_json::from_str::<FixedCosts>(&text).unwrap(), learnt);
    }
}
