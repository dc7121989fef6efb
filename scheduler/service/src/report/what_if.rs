//! The page about a question: whether the change fits, both sides, and what the moves cost.
//!
//! Never here: a judgement of its own; the answer has it.

mod sides;

use std::collections::BTreeMap;

use whimbrel_core::HostId;
use whimbrel_simulator::whatif::Trial;

use super::{
    charts::{
        heat::{self, HeatRow},
        runs::{self, Moment},
        strips::{self, Strip},
    },
    html::{Head, Section, page},
    markup::{NONE, counted, each, esc, nothing, solid},
};
use crate::whatif::{Answer, Side, describe::describe};

/// Guests in a list.
const LISTED_MAX: usize = 200;

/// Everything that a page about a question shows.
#[derive(Debug, Clone)]
pub struct WhatIfModel {
    /// The exact command that repeats it.
    pub command: String,
    /// The answer.
    pub answer: Answer,
}

/// The page. The same model gives the same bytes.
pub fn render_what_if(model: &WhatIfModel) -> String {
    let answer = &model.answer;
    let title = if answer.intent.is_empty() {
        let changes = describe(&answer.changes);
        match changes.as_slice() {
            [] => "What if: nothing changes".to_owned(),
            some => format!("What if: {}", some.join(", ")),
        }
    } else {
        format!("What if: {}", answer.intent)
    };
    let head = Head {
        title: &title,
        badge: "Simulated, no host was touched",
        lead: lead(answer),
        command: &model.command,
        tiles: tiles(answer),
    };
    page(&head, &sections(model))
}

fn lead(answer: &Answer) -> String {
    let verdict = if answer.fits() { "It fits" } else { "It does not fit" };
    let moves = answer.plan.moves().count();
    let runs = counted(answer.spread.runs, "run");
    format!("{verdict}. {} needed, simulated in {runs}.", counted(moves, "move"))
}

fn tiles(answer: &Answer) -> String {
    let (spread, none) = (&answer.spread, || NONE.to_owned());
    let kept = |side: &Side| if side.survives_any_loss() { "kept" } else { "not kept" };
    let below = |band: Option<(String, String)>| {
        band.map_or_else(|| "nothing moves".to_owned(), |(min, p95)| format!("{min} – {p95}"))
    };
    let tile = |name: &str, value: String, below: String| {
        format!(
            "<dl class=\"tile\"><dt>{name}</dt><dd class=\"value\">{value}</dd>\
             <dd class=\"sub\">{below}</dd></dl>"
        )
    };
    let makespan = spread.makespan;
    let downtime = spread.longest_downtime;
    let homeless = answer.homeless.len();
    format!(
        "<div class=\"tiles\">{}{}{}{}</div>\n",
        tile(
            "Guests without a place",
            homeless.to_string(),
            format!("{} cannot get away", answer.stuck.len())
        ),
        tile(
            "From begin to end, median",
            makespan.map_or_else(none, |band| solid(&band.median.human())),
            below(makespan.map(|band| (band.min.human(), band.p95.human())))
        ),
        tile(
            "Longest downtime, median",
            downtime.map_or_else(none, |band| solid(&band.median.human())),
            below(downtime.map(|band| (band.min.human(), band.p95.human())))
        ),
        tile("N+1 then", kept(&answer.then).to_owned(), format!("today: {}", kept(&answer.today))),
    )
}

fn sections(model: &WhatIfModel) -> Vec<Section> {
    let answer = &model.answer;
    let section = |id, name, about: &str, body| Section { id, name, about: about.to_owned(), body };
    vec![
        section("change", "What is different", "Everything else is as today.", change(answer)),
        section(
            "fit",
            "Whether it fits",
            "Memory below the policy's reserve, vCPUs and rules are hard; CPU is not.",
            fit(answer),
        ),
        section(
            "sides",
            "Today and then",
            "By the last readings, after the moves. Contention and overload are simulated: today \
             left alone, then with the moves; median (least .. 95th percentile) over the runs.",
            sides::tables(answer),
        ),
        section(
            "heat",
            "Hosts over time",
            "CPU that guests wanted, as a part of what the host has; first run. Right: the mean.",
            heats(model),
        ),
        section(
            "timeline",
            "Moves over time",
            "First run; bars from the begin of a migration until it was seen to end.",
            timeline(model),
        ),
        section("spread", "How much is chance", "The same moves under every seed.", spread(model)),
        section(
            "loss",
            "Whose loss would strand whom",
            "A lost host's guests are started again on the others, which move nothing to make room.",
            sides::losses(answer),
        ),
        section("provenance", "Made from", "Equal inputs give an equal page.", provenance(answer)),
    ]
}

/// The command under a figure.
pub(super) fn made_by(command: &str) -> String {
    format!("<code>{}</code>", esc(command))
}

fn list(lines: impl IntoIterator<Item = String>) -> String {
    format!("<ul>{}</ul>", each(lines, |line| format!("<li>{}</li>", esc(&line))))
}

fn change(answer: &Answer) -> String {
    let mut lines = describe(&answer.changes);
    if answer.policy_changed {
        lines.push("another policy".to_owned());
    }
    if lines.is_empty() {
        return nothing("Nothing: the page shows today and what a balance would do.");
    }
    let started = answer.started.iter().take(LISTED_MAX);
    lines.extend(started.map(|(vm, host)| format!("{vm} starts on {host}")));
    list(lines)
}

fn fit(answer: &Answer) -> String {
    if answer.fits() {
        return "<p>Every guest has a place, and every move can be made.</p>".to_owned();
    }
    let mut lines: Vec<String> = answer.against.iter().take(LISTED_MAX).cloned().collect();
    if answer.against.len() > LISTED_MAX {
        lines.push(format!("and {} more", answer.against.len() - LISTED_MAX));
    }
    let stopped = if answer.homeless.is_empty() && answer.stuck.is_empty() {
        ""
    } else {
        "<p class=\"note\">Guests without a place, and those that cannot get away, count as stopped \
         below.</p>"
    };
    let unproven = if answer.proven {
        ""
    } else {
        "<p class=\"note\">The search for places ended before it could prove that there are none.</p>"
    };
    format!("{}{stopped}{unproven}", list(lines))
}

fn heats(model: &WhatIfModel) -> String {
    let answer = &model.answer;
    let capacity: BTreeMap<&HostId, u64> = [&answer.today, &answer.then]
        .into_iter()
        .flat_map(|side| &side.headroom.by_host)
        .map(|one| (&one.host, one.cpu_limit.get()))
        .collect();
    let rows = |side: &Side| -> Vec<HeatRow> {
        let row = |host: &whimbrel_simulator::HostOutcome| {
            let has = capacity.get(&host.host).copied().unwrap_or_default().max(1) as f64;
            HeatRow {
                name: host.host.to_string(),
                wanted: host.used.iter().map(|point| point.cpu_wanted.get() as f64 / has).collect(),
            }
        };
        side.hosts.iter().map(row).collect()
    };
    let caption = made_by(&model.command);
    let map = |when: &str, side: &Side| {
        let title = format!("How busy each host is over time, {when}");
        heat::figure(&title, &rows(side), answer.horizon, &caption)
    };
    let (today, then) = (map("today", &answer.today), map("then", &answer.then));
    format!("<h3>Today, left alone</h3>{today}<h3>Then</h3>{then}{}", heat::key())
}

fn timeline(model: &WhatIfModel) -> String {
    let changes = &model.answer.changes;
    let mut moments = Vec::new();
    if let Some(deadline) = changes.deadline {
        moments.push(Moment { at: deadline, what: "deadline".to_owned() });
    }
    if let Some(loss) = &changes.lose {
        moments.push(Moment { at: loss.at, what: format!("{} loses its power", loss.host) });
    }
    runs::figure(&model.answer.moves, &moments, &made_by(&model.command))
}

fn spread(model: &WhatIfModel) -> String {
    const SHOWN: [&str; 6] = [
        "makespan_seconds",
        "longest_downtime_seconds",
        "sent_bytes",
        "contention_core_seconds",
        "overload_seconds",
        "guests_down",
    ];
    let answer = &model.answer;
    let values = |name: &str| -> Vec<f64> {
        let of = |trial: &Trial| trial.figures().into_iter().find(|(n, _)| *n == name);
        answer.trials.iter().filter_map(of).map(|(_, value)| value).collect()
    };
    let with_loss = answer.changes.lose.is_some();
    let moves = answer.plan.moves().count() > 0;
    let wanted = SHOWN.into_iter().filter(|name| match *name {
        "guests_down" => with_loss,
        "contention_core_seconds" | "overload_seconds" => true,
        _ => moves,
    });
    let caption = made_by(&model.command);
    let panels = each(wanted, |name| {
        strips::panel(name, &[Strip { name: "then".to_owned(), values: values(name) }], &caption)
    });
    format!("<div class=\"panels two\">{panels}</div>{}", strips::key())
}

fn provenance(answer: &Answer) -> String {
    let parent = &answer.plan.parent;
    let seeds = (answer.trials.first(), answer.trials.last());
    let seeds = match seeds {
        (Some(first), Some(last)) => format!("{} to {}", first.seed, last.seed),
        _ => NONE.to_owned(),
    };
    let facts = [
        ("Plan", format!("<code>{}</code>", esc(answer.plan.id().as_str()))),
        ("Found by", esc(&answer.plan.report.found_by)),
        ("Snapshot", format!("<code>{}</code>", esc(parent.snapshot.short()))),
        ("Taken at", esc(&parent.snapshot_taken_at.to_string())),
        ("Policy", format!("<code>{}</code>", esc(parent.policy.short()))),
        ("Seeds", seeds),
        ("Simulated time", esc(&answer.horizon.human())),
    ];
    let facts = each(facts, |(name, value)| format!("<dt>{name}</dt><dd>{value}</dd>"));
    format!("<dl class=\"facts\">{facts}</dl>")
}
