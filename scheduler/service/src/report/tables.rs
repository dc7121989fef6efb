//! The tables of VMs: those that move and those that stay.

use whimbrel_core::{
    Move, VmId,
    migration::MoveState,
    predict::Quantiles,
    units::{Bytes, Span},
};
use whimbrel_engine::MoveView;

use super::{
    markup::{NONE, bytes_band, each, esc, nothing, span_band},
    model::ReportModel,
};

/// A move's state as an operator says it.
pub(crate) fn state_words(state: MoveState) -> &'static str {
    match state {
        MoveState::Planned => "not begun",
        MoveState::Intended | MoveState::Accepted => "begun",
        MoveState::Copying => "copying",
        MoveState::Arrived => "arriving",
        MoveState::Settled => "arrived",
        MoveState::Skipped => "skipped",
        MoveState::Refused => "refused",
        MoveState::Failed => "failed",
        MoveState::Cancelled => "cancelled",
        MoveState::Unknown => "needs a human",
    }
}

/// Every move with its reason and its costs, predicted and as they came.
pub(crate) fn moves(model: &ReportModel) -> String {
    if model.plan.is_empty() {
        return nothing("No VM moves.");
    }
    let executed = model.execution.is_some();
    let word = model.happened.word();
    let groups = each(["Total time", "Bytes on the wire", "Downtime"], |name| {
        format!(
            "<th class=\"n\" colspan=\"{}\" scope=\"colgroup\">{name}</th>",
            1 + usize::from(executed)
        )
    });
    let pair = if executed {
        format!("<th class=\"n\">predicted</th><th class=\"n\">{word}</th>")
    } else {
        "<th class=\"n\">predicted</th>".to_owned()
    };
    let (outcome, filler) = if executed { ("<th>Outcome</th>", "<th></th>") } else { ("", "") };
    let rows = each(model.plan.moves(), |(id, one)| move_row(model, one, model.view(&id)));
    format!(
        "<div class=\"scroll\"><table><thead><tr class=\"groups\"><th colspan=\"4\"></th>{groups}{filler}</tr>\
         <tr><th class=\"n\">Begins</th><th>VM</th><th>Why</th><th class=\"n\">Converges</th>{pair}{pair}{pair}{outcome}</tr></thead>\
         <tbody>{rows}</tbody></table></div>"
    )
}

fn move_row(model: &ReportModel, one: &Move, view: Option<&MoveView>) -> String {
    let of = &one.predicted;
    let stats = view.and_then(|v| v.stats);
    let measured = |cell: Option<String>| match (&model.execution, cell) {
        (None, _) => String::new(),
        (Some(_), None) => format!("<td class=\"n\">{NONE}</td>"),
        (Some(_), Some(cell)) => cell,
    };
    let time = measured(stats.map(|s| came(&of.total_time, s.total_time, Span::human)));
    let bytes = measured(stats.map(|s| came(&of.transferred, s.transferred, Bytes::human)));
    let down = measured(stats.map(|s| came(&of.downtime, s.downtime, Span::human)));
    let caveats = each(&of.caveats, |text| format!("<span class=\"sub\">{}</span>", esc(text)));
    let outcome = match (&model.execution, view) {
        (None, _) => String::new(),
        (Some(_), None) => format!("<td>{NONE}</td>"),
        (Some(_), Some(view)) => outcome(view),
    };
    format!(
        "<tr><td class=\"n\">{}</td><th class=\"vm\" scope=\"row\">{}<span class=\"sub\">{} → {}</span></th>\
         <td class=\"w\">{}{caveats}</td><td class=\"n\">{:.0} %</td>{}{time}{}{bytes}{}{down}{outcome}</tr>\n",
        one.begins.human(),
        esc(one.vm.as_str()),
        esc(one.from.as_str()),
        esc(one.to.as_str()),
        esc(&one.why()),
        of.converges.get() * 100.0,
        predicted(&of.total_time.p50.human(), &span_band(&of.total_time)),
        predicted(&of.transferred.p50.human(), &bytes_band(&of.transferred)),
        predicted(&of.downtime.p50.human(), &span_band(&of.downtime)),
    )
}

fn predicted(median: &str, band: &str) -> String {
    format!("<td class=\"n\">{median}<span class=\"sub\">{band}</span></td>")
}

/// What came, and where it lies to the predicted 90 % band.
fn came<T: Copy + PartialOrd>(of: &Quantiles<T>, value: T, text: fn(T) -> String) -> String {
    let verdict = if value < of.p05 {
        "<span class=\"sub bad\">below band</span>"
    } else if value > of.p95 {
        "<span class=\"sub bad\">above band</span>"
    } else {
        "<span class=\"sub\">in band</span>"
    };
    format!("<td class=\"n\">{}{verdict}</td>", text(value))
}

fn outcome(view: &MoveView) -> String {
    let words = state_words(view.state);
    let fine = !view.state.is_final() || view.state == MoveState::Settled;
    let class = if fine { "" } else { " class=\"bad\"" };
    format!("<td><span{class}>{words}</span><span class=\"sub\">{}</span></td>", esc(&view.detail))
}

/// VMs that the plan leaves where they are, and why.
pub(crate) fn stays(model: &ReportModel) -> String {
    if model.plan.stays.is_empty() {
        return nothing("No VM was considered and left where it is.");
    }
    let host = |vm: &VmId| {
        let here = model.before.sightings(vm).find(|d| d.state.lives_here());
        here.map_or_else(|| NONE.to_owned(), |d| esc(d.host.as_str()))
    };
    let rows = each(&model.plan.stays, |stay| {
        format!(
            "<tr><th class=\"vm\" scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>\n",
            esc(stay.vm.as_str()),
            host(&stay.vm),
            esc(&stay.reason.to_string())
        )
    });
    format!(
        "<div class=\"scroll\"><table class=\"snug\"><thead><tr><th>VM</th><th>On</th><th>Why it stays</th></tr></thead>\
         <tbody>{rows}</tbody></table></div>"
    )
}
