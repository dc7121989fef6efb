//! Rates after any changes, held against progressive filling by the book.
//!
//! Never here: routes.

use proptest::prelude::*;

use super::*;

fn rates(links: &mut Links, ids: &[StreamId]) -> Vec<f64> {
    let mut changed = Vec::new();
    links.settle(&mut changed);
    ids.iter().map(|id| links.rate(*id)).collect()
}

/// Progressive filling by the book: all are raised together, step by step.
fn plain(capacities: &[f64], streams: &[(Vec<LinkId>, f64)]) -> Vec<f64> {
    let mut rates = vec![0.0; streams.len()];
    let mut open: Vec<usize> = (0..streams.len()).collect();
    while !open.is_empty() {
        let left = |link: usize, rates: &[f64]| {
            let over = streams.iter().zip(rates).filter(|((l, _), _)| l.contains(&(link as u32)));
            capacities[link] - over.map(|(_, rate)| rate).sum::<f64>()
        };
        let users = |link: usize| {
            open.iter().filter(|i| streams[**i].0.contains(&(link as u32))).count() as f64
        };
        let of_links = (0..capacities.len())
            .filter(|link| users(*link) > 0.0)
            .map(|link| left(link, &rates).max(0.0) / users(link));
        let of_caps = open.iter().map(|i| streams[*i].1 - rates[*i]);
        let step = of_links.chain(of_caps).fold(f64::INFINITY, f64::min);
        for index in &open {
            rates[*index] += step;
        }
        let is_full =
            |link: &u32| left(*link as usize, &rates) <= capacities[*link as usize] * 1e-12 + 1e-9;
        let before = open.len();
        let now = rates.clone();
        open.retain(|i| {
            now[*i] < streams[*i].1 * (1.0 - 1e-12) && !streams[*i].0.iter().any(is_full)
        });
        assert!(open.len() < before, "{capacities:?} {streams:?}");
    }
    rates
}

#[test]
fn a_cap_leaves_room_and_an_end_gives_it_back() {
    let mut links = Links::new([90.0, 20.0, 90.0]);
    let a = links.add(&[0, 1], f64::INFINITY);
    let b = links.add(&[0, 1], f64::INFINITY);
    let c = links.add(&[0, 2], 60.0);
    assert_eq!(rates(&mut links, &[a, b, c]), [10.0, 10.0, 60.0]);
    links.remove(a);
    assert_eq!(rates(&mut links, &[b, c]), [20.0, 60.0]);
    links.set_capacity(0, 30.0);
    assert_eq!(rates(&mut links, &[b, c]), [15.0, 15.0]);
    links.set_cap(c, 5.0);
    assert_eq!(rates(&mut links, &[b, c]), [20.0, 5.0]);
    links.set_capacity(0, 0.0);
    assert_eq!(rates(&mut links, &[b, c]), [0.0, 0.0]);
}

#[test]
fn who_does_not_compete_is_left_alone() {
    // A core that carries everybody joins nobody to anybody until it is full.
    let mut links = Links::new([10.0, 10.0, 25.0, 10.0]);
    let mut changed = Vec::new();
    let first = links.add(&[0, 2], f64::INFINITY);
    links.settle(&mut changed);
    assert_eq!((changed.as_slice(), links.rate(first)), ([first].as_slice(), 10.0));
    let second = links.add(&[1, 2], f64::INFINITY);
    links.settle(&mut changed);
    assert_eq!(changed, [second]);
    assert_eq!(links.near, [second]);
    let third = links.add(&[3, 2], f64::INFINITY);
    links.settle(&mut changed);
    assert_eq!(changed, [first, second, third]);
    links.settle(&mut changed);
    assert!(changed.is_empty());
    links.remove(second);
    links.settle(&mut changed);
    assert_eq!(changed, [first, third]);
}

#[test]
fn no_number_is_no_rate_and_no_limit_is_the_largest() {
    let mut links = Links::new([f64::NAN, f64::INFINITY]);
    let none = links.add(&[0], f64::INFINITY);
    let all = links.add(&[1], f64::INFINITY);
    let free = links.add(&[], f64::INFINITY);
    assert_eq!(rates(&mut links, &[none, all, free]), [0.0, RATE_MAX, RATE_MAX]);
}

#[test]
fn links_that_were_cut_in_half_are_refused() {
    let mut links = Links::new([10.0]);
    links.add(&[0], 3.0);
    let written = serde_json::to_string(&links).unwrap();
    let cut = written.replace(r#""capacities":[10.0]"#, r#""capacities":[]"#);
    let error = serde_json::from_str::<Links>(&cut).unwrap_err().to_string();
    assert!(error.contains("name link 0, but there are 0"), "{error}");
}

#[derive(Debug, Clone)]
enum Change {
    Add(Vec<LinkId>, f64),
    Remove(usize),
    Cap(usize, f64),
    Capacity(LinkId, f64),
    Write,
}

const LINKS: u32 = 6;

fn change() -> impl Strategy<Value = Change> {
    let cap = prop_oneof![Just(f64::INFINITY), 0.1..100.0_f64, Just(25.0)];
    prop_oneof![
        6 => (prop::collection::btree_set(0..LINKS, 1..4), cap.clone())
            .prop_map(|(links, cap)| Change::Add(links.into_iter().collect(), cap)),
        2 => (0..20_usize).prop_map(Change::Remove),
        1 => (0..20_usize, cap).prop_map(|(at, cap)| Change::Cap(at, cap)),
        1 => (0..LINKS, prop_oneof![0.0..200.0_f64, Just(0.0), Just(50.0)])
            .prop_map(|(link, size)| Change::Capacity(link, size)),
        1 => Just(Change::Write),
    ]
}

type Live = Vec<(StreamId, (Vec<LinkId>, f64))>;

fn apply(change: Change, links: &mut Links, capacities: &mut [f64], live: &mut Live) {
    match change {
        Change::Add(over, cap) => live.push((links.add(&over, cap), (over, cap))),
        Change::Remove(at) if !live.is_empty() => {
            let (id, _) = live.swap_remove(at % live.len());
            links.remove(id);
        }
        Change::Cap(at, cap) if !live.is_empty() => {
            let at = at % live.len();
            live[at].1.1 = cap;
            links.set_cap(live[at].0, cap);
        }
        Change::Capacity(link, size) => {
            capacities[link as usize] = size;
            links.set_capacity(link, size);
        }
        Change::Write => {
            let written = serde_json::to_string(&links).unwrap();
            *links = serde_json::from_str(&written).unwrap();
            assert_eq!(serde_json::to_string(&links).unwrap(), written);
        }
        Change::Remove(_) | Change::Cap(..) => {}
    }
}

/// Bottleneck condition of max-min fairness: every stream is at its cap, or crosses a full link on
/// which nobody has more.
fn is_held(capacities: &[f64], live: &[(Vec<LinkId>, f64)], rates: &[f64], index: usize) -> bool {
    let (over, cap) = &live[index];
    let near = |a: f64, b: f64| a >= b * (1.0 - 1e-6) - 1e-9;
    near(rates[index], *cap)
        || over.iter().any(|link| {
            let on = || (0..live.len()).filter(|i| live[*i].0.contains(link));
            near(on().map(|i| rates[i]).sum(), capacities[*link as usize])
                && on().all(|i| near(rates[index], rates[i]))
        })
}

proptest! {
    #[test]
    fn rates_after_any_changes_are_those_of_plain_filling(
        changes in prop::collection::vec((change(), any::<bool>()), 1..50),
    ) {
        let mut capacities = [50.0; LINKS as usize];
        let mut links = Links::new(capacities);
        let mut live = Live::new();
        let (mut changed, mut before) = (Vec::new(), Vec::new());
        for (change, settles) in changes {
            if matches!(change, Change::Remove(_)) {
                // The place of the one removed may be given to another.
                before.clear();
            }
            apply(change, &mut links, &mut capacities, &mut live);
            if !settles {
                continue;
            }
            links.settle(&mut changed);
            let streams: Vec<_> = live.iter().map(|(_, stream)| stream.clone()).collect();
            let kept: Vec<f64> = live.iter().map(|(id, _)| links.rate(*id)).collect();
            for (one, other) in kept.iter().zip(plain(&capacities, &streams)) {
                prop_assert!((one - other).abs() <= 1e-6 * other.max(1.0), "{kept:?} {other}");
            }
            for (link, size) in capacities.iter().enumerate() {
                let over = streams.iter().zip(&kept).filter(|(s, _)| s.0.contains(&(link as u32)));
                let sum: f64 = over.map(|(_, rate)| rate).sum();
                prop_assert!(sum <= size * (1.0 + 1e-6) + 1e-9, "{sum} over {size}");
            }
            for index in 0..streams.len() {
                prop_assert!(is_held(&capacities, &streams, &kept, index), "{streams:?} {kept:?}");
            }
            // Whoever is not named as changed has the rate that it had.
            for (id, rate) in &before {
                let same = changed.contains(id) || !live.iter().any(|(other, _)| other == id);
                prop_assert!(same || links.rate(*id).total_cmp(rate).is_eq());
            }
            before = live.iter().map(|(id, _)| (*id, links.rate(*id))).collect();
        }
    }
}
