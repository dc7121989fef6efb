//! `OpenDC`'s workloads (Mastenbroek et al., `CCGrid` 2021): tasks and what they use, in Parquet.
//!
//! Layout: `tasks.parquet` (`id`, `submission_time` in ms after 1970, `duration` in ms, `cpu_count`,
//! `cpu_capacity` in MHz of all of them, `mem_capacity` in MB) and, where it is there,
//! `fragments.parquet` (`id`, `duration` in ms, `cpu_usage` in MHz), of versions 2 to 5. The part
//! is a folder below the set's. The trace begins with the earliest task. A task's fragments follow
//! one another from its submission; a sample stands at the begin of each, and one of 0 behind the
//! last. Fragments of no length are left out and counted, and so are those of unknown tasks.

use std::path::{Path, PathBuf};

use whimbrel_core::{
    trace::{Life, Size, UseSample},
    units::{MilliCores, Span},
};

use super::{
    TraceOptions,
    columns::{Group, Groups, Wanted},
    error::TraceError,
    files::{self, Tally},
    limits::{DATE_MAX_MICROS, TIME_MAX_MICROS},
    rows::{Loader, Repair, Sink, TraceRows, bytes, millicores, span},
};

const ID: usize = 0;
const SUBMITTED: usize = 1;
const DURATION: usize = 2;
const COUNT: usize = 3;
const CAPACITY: usize = 4;
const MEMORY: usize = 5;

static TASKS: [Wanted; 6] = [
    Wanted { name: "id", names: true },
    Wanted { name: "submission_time", names: false },
    Wanted { name: "duration", names: false },
    Wanted { name: "cpu_count", names: false },
    Wanted { name: "cpu_capacity", names: false },
    Wanted { name: "mem_capacity", names: false },
];

const FOR: usize = 1;
const USED: usize = 2;

static FRAGMENTS: [Wanted; 3] = [
    Wanted { name: "id", names: true },
    Wanted { name: "duration", names: false },
    Wanted { name: "cpu_usage", names: false },
];

const MILLIS: f64 = 1000.0;
const MEGABYTE: f64 = 1e6;

/// Highest speed of a task in MHz: 65,536 cores of 10 GHz.
const MHZ_MAX: f64 = 655_360_000.0;

/// Opens the set at `root`.
pub(crate) fn open(root: &Path, options: &TraceOptions) -> Result<TraceRows, TraceError> {
    let tally = Tally::default();
    let root = part(root, options.part.as_deref())?;
    let tasks = files::one(&root, "tasks")?;
    let fragments = files::below(&root, |name| name == "fragments.parquet")?;
    let fragments = fragments.into_iter().next();
    let stored: Vec<PathBuf> =
        [Some(tasks.clone()), fragments.clone()].into_iter().flatten().collect();
    let opendc = OpenDc {
        first: Some(Groups::open(&tasks, &TASKS, &Tally::default())),
        origin: f64::INFINITY,
        tasks: Some(Groups::open(&tasks, &TASKS, &tally)),
        fragments: fragments.map(|path| Groups::open(&path, &FRAGMENTS, &tally)),
        guests: Vec::new(),
        closed: 0,
    };
    let total = files::total(&stored);
    Ok(TraceRows::new(Box::new(opendc), Sink::with_lives(Span::ZERO), tally, total))
}

/// The one folder with tasks below `root`, or the one that `part` names.
fn part(root: &Path, part: Option<&str>) -> Result<PathBuf, TraceError> {
    let found = files::below(root, |name| name == "tasks.parquet")?;
    let folders: Vec<&Path> = found.iter().filter_map(|path| path.parent()).collect();
    let named = |folder: &&&Path| part.is_none_or(|part| folder.ends_with(part));
    let fitting: Vec<&&Path> = folders.iter().filter(named).collect();
    match fitting.as_slice() {
        [only] => Ok(only.to_path_buf()),
        [] => {
            Err(TraceError::absent(root, "holds no tasks.parquet (or not the part that is asked)"))
        }
        several => {
            let names = several.iter().filter_map(|folder| folder.file_name());
            let names: Vec<_> = names.map(|name| name.to_string_lossy()).collect();
            let what =
                format!("holds several workloads, name one as the part: {}", names.join(", "));
            Err(TraceError::absent(root, what))
        }
    }
}

struct OpenDc {
    /// The tasks, read for the earliest of them.
    first: Option<Groups>,
    origin: f64,
    tasks: Option<Groups>,
    fragments: Option<Groups>,
    guests: Vec<Task>,
    /// Guests whose last fragment has its end.
    closed: usize,
}

/// What fragments need to know of their task.
#[derive(Clone, Copy)]
struct Task {
    /// When the next fragment begins, in microseconds of the trace.
    next: f64,
    /// Thousandths of a core that a MHz is.
    scale: f64,
    /// Whether it has fragments.
    used: bool,
}

impl Loader for OpenDc {
    fn advance(&mut self, sink: &mut Sink) -> Result<bool, TraceError> {
        if let Some(groups) = &mut self.first {
            let Some(group) = groups.advance()? else {
                self.first = None;
                return Ok(true);
            };
            for row in 0..group.rows {
                let at = group.number(SUBMITTED, row, DATE_MAX_MICROS / MILLIS)? * MILLIS;
                self.origin = self.origin.min(at);
            }
            return Ok(true);
        }
        if let Some(groups) = &mut self.tasks {
            match groups.advance()? {
                Some(group) => self.take_tasks(&group, sink)?,
                None => self.tasks = None,
            }
            return Ok(true);
        }
        if let Some(groups) = &mut self.fragments {
            match groups.advance()? {
                Some(group) => self.take_fragments(&group, sink)?,
                None => self.fragments = None,
            }
            return Ok(true);
        }
        self.close(sink);
        Ok(self.closed < self.guests.len())
    }
}

impl OpenDc {
    fn take_tasks(&mut self, group: &Group, sink: &mut Sink) -> Result<(), TraceError> {
        for row in 0..group.rows {
            let guest = sink.guest(group.name(ID, row)?).ok_or_else(|| group.crowded(row))?;
            let at = group.number(SUBMITTED, row, DATE_MAX_MICROS / MILLIS)? * MILLIS - self.origin;
            let stays = group.number(DURATION, row, TIME_MAX_MICROS / MILLIS)? * MILLIS;
            let cpu = group.number(COUNT, row, 65_536.0)? * 1000.0;
            let capacity = group.number(CAPACITY, row, MHZ_MAX)?;
            let memory = bytes(group.number(MEMORY, row, 1e9)? * MEGABYTE);
            if stays < 1.0 {
                sink.repaired(Repair::Short);
            }
            sink.life(Life {
                guest,
                begins: span(at),
                stays: Some(span(stays).max(Span::from_seconds(u64::from(stays < 1.0)))),
                size: Size { cpu: millicores(cpu), memory },
            });
            let scale = if capacity > 0.0 { cpu / capacity } else { 0.0 };
            if guest as usize == self.guests.len() {
                self.guests.push(Task { next: at, scale, used: false });
            }
        }
        Ok(())
    }

    fn take_fragments(&mut self, group: &Group, sink: &mut Sink) -> Result<(), TraceError> {
        for row in 0..group.rows {
            let known = sink.known(group.name(ID, row)?);
            let task = known.and_then(|guest| self.guests.get_mut(guest as usize));
            let (Some(guest), Some(task)) = (known, task) else {
                sink.repaired(Repair::Unknown);
                continue;
            };
            let lasts = group.number(FOR, row, TIME_MAX_MICROS / MILLIS)? * MILLIS;
            let used = group.number(USED, row, MHZ_MAX)?;
            if lasts < 1.0 {
                sink.repaired(Repair::Short);
                continue;
            }
            let cpu = millicores(used * task.scale);
            sink.sample(UseSample { guest, at: span(task.next), cpu, memory: None });
            task.next += lasts;
            if task.next > TIME_MAX_MICROS {
                let what =
                    format!("its task goes on for more than {} days", TIME_MAX_MICROS / 86_400e6);
                return Err(group.fault(FOR, row, what));
            }
            task.used = true;
        }
        Ok(())
    }

    /// Puts the end behind the last fragments of some guests.
    fn close(&mut self, sink: &mut Sink) {
        const SOME: usize = 4096;
        let open = self.guests.iter().enumerate().skip(self.closed).take(SOME);
        for (guest, task) in open.filter(|(_, task)| task.used) {
            let (guest, at) = (u32::try_from(guest).unwrap_or(u32::MAX), span(task.next));
            sink.sample(UseSample { guest, at, cpu: MilliCores::ZERO, memory: None });
        }
        self.closed = self.closed.saturating_add(SOME).min(self.guests.len());
    }
}
