//! Pages about questions and sweeps: every section, the same bytes, nothing in a name is markup.

use std::collections::BTreeMap;

use whimbrel_core::units::Span;
use whimbrel_datasets::{ResultRow, ResultSet};
use whimbrel_simulator::whatif::Changes;

use super::{SweepModel, WhatIfModel, render_sweep, render_what_if};
use crate::{
    sweep::{Axes, Merged},
    whatif::{
        Answer,
        tests::{draining_while_a_host_is_lost, nothing_changes},
    },
};

const EVIL: &str = "</title><script>alert('x')</script>\"&\u{202e}";

fn page(answer: &Answer) -> String {
    let command = "whimbrel whatif --drain h1".to_owned();
    render_what_if(&WhatIfModel { command, answer: answer.clone() })
}

#[test]
fn a_page_has_every_section_and_every_figure_its_command() {
    for answer in [draining_while_a_host_is_lost(), nothing_changes()] {
        let page = page(&answer);
        for id in [
            "summary",
            "change",
            "fit",
            "sides",
            "heat",
            "timeline",
            "spread",
            "loss",
            "provenance",
        ] {
            assert_eq!(page.matches(&format!(" id=\"{id}\"")).count(), 1, "{id}");
        }
        let figures = page.matches("<figure").count();
        assert!(figures >= 4);
        assert_eq!(page.matches("role=\"img\"").count(), figures);
        assert_eq!(page.matches("<figcaption><code>whimbrel whatif").count(), figures);
        for absurd in ["NaN", "inf\"", "-inf", "=\"-0\"", "<script", "<link", "src="] {
            assert!(!page.contains(absurd), "{absurd}");
        }
    }
}

#[test]
fn the_same_answer_has_the_same_bytes() {
    let answer = draining_while_a_host_is_lost();
    assert_eq!(page(&answer), page(&answer.clone()));
}

#[test]
fn names_are_no_markup() {
    let mut answer = draining_while_a_host_is_lost();
    answer.intent = EVIL.to_owned();
    answer.against = vec![EVIL.to_owned()];
    answer.changes = Changes { remove_racks: vec![EVIL.to_owned()], ..Changes::default() };
    let page = render_what_if(&WhatIfModel { command: EVIL.to_owned(), answer });
    assert!(!page.contains("<script") && !page.contains('\u{202e}'));
    let page = render_sweep(&SweepModel { command: EVIL.to_owned(), merged: merged(EVIL) });
    assert!(!page.contains("<script") && !page.contains('\u{202e}'));
}

#[test]
fn a_deadline_far_away_does_not_press_the_moves_together() {
    let mut answer = nothing_changes();
    answer.changes.deadline = Some(Span::from_seconds(86_400));
    assert!(page(&answer).contains("deadline after 24 h 00 min, outside the figure"));
}

/// Two policies, one of them without the makespan, two seeds.
fn merged(name: &str) -> Merged {
    let row = |policy: &str, seed, figures: &[(&str, f64)]| ResultRow {
        cell: format!("t/{policy}/c/{seed}"),
        kind: "what-if".to_owned(),
        trace: "t".to_owned(),
        policy: policy.to_owned(),
        change: "c".to_owned(),
        seed,
        figures: figures.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
    };
    let rows = vec![
        row(name, 1, &[("makespan_seconds", 4.0), ("moves", 0.0), ("cpu_free_cores", 1.0)]),
        row(name, 2, &[("makespan_seconds", 6.0), ("moves", 0.0), ("cpu_free_cores", 1.0)]),
        row("other", 1, &[("moves", 0.0), ("cpu_free_cores", 2.0), (name, f64::MAX)]),
    ];
    let one = |name: &str| BTreeMap::from([(name.to_owned(), name.to_owned())]);
    let mut policies = one(name);
    policies.insert("other".to_owned(), String::new());
    let axes = Axes {
        kind: "what-if".to_owned(),
        common: String::new(),
        traces: one("t"),
        policies,
        changes: one("c"),
        seed: 1,
        seeds: 2,
    };
    let has = |id: &str| rows.iter().any(|row| row.cell == id);
    let missing = axes.cells().into_iter().filter(|cell| !has(&cell.id)).collect();
    Merged { set: ResultSet { matrix: String::new(), rows }, axes, files: 1, missing }
}

#[test]
fn policies_are_compared_and_what_is_missing_is_said() {
    let command = "whimbrel sweep merge r".to_owned();
    let page = render_sweep(&SweepModel { command, merged: merged("first") });
    assert!(page.contains("4 (4 – 6)"), "the median is a value that occurred");
    assert!(page.contains("<td class=\"n best\">2 ◂</td>"), "more free CPU is better");
    assert!(page.contains("0 in every run: moves."));
    assert!(page.contains("<li>t/other/c/2</li>") && page.contains("1 cell missing"));
    assert!(!page.contains("NaN"));
    let mut none = merged("first");
    none.set.rows.clear();
    let page = render_sweep(&SweepModel { command: String::new(), merged: none });
    assert!(page.contains("No cell is done"));
}

#[test]
#[ignore = "writes pages for people to look at into the folder of temporary files"]
fn pages_can_be_looked_at() {
    let folder = std::env::temp_dir();
    for (name, answer) in
        [("lost", draining_while_a_host_is_lost()), ("nothing", nothing_changes())]
    {
        let path = folder.join(format!("whimbrel-what-if-{name}.html"));
        std::fs::write(&path, page(&answer)).unwrap();
        println!("{}", path.display());
    }
}
