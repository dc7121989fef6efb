//! How far the simulator is from a recorded campaign, as a table: the guests that judge, replayed page
//! by page and on classes of pages, all together and by what a migration was about.

use std::path::Path;

use whimbrel_datasets::CampaignSet;
use whimbrel_simulator::{
    Physics,
    fidelity::{Case, Ending, Errors, Resolution, judge, kind, replay},
};

use super::{
    cases::{Recorded, cases},
    error::CampaignError,
};
use crate::experiment::table::{markdown, percent};

/// Seed of what a replay draws.
const SEED: u64 = 1;

/// Recorded migrations beside their endings in the simulator.
pub struct Replayed {
    recorded: Vec<Recorded>,
    endings: Vec<Ending>,
}

impl Replayed {
    /// The campaign in `directory` at `resolution`.
    ///
    /// # Errors
    /// [`CampaignError`] naming what cannot be read.
    pub fn of(directory: &Path, resolution: Resolution) -> Result<Self, CampaignError> {
        let recorded = cases(directory)?;
        // All of them, those that teach too: a guest that shares a path needs its partner.
        let all: Vec<Case> = recorded.iter().map(|one| one.case.clone()).collect();
        let endings = replay(&all, resolution, &Physics::laboratory(), SEED);
        Ok(Self { recorded, endings })
    }

    /// Errors over the guests that judge, of cases that `counts`.
    pub fn errors(&self, counts: impl Fn(&Case) -> bool) -> Errors {
        let judged = self.recorded.iter().zip(&self.endings);
        let judged = judged.filter(|(one, _)| one.set == CampaignSet::Judge && counts(&one.case));
        judge(judged.map(|(one, ending)| (&one.case, ending)))
    }
}

/// The table of the campaign in `directory`.
///
/// # Errors
/// [`CampaignError`] naming what cannot be read.
pub fn report(directory: &Path) -> Result<String, CampaignError> {
    let pages = Replayed::of(directory, Resolution::Pages)?;
    let classes = Replayed::of(directory, Resolution::Classes)?;
    let mut rows = vec![
        row("all, page by page", &pages.errors(|_| true)),
        row("all, on classes", &classes.errors(|_| true)),
    ];
    for name in
        ["pre-copy", "auto-converge", "post-copy", "xbzrle", "channels", "tls", "zlib", "zstd"]
    {
        rows.push(row(name, &pages.errors(|case| kind(&case.settings) == name)));
    }
    let shared = pages.errors(|case| case.together.is_some());
    rows.push(row("on a shared path", &shared));
    rows.push(row("held by nothing", &pages.errors(held_by_nothing)));
    let heads = [
        "migrations",
        "judged",
        "time, median",
        "p90",
        "bytes, median",
        "p90",
        "downtime, median",
        "in ms",
        "verdict right",
    ];
    Ok(markdown(&heads, &rows))
}

fn held_by_nothing(case: &Case) -> bool {
    case.settings.bandwidth_limit.is_none() && case.together.is_none()
}

fn row(name: &str, errors: &Errors) -> Vec<String> {
    let tenths = |share: f64| format!("{:.1} %", share * 100.0);
    vec![
        name.to_owned(),
        errors.cases.to_string(),
        tenths(errors.time[0]),
        tenths(errors.time[1]),
        tenths(errors.bytes[0]),
        tenths(errors.bytes[1]),
        percent(errors.downtime[0]),
        format!("{:.1}", errors.downtime_millis[0]),
        tenths(errors.verdict_right),
    ]
}
