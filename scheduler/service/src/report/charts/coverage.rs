//! How many measured figures lie inside the predicted bands, against what honest bands hold.

use whimbrel_models::evaluate::Coverage;

use super::image;
use crate::report::markup::{each, esc, nothing};

/// Size of the figure and of its parts, in user units.
const WIDTH: f64 = 640.0;
const LEFT: f64 = 150.0;
const LENGTH: f64 = 430.0;
const STEP: f64 = 22.0;

/// Three bars for each of `quantities`; a sentence where no bands were stated.
pub(crate) fn figure(quantities: &[(&str, Coverage)]) -> String {
    let bars: Vec<(String, f64, f64)> = quantities
        .iter()
        .flat_map(|(name, of)| {
            [(0.5, of.band50), (0.9, of.band90), (0.95, of.band95)].map(|(nominal, held)| {
                Some((format!("{name}, {:.0} %", nominal * 100.0), nominal, held?))
            })
        })
        .flatten()
        .collect();
    if bars.is_empty() {
        return nothing("The model states no bands.");
    }
    let body = each(bars.iter().enumerate(), |(at, (name, nominal, held))| {
        let y = at as f64 * STEP + 6.0;
        let (bar, mark) = (LENGTH * held.clamp(0.0, 1.0), LEFT + LENGTH * nominal);
        format!(
            "<text class=\"r\" x=\"{:.0}\" y=\"{:.1}\">{}</text>\
             <rect class=\"track\" x=\"{LEFT:.0}\" y=\"{y:.1}\" width=\"{LENGTH:.0}\" height=\"14\"/>\
             <rect class=\"actual\" x=\"{LEFT:.0}\" y=\"{y:.1}\" width=\"{bar:.1}\" height=\"14\"/>\
             <line class=\"mark\" x1=\"{mark:.1}\" x2=\"{mark:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>\
             <text x=\"{:.0}\" y=\"{:.1}\">{:.0} %</text>\n",
            LEFT - 8.0,
            y + 11.5,
            esc(name),
            y - 3.0,
            y + 17.0,
            LEFT + LENGTH + 8.0,
            y + 11.5,
            held * 100.0,
        )
    });
    let height = bars.len() as f64 * STEP + 8.0;
    format!(
        "<figure>{}</figure>",
        image("chart", "Measured figures inside predicted bands", (WIDTH, height), &body)
    )
}
