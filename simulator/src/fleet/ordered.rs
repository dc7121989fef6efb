//! Hosts in the order of what they have left: the fullest or the emptiest with room.
//!
//! A treap (Seidel and Aragon, "Randomized Search Trees", *Algorithmica* 16, 1996) whose nodes are
//! the hosts. A node knows the most memory below it, so a search passes over a whole branch that is
//! too small: every operation is logarithmic in the number of hosts, whatever they have left.
//! Priorities are a mixed host number: the same hosts give the same tree.
//!
//! Never here: the first host in the list (`maxima`).

use whimbrel_core::trace::Size;

const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Node {
    cpu: u64,
    memory: u64,
    /// Most memory of any host at or below this one.
    most: u64,
    before: u32,
    after: u32,
}

/// All hosts by processors left, then memory left, then position.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ordered {
    nodes: Vec<Node>,
    root: u32,
    /// Of hosts with the same left, whether the first of the list is the last in the order.
    reversed: bool,
}

impl Ordered {
    pub(super) fn of(left: &[Size], reversed: bool) -> Self {
        let left = &left[..left.len().min(NONE as usize)];
        let nodes = left.iter().map(|left| Node::of(*left)).collect();
        let mut ordered = Self { nodes, root: NONE, reversed };
        for host in 0..left.len() as u32 {
            ordered.root = ordered.insert(ordered.root, host);
        }
        ordered
    }

    /// What `host` has left changes.
    pub(super) fn set(&mut self, host: u32, left: Size) {
        if host as usize >= self.nodes.len() {
            return;
        }
        self.root = self.remove(self.root, host);
        self.nodes[host as usize] = Node::of(left);
        self.root = self.insert(self.root, host);
    }

    /// The first in the order that holds `need`.
    pub(super) fn first(&self, need: Size) -> Option<u32> {
        self.first_below(self.root, need.cpu.get(), need.memory.get())
    }

    /// The last in the order that holds `need`.
    pub(super) fn last(&self, need: Size) -> Option<u32> {
        let (cpu, memory) = (need.cpu.get(), need.memory.get());
        let mut at = self.root;
        while at != NONE && self.nodes[at as usize].most >= memory {
            let node = &self.nodes[at as usize];
            let after = node.after;
            if after != NONE && self.nodes[after as usize].most >= memory {
                at = after;
            } else if node.memory >= memory {
                // Nobody further on has the memory, and nobody before it has more processors.
                return (node.cpu >= cpu).then_some(at);
            } else {
                at = node.before;
            }
        }
        None
    }

    fn first_below(&self, at: u32, cpu: u64, memory: u64) -> Option<u32> {
        let node = self.nodes.get(at as usize)?;
        if node.most < memory {
            return None;
        }
        if node.cpu < cpu {
            return self.first_below(node.after, cpu, memory);
        }
        self.first_below(node.before, cpu, memory)
            .or_else(|| (node.memory >= memory).then_some(at))
            .or_else(|| self.first_below(node.after, cpu, memory))
    }

    fn is_before(&self, one: u32, other: u32) -> bool {
        let key = |host: u32| {
            let node = &self.nodes[host as usize];
            (node.cpu, node.memory, if self.reversed { !host } else { host })
        };
        key(one) < key(other)
    }

    fn insert(&mut self, at: u32, host: u32) -> u32 {
        if at == NONE {
            return host;
        }
        if priority(host) > priority(at) {
            let (before, after) = self.split(at, host);
            let node = &mut self.nodes[host as usize];
            (node.before, node.after) = (before, after);
            self.sum_up(host);
            return host;
        }
        if self.is_before(host, at) {
            self.nodes[at as usize].before = self.insert(self.nodes[at as usize].before, host);
        } else {
            self.nodes[at as usize].after = self.insert(self.nodes[at as usize].after, host);
        }
        self.sum_up(at);
        at
    }

    fn remove(&mut self, at: u32, host: u32) -> u32 {
        if at == NONE {
            return NONE;
        }
        if at == host {
            let Node { before, after, .. } = self.nodes[at as usize];
            return self.join(before, after);
        }
        if self.is_before(host, at) {
            self.nodes[at as usize].before = self.remove(self.nodes[at as usize].before, host);
        } else {
            self.nodes[at as usize].after = self.remove(self.nodes[at as usize].after, host);
        }
        self.sum_up(at);
        at
    }

    /// What is before `host` and what is after it, of everything at `at`.
    fn split(&mut self, at: u32, host: u32) -> (u32, u32) {
        if at == NONE {
            return (NONE, NONE);
        }
        if self.is_before(at, host) {
            let (before, after) = self.split(self.nodes[at as usize].after, host);
            self.nodes[at as usize].after = before;
            self.sum_up(at);
            (at, after)
        } else {
            let (before, after) = self.split(self.nodes[at as usize].before, host);
            self.nodes[at as usize].before = after;
            self.sum_up(at);
            (before, at)
        }
    }

    /// One tree of two, all of the one before all of the other.
    fn join(&mut self, one: u32, other: u32) -> u32 {
        if one == NONE {
            return other;
        }
        if other == NONE {
            return one;
        }
        if priority(one) > priority(other) {
            self.nodes[one as usize].after = self.join(self.nodes[one as usize].after, other);
            self.sum_up(one);
            one
        } else {
            self.nodes[other as usize].before = self.join(one, self.nodes[other as usize].before);
            self.sum_up(other);
            other
        }
    }

    fn sum_up(&mut self, at: u32) {
        let Node { memory, before, after, .. } = self.nodes[at as usize];
        let most = |child: u32| self.nodes.get(child as usize).map_or(0, |node| node.most);
        self.nodes[at as usize].most = memory.max(most(before)).max(most(after));
    }
}

impl Node {
    fn of(left: Size) -> Self {
        let (cpu, memory) = (left.cpu.get(), left.memory.get());
        Self { cpu, memory, most: memory, before: NONE, after: NONE }
    }
}

/// A permutation of host numbers without order in it: the finaliser of `MurmurHash3` (Appleby).
fn priority(host: u32) -> u32 {
    let mut mixed = host;
    mixed ^= mixed >> 16;
    mixed = mixed.wrapping_mul(0x85eb_ca6b);
    mixed ^= mixed >> 13;
    mixed = mixed.wrapping_mul(0xc2b2_ae35);
    mixed ^ (mixed >> 16)
}

#[cfg(test)]
mod tests {
    use whimbrel_core::units::{Bytes, MilliCores};

    use super::*;

    fn depth(ordered: &Ordered, at: u32) -> u32 {
        let Some(node) = ordered.nodes.get(at as usize) else { return 0 };
        1 + depth(ordered, node.before).max(depth(ordered, node.after))
    }

    #[test]
    fn the_tree_stays_flat_when_hosts_fill_in_order() {
        let size = |cpu| Size { cpu: MilliCores::new(cpu), memory: Bytes::new(cpu) };
        let mut ordered = Ordered::of(&vec![size(1 << 20); 4096], false);
        for host in 0..4096 {
            ordered.set(host, size(u64::from(host)));
        }
        assert!(depth(&ordered, ordered.root) < 40, "{}", depth(&ordered, ordered.root));
        assert_eq!(ordered.first(size(77)), Some(77));
    }
}
