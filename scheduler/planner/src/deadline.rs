//! Whether moves end in time: what would be late for a drain's deadline is said, or refused where
//! nothing less will do; what would run into the close of a window is said.
//!
//! The median decides about deadlines, 19 of 20 cases about windows; nobody is hurried.

use std::collections::BTreeSet;

use whimbrel_core::{
    HostId,
    plan::{Goal, Late, Move, Plan, Remark},
    units::{Span, Timestamp},
};

use crate::failure::PlanFailure;

/// `plan`, begun `now`, with `remarks`, and with more where it misses its deadline or windows.
pub(crate) fn judged(
    plan: Plan,
    mut remarks: Vec<Remark>,
    now: Timestamp,
) -> Result<Plan, PlanFailure> {
    let over = plan.moves.iter().filter(|one| !one.ends_in_time(now + one.begins));
    let late =
        |one: &Move| Late { vm: one.vm.clone(), after: one.begins + one.predicted.total_time.p95 };
    let vms: Vec<Late> = over.map(late).collect();
    if !vms.is_empty() {
        remarks.push(Remark::WindowMissed { vms });
    }
    if let Goal::Drain { deadline: Some(deadline), strict, .. } = &plan.goal {
        let emptied: BTreeSet<&HostId> = plan.goal.emptied().collect();
        let mut late: Vec<Late> = ends(&plan)
            .into_iter()
            .filter(|(one, end)| emptied.contains(&one.from) && end > deadline)
            .map(|(one, after)| Late { vm: one.vm.clone(), after })
            .collect();
        late.sort_by(|a, b| (a.after, &a.vm).cmp(&(b.after, &b.vm)));
        if !late.is_empty() {
            let remark = Remark::DeadlineMissed { deadline: *deadline, vms: late };
            if *strict {
                return Err(PlanFailure::Deadline(remark));
            }
            remarks.push(remark);
        }
    }
    Ok(if remarks.is_empty() { plan } else { plan.remarked(remarks) })
}

/// Whether `plan` says that it misses its deadline or a window.
pub(crate) fn missed(plan: &Plan) -> bool {
    let late = |remark: &Remark| {
        matches!(remark, Remark::DeadlineMissed { .. } | Remark::WindowMissed { .. })
    };
    plan.report.remarks.iter().any(late)
}

/// Every move with when it ends, from the begin of the plan, at the median.
fn ends(plan: &Plan) -> Vec<(&Move, Span)> {
    plan.moves.iter().map(|one| (one, one.begins + one.predicted.total_time.p50)).collect()
}
