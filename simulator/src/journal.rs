//! A journal in memory that can die at any record, as the program that writes it may.

use serde::{Deserialize, Serialize};
use whimbrel_core::ports::{Journal, JournalError, Record};

/// Where in its journal a program dies. Records count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrashPoint {
    /// Record n is not written; everything that was done before it was done.
    Before(usize),
    /// Record n is written; nothing that follows it is done.
    After(usize),
}

/// A journal in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryJournal {
    records: Vec<Record>,
    /// Deaths to come.
    crashes: Vec<CrashPoint>,
    /// Its writer is dead, since this one.
    died_at: Option<CrashPoint>,
}

impl MemoryJournal {
    /// An empty journal whose writer dies at each of `crashes`.
    pub fn dying(crashes: Vec<CrashPoint>) -> Self {
        Self { crashes, ..Self::default() }
    }

    /// Where its writer died, if it is dead.
    pub fn died_at(&self) -> Option<CrashPoint> {
        self.died_at
    }

    /// A new writer takes over.
    pub fn reopen(&mut self) {
        self.died_at = None;
    }

    /// What was written, oldest first.
    pub fn written(&self) -> &[Record] {
        &self.records
    }
}

impl Journal for MemoryJournal {
    fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        let number = self.records.len() + 1;
        let is_due = |point: &CrashPoint| matches!(point, CrashPoint::Before(n) | CrashPoint::After(n) if *n == number);
        if self.died_at.is_none()
            && let Some(place) = self.crashes.iter().position(is_due)
        {
            let point = self.crashes.remove(place);
            self.died_at = Some(point);
            if point == CrashPoint::After(number) {
                self.records.push(record.clone());
            }
        }
        if self.died_at.is_some() {
            let message = format!("the writer died at record {number}");
            return Err(JournalError { path: "memory".to_owned(), message, hint: "none" });
        }
        self.records.push(record.clone());
        Ok(())
    }

    fn records(&self) -> Result<Vec<Record>, JournalError> {
        Ok(self.records.clone())
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::{ports::Entry, units::Timestamp};

    use super::*;

    fn written(crash: CrashPoint) -> Vec<bool> {
        let mut journal = MemoryJournal::dying(vec![crash]);
        let record = Record { at: Timestamp::default(), entry: Entry::PlanEnded };
        let taken = (0..3).map(|_| journal.append(&record).is_ok()).collect();
        assert_eq!(journal.died_at(), Some(crash));
        journal.reopen();
        assert!(journal.append(&record).is_ok());
        taken
    }

    #[test]
    fn the_writer_stays_dead_until_it_is_replaced() {
        assert_eq!(written(CrashPoint::Before(2)), [true, false, false]);
        assert_eq!(written(CrashPoint::After(2)), [true, false, false]);
        let mut journal = MemoryJournal::dying(vec![CrashPoint::After(1)]);
        let record = Record { at: Timestamp::default(), entry: Entry::PlanEnded };
        assert!(journal.append(&record).is_err());
        assert_eq!(journal.written().len(), 1);
    }

    #[test]
    fn it_may_die_several_times_at_one_record() {
        let record = Record { at: Timestamp::default(), entry: Entry::PlanEnded };
        let mut journal = MemoryJournal::dying(vec![CrashPoint::Before(1), CrashPoint::Before(1)]);
        for alive in [false, false, true] {
            assert_eq!(journal.append(&record).is_ok(), alive);
            journal.reopen();
        }
        assert_eq!(journal.written().len(), 1);
    }
}
