//! Processes by id *and* start time, so that a number that the system has given out again is never
//! taken for the process that was recorded.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::LabError;
use crate::program::Program;

/// A process as recorded when it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PidRecord {
    /// Process id, in the machine's numbering.
    pub pid: u32,
    /// Start time in clock ticks since the machine booted: field 22 of `/proc/PID/stat`.
    pub start_ticks: u64,
}

impl PidRecord {
    /// The record of a process that runs now; `None` when there is none or it has ended.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        parse_stat(&stat).filter(|(_, ended)| !ended).map(|(record, _)| record)
    }

    /// Reads a record of the form `PID START_TICKS` from a file.
    pub fn read(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let (pid, start_ticks) = text.trim().split_once(' ')?;
        Some(Self { pid: pid.parse().ok()?, start_ticks: start_ticks.parse().ok()? })
    }

    /// True while this very process runs (a zombie has ended).
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid) == Some(*self)
    }

    /// Sends SIGKILL and waits until the process is gone, at most 10 s. Nothing happens when it has
    /// ended already.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when it is still there.
    pub fn kill(&self) -> Result<(), LabError> {
        const LIMIT_SECONDS: u64 = 10;
        if !self.is_alive() {
            return Ok(());
        }
        // The shell's own kill: the crate holds no unsafe code. A process that ends in between is fine.
        let script = format!("kill -9 {} 2>/dev/null || true", self.pid);
        Program::new("sh").args(["-c", &script]).run()?;
        let end = Instant::now() + Duration::from_secs(LIMIT_SECONDS);
        while self.is_alive() {
            if Instant::now() > end {
                return Err(LabError::Timeout {
                    what: format!("process {} ends after SIGKILL", self.pid),
                    limit_seconds: LIMIT_SECONDS,
                    look: format!("/proc/{}/stack", self.pid),
                });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

/// Reads a line of `/proc/PID/stat`: the record, and whether the process has ended (zombie, dead).
fn parse_stat(stat: &str) -> Option<(PidRecord, bool)> {
    // The command's name is in parentheses and may itself hold spaces and parentheses.
    let (pid, rest) = stat.split_once(" (")?;
    let (_, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let state = *fields.first()?;
    let record = PidRecord { pid: pid.parse().ok()?, start_ticks: fields.get(19)?.parse().ok()? };
    Some((record, matches!(state, "Z" | "X")))
}

#[cfg(test)]
mod test {
    use super::*;

    const TAIL: &str = "1 2 3 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 77001 0 0";

    #[test]
    fn stat_lines() {
        let record = PidRecord { pid: 42, start_ticks: 77001 };
        assert_eq!(parse_stat(&format!("42 (bash) S {TAIL}")), Some((record, false)));
        assert_eq!(parse_stat(&format!("42 (a) b) (c) Z {TAIL}")), Some((record, true)));
        assert_eq!(parse_stat("42 (bash) S 1 2"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn a_recycled_number_is_not_the_process() {
        let me = PidRecord::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        let earlier = PidRecord { start_ticks: me.start_ticks - 1, ..me };
        assert!(!earlier.is_alive());
        // Must do nothing at all: it would end this test otherwise.
        earlier.kill().unwrap();
    }

    #[test]
    fn kill_ends_the_recorded_process() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let record = PidRecord::of(child.id()).unwrap();
        record.kill().unwrap();
        assert!(!record.is_alive());
        child.wait().unwrap();
    }
}
