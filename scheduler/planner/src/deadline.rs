//! Whether a drain ends in time: what would be late is said, or refused where nothing less will do.
//!
//! The median decides, and moves end when their prediction says; nobody is hurried.

use std::collections::BTreeSet;

use whimbrel_core::{
    HostId,
    plan::{Goal, Late, Move, Plan, Remark},
    units::Span,
};

use crate::failure::PlanFailure;

/// `plan` with `remarks`, and with one more where it misses its deadline.
pub(crate) fn judged(plan: Plan, mut remarks: Vec<Remark>) -> Result<Plan, PlanFailure> {
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

/// Every move with when it ends, from the begin of the plan, at the median.
fn ends(plan: &Plan) -> Vec<(&Move, Span)> {
    plan.moves.iter().map(|one| (one, one.begins + one.predicted.total_time.p50)).collect()
}
