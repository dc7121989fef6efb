//! The four tables of samples: hosts, domains, dirty windows and looks at running migrations.

use whimbrel_core::{
    cluster::{DeltaCoding, JobProgress},
    telemetry::{DirtySample, DomainSample, HostSample, JobSample},
    units::Timestamp,
};

use super::{Cells, Row};
use crate::schema::{Before, Cell, Column, Fault, Kind, Table};

/// One row a host and collection.
pub(crate) const HOSTS: Table = Table {
    name: "hosts",
    columns: &[
        Column::must("at_micros", Kind::Instant),
        Column::must("host", Kind::Text),
        Column::must("state", Kind::Text),
        Column::maybe("cpu_busy_micros", Kind::CpuTime),
        Column::maybe("cpu_used_millicores", Kind::Cpu),
        Column::maybe("memory_total_bytes", Kind::Size),
        Column::maybe("memory_free_bytes", Kind::Size),
        Column::maybe("answered_in_micros", Kind::Span),
    ],
};

/// One row a sighted domain and collection.
pub(crate) const DOMAINS: Table = Table {
    name: "domains",
    columns: &[
        Column::must("at_micros", Kind::Instant),
        Column::must("host", Kind::Text),
        Column::must("vm", Kind::Text),
        Column::must("uuid", Kind::Text),
        Column::must("state", Kind::Text),
        Column::must("vcpus", Kind::FewCount),
        Column::must("memory_max_bytes", Kind::Size),
        Column::must("memory_bytes", Kind::Size),
        Column::maybe("resident_bytes", Kind::Size),
        Column::maybe("cpu_time_micros", Kind::CpuTime),
        Column::maybe("cpu_used_millicores", Kind::Cpu),
        Column::maybe("block_read_bytes", Kind::Counter),
        Column::maybe("block_written_bytes", Kind::Counter),
        Column::maybe("net_received_bytes", Kind::Counter),
        Column::maybe("net_sent_bytes", Kind::Counter),
    ],
};

/// One row a finished dirty-rate window.
pub(crate) const DIRTY: Table = Table {
    name: "dirty",
    columns: &[
        Column::must("at_micros", Kind::Instant),
        Column::must("host", Kind::Text),
        Column::must("vm", Kind::Text),
        Column::must("window_micros", Kind::Span),
        Column::must("unique_bytes", Kind::Size),
    ],
};

/// One row a look at a running migration.
pub(crate) const JOBS: Table = Table {
    name: "jobs",
    columns: &[
        Column::must("at_micros", Kind::Instant),
        Column::must("host", Kind::Text),
        Column::must("vm", Kind::Text),
        Column::must("elapsed_micros", Kind::Span),
        Column::must("remaining_bytes", Kind::Size),
        Column::must("transferred_bytes", Kind::Counter),
        Column::must("total_bytes", Kind::Size),
        Column::must("bandwidth_bytes_per_second", Kind::Rate),
        Column::must("dirty_rate_bytes_per_second", Kind::Rate),
        Column::must("iteration", Kind::Count),
        Column::must("normal_pages", Kind::Count).since(2, Before::Number(0)),
        Column::must("zero_pages", Kind::Count).since(2, Before::Number(0)),
        Column::must("throttle_percent", Kind::FewCount).since(2, Before::Number(0)),
        Column::must("post_copy_requests", Kind::Count).since(2, Before::Number(0)),
        Column::must("delta_pages", Kind::Count).since(2, Before::Number(0)),
        Column::must("delta_bytes", Kind::Counter).since(2, Before::Number(0)),
        Column::must("delta_misses", Kind::Count).since(2, Before::Number(0)),
    ],
};

impl Row for HostSample {
    const TABLE: Table = HOSTS;

    fn at(&self) -> Timestamp {
        self.at
    }

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![
            self.at.into(),
            (&self.host).into(),
            self.state.into(),
            self.cpu_busy.into(),
            self.cpu_used.into(),
            self.memory_total.into(),
            self.memory_free.into(),
            self.answered_in.into(),
        ]
    }

    fn from_cells(cells: &mut Cells<'_>) -> Result<Self, Fault> {
        Ok(Self {
            at: cells.take()?,
            host: cells.take()?,
            state: cells.take()?,
            cpu_busy: cells.take()?,
            cpu_used: cells.take()?,
            memory_total: cells.take()?,
            memory_free: cells.take()?,
            answered_in: cells.take()?,
        })
    }
}

impl Row for DomainSample {
    const TABLE: Table = DOMAINS;

    fn at(&self) -> Timestamp {
        self.at
    }

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![
            self.at.into(),
            (&self.host).into(),
            (&self.vm).into(),
            self.uuid.as_str().into(),
            self.state.into(),
            self.vcpus.into(),
            self.memory_max.into(),
            self.memory.into(),
            self.resident.into(),
            self.cpu_time.into(),
            self.cpu_used.into(),
            self.block_read.into(),
            self.block_written.into(),
            self.net_received.into(),
            self.net_sent.into(),
        ]
    }

    fn from_cells(cells: &mut Cells<'_>) -> Result<Self, Fault> {
        Ok(Self {
            at: cells.take()?,
            host: cells.take()?,
            vm: cells.take()?,
            uuid: cells.take()?,
            state: cells.take()?,
            vcpus: cells.take()?,
            memory_max: cells.take()?,
            memory: cells.take()?,
            resident: cells.take()?,
            cpu_time: cells.take()?,
            cpu_used: cells.take()?,
            block_read: cells.take()?,
            block_written: cells.take()?,
            net_received: cells.take()?,
            net_sent: cells.take()?,
        })
    }
}

impl Row for DirtySample {
    const TABLE: Table = DIRTY;

    fn at(&self) -> Timestamp {
        self.at
    }

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![
            self.at.into(),
            (&self.host).into(),
            (&self.vm).into(),
            self.window.into(),
            self.unique.into(),
        ]
    }

    fn from_cells(cells: &mut Cells<'_>) -> Result<Self, Fault> {
        Ok(Self {
            at: cells.take()?,
            host: cells.take()?,
            vm: cells.take()?,
            window: cells.take()?,
            unique: cells.take()?,
        })
    }
}

impl Row for JobSample {
    const TABLE: Table = JOBS;

    fn at(&self) -> Timestamp {
        self.at
    }

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![
            self.at.into(),
            (&self.host).into(),
            (&self.vm).into(),
            self.progress.elapsed.into(),
            self.progress.remaining.into(),
            self.progress.transferred.into(),
            self.progress.total.into(),
            self.progress.bandwidth.into(),
            self.progress.dirty_rate.into(),
            self.progress.iteration.into(),
            self.progress.normal_pages.into(),
            self.progress.zero_pages.into(),
            self.progress.throttle_percent.into(),
            self.progress.post_copy_requests.into(),
            self.progress.delta.pages.into(),
            self.progress.delta.bytes.into(),
            self.progress.delta.misses.into(),
        ]
    }

    fn from_cells(cells: &mut Cells<'_>) -> Result<Self, Fault> {
        Ok(Self {
            at: cells.take()?,
            host: cells.take()?,
            vm: cells.take()?,
            progress: JobProgress {
                elapsed: cells.take()?,
                remaining: cells.take()?,
                transferred: cells.take()?,
                total: cells.take()?,
                bandwidth: cells.take()?,
                dirty_rate: cells.take()?,
                iteration: cells.take()?,
                normal_pages: cells.take()?,
                zero_pages: cells.take()?,
                throttle_percent: cells.take()?,
                post_copy_requests: cells.take()?,
                delta: DeltaCoding {
                    pages: cells.take()?,
                    bytes: cells.take()?,
                    misses: cells.take()?,
                },
            },
        })
    }
}
