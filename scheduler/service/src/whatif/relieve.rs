//! Room on hosts that hold more than they may, because a guest grew.
//!
//! Who leaves is the fewest and smallest that suffice; where they go is the planner's business: a
//! rule that holds for this plan only keeps them off their host, and a balance mends it. Where the
//! planner lets one of them stay, others are tried.
//!
//! Never here: guests of hosts that are emptied anyway.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::{Policy, VmId, policy::Rule};
use whimbrel_simulator::whatif::Room;

use super::stages::Work;
use crate::{Failure, advice::Advisor};

/// End of the name of a rule that keeps a guest off a host that has no room for it.
const CROWDED: &str = "holds more than it may";

impl Work {
    /// Lets guests leave hosts that hold more than they may. Whether anybody had to.
    pub(super) fn relieve(
        &mut self,
        advisor: &impl Fn(&Policy) -> Advisor,
    ) -> Result<bool, Failure> {
        let rules = self.policy.rules.len();
        let mut held: BTreeMap<VmId, String> = BTreeMap::new();
        // Every round holds somebody who was not held before, or ends.
        loop {
            if !self.keep_apart_what_does_not_fit(&held) {
                return Ok(!self.plans.is_empty());
            }
            self.balance(&advisor(&self.policy))?;
            let left = self.still_crowded(rules);
            if left.is_empty() {
                return Ok(true);
            }
            held.extend(left);
            self.plans.clear();
            self.policy.rules.truncate(rules);
            self.situation.snapshot = self.start.clone();
        }
    }

    /// Adds a rule for every guest that must leave a host that holds more than it may, and leaves
    /// out those for whom nobody can. Whether anybody must leave.
    fn keep_apart_what_does_not_fit(&mut self, held: &BTreeMap<VmId, String>) -> bool {
        let names: BTreeSet<VmId> = held.keys().cloned().collect();
        let leaving = loop {
            let snapshot = self.situation.snapshot.clone();
            let room = Room::new(&snapshot, &self.policy, &self.out);
            let (leaving, stuck) = room.crowded_out(&snapshot, &names);
            if stuck.is_empty() {
                break leaving;
            }
            // Without them nobody else may have to leave.
            for one in stuck {
                let home = snapshot.domains.iter().find(|d| d.vm == one.vm).map(|d| &d.host);
                let beside = snapshot.domains.iter().filter(|d| Some(&d.host) == home);
                let why: Vec<String> = beside
                    .filter_map(|d| Some(format!("{}: {}", d.vm, held.get(&d.vm)?)))
                    .collect();
                self.leave_out(&one.vm);
                if why.is_empty() {
                    self.homeless.push(one);
                    self.proven = false;
                } else {
                    let why = format!("its host {CROWDED} ({})", why.join("; "));
                    self.stuck.push((one.vm, why));
                }
            }
        };
        for (vm, host) in &leaving {
            let name = format!("{host} {CROWDED}");
            let (vms, hosts) = (vec![vm.clone()], vec![host.clone()]);
            self.policy.rules.push(Rule::exclude(&name, vms, hosts));
        }
        !leaving.is_empty()
    }

    /// Guests that should have left a crowded host, by the rules after the policy's `own`, and did not,
    /// each with the reason.
    fn still_crowded(&self, own: usize) -> Vec<(VmId, String)> {
        let reason = |vm: &VmId| {
            let stays = self.plans.iter().rev().flat_map(|plan| &plan.stays);
            let mut why = stays.filter(|stay| stay.vm == *vm).map(|stay| stay.reason.to_string());
            why.next().unwrap_or_else(|| "the plan leaves it where it is".to_owned())
        };
        let rules = self.policy.rules.iter().skip(own);
        let sent = rules.filter_map(|rule| rule.vms.first().zip(rule.hosts.first()));
        let domains = &self.situation.snapshot.domains;
        let stayed = sent.filter(|(vm, host)| {
            domains.iter().any(|d| d.vm == **vm && d.host == **host && d.state.lives_here())
        });
        stayed.map(|(vm, _)| (vm.clone(), reason(vm))).collect()
    }
}
