//! As `OpenStack` Watcher's `workload_balance` (its CPU meter, its period of five minutes): of the
//! hottest host above the threshold the guest moves whose load comes nearest to what the host has
//! beyond the mean, to the coolest host that stays below the threshold. One move an audit.

use super::{Balancer, Seen, Step, draft::Draft};

/// Relieves the hottest host above `part` of its CPU.
pub(super) struct Workload {
    pub(super) part: f64,
}

impl Balancer for Workload {
    fn decide(&mut self, seen: &Seen<'_>) -> Vec<Step> {
        let mut draft = Draft::new(seen);
        let hosts = draft.hosts();
        let load = |host: usize| draft.share(host) * draft.cores(host);
        let mean = (0..hosts).map(load).sum::<f64>() / hosts.max(1) as f64;
        let hottest = (0..hosts).max_by(|a, b| draft.share(*a).total_cmp(&draft.share(*b)));
        let Some(host) = hottest.filter(|host| draft.share(*host) > self.part) else {
            return Vec::new();
        };
        let beyond = load(host) - mean;
        let below = |guest: &usize| draft.wants[*guest] > 0.0 && draft.wants[*guest] <= beyond;
        let mut guests: Vec<usize> = draft.guests(host).into_iter().filter(below).collect();
        guests.sort_by(|a, b| draft.wants[*b].total_cmp(&draft.wants[*a]));
        let mut targets: Vec<usize> = (0..hosts).filter(|to| *to != host).collect();
        targets.sort_by(|a, b| draft.share(*a).total_cmp(&draft.share(*b)));
        let Some(guest) = guests.first().copied() else { return Vec::new() };
        let fits = |to: &usize| draft.holds(guest, *to) && draft.share_with(guest, *to) < self.part;
        if let Some(to) = targets.into_iter().find(fits) {
            draft.put(guest, to);
        }
        draft.steps()
    }
}
