//! A row of a migration that has ended.

use whimbrel_core::{
    ports::TelemetrySink as _,
    telemetry::Batch,
    units::{Bytes, Span},
};

use super::{Driver, Trials};
use crate::{
    campaign::{error::CampaignError, report},
    experiment::{
        live::{Checked, Ended},
        run::{Outcome, Row, lost_guest_seconds},
    },
};

impl<T: Trials> Driver<'_, T> {
    /// Keeps the row of `ended`, whose guest was checked.
    pub(super) fn keep(
        &mut self,
        ended: Ended<T::Case>,
        checked: &Checked,
    ) -> Result<(), CampaignError> {
        if checked.bad_pages > 0 {
            return Err(CampaignError::LostPages {
                vm: ended.record.vm,
                order: ended.record.id,
                bad_pages: checked.bad_pages,
            });
        }
        let id = ended.record.id.clone();
        let Some(outcome) = outcome(&ended, checked, self.trials.limit()) else {
            return self.broken(&id, "it arrived without figures");
        };
        let line = report::line(&ended.record, ended.samples.len());
        let Ended { begun, record, samples } = ended;
        self.store.record(&Batch { jobs: samples, ..Batch::default() })?;
        self.store.flush()?;
        self.store.append_migrations(std::slice::from_ref(&record))?;
        self.results.append(Row {
            id: id.clone(),
            arm: begun.way.run.arm,
            case: begun.way.run.case,
            at: record.at,
            waited: record.at.since(begun.way.requested),
            from: record.from,
            to: record.to,
            settings: record.settings,
            path: begun.prepared.path,
            outcome,
            predicted: begun.prepared.predicted,
            why: begun.prepared.why.clone(),
        })?;
        self.done.insert(id);
        let done = self.done.len();
        let waited = record.at.since(begun.way.requested).human();
        let (pace, why) = (self.pace(), begun.prepared.why);
        (self.say)(&format!("{done}: {line} after {waited}; {why}  {pace}"));
        Ok(())
    }
}

/// `None` of one that arrived without figures.
fn outcome<C>(ended: &Ended<C>, checked: &Checked, limit: Span) -> Option<Outcome> {
    let (record, begun) = (&ended.record, &ended.begun);
    let stats = record.stats.filter(|_| record.arrived);
    if record.arrived && stats.is_none() {
        return None;
    }
    let last = ended.samples.last().map(|sample| sample.progress);
    let lost = begun.rested.as_ref().zip(begun.prepared.before.as_ref());
    Some(Outcome {
        arrived: record.arrived,
        failure: record.failure.clone(),
        total: stats.map_or_else(|| record.wall.min(limit), |s| s.total_time),
        sent: stats.map_or_else(
            || last.map_or(Bytes::ZERO, |progress| progress.transferred),
            |s| s.transferred,
        ),
        downtime: stats.map_or(Span::ZERO, |s| s.downtime),
        reads: stats.map_or(last.map_or(0, |progress| progress.iteration), |s| s.iterations),
        lost_guest_seconds: lost
            .and_then(|(rested, before)| lost_guest_seconds(&rested.stat, before, &checked.after)),
    })
}
