//! Rebuilds the engine from its journal after a restart.

use thiserror::Error;
use whimbrel_core::{
    ids::OrderId,
    plan::PlanError,
    ports::{Entry, Record},
};

use crate::{
    Engine, EngineSettings, Execution,
    run::{Before, MoveRun},
};

/// Why a journal cannot be continued.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecoverError {
    /// A record speaks of an order that no plan in the journal has.
    #[error(
        "journal speaks of order {id}, which its plan does not have (hint: the journal is damaged; \
             compare the hosts by hand, then start a new one)"
    )]
    UnknownOrder {
        /// The order.
        id: OrderId,
    },
    /// The plan in the journal does not verify.
    #[error("plan in the journal: {0}")]
    Plan(#[from] PlanError),
}

impl Engine {
    /// The unfinished execution that `records` describe, or `None` when there is none.
    ///
    /// # Errors
    /// [`RecoverError`] when the records contradict each other; then nothing may be begun.
    pub fn recover(
        records: &[Record],
        settings: EngineSettings,
    ) -> Result<Option<Self>, RecoverError> {
        let last = Self::told(records, settings)?.pop();
        Ok(last.filter(|engine| !engine.ended))
    }

    /// Every execution that `records` tell of, oldest first, as far as they tell it.
    ///
    /// # Errors
    /// [`RecoverError`] when the records contradict each other.
    pub fn executions(records: &[Record]) -> Result<Vec<Execution>, RecoverError> {
        let engines = Self::told(records, EngineSettings::default())?;
        Ok(engines.iter().map(Self::execution).collect())
    }

    fn told(records: &[Record], settings: EngineSettings) -> Result<Vec<Self>, RecoverError> {
        let mut engines: Vec<Self> = Vec::new();
        for record in records {
            let current = engines.last_mut();
            match &record.entry {
                Entry::PlanAccepted { plan } => {
                    plan.verify()?;
                    engines.push(Self::fresh((**plan).clone(), settings, record.at));
                }
                Entry::PlanCancelled => {
                    if let Some(engine) = current {
                        engine.cancelled = true;
                    }
                }
                Entry::PlanEnded => {
                    if let Some(engine) = current {
                        engine.ended = true;
                    }
                }
                Entry::Intended { order, before, sharing, path_bandwidth, qemu } => {
                    let run = run_of(current, &order.id)?;
                    run.order = order.clone();
                    run.adopted = true;
                    let before = Before {
                        domain: before.clone(),
                        sharing: *sharing,
                        path_bandwidth: *path_bandwidth,
                        qemu: *qemu,
                    };
                    run.intended(record.at, before);
                }
                Entry::Became { id, state, detail, stats } => {
                    let run = run_of(current, id)?;
                    run.stats = *stats;
                    run.became(*state, detail.clone(), record.at);
                }
            }
        }
        Ok(engines)
    }
}

fn run_of<'a>(
    engine: Option<&'a mut Engine>,
    id: &OrderId,
) -> Result<&'a mut MoveRun, RecoverError> {
    engine
        .and_then(|engine| engine.runs.iter_mut().find(|run| run.order.id == *id))
        .ok_or_else(|| RecoverError::UnknownOrder { id: id.clone() })
}
