//! Hosts above a threshold give up guests until they are below it: the rule that most balancers
//! begin with. Never here: hysteresis.

use super::{Balancer, Seen, Step, draft::Draft};

/// Relieves hosts above `part` of their CPU.
pub(super) struct Greedy {
    pub(super) part: f64,
}

impl Balancer for Greedy {
    fn decide(&mut self, seen: &Seen<'_>) -> Vec<Step> {
        let mut draft = Draft::new(seen);
        for host in 0..draft.hosts() {
            if draft.share(host) <= self.part {
                continue;
            }
            let mut guests = draft.guests(host);
            // Who wants nothing relieves nobody.
            guests.retain(|guest| draft.wants[*guest] > 0.01 * draft.cores(host));
            guests.sort_by_key(|guest| (seen.guests()[*guest].memory, *guest));
            for guest in guests {
                if draft.share(host) <= self.part {
                    break;
                }
                let mut targets: Vec<usize> = (0..draft.hosts()).filter(|to| *to != host).collect();
                targets.sort_by(|a, b| draft.share(*a).total_cmp(&draft.share(*b)));
                let fits = |to: &usize| {
                    draft.holds(guest, *to) && draft.share_with(guest, *to) <= self.part
                };
                if let Some(to) = targets.into_iter().find(fits) {
                    draft.put(guest, to);
                }
            }
        }
        draft.steps()
    }
}
