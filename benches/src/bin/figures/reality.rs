//! The simulator beside real hosts: the campaign's guests that judge, page by page, and the drains
//! that were measured with one to four migrations at a time.

use std::error::Error;

use whimbrel_simulator::fidelity::Resolution;
use whimbrel_tests::{
    campaign::fidelity::Replayed,
    experiment::drains::{compare::drains, report::errors},
};

use crate::{figure::Found, places::Places};

pub(crate) fn measure(places: &Places, found: &mut Found) -> Result<(), Box<dyn Error>> {
    let found_errors = Replayed::of(&places.campaign(), Resolution::Pages)?.errors(|_| true);
    let ([time, _], [bytes, _]) = (found_errors.time, found_errors.bytes);
    found.put("simulated_vs_real_time_ape_median", time);
    found.put("simulated_vs_real_bytes_ape_median", bytes);
    found.put("simulated_verdict_right_share", found_errors.verdict_right);
    if let Some(errors) = errors(&drains(&places.drains())?) {
        found.put("concurrent_walltime_error", errors.makespan_worst);
    }
    Ok(())
}
