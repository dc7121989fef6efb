//! Does the cells of one shard, in threads, and keeps what is done.
//!
//! What is done is written out every second or so, and whole: a run that is killed loses the cells
//! of the last second, and the next one skips the others.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use whimbrel_datasets::{ResultRow, ResultSet};

use super::{Axes, Cell, Matrix, Shard, Work};
use crate::Failure;

/// Least time between two writings.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// Writing takes no more than this part of the time.
const WRITE_PART: u32 = 20;

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// The file that holds the shard.
    pub file: PathBuf,
    /// Cells that had been done before.
    pub skipped: usize,
    /// Cells that it did.
    pub done: usize,
}

/// Does the cells of `shard` that its file in `directory` has not, with `jobs` threads. `progress`
/// is called once a cell, those that are skipped included.
///
/// # Errors
/// [`Failure`] naming the cell that failed, or the file that is damaged or of another matrix. What
/// was done before stays.
pub fn run(
    matrix: &Matrix,
    shard: Shard,
    directory: &Path,
    jobs: usize,
    progress: &mut dyn FnMut(),
) -> Result<Ran, Failure> {
    let file = directory.join(shard.file());
    let mut set = kept(&file, &matrix.axes)?;
    let known: BTreeSet<&str> = set.rows.iter().map(|row| row.cell.as_str()).collect();
    let mut todo: Vec<Cell> = of_shard(&matrix.axes, shard);
    let total = todo.len();
    todo.retain(|cell| !known.contains(cell.id.as_str()));
    let skipped = total - todo.len();
    (0..skipped).for_each(|_| progress());
    let mut writer = Writer { file, set: &mut set, written: Instant::now(), pause: WRITE_EVERY };
    let outcome = each(&todo, matrix.work.as_ref(), jobs, &mut |cell, figures| {
        progress();
        writer.add(row(&matrix.axes.kind, cell, figures?))
    });
    // What was done is kept even where a later cell failed.
    writer.write()?;
    outcome?;
    Ok(Ran { file: writer.file, skipped, done: todo.len() })
}

/// Cells of `shard` with whether its file in `directory` has each.
///
/// # Errors
/// [`Failure`] naming the file that is damaged or of another matrix.
pub fn done(axes: &Axes, shard: Shard, directory: &Path) -> Result<Vec<(Cell, bool)>, Failure> {
    let set = kept(&directory.join(shard.file()), axes)?;
    let known: BTreeSet<&str> = set.rows.iter().map(|row| row.cell.as_str()).collect();
    let cells = of_shard(axes, shard).into_iter();
    Ok(cells.map(|cell| (cell.clone(), known.contains(cell.id.as_str()))).collect())
}

fn of_shard(axes: &Axes, shard: Shard) -> Vec<Cell> {
    let cells = axes.cells().into_iter().enumerate();
    cells.filter(|(index, _)| shard.has(*index)).map(|(_, cell)| cell).collect()
}

/// What `file` holds of the matrix; nothing where there is no file.
fn kept(file: &Path, axes: &Axes) -> Result<ResultSet, Failure> {
    let matrix = axes.text()?;
    if !file.exists() {
        return Ok(ResultSet { matrix, rows: Vec::new() });
    }
    let set = ResultSet::read(file).map_err(Failure::invalid)?;
    if set.matrix != matrix {
        return Err(Failure::conflict(
            "holds cells of another matrix: a trace, policy, change or number of seeds differs \
             (hint: name another directory with --out, or remove the file)",
        )
        .about(file.display()));
    }
    Ok(set)
}

fn row(kind: &str, cell: &Cell, figures: BTreeMap<String, f64>) -> ResultRow {
    ResultRow {
        cell: cell.id.clone(),
        kind: kind.to_owned(),
        trace: cell.trace.clone(),
        policy: cell.policy.clone(),
        change: cell.change.clone(),
        seed: cell.seed,
        figures,
    }
}

/// What a cell came to.
type Figures = Result<BTreeMap<String, f64>, Failure>;

/// Gives the figures of every cell to `take`, in the order in which they come.
fn each(
    cells: &[Cell],
    work: &dyn Work,
    jobs: usize,
    take: &mut dyn FnMut(&Cell, Figures) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let next = AtomicUsize::new(0);
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, cells.len().max(1)) {
            let (send, next) = (send.clone(), &next);
            scope.spawn(move || {
                while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let about = |failure: Failure| failure.about(format!("cell {}", cell.id));
                    let figures = work.figures(cell).map_err(about);
                    // Nobody listens any more once a cell has failed.
                    if send.send((cell, figures)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        // Dropped with the first error, so that the threads end with the cell they are at.
        receive.into_iter().try_for_each(|(cell, figures)| take(cell, figures))
    })
}

/// Keeps rows, and writes them out in time.
struct Writer<'a> {
    file: PathBuf,
    set: &'a mut ResultSet,
    written: Instant,
    pause: Duration,
}

impl Writer<'_> {
    fn add(&mut self, row: ResultRow) -> Result<(), Failure> {
        self.set.rows.push(row);
        if self.written.elapsed() >= self.pause { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), Failure> {
        let begin = Instant::now();
        self.set.rows.sort_by(|a, b| a.cell.cmp(&b.cell));
        self.set.write(&self.file).map_err(Failure::unavailable)?;
        self.pause = WRITE_EVERY.max(begin.elapsed() * WRITE_PART);
        self.written = Instant::now();
        Ok(())
    }
}
