//! How a figure is spread over runs: one row a variant, all on one axis.
//!
//! Bars count runs; the thick line is the median, the dashed one the 95th percentile.

use super::{
    image,
    scale::{Quantity, Scale},
    text_width,
};
use crate::report::markup::{each, esc, nothing, number, shortened};
use crate::report::terms;

/// Rows in one panel.
const ROWS_MAX: usize = 24;
/// Width of a panel in user units, and of its parts.
const PANEL: f64 = 520.0;
const LEFT: f64 = 112.0;
const PLOT: f64 = PANEL - LEFT - 12.0;
const HEAD: f64 = 22.0;
const ROW: f64 = 46.0;
const BARS: f64 = 26.0;
const BINS: usize = 60;

/// One variant.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Strip {
    /// What it is called.
    pub(crate) name: String,
    /// Its values, one a run.
    pub(crate) values: Vec<f64>,
}

/// What the figure `name`, which ends with its unit, is measured in.
fn quantity(name: &str) -> Quantity {
    match terms::split(name).1 {
        "s" => Quantity::Seconds,
        "bytes" => Quantity::Bytes,
        _ => Quantity::Number,
    }
}

/// The panel of the figure `name`; a sentence where no run has it.
pub(crate) fn panel(name: &str, strips: &[Strip], caption: &str) -> String {
    let finite = |strip: &Strip| -> Vec<f64> {
        let mut values: Vec<f64> =
            strip.values.iter().copied().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let rows: Vec<(&str, Vec<f64>)> = strips
        .iter()
        .take(ROWS_MAX)
        .map(|strip| (strip.name.as_str(), finite(strip)))
        .filter(|(_, values)| !values.is_empty())
        .collect();
    let heading = format!("<h3>{}</h3>", terms::heading(name));
    if rows.is_empty() {
        return format!("<div>{heading}{}</div>", nothing("No run has it."));
    }
    let factor = terms::factor(name);
    let all = rows.iter().flat_map(|(_, values)| values.iter().map(|value| value * factor));
    let scale = Scale::from_zero(quantity(name), all);
    let ticks = each(scale.ticks(PLOT / text_width(1, 11.0)), |(value, text)| {
        let x = LEFT + scale.place(value) * PLOT;
        format!(
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"17\" y2=\"{:.1}\"/>\
             <text class=\"m s c\" x=\"{x:.1}\" y=\"11\">{text}</text>\n",
            HEAD + rows.len() as f64 * ROW
        )
    });
    let body = each(rows.iter().enumerate(), |(at, (label, values))| {
        draw(name, label, values, &scale, HEAD + at as f64 * ROW)
    });
    let height = HEAD + rows.len() as f64 * ROW + 4.0;
    let title = format!("{} over runs", terms::split(name).0.replace('_', " "));
    let drawing = image("chart", &title, (PANEL, height), &format!("{ticks}{body}"));
    format!("<figure>{heading}{drawing}<figcaption>{caption}</figcaption></figure>")
}

fn draw(name: &str, label: &str, values: &[f64], scale: &Scale, y: f64) -> String {
    let place = |value: f64| scale.place(value * terms::factor(name));
    let mut bins = [0usize; BINS];
    for value in values {
        bins[((place(*value) * BINS as f64) as usize).min(BINS - 1)] += 1;
    }
    let most = bins.iter().copied().max().unwrap_or(1).max(1) as f64;
    let width = PLOT / BINS as f64;
    let base = y + BARS + 4.0;
    let bars = each(bins.iter().enumerate().filter(|(_, count)| **count > 0), |(at, count)| {
        let height = (BARS * *count as f64 / most).max(2.0);
        format!(
            "<rect class=\"predicted\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
            LEFT + at as f64 * width,
            base - height,
            width - 0.6
        )
    });
    let (least, median, p95) = (at_rank(values, 0.0), at_rank(values, 0.5), at_rank(values, 0.95));
    let x = |value: f64| LEFT + place(value) * PLOT;
    let text = band_in_words(name, [least, median, p95]);
    format!(
        "<g><title>{full}: {runs} runs</title>\
         <text class=\"b s\" x=\"0\" y=\"{:.1}\">{short}</text>\
         <text class=\"m s\" x=\"0\" y=\"{:.1}\">{}</text>\
         <line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{base:.1}\" y2=\"{base:.1}\"/>{bars}\
         <line x1=\"{m:.1}\" x2=\"{m:.1}\" y1=\"{:.1}\" y2=\"{base:.1}\" style=\"stroke:var(--c0);stroke-width:2.5\"/>\
         <line class=\"mark\" x1=\"{p:.1}\" x2=\"{p:.1}\" y1=\"{:.1}\" y2=\"{base:.1}\"/>\
         <text class=\"m s\" x=\"{LEFT}\" y=\"{:.1}\">{text}</text></g>\n",
        y + 18.0,
        y + 31.0,
        runs_in_words(values.len()),
        LEFT + PLOT,
        y + 1.0,
        y + 1.0,
        base + 12.0,
        m = x(median),
        p = x(p95),
        full = esc(label),
        runs = values.len(),
        short = esc(&shortened(label, 15)),
    )
}

/// The median, and the band where it is more than that.
pub(crate) fn band_in_words(name: &str, band: [f64; 3]) -> String {
    let [least, median, p95] = band.map(|value| terms::amount(name, value));
    if least == p95 { median } else { format!("{median} ({least} – {p95})") }
}

fn runs_in_words(count: usize) -> String {
    format!("{} run{}", number(count as f64), if count == 1 { "" } else { "s" })
}

/// The value at `rank` (0..=1) of sorted `values`, one that occurred.
pub(crate) fn at_rank(values: &[f64], rank: f64) -> f64 {
    let index = ((values.len() as f64 * rank).ceil() as usize).saturating_sub(1);
    values.get(index.min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// What the marks mean.
pub(crate) fn key() -> String {
    let entry = |shape: &str, text: &str| {
        format!("<span><svg viewBox=\"0 0 22 14\" aria-hidden=\"true\">{shape}</svg>{text}</span>")
    };
    let bar = "<rect class=\"predicted\" x=\"3\" y=\"2\" width=\"7\" height=\"12\"/><rect class=\"predicted\" x=\"11\" y=\"7\" width=\"7\" height=\"7\"/>";
    let median = "<line x1=\"11\" x2=\"11\" y1=\"0\" y2=\"14\" style=\"stroke:var(--c0);stroke-width:2.5\"/>";
    let p95 = "<line class=\"mark\" x1=\"11\" x2=\"11\" y1=\"0\" y2=\"14\"/>";
    format!(
        "<div class=\"key\">{}{}{}<span>text: median (least – 95th percentile)</span></div>",
        entry(bar, "runs"),
        entry(median, "median"),
        entry(p95, "95th percentile")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_values_that_occurred() {
        let values = [1.0, 2.0, 3.0, 4.0];
        assert!((at_rank(&values, 0.5) - 2.0).abs() < 1e-9);
        assert!((at_rank(&values, 0.95) - 4.0).abs() < 1e-9);
        assert!((at_rank(&values, 0.0) - 1.0).abs() < 1e-9);
        assert!(at_rank(&[], 0.5).is_nan());
    }

    #[test]
    fn absurd_values_are_left_out_and_one_value_is_drawn() {
        let strip = |values: &[f64]| Strip { name: "<p>".to_owned(), values: values.to_vec() };
        let page = panel("makespan_seconds", &[strip(&[f64::NAN, 3.0])], "c");
        assert!(page.contains("&lt;p&gt;: 1 runs") && !page.contains("NaN"), "{page}");
        assert!(panel("sent_bytes", &[strip(&[])], "c").contains("No run has it"));
        assert!(!panel("moves", &[strip(&[0.0, 0.0])], "c").contains("NaN"));
        let shares = panel("loss_share", &[strip(&[0.2, 0.4])], "c");
        assert!(shares.contains(">40</text>") && !shares.contains(">0.4</text>"), "{shares}");
    }
}
