//! The two tables of a converted trace: lives and samples.

use whimbrel_core::{
    trace::{Life, Size, UseSample},
    units::Timestamp,
};

use super::{Cells, Row};
use crate::schema::{Cell, Column, Fault, Kind, Table};

/// One row a guest.
pub(crate) const LIVES: Table = Table {
    name: "lives",
    columns: &[
        Column::must("guest", Kind::Count),
        Column::must("begins_micros", Kind::Span),
        Column::maybe("stays_micros", Kind::Span),
        Column::must("size_millicores", Kind::Cpu),
        Column::must("size_bytes", Kind::Size),
    ],
};

/// One row a look at a guest.
pub(crate) const SAMPLES: Table = Table {
    name: "samples",
    columns: &[
        Column::must("guest", Kind::Count),
        Column::must("after_micros", Kind::Span),
        Column::must("used_millicores", Kind::Cpu),
        Column::maybe("used_bytes", Kind::Size),
    ],
};

impl Row for Life {
    const TABLE: Table = LIVES;

    fn at(&self) -> Timestamp {
        Timestamp::default() + self.begins
    }

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![
            self.guest.into(),
            self.begins.into(),
            self.stays.into(),
            self.size.cpu.into(),
            self.size.memory.into(),
        ]
    }

    fn from_cells(cells: &mut Cells<'_>) -> Result<Self, Fault> {
        Ok(Self {
            guest: cells.take()?,
            begins: cells.take()?,
            stays: cells.take()?,
            size: Size { cpu: cells.take()?, memory: cells.take()? },
        })
    }
}

impl Row for UseSample {
    const TABLE: Table = SAMPLES;

    fn at(&self) -> Timestamp {
        Timestamp::default() + self.at
    }

    fn cells(&self) -> Vec<Cell<'_>> {
        vec![self.guest.into(), self.at.into(), self.cpu.into(), self.memory.into()]
    }

    fn from_cells(cells: &mut Cells<'_>) -> Result<Self, Fault> {
        Ok(Self {
            guest: cells.take()?,
            at: cells.take()?,
            cpu: cells.take()?,
            memory: cells.take()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::tests::is_described;

    #[test]
    fn the_readme_describes_every_column() {
        for table in [LIVES, SAMPLES] {
            is_described(table);
        }
    }
}
