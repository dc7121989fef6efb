//! What was planned before and not done yet, planned again: a plan that is nearly the best stays
//! as it is, because people have read it and moves of it may wait for approval.
//!
//! Moves that no longer fit or pay fall out, and what pays by now is added. Never kept where more
//! than a small part of what can be gained would be lost.

use super::{Decision, draft::Draft, gap, local, route, seed::Incumbent};
use crate::scope::{Context, Scope};

/// Part of what a plan made anew gains that the one from before may gain less.
const LEFT_MAX: f64 = 0.02;

/// The plan that the outlook knows of, where it is nearly as good as `found`; otherwise `found`.
pub(crate) fn stable(context: &Context<'_>, scope: &Scope, found: Decision) -> Decision {
    let Some(draft) = mended(context, scope) else { return found };
    let Some(before) = route(context, scope, &Incumbent::of(draft)) else { return found };
    let present = context.objective(scope, &context.view.present());
    let anew = context.objective(scope, &found.place);
    if before.value - anew > LEFT_MAX * (present - anew).max(0.0) {
        return found;
    }
    let bound = found.gap.map(|gap| anew - gap * anew.abs());
    let gap = bound.map(|bound| gap(before.value, bound));
    before.decision("previous plan".to_owned(), gap)
}

/// The placement of the outlook's plan, mended; `None` where nothing of it is left to do.
fn mended<'a>(context: &'a Context<'a>, scope: &'a Scope) -> Option<Draft<'a>> {
    let mut draft = Draft::new(context, scope);
    for &(vm, host) in &context.view.planned {
        let may = draft.single(vm) && draft.may_move_more() && draft.fits(vm, host);
        if may && draft.change(vm, host).is_some_and(|change| change < 0.0) {
            draft.shift(vm, host);
        }
    }
    if draft.sequence.is_empty() {
        return None;
    }
    local::improve(&mut draft);
    Some(draft)
}
