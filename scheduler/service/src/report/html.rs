//! The page: sections in the order in which an operator asks.

use super::{
    charts::{dirty, hosts, scatter, timeline},
    markup::{NOTHING, each, esc, number},
    model::ReportModel,
    style, tables, terms, tiles,
};

/// One section of the page.
pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    /// One sentence on how to read it.
    pub(super) about: String,
    pub(super) body: String,
}

/// What stands above the sections; markup, but for the title and the command.
pub(super) struct Head<'a> {
    pub(super) title: &'a str,
    pub(super) badge: &'a str,
    pub(super) lead: String,
    pub(super) command: &'a str,
    /// Between the head and the first section.
    pub(super) tiles: String,
}

/// The whole page about a plan. The same model gives the same bytes.
pub fn render(model: &ReportModel) -> String {
    let head = Head {
        title: &model.title,
        badge: tiles::badge(model),
        lead: tiles::lead(model),
        command: &model.command,
        tiles: tiles::tiles(model),
    };
    let sections: Vec<Section> = remarks(model).into_iter().chain(sections(model)).collect();
    page(&head, &sections)
}

/// A page of `sections`.
pub(super) fn page(head: &Head<'_>, sections: &[Section]) -> String {
    let links = each(sections, |s| format!("<a href=\"#{}\">{}</a>", s.id, s.name));
    let bodies = each(sections, |s| {
        // How to read a figure helps nobody where there is none.
        let about = if s.body.starts_with(NOTHING) {
            String::new()
        } else {
            format!("<p class=\"note\">{}</p>", s.about)
        };
        format!("<section id=\"{}\"><h2>{}</h2>{about}\n{}</section>\n", s.id, s.name, s.body)
    });
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta name=\"generator\" content=\"whimbrel\">\n\
         <title>{title}</title>\n<style>\n{style}</style></head>\n<body>{patterns}<main>\n\
         <header id=\"summary\"><span class=\"badge\">{badge}</span><h1>{title}</h1>\
         <p class=\"lead\">{lead}</p>\
         <pre class=\"command\"><b>$ </b>{command}</pre><nav>{links}</nav></header>\n\
         {tiles}{bodies}</main></body></html>\n",
        title = esc(head.title),
        style = style::sheet(),
        patterns = hosts::PATTERNS,
        badge = head.badge,
        lead = head.lead,
        command = esc(head.command),
        tiles = head.tiles,
    )
}

/// What the plan says beyond its moves; what is not as it was asked for stands out.
fn remarks(model: &ReportModel) -> Option<Section> {
    let remarks = &model.plan.report.remarks;
    if remarks.is_empty() {
        return None;
    }
    let entries = each(remarks, |remark| {
        let text = esc(&remark.to_string());
        if remark.warns() {
            format!("<li><span class=\"bad\">Warning:</span> {text}</li>")
        } else {
            format!("<li>{text}</li>")
        }
    });
    Some(Section {
        id: "remarks",
        name: "What else to know",
        about: "What comes of the plan beside its moves.".to_owned(),
        body: format!("<ul>{entries}</ul>"),
    })
}

fn sections(model: &ReportModel) -> Vec<Section> {
    let section = |id, name, about: &str, body| Section { id, name, about: about.to_owned(), body };
    let word = model.happened.word();
    let after = match &model.execution {
        Some(_) => format!("Right: {word} after the plan."),
        None => "Right: expected after the plan.".to_owned(),
    };
    vec![
        section(
            "cluster",
            "Cluster before and after",
            &format!("VMs that move are coloured, the same on both sides. {after}"),
            hosts::figures(model),
        ),
        section(
            "timeline",
            "Timeline",
            "A move begins when those that make room for it have arrived and its hosts have a slot free.",
            timeline::figure(model),
        ),
        section(
            "moves",
            "Moves",
            "Predicted: the median, and below it the band that holds 90 % of outcomes. Downtime is \
             the time that QEMU stops the vCPUs; users of its network see a longer gap.",
            tables::moves(model),
        ),
        section("stays", "VMs that stay", "Each with the reason why.", tables::stays(model)),
        section("objective", "What the plan gains", &found_by(model), terms::objective(model)),
        section(
            "comparison",
            "Compared with other ways",
            "The same cluster and policy, planned differently.",
            terms::comparison(model),
        ),
        section(
            "accuracy",
            "Predicted against what came",
            &format!(
                "Migrations that arrived: the median that was predicted before the start, and what was {word}. \
                 Of honest 90 % bands, 9 in 10 hold what comes."
            ),
            scatter::panels(model),
        ),
        section(
            "dirty",
            "How fast memory gets dirty",
            "Distinct memory that a VM writes within a window t from a clean start. A curve that \
             stays under bandwidth × t lets pre-copy converge.",
            dirty::panels(model),
        ),
        section("checks", "Checks", "By code that did not make the plan.", checks(model)),
        section("provenance", "Made from", "Equal inputs give an equal report.", provenance(model)),
    ]
}

fn found_by(model: &ReportModel) -> String {
    let report = &model.plan.report;
    let gap = match report.gap {
        Some(gap) if gap <= 0.0 => "proven optimal".to_owned(),
        Some(gap) => format!("at most {} % from the proven bound", number(gap * 100.0)),
        None => "no bound known".to_owned(),
    };
    format!(
        "The objective's terms in their order of weight. Found by {}, {gap}.",
        esc(&report.found_by)
    )
}

fn checks(model: &ReportModel) -> String {
    let list = |entries: &[String], none: &str| {
        if entries.is_empty() {
            return format!("<p>{none}</p>");
        }
        format!("<ul>{}</ul>", each(entries, |entry| format!("<li>{}</li>", esc(entry))))
    };
    format!(
        "<h3>Checker</h3>{}<h3>Simulation</h3>{}",
        list(&model.checker_notes, "Replayed move by move: nothing to remark."),
        list(&model.simulation, "The plan was not simulated for this report.")
    )
}

fn provenance(model: &ReportModel) -> String {
    let (plan, parent) = (&model.plan, &model.plan.parent);
    let facts = [
        ("Plan", format!("<code>{}</code>", esc(plan.id().as_str()))),
        ("Goal", esc(&plan.goal.to_string())),
        ("Snapshot", format!("<code>{}</code>", esc(parent.snapshot.short()))),
        ("Taken at", esc(&parent.snapshot_taken_at.to_string())),
        ("Policy", format!("<code>{}</code>", esc(parent.policy.short()))),
        ("Seed", parent.seed.to_string()),
        (
            "After",
            format!(
                "{}, {}",
                tiles::badge(model).to_lowercase(),
                esc(&model.after.taken_at.to_string())
            ),
        ),
    ];
    let facts = each(facts, |(name, value)| format!("<dt>{name}</dt><dd>{value}</dd>"));
    format!("<dl class=\"facts\">{facts}</dl>")
}
