//! Parts of past migrations that keep every guest whole: what is judged was never learnt from.
//!
//! A model that has seen a guest knows it; how good it is for others shows only on guests that
//! were held out as a whole.

use std::collections::BTreeMap;

use whimbrel_core::{ids::VmId, telemetry::MigrationTrace};

use crate::curve::draws::Draws;

/// One part judged, the others learnt from.
#[derive(Debug, Clone, PartialEq)]
pub struct Fold {
    /// Migrations to learn from.
    pub learn: Vec<MigrationTrace>,
    /// Migrations to judge on, of other guests.
    pub judged: Vec<MigrationTrace>,
}

/// Divides `traces` into `k` folds by guest, at random by `seed` and as evenly as guests allow.
///
/// Fewer than `k` guests give a fold for each; fewer than two guests give none, and so does a `k`
/// below 2.
pub fn folds(traces: &[MigrationTrace], k: usize, seed: u64) -> Vec<Fold> {
    let mut draws = Draws::new(seed);
    let vms = || traces.iter().map(|trace| &trace.record.vm);
    let (fold_of, k) = by_guest(vms(), k, |_| draws.uniform());
    if k < 2 {
        return Vec::new();
    }
    let part = |fold: usize, inside: bool| -> Vec<MigrationTrace> {
        let wanted = |(_, own): &(&MigrationTrace, &usize)| (**own == fold) == inside;
        traces.iter().zip(&fold_of).filter(wanted).map(|(trace, _)| trace.clone()).collect()
    };
    (0..k).map(|fold| Fold { learn: part(fold, false), judged: part(fold, true) }).collect()
}

/// The part, from 0, that each of `guests` belongs to, and the number of parts: `most`, or one for
/// each guest where there are fewer.
///
/// Guests are dealt by their number of rows, the largest first, to the part that is smallest:
/// parts are about equal. Of guests with equal numbers those of lower `rank` come first, which is
/// asked once for each guest in order of their names, then those of lower names.
pub(crate) fn by_guest<'a>(
    guests: impl Iterator<Item = &'a VmId> + Clone,
    most: usize,
    mut rank: impl FnMut(&VmId) -> f64,
) -> (Vec<usize>, usize) {
    let mut counts: BTreeMap<&VmId, usize> = BTreeMap::new();
    for guest in guests.clone() {
        *counts.entry(guest).or_default() += 1;
    }
    let parts = counts.len().min(most);
    let mut sizes = vec![0_usize; parts];
    let mut in_turn: Vec<(usize, f64, &VmId)> =
        counts.into_iter().map(|(guest, count)| (count, rank(guest), guest)).collect();
    in_turn.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.total_cmp(&b.1)));
    let mut dealt: BTreeMap<&VmId, usize> = BTreeMap::new();
    for (count, _, guest) in in_turn {
        if let Some((part, size)) = sizes.iter_mut().enumerate().min_by_key(|(_, size)| **size) {
            *size += count;
            dealt.insert(guest, part);
        }
    }
    (guests.map(|guest| dealt.get(guest).copied().unwrap_or(0)).collect(), parts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::evaluate::samples::trace;

    proptest! {
        #[test]
        fn every_trace_is_judged_once_and_never_beside_its_guest(
            guests in proptest::collection::vec(0..12_u64, 1..60),
            k in 0..8_usize,
            seed in any::<u64>(),
        ) {
            let traces: Vec<_> =
                guests.iter().enumerate().map(|(at, vm)| trace(*vm, at as u64, Some(10))).collect();
            let made = folds(&traces, k, seed);
            prop_assert_eq!(&made, &folds(&traces, k, seed));
            let judged: usize = made.iter().map(|f| f.judged.len()).sum();
            prop_assert!(judged == traces.len() || made.is_empty());
            for fold in &made {
                prop_assert!(!fold.judged.is_empty() && !fold.learn.is_empty());
                prop_assert_eq!(fold.learn.len() + fold.judged.len(), traces.len());
                for one in &fold.judged {
                    prop_assert!(fold.learn.iter().all(|l| l.record.vm != one.record.vm));
                }
            }
        }
    }

    const MOST: usize = 5;

    #[test]
    fn guests_stay_whole_and_parts_are_even() {
        let names: Vec<VmId> =
            (0..60).map(|i| VmId::new(&format!("vm-{}", i % 12)).unwrap()).collect();
        let (parts, count) = by_guest(names.iter(), MOST, |_| 0.0);
        assert_eq!(count, MOST);
        for (name, part) in names.iter().zip(&parts) {
            let first = names.iter().position(|other| other == name).unwrap();
            assert_eq!(parts[first], *part, "{name}");
        }
        for part in 0..count {
            let rows = parts.iter().filter(|p| **p == part).count();
            assert!((10..=15).contains(&rows), "{rows}");
        }
    }

    #[test]
    fn few_guests_have_a_part_each() {
        let names = [VmId::new("a").unwrap(), VmId::new("b").unwrap()];
        assert_eq!(by_guest(names.iter(), MOST, |_| 0.0), (vec![0, 1], 2));
        assert_eq!(by_guest([].iter(), MOST, |_| 0.0), (vec![], 0));
    }
}
