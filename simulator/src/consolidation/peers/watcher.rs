//! A consolidation like that of `OpenStack`'s Watcher (`vm_workload_consolidation.py`, with its
//! defaults): every hour, by the means of the last hour, hosts are offloaded and then filled to the
//! brim. Never here: room for what an hour's mean hides.

use super::{
    super::decision::{Decides, Situation, Step},
    draft::Draft,
};

/// Decisions from one audit to the next: an hour, over which it takes means (`period`).
const AUDIT_DECISIONS: u32 = 12;

/// Part of a host that may be used (its capacity coefficient).
const PART: f64 = 1.0;

/// Audits every hour.
#[derive(Debug, Default)]
pub(in super::super) struct Watcher {
    /// Decisions since the last audit, and what guests wanted in them.
    decisions: u32,
    wanted: Vec<f64>,
    audited: bool,
}

impl Decides for Watcher {
    fn decide(&mut self, now: &Situation<'_>) -> Vec<Step> {
        self.wanted.resize(now.guests.len(), 0.0);
        for (wanted, guest) in self.wanted.iter_mut().zip(now.guests.iter()) {
            *wanted += guest.wants;
        }
        self.decisions += 1;
        if self.audited && self.decisions < AUDIT_DECISIONS {
            return Vec::new();
        }
        let decisions = f64::from(std::mem::take(&mut self.decisions));
        let means: Vec<f64> = self.wanted.drain(..).map(|wanted| wanted / decisions).collect();
        self.audited = true;
        let mut draft = Draft::new(*now, &means);
        offload(&mut draft);
        consolidate(&mut draft);
        draft.steps()
    }
}

/// Takes the guests that want least off overloaded hosts, onto the most loaded ones that have room.
fn offload(draft: &mut Draft<'_>) {
    let hosts = draft.by_load();
    for host in hosts.iter().rev().copied() {
        let mut guests = draft.guests(host).to_vec();
        guests.sort_by(|a, b| draft.wants(*a).total_cmp(&draft.wants(*b)));
        for guest in guests {
            if draft.share(host) <= PART {
                break;
            }
            let running = hosts.iter().rev().copied().find(|to| draft.fits(guest, *to, PART));
            if let Some(to) = running.or_else(|| draft.idle(guest, PART)) {
                draft.put(guest, to);
            }
        }
    }
}

/// Moves guests of the least loaded hosts, those that want most first, onto the most loaded ones
/// that have room. A host need not become empty.
fn consolidate(draft: &mut Draft<'_>) {
    let hosts = draft.by_load();
    for (at, host) in hosts.iter().copied().enumerate() {
        let mut guests = draft.guests(host).to_vec();
        guests.sort_by(|a, b| draft.wants(*b).total_cmp(&draft.wants(*a)));
        for guest in guests {
            let fuller = hosts[at + 1..].iter().rev().copied();
            if let Some(to) = fuller.into_iter().find(|to| draft.fits(guest, *to, PART)) {
                draft.put(guest, to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::decision::worlds::World, *};

    #[test]
    fn it_looks_once_an_hour_and_at_the_means_of_that_hour() {
        let mut world = World::new(4, &[(3, 1, 0.1), (3, 3, 0.5)]);
        let mut watcher = Watcher::default();
        assert_eq!(watcher.decide(&world.now()), [Step { guest: 0, to: 3 }]);
        for decision in 1..12 {
            // The first wants more than the other on average, though not now.
            world.guests.of_mut(0).wants = if decision < 11 { 500.0 } else { 0.1 };
            assert!(watcher.decide(&world.now()).is_empty(), "{decision}");
        }
        assert_eq!(watcher.decide(&world.now()), [Step { guest: 1, to: 1 }]);
    }

    #[test]
    fn hosts_are_filled_to_the_brim() {
        // 2,500 and 2,500 and 300 of 5,320 MIPS.
        let world = World::new(4, &[(0, 1, 1.0), (0, 3, 1.0), (3, 0, 0.6)]);
        let steps = Watcher::default().decide(&world.now());
        assert_eq!(steps.len(), 2);
        assert_eq!(steps[0].to, steps[1].to);
    }
}
