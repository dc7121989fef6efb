//! A loop that drives the engine on real hosts until its plan has ended.

use std::{thread, time::Duration};

use whimbrel_core::{
    Cluster,
    ports::{Journal, JournalError, Record},
};
use whimbrel_engine::{Engine, Execution};

/// Time between ticks: half of what the cluster looks at hosts with.
const TICK: Duration = Duration::from_millis(100);

/// A journal that forgets when the process ends: for recordings, which nobody resumes.
#[derive(Debug, Default)]
pub struct MemoryJournal(Vec<Record>);

impl Journal for MemoryJournal {
    fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        self.0.push(record.clone());
        Ok(())
    }

    fn records(&self) -> Result<Vec<Record>, JournalError> {
        Ok(self.0.clone())
    }
}

/// Ticks `engine` until it has ended.
///
/// # Errors
/// [`JournalError`].
pub fn to_the_end(
    engine: &mut Engine,
    cluster: &mut dyn Cluster,
    journal: &mut dyn Journal,
) -> Result<Execution, JournalError> {
    while !engine.ended() {
        engine.tick(cluster, journal)?;
        thread::sleep(TICK);
    }
    Ok(engine.execution())
}

/// Observes for `span`, so that telemetry is stored meanwhile.
pub fn idle(cluster: &mut dyn Cluster, span: Duration) {
    let steps = span.as_millis() / 500;
    for _ in 0..steps {
        cluster.observe();
        thread::sleep(Duration::from_millis(500));
    }
}
