//! A moment of recorded telemetry, as questions look at it.
//!
//! Never here: the question.

use std::path::Path;

use whimbrel_core::units::{Span, Timestamp};

use crate::{Failure, files, scene::Scene};

/// Name of the policy beside recorded telemetry.
const POLICY_FILE: &str = "policy.toml";

/// So long after the last answer of any host a recording says nothing of a moment any more.
const AFTER_MAX: Span = Span::from_seconds(3600);

/// A moment of the telemetry in `data`, its last one without `moment`, under the policy beside it; `model`
/// predicts, where one is named.
///
/// # Errors
/// [`Failure`] naming what cannot be read, or a moment that the recording does not reach.
pub fn recorded(
    data: &Path,
    moment: Option<Timestamp>,
    model: Option<&Path>,
) -> Result<Scene, Failure> {
    let beside = data.join(POLICY_FILE);
    let policy = files::read_policy(beside.is_file().then_some(beside.as_path()))?;
    let scene = Scene::recorded(data, moment, policy, model)?;
    let answered = scene.situation.snapshot.hosts.values().map(|host| host.observed_at);
    match (moment, answered.max()) {
        (Some(moment), Some(last)) if moment.since(last) > AFTER_MAX => {
            Err(Failure::invalid(format!(
                "no host answered after {last}, {} before the moment that is asked about (hint: leave \
                 the moment out to ask about the last one)",
                moment.since(last).human()
            ))
            .about(data.display()))
        }
        _ => Ok(scene),
    }
}
