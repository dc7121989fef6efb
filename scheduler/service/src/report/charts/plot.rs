//! A plotters canvas with the page's axes, as a fragment of inline SVG.
//!
//! Both axes are [`Scale`]s: plotters never sees an empty or infinite range, and ticks say what
//! the scale says.

use std::ops::Range;

use plotters::{
    chart::ChartContext,
    coord::{
        Shift,
        ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter},
    },
    prelude::{
        Cartesian2d, ChartBuilder, Color, DrawingArea, DrawingAreaErrorKind, IntoDrawingArea,
        IntoFont, SVGBackend,
    },
    style::TextStyle,
};

use super::{image, palette, scale::Scale};

/// Characters that fit along an axis of a panel.
const ROOM: f64 = 36.0;

/// Drawing units for one user unit: plotters rounds to whole drawing units, and curves should
/// not show it.
pub(crate) const FINE: i32 = 8;

/// Where series are drawn, in seconds and bytes.
pub(crate) type Canvas<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;
/// Why a plot could not be drawn.
pub(crate) type Failed = DrawingAreaErrorKind<std::io::Error>;

/// What stands around the series.
pub(crate) struct Frame<'a> {
    /// Says what the plot shows.
    pub(crate) title: &'a str,
    /// Size in user units.
    pub(crate) size: (i32, i32),
    /// Horizontal axis and its name.
    pub(crate) x: (Scale, &'a str),
    /// Vertical axis and its name.
    pub(crate) y: (Scale, &'a str),
}

impl Frame<'_> {
    /// The plot as inline SVG, or a sentence where plotters fails.
    pub(crate) fn draw(&self, series: impl FnOnce(&mut Canvas) -> Result<(), Failed>) -> String {
        let (width, height) = (self.size.0 * FINE, self.size.1 * FINE);
        let mut drawing = String::new();
        let area = SVGBackend::with_string(&mut drawing, (width as u32, height as u32))
            .into_drawing_area();
        let drawn = self.draw_on(&area, series).and_then(|()| area.present());
        drop(area);
        match drawn {
            Ok(()) => {
                image("plot", self.title, (f64::from(width), f64::from(height)), inner(&drawing))
            }
            Err(e) => {
                let why = super::esc(&e.to_string());
                format!("<p class=\"note\">This figure could not be drawn: {why}.</p>")
            }
        }
    }

    fn draw_on(
        &self,
        area: &DrawingArea<SVGBackend, Shift>,
        series: impl FnOnce(&mut Canvas) -> Result<(), Failed>,
    ) -> Result<(), Failed> {
        let mut canvas = ChartBuilder::on(area)
            .margin_top(10 * FINE)
            .margin_right(16 * FINE)
            .x_label_area_size(38 * FINE)
            .y_label_area_size(66 * FINE)
            .build_cartesian_2d(Axis::of(self.x.0), Axis::of(self.y.0))?;
        canvas
            .configure_mesh()
            .light_line_style(palette::GRID.rgb().mix(0.0))
            .bold_line_style(palette::GRID.rgb().stroke_width(FINE as u32))
            .axis_style(palette::MUTED.rgb().stroke_width(FINE as u32))
            .set_all_tick_mark_size(3 * FINE)
            .label_style(text(11.0, palette::INK))
            .axis_desc_style(text(11.0, palette::MUTED))
            .x_desc(self.x.1)
            .y_desc(self.y.1)
            .draw()?;
        series(&mut canvas)
    }
}

/// A scale as plotters wants an axis.
pub(crate) struct Axis {
    scale: Scale,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    fn of(scale: Scale) -> Self {
        Self { scale, ticks: scale.ticks(ROOM) }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let length = f64::from(limit.1) - f64::from(limit.0);
        limit.0 + (self.scale.place(*value) * length).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            Vec::new()
        } else {
            self.ticks.iter().map(|(value, _)| *value).collect()
        }
    }

    fn range(&self) -> Range<f64> {
        self.scale.ends()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(value: &f64) -> String {
        value.to_string()
    }

    fn format_ext(&self, value: &f64) -> String {
        let away = |tick: &&(f64, String)| (tick.0 - value).abs();
        let nearest = self.ticks.iter().min_by(|a, b| away(a).total_cmp(&away(b)));
        nearest.map_or_else(String::new, |(_, text)| text.clone())
    }
}

/// Text of `size` user units; plotters divides sizes by 1.24 when it writes them.
fn text(size: f64, ink: palette::Ink) -> TextStyle<'static> {
    ("sans-serif", size * f64::from(FINE) * 1.24).into_font().color(&ink.rgb())
}

/// The content of the drawing's outermost element, which [`image`] replaces.
fn inner(drawing: &str) -> &str {
    let start = drawing.find('>').map_or(0, |at| at + 1);
    let end = drawing.rfind("</svg>").unwrap_or(drawing.len());
    drawing.get(start..end).unwrap_or_default()
}
