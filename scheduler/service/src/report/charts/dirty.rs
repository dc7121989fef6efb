//! Unique-dirty curves U(t): distinct memory dirtied within t of a clean start, VM by VM.

use std::collections::BTreeSet;

use plotters::prelude::{Circle, Color, LineSeries};
use whimbrel_core::{
    VmId,
    cluster::DirtyReading,
    units::{Bytes, Span},
};

use super::{
    palette,
    plot::{FINE, Frame},
    scale::{Quantity, Scale},
};
use crate::report::{
    markup::{counted, esc, nothing},
    model::ReportModel,
};

/// Panels in one report: more would be scrolled past.
const PANELS_MAX: usize = 12;

/// One panel a VM, those that move first, or a sentence where nothing was read.
pub(crate) fn panels(model: &ReportModel) -> String {
    let known: BTreeSet<_> = model
        .curves
        .iter()
        .filter(|(_, points)| !points.is_empty())
        .map(|(vm, _)| vm)
        .chain(model.dirty.iter().filter(|(_, readings)| !readings.is_empty()).map(|(vm, _)| vm))
        .collect();
    if known.is_empty() {
        return nothing("No dirty readings: predictions rest on the guests' sizes alone.");
    }
    let movers = model.movers();
    let mut ordered: Vec<_> = movers.iter().copied().filter(|vm| known.contains(vm)).collect();
    ordered.extend(known.iter().copied().filter(|vm| !movers.contains(vm)));
    let left_out = ordered.len().saturating_sub(PANELS_MAX);
    ordered.truncate(PANELS_MAX);
    // One time axis for all panels, so that they can be compared; sizes differ too much for that.
    let windows: Vec<_> = ordered
        .iter()
        .flat_map(|vm| {
            let fitted = curve(model, vm).iter().map(|(window, _)| *window);
            readings(model, vm).iter().map(|r| r.window).chain(fitted)
        })
        .map(Span::as_seconds_f64)
        .filter(|seconds| *seconds > 0.0)
        .collect();
    let time = Scale::spanning(Quantity::Seconds, &windows);
    let panels: Vec<_> = ordered.iter().map(|vm| panel(model, vm, time)).collect();
    let note = if left_out > 0 {
        format!("<p class=\"note\">{} left out.</p>", counted(left_out, "more VM"))
    } else {
        String::new()
    };
    format!("<div class=\"panels\">{}</div>{KEY}{note}", panels.concat())
}

const KEY: &str = "<div class=\"key\">\
<span><svg viewBox=\"0 0 22 14\" aria-hidden=\"true\"><line x1=\"1\" x2=\"21\" y1=\"7\" y2=\"7\" style=\"stroke:var(--c0);stroke-width:2\"/></svg>fitted U(t)</span>\
<span><svg viewBox=\"0 0 22 14\" aria-hidden=\"true\"><circle cx=\"11\" cy=\"7\" r=\"4\" class=\"k1\"/></svg>reading</span>\
<span>The time axis is the same in all panels, the memory axis is each panel's own.</span></div>";

fn curve<'a>(model: &'a ReportModel, vm: &VmId) -> &'a [(Span, Bytes)] {
    model.curves.get(vm).map_or(&[], Vec::as_slice)
}

fn readings<'a>(model: &'a ReportModel, vm: &VmId) -> &'a [DirtyReading] {
    model.dirty.get(vm).map_or(&[], Vec::as_slice)
}

fn panel(model: &ReportModel, vm: &VmId, time: Scale) -> String {
    let (curve, readings) = (curve(model, vm), readings(model, vm));
    let sizes = curve.iter().map(|(_, size)| *size).chain(readings.iter().map(|r| r.unique));
    let memory = Scale::from_zero(Quantity::Bytes, sizes.map(Bytes::as_f64));
    let place = |window: Span, size: Bytes| (window.as_seconds_f64(), size.as_f64());
    let title = format!(
        "Unique-dirty curve of {vm}: {}, {}",
        counted(readings.len(), "reading"),
        if curve.is_empty() { "no fitted curve" } else { "with fitted curve" }
    );
    let frame =
        Frame { title: &title, size: (330, 220), x: (time, "window t"), y: (memory, "U(t)") };
    let drawing = frame.draw(|canvas| {
        let line = palette::BLUE.rgb().stroke_width((2 * FINE) as u32);
        let fitted = curve.iter().map(|(window, size)| place(*window, *size));
        canvas.draw_series(LineSeries::new(fitted, line))?;
        let dot = palette::ORANGE.rgb().filled();
        canvas.draw_series(
            readings.iter().map(|r| Circle::new(place(r.window, r.unique), 4 * FINE, dot)),
        )?;
        Ok(())
    });
    let lacks = match (curve.is_empty(), readings.is_empty()) {
        (true, _) => "<figcaption>not fitted</figcaption>",
        (_, true) => "<figcaption>no reading of its own</figcaption>",
        _ => "",
    };
    format!("<figure><h3>{}</h3>{drawing}{lacks}</figure>", esc(vm.as_str()))
}
