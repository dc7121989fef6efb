//! First fit and best fit, decreasing: wherever a host is overloaded or could be emptied, guests are
//! packed anew, those that want most now first. Never here: power, or the past.

use super::{
    super::decision::{Decides, Situation, Step},
    draft::Draft,
};

/// Hosts are filled up to this part and relieved above it, as with THR.
const PART: f64 = 0.8;

/// Which host is taken of those that have room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Fit {
    /// The first.
    First,
    /// The one with the least room.
    Best,
}

/// Packs by [`Fit`].
#[derive(Debug)]
pub(in super::super) struct Packing {
    pub(in super::super) fit: Fit,
}

impl Decides for Packing {
    fn decide(&mut self, now: &Situation<'_>) -> Vec<Step> {
        let wants: Vec<f64> = now.guests.iter().map(|guest| guest.wants).collect();
        let mut draft = Draft::new(*now, &wants);
        let mut closed = vec![false; now.hosts.len()];
        self.relieve(&mut draft, &mut closed);
        self.empty(&mut draft, &mut closed);
        draft.steps()
    }
}

impl Packing {
    /// Takes the guests with the least memory off overloaded hosts.
    fn relieve(&self, draft: &mut Draft<'_>, closed: &mut [bool]) {
        let mut leaving = Vec::new();
        for host in draft.by_load() {
            let (mut load, most) = (draft.load(host), PART * draft.now.hosts[host as usize].mips);
            if load <= most {
                continue;
            }
            closed[host as usize] = true;
            let mut guests = draft.guests(host).to_vec();
            guests.sort_by_key(|guest| draft.now.guests.of(*guest).memory_mb);
            for guest in guests {
                if load <= most {
                    break;
                }
                load -= draft.wants(guest);
                leaving.push(guest);
            }
        }
        sort_decreasing(&mut leaving, draft);
        for guest in leaving {
            if let Some(to) = self.fitting(draft, closed, guest).or_else(|| draft.idle(guest, PART))
            {
                draft.put(guest, to);
            }
        }
    }

    /// Empties the least loaded hosts whose guests all find a place.
    fn empty(&self, draft: &mut Draft<'_>, closed: &mut [bool]) {
        let mut takes = closed.to_vec();
        for step in draft.steps() {
            takes[step.to as usize] = true;
        }
        for host in draft.by_load() {
            if std::mem::replace(&mut takes[host as usize], true) {
                continue;
            }
            closed[host as usize] = true;
            let mut guests = draft.guests(host).to_vec();
            sort_decreasing(&mut guests, draft);
            let mut targets = Vec::with_capacity(guests.len());
            for guest in guests.iter().copied() {
                let Some(to) = self.fitting(draft, closed, guest) else { break };
                draft.put(guest, to);
                targets.push(to);
            }
            if targets.len() == guests.len() {
                for to in targets {
                    takes[to as usize] = true;
                }
                continue;
            }
            for guest in guests.iter().take(targets.len()) {
                draft.put(*guest, host);
            }
        }
    }

    /// The running host that `guest` goes to.
    fn fitting(&self, draft: &Draft<'_>, closed: &[bool], guest: u32) -> Option<u32> {
        let suits = |host: &u32| {
            !closed[*host as usize]
                && !draft.guests(*host).is_empty()
                && draft.fits(guest, *host, PART)
        };
        let mut hosts = draft.now.awake.iter().copied().filter(suits);
        let room = |host: &u32| PART * draft.now.hosts[*host as usize].mips - draft.load(*host);
        match self.fit {
            Fit::First => hosts.next(),
            Fit::Best => hosts.min_by(|a, b| room(a).total_cmp(&room(b))),
        }
    }
}

fn sort_decreasing(guests: &mut [u32], draft: &Draft<'_>) {
    guests.sort_by(|a, b| draft.wants(*b).total_cmp(&draft.wants(*a)));
}

#[cfg(test)]
mod tests {
    use super::{super::super::decision::worlds::World, *};

    fn decided(world: &World, fit: Fit) -> Vec<Step> {
        Packing { fit }.decide(&world.now())
    }

    #[test]
    fn an_overloaded_host_gives_up_what_fits_elsewhere() {
        // 3,300 of 3,720 MIPS on host 0; 500 on host 1 and 2,000 on host 3 of 5,320.
        let world =
            World::new(6, &[(0, 0, 0.52), (1, 0, 0.5), (2, 0, 1.0), (3, 1, 1.0), (1, 3, 1.0)]);
        // The first leaves: it has the least memory. First fit takes the first host with room, best
        // fit the fuller one; what is left on the other is packed onto the first in either case.
        let first = decided(&world, Fit::First);
        assert!(first.contains(&Step { guest: 0, to: 1 }), "{first:?}");
        let best = decided(&world, Fit::Best);
        assert!(best.contains(&Step { guest: 0, to: 3 }), "{best:?}");
    }

    #[test]
    fn a_host_is_emptied_whole_or_not_at_all() {
        let fits = World::new(4, &[(3, 1, 0.8), (3, 3, 0.9)]);
        assert_eq!(decided(&fits, Fit::First), [Step { guest: 0, to: 3 }]);
        // 4,256 MIPS may be used of each of the larger hosts; 1,300 are free there.
        let full = World::new(4, &[(2, 1, 1.0), (2, 1, 0.9), (0, 3, 1.0), (3, 3, 0.9)]);
        assert!(decided(&full, Fit::Best).is_empty());
    }
}
