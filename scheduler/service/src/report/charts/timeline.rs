//! The timeline: every move as predicted and, where it was executed, as it went.
//!
//! Predicted bars begin where the plan expects them to; actual ones where they were begun, counted from the first begin. Moves that were not begun have no actual bar.

use whimbrel_core::{
    Move,
    migration::MoveState,
    units::{Span, Timestamp},
};
use whimbrel_engine::MoveView;

use super::{
    WIDTH, image,
    scale::{Quantity, Scale},
    text_width,
};
use crate::report::{
    markup::{counted, esc, nothing, shortened, span_band},
    model::ReportModel,
    tables::state_words,
};

/// Moves in the figure; the table of moves has all.
const MOVES_MAX: usize = 60;
const LEFT: f64 = 196.0;
const RIGHT: f64 = 238.0;
const PLOT: f64 = WIDTH - LEFT - RIGHT;
const HEAD: f64 = 24.0;
const BAR: f64 = 11.0;
/// A wide band must not press the bars together: beyond this many times the longest bar's end
/// whiskers are cut.
const WHISKER_LIMIT: f64 = 1.7;

/// One row of the figure.
struct Row<'a> {
    planned: &'a Move,
    view: Option<&'a MoveView>,
}

/// Rows with their common axis.
struct Timeline<'a> {
    rows: Vec<Row<'a>>,
    scale: Scale,
    /// When the first move was begun.
    origin: Timestamp,
    executed: bool,
    /// The last actual moment, for bars that have not ended.
    now: Timestamp,
    word: &'static str,
}

/// The figure with its key, or a sentence where nothing moves.
pub(crate) fn figure(model: &ReportModel) -> String {
    if model.plan.is_empty() {
        return nothing("Nothing moves, so there is no timeline.");
    }
    let all = rows(model);
    let left_out = all.len().saturating_sub(MOVES_MAX);
    let timeline = Timeline::of(model, all.into_iter().take(MOVES_MAX).collect());
    let note = if left_out > 0 {
        format!(
            "<p class=\"note\">{} not drawn, see the table.</p>",
            counted(left_out, "more move")
        )
    } else {
        String::new()
    };
    format!("<figure class=\"wide scroll\">{}</figure>{}{note}", timeline.draw(), timeline.key())
}

fn rows(model: &ReportModel) -> Vec<Row<'_>> {
    let moves = model.plan.moves();
    moves.map(|(id, planned)| Row { planned, view: model.view(&id) }).collect()
}

impl<'a> Timeline<'a> {
    fn of(model: &ReportModel, rows: Vec<Row<'a>>) -> Self {
        let begun = || rows.iter().filter_map(|r| r.view?.begun_at);
        let origin = begun().min().unwrap_or_default();
        let ended = rows.iter().filter_map(|r| r.view?.ended_at);
        let now = begun().chain(ended).max().unwrap_or_default();
        let expected = rows.iter().map(|r| r.planned.begins + r.planned.predicted.total_time.p50);
        let longest = expected.max().unwrap_or_default().max(now.since(origin));
        let limit = longest.as_seconds_f64() * WHISKER_LIMIT;
        let widest =
            rows.iter().map(|r| r.planned.begins + r.planned.predicted.total_time.p95).max();
        let last = widest.unwrap_or_default().max(longest).as_seconds_f64().min(limit);
        let scale = Scale::from_zero(Quantity::Seconds, [last]);
        let executed = model.execution.is_some();
        Self { rows, scale, origin, executed, now, word: model.happened.word() }
    }

    fn row_height(&self) -> f64 {
        if self.executed { 42.0 } else { 32.0 }
    }

    fn x(&self, at: Span) -> f64 {
        LEFT + self.scale.place(at.as_seconds_f64()) * PLOT
    }

    fn draw(&self) -> String {
        let mut y = HEAD;
        let mut rows = String::new();
        for row in &self.rows {
            rows += &self.row(row, y);
            y += self.row_height();
        }
        let body = format!("{}{rows}", self.axis(y));
        let title = format!(
            "Timeline of {}: predicted{}",
            counted(self.rows.len(), "move"),
            if self.executed { format!(" and {}", self.word) } else { String::new() }
        );
        image("chart", &title, (WIDTH, y + 6.0), &body)
    }

    fn axis(&self, bottom: f64) -> String {
        let ticks = self.scale.ticks(PLOT / text_width(1, 11.0)).into_iter().map(|(value, text)| {
            let x = LEFT + self.scale.place(value) * PLOT;
            format!(
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"18\" y2=\"{bottom:.1}\"/>\
                 <text class=\"m s c\" x=\"{x:.1}\" y=\"11\">{text}</text>\n"
            )
        });
        ticks.collect::<Vec<_>>().concat()
    }

    fn row(&self, row: &Row<'_>, y: f64) -> String {
        let middle = y + self.row_height() / 2.0;
        let one = row.planned;
        let ends = format!("{} → {}", one.from, one.to);
        let label = format!(
            "<text class=\"b\" x=\"0\" y=\"{:.1}\"><title>{}</title>{}</text>\
             <text class=\"m s\" x=\"0\" y=\"{:.1}\">{}</text>",
            middle - 2.0,
            esc(one.vm.as_str()),
            esc(&shortened(one.vm.as_str(), 23)),
            middle + 12.0,
            esc(&shortened(&ends, 27))
        );
        let top = if self.executed { middle - BAR - 3.0 } else { middle - BAR / 2.0 };
        let actual = match row.view {
            Some(view) if self.executed => self.actual(view, middle + 3.0),
            _ => String::new(),
        };
        format!("{label}{}{actual}\n", self.predicted(row, top))
    }

    /// The median as a bar with its 90 % band as a whisker, and the expected stop at its end.
    fn predicted(&self, row: &Row<'_>, y: f64) -> String {
        let of = &row.planned.predicted;
        let end = row.planned.begins + of.total_time.p50;
        let (x, end_x) = (self.x(row.planned.begins), self.x(end));
        let (low, high) = (
            self.x(row.planned.begins + of.total_time.p05),
            self.x(row.planned.begins + of.total_time.p95),
        );
        let (middle, cap) = (y + BAR / 2.0, 3.5);
        let text = format!(
            "{} ({}), stops {}",
            of.total_time.p50.human(),
            span_band(&of.total_time),
            of.downtime.p50.human()
        );
        format!(
            "<rect class=\"predicted\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>\
             {}<path class=\"whisker\" d=\"M{low:.1} {middle:.1}H{high:.1}M{low:.1} {:.1}v{}M{high:.1} {:.1}v{}\"/>\
             <text class=\"m s\" x=\"{:.1}\" y=\"{:.1}\">{text}</text>",
            (end_x - x).max(1.0),
            self.stop(end, of.downtime.p50, y),
            middle - cap,
            cap * 2.0,
            middle - cap,
            cap * 2.0,
            WIDTH - RIGHT + 14.0,
            middle + 4.0
        )
    }

    fn actual(&self, view: &MoveView, y: f64) -> String {
        let text = |text: &str| {
            format!(
                "<text class=\"s\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                WIDTH - RIGHT + 14.0,
                y + BAR / 2.0 + 4.0,
                esc(text)
            )
        };
        let state = state_words(view.state);
        let Some(begun) = view.begun_at else {
            return text(state);
        };
        let end = view.ended_at.unwrap_or(self.now);
        let (from, to) = (begun.since(self.origin), end.since(self.origin));
        let (x, end_x) = (self.x(from), self.x(to));
        let arrived = matches!(view.state, MoveState::Settled | MoveState::Arrived);
        let class = if arrived || !view.state.is_final() { "actual" } else { "ended-badly" };
        let stopped = view.stats.map(|stats| stats.downtime).filter(|_| arrived);
        let stop = stopped.map_or_else(String::new, |d| self.stop(to, d, y));
        let qemu = view.stats.map(|stats| stats.total_time).filter(|_| arrived);
        let took = qemu.unwrap_or_else(|| end.since(begun)).human();
        let words = match stopped {
            Some(downtime) => format!("{took}, stopped {}", downtime.human()),
            None => format!("{state} after {took}"),
        };
        format!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>{stop}{}",
            (end_x - x).max(1.0),
            text(&words)
        )
    }

    /// The downtime at the end of a bar; never thinner than can be seen.
    fn stop(&self, end: Span, downtime: Span, y: f64) -> String {
        let to = self.x(end);
        let width = (to - self.x(end.saturating_sub(downtime))).max(3.0);
        format!(
            "<rect class=\"stopped\" x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{}\"/>",
            to - width,
            y - 1.5,
            BAR + 3.0
        )
    }

    fn key(&self) -> String {
        let entry = |shape: &str, text: &str| {
            format!(
                "<span><svg viewBox=\"0 0 22 14\" aria-hidden=\"true\">{shape}</svg>{text}</span>"
            )
        };
        let bar = |class: &str| {
            format!("<rect class=\"{class}\" x=\"0\" y=\"2\" width=\"22\" height=\"10\"/>")
        };
        let actual = if self.executed {
            entry(
                &bar("actual"),
                &format!("{}, from its begin until it was seen to end", self.word),
            )
        } else {
            String::new()
        };
        let whisker = "<path class=\"whisker\" d=\"M1 7H21M1 3v8M21 3v8\"/>";
        let stopped = "<rect class=\"stopped\" x=\"9\" y=\"0\" width=\"3\" height=\"14\"/>";
        format!(
            "<div class=\"key\">{}{}{actual}{}</div>",
            entry(&bar("predicted"), "predicted, median"),
            entry(whisker, "predicted 90 % band"),
            entry(stopped, "vCPUs stopped (not to scale below 3 px)")
        )
    }
}
