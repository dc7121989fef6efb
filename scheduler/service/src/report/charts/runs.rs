//! The moves of one run over time.

use whimbrel_core::{migration::MoveState, units::Span};

use super::{
    WIDTH, image,
    scale::{Quantity, Scale},
    text_width,
};
use crate::{
    report::{
        markup::{counted, each, esc, nothing, shortened},
        tables::state_words,
    },
    whatif::MoveLine,
};

/// Moves in the figure.
const ROWS_MAX: usize = 60;
const LEFT: f64 = 196.0;
const RIGHT: f64 = 170.0;
const PLOT: f64 = WIDTH - LEFT - RIGHT;
const HEAD: f64 = 24.0;
const ROW: f64 = 34.0;
const BAR: f64 = 12.0;

/// A moment that is marked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Moment {
    /// When.
    pub(crate) at: Span,
    /// What it is.
    pub(crate) what: String,
}

/// The figure; a sentence where nothing moves.
pub(crate) fn figure(moves: &[MoveLine], moments: &[Moment], caption: &str) -> String {
    if moves.is_empty() {
        return nothing("No guest has to move, so there is no timeline.");
    }
    let ends = moves.iter().flat_map(|one| [one.begun, one.ended]).flatten();
    let longest = ends.max().unwrap_or_default();
    // A deadline far behind the last move would press the moves together.
    let near = |moment: &&Moment| moment.at.as_micros() <= longest.as_micros().saturating_mul(3);
    let marked: Vec<&Moment> = moments.iter().filter(near).collect();
    let last = marked.iter().map(|moment| moment.at).chain([longest]).max().unwrap_or_default();
    let scale = Scale::from_zero(Quantity::Seconds, [last.as_seconds_f64()]);
    let x = |at: Span| LEFT + scale.place(at.as_seconds_f64()) * PLOT;
    let shown = moves.len().min(ROWS_MAX);
    let bottom = HEAD + shown as f64 * ROW;
    let ticks = each(scale.ticks(PLOT / text_width(1, 11.0)), |(value, text)| {
        let x = LEFT + scale.place(value) * PLOT;
        format!(
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"18\" y2=\"{bottom:.1}\"/>\
             <text class=\"m s c\" x=\"{x:.1}\" y=\"11\">{text}</text>\n"
        )
    });
    let rows = each(moves.iter().take(ROWS_MAX).enumerate(), |(at, one)| {
        row(one, HEAD + at as f64 * ROW, &x)
    });
    let marks = each(&marked, |moment| {
        let x = x(moment.at);
        format!(
            "<line class=\"mark\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"18\" y2=\"{bottom:.1}\"/>\
             <text class=\"s c\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
            bottom + 14.0,
            esc(&moment.what)
        )
    });
    let later = each(moments.iter().filter(|moment| !near(moment)), |moment| {
        let when = moment.at.human();
        format!("<p class=\"note\">{} after {when}, outside the figure.</p>", esc(&moment.what))
    });
    let more = match moves.len() - shown {
        0 => String::new(),
        more => format!("<p class=\"note\">{} not drawn.</p>", counted(more, "more move")),
    };
    let height = bottom + if marked.is_empty() { 6.0 } else { 22.0 };
    format!(
        "<figure class=\"wide scroll\">{}<figcaption>{caption}</figcaption></figure>{later}{more}",
        image("chart", "Moves over time", (WIDTH, height), &format!("{ticks}{rows}{marks}"))
    )
}

fn row(one: &MoveLine, y: f64, x: &impl Fn(Span) -> f64) -> String {
    let middle = y + ROW / 2.0;
    let ends = format!("{} → {}", one.from, one.to);
    let arrived = one.state == MoveState::Settled;
    let class = if arrived { "actual" } else { "ended-badly" };
    let (bar, words) = match (one.begun, one.ended) {
        (Some(begun), Some(ended)) => {
            let (from, to) = (x(begun), x(ended));
            let bar = format!(
                "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>",
                middle - BAR / 2.0,
                (to - from).max(2.0)
            );
            let took = ended.saturating_sub(begun).human();
            (bar, if arrived { took } else { format!("{} after {took}", state_words(one.state)) })
        }
        _ => (String::new(), state_words(one.state).to_owned()),
    };
    format!(
        "<text class=\"b\" x=\"0\" y=\"{:.1}\"><title>{}</title>{}</text>\
         <text class=\"m s\" x=\"0\" y=\"{:.1}\">{}</text>{bar}\
         <text class=\"s\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
        middle - 2.0,
        esc(one.vm.as_str()),
        esc(&shortened(one.vm.as_str(), 23)),
        middle + 12.0,
        esc(&shortened(&ends, 27)),
        LEFT + PLOT + 14.0,
        middle + 4.0,
        esc(&words)
    )
}
