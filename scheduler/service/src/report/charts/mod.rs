//! Figures, each a fragment of inline SVG with a title that says what it shows.
//!
//! Plots proper are drawn with plotters; stacked bars and the timeline are written out, because
//! their labels have to know about each other.

pub(crate) mod coverage;
pub(crate) mod dirty;
pub(crate) mod heat;
pub(crate) mod hosts;
pub(crate) mod palette;
mod plot;
pub(crate) mod runs;
pub(crate) mod scale;
pub(crate) mod scatter;
pub(crate) mod strips;
pub(crate) mod timeline;

use super::markup::esc;

/// Width in user units of figures that take the page's width.
const WIDTH: f64 = 1060.0;

/// Wraps `body` into an image of `width` x `height` user units with a title for those who hear
/// the page.
fn image(class: &str, title: &str, (width, height): (f64, f64), body: &str) -> String {
    format!(
        "<svg class=\"{class}\" role=\"img\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         xmlns=\"http://www.w3.org/2000/svg\"><title>{}</title>\n{body}</svg>\n",
        esc(title)
    )
}

/// Width in user units that `chars` characters of a font of `size` take at most in common
/// sans-serif fonts (the wide ones average 0.6 em).
fn text_width(chars: usize, size: f64) -> f64 {
    chars as f64 * size * 0.62
}
