//! Predicted against measured: total time, bytes and downtime, with the 90 % band of each.
//!
//! A point stands at its predicted median and at what was measured; its bar is the predicted 90 %
//! band on the same axis as the measurement, so a point on its bar was predicted well.

use plotters::{
    prelude::{Circle, Color, EmptyElement, PathElement, Rectangle},
    style::ShapeStyle,
};
use whimbrel_core::{
    predict::Quantiles,
    units::{Bytes, Span},
};

use super::{
    palette::{self, Ink},
    plot::{Canvas, FINE, Failed, Frame},
    scale::{Quantity, Scale},
};
use crate::report::{
    markup::{counted, esc, nothing},
    model::{Pair, ReportModel},
};

/// One quantity of one migration.
#[derive(Debug, Clone, Copy)]
struct Point {
    predicted: f64,
    low: f64,
    high: f64,
    measured: f64,
    of_this_run: bool,
}

impl Point {
    fn of<T: Copy>(
        pair: &Pair<'_>,
        predicted: &Quantiles<T>,
        measured: T,
        value: fn(T) -> f64,
    ) -> Self {
        let of = predicted.map(value);
        Self {
            predicted: of.p50,
            low: of.p05,
            high: of.p95,
            measured: value(measured),
            of_this_run: pair.of_this_run,
        }
    }

    fn total_time(pair: &Pair<'_>) -> Self {
        Self::of(pair, &pair.predicted.total_time, pair.stats.total_time, Span::as_seconds_f64)
    }

    fn transferred(pair: &Pair<'_>) -> Self {
        Self::of(pair, &pair.predicted.transferred, pair.stats.transferred, Bytes::as_f64)
    }

    fn downtime(pair: &Pair<'_>) -> Self {
        Self::of(pair, &pair.predicted.downtime, pair.stats.downtime, Span::as_seconds_f64)
    }

    fn is_inside(&self) -> bool {
        (self.low..=self.high).contains(&self.measured)
    }
}

/// Three panels, or a sentence where there is nothing to compare.
pub(crate) fn panels(model: &ReportModel) -> String {
    let (pairs, left_out) = model.pairs();
    let left_out = if left_out > 0 {
        let records = counted(left_out, "record");
        format!(
            "<p class=\"note\">{records} left out: the migration did not arrive, or its \
             prediction or its figures are missing.</p>"
        )
    } else {
        String::new()
    };
    if pairs.is_empty() {
        return nothing("No migration with both a prediction and figures yet.") + &left_out;
    }
    let key = key(&pairs_by_run(&pairs));
    format!("{}{key}{left_out}", of_pairs(&pairs, model.happened.word()))
}

/// The three panels of `pairs`, which are not none.
pub(crate) fn of_pairs(pairs: &[Pair<'_>], word: &str) -> String {
    let points = |of: fn(&Pair<'_>) -> Point| pairs.iter().map(of).collect::<Vec<_>>();
    let panels = [
        panel("Total time", Quantity::Seconds, word, &points(Point::total_time)),
        panel("Bytes on the wire", Quantity::Bytes, word, &points(Point::transferred)),
        panel("Downtime", Quantity::Seconds, word, &points(Point::downtime)),
    ];
    format!("<div class=\"panels\">{}</div>", panels.concat())
}

fn panel(name: &str, quantity: Quantity, word: &str, points: &[Point]) -> String {
    let values: Vec<_> =
        points.iter().flat_map(|p| [p.predicted, p.low, p.high, p.measured]).collect();
    let scale = Scale::spanning(quantity, &values);
    let inside = points.iter().filter(|p| p.is_inside()).count();
    let share = inside as f64 / points.len().max(1) as f64 * 100.0;
    let caption = format!("{inside} of {} inside the 90 % band ({share:.0} %)", points.len());
    let title = format!("{name}, predicted against {word}: {caption}");
    let frame = Frame {
        title: &title,
        size: (330, 310),
        x: (scale, "predicted, median"),
        y: (scale, word),
    };
    let drawing = frame.draw(|canvas| series(canvas, &scale, points));
    format!("<figure><h3>{}</h3>{drawing}<figcaption>{caption}</figcaption></figure>", esc(name))
}

fn series(canvas: &mut Canvas, scale: &Scale, points: &[Point]) -> Result<(), Failed> {
    let ends = scale.ends();
    let identity = palette::MUTED.rgb().stroke_width(FINE as u32);
    canvas.draw_series([PathElement::new(
        vec![(ends.start, ends.start), (ends.end, ends.end)],
        identity,
    )])?;
    canvas.draw_series(points.iter().map(|p| {
        let band = colour(p).rgb().mix(0.45).stroke_width((2 * FINE) as u32);
        PathElement::new(vec![(p.predicted, p.low), (p.predicted, p.high)], band)
    }))?;
    // Shape says the same as colour: circles lie inside, squares outside.
    let inside = points.iter().filter(|p| p.is_inside());
    canvas
        .draw_series(inside.map(|p| Circle::new((p.predicted, p.measured), 4 * FINE, style(p))))?;
    let outside = points.iter().filter(|p| !p.is_inside());
    canvas.draw_series(outside.map(|p| {
        // The SVG backend draws outlines of rectangles hair-thin, those of paths as asked.
        let half = 4 * FINE;
        let corners = [(-half, -half), (half, -half), (half, half), (-half, half), (-half, -half)];
        let fill = if p.of_this_run { 1.0 } else { 0.0 };
        let outline = colour(p).rgb().stroke_width((2 * FINE) as u32);
        EmptyElement::at((p.predicted, p.measured))
            + Rectangle::new([(-half, -half), (half, half)], colour(p).rgb().mix(fill).filled())
            + PathElement::new(corners, outline)
    }))?;
    Ok(())
}

fn colour(point: &Point) -> Ink {
    if point.is_inside() { palette::BLUE } else { palette::VERMILION }
}

/// Points of the run that the report is about are filled, earlier ones are outlines.
fn style(point: &Point) -> ShapeStyle {
    let colour = colour(point).rgb();
    if point.of_this_run { colour.filled() } else { colour.stroke_width((2 * FINE) as u32) }
}

/// Which points are of the run that the report is about, as an entry of the key.
fn pairs_by_run(pairs: &[Pair<'_>]) -> String {
    let this_run = pairs.iter().filter(|p| p.of_this_run).count();
    let earlier = pairs.len() - this_run;
    entry(
        "<circle cx=\"6\" cy=\"7\" r=\"4\" class=\"k0\"/><circle cx=\"17\" cy=\"7\" r=\"3.5\" \
         style=\"fill:none;stroke:var(--c0);stroke-width:2\"/>",
        &format!("filled: this run ({this_run}); outlined: earlier ({earlier})"),
    )
}

fn entry(shape: &str, text: &str) -> String {
    format!("<span><svg viewBox=\"0 0 22 14\" aria-hidden=\"true\">{shape}</svg>{text}</span>")
}

/// What the shapes mean, with one `further` entry.
pub(crate) fn key(further: &str) -> String {
    let bar = "<line x1=\"11\" x2=\"11\" y1=\"0\" y2=\"14\" \
               style=\"stroke:var(--c0);stroke-width:2;stroke-opacity:.45\"/>";
    format!(
        "<div class=\"key\">{}{}{}{}{}</div>",
        entry(bar, "predicted 90 % band"),
        entry("<circle cx=\"11\" cy=\"7\" r=\"4\" class=\"k0\"/>", "inside its band"),
        entry("<rect x=\"7\" y=\"3\" width=\"8\" height=\"8\" class=\"k3\"/>", "outside its band"),
        further,
        entry(
            "<line x1=\"3\" x2=\"19\" y1=\"13\" y2=\"1\" style=\"stroke:var(--muted)\"/>",
            "as predicted"
        )
    )
}
