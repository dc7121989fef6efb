//! Runs of one planned change under many seeds, in threads.
//!
//! Each run is a value of its seed, so the answer does not depend on how many threads there are.

use std::{
    ops::Range,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
};

use whimbrel_core::units::Span;
use whimbrel_simulator::{
    Fault, Outcome, SimulationOptions, simulate,
    whatif::{Loss, Trial},
};

use super::{Prepared, Stages};
use crate::Failure;

/// Threads where nobody says how many: one a core.
pub fn jobs_by_default() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// One run.
pub(super) fn run(
    stages: &Stages,
    loss: Option<&Loss>,
    horizon: Span,
    seed: u64,
) -> Result<(Trial, Outcome), Failure> {
    let cut = loss.map(|loss| Fault::PowerCut { at: loss.at, host: loss.host.clone() });
    let options = SimulationOptions {
        seed,
        horizon,
        faults: cut.into_iter().collect(),
        ..stages.options.clone()
    };
    let outcome = simulate(&stages.plan, &stages.start, &options).map_err(Failure::invalid)?;
    let moves = stages.plan.moves().count();
    let lost = loss.map(|loss| &loss.host);
    let trial = Trial::of(&outcome, moves, lost, &stages.policy, &stages.out);
    Ok((trial, outcome))
}

/// Runs of all `seeds`, in their order; `progress` is called after each.
pub(super) fn many(
    prepared: &Prepared,
    seeds: Range<u64>,
    progress: &mut dyn FnMut(),
) -> Result<Vec<Trial>, Failure> {
    let count = seeds.end.wrapping_sub(seeds.start);
    let next = AtomicU64::new(0);
    let threads = prepared.question.jobs.clamp(1, usize::try_from(count).unwrap_or(1).max(1));
    let (send, receive) = mpsc::channel();
    let mut trials: Vec<(u64, Trial)> = std::thread::scope(|scope| {
        for _ in 0..threads {
            let (send, next) = (send.clone(), &next);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    let trial = prepared.trial(seeds.start.wrapping_add(index));
                    // Nobody listens any more once a run has failed.
                    if send.send((index, trial)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        let mut trials = Vec::new();
        for (index, trial) in receive {
            trials.push((index, trial?));
            progress();
        }
        Ok::<_, Failure>(trials)
    })?;
    trials.sort_by_key(|(index, _)| *index);
    Ok(trials.into_iter().map(|(_, trial)| trial).collect())
}
