//! The page about how good predictions are: every model in one table, ours in detail.
//!
//! Never here: a judgement of its own; figures are those of [`Report`]s, and the same ones give the
//! same bytes.

pub(crate) mod cells;
#[cfg(test)]
mod tests;

use whimbrel_models::evaluate::Report;

use super::{
    charts::{coverage, scatter},
    html::{Head, Section, page},
    markup::{counted, each, esc, nothing},
    model::Pair,
};

/// Everything that a page about predictions shows.
#[derive(Debug, Clone)]
pub struct EvaluationModel {
    /// Heading of the page.
    pub title: String,
    /// The exact command that repeats it.
    pub command: String,
    /// What was learnt from and what was judged, in a sentence.
    pub about: String,
    /// Ours first, then the others.
    pub reports: Vec<Report>,
}

/// The page. The same model gives the same bytes.
pub fn render_evaluation(model: &EvaluationModel) -> String {
    let head = Head {
        title: &model.title,
        badge: "Judged on measured migrations",
        lead: esc(&model.about),
        command: &model.command,
        tiles: String::new(),
    };
    let own = model.reports.first();
    let of_own =
        |figure: fn(&Report) -> String| own.map_or_else(|| nothing("Nothing was judged."), figure);
    let section = |id, name, about: &str, body| Section { id, name, about: about.to_owned(), body };
    let sections = [
        section("models", "Models", cells::LEGEND, models(&model.reports)),
        section(
            "accuracy",
            "Predicted against measured",
            "Migrations that arrived: the median that was predicted from what was known before the \
             start, and what was measured.",
            of_own(accuracy),
        ),
        section(
            "bands",
            "How well bands hold",
            "Bars: measured figures inside the predicted band. Marks: what an honest band holds.",
            of_own(bands),
        ),
        section(
            "groups",
            "By mode, behaviour and path",
            "The same figures of the first model over parts of the migrations.",
            of_own(groups),
        ),
        section(
            "worst",
            "The worst",
            "Wrong verdicts first, then the largest relative errors of the total time.",
            of_own(worst),
        ),
        section("left-out", "Not judged", "What no error is stated of.", of_own(left_out)),
    ];
    page(&head, &sections)
}

fn table(heads: &[&str], rows: &str) -> String {
    let heads = each(heads, |head| format!("<th class=\"n\">{}</th>", esc(head)));
    format!(
        "<div class=\"scroll\"><table class=\"many\"><thead><tr><th></th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

fn row(name: &str, cells: &[String]) -> String {
    let cells = each(cells, |cell| format!("<td class=\"n\">{}</td>", esc(cell)));
    format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", esc(name))
}

fn models(reports: &[Report]) -> String {
    let mut rows = each(reports, |report| row(&report.learner, &cells::cells(&report.all)));
    let noise = reports.first().and_then(|own| own.noise.as_ref());
    if let Some(noise) = noise {
        rows += &row("repetitions (noise floor)", &cells::floor_cells(noise));
    }
    let ratio = noise.and_then(|noise| noise.ratio).map_or_else(String::new, |ratio| {
        format!(
            "<p class=\"note\">Where a migration was repeated, the first model's median error of time \
             is {ratio:.2} times that of the median of the other repetitions.</p>"
        )
    });
    table(&cells::COLUMNS, &rows) + &ratio
}

fn accuracy(own: &Report) -> String {
    let pairs: Vec<Pair<'_>> = own
        .rows
        .iter()
        .filter(|row| row.predicted.likely_converges())
        .filter_map(|row| {
            Some(Pair { predicted: &row.predicted, stats: row.actual?, of_this_run: true })
        })
        .collect();
    if pairs.is_empty() {
        return nothing("No migration arrived that was predicted to.");
    }
    scatter::of_pairs(&pairs, "measured") + &scatter::key("")
}

fn bands(own: &Report) -> String {
    let rows =
        each(cells::bands(&own.all), |(name, coverage)| row(name, &cells::band_cells(&coverage)));
    coverage::figure(&cells::bands(&own.all)) + &table(&cells::BAND_COLUMNS, &rows)
}

fn groups(own: &Report) -> String {
    each(cells::break_downs(own), |(name, groups)| {
        let rows = each(groups, |(key, of)| row(key, &cells::cells(of)));
        format!("<h3>By {name}</h3>{}", table(&cells::COLUMNS, &rows))
    })
}

fn worst(own: &Report) -> String {
    if own.worst.is_empty() {
        return nothing("No verdict was wrong and no time was off.");
    }
    let rest = cells::WORST_COLUMNS.get(1..).unwrap_or_default();
    let rows = each(&own.worst, |one| {
        let [id, rest @ ..] = cells::worst_cells(one);
        row(&id, &rest)
    });
    table(rest, &rows)
}

fn left_out(own: &Report) -> String {
    let unanswered = each(&own.unanswered, |one| {
        format!("<li>{}: {}</li>", esc(one.id.as_str()), esc(&one.why))
    });
    let failed = counted(own.not_judged, "migration");
    format!(
        "<p>{failed} failed for a reason of which no prediction speaks, or kept no figures; \
         {} got no prediction.</p><ul>{unanswered}</ul>",
        own.unanswered.len()
    )
}
