//! Parsing of libvirt's job statistics (`virDomainGetJobStats`).
//!
//! Units there: times in milliseconds, sizes in bytes, `memory_dirty_rate` in pages a second.
//! `memory_iteration` is QEMU's dirty-sync-count. Never here: whether a migration goes well.

use whimbrel_core::{
    cluster::{CompletedStats, DeltaCoding, JobProgress},
    units::{Bytes, BytesPerSecond, GUEST_PAGE, Span},
};

use crate::stats::Value;

/// What a host says about a migration of a domain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum JobLook {
    /// It was not asked, or did not answer.
    Unknown,
    /// No migration leaves this host.
    Idle,
    /// A migration leaves this host. While the target is prepared, sizes are zero.
    Migrating(JobProgress),
    /// A migration arrives here: libvirt gives statistics at the source only.
    AtTarget,
}

/// `virDomainJobType`: a job runs.
const TYPE_BOUNDED: i64 = 1;
const TYPE_UNBOUNDED: i64 = 2;
/// `virDomainJobType`: the job of completed statistics succeeded.
const TYPE_COMPLETED: i64 = 3;
/// `virDomainJobOperation`.
const OPERATION_MIGRATION_OUT: i64 = 5;

/// Reads statistics of the current job of `job_type`.
pub fn parse_current<'a>(
    job_type: i64,
    record: impl IntoIterator<Item = (&'a str, Value<'a>)>,
) -> JobLook {
    if !matches!(job_type, TYPE_BOUNDED | TYPE_UNBOUNDED) {
        return JobLook::Idle;
    }
    let fields = Fields::read(record);
    if fields.migrates() { JobLook::Migrating(fields.progress()) } else { JobLook::Idle }
}

/// Reads statistics of a completed job; `None` when there is none, or it failed.
pub fn parse_completed<'a>(
    job_type: i64,
    record: impl IntoIterator<Item = (&'a str, Value<'a>)>,
) -> Option<CompletedStats> {
    (job_type == TYPE_COMPLETED).then(|| Fields::read(record).completed())
}

/// Reads statistics of an event that tells of a completed job; `None` where that was no migration
/// from this host.
pub fn parse_event<'a>(
    record: impl IntoIterator<Item = (&'a str, Value<'a>)>,
) -> Option<CompletedStats> {
    let fields = Fields::read(record);
    fields.migrates().then(|| fields.completed())
}

#[derive(Default)]
struct Fields {
    operation: Option<i64>,
    time_elapsed: Option<u64>,
    downtime: Option<u64>,
    setup_time: Option<u64>,
    memory_total: Option<u64>,
    memory_remaining: Option<u64>,
    memory_processed: Option<u64>,
    bandwidth: Option<u64>,
    dirty_pages_per_second: Option<u64>,
    page_size: Option<u64>,
    normal: Option<u64>,
    constant: Option<u64>,
    iteration: Option<u64>,
    throttle_percent: Option<u64>,
    post_copy_requests: Option<u64>,
    delta_pages: Option<u64>,
    delta_bytes: Option<u64>,
    delta_misses: Option<u64>,
}

impl Fields {
    fn read<'a>(record: impl IntoIterator<Item = (&'a str, Value<'a>)>) -> Self {
        let mut fields = Self::default();
        for (key, value) in record {
            let field = match key {
                "operation" => {
                    fields.operation = value.as_i64();
                    continue;
                }
                "time_elapsed" => &mut fields.time_elapsed,
                "downtime" => &mut fields.downtime,
                "setup_time" => &mut fields.setup_time,
                "memory_total" => &mut fields.memory_total,
                "memory_remaining" => &mut fields.memory_remaining,
                "memory_processed" => &mut fields.memory_processed,
                "memory_bps" => &mut fields.bandwidth,
                "memory_dirty_rate" => &mut fields.dirty_pages_per_second,
                "memory_page_size" => &mut fields.page_size,
                "memory_normal" => &mut fields.normal,
                "memory_constant" => &mut fields.constant,
                "memory_iteration" => &mut fields.iteration,
                "memory_postcopy_requests" => &mut fields.post_copy_requests,
                "auto_converge_throttle" => &mut fields.throttle_percent,
                "compression_pages" => &mut fields.delta_pages,
                "compression_bytes" => &mut fields.delta_bytes,
                "compression_cache_misses" => &mut fields.delta_misses,
                _ => continue,
            };
            *field = value.as_u64();
        }
        fields
    }

    /// Whether the domain leaves by this job. A libvirt that names no operation (before 3.3) still
    /// tells migrations by their pages.
    fn migrates(&self) -> bool {
        match self.operation {
            Some(operation) => operation == OPERATION_MIGRATION_OUT,
            None => self.iteration.is_some(),
        }
    }

    fn progress(&self) -> JobProgress {
        let page_size = self.page_size.unwrap_or(GUEST_PAGE.get());
        let dirty_pages = self.dirty_pages_per_second.unwrap_or(0);
        JobProgress {
            elapsed: Span::from_millis(self.time_elapsed.unwrap_or(0)),
            remaining: Bytes::new(self.memory_remaining.unwrap_or(0)),
            transferred: Bytes::new(self.memory_processed.unwrap_or(0)),
            total: Bytes::new(self.memory_total.unwrap_or(0)),
            bandwidth: BytesPerSecond::new(self.bandwidth.unwrap_or(0)),
            dirty_rate: BytesPerSecond::new(dirty_pages.saturating_mul(page_size)),
            iteration: self.iteration.unwrap_or(0),
            normal_pages: self.normal.unwrap_or(0),
            zero_pages: self.constant.unwrap_or(0),
            throttle_percent: self.throttle(),
            post_copy_requests: self.post_copy_requests.unwrap_or(0),
            delta: self.delta(),
        }
    }

    fn completed(&self) -> CompletedStats {
        CompletedStats {
            total_time: Span::from_millis(self.time_elapsed.unwrap_or(0)),
            downtime: Span::from_millis(self.downtime.unwrap_or(0)),
            setup_time: Span::from_millis(self.setup_time.unwrap_or(0)),
            transferred: Bytes::new(self.memory_processed.unwrap_or(0)),
            normal_pages: self.normal.unwrap_or(0),
            zero_pages: self.constant.unwrap_or(0),
            iterations: self.iteration.unwrap_or(0),
            bandwidth: BytesPerSecond::new(self.bandwidth.unwrap_or(0)),
            throttle_percent: self.throttle(),
            post_copy_requests: self.post_copy_requests.unwrap_or(0),
            delta: self.delta(),
        }
    }

    fn throttle(&self) -> u8 {
        self.throttle_percent.and_then(|percent| u8::try_from(percent).ok()).unwrap_or(0)
    }

    fn delta(&self) -> DeltaCoding {
        DeltaCoding {
            pages: self.delta_pages.unwrap_or(0),
            bytes: self.delta_bytes.unwrap_or(0),
            misses: self.delta_misses.unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: [(&str, Value<'_>); 18] = [
        ("operation", Value::Int(5)),
        ("time_elapsed", Value::UInt(3042)),
        ("downtime", Value::UInt(72)),
        ("setup_time", Value::UInt(11)),
        ("memory_total", Value::UInt(64 << 20)),
        ("memory_processed", Value::UInt(40 << 20)),
        ("memory_remaining", Value::UInt(24 << 20)),
        ("memory_bps", Value::UInt(60 << 20)),
        ("memory_dirty_rate", Value::UInt(256)),
        ("memory_page_size", Value::UInt(4096)),
        ("memory_normal", Value::UInt(9000)),
        ("memory_constant", Value::UInt(800)),
        ("memory_iteration", Value::UInt(3)),
        ("memory_postcopy_requests", Value::UInt(17)),
        ("auto_converge_throttle", Value::Int(30)),
        ("compression_pages", Value::UInt(700)),
        ("compression_bytes", Value::UInt(9100)),
        ("compression_cache_misses", Value::UInt(41)),
    ];

    #[test]
    fn progress_and_completion_are_read() {
        let JobLook::Migrating(progress) = parse_current(2, RECORD) else {
            panic!("this is a migration");
        };
        assert_eq!(progress.elapsed, Span::from_millis(3042));
        assert_eq!(progress.remaining, Bytes::mib(24));
        assert_eq!(progress.transferred, Bytes::mib(40));
        assert_eq!(progress.dirty_rate, BytesPerSecond::mib(1), "pages times their size");
        assert_eq!(progress.iteration, 3);
        let completed = parse_completed(3, RECORD).unwrap();
        assert_eq!(completed.downtime, Span::from_millis(72));
        assert_eq!((completed.normal_pages, completed.zero_pages), (9000, 800));
        assert_eq!((progress.normal_pages, progress.zero_pages), (9000, 800));
        assert_eq!((progress.throttle_percent, completed.throttle_percent), (30, 30));
        assert_eq!((progress.post_copy_requests, completed.post_copy_requests), (17, 17));
        let delta = DeltaCoding { pages: 700, bytes: 9100, misses: 41 };
        assert_eq!((progress.delta, completed.delta), (delta, delta));
        assert_eq!(parse_event(RECORD), Some(completed));
    }

    #[test]
    fn other_jobs_and_no_jobs_are_idle() {
        assert_eq!(parse_current(0, []), JobLook::Idle);
        assert_eq!(parse_current(3, RECORD), JobLook::Idle, "completed is over");
        let dump = [("operation", Value::Int(8)), ("memory_total", Value::UInt(1))];
        assert_eq!(parse_current(1, dump), JobLook::Idle);
        let preparing = [("operation", Value::Int(5)), ("time_elapsed", Value::UInt(40))];
        let progress = JobProgress { elapsed: Span::from_millis(40), ..Default::default() };
        assert_eq!(parse_current(2, preparing), JobLook::Migrating(progress));
        assert_eq!(parse_event(dump), None);
        for not_success in [0, 4, 5] {
            assert_eq!(parse_completed(not_success, RECORD), None);
        }
    }
}
