//! Sets with a file a guest and a sample a line, at a fixed interval and without times.

use whimbrel_core::{
    trace::{Size, UseSample},
    units::Span,
};

use super::{
    error::TraceError,
    lines::Lines,
    members::Members,
    rows::{Loader, Sink, bytes, millicores},
    table::{Layout, Table},
};

/// Column of the CPU, as a part of the whole.
pub(crate) const CPU: usize = 0;
/// Column of the memory, as a part of the whole, where the layout has it.
pub(crate) const MEMORY: usize = 1;

/// When the guest of a file begins, by the file's path; `None` passes the file over.
pub(crate) type Begins = Box<dyn FnMut(&str) -> Result<Option<Span>, String> + Send>;

/// Reads such a set.
pub(crate) struct Series {
    /// Its files.
    pub(crate) members: Members,
    /// How a line is built.
    pub(crate) layout: &'static Layout,
    /// Most of the whole that a sample may be, 1 for all of it.
    pub(crate) most: f64,
    /// When each guest begins.
    pub(crate) begins: Begins,
    /// What a sample of 100 % is.
    pub(crate) whole: Size,
    /// Between two samples.
    pub(crate) interval: Span,
    /// The file that is being read, its guest and the moment of its next sample.
    pub(crate) open: Option<(Table, u32, Span)>,
}

impl Loader for Series {
    fn advance(&mut self, sink: &mut Sink) -> Result<bool, TraceError> {
        let Some((table, guest, at)) = &mut self.open else { return self.open_next(sink) };
        if !table.advance()? {
            self.open = None;
            return Ok(true);
        }
        let cpu = within(table, CPU, table.number(CPU)?, self.most)?;
        let memory = match self.layout.columns.get(MEMORY) {
            Some(_) => Some(within(table, MEMORY, table.number(MEMORY)?, self.most)?),
            None => None,
        };
        sink.sample(UseSample {
            guest: *guest,
            at: *at,
            cpu: millicores(cpu * self.whole.cpu.get() as f64),
            memory: memory.map(|share| bytes(share * self.whole.memory.as_f64())),
        });
        *at += self.interval;
        Ok(true)
    }
}

impl Series {
    fn open_next(&mut self, sink: &mut Sink) -> Result<bool, TraceError> {
        let Some(member) = self.members.advance()? else { return Ok(false) };
        let begins = (self.begins)(&member.path).map_err(|what| TraceError::Layout {
            file: member.shown.clone(),
            row: 0,
            what,
            hint: "datasets/README.md tells how the set's folders are named".to_owned(),
        })?;
        let Some(begins) = begins else { return Ok(true) };
        let crowded = || TraceError::crowded(&member.shown, 0);
        // The path is the name: two files are two guests.
        let new = sink.known(&member.path).is_none();
        let guest = sink.guest(&member.path).filter(|_| new).ok_or_else(crowded)?;
        sink.grows(guest, self.whole);
        let table = Table::open(Lines::new(member.bytes, member.shown), self.layout)?;
        self.open = Some((table, guest, begins));
        Ok(true)
    }
}

fn within(table: &Table, column: usize, share: f64, most: f64) -> Result<f64, TraceError> {
    if share <= most {
        return Ok(share);
    }
    let (share, most) = (share * 100.0, most * 100.0);
    Err(table.fault(column, format!("{share} % is more than {most} %")))
}
