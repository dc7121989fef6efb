//! The bookkeeping against what it stands for.

use proptest::prelude::*;

use super::{
    resources::{Amounts, RESOURCES_MAX, Resources},
    tally::Tally,
};

const HOSTS: usize = 5;
const VMS: usize = 12;

/// Hosts of unlike sizes, some of which take no part, and VMs on those that do.
fn resources() -> impl Strategy<Value = Resources> {
    let sizes = prop::collection::vec(prop::array::uniform6(0.5..4.0f64), HOSTS);
    let used = prop::collection::vec(prop::array::uniform6(0.0..1.0f64), VMS);
    (sizes, used, prop::array::uniform6(0.0..3.0f64)).prop_map(|(sizes, used, weights)| {
        let mut inverse: Vec<Amounts> =
            sizes.iter().map(|size| size.map(|one| 1.0 / one)).collect();
        inverse[HOSTS - 1] = [0.0; RESOURCES_MAX];
        let hosts = (0..HOSTS - 1).collect();
        Resources { names: Vec::new(), weights, used, inverse, hosts }
    })
}

fn shares(resources: &Resources, place: &[usize]) -> Vec<Amounts> {
    let mut shares = vec![[0.0; RESOURCES_MAX]; HOSTS];
    for (vm, &host) in place.iter().enumerate() {
        let inverse = &resources.inverse[host];
        for ((share, used), inverse) in
            shares[host].iter_mut().zip(&resources.used[vm]).zip(inverse)
        {
            *share += used * inverse;
        }
    }
    shares
}

/// Weights times standard deviations by their definition, times the hosts.
fn defined(resources: &Resources, place: &[usize]) -> f64 {
    let shares = shares(resources, place);
    let count = resources.hosts.len() as f64;
    let deviation = |k: usize| {
        let mean = resources.hosts.iter().map(|&host| shares[host][k]).sum::<f64>() / count;
        let square = |&host: &usize| (shares[host][k] - mean).powi(2);
        (resources.hosts.iter().map(square).sum::<f64>() / count).sqrt()
    };
    (0..RESOURCES_MAX).map(|k| resources.weights[k] * deviation(k) * count).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sums_say_what_the_definition_says(
        resources in resources(),
        start in prop::collection::vec(0..HOSTS - 1, VMS),
        moves in prop::collection::vec((0..VMS, 0..HOSTS - 1), 1..60),
    ) {
        let mut place = start;
        let mut tally = Tally::of(&resources, shares(&resources, &place));
        for (vm, to) in moves {
            let from = place[vm];
            if from == to {
                continue;
            }
            let promised = tally.score_after(from, to, &resources.used[vm]);
            tally.shift(from, to, &resources.used[vm]);
            place[vm] = to;
            let expected = defined(&resources, &place);
            prop_assert!((promised - expected).abs() < 1e-9, "{promised} {expected}");
            prop_assert!((tally.score() - expected).abs() < 1e-9);
        }
        let told: f64 =
            tally.deviations().iter().zip(&resources.weights).map(|(d, w)| d * w).sum();
        let count = resources.hosts.len() as f64;
        prop_assert!((told * count - defined(&resources, &place)).abs() < 1e-9);
    }
}
