//! Parts of a training set that keep every guest whole.
//!
//! A model that has seen a guest knows it; how good it is for others shows only on guests that
//! were held out as a whole.

use std::collections::BTreeMap;

use whimbrel_core::ids::VmId;

/// Most parts; with fewer guests there is one for each.
const FOLDS_MAX: usize = 5;

/// The part, from 0, that each of `guests` belongs to, and the number of parts.
///
/// Guests are dealt by their number of rows, the largest first, to the part that is smallest:
/// parts are about equal. Depends on names and counts only.
pub(super) fn by_guest<'a>(guests: impl Iterator<Item = &'a VmId> + Clone) -> (Vec<usize>, usize) {
    let mut counts: BTreeMap<&VmId, usize> = BTreeMap::new();
    for guest in guests.clone() {
        *counts.entry(guest).or_default() += 1;
    }
    let parts = counts.len().min(FOLDS_MAX);
    let mut sizes = vec![0usize; parts];
    let mut largest_first: Vec<(&VmId, usize)> = counts.into_iter().collect();
    largest_first.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut dealt: BTreeMap<&VmId, usize> = BTreeMap::new();
    for (guest, count) in largest_first {
        if let Some((part, size)) = sizes.iter_mut().enumerate().min_by_key(|(_, size)| **size) {
            *size += count;
            dealt.insert(guest, part);
        }
    }
    (guests.map(|guest| dealt.get(guest).copied().unwrap_or(0)).collect(), parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_stay_whole_and_parts_are_even() {
        let names: Vec<VmId> =
            (0..60).map(|i| VmId::new(&format!("vm-{}", i % 12)).unwrap()).collect();
        let (parts, count) = by_guest(names.iter());
        assert_eq!(count, FOLDS_MAX);
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
        assert_eq!(by_guest(names.iter()), (vec![0, 1], 2));
        assert_eq!(by_guest([].iter()), (vec![], 0));
    }
}
