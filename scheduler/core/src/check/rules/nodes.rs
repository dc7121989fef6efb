//! Whether guests that each need one NUMA node fit on the nodes of a host together.

use std::cmp::Reverse;

use crate::cluster::NumaNode;

/// Guests put on nodes before the search is given up.
const TRIES_MAX: u32 = 20_000;

/// Whether every one of `guests` has a node; no where the search is given up.
pub(super) fn fit(nodes: &[NumaNode], mut guests: Vec<NumaNode>) -> bool {
    guests.sort_unstable_by_key(|guest| Reverse((guest.memory, guest.cpus)));
    let mut tries = TRIES_MAX;
    place(&mut nodes.to_vec(), &guests, &mut tries)
}

fn place(free: &mut [NumaNode], guests: &[NumaNode], tries: &mut u32) -> bool {
    let Some((guest, others)) = guests.split_first() else { return true };
    for node in 0..free.len() {
        // Nodes that are alike need only be tried once.
        if !free[node].holds(*guest) || free[..node].contains(&free[node]) {
            continue;
        }
        if *tries == 0 {
            return false;
        }
        *tries -= 1;
        let before = free[node];
        free[node].memory = before.memory.saturating_sub(guest.memory);
        free[node].cpus = before.cpus - guest.cpus;
        if place(free, others, tries) {
            return true;
        }
        free[node] = before;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Bytes;

    fn nodes(sizes: &[(u64, u32)]) -> Vec<NumaNode> {
        sizes.iter().map(|&(gib, cpus)| NumaNode { memory: Bytes::mib(gib * 1024), cpus }).collect()
    }

    #[test]
    fn tries_what_the_largest_first_misses() {
        let two = nodes(&[(10, 10), (10, 10)]);
        // 6 + 4 and 5 + 5, where best fit would put a 5 beside the 6.
        assert!(fit(&two, nodes(&[(6, 1), (5, 1), (5, 1), (4, 1)])));
        assert!(!fit(&two, nodes(&[(6, 1), (6, 1), (6, 1)])));
        assert!(!fit(&two, nodes(&[(1, 6), (1, 6), (1, 6)])));
        assert!(!fit(&two, nodes(&[(11, 1)])));
        assert!(fit(&two, Vec::new()));
    }
}
