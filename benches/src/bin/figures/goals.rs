//! The planner's other promises on made-up clusters: hosts switched off beside the most that can
//! be, plans that stay as they were five minutes later, and a cost that grows mildly with the hosts.

use std::error::Error;

use whimbrel_benches::{
    again,
    cluster::Cluster,
    growth::{self, PLANNER},
};
use whimbrel_core::{Goal, Outlook, Snapshot, plan::Remark};

use crate::{
    figure::Found,
    planner::{ByMemory, planned},
};

/// By how much each demand changes in five minutes.
const CHANGE: f64 = 0.03;

pub(crate) fn measure(found: &mut Found) -> Result<(), Box<dyn Error>> {
    powersave(found)?;
    alike(found)?;
    let growth = growth::measure(&PLANNER[0])?;
    found.put("planner_growth_exponent", growth.exponent().ok_or("growth has no exponent")?);
    Ok(())
}

/// A hundred hosts, of which as many as pays are emptied while the loss of any one is survived.
fn powersave(found: &mut Found) -> Result<(), Box<dyn Error>> {
    let mut cluster = Cluster::new(100, 2500);
    cluster.policy.limits.host_failures = 1;
    let (plan, seconds) = planned(&cluster, Goal::Powersave)?;
    let off = plan.report.remarks.iter().find_map(|remark| match remark {
        Remark::SwitchOff { hosts, most, .. } => Some(f64::from(*most) - hosts.len() as f64),
        _ => None,
    });
    found.put("powersave_hosts_under_bound", off.ok_or("no host can be switched off")?);
    found.put("powersave_seconds_100_hosts", seconds);
    Ok(())
}

/// A hundred hosts are balanced, and again five minutes later with every demand changed a little,
/// the first plan known.
fn alike(found: &mut Found) -> Result<(), Box<dyn Error>> {
    let cluster = Cluster::new(100, 1000);
    let (first, _) = planned(&cluster, Goal::Balance)?;
    let gain_factor = cluster.policy.balance.gain_factor;
    let later = |snapshot: Snapshot, outlook: Outlook| {
        let now = snapshot.taken_at;
        let later = Cluster { snapshot, outlook, policy: cluster.policy.clone() };
        let mut request = later.request(Goal::Balance, &ByMemory);
        request.now = now;
        whimbrel_planner::plan(&request)
    };
    let kept = again::kept((&cluster.snapshot, &first), (CHANGE, true), gain_factor, later)?;
    found.put("plans_alike_share", kept.moves);
    Ok(())
}
