//! For tests: use the lab where there can be one, say so where there cannot.

use crate::{Lab, LabConfig, capability};

/// The shared lab, up and ready, for the test `test_name`.
///
/// Where the machine cannot hold a lab it prints `SKIPPED test-name: reason` and answers `None`, so
/// that the test can return. With `CI=true` in the environment nothing may be skipped.
///
/// # Panics
/// When the lab cannot be started, or with `CI=true` when it would have to be skipped.
#[expect(clippy::panic, clippy::print_stderr, reason = "a helper of tests only")]
pub fn lab_or_skip(test_name: &str) -> Option<Lab> {
    if let Err(missing) = capability() {
        let must_run = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!must_run, "{test_name} needs the lab: {missing}; hint: {}", missing.hint());
        eprintln!("SKIPPED {test_name}: {missing}");
        return None;
    }
    let lab = Lab::new(LabConfig::from_environment())
        .and_then(|lab| lab.up(false, &mut |line| eprintln!("{line}")).map(|_| lab));
    match lab {
        Ok(lab) => Some(lab),
        Err(error) => panic!("{test_name}: {error}; hint: {}", error.hint()),
    }
}
