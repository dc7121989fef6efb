//! Hosts over time: how busy each is, as a map of colours.
//!
//! A cell is the mean of what guests wanted of the host's CPU in that part of the time. Steps of one
//! colour up to all that there is; another colour, and a dot for those who cannot tell them apart,
//! where guests wanted more.

use whimbrel_core::units::Span;

use super::{
    WIDTH, image,
    scale::{Quantity, Scale},
    text_width,
};
use crate::report::markup::{counted, each, esc, nothing, shortened};

/// Hosts in one map.
const ROWS_MAX: usize = 60;
/// Cells of one row; more are averaged.
const CELLS_MAX: usize = 96;
const LEFT: f64 = 132.0;
const RIGHT: f64 = 70.0;
const PLOT: f64 = WIDTH - LEFT - RIGHT;
const HEAD: f64 = 24.0;
const ROW: f64 = 22.0;
const BAR: f64 = 18.0;
/// Opacity of each fifth of what there is.
const FIFTHS: [f64; 5] = [0.07, 0.24, 0.45, 0.7, 1.0];

/// One host.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HeatRow {
    /// The host's name.
    pub(crate) name: String,
    /// CPU wanted as a part of what there is, in steps of equal length.
    pub(crate) wanted: Vec<f64>,
}

/// The map over `length` with its key; a sentence where there is nothing to show.
pub(crate) fn figure(title: &str, rows: &[HeatRow], length: Span, caption: &str) -> String {
    if rows.iter().all(|row| row.wanted.is_empty()) {
        return nothing("No use of hosts was simulated.");
    }
    let scale = Scale::from_zero(Quantity::Seconds, [length.as_seconds_f64() / 1.06]);
    let shown = rows.len().min(ROWS_MAX);
    let bottom = HEAD + shown as f64 * ROW;
    let ticks = each(scale.ticks(PLOT / text_width(1, 11.0)), |(value, text)| {
        let x = LEFT + scale.place(value) * PLOT;
        format!(
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"16\" y2=\"{HEAD}\"/>\
             <text class=\"m s c\" x=\"{x:.1}\" y=\"11\">{text}</text>\n"
        )
    });
    let rows_of =
        each(rows.iter().take(ROWS_MAX).enumerate(), |(at, row)| draw(row, HEAD + at as f64 * ROW));
    let more = match rows.len() - shown {
        0 => String::new(),
        more => format!("<p class=\"note\">{} not shown.</p>", counted(more, "more host")),
    };
    format!(
        "<figure class=\"wide scroll\">{}<figcaption>{caption}</figcaption></figure>{more}",
        image("chart", title, (WIDTH, bottom + 4.0), &format!("{ticks}{rows_of}"))
    )
}

fn draw(row: &HeatRow, y: f64) -> String {
    let middle = y + BAR / 2.0 + 4.0;
    let cells = averaged(&row.wanted, CELLS_MAX);
    let width = PLOT / cells.len().max(1) as f64;
    let mean = row.wanted.iter().sum::<f64>() / row.wanted.len().max(1) as f64;
    let cells = each(cells.iter().enumerate(), |(at, wanted)| {
        cell(*wanted, (LEFT + at as f64 * width, y), width)
    });
    format!(
        "<g><title>{name}: {mean:.0} % wanted on average</title>\
         <text class=\"b\" x=\"0\" y=\"{middle:.1}\">{short}</text>\
         <rect class=\"track\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{PLOT:.1}\" height=\"{BAR}\"/>\
         <g shape-rendering=\"crispEdges\">{cells}</g>\
         <text class=\"m s\" x=\"{:.1}\" y=\"{middle:.1}\">{mean:.0} %</text></g>\n",
        LEFT + PLOT + 10.0,
        name = esc(&row.name),
        short = esc(&shortened(&row.name, 16)),
        mean = mean * 100.0,
    )
}

fn cell(wanted: f64, (x, y): (f64, f64), width: f64) -> String {
    let place = format!("x=\"{x:.2}\" y=\"{y:.1}\" width=\"{width:.2}\" height=\"{BAR}\"");
    if wanted > 1.0 {
        let (cx, cy) = (x + width / 2.0, y + BAR / 2.0);
        return format!(
            "<rect {place} class=\"k3\"/><circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"1.6\" style=\"fill:#fff\"/>"
        );
    }
    match fifth(wanted) {
        None => String::new(),
        Some(at) => format!("<rect {place} class=\"k0\" fill-opacity=\"{}\"/>", FIFTHS[at]),
    }
}

/// Which fifth of what there is; none where nothing was wanted.
fn fifth(wanted: f64) -> Option<usize> {
    (wanted > 0.0).then_some(((wanted * 5.0).ceil() as usize).clamp(1, FIFTHS.len()) - 1)
}

/// At most `most` means of neighbours.
fn averaged(values: &[f64], most: usize) -> Vec<f64> {
    let together = values.len().div_ceil(most).max(1);
    values.chunks(together).map(|part| part.iter().sum::<f64>() / part.len() as f64).collect()
}

/// What the colours mean.
pub(crate) fn key() -> String {
    let swatch = |fill: &str, text: &str| {
        format!(
            "<span><svg viewBox=\"0 0 22 14\" aria-hidden=\"true\">\
             <rect class=\"track\" width=\"22\" height=\"14\"/>{fill}</svg>{text}</span>"
        )
    };
    let fifths = each(FIFTHS.iter().enumerate(), |(at, opacity)| {
        let fill =
            format!("<rect width=\"22\" height=\"14\" class=\"k0\" fill-opacity=\"{opacity}\"/>");
        swatch(&fill, &format!("up to {} %", (at + 1) * 20))
    });
    let over = "<rect width=\"22\" height=\"14\" class=\"k3\"/><circle cx=\"11\" cy=\"7\" r=\"2\" style=\"fill:#fff\"/>";
    format!("<div class=\"key\">{fifths}{}</div>", swatch(over, "more wanted than there is"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_says_how_much_was_wanted() {
        let fifths = [0.0, 0.01, 0.2, 0.21, 1.0].map(fifth);
        assert_eq!(fifths, [None, Some(0), Some(0), Some(1), Some(4)]);
        let over = cell(1.01, (0.0, 0.0), 5.0);
        assert!(over.contains("k3") && over.contains("circle"));
    }

    #[test]
    fn many_steps_are_averaged_and_none_is_lost() {
        let values: Vec<f64> = (0..288).map(f64::from).collect();
        let means = averaged(&values, CELLS_MAX);
        assert_eq!(means.len(), 96);
        assert!((means.iter().sum::<f64>() * 3.0 - values.iter().sum::<f64>()).abs() < 1e-6);
        assert_eq!(averaged(&[], 96), Vec::<f64>::new());
        assert_eq!(averaged(&[1.0, 2.0], 96), [1.0, 2.0]);
    }
}
