//! A tree of maxima: the first host in the list with enough of both processors and memory.
//!
//! Never here: the order of hosts by what they have left (`ordered`).

use whimbrel_core::trace::Size;

use super::room::holds;

/// A binary tree over the hosts; every node has the greatest of each that is left below it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Maxima {
    /// The root at 1, children of n at 2n and 2n + 1, hosts from `leaves` on.
    nodes: Vec<Size>,
    leaves: usize,
    hosts: usize,
}

impl Maxima {
    pub(super) fn of(left: &[Size]) -> Self {
        let leaves = left.len().next_power_of_two();
        let mut nodes = vec![Size::default(); 2 * leaves];
        nodes[leaves..leaves + left.len()].copy_from_slice(left);
        for node in (1..leaves).rev() {
            nodes[node] = hull(nodes[2 * node], nodes[2 * node + 1]);
        }
        Self { nodes, leaves, hosts: left.len() }
    }

    pub(super) fn set(&mut self, host: usize, left: Size) {
        let mut node = self.leaves + host;
        self.nodes[node] = left;
        while node > 1 {
            node /= 2;
            let hull = hull(self.nodes[2 * node], self.nodes[2 * node + 1]);
            if self.nodes[node] == hull {
                break;
            }
            self.nodes[node] = hull;
        }
    }

    /// The first host that holds `need`. A node may have the processors of one host and the memory
    /// of another: then the search comes back from it.
    pub(super) fn first(&self, need: Size) -> Option<u32> {
        let mut node = 1;
        loop {
            if holds(self.nodes[node], need) {
                if node >= self.leaves {
                    // Leaves beyond the last host hold a guest that needs nothing.
                    let host = node - self.leaves;
                    return (host < self.hosts).then_some(host as u32);
                }
                node *= 2;
                continue;
            }
            // Up while it is a right child, then to the right neighbour.
            while node % 2 == 1 {
                node /= 2;
            }
            if node == 0 {
                return None;
            }
            node += 1;
        }
    }
}

/// The greater of each.
fn hull(one: Size, other: Size) -> Size {
    Size { cpu: one.cpu.max(other.cpu), memory: one.memory.max(other.memory) }
}
