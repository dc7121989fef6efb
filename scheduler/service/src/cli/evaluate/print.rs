//! Tables of a judgement on the terminal.

use super::Judged;
use crate::{
    cli::table::table,
    report::evaluation::cells::{
        BAND_COLUMNS, COLUMNS, LEGEND, WORST_COLUMNS, band_cells, bands, break_downs, cells,
        floor_cells, worst_cells,
    },
};

/// Every model in one table, then ours in parts.
pub(super) fn print(about: &str, judged: &[Judged]) {
    say!("{about}\n");
    models(judged);
    say!("\n{LEGEND}");
    let Some(own) = judged.first().map(|one| &one.report) else { return };
    if let Some(ratio) = own.noise.as_ref().and_then(|noise| noise.ratio) {
        say!("\nerror of time over that of repetitions, on the same rows: {ratio:.2}");
    }
    say!("\n{}: bands", own.learner);
    let mut rows = table(&heads("", &BAND_COLUMNS));
    for (name, coverage) in bands(&own.all) {
        rows.add_row(whole(name, &band_cells(&coverage)));
    }
    say!("{rows}");
    for (name, groups) in break_downs(own) {
        say!("\n{}: by {name}", own.learner);
        let mut rows = table(&heads(name, &COLUMNS));
        for (key, of) in groups {
            rows.add_row(whole(key, &cells(of)));
        }
        say!("{rows}");
    }
    if !own.worst.is_empty() {
        say!("\n{}: the worst", own.learner);
        let mut rows = table(&WORST_COLUMNS);
        for row in &own.worst {
            rows.add_row(worst_cells(row));
        }
        say!("{rows}");
    }
    if own.not_judged > 0 || !own.unanswered.is_empty() {
        say!(
            "\nnot judged: {} failed for another reason or kept no figures, {} got no prediction",
            own.not_judged,
            own.unanswered.len()
        );
    }
}

fn models(judged: &[Judged]) {
    let mut columns = heads("model", &COLUMNS);
    columns.push(">us a prediction".to_owned());
    let mut rows = table(&columns);
    for Judged { report, predict_microseconds } in judged {
        let mut row = whole(&report.learner, &cells(&report.all));
        row.push(format!("{predict_microseconds:.0}"));
        rows.add_row(row);
    }
    if let Some(noise) = judged.first().and_then(|one| one.report.noise.as_ref()) {
        rows.add_row(whole("repetitions", &floor_cells(noise)));
    }
    say!("{rows}");
}

/// A left-aligned head, then right-aligned ones.
fn heads(first: &str, others: &[&str]) -> Vec<String> {
    let others = others.iter().map(|head| format!(">{head}"));
    std::iter::once(first.to_owned()).chain(others).collect()
}

fn whole(first: &str, others: &[String]) -> Vec<String> {
    std::iter::once(first.to_owned()).chain(others.iter().cloned()).collect()
}
