//! Which host has room: free processors and memory of many hosts, found without looking at each.
//!
//! First fit descends a tree of maxima; best and worst fit descend a tree that is ordered by what
//! is left. All give what a scan of all hosts would give; a test says so.
//!
//! Never here: who comes or goes, and when.

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    trace::Size,
    units::{Bytes, MilliCores},
};

use super::{maxima::Maxima, ordered::Ordered};

/// Which of the hosts with room is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// The first in the list.
    First,
    /// The one with the fewest processors left; of equal ones the one with the least memory left,
    /// of equal ones the first.
    Best,
    /// The one with the most processors left; of equal ones the one with the most memory left, of
    /// equal ones the first.
    Worst,
}

/// What hosts have left. A host is its position in the list that made it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Rooms {
    left: Vec<Size>,
    fit: Fit,
    index: Index,
}

#[derive(Debug, Clone, PartialEq)]
enum Index {
    First(Maxima),
    Ordered(Ordered),
}

/// What is written of rooms: the index follows from it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    left: Vec<Size>,
    fit: Fit,
}

impl From<Stored> for Rooms {
    fn from(stored: Stored) -> Self {
        Self::new(stored.left, stored.fit)
    }
}

impl From<Rooms> for Stored {
    fn from(rooms: Rooms) -> Self {
        Self { left: rooms.left, fit: rooms.fit }
    }
}

impl Rooms {
    /// Hosts that have `left` to give, to be filled by `fit`. A host beyond the 2^32 - 2 that can
    /// be numbered is never found.
    pub fn new(left: Vec<Size>, fit: Fit) -> Self {
        let index = match fit {
            Fit::First => Index::First(Maxima::of(&left)),
            Fit::Best | Fit::Worst => Index::Ordered(Ordered::of(&left, fit == Fit::Worst)),
        };
        Self { left, fit, index }
    }

    /// What `host` has left; nothing where there is no such host.
    pub fn left(&self, host: u32) -> Size {
        self.left.get(host as usize).copied().unwrap_or_default()
    }

    /// How many hosts there are.
    pub fn hosts(&self) -> usize {
        self.left.len()
    }

    /// The host that a guest of `need` goes to; `None` when there is room nowhere.
    pub fn find(&self, need: Size) -> Option<u32> {
        match (&self.index, self.fit) {
            (Index::First(maxima), _) => maxima.first(need),
            (Index::Ordered(ordered), Fit::Worst) => ordered.last(need),
            (Index::Ordered(ordered), _) => ordered.first(need),
        }
    }

    /// Puts a guest of `need` on `host`. What the host lacks for it is not owed.
    pub fn take(&mut self, host: u32, need: Size) {
        self.change(host, |left| less(left, need));
    }

    /// A guest of `need` has left `host`.
    pub fn give_back(&mut self, host: u32, need: Size) {
        self.change(host, |left| more(left, need));
    }

    fn change(&mut self, host: u32, to: impl FnOnce(Size) -> Size) {
        let Some(left) = self.left.get_mut(host as usize) else { return };
        *left = to(*left);
        match &mut self.index {
            Index::First(maxima) => maxima.set(host as usize, *left),
            Index::Ordered(ordered) => ordered.set(host, *left),
        }
    }
}

/// Whether a guest of `need` fits into `left`.
pub(super) fn holds(left: Size, need: Size) -> bool {
    left.cpu >= need.cpu && left.memory >= need.memory
}

pub(super) fn less(left: Size, need: Size) -> Size {
    let cpu = MilliCores::new(left.cpu.get().saturating_sub(need.cpu.get()));
    Size { cpu, memory: left.memory.saturating_sub(need.memory) }
}

pub(super) fn more(left: Size, back: Size) -> Size {
    let cpu = MilliCores::new(left.cpu.get().saturating_add(back.cpu.get()));
    let memory = Bytes::new(left.memory.get().saturating_add(back.memory.get()));
    Size { cpu, memory }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn size(cores: u64, gib: u64) -> Size {
        Size { cpu: MilliCores::cores(cores), memory: Bytes::mib(gib * 1024) }
    }

    /// What [`Fit`] says, word for word.
    fn scan(left: &[Size], need: Size, fit: Fit) -> Option<u32> {
        let mut holding = (0..left.len() as u32).filter(|host| holds(left[*host as usize], need));
        let key = |host: &u32| (left[*host as usize].cpu, left[*host as usize].memory);
        match fit {
            Fit::First => holding.next(),
            Fit::Best => holding.min_by_key(|host| (key(host), *host)),
            Fit::Worst => holding.max_by_key(|host| (key(host), std::cmp::Reverse(*host))),
        }
    }

    #[test]
    fn the_best_host_is_the_fullest_and_the_worst_the_emptiest() {
        let hosts = vec![size(8, 32), size(4, 32), size(4, 16), size(8, 32)];
        let mut rooms = Rooms::new(hosts.clone(), Fit::Best);
        assert_eq!(rooms.find(size(2, 8)), Some(2));
        rooms.take(2, size(2, 8));
        assert_eq!(rooms.find(size(2, 16)), Some(1));
        assert_eq!(rooms.find(size(9, 1)), None);
        rooms.give_back(2, size(2, 8));
        assert_eq!(rooms.left(2), size(4, 16));
        let mut rooms = Rooms::new(hosts, Fit::Worst);
        assert_eq!(rooms.find(size(2, 8)), Some(0));
        rooms.take(0, size(2, 8));
        assert_eq!(rooms.find(size(2, 8)), Some(3));
    }

    #[test]
    fn a_guest_that_needs_nothing_fits_only_where_there_is_a_host() {
        for fit in [Fit::First, Fit::Best, Fit::Worst] {
            assert_eq!(Rooms::new(Vec::new(), fit).find(Size::default()), None);
            assert_eq!(Rooms::new(vec![size(0, 0); 3], fit).find(Size::default()), Some(0));
            assert_eq!(Rooms::new(vec![size(1, 1); 3], fit).find(size(2, 0)), None);
        }
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_a_scan_finds(
            hosts in prop::collection::vec((0..16_u64, 0..64_u64), 1..40),
            guests in prop::collection::vec((0..8_u64, 0..32_u64, any::<bool>()), 1..80),
            fit in prop_oneof![Just(Fit::First), Just(Fit::Best), Just(Fit::Worst)],
        ) {
            let mut left: Vec<Size> =
                hosts.iter().map(|(cpu, memory)| size(*cpu, *memory)).collect();
            let mut rooms = Rooms::new(left.clone(), fit);
            let mut placed = Vec::new();
            for (cpu, memory, leaves) in guests {
                let need = size(cpu, memory);
                let found = rooms.find(need);
                prop_assert_eq!(found, scan(&left, need, fit));
                if let Some(host) = found {
                    rooms.take(host, need);
                    left[host as usize] = less(left[host as usize], need);
                    placed.push((host, need));
                }
                if leaves && !placed.is_empty() {
                    let (host, need) = placed.swap_remove(0);
                    rooms.give_back(host, need);
                    left[host as usize] = more(left[host as usize], need);
                }
                prop_assert_eq!(&rooms.left, &left);
            }
        }
    }
}
