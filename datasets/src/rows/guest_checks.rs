//! What a guest said of its own memory after a migration: the table, and its row.

use whimbrel_core::{
    ids::{OrderId, VmId},
    units::Timestamp,
};

use super::{Cells, Row};
use crate::schema::{Cell, Column, Fault, Kind, Table};

/// One row a migration after which the guest was asked.
pub(crate) const GUEST_CHECKS: Table = Table {
    name: "guest_checks",
    columns: &[
        Column::must("at_micros", Kind::Instant),
        Column::must("order", Kind::Text),
        Column::must("vm", Kind::Text),
        Column::must("checked_pages", Kind::Count),
        Column::must("bad_pages", Kind::Count),
        Column::must("written_pages", Kind::Count),
        Column::must("dropped_pages", Kind::Count),
    ],
};

/// What a guest said of its memory after a migration. Counters are since its boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestCheck {
    /// When it was asked.
    pub at: Timestamp,
    /// The migration's order.
    pub order: OrderId,
    /// Which domain.
    pub vm: VmId,
    /// Pages that it read again, each of which it had written itself.
    pub checked_pages: u64,
    /// Pages among them that do not hold what was last written there; 0 when nothing is lost.
    pub bad_pages: u64,
    /// Pages that it rewrote.
    pub written_pages: u64,
    /// Rewrites that it gave up for want of processor time.
    pub dropped_pages: u64,
}

impl Row for GuestCheck {
    const TABLE: Table = GUEST_CHECKS;

    fn at(&self) -> Timestamp {
        self.at
    }

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![
            self.at.into(),
            (&self.order).into(),
            (&self.vm).into(),
            self.checked_pages.into(),
            self.bad_pages.into(),
            self.written_pages.into(),
            self.dropped_pages.into(),
        ]
    }

    fn from_cells(cells: &mut Cells<'_>) -> Result<Self, Fault> {
        Ok(Self {
            at: cells.take()?,
            order: cells.take()?,
            vm: cells.take()?,
            checked_pages: cells.take()?,
            bad_pages: cells.take()?,
            written_pages: cells.take()?,
            dropped_pages: cells.take()?,
        })
    }
}
