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
    crash: Option<CrashPoint>,
    crashed: bool,
}

impl MemoryJournal {
    /// An empty journal whose writer dies at `crash`.
    pub fn dying(crash: Option<CrashPoint>) -> Self {
        Self { crash, ..Self::default() }
    }

    /// Whether its writer has died.
    pub fn crashed(&self) -> bool {
        self.crashed
    }

    /// A new writer takes over; it does not die.
    pub fn reopen(&mut self) {
        self.crash = None;
        self.crashed = false;
    }

    /// What was written, oldest first.
    pub fn written(&self) -> &[Record] {
        &self.records
    }
}

impl Journal for MemoryJournal {
    fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        let number = self.records.len() + 1;
        let dies = self.crashed || self.crash == Some(CrashPoint::Before(number));
        if !dies {
            self.records.push(record.clone());
        }
        self.crashed = dies || self.crash == Some(CrashPoint::After(number));
        if self.crashed {
            let message = format!("the writer died at record {number}");
            return Err(JournalError { path: "memory".to_owned(), message, hint: "none" });
        }
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
        let mut journal = MemoryJournal::dying(Some(crash));
        let record = Record { at: Timestamp::default(), entry: Entry::PlanEnded };
        let taken = (0..3).map(|_| journal.append(&record).is_ok()).collect();
        assert!(journal.crashed());
        journal.reopen();
        assert!(journal.append(&record).is_ok());
        taken
    }

    #[test]
    fn the_writer_stays_dead_until_it_is_replaced() {
        assert_eq!(written(CrashPoint::Before(2)), [true, false, false]);
        assert_eq!(written(CrashPoint::After(2)), [true, false, false]);
        let mut journal = MemoryJournal::dying(Some(CrashPoint::After(1)));
        let record = Record { at: Timestamp::default(), entry: Entry::PlanEnded };
        assert!(journal.append(&record).is_err());
        assert_eq!(journal.written().len(), 1);
    }
}
