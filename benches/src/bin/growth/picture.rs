//! Curves on logarithmic axes, one panel for each thing that is counted.
//!
//! Beside each panel's curves a grey line shows how n log n would grow from where the costliest of
//! them begins.

use std::{error::Error, ops::Range};

use plotters::prelude::{
    ChartBuilder, Color, DashedLineSeries, IntoDrawingArea, IntoLogRange, LineSeries, PathElement,
    RGBColor, SVGBackend, SeriesLabelPosition, WHITE,
};
use whimbrel_benches::growth::Curve;

use super::shown;

/// Width of a panel and height of the picture.
const PANEL: (u32, u32) = (520, 460);

/// Colours that stay apart for colour-blind readers (Okabe and Ito, "Color Universal Design",
/// 2008): blue, vermilion, bluish green.
const INKS: [RGBColor; 3] =
    [RGBColor(0x00, 0x72, 0xB2), RGBColor(0xD5, 0x5E, 0x00), RGBColor(0x00, 0x9E, 0x73)];
const GREY: RGBColor = RGBColor(0x9A, 0xA1, 0xA9);

type Drawn = Result<(), Box<dyn Error>>;

/// The picture as SVG.
pub(crate) fn of(curves: &[Curve]) -> Result<String, Box<dyn Error>> {
    let panels: Vec<&[Curve]> =
        curves.chunk_by(|a, b| a.subject.counts == b.subject.counts).collect();
    let mut svg = String::new();
    {
        let size = (PANEL.0 * panels.len() as u32, PANEL.1);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        for (place, curves) in area.split_evenly((1, panels.len())).iter().zip(panels) {
            panel(place, curves)?;
        }
        area.present()?;
    }
    Ok(svg)
}

type Area<'a> = plotters::drawing::DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn panel(area: &Area<'_>, curves: &[Curve]) -> Drawn {
    let Some(counts) = curves.first().map(|curve| curve.subject.counts) else { return Ok(()) };
    let points = || curves.iter().flat_map(Curve::sized);
    let costs = curves.iter().flat_map(|curve| &curve.points).map(|point| point.seconds);
    let sizes = ends(points().map(|point| f64::from(point.size)), 1.25);
    let seconds = ends(costs, 3.0);
    let mut chart = ChartBuilder::on(area)
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(62)
        .build_cartesian_2d(sizes.clone().log_scale(), seconds.log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(GREY.mix(0.15))
        .bold_line_style(GREY.mix(0.4))
        .x_desc(counts)
        .y_desc("CPU seconds")
        .x_label_formatter(&|size| label(*size))
        .y_label_formatter(&|seconds| format!("{seconds}"))
        .draw()?;
    // Beside what grows from a cost that is there without it, n log n says nothing.
    let from_nothing = curves.iter().filter(|curve| curve.without().is_none());
    let costliest = from_nothing.filter_map(|curve| curve.sized().next());
    if let Some(first) = costliest.max_by(|a, b| a.seconds.total_cmp(&b.seconds)) {
        let n_log_n = |n: f64| n * n.ln();
        let unit = first.seconds / n_log_n(f64::from(first.size));
        let guide = points().map(|point| f64::from(point.size)).map(|n| (n, unit * n_log_n(n)));
        let mut guide: Vec<(f64, f64)> = guide.collect();
        guide.sort_by(|a, b| a.0.total_cmp(&b.0));
        chart
            .draw_series(LineSeries::new(guide, GREY))?
            .label("n log n")
            .legend(|at| key(at, GREY));
    }
    for (curve, ink) in curves.iter().zip(INKS.into_iter().cycle()) {
        if let Some(seconds) = curve.without() {
            let ends = [(sizes.start, seconds), (sizes.end, seconds)];
            chart.draw_series(DashedLineSeries::new(ends, 4, 4, ink.stroke_width(1)))?;
        }
        let line = curve.sized().map(|point| (f64::from(point.size), point.seconds));
        let series = LineSeries::new(line, ink.stroke_width(2)).point_size(3);
        let than = curve.without().map_or("", |_| " more than with none (dashed)");
        let name = format!("{}: n^{}{than}", curve.subject.name, shown(curve.exponent()));
        chart.draw_series(series)?.label(name).legend(move |at| key(at, ink));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .draw()?;
    Ok(())
}

/// A size where there is room for it: 1, 2 or 5 of a power of ten.
fn label(size: f64) -> String {
    let text = format!("{size:.0}");
    if text.starts_with(['1', '2', '5']) { text } else { String::new() }
}

fn key((x, y): (i32, i32), ink: RGBColor) -> PathElement<(i32, i32)> {
    PathElement::new(vec![(x, y), (x + 18, y)], ink.stroke_width(2))
}

/// From below the least of `values` to above the largest, by a factor of `room`.
fn ends(values: impl Iterator<Item = f64> + Clone, room: f64) -> Range<f64> {
    let least = values.clone().fold(f64::INFINITY, f64::min).max(1e-6);
    let most = values.fold(least, f64::max);
    least / room..most * room
}
