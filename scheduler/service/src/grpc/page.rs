//! Pages of `ListOperations`.
//!
//! The token is the id of the last operation on the page before: it stays right while operations
//! are added at the end.

use whimbrel_engine::Execution;
use whimbrel_proto::v1::{ListOperationsRequest, ListOperationsResponse};

use super::convert;
use crate::Failure;

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
