//! The simulator beside real hosts: the campaign's guests that judge, page by page, and the drains
//! that were measured with one to four migrations at a time.

use std::error::Error;

use whimbrel_datasets::CampaignSet;
use whimbrel_simulator::{
    Physics,
    fidelity::{Case, Resolution, judge, replay},
};
use whimbrel_tests::{
    campaign::cases::cases,
    experiment::drains::{compare::drains, report::errors},
};

use crate::{figure::Found, places::Places};

/// Seed of what a replay draws.
const SEED: u64 = 1;

pub(crate) fn measure(places: &Places, found: &mut Found) -> Result<(), Box<dyn Error>> {
    let recorded = cases(&places.campaign())?;
    // All of them, those that teach too: a guest that shares a path needs its partner.
    let all: Vec<Case> = recorded.iter().map(|one| one.case.clone()).collect();
    let endings = replay(&all, Resolution::Pages, &Physics::laboratory(), SEED);
    let judged = recorded.iter().zip(&endings).filter(|(one, _)| one.set == CampaignSet::Judge);
    let found_errors = judge(judged.map(|(one, ending)| (&one.case, ending)));
    let ([time, _], [bytes, _]) = (found_errors.time, found_errors.bytes);
    found.put("simulated_vs_real_time_ape_median", time);
    found.put("simulated_vs_real_bytes_ape_median", bytes);
    found.put("simulated_verdict_right_share", found_errors.verdict_right);
    if let Some(errors) = errors(&drains(&places.drains())?) {
        found.put("concurrent_walltime_error", errors.makespan_worst);
    }
    Ok(())
}
