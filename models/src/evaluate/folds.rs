//! Cross-validation by guest: what is judged in a fold was never learnt from in it.

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
    let mut sizes: BTreeMap<&VmId, usize> = BTreeMap::new();
    for trace in traces {
        *sizes.entry(&trace.record.vm).or_default() += 1;
    }
    let k = k.min(sizes.len());
    if k < 2 {
        return Vec::new();
    }
    let mut draws = Draws::new(seed);
    let mut guests: Vec<(usize, f64, &VmId)> =
        sizes.into_iter().map(|(vm, size)| (size, draws.uniform(), vm)).collect();
    // The largest first, each into the emptiest fold; equal ones in random order.
    guests.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.total_cmp(&b.1)));
    let mut filled = vec![0_usize; k];
    let mut fold_of: BTreeMap<&VmId, usize> = BTreeMap::new();
    for (size, _, vm) in guests {
        let emptiest = (0..k).min_by_key(|fold| filled.get(*fold).copied()).unwrap_or(0);
        if let Some(fill) = filled.get_mut(emptiest) {
            *fill += size;
        }
        fold_of.insert(vm, emptiest);
    }
    let part = |fold: usize, inside: bool| -> Vec<MigrationTrace> {
        let wanted = |t: &&MigrationTrace| (fold_of.get(&t.record.vm) == Some(&fold)) == inside;
        traces.iter().filter(wanted).cloned().collect()
    };
    (0..k).map(|fold| Fold { learn: part(fold, false), judged: part(fold, true) }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::evaluate::judge::samples::trace;

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
}
