//! How many migrations touch a host at one time: the limits, and what of them is taken.
//!
//! One count for whoever runs a plan, in thought or for real. Knows no time, and begins nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How many moves of a plan may run at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtOnce {
    /// That leave or enter one host.
    pub per_host: u32,
    /// In the cluster.
    pub total: u32,
    /// That leave one host, where that is fewer than may touch it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_of_host: Option<u32>,
    /// That enter one host, where that is fewer than may touch it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into_host: Option<u32>,
}

/// A move as slots see it.
#[derive(Debug)]
pub struct Takes<'a, K> {
    /// The host that it leaves.
    pub from: &'a K,
    /// The host that it enters.
    pub to: &'a K,
    /// Whether it has both of them to itself.
    pub alone: bool,
}

impl<K> Clone for Takes<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Takes<'_, K> {}

/// Why a move finds no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full<'a, K> {
    /// As many run in the cluster as may.
    Cluster,
    /// As many touch, leave or enter this host as may.
    Host(&'a K),
}

/// What is taken at each host.
#[derive(Debug, Clone)]
pub struct Slots<K> {
    limits: AtOnce,
    at: BTreeMap<K, Taken>,
    total: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Taken {
    out: u32,
    into: u32,
    /// Those of both that have the host to themselves.
    alone: u32,
}

impl AtOnce {
    /// So many at each host, either way, and so many in the cluster.
    pub const fn new(per_host: u32, total: u32) -> Self {
        Self { per_host, total, out_of_host: None, into_host: None }
    }

    /// Most that may leave one host.
    pub fn leaving(&self) -> u32 {
        self.out_of_host.unwrap_or(self.per_host).min(self.per_host)
    }

    /// Most that may enter one host.
    pub fn entering(&self) -> u32 {
        self.into_host.unwrap_or(self.per_host).min(self.per_host)
    }

    /// Most that may share the link of a host.
    pub fn sharing_max(&self) -> u32 {
        let touching = self.leaving().saturating_add(self.entering());
        self.per_host.min(touching).min(self.total).max(1)
    }
}

impl<K: Ord + Clone> Slots<K> {
    /// All free.
    pub fn new(limits: AtOnce) -> Self {
        Self { limits, at: BTreeMap::new(), total: 0 }
    }

    /// What the move lacks; `None` where it may begin.
    pub fn lacks<'a>(&self, one: Takes<'a, K>) -> Option<Full<'a, K>> {
        if self.total >= self.limits.total {
            return Some(Full::Cluster);
        }
        let (source, target) = (self.taken(one.from), self.taken(one.to));
        let full = |taken: &Taken| {
            let touch = taken.out.saturating_add(taken.into);
            taken.alone > 0 || touch >= if one.alone { 1 } else { self.limits.per_host }
        };
        if full(&source) || source.out >= self.limits.leaving() {
            return Some(Full::Host(one.from));
        }
        (full(&target) || target.into >= self.limits.entering()).then_some(Full::Host(one.to))
    }

    /// Counts one more.
    pub fn take(&mut self, one: Takes<'_, K>) {
        self.total = self.total.saturating_add(1);
        self.change(one, |count| count.saturating_add(1));
    }

    /// Counts one less.
    pub fn give_back(&mut self, one: Takes<'_, K>) {
        self.total = self.total.saturating_sub(1);
        self.change(one, |count| count.saturating_sub(1));
    }

    /// Migrations that touch a host of the move, at whichever there are more.
    pub fn most(&self, one: Takes<'_, K>) -> u32 {
        let touch = |host| {
            let taken = self.taken(host);
            taken.out.saturating_add(taken.into)
        };
        touch(one.from).max(touch(one.to))
    }

    fn taken(&self, host: &K) -> Taken {
        self.at.get(host).copied().unwrap_or_default()
    }

    fn change(&mut self, one: Takes<'_, K>, by: impl Fn(u32) -> u32) {
        let source = self.at.entry(one.from.clone()).or_default();
        source.out = by(source.out);
        if one.alone {
            source.alone = by(source.alone);
        }
        let target = self.at.entry(one.to.clone()).or_default();
        target.into = by(target.into);
        if one.alone {
            target.alone = by(target.alone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "slots take references")]
    fn shared(from: &'static char, to: &'static char) -> Takes<'static, char> {
        Takes { from, to, alone: false }
    }

    #[test]
    fn each_direction_has_its_limit() {
        let limits = AtOnce { out_of_host: Some(2), into_host: Some(1), ..AtOnce::new(3, 9) };
        let mut slots = Slots::new(limits);
        slots.take(shared(&'a', &'b'));
        assert_eq!(slots.lacks(shared(&'c', &'b')), Some(Full::Host(&'b')), "one enters b");
        assert_eq!(slots.lacks(shared(&'a', &'c')), None);
        slots.take(shared(&'a', &'c'));
        assert_eq!(slots.lacks(shared(&'a', &'d')), Some(Full::Host(&'a')), "two leave a");
        assert_eq!(slots.lacks(shared(&'d', &'a')), None, "the other way is free");
        slots.take(shared(&'d', &'a'));
        assert_eq!(slots.most(shared(&'a', &'e')), 3);
        slots.give_back(shared(&'a', &'b'));
        assert_eq!(slots.lacks(shared(&'c', &'b')), None);
    }

    #[test]
    fn who_goes_alone_shares_no_host() {
        let mut slots = Slots::new(AtOnce::new(4, 9));
        let alone = Takes { alone: true, ..shared(&'a', &'b') };
        slots.take(shared(&'b', &'c'));
        assert_eq!(slots.lacks(alone), Some(Full::Host(&'b')));
        slots.give_back(shared(&'b', &'c'));
        assert_eq!(slots.lacks(alone), None);
        slots.take(alone);
        assert_eq!(slots.lacks(shared(&'b', &'c')), Some(Full::Host(&'b')));
        assert_eq!(slots.lacks(shared(&'c', &'d')), None);
        slots.give_back(alone);
        assert_eq!(slots.lacks(shared(&'b', &'c')), None);
    }

    #[test]
    fn the_cluster_has_its_limit() {
        let mut slots = Slots::new(AtOnce::new(4, 1));
        slots.take(shared(&'a', &'b'));
        assert_eq!(slots.lacks(shared(&'c', &'d')), Some(Full::Cluster));
    }
}
