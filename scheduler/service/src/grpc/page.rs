//! Pages of operations, and of explanations of a plan.
//!
//! The token is the id of the last operation on the page before: it stays right while operations
//! are added at the end. That of an explanation is the plan's id and the last VM on the page before.

use whimbrel_core::{Plan, PlanId, VmId};
use whimbrel_engine::Execution;
use whimbrel_planner::Explanation;
use whimbrel_proto::v1::{ListOperationsRequest, ListOperationsResponse};

use super::{
    convert,
    question::{Explained, Page},
};
use crate::{Failure, files};

/// Page size when the caller names none.
const SIZE_DEFAULT: usize = 50;
/// Largest page.
const SIZE_MAX: usize = 500;

/// The page of `operations` that is asked for.
pub(super) fn of(
    operations: &[Execution],
    request: &ListOperationsRequest,
) -> Result<ListOperationsResponse, Failure> {
    let token = request.page_token.as_str();
    let begin = if token.is_empty() {
        0
    } else {
        let last = operations.iter().position(|one| one.plan.as_str() == token);
        1 + last.ok_or_else(|| {
            Failure::invalid(format!(
                "field page_token: {token:?} is no page's token (hint: begin with the first page)"
            ))
        })?
    };
    let size = match request.page_size as usize {
        0 => SIZE_DEFAULT,
        size => size.min(SIZE_MAX),
    };
    let rest = operations.get(begin..).unwrap_or_default();
    let page = rest.get(..size).unwrap_or(rest);
    let next = page.last().filter(|_| rest.len() > page.len());
    Ok(ListOperationsResponse {
        operations: convert::to_list(page),
        next_page_token: next.map(|one| one.plan.to_string()).unwrap_or_default(),
    })
}

/// VMs on a page of explanations when the caller names no number.
const EXPLAINED_DEFAULT: usize = 500;
/// Most VMs on a page of explanations.
const EXPLAINED_MAX: usize = 1000;

/// The page of explanations of `plan` that is asked for; `tell` explains so many VMs after one.
///
/// # Errors
/// [`Failure`] naming a token that is not of this plan, or from `tell`.
pub fn explained(
    plan: Plan,
    page: &Page,
    tell: impl FnOnce(&Plan, Option<&VmId>, usize) -> Result<Vec<Explanation>, Failure>,
) -> Result<Explained, Failure> {
    let id = plan.id();
    let after = if page.token.is_empty() { None } else { Some(last_told(&page.token, &id)?) };
    let size = match page.size as usize {
        0 => EXPLAINED_DEFAULT,
        size => size.min(EXPLAINED_MAX),
    };
    // One more than asked for says whether there is a next page.
    let mut explanations = tell(&plan, after.as_ref(), size + 1)?;
    let more = explanations.len() > size;
    explanations.truncate(size);
    let next = explanations.last().filter(|_| more).map(|last| format!("{id}:{}", last.vm));
    let next_page_token = next.unwrap_or_default();
    Ok(Explained { text: files::plan_text(&plan)?, plan, explanations, next_page_token })
}

fn last_told(token: &str, id: &PlanId) -> Result<VmId, Failure> {
    let vm = token.split_once(':').filter(|(plan, _)| *plan == id.as_str());
    vm.and_then(|(_, vm)| VmId::new(vm).ok()).ok_or_else(|| {
        Failure::invalid(format!(
            "field page_token: {token:?} is no token of plan {id} (hint: ask for further pages with \
             the text of the plan that the first page came with)"
        ))
    })
}
