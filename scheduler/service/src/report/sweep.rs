//! The page about a sweep: policies beside each other, for every trace and change.
//!
//! Never here: a winner; lowest values are marked, and what matters is the reader's business.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_datasets::ResultRow;

use super::{
    charts::strips::{self, Strip},
    html::{Head, Section, page},
    markup::{NONE, counted, each, esc, nothing, number},
    terms,
    what_if::made_by,
};
use crate::sweep::Merged;

/// Combinations of trace and change that are shown.
const SHOWN_MAX: usize = 40;
/// Missing cells that are listed.
const MISSING_MAX: usize = 200;
/// Figures that are drawn for each combination.
const DRAWN_MAX: usize = 6;
/// Figures of which more is better.
const MORE_IS_BETTER: [&str; 2] = ["_free_bytes", "_free_cores"];

/// Everything that a page about a sweep shows.
#[derive(Debug, Clone)]
pub struct SweepModel {
    /// The exact command that repeats it.
    pub command: String,
    /// All cells that are done.
    pub merged: Merged,
}

/// Cells of one policy that differ in their seed only, by figure.
type Figures<'a> = BTreeMap<&'a str, Vec<f64>>;

/// Policies of one combination of trace and change.
type Policies<'a> = BTreeMap<&'a str, Figures<'a>>;

/// The page. The same model gives the same bytes.
pub fn render_sweep(model: &SweepModel) -> String {
    let merged = &model.merged;
    let axes = &merged.axes;
    let head = Head {
        title: "Policies compared",
        badge: "Simulated, no host was touched",
        lead: format!(
            "{} of {}, {} and {}, {} of each combination.",
            counted(merged.set.rows.len(), "cell"),
            counted(axes.traces.len(), "trace"),
            match axes.policies.len() {
                1 => "1 policy".to_owned(),
                more => format!("{more} policies"),
            },
            counted(axes.changes.len(), "change"),
            counted(usize::try_from(axes.seeds).unwrap_or(usize::MAX), "run"),
        ),
        command: &model.command,
        tiles: String::new(),
    };
    let section = |id, name, about: &str, body| Section { id, name, about: about.to_owned(), body };
    let sections = [
        section(
            "policies",
            "Policies beside each other",
            "Median (least – 95th percentile) over the seeds. ◂ best of its column, where policies differ.",
            policies(model),
        ),
        section("missing", "Missing cells", "Not in any of the files.", missing(merged)),
        section(
            "provenance",
            "Made from",
            "What the names stand for; equal inputs give an equal page.",
            provenance(merged),
        ),
    ];
    page(&head, &sections)
}

fn grouped(rows: &[ResultRow]) -> BTreeMap<(&str, &str), Policies<'_>> {
    let mut groups: BTreeMap<(&str, &str), Policies<'_>> = BTreeMap::new();
    for row in rows {
        let policies = groups.entry((&row.trace, &row.change)).or_default();
        let figures = policies.entry(&row.policy).or_default();
        for (name, value) in &row.figures {
            figures.entry(name).or_default().push(*value);
        }
    }
    groups
}

fn policies(model: &SweepModel) -> String {
    let mut groups = grouped(&model.merged.set.rows);
    if groups.is_empty() {
        return nothing("No cell is done.");
    }
    for values in groups.values_mut().flat_map(Policies::values_mut).flat_map(Figures::values_mut) {
        values.sort_by(f64::total_cmp);
    }
    let left_out = match groups.len().saturating_sub(SHOWN_MAX) {
        0 => String::new(),
        more => format!(
            "<p class=\"note\">{} not shown; the merged file has them.</p>",
            counted(more, "more combination")
        ),
    };
    let shown = each(groups.iter().take(SHOWN_MAX), |((trace, change), policies)| {
        format!(
            "<h3>{} · {}</h3>{}{}",
            esc(trace),
            esc(if change.is_empty() { "nothing changed" } else { change }),
            compared(policies),
            drawn(policies, &model.command)
        )
    });
    format!("{shown}{}{left_out}", strips::key())
}

fn names<'a>(policies: &Policies<'a>) -> BTreeSet<&'a str> {
    policies.values().flat_map(|figures| figures.keys().copied()).collect()
}

/// A row a policy, a column a figure: there may be many policies.
fn compared(policies: &Policies<'_>) -> String {
    let zero = |name: &&str| {
        let values = policies.values().filter_map(|figures| figures.get(*name)).flatten();
        values.into_iter().all(|value| value.abs() < f64::MIN_POSITIVE)
    };
    let (idle, named): (Vec<&str>, Vec<&str>) = names(policies).into_iter().partition(zero);
    let heads = each(&named, |name| format!("<th class=\"n\">{}</th>", terms::heading(name)));
    let best: Vec<Option<f64>> = named.iter().map(|name| best(policies, name)).collect();
    let rows = each(policies, |(policy, figures)| {
        let cells = each(named.iter().zip(&best), |(name, best)| cell(figures, name, *best));
        format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", esc(policy))
    });
    let idle: Vec<String> =
        idle.into_iter().map(|name| terms::split(name).0.replace('_', " ")).collect();
    let idle = if idle.is_empty() {
        String::new()
    } else {
        format!("<p class=\"note\">0 in every run: {}.</p>", esc(&idle.join(", ")))
    };
    format!(
        "<div class=\"scroll\"><table class=\"snug many\"><thead><tr><th></th>{heads}</tr></thead>\
         <tbody>{rows}</tbody></table></div>{idle}"
    )
}

/// A figure's median, less being better.
fn weighed(figures: &Figures<'_>, name: &str) -> Option<f64> {
    let sign = if MORE_IS_BETTER.iter().any(|end| name.ends_with(end)) { -1.0 } else { 1.0 };
    figures.get(name).map(|values| strips::at_rank(values, 0.5) * sign)
}

/// The best of a figure, where policies differ.
fn best(policies: &Policies<'_>, name: &str) -> Option<f64> {
    let medians = || policies.values().filter_map(|figures| weighed(figures, name));
    let (least, most) =
        (medians().fold(f64::INFINITY, f64::min), medians().fold(f64::NEG_INFINITY, f64::max));
    (least < most).then_some(least)
}

fn cell(figures: &Figures<'_>, name: &str, best: Option<f64>) -> String {
    let Some((values, median)) = figures.get(name).zip(weighed(figures, name)) else {
        return format!("<td class=\"n\">{NONE}&nbsp;&nbsp;</td>");
    };
    let band = [0.0, 0.5, 0.95].map(|rank| strips::at_rank(values, rank));
    let text = strips::band_in_words(name, band);
    if best.is_some_and(|best| median <= best) {
        format!("<td class=\"n best\">{text} ◂</td>")
    } else {
        format!("<td class=\"n\">{text}&nbsp;&nbsp;</td>")
    }
}

/// The figures that differ most between policies or seeds, by their spread beside their size.
fn drawn(policies: &Policies<'_>, command: &str) -> String {
    let spread = |name: &str| {
        let values = || policies.values().filter_map(|figures| figures.get(name)).flatten();
        let high = values().copied().fold(f64::NEG_INFINITY, f64::max);
        let low = values().copied().fold(f64::INFINITY, f64::min);
        if high > low { (high - low) / high.abs().max(low.abs()) } else { 0.0 }
    };
    let mut wanted: Vec<(&str, f64)> =
        names(policies).into_iter().map(|name| (name, spread(name))).collect();
    wanted.retain(|(_, spread)| *spread > 0.0);
    wanted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    wanted.truncate(DRAWN_MAX);
    let caption = made_by(command);
    let panels = each(wanted, |(name, _)| {
        let strips: Vec<Strip> = policies
            .iter()
            .map(|(policy, figures)| Strip {
                name: (*policy).to_owned(),
                values: figures.get(name).cloned().unwrap_or_default(),
            })
            .collect();
        strips::panel(name, &strips, &caption)
    });
    format!("<div class=\"panels two\">{panels}</div>")
}

fn missing(merged: &Merged) -> String {
    let count = merged.missing.len();
    if count == 0 {
        return nothing("None: every cell of the matrix is there.");
    }
    let listed =
        each(merged.missing.iter().take(MISSING_MAX), |cell| format!("<li>{}</li>", esc(&cell.id)));
    let more = count.saturating_sub(MISSING_MAX);
    let more = if more > 0 { format!("<li>and {more} more</li>") } else { String::new() };
    format!("<p>{} missing.</p><ul>{listed}{more}</ul>", counted(count, "cell"))
}

fn provenance(merged: &Merged) -> String {
    let axes = &merged.axes;
    let mut facts = vec![
        ("Kind".to_owned(), axes.kind.clone()),
        ("Files".to_owned(), number(merged.files as f64)),
        ("For all cells".to_owned(), axes.common.clone()),
        ("Seeds".to_owned(), format!("{} from {} on", axes.seeds, axes.seed)),
    ];
    for (axis, names) in
        [("Trace", &axes.traces), ("Policy", &axes.policies), ("Change", &axes.changes)]
    {
        let of = |of: &str| if of.is_empty() { NONE.to_owned() } else { of.to_owned() };
        facts.extend(names.iter().map(|(name, what)| (format!("{axis} {name}"), of(what))));
    }
    let facts = each(facts, |(name, of)| format!("<dt>{}</dt><dd>{}</dd>", esc(&name), esc(&of)));
    format!("<dl class=\"facts\">{facts}</dl>")
}
